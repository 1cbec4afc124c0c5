//! How records hang together: each hash covers the one before.

use crate::domain::time::Timestamp;
use crate::journal::record::Digest;
use crate::journal::sign::SigningKey;

/// A record as stored: the exact bytes that were hashed and signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Canonical JSON (RFC 8785).
    pub core: Vec<u8>,
    /// The hash of the record before; zeros before the first.
    pub previous: [u8; 32],
    /// `SHA-256(realm ‖ 0x00 ‖ sequence ‖ previous hash ‖ core)`.
    pub hash: [u8; 32],
    /// Ed25519 over `"hallpass/1 event" ‖ hash`.
    pub signature: [u8; 64],
}

/// The end of a chain: what the next record must follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// Sequence of the last record; 0 when there is none.
    pub sequence: u64,
    /// Its hash.
    pub hash: [u8; 32],
    /// Its time.
    pub time: Timestamp,
}

impl Tip {
    /// Before the first record.
    pub const START: Self = Self { sequence: 0, hash: [0; 32], time: Timestamp::MIN };
}

/// The hash of `core` as record `sequence` of chain `realm`.
#[must_use]
pub fn hash(realm: &str, sequence: u64, previous: &[u8; 32], core: &[u8]) -> [u8; 32] {
    Digest::of(&[realm.as_bytes(), &[0], &sequence.to_be_bytes(), previous, core]).0
}

/// Hashes and signs `core` as record `sequence` of chain `realm`.
#[must_use]
pub fn seal(key: &SigningKey, realm: &str, sequence: u64, previous: [u8; 32], core: Vec<u8>) -> Sealed {
    let hash = hash(realm, sequence, &previous, &core);
    Sealed { signature: key.sign(&hash), core, previous, hash }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_hash_counts() {
        let base = hash("realm", 1, &[0; 32], b"core");
        assert_ne!(base, hash("realn", 1, &[0; 32], b"core"));
        assert_ne!(base, hash("realm", 2, &[0; 32], b"core"));
        assert_ne!(base, hash("realm", 1, &[1; 32], b"core"));
        assert_ne!(base, hash("realm", 1, &[0; 32], b"cord"));
        assert_eq!(base, hash("realm", 1, &[0; 32], b"core"));
    }
}
