//! What an application can check for itself: a short-lived signed statement of who asks and by what right.
//!
//! The plain headers are worth what the network in between is worth; an assertion proves that the gate wrote it. It is a
//! JWT (RFC 7519), signed with ES256, for one audience, and says by its `typ` (RFC 8725 section 3.11) that it is none of
//! the tokens that open doors: hallpass itself never takes one for a credential.

mod keys;
#[cfg(test)]
mod tests;

use aws_lc_rs::rand::SystemRandom;
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;

use crate::clock::format_rfc3339;
use crate::domain::authorize::Permit;
use crate::domain::identity::Identity;
use crate::domain::time::Timestamp;
use crate::identity::names::IssuerNames;
pub use keys::AssertionKeyError;
pub(super) use keys::Keys;

/// What an assertion says.
pub(super) struct Statement<'s> {
    /// The public URL of the listener.
    pub(super) issuer: &'s str,
    /// The application it is for.
    pub(super) audience: &'s str,
    pub(super) identity: &'s Identity,
    pub(super) permit: &'s Permit,
    pub(super) names: &'s IssuerNames,
}

/// A signed statement.
#[derive(Debug, Clone)]
pub(super) struct Assertion {
    value: HeaderValue,
    /// From here on less than half of its life is left, and a new one would live longer.
    renew_at: Timestamp,
}

#[derive(Serialize)]
struct Header<'s> {
    alg: &'static str,
    typ: &'static str,
    kid: &'s str,
}

#[derive(Serialize)]
struct Claims<'s> {
    iss: &'s str,
    aud: &'s str,
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_username: Option<&'s str>,
    groups: Vec<String>,
    roles: Vec<&'s str>,
    activations: Vec<Activation<'s>>,
    iat: i64,
    exp: i64,
}

#[derive(Serialize)]
struct Activation<'s> {
    id: String,
    role: &'s str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<String>,
}

impl Assertion {
    /// Signs a statement; `None` when the library fails to, which it does only when it has no random bits.
    pub(super) fn sign(keys: &Keys, statement: &Statement<'_>, now: Timestamp) -> Option<Self> {
        let issued_at = now.as_seconds();
        let whole_life = issued_at.saturating_add(LIFE_SECONDS);
        // never past the end of what it tells of; a fraction of a second is given up
        let expires_at = statement.permit.ends_at().map_or(whole_life, |end| end.as_seconds().min(whole_life));
        let header = Header { alg: "ES256", typ: TYP, kid: keys.signing_id() };
        let claims = statement.claims(issued_at, expires_at);
        let mut text = part(&header)?;
        text.push('.');
        text.push_str(&part(&claims)?);
        let signature = keys.signing().sign(&SystemRandom::new(), text.as_bytes()).ok()?;
        text.push('.');
        text.push_str(&BASE64URL_NOPAD.encode(signature.as_ref()));
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        let renew_at = if expires_at < whole_life {
            Timestamp::MAX
        } else {
            Timestamp::from_seconds(issued_at.saturating_add(LIFE_SECONDS / 2))
        };
        Some(Self { value, renew_at })
    }

    /// Whether a new one should take its place.
    pub(super) fn is_old(&self, now: Timestamp) -> bool {
        self.renew_at <= now
    }

    /// Puts it among the headers of a request.
    pub(super) fn add(&self, headers: &mut HeaderMap) {
        headers.insert(ASSERTION, self.value.clone());
    }
}

impl<'s> Statement<'s> {
    fn claims(&self, issued_at: i64, expires_at: i64) -> Claims<'s> {
        let Self { issuer, audience, identity, permit, names } = *self;
        Claims {
            iss: issuer,
            aud: audience,
            sub: names.of_principal(&identity.principal),
            email: identity.mail.as_deref(),
            preferred_username: identity.name.as_deref(),
            groups: identity.groups.iter().map(|group| names.of_group(group)).collect(),
            roles: permit.held().iter().map(|held| held.role.as_str()).collect(),
            activations: permit
                .activations()
                .map(|(held, id)| Activation {
                    id: id.to_string(),
                    role: held.role.as_str(),
                    ends_at: held.ends_at.map(format_rfc3339),
                })
                .collect(),
            iat: issued_at,
            exp: expires_at,
        }
    }
}

fn part(value: &impl Serialize) -> Option<String> {
    Some(BASE64URL_NOPAD.encode(&serde_json::to_vec(value).ok()?))
}

const ASSERTION: HeaderName = HeaderName::from_static("x-hallpass-assertion");
/// The media type without `application/`; configuration refuses it as the type of a credential.
const TYP: &str = crate::identity::ASSERTION_TYPE;
const LIFE_SECONDS: i64 = 60;
