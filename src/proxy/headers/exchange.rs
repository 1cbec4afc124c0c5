//! Where a request came from: the connection, what trusted proxies say about it, and the ids it goes under.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

use crate::proxy::canonical::{BadRequest, Canonical};
use crate::proxy::headers::forwarded;
use crate::proxy::headers::trace::{self, Ids, REQUEST_ID, Sender, TRACEPARENT};

/// Proxies in front of hallpass whose word about the client counts; empty trusts nobody.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(pub Vec<IpNet>);

impl TrustedProxies {
    /// Whether `address` is one of them.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// How a client reached hallpass, or the first trusted proxy before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// As in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    const fn port(self) -> &'static str {
        match self {
            Self::Http => "80",
            Self::Https => "443",
        }
    }
}

/// One accepted connection; made once for all its requests.
#[derive(Debug, Clone)]
pub struct Connection {
    peer: IpAddr,
    peer_value: HeaderValue,
    scheme: Scheme,
    /// The proxies to believe; `None` when the peer itself is none of them.
    trusted: Option<Arc<TrustedProxies>>,
}

impl Connection {
    /// A connection from `peer`.
    #[must_use]
    pub fn new(peer: IpAddr, scheme: Scheme, trusted: &Arc<TrustedProxies>) -> Self {
        let peer = peer.to_canonical();
        let trusted = trusted.trusts(peer).then(|| Arc::clone(trusted));
        Self { peer, peer_value: header_value(&peer.to_string()), scheme, trusted }
    }
}

/// What is true about one exchange: who sent it, over what, and under which ids.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The client's address: the peer, or what trusted proxies say.
    pub client: IpAddr,
    /// How the client reached the first trusted hop.
    pub scheme: Scheme,
    /// The client and every proxy after it.
    forwarded_for: HeaderValue,
    client_value: HeaderValue,
    /// The host that was decided on.
    host: HeaderValue,
    /// The host that the client asked for, where a trusted proxy tells another.
    forwarded_host: HeaderValue,
    port: HeaderValue,
    ids: Ids,
}

impl Exchange {
    /// Reads who the client is; before [`strip_inbound`](super::strip_inbound).
    ///
    /// # Errors
    /// [`BadRequest::Forwarding`] when trusted proxies contradict each other or name an address that is none.
    pub fn read(headers: &HeaderMap, connection: &Connection, canonical: &Canonical) -> Result<Self, BadRequest> {
        let host = canonical.host.authority();
        let Some(trusted) = &connection.trusted else {
            let port = port_value(canonical.host.port(), connection.scheme);
            return Ok(Self {
                client: connection.peer,
                scheme: connection.scheme,
                forwarded_for: connection.peer_value.clone(),
                client_value: connection.peer_value.clone(),
                forwarded_host: host.clone(),
                host,
                port,
                ids: trace::ids(headers, Sender::Stranger),
            });
        };
        let said = forwarded::read(headers, trusted)?;
        let scheme = said.scheme.unwrap_or(connection.scheme);
        let client = said.hops.first().copied().unwrap_or(connection.peer);
        let chain: Vec<String> = said.hops.iter().chain([&connection.peer]).map(IpAddr::to_string).collect();
        Ok(Self {
            client,
            scheme,
            forwarded_for: header_value(&chain.join(", ")),
            client_value: header_value(&client.to_string()),
            forwarded_host: said.host.unwrap_or_else(|| host.clone()),
            host,
            port: port_value(said.port.or(canonical.host.port()), scheme),
            ids: trace::ids(headers, Sender::Trusted),
        })
    }

    /// The id of this request.
    #[must_use]
    pub fn request_id(&self) -> &str {
        self.ids.request.to_str().unwrap_or_default()
    }

    /// The trace this request belongs to: 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        trace::trace_id(&self.ids.traceparent)
    }

    /// The client's address as text.
    pub(in crate::proxy) fn client_text(&self) -> &str {
        self.client_value.to_str().unwrap_or_default()
    }

    pub(super) fn request_id_value(&self) -> HeaderValue {
        self.ids.request.clone()
    }
}

/// Adds where the request came from: `X-Forwarded-*`, `X-Real-IP`, `X-Request-Id`, `traceparent`, and `Host` as it was
/// decided on. `Forwarded` is never
/// sent, so that an application that reads both cannot be told two things.
pub fn add_forwarding(headers: &mut HeaderMap, exchange: &Exchange) {
    headers.insert(HOST, exchange.host.clone());
    headers.insert(FORWARDED_FOR, exchange.forwarded_for.clone());
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(exchange.scheme.as_str()));
    headers.insert(FORWARDED_HOST, exchange.forwarded_host.clone());
    headers.insert(FORWARDED_PORT, exchange.port.clone());
    headers.insert(REAL_IP, exchange.client_value.clone());
    headers.insert(REQUEST_ID, exchange.ids.request.clone());
    headers.insert(TRACEPARENT, exchange.ids.traceparent.clone());
    if let Some(state) = &exchange.ids.tracestate {
        headers.insert(TRACESTATE, state.clone());
    }
}

fn port_value(port: Option<u16>, scheme: Scheme) -> HeaderValue {
    port.map_or_else(|| HeaderValue::from_static(scheme.port()), HeaderValue::from)
}

/// A value of letters, digits and a few signs.
fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
