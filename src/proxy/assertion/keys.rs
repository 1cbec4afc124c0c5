//! The keys that sign assertions: a PEM file of the owner's alone, whose first key signs and whose every key is served.
//!
//! A rotation is a new key put first, a reload, and some time later the old one taken out. Whoever just replaces the file
//! loses nothing either: what was served before a reload is served for a while after it. The key is not the journal's
//! (2026-11): applications fetch this one whenever they like, and it may be replaced at any time; the journal's is its root
//! of trust and may not.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;

use crate::domain::time::{Span, Timestamp};
use crate::private_file::{self, PrivateFileError};

/// Why there is no key to sign assertions with.
#[derive(Debug, thiserror::Error)]
pub enum AssertionKeyError {
    /// The file cannot be used.
    #[error("the key of assertions: {0}")]
    File(#[from] PrivateFileError),
    /// It holds something else.
    #[error("the key of assertions: `{path}` must hold private keys on the curve P-256, as PEM")]
    Unusable {
        /// The file.
        path: PathBuf,
    },
    /// No key can be made.
    #[error("the key of assertions: the system gives no random bits")]
    Random,
}

/// Keys as one file holds them.
#[derive(Debug)]
pub(in crate::proxy) struct Keys {
    signing: EcdsaKeyPair,
    /// The signing key's first, then those that stand behind it in the file.
    served: Vec<Public>,
    /// Served until then, though the file holds them no more.
    retired: Vec<(Public, Timestamp)>,
}

/// The public half of a key, as a JWK tells it (RFC 7518 section 6.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Public {
    id: String,
    x: String,
    y: String,
}

impl Keys {
    /// The keys of the file at `path`, made now when there is none. What `present` serves is served for a while longer.
    pub(in crate::proxy) fn load(
        path: &Path,
        present: Option<&Self>,
        now: Timestamp,
    ) -> Result<Self, AssertionKeyError> {
        let unusable = || AssertionKeyError::Unusable { path: path.to_owned() };
        let text = match private_file::read(path, BYTES_MAX)? {
            Some(text) => text,
            None => {
                private_file::make(path, new_key()?.as_bytes())?;
                private_file::read(path, BYTES_MAX)?.ok_or_else(unusable)?
            }
        };
        let mut pairs = Vec::new();
        for der in PrivateKeyDer::pem_slice_iter(&text) {
            let der = der.map_err(|_| unusable())?;
            let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_der());
            pairs.push(pair.map_err(|_| unusable())?);
        }
        let served = pairs.iter().map(Public::of).collect::<Option<Vec<_>>>().ok_or_else(unusable)?;
        let signing = pairs.into_iter().next().ok_or_else(unusable)?;
        let mut retired = Vec::new();
        if let Some(present) = present {
            let until = now.plus(SERVED_AFTER);
            let before = present.served.iter().map(|public| (public.clone(), until));
            let before = before.chain(present.retired.iter().filter(|(_, until)| now < *until).cloned());
            retired.extend(before.filter(|(public, _)| !served.contains(public)));
        }
        Ok(Self { signing, served, retired })
    }

    pub(super) const fn signing(&self) -> &EcdsaKeyPair {
        &self.signing
    }

    pub(super) fn signing_id(&self) -> &str {
        self.served.first().map_or("", |public| &public.id)
    }

    /// All public keys that may have signed something still valid, as a JWK set (RFC 7517 section 5).
    pub(in crate::proxy) fn set(&self, now: Timestamp) -> String {
        let retired = self.retired.iter().filter(|(_, until)| now < *until).map(|(public, _)| public);
        let keys: Vec<_> = self
            .served
            .iter()
            .chain(retired)
            .map(|Public { id, x, y }| {
                json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": id, "x": x, "y": y })
            })
            .collect();
        json!({ "keys": keys }).to_string()
    }
}

impl Public {
    /// Named by its thumbprint (RFC 7638), so that the same key has the same name everywhere.
    fn of(pair: &EcdsaKeyPair) -> Option<Self> {
        // an uncompressed point: 4, x, y
        let (x, y) = pair.public_key().as_ref().strip_prefix(&[4])?.split_at_checked(32)?;
        let [x, y] = [x, y].map(|coordinate| BASE64URL_NOPAD.encode(coordinate));
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let id = BASE64URL_NOPAD.encode(digest(&SHA256, members.as_bytes()).as_ref());
        Some(Self { id, x, y })
    }
}

fn new_key() -> Result<zeroize::Zeroizing<String>, AssertionKeyError> {
    let random = aws_lc_rs::rand::SystemRandom::new();
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
        .map_err(|_| AssertionKeyError::Random)?;
    let body = zeroize::Zeroizing::new(BASE64.encode(der.as_ref()));
    let mut text = zeroize::Zeroizing::new(String::with_capacity(body.len() + 128));
    text.push_str("-----BEGIN PRIVATE KEY-----\n");
    for (place, letter) in body.char_indices() {
        if place > 0 && place % 64 == 0 {
            text.push('\n');
        }
        text.push(letter);
    }
    text.push_str("\n-----END PRIVATE KEY-----\n");
    Ok(text)
}

const BYTES_MAX: usize = 64 * 1024;
/// Longer than an assertion lives, with a wide margin for clocks.
const SERVED_AFTER: Span = Span::minutes(10);
