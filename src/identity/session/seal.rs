//! What the file of sessions holds is sealed under a key that only the cookie yields: the file alone says nothing.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use zeroize::Zeroizing;

/// The name of a session in the file: SHA-256 of the secret in the cookie.
pub(in crate::identity) type Key = [u8; 32];

/// The name under which a cookie's secret is found.
pub(super) fn key_of(secret: &[u8; 32]) -> Key {
    let mut key = [0; 32];
    for (to, from) in key.iter_mut().zip(digest(&SHA256, secret).as_ref()) {
        *to = *from;
    }
    key
}

/// Opens and closes the content of one session.
pub(super) struct Seal {
    bytes: Zeroizing<[u8; 32]>,
    cipher: RandomizedNonceKey,
    key: Key,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

impl Seal {
    /// The seal of the session whose cookie holds `secret`.
    pub(super) fn new(secret: &[u8; 32]) -> Result<Self, Unspecified> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        let derived = Salt::new(HKDF_SHA256, PURPOSE).extract(secret);
        derived.expand(&[b"seal"], HKDF_SHA256)?.fill(&mut *bytes)?;
        Ok(Self { cipher: RandomizedNonceKey::new(&AES_256_GCM, &*bytes)?, bytes, key: key_of(secret) })
    }

    /// The same seal once more.
    pub(super) fn again(&self) -> Result<Self, Unspecified> {
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, &*self.bytes)?;
        Ok(Self { cipher, bytes: self.bytes.clone(), key: self.key })
    }

    /// The name of the session.
    pub(super) const fn key(&self) -> &Key {
        &self.key
    }

    /// Nonce, ciphertext and tag of `content`, bound to the name of the session.
    pub(super) fn close(&self, mut content: Vec<u8>) -> Result<Vec<u8>, Unspecified> {
        let nonce = self.cipher.seal_in_place_append_tag(Aad::from(self.key), &mut content)?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut content);
        Ok(sealed)
    }

    /// The content; an error when a byte of it, or the name it stands under, is not what it was.
    pub(super) fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or(Unspecified)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce)?;
        let mut content = Zeroizing::new(rest.to_vec());
        let length = self.cipher.open_in_place(nonce, Aad::from(self.key), &mut content)?.len();
        content.truncate(length);
        Ok(content)
    }
}

const PURPOSE: &[u8] = b"hallpass/1 session";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_secret_opens_and_nothing_may_have_changed() {
        let (own, other) = (Seal::new(&[7; 32]).unwrap(), Seal::new(&[8; 32]).unwrap());
        let sealed = own.close(b"a refresh token".to_vec()).unwrap();
        assert_eq!(**own.open(&sealed).unwrap(), *b"a refresh token");
        assert!(!sealed.windows(7).any(|window| window == b"refresh"));
        assert!(other.open(&sealed).is_err());
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert!(own.open(&bent).is_err(), "byte {at}");
        }
        assert!(own.open(&sealed[..5]).is_err() && own.open(b"").is_err());
        assert_ne!(
            own.close(b"x".to_vec()).unwrap(),
            own.close(b"x".to_vec()).unwrap(),
            "a nonce of its own each time"
        );
    }
}
