//! From claims to an identity. A claim of the wrong type refuses the token: nothing is guessed and nothing is skipped.
//!
//! Only the name and the mail address are lenient, because they are shown and never compared.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::error::{AuthnError, invalid};
use super::settings::{ClaimPath, IssuerSettings};
use super::token::Unverified;
use crate::domain::identity::{Assurance, Identity};
use crate::domain::principal::{Group, Principal};
use crate::domain::time::Timestamp;

/// Checks everything the signature does not: type, issuer, audience, kind and times. Returns when the token ends.
pub(super) fn check(token: &Unverified, settings: &IssuerSettings, now: Timestamp) -> Result<Timestamp, AuthnError> {
    if !settings.algorithms.contains(&token.algorithm) {
        return invalid("the algorithm is not allowed for this issuer");
    }
    if !settings.token_types.iter().any(|accepted| super::token::normal_type(accepted) == token.typ) {
        return invalid("the type is not accepted from this issuer");
    }
    kind(token, settings)?;
    audience(&token.claims, settings)?;
    subject(token.claims.get("sub"))?;
    times(&token.claims, settings, now)
}

/// The identity that verified claims speak of.
pub(super) fn identity(
    claims: &Map<String, Value>,
    settings: &IssuerSettings,
    ends_at: Timestamp,
) -> Result<Identity, AuthnError> {
    let subject = subject(find(claims, &settings.claims.subject))?;
    let principal = Principal { issuer: Arc::clone(&settings.issuer), subject: subject.into() };
    let unverified_mail = matches!(claims.get("email_verified"), Some(Value::Bool(false)))
        || claims.get("email_verified").and_then(Value::as_str) == Some("false");
    let mail = if unverified_mail { None } else { find(claims, &settings.claims.mail).and_then(mail) };
    Ok(Identity {
        groups: groups(claims, settings, &principal)?,
        principal,
        name: find(claims, &settings.claims.name).and_then(name),
        mail,
        assurance: assurance(claims)?,
        issued_at: seconds(claims, "iat")?.map(Timestamp::from_seconds),
        ends_at,
    })
}

/// Refuses tokens that were not made to let somebody in.
fn kind(token: &Unverified, settings: &IssuerSettings) -> Result<(), AuthnError> {
    let claims = &token.claims;
    // back-channel logout and security event tokens
    if claims.contains_key("events") {
        return invalid("an event, not a credential");
    }
    let said = |name: &str| claims.get(name).and_then(Value::as_str);
    let (use_of, typ) = (said("token_use"), said("typ"));
    if typ.is_some_and(|typ| ["Refresh", "Offline", "Logout"].contains(&typ)) {
        return invalid("a token for the issuer itself");
    }
    let access = token.typ == "at+jwt" || use_of == Some("access") || typ == Some("Bearer");
    let id_token = use_of == Some("id")
        || typ == Some("ID")
        || ["at_hash", "c_hash", "s_hash"].into_iter().any(|name| claims.contains_key(name))
        // some issuers carry the nonce over into access tokens, and say so
        || (claims.contains_key("nonce") && !access);
    if id_token && !settings.token_types.iter().any(|typ| typ == IssuerSettings::ID_TOKEN) {
        return invalid("an ID token, which this issuer's settings do not accept");
    }
    Ok(())
}

fn audience(claims: &Map<String, Value>, settings: &IssuerSettings) -> Result<(), AuthnError> {
    let ours = |audience: &str| settings.audiences.iter().any(|own| own == audience);
    let meant = match claims.get("aud") {
        Some(Value::String(audience)) => ours(audience),
        Some(Value::Array(audiences)) => {
            if !audiences.iter().all(Value::is_string) {
                return invalid("`aud` is not a string or a list of strings");
            }
            audiences.iter().filter_map(Value::as_str).any(ours)
        }
        _ => return invalid("`aud` is not a string or a list of strings"),
    };
    if meant { Ok(()) } else { invalid("meant for another audience") }
}

fn subject(value: Option<&Value>) -> Result<&str, AuthnError> {
    match value.and_then(Value::as_str) {
        Some(subject) if is_plain_name(subject) => Ok(subject),
        _ => invalid("the subject is not a short plain string"),
    }
}

fn times(claims: &Map<String, Value>, settings: &IssuerSettings, now: Timestamp) -> Result<Timestamp, AuthnError> {
    let Some(exp) = seconds(claims, "exp")? else { return invalid("without `exp`") };
    let (nbf, iat) = (seconds(claims, "nbf")?, seconds(claims, "iat")?);
    let latest = now.plus(settings.leeway);
    let ahead = |seconds: Option<i64>| seconds.is_some_and(|seconds| latest < Timestamp::from_seconds(seconds));
    if ahead(nbf) {
        return invalid("not yet valid");
    }
    if ahead(iat) {
        return invalid("issued in the future");
    }
    let lifetime = exp.saturating_sub(iat.unwrap_or_else(|| now.as_seconds()));
    if u64::try_from(lifetime).is_ok_and(|lifetime| settings.token_lifetime_max.as_seconds() < lifetime) {
        return invalid("lives longer than allowed");
    }
    let ends_at = Timestamp::from_seconds(exp);
    if ends_at <= now {
        return invalid("expired");
    }
    if ahead(seconds(claims, "auth_time")?) {
        return invalid("signed in in the future");
    }
    Ok(ends_at)
}

/// A time claim: whole seconds since 1970, nothing else.
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, AuthnError> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_i64() {
            Some(seconds) if 0 <= seconds => Ok(Some(seconds)),
            _ => invalid("a time is not a whole number of seconds"),
        },
    }
}

fn groups(
    claims: &Map<String, Value>,
    settings: &IssuerSettings,
    principal: &Principal,
) -> Result<Vec<Group>, AuthnError> {
    // the issuer left the groups out because they are too many: unknown, and unknown grants nothing
    if claims.get("hasgroups").is_some_and(|has| has != &Value::Bool(false)) || distributed(claims, settings) {
        tracing::warn!(issuer = %settings.name, %principal, groups = "unknown", "the token leaves its groups out");
        return Ok(Vec::new());
    }
    let listed = match find(claims, &settings.claims.groups) {
        None => return Ok(Vec::new()),
        Some(Value::Array(listed)) => listed,
        Some(_) => return invalid("the groups are not a list"),
    };
    if GROUPS_MAX < listed.len() {
        return invalid("too many groups");
    }
    let mut groups = Vec::with_capacity(listed.len());
    for group in listed {
        match group.as_str() {
            Some(name) if is_plain_name(name) => {
                groups.push(Group { issuer: Arc::clone(&settings.issuer), name: name.into() });
            }
            _ => return invalid("a group is not a short plain string"),
        }
    }
    groups.sort_unstable();
    groups.dedup();
    Ok(groups)
}

/// Whether `_claim_names` says that the groups are to be had elsewhere.
fn distributed(claims: &Map<String, Value>, settings: &IssuerSettings) -> bool {
    let first = settings.claims.groups.members().next();
    let elsewhere = claims.get("_claim_names").and_then(Value::as_object);
    elsewhere.zip(first).is_some_and(|(elsewhere, first)| elsewhere.contains_key(first))
}

fn assurance(claims: &Map<String, Value>) -> Result<Assurance, AuthnError> {
    let amr = match claims.get("amr") {
        None => Vec::new(),
        Some(Value::Array(methods)) if methods.len() <= METHODS_MAX => {
            let named =
                methods.iter().map(|method| method.as_str().filter(|name| is_plain_name(name)).map(str::to_owned));
            let Some(named) = named.collect() else { return invalid("`amr` is not a list of strings") };
            named
        }
        Some(_) => return invalid("`amr` is not a list of strings"),
    };
    let acr = match claims.get("acr") {
        None => None,
        Some(Value::String(level)) if is_plain_name(level) => Some(level.clone()),
        Some(_) => return invalid("`acr` is not a short plain string"),
    };
    Ok(Assurance { amr, acr, auth_time: seconds(claims, "auth_time")?.map(Timestamp::from_seconds) })
}

/// Follows a path through nested objects.
fn find<'c>(claims: &'c Map<String, Value>, path: &ClaimPath) -> Option<&'c Value> {
    let mut members = path.members();
    let first = claims.get(members.next()?)?;
    members.try_fold(first, |value, member| value.as_object()?.get(member))
}

/// Something that is compared: kept exactly as it is, so it must be harmless as it is.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains(char::is_control)
}

/// Something that is shown: what could disturb a line of text is left out.
fn name(value: &Value) -> Option<Arc<str>> {
    let shown: String = value.as_str()?.chars().filter(|char| !disturbs(*char)).take(SHOWN_CHARS_MAX).collect();
    let shown = shown.trim();
    (!shown.is_empty()).then(|| shown.into())
}

fn mail(value: &Value) -> Option<Arc<str>> {
    let address = value.as_str().filter(|address| address.len() <= MAIL_BYTES_MAX)?;
    let (local, domain) = address.split_once('@')?;
    let sound = !local.is_empty() && !domain.is_empty() && !domain.contains('@');
    let harmless = !address.contains(|char: char| disturbs(char) || char.is_whitespace());
    (sound && harmless).then(|| address.into())
}

/// Control characters, and those that turn, break or hide text.
pub(super) fn disturbs(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

const NAME_BYTES_MAX: usize = 256;
const SHOWN_CHARS_MAX: usize = 200;
const MAIL_BYTES_MAX: usize = 254;
const GROUPS_MAX: usize = 1000;
const METHODS_MAX: usize = 64;
