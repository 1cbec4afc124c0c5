//! Headers that decide how a message is read: lengths, codings, expectations, connection options, upgrades.
//!
//! hyper has refused most of what is wrong by now; whatever it lets through and could be read in two ways ends here.

use std::sync::Arc;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, HOST, HeaderName, ORIGIN,
    PROXY_AUTHORIZATION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, Method, Version};

use crate::proxy::canonical::{BadRequest, Underscores, Upgrade};
use crate::proxy::headers::managed;

/// Headers that may come once, and whose value must be text.
const ONCE: [HeaderName; 4] = [CONTENT_TYPE, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION];

/// Headers without which the request would mean something else: `Connection` may not take them away.
const ESSENTIAL: [HeaderName; 6] = [HOST, AUTHORIZATION, COOKIE, CONTENT_LENGTH, CONTENT_TYPE, ORIGIN];

/// Checks header names and those headers that may come once.
pub(super) fn check_fields(headers: &HeaderMap, underscores: Underscores) -> Result<(), BadRequest> {
    // one look at each header instead of one for each rule; nothing repeated is the rule
    let repeats = headers.keys_len() != headers.len();
    for (name, value) in headers {
        if underscores == Underscores::Refuse && name.as_str().as_bytes().contains(&b'_') {
            return Err(BadRequest::HeaderName);
        }
        let (repeated, unreadable) = if ONCE.contains(name) {
            (BadRequest::HeaderRepeated, BadRequest::HeaderUnreadable)
        } else if [AUTHORIZATION, PROXY_AUTHORIZATION].contains(name) {
            (BadRequest::Credentials, BadRequest::Credentials)
        } else {
            continue;
        };
        if repeats && once(headers, name).is_err() {
            return Err(repeated);
        }
        if value.to_str().is_err() {
            return Err(unreadable);
        }
    }
    Ok(())
}

/// Checks that there is exactly one way to tell where the body ends.
pub(super) fn check_body(parts: &Parts) -> Result<Body, BadRequest> {
    let coding = once(&parts.headers, &TRANSFER_ENCODING).map_err(|_| BadRequest::TransferEncoding)?;
    let length = once(&parts.headers, &CONTENT_LENGTH).map_err(|_| BadRequest::ContentLength)?;
    match (coding, length) {
        (Some(_), Some(_)) => Err(BadRequest::ContentLength),
        (Some(coding), None) => {
            let chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked");
            if chunked && parts.version == Version::HTTP_11 {
                Ok(Body::Some)
            } else {
                Err(BadRequest::TransferEncoding)
            }
        }
        (None, Some(length)) => {
            let digits = length.as_bytes();
            if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                return Err(BadRequest::ContentLength);
            }
            let length: u64 = readable(length)?.parse().map_err(|_| BadRequest::ContentLength)?;
            Ok(if length == 0 { Body::None } else { Body::Some })
        }
        (None, None) => Ok(Body::None),
    }
}

/// Whether the request has a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    None,
    Some,
}

/// Checks that nothing but `100-continue` is expected.
pub(super) fn check_expectation(headers: &HeaderMap) -> Result<(), BadRequest> {
    match once(headers, &EXPECT) {
        Ok(None) => Ok(()),
        Ok(Some(value)) if value.as_bytes().eq_ignore_ascii_case(b"100-continue") => Ok(()),
        Ok(Some(_)) | Err(Repeated) => Err(BadRequest::Expectation),
    }
}

/// Checks what `Connection` names, and reads the upgrade that was asked for.
///
/// An upgrade to a protocol that is not allowed (`h2c` above all) is not refused but not done either: `Upgrade` is removed
/// from every request, and only an upgrade that is returned here is asked of the upstream.
pub(super) fn read_connection(parts: &Parts, body: Body, upgrades: &[Arc<str>]) -> Result<Option<Upgrade>, BadRequest> {
    let mut asked = false;
    for value in parts.headers.get_all(CONNECTION) {
        let options = readable(value)?.split(',').map(str::trim);
        for option in options.filter(|option| !option.is_empty() && !managed::is_keep_alive(option.as_bytes())) {
            let name = HeaderName::from_bytes(option.as_bytes()).map_err(|_| BadRequest::ConnectionHeader)?;
            if ESSENTIAL.contains(&name) || managed::speaks_for_hallpass(&name) {
                return Err(BadRequest::ConnectionHeader);
            }
            asked |= name == UPGRADE;
        }
    }
    let mut protocols = Vec::new();
    for value in parts.headers.get_all(UPGRADE) {
        protocols.extend(readable(value)?.split(',').map(str::trim).filter(|protocol| !protocol.is_empty()));
    }
    if !asked || parts.version != Version::HTTP_11 {
        return Ok(None);
    }
    let Some(allowed) = protocols.iter().find_map(|protocol| allowed(protocol, upgrades)) else {
        return Ok(None);
    };
    let handshake = allowed != Upgrade::WebSocket || is_websocket(parts);
    if protocols.len() == 1 && body == Body::None && handshake { Ok(Some(allowed)) } else { Err(BadRequest::Upgrade) }
}

fn allowed(protocol: &str, upgrades: &[Arc<str>]) -> Option<Upgrade> {
    if protocol.eq_ignore_ascii_case("websocket") {
        return Some(Upgrade::WebSocket);
    }
    // never tunnelled, whatever the configuration says: behind it nobody decides on requests any more
    let second_http = protocol.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("h2"))
        || protocol.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("http"));
    if second_http {
        return None;
    }
    upgrades.iter().find(|known| known.eq_ignore_ascii_case(protocol)).map(|known| Upgrade::Other(Arc::clone(known)))
}

/// RFC 6455, section 4.2.1: `GET`, version 13, a key of 16 bytes in base64.
fn is_websocket(parts: &Parts) -> bool {
    let version = parts.headers.get(SEC_WEBSOCKET_VERSION).is_some_and(|version| version.as_bytes() == b"13");
    let key = parts
        .headers
        .get(SEC_WEBSOCKET_KEY)
        .is_some_and(|key| data_encoding::BASE64.decode(key.as_bytes()).is_ok_and(|nonce| nonce.len() == 16));
    parts.method == Method::GET && version && key
}

/// A header that may come once came twice.
pub(super) struct Repeated;

/// The only value of `name`.
pub(super) fn once<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h http::HeaderValue>, Repeated> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(Repeated) } else { Ok(first) }
}

/// A value as text; one that is no text is never taken for absent.
fn readable(value: &http::HeaderValue) -> Result<&str, BadRequest> {
    value.to_str().map_err(|_| BadRequest::HeaderUnreadable)
}
