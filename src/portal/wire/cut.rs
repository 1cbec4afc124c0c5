//! What was cut out of the journal, as everybody may know it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::journal;
use crate::portal::wire::text::Instant;

/// The newest cut of old records. What was over by `until` may be known no more; it stands in the archives of this cut and of
/// those before it, which are kept outside of hallpass.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::portal) struct Cut {
    /// Time of the newest record that is gone.
    pub(in crate::portal) until: Instant,
    /// When it was cut.
    pub(in crate::portal) at: Instant,
    /// The record that states it, with the digest of its archive.
    pub(in crate::portal) record: u64,
}

impl From<journal::Cut> for Cut {
    fn from(cut: journal::Cut) -> Self {
        Self { until: Instant(cut.until), at: Instant(cut.at), record: cut.by }
    }
}
