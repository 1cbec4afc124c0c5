//! The Ed25519 key that signs records, and the public half that verifies them.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, ParsedPublicKey, UnparsedPublicKey};
use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use crate::journal::record::from_hex;

/// What every signature covers before the hash, so that it can never be taken for one of another kind.
const CONTEXT: &[u8] = b"hallpass/1 event";

/// Signs records.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

/// The bytes are no Ed25519 key in PKCS#8, or none could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not an Ed25519 private key in PKCS#8 (DER).
    #[error("not an Ed25519 private key in PKCS#8")]
    Malformed,
    /// The system gave no randomness.
    #[error("no key could be made")]
    NotMade,
}

impl SigningKey {
    /// A fresh key, and its PKCS#8 form to keep.
    ///
    /// # Errors
    /// [`KeyError::NotMade`].
    pub fn generate() -> Result<(Self, Zeroizing<Vec<u8>>), KeyError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| KeyError::NotMade)?;
        let document = pair.to_pkcs8v1().map_err(|_| KeyError::NotMade)?;
        Ok((Self::from_pair(pair)?, Zeroizing::new(document.as_ref().to_vec())))
    }

    /// The key in these PKCS#8 bytes.
    ///
    /// # Errors
    /// [`KeyError::Malformed`].
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, KeyError> {
        Self::from_pair(Ed25519KeyPair::from_pkcs8(bytes).map_err(|_| KeyError::Malformed)?)
    }

    fn from_pair(pair: Ed25519KeyPair) -> Result<Self, KeyError> {
        let public = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Malformed)?;
        Ok(Self { pair, public: PublicKey(public) })
    }

    /// The public half.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a record's hash.
    #[must_use]
    pub fn sign(&self, hash: &[u8; 32]) -> [u8; 64] {
        self.sign_bytes(&[CONTEXT, hash].concat())
    }

    /// Signs bytes that can never be those of a record's signature.
    pub(super) fn sign_bytes(&self, message: &[u8]) -> [u8; 64] {
        let mut bytes = [0; 64];
        for (byte, signed) in bytes.iter_mut().zip(self.pair.sign(message).as_ref()) {
            *byte = *signed;
        }
        bytes
    }
}

/// Never shows the private half.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(public {})", self.public)
    }
}

/// Verifies records: the root of trust of one chain.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Whether `signature` is this key's over a record's hash.
    #[must_use]
    pub fn verifies(&self, hash: &[u8; 32], signature: &[u8; 64]) -> bool {
        self.verifies_bytes(&[CONTEXT, hash].concat(), signature)
    }

    /// Whether `signature` is this key's over bytes that can never be those of a record's signature.
    pub(super) fn verifies_bytes(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }

    /// The raw key.
    pub(super) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A public key made ready to verify many records.
#[derive(Debug, Clone)]
pub(super) struct ReadyKey {
    /// The key.
    pub(super) key: PublicKey,
    /// Taken apart once; nothing when it is no point of the curve, and then it verifies nothing.
    parsed: Option<ParsedPublicKey>,
}

impl ReadyKey {
    /// Makes `key` ready.
    pub(super) fn new(key: PublicKey) -> Self {
        Self { key, parsed: ParsedPublicKey::new(&ED25519, key.0).ok() }
    }

    /// Whether `signature` is this key's over a record's hash.
    pub(super) fn verifies(&self, hash: &[u8; 32], signature: &[u8; 64]) -> bool {
        let message = [CONTEXT, hash].concat();
        self.parsed.as_ref().is_some_and(|parsed| parsed.verify_sig(&message, signature).is_ok())
    }
}

/// 64 lower-case hexadecimal digits.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// The text is no public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a public key is 64 lower-case hexadecimal digits")]
pub struct MalformedPublicKey;

impl FromStr for PublicKey {
    type Err = MalformedPublicKey;

    fn from_str(text: &str) -> Result<Self, MalformedPublicKey> {
        from_hex(text).map(Self).ok_or(MalformedPublicKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_key_signs_what_its_public_half_verifies() {
        let (key, kept) = SigningKey::generate().unwrap();
        let again = SigningKey::from_pkcs8(&kept).unwrap();
        assert_eq!(key.public_key(), again.public_key());
        let signature = again.sign(&[7; 32]);
        assert!(key.public_key().verifies(&[7; 32], &signature));
        assert!(!key.public_key().verifies(&[8; 32], &signature));
        let (stranger, _) = SigningKey::generate().unwrap();
        assert!(!stranger.public_key().verifies(&[7; 32], &signature));
        assert_eq!(key.public_key().to_string().parse(), Ok(*key.public_key()));
    }

    #[test]
    fn junk_is_no_key() {
        assert_eq!(SigningKey::from_pkcs8(b"junk").map(|_| ()), Err(KeyError::Malformed));
        assert!("abc".parse::<PublicKey>().is_err());
        let (key, _) = SigningKey::generate().unwrap();
        assert!(!format!("{key:?}").contains("pair"));
    }
}
