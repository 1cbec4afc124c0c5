//! What never passes inward or outward, and what is added because it is true.
//!
//! Order for each request: [`Exchange::read`] looks at what a trusted proxy says, [`strip_inbound`] removes everything that
//! could speak for hallpass, and only then is added what is true ([`add_forwarding`], [`add_identity`], [`add_upgrade`]).

mod cookies;
mod exchange;
mod forwarded;
mod identity;
pub(in crate::proxy) mod managed;
#[cfg(test)]
mod tests;
mod trace;

use http::header::{CACHE_CONTROL, CONNECTION, TE, UPGRADE};
use http::{HeaderMap, HeaderValue};

use crate::proxy::canonical::Upgrade;
pub use exchange::{Connection, Exchange, Scheme, TrustedProxies, add_forwarding};
pub use identity::{IdentityHeaders, PermitHeaders, add_identity, add_permit};
use managed::Kind;

/// Removes everything that could speak for hallpass, what belongs to one connection only, own cookies, and every name with
/// an underscore. `TE: trailers` stays, because gRPC needs it.
pub fn strip_inbound(headers: &mut HeaderMap) {
    let trailers = headers.get_all(TE).iter().any(|value| {
        value.as_bytes().split(|byte| *byte == b',').any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    });
    managed::remove(headers, &[Kind::Identity, Kind::Forwarding, Kind::Override, Kind::Hop]);
    cookies::strip_inbound(headers);
    let underscored: Vec<_> = headers.keys().filter(|name| name.as_str().as_bytes().contains(&b'_')).cloned().collect();
    for name in underscored {
        headers.remove(name);
    }
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// An id for a request that was refused before an [`Exchange`] could be read.
#[must_use]
pub fn fresh_request_id() -> String {
    trace::fresh_request_id()
}

/// Removes from an answer what only hallpass may say, what belongs to one connection only, and own cookies.
pub fn strip_outbound(headers: &mut HeaderMap) {
    managed::remove(headers, &[Kind::Identity, Kind::Forwarding, Kind::Hop]);
    cookies::strip_outbound(headers);
}

/// Adds to an answer the id of its request and, when it came under an elevation, when that ends.
pub fn add_outbound(headers: &mut HeaderMap, exchange: &Exchange, permit: &PermitHeaders) {
    headers.insert(exchange::REQUEST_ID, exchange.request_id_value());
    permit.add_outbound(headers);
}

/// Keeps an answer under a session out of caches that others share, where the application says nothing of caches: such
/// caches know that answers to `Authorization` are somebody's own (RFC 9111, section 3.5), but not those to a cookie.
pub fn keep_private(headers: &mut HeaderMap) {
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("private"));
}

/// Asks for an upgrade, or grants it: after [`strip_inbound`] towards the upstream, after [`strip_outbound`] with a 101.
pub fn add_upgrade(headers: &mut HeaderMap, upgrade: &Upgrade) {
    let protocol = match upgrade {
        Upgrade::WebSocket => Some(HeaderValue::from_static("websocket")),
        Upgrade::Other(protocol) => HeaderValue::from_str(protocol).ok(),
    };
    if let Some(protocol) = protocol {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    }
}
