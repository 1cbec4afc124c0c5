//! Signatures of single lines that are kept outside the journal, and return to it.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;

use crate::journal::record::from_hex;
use crate::journal::sign::{PublicKey, SigningKey};

/// What a signature covers before the line. No note and no record's signature begins like that.
const CONTEXT: &[u8] = b"hallpass/1 line\0";

/// A journal's signature of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineSignature([u8; 64]);

impl LineSignature {
    /// That of `line`, for the journal of this name.
    #[must_use]
    pub fn new(key: &SigningKey, realm: &str, line: &str) -> Self {
        Self(key.sign_bytes(&message(realm, line)))
    }

    /// Whether `key` made it, for this line and the journal of this name.
    #[must_use]
    pub fn is_of(&self, key: &PublicKey, realm: &str, line: &str) -> bool {
        key.verifies_bytes(&message(realm, line), &self.0)
    }
}

fn message(realm: &str, line: &str) -> Vec<u8> {
    [CONTEXT, realm.as_bytes(), b"\0", line.as_bytes()].concat()
}

/// 128 lower-case hexadecimal digits.
impl fmt::Display for LineSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// The text is no signature of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signature is 128 lower-case hexadecimal digits")]
pub struct MalformedSignature;

impl FromStr for LineSignature {
    type Err = MalformedSignature;

    fn from_str(text: &str) -> Result<Self, MalformedSignature> {
        from_hex(text).map(Self).ok_or(MalformedSignature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_line_one_journal_and_one_key() {
        let (key, _) = SigningKey::generate().unwrap();
        let (stranger, _) = SigningKey::generate().unwrap();
        let signature: LineSignature = LineSignature::new(&key, "realm", "line").to_string().parse().unwrap();
        assert!(signature.is_of(key.public_key(), "realm", "line"));
        assert!(!signature.is_of(stranger.public_key(), "realm", "line"));
        assert!(!signature.is_of(key.public_key(), "realm", "lines"));
        assert!(!signature.is_of(key.public_key(), "realms", "line"));
        assert!(!signature.is_of(key.public_key(), "realm\0line", ""));
        assert!("ab".parse::<LineSignature>().is_err());
    }
}
