//! The issuer's signing keys: made at start, never written down.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde_json::{Value, json};

/// The cryptography of the machine does not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the issuer's cryptography failed")]
pub struct Unusable;

/// The key that signs, and those that did and are still published.
#[derive(Debug)]
pub(super) struct Keys {
    current: Key,
    former: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    id: String,
    pair: EcdsaKeyPair,
}

impl Keys {
    pub(super) fn new() -> Result<Self, Unusable> {
        Ok(Self { current: Key::new()?, former: Vec::new() })
    }

    /// Signs with a new key from now on; the former ones stay published.
    pub(super) fn rotate(&mut self) -> Result<(), Unusable> {
        let former = std::mem::replace(&mut self.current, Key::new()?);
        self.former.push(former);
        Ok(())
    }

    /// Publishes the current key only.
    pub(super) fn forget_former(&mut self) {
        self.former.clear();
    }

    pub(super) fn current_id(&self) -> &str {
        &self.current.id
    }

    /// The published set (RFC 7517).
    pub(super) fn published(&self) -> Value {
        let keys: Vec<Value> = std::iter::once(&self.current).chain(&self.former).map(Key::published).collect();
        json!({ "keys": keys })
    }

    /// A token of these bytes, signed whatever they say.
    pub(super) fn sign(&self, header: &[u8], claims: &[u8]) -> Result<String, Unusable> {
        let signed = format!("{}.{}", BASE64URL_NOPAD.encode(header), BASE64URL_NOPAD.encode(claims));
        let signature = self.current.pair.sign(&SystemRandom::new(), signed.as_bytes()).map_err(|_| Unusable)?;
        Ok(format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref())))
    }
}

impl Keys {
    /// The claims of a token that came from here, however old it is: a published key signed it.
    pub(super) fn proven(&self, token: &str) -> Option<Value> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).ok()?;
        let proves = |key: &Key| {
            let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.pair.public_key().as_ref());
            public.verify(signed.as_bytes(), &signature).is_ok()
        };
        if !std::iter::once(&self.current).chain(&self.former).any(proves) {
            return None;
        }
        let (_, claims) = signed.split_once('.')?;
        serde_json::from_slice(&BASE64URL_NOPAD.decode(claims.as_bytes()).ok()?).ok()
    }
}

impl Key {
    fn new() -> Result<Self, Unusable> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| Unusable)?;
        Ok(Self { id: random_id()?, pair })
    }

    fn published(&self) -> Value {
        // an uncompressed point: 0x04, then two coordinates of 32 bytes
        let point = self.pair.public_key().as_ref();
        let coordinate = |range| point.get(range).map(|bytes: &[u8]| BASE64URL_NOPAD.encode(bytes));
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id,
            "x": coordinate(1..33), "y": coordinate(33..65),
        })
    }
}

/// 128 random bits as text.
pub(super) fn random_id() -> Result<String, Unusable> {
    let mut bytes = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Unusable)?;
    Ok(HEXLOWER.encode(&bytes))
}
