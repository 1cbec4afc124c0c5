//! The few paths below `/.hallpass/` that the gate answers itself. Whatever is not named here is not found, and nothing
//! below the prefix is ever forwarded.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::json;

use crate::clock::format_rfc3339;
use crate::domain::authorize::Denial;
use crate::domain::identity::Identity;
use crate::domain::principal::Group;
use crate::domain::role::RoleId;
use crate::domain::standing::{Basis, Lock, Standing};
use crate::domain::time::Timestamp;
use crate::identity::Site;
use crate::proxy::access::Record;
use crate::proxy::canonical::Canonical;
use crate::proxy::core::{Core, View};
use crate::proxy::denial::{Links, Refused};
use crate::proxy::sign_in;

/// Answers a path below the reserved prefix.
pub(super) async fn answer(
    core: &Core,
    view: &View,
    listener: usize,
    headers: &HeaderMap,
    (canonical, path): (&Canonical, &str),
    record: &mut Record,
) -> Result<Response<Bytes>, Refused> {
    let endpoint = match path {
        "status" => Endpoint::Status,
        "activate" => Endpoint::Activate,
        "assertion-keys" => Endpoint::AssertionKeys,
        other => return sign_in::answer(core, view, listener, headers, (canonical, other)).await,
    };
    if canonical.method != Method::GET && canonical.method != Method::HEAD {
        return Ok(method_not_allowed());
    }
    match endpoint {
        Endpoint::Status => {
            let site = view.rules.listeners.get(listener).map(|listener| &listener.site).ok_or(Refused::Internal)?;
            status(core, view, site, headers, record).await
        }
        Endpoint::Activate => {
            let links = view.rules.listeners.get(listener).map(|listener| &listener.links).ok_or(Refused::Internal)?;
            activate(links, canonical.query().unwrap_or_default()).ok_or(Refused::NotFound)
        }
        Endpoint::AssertionKeys => {
            let keys = view.rules.assertion_keys.as_ref().ok_or(Refused::NotFound)?;
            Ok(assertion_keys(keys.set(core.judge.clock().now())))
        }
    }
}

enum Endpoint {
    Status,
    Activate,
    AssertionKeys,
}

/// The keys by which applications verify assertions; nobody's secret.
fn assertion_keys(set: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(set));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}

/// What the caller holds now, may activate, and waits for.
async fn status(
    core: &Core,
    view: &View,
    site: &Site,
    headers: &HeaderMap,
    record: &mut Record,
) -> Result<Response<Bytes>, Refused> {
    let now = core.judge.clock().now();
    let identity = core
        .identities
        .prove(headers, site, now)
        .await
        .map_err(Refused::from)?
        .map(|proven| proven.identity)
        .ok_or(Refused::Denied(Denial::NotSignedIn))?;
    record.identity = Some(Arc::clone(&identity));
    let standings = core.judge.all_of(&identity).ok_or(crate::proxy::steps::UNAVAILABLE)?;
    if standings.first().is_none_or(|(_, own)| !own.believes(&identity)) {
        return Err(Refused::Denied(Denial::CredentialRevoked));
    }
    let body = status_of(view, &identity, &standings, core.judge.clock().now());
    let mut response = Response::new(Bytes::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// A role held or eligible through a group carries it as `via`.
fn status_of(
    view: &View,
    identity: &Identity,
    standings: &[(Option<&Group>, Arc<Standing>)],
    now: Timestamp,
) -> String {
    let names = &view.rules.names;
    let own = standings.first().map(|(_, standing)| standing);
    let locked = own.is_some_and(|standing| standing.lock == Lock::Locked);
    // whoever is locked gets nothing through groups either
    let standings = if locked { standings.get(..1).unwrap_or_default() } else { standings };
    let via = |group: &Option<&Group>| group.map(|group| names.of_group(group));
    let held: Vec<_> = standings
        .iter()
        .flat_map(|(group, standing)| standing.held.iter().map(move |held| (group, held)))
        .filter(|(_, held)| held.counts_for(identity, now))
        .map(|(group, held)| {
            let (activation, assignment) = match held.basis {
                Basis::Activation(id) => (Some(id), None),
                Basis::Assignment(id) => (None, Some(id)),
            };
            json!({
                "role": held.role,
                "activation": activation,
                "assignment": assignment,
                "starts_at": format_rfc3339(held.window.starts_at),
                "ends_at": held.window.ends_at.map(format_rfc3339),
                "via": via(&held.via.as_ref().or(*group)),
            })
        })
        .collect();
    let eligible: Vec<_> = standings
        .iter()
        .flat_map(|(group, standing)| standing.eligible.iter().map(move |eligible| (group, eligible)))
        .filter(|(_, eligible)| eligible.window.contains(now))
        .map(|(group, eligible)| json!({ "role": eligible.role, "assignment": eligible.assignment, "via": via(group) }))
        .collect();
    let pending: Vec<_> = own
        .iter()
        .flat_map(|standing| &standing.pending)
        .filter(|pending| now < pending.lapses_at)
        .map(|pending| {
            json!({
                "role": pending.role,
                "activation": pending.activation,
                "lapses_at": format_rfc3339(pending.lapses_at),
            })
        })
        .collect();
    json!({
        "principal": names.of_principal(&identity.principal),
        "locked": locked,
        "ends_at": format_rfc3339(identity.ends_at),
        "held": held,
        "eligible": eligible,
        "pending": pending,
    })
    .to_string()
}

/// Sends the browser on to the portal's form, with a way back that stays on this gate.
fn activate(links: &Links, query: &str) -> Option<Response<Bytes>> {
    let role: RoleId = parameter(query, "role")?.parse().ok()?;
    let back = parameter(query, "return_to").filter(|path| is_own_path(path)).unwrap_or_else(|| "/".to_owned());
    let location = format!(
        "{}/activate?role={}&return_to={}",
        links.portal_url.trim_end_matches('/'),
        utf8_percent_encode(role.as_str(), QUERY_VALUE),
        utf8_percent_encode(&format!("{}{back}", links.gate_url.trim_end_matches('/')), QUERY_VALUE),
    );
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(LOCATION, HeaderValue::try_from(location).ok()?);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Some(response)
}

/// Whether a browser would take this text as a path on the same origin: one slash first, and nothing that browsers drop or
/// turn into a slash.
fn is_own_path(text: &str) -> bool {
    text.starts_with('/')
        && !text.starts_with("//")
        && text.len() <= RETURN_BYTES_MAX
        && text.chars().all(|character| !character.is_control() && character != '\\' && !character.is_whitespace())
}

/// The one value of a parameter; `None` when it is missing, repeated or not UTF-8.
fn parameter(query: &str, name: &str) -> Option<String> {
    let mut values = query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(known, _)| *known == name);
    let (_, value) = values.next()?;
    if values.next().is_some() {
        return None;
    }
    let value = value.replace('+', " ");
    percent_decode_str(&value).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

fn method_not_allowed() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const RETURN_BYTES_MAX: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    fn location(query: &str) -> Option<String> {
        let links = Links { portal_url: "https://pass.test".into(), gate_url: "https://shop.test/".into() };
        let response = activate(&links, query)?;
        Some(response.headers()[LOCATION].to_str().unwrap().to_owned())
    }

    #[test]
    fn the_way_back_stays_on_the_gate() {
        let home = "https://pass.test/activate?role=shop%2Fvault-reader&return_to=https%3A%2F%2Fshop.test%2F";
        for hostile in [
            "//evil.test",
            "https://evil.test/",
            "/\\evil.test",
            "javascript:alert(1)",
            "/%0d%0aSet-Cookie:x",
            "%2f%2fevil.test",
            "/%09/evil.test",
            "",
            "evil",
            "/a&return_to=//evil.test",
        ] {
            assert_eq!(
                location(&format!("role=shop/vault-reader&return_to={hostile}")).as_deref(),
                Some(home),
                "{hostile}"
            );
        }
        assert_eq!(
            location("role=shop%2Fvault-reader&return_to=%2Fvault%2Fk%3Fa%3D1").unwrap(),
            "https://pass.test/activate?role=shop%2Fvault-reader&return_to=https%3A%2F%2Fshop.test%2Fvault%2Fk%3Fa%3D1"
        );
    }

    #[test]
    fn no_role_no_form() {
        for query in ["", "role=", "role=a", "role=a/b&role=c/d", "role=a/b/c", "role=a/%ff"] {
            assert_eq!(location(query), None, "{query}");
        }
    }
}
