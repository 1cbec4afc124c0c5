//! The keys of an issuer, from a JWK set. Each key has exactly one algorithm; a key that is weak, odd or meant for something
//! else is left out and reported, and the rest serve on.

use aws_lc_rs::signature::{self, ParsedPublicKey};
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::json;
use super::settings::IssuerSettings;
use super::token::KEY_ID_BYTES_MAX;

/// The usable keys of one issuer; never empty.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: Vec<Key>,
}

/// A key that verifies signatures of one algorithm.
pub(super) struct Key {
    /// Its name in the set.
    pub(super) id: Option<String>,
    /// The one algorithm it verifies.
    pub(super) algorithm: Algorithm,
    /// The key as the signature library wants it.
    pub(super) decoding: DecodingKey,
    material: Vec<u8>,
}

/// Without the material, which says nothing to people.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("id", &self.id).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// A key that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RefusedKey {
    /// Its name in the set.
    pub(super) id: Option<String>,
    /// Why, as a constant.
    pub(super) reason: &'static str,
}

impl KeySet {
    /// Reads a JWK set; the reason when nothing in it can be used.
    pub(super) fn parse(set: &[u8], settings: &IssuerSettings) -> Result<(Self, Vec<RefusedKey>), &'static str> {
        let set = json::object(set).ok_or("not one plain JSON object")?;
        let listed = set.get("keys").and_then(Value::as_array).ok_or("no JWK set")?;
        if KEYS_MAX < listed.len() {
            return Err("too many keys");
        }
        let (mut keys, mut refused) = (Vec::new(), Vec::new());
        for jwk in listed {
            let Some(jwk) = jwk.as_object() else { return Err("no JWK set") };
            match key(jwk, settings) {
                Ok(Some(key)) => keys.push(key),
                Ok(None) => {}
                Err(reason) => refused.push(RefusedKey { id: text(jwk, "kid").map(str::to_owned), reason }),
            }
        }
        let mut keys = refuse_namesakes(keys, &mut refused);
        // one order, so that a set that was merely shuffled equals the one before
        keys.sort_by(|a, b| (&a.id, a.algorithm, &a.material).cmp(&(&b.id, b.algorithm, &b.material)));
        if keys.is_empty() { Err("no usable key") } else { Ok((Self { keys }, refused)) }
    }

    /// The key a token names, or the only one that fits a token that names none.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        let Some(id) = id else {
            let mut fitting = self.keys.iter().filter(|key| key.algorithm == algorithm);
            return fitting.next().filter(|_| fitting.next().is_none());
        };
        self.keys.iter().find(|key| key.id.as_deref() == Some(id))
    }

    /// Whether both hold the same keys.
    pub(super) fn equals(&self, other: &Self) -> bool {
        let same = |a: &Key, b: &Key| a.id == b.id && a.algorithm == b.algorithm && a.material == b.material;
        self.keys.len() == other.keys.len() && self.keys.iter().zip(&other.keys).all(|(a, b)| same(a, b))
    }
}

/// Two keys of one name make both worthless: nobody can tell which is meant.
fn refuse_namesakes(keys: Vec<Key>, refused: &mut Vec<RefusedKey>) -> Vec<Key> {
    let ids: Vec<Option<String>> = keys.iter().map(|key| key.id.clone()).collect();
    let (unique, twice): (Vec<Key>, Vec<Key>) =
        keys.into_iter().partition(|key| key.id.is_none() || ids.iter().filter(|id| **id == key.id).count() == 1);
    refused.extend(twice.into_iter().map(|key| RefusedKey { id: key.id, reason: "several keys have its `kid`" }));
    unique
}

/// One JWK; nothing when it is of a kind that hallpass does not know.
fn key(jwk: &Map<String, Value>, settings: &IssuerSettings) -> Result<Option<Key>, &'static str> {
    let id = match jwk.get("kid") {
        None => None,
        Some(Value::String(id)) if id.len() <= KEY_ID_BYTES_MAX => Some(id.clone()),
        Some(_) => return Err("`kid` is not a short string"),
    };
    let kind = text(jwk, "kty").ok_or("without `kty`")?;
    if kind == "oct" {
        return Err("symmetric");
    }
    if !["RSA", "EC", "OKP"].contains(&kind) {
        return Ok(None);
    }
    if jwk.contains_key("d") {
        return Err("its private half is published");
    }
    if jwk.get("use").is_some_and(|usage| usage != "sig") {
        return Err("not for signatures");
    }
    if let Some(operations) = jwk.get("key_ops") {
        let verifies = operations.as_array().is_some_and(|operations| operations.iter().any(|named| named == "verify"));
        if !verifies {
            return Err("not for verifying");
        }
    }
    // a provider for many tenants says for each key which of them it speaks for
    if text(jwk, "issuer").is_some_and(|owner| !owner.contains("{tenantid}") && owner != &*settings.issuer) {
        return Err("of another issuer");
    }
    let stated = match jwk.get("alg") {
        None => None,
        Some(Value::String(name)) => Some(Algorithm::named(name).ok_or("its algorithm is not supported")?),
        Some(_) => return Err("`alg` is not a string"),
    };
    let (algorithm, decoding, material) = match kind {
        "RSA" => rsa(jwk, stated, settings)?,
        "EC" => elliptic(jwk)?,
        _ => edwards(jwk)?,
    };
    if stated.is_some_and(|stated| stated != algorithm) {
        return Err("its algorithm does not fit its type");
    }
    if !settings.algorithms.contains(&algorithm) {
        return Err("its algorithm is not allowed");
    }
    Ok(Some(Key { id, algorithm, decoding, material }))
}

/// An RSA key that states no algorithm gets RS256, or whichever RSA algorithm is allowed first where that one is not.
fn rsa(
    jwk: &Map<String, Value>,
    stated: Option<Algorithm>,
    settings: &IssuerSettings,
) -> Result<(Algorithm, DecodingKey, Vec<u8>), &'static str> {
    let (modulus, exponent) = (number(jwk, "n")?, number(jwk, "e")?);
    let bits = bits(&modulus);
    if bits < RSA_BITS_MIN {
        return Err("RSA of less than 2048 bits");
    }
    let odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
    if RSA_BITS_MAX < bits
        || !odd(&modulus)
        || !odd(&exponent)
        || exponent == [1]
        || EXPONENT_BYTES_MAX < exponent.len()
    {
        return Err("RSA with an odd modulus or exponent");
    }
    let allowed = || {
        let default = settings.algorithms.contains(&Algorithm::Rs256).then_some(Algorithm::Rs256);
        default.or_else(|| settings.algorithms.iter().copied().find(|algorithm| algorithm.is_rsa()))
    };
    let algorithm = match stated {
        Some(stated) if !stated.is_rsa() => return Err("its algorithm does not fit its type"),
        stated => stated.or_else(allowed).ok_or("its algorithm is not allowed")?,
    };
    let decoding = DecodingKey::from_rsa_raw_components(&modulus, &exponent);
    let mut material = modulus;
    material.extend(exponent);
    Ok((algorithm, decoding, material))
}

fn elliptic(jwk: &Map<String, Value>) -> Result<(Algorithm, DecodingKey, Vec<u8>), &'static str> {
    let (algorithm, length, curve): (_, _, &signature::EcdsaVerificationAlgorithm) = match text(jwk, "crv") {
        Some("P-256") => (Algorithm::Es256, 32, &signature::ECDSA_P256_SHA256_FIXED),
        Some("P-384") => (Algorithm::Es384, 48, &signature::ECDSA_P384_SHA384_FIXED),
        _ => return Err("its curve is not supported"),
    };
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    if x.len() != length || y.len() != length {
        return Err("a coordinate has the wrong length");
    }
    let mut point = vec![UNCOMPRESSED];
    point.extend(x);
    point.extend(y);
    ParsedPublicKey::new(curve, &point).map_err(|_| "not a point of its curve")?;
    Ok((algorithm, DecodingKey::from_ec_der(&point), point))
}

fn edwards(jwk: &Map<String, Value>) -> Result<(Algorithm, DecodingKey, Vec<u8>), &'static str> {
    if text(jwk, "crv") != Some("Ed25519") {
        return Err("its curve is not supported");
    }
    let point = bytes(jwk, "x")?;
    ParsedPublicKey::new(&signature::ED25519, &point).map_err(|_| "not a point of its curve")?;
    Ok((Algorithm::EdDsa, DecodingKey::from_ed_der(&point), point))
}

fn text<'j>(jwk: &'j Map<String, Value>, member: &str) -> Option<&'j str> {
    jwk.get(member).and_then(Value::as_str)
}

fn bytes(jwk: &Map<String, Value>, member: &str) -> Result<Vec<u8>, &'static str> {
    let encoded = text(jwk, member).ok_or("a member is missing")?;
    BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| "not canonical base64url")
}

/// A big-endian number without leading zeros; some issuers write one.
fn number(jwk: &Map<String, Value>, member: &str) -> Result<Vec<u8>, &'static str> {
    Ok(bytes(jwk, member)?.into_iter().skip_while(|byte| *byte == 0).collect())
}

fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

const KEYS_MAX: usize = 256;
const RSA_BITS_MIN: usize = 2048;
const RSA_BITS_MAX: usize = 8192;
const EXPONENT_BYTES_MAX: usize = 4;
const UNCOMPRESSED: u8 = 4;
