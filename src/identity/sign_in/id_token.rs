//! ID tokens, checked by the rules of bearer tokens and those of their own (OpenID Connect Core 1.0, section 3.1.3.7).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{self, digest};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value};

use crate::domain::identity::Identity;
use crate::domain::time::Timestamp;
use crate::identity::algorithm::Algorithm;
use crate::identity::claims;
use crate::identity::error::{AuthnError, invalid};
use crate::identity::issuer::Issuer;
use crate::identity::settings::IssuerSettings;
use crate::identity::token;

/// What an ID token must fit.
pub(in crate::identity) struct Expected<'e> {
    /// Whom it is meant for.
    pub(in crate::identity) client_id: &'e str,
    /// What was sent along; `None` for one that came with a refresh.
    pub(in crate::identity) nonce: Option<&'e str>,
    /// The access token that came with it.
    pub(in crate::identity) access_token: &'e str,
}

/// An ID token that holds.
#[derive(Debug)]
pub(in crate::identity) struct IdToken {
    /// Whom it speaks of.
    pub(in crate::identity) identity: Identity,
    /// What the provider calls its session.
    pub(in crate::identity) sid: Option<String>,
}

/// Verifies an ID token of `issuer`.
pub(in crate::identity) fn verify(
    issuer: &Issuer,
    text: &str,
    expected: &Expected<'_>,
    now: Timestamp,
) -> Result<IdToken, AuthnError> {
    let read = token::read(text)?;
    let settings = settings(issuer, expected.client_id);
    if read.claims.get("iss").and_then(Value::as_str) != Some(&*settings.issuer) {
        return invalid("of another issuer");
    }
    let ends_at = claims::check(&read, &settings, now)?;
    kind(&read.claims)?;
    if read.claims.get("iat").and_then(Value::as_i64).is_none() {
        return invalid("without `iat`");
    }
    authorized_party(&read.claims, expected.client_id)?;
    nonce(&read.claims, expected.nonce)?;
    if let Some(hash) = read.claims.get("at_hash") {
        let Some(hash) = hash.as_str() else { return invalid("`at_hash` is not a string") };
        let own = access_token_hash(read.algorithm, expected.access_token);
        if verify_slices_are_equal(hash.as_bytes(), own.as_bytes()).is_err() {
            return invalid("`at_hash` does not fit the access token");
        }
    }
    issuer.signed(text, &read, &settings, now)?;
    let sid = match read.claims.get("sid") {
        None => None,
        Some(Value::String(sid)) if sid.len() <= SID_BYTES_MAX => Some(sid.clone()),
        Some(_) => return invalid("`sid` is not a short string"),
    };
    Ok(IdToken { identity: claims::identity(&read.claims, &settings, ends_at)?, sid })
}

/// The issuer's settings with what differs for tokens meant for the client itself.
pub(in crate::identity) fn settings(issuer: &Issuer, client_id: &str) -> IssuerSettings {
    IssuerSettings {
        audiences: vec![client_id.to_owned()],
        token_types: vec!["jwt".to_owned(), IssuerSettings::ID_TOKEN.to_owned()],
        ..(*issuer.settings).clone()
    }
}

/// Refuses what says that it is an access token.
fn kind(claims: &Map<String, Value>) -> Result<(), AuthnError> {
    let said = |name: &str| claims.get(name).and_then(Value::as_str);
    if said("token_use").is_some_and(|usage| usage != "id") || said("typ").is_some_and(|typ| typ != "ID") {
        return invalid("not an ID token");
    }
    Ok(())
}

fn authorized_party(claims: &Map<String, Value>, client_id: &str) -> Result<(), AuthnError> {
    let several = claims.get("aud").and_then(Value::as_array).is_some_and(|audiences| audiences.len() > 1);
    match claims.get("azp") {
        None if several => invalid("meant for several, and `azp` does not say for whom first"),
        None => Ok(()),
        Some(Value::String(party)) if party == client_id => Ok(()),
        Some(_) => invalid("made for another client"),
    }
}

fn nonce(claims: &Map<String, Value>, expected: Option<&str>) -> Result<(), AuthnError> {
    let Some(expected) = expected else { return Ok(()) };
    let Some(nonce) = claims.get("nonce").and_then(Value::as_str) else { return invalid("without `nonce`") };
    match verify_slices_are_equal(nonce.as_bytes(), expected.as_bytes()) {
        Ok(()) => Ok(()),
        Err(_) => invalid("`nonce` is not the one that was sent"),
    }
}

/// The left half of the hash that belongs to the signature's algorithm (Core, section 3.1.3.6).
fn access_token_hash(algorithm: Algorithm, access_token: &str) -> String {
    let hash = match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 => &digest::SHA256,
        Algorithm::Rs384 | Algorithm::Ps384 | Algorithm::Es384 => &digest::SHA384,
        Algorithm::Rs512 | Algorithm::Ps512 | Algorithm::EdDsa => &digest::SHA512,
    };
    let hash = digest(hash, access_token.as_bytes());
    let (left, _) = hash.as_ref().split_at(hash.as_ref().len() / 2);
    BASE64URL_NOPAD.encode(left)
}

const SID_BYTES_MAX: usize = 256;
