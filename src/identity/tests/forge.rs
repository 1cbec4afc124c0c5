//! Makes keys and tokens by hand, good ones and forged ones.

use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaEncoding, RsaKeyPair};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::clock::{Clock, ManualClock};
use crate::domain::time::Timestamp;
use crate::identity::{Authenticator, IssuerSettings, KeySource, Refresher, Settings};
use crate::telemetry::Metrics;

pub(super) const ISSUER: &str = "https://id.example";
/// What the manual clocks of these tests say at first.
pub(super) const NOW: i64 = 1_790_000_000;

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// A key with its private half.
pub(super) struct Signer {
    pub(super) id: &'static str,
    pub(super) alg: &'static str,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

pub(super) static RSA: LazyLock<Signer> = LazyLock::new(|| Signer::rsa("rsa", "RS256", &signature::RSA_PKCS1_SHA256));
pub(super) static PSS: LazyLock<Signer> = LazyLock::new(|| Signer::rsa("pss", "PS256", &signature::RSA_PSS_SHA256));
pub(super) static EC: LazyLock<Signer> = LazyLock::new(|| Signer::ec("ec"));
pub(super) static ED: LazyLock<Signer> = LazyLock::new(|| Signer::ed("ed"));

impl Signer {
    pub(super) fn rsa(id: &'static str, alg: &'static str, encoding: &'static dyn RsaEncoding) -> Self {
        Self { id, alg, pair: Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap(), encoding) }
    }

    pub(super) fn ec(id: &'static str) -> Self {
        let pair = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { id, alg: "ES256", pair: Pair::Ec(pair) }
    }

    pub(super) fn ec384(id: &'static str) -> Self {
        let pair = EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        Self { id, alg: "ES384", pair: Pair::Ec(pair) }
    }

    pub(super) fn ed(id: &'static str) -> Self {
        Self { id, alg: "EdDSA", pair: Pair::Ed(Ed25519KeyPair::generate().unwrap()) }
    }

    pub(super) fn jwk(&self) -> Value {
        match &self.pair {
            Pair::Rsa(pair, _) => {
                let (modulus, exponent) = rsa_parts(pair.public_key().as_ref());
                json!({"kty":"RSA","kid":self.id,"alg":self.alg,"use":"sig","n":b64(modulus),"e":b64(exponent)})
            }
            Pair::Ec(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = point[1..].split_at(point.len() / 2);
                let curve = if self.alg == "ES256" { "P-256" } else { "P-384" };
                json!({"kty":"EC","crv":curve,"kid":self.id,"alg":self.alg,"use":"sig","x":b64(x),"y":b64(y)})
            }
            Pair::Ed(pair) => {
                let x = b64(pair.public_key().as_ref());
                json!({"kty":"OKP","crv":"Ed25519","kid":self.id,"alg":"EdDSA","use":"sig","x":x})
            }
        }
    }

    /// What an attacker may hope is taken for a shared secret.
    pub(super) fn public_der(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair, _) => pair.public_key().as_ref().to_vec(),
            Pair::Ec(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature).unwrap();
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// Signs exactly these texts, whatever they are.
    pub(super) fn raw(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", b64(header.as_bytes()), b64(claims.as_bytes()));
        let signature = b64(&self.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    pub(super) fn header(&self) -> Value {
        json!({"alg":self.alg,"kid":self.id,"typ":"JWT"})
    }

    /// A token with an honest header.
    pub(super) fn token(&self, claims: &Value) -> String {
        self.raw(&self.header().to_string(), &claims.to_string())
    }
}

/// The two numbers of a DER `RSAPublicKey` of 2048 bits.
fn rsa_parts(der: &[u8]) -> (&[u8], &[u8]) {
    let (modulus, rest) = der[9..].split_at(256);
    (modulus, &rest[2..])
}

pub(super) fn b64(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

/// Claims that pass.
pub(super) fn claims() -> Value {
    json!({"iss":ISSUER,"aud":"hallpass","sub":"ada","iat":NOW - 10,"exp":NOW + 3600})
}

/// Claims that pass but for these members; `null` removes one.
pub(super) fn but(changes: &Value) -> Value {
    with(claims(), changes)
}

pub(super) fn with(mut object: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => object.as_object_mut().unwrap().remove(name),
            value => object.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    object
}

pub(super) fn jwks(signers: &[&Signer]) -> String {
    json!({"keys":signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>()}).to_string()
}

/// An authenticator with everything around it.
pub(super) struct World {
    pub(super) authenticator: Authenticator,
    pub(super) refresher: Refresher,
    pub(super) metrics: Metrics,
    pub(super) manual: ManualClock,
    pub(super) clock: Clock,
    folder: TempDir,
}

/// An issuer whose keys lie in a file of this folder.
pub(super) fn from_file(folder: &TempDir) -> IssuerSettings {
    IssuerSettings::new("demo", ISSUER, vec!["hallpass".to_owned()], KeySource::File(folder.path().join("keys.json")))
}

impl World {
    /// One issuer with these keys.
    pub(super) fn new(signers: &[&Signer]) -> Self {
        Self::with(signers, |_| {})
    }

    pub(super) fn with(signers: &[&Signer], change: impl FnOnce(&mut IssuerSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("keys.json"), jwks(signers)).unwrap();
        let mut issuer = from_file(&folder);
        change(&mut issuer);
        Self::of(Settings { issuers: vec![issuer] }, folder)
    }

    pub(super) fn of(settings: Settings, folder: TempDir) -> Self {
        let (clock, manual) = Clock::manual(at(NOW));
        let metrics = Metrics::default();
        let (authenticator, mut refresher) = Authenticator::new(settings, clock.clone(), &metrics).unwrap();
        refresher.fetcher.timeout = NEVER;
        Self { authenticator, refresher, metrics, manual, clock, folder }
    }

    pub(super) fn settings(&self) -> IssuerSettings {
        from_file(&self.folder)
    }

    pub(super) fn write_keys(&self, content: &str) {
        std::fs::write(self.folder.path().join("keys.json"), content).unwrap();
    }

    pub(super) fn remove_keys(&self) {
        std::fs::remove_file(self.folder.path().join("keys.json")).unwrap();
    }

    pub(super) fn verify(
        &self,
        token: &str,
    ) -> Result<std::sync::Arc<crate::domain::identity::Identity>, crate::identity::AuthnError> {
        self.authenticator.verify(token, self.clock.now())
    }

    /// The token is refused as invalid, for a reason that contains this.
    #[track_caller]
    pub(super) fn refuses(&self, token: &str, reason: &str) {
        match self.verify(token) {
            Err(crate::identity::AuthnError::InvalidToken(given)) => {
                assert!(given.contains(reason), "refused because `{given}`, not because `{reason}`: {token:.300}");
            }
            other => panic!("{other:?} instead of `{reason}`: {token:.300}"),
        }
    }
}

/// Longer than any test waits: what ends a wait is never this.
pub(super) const NEVER: Duration = Duration::from_secs(3600);

/// Waits for what must come, for so long that only what never comes is given up: a busy machine stalls for seconds.
pub(super) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it comes soon")
}
