//! What a `uses_sealed` record states: how many requests passed because of an activation, and which.

use crate::domain::event::Event;
use crate::domain::id::ActivationId;

/// The uses of one activation, as they were sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedUses {
    /// The activation.
    pub activation: ActivationId,
    /// How many.
    pub count: u64,
    /// Digest of the last block of them, hexadecimal.
    pub digest: String,
}

impl SealedUses {
    /// What `event` states; nothing when it is of another type.
    #[must_use]
    pub fn stated_by(event: &Event) -> Option<Self> {
        let Event::UsesSealed { activation, count, digest } = event else { return None };
        Some(Self { activation: *activation, count: *count, digest: digest.clone() })
    }
}
