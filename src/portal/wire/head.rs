//! The journal's head and its anchors as JSON.

use data_encoding::HEXLOWER;
use serde::Serialize;
use utoipa::ToSchema;

use crate::journal::PublicKey;
use crate::portal::wire::text::Instant;
use crate::store::Head;

/// The newest record, by which a copy kept elsewhere is compared.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct JournalHead {
    sequence: u64,
    /// Hexadecimal.
    hash: String,
    time: Instant,
    /// Names the chain.
    realm: String,
    /// The root key: Ed25519, hexadecimal.
    public_key: String,
    /// The key that signs the next record; the root key until it was rotated.
    signing_key: String,
    /// Why hallpass doubts that this is its journal, as it does until somebody restored or confirmed it; left out when it does
    /// not.
    #[serde(skip_serializing_if = "Option::is_none")]
    doubt: Option<String>,
}

/// An anchor as it was published.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Anchored {
    pub(in crate::portal) sequence: u64,
    /// Hexadecimal.
    pub(in crate::portal) hash: String,
    pub(in crate::portal) time: Instant,
    /// The signed note (C2SP).
    pub(in crate::portal) checkpoint: String,
    /// Where it is now: `log`, `file`, `webhook`.
    pub(in crate::portal) reached: Vec<&'static str>,
    /// Where it could not be published.
    pub(in crate::portal) missed: Vec<Missed>,
}

/// A place where an anchor could not be published.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Missed {
    pub(in crate::portal) target: &'static str,
    pub(in crate::portal) detail: String,
}

impl JournalHead {
    pub(in crate::portal) fn of(
        head: &Head,
        (realm, public_key): (String, String),
        signing_key: PublicKey,
        doubt: Option<&str>,
    ) -> Self {
        Self {
            doubt: doubt.map(str::to_owned),
            sequence: head.position.0,
            hash: HEXLOWER.encode(&head.hash),
            time: Instant(head.time),
            realm,
            public_key,
            signing_key: signing_key.to_string(),
        }
    }
}
