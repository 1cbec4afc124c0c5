//! Every header that speaks for hallpass or belongs to one connection only, in one table.
//!
//! Applications differ in how they spell a header's name: many turn `-` into `_`, some any other sign as well. So a name is
//! compared with every sign taken for a dash; letter case is gone when hyper hands a name over.

use http::HeaderName;
use http::header::{CONNECTION, HeaderMap};

/// Why a header is not passed on as the client sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It says who asks or what they may; hallpass says so itself.
    Identity,
    /// It says where the request came from or where it went; rewritten from the connection.
    Forwarding,
    /// It names another method, path or host than the one decided on.
    Override,
    /// It belongs to one connection only.
    Hop,
}

/// How much of a name a row covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Whole,
    /// And every name that begins so.
    Start,
}

struct Row(&'static str, Extent, Kind);

/// Names that begin with `x-`, without it, by the first letter.
const fn with_x(first: u8) -> &'static [Row] {
    match first {
        b'a' => &[
            Row("auth-request", Extent::Start, Kind::Identity),
            Row("authenticated-", Extent::Start, Kind::Identity),
            Row("amzn-oidc", Extent::Start, Kind::Identity),
            Row("azure-clientip", Extent::Whole, Kind::Forwarding),
        ],
        b'c' => &[
            Row("client-cert", Extent::Start, Kind::Identity),
            Row("client-verify", Extent::Whole, Kind::Identity),
            Row("client-ip", Extent::Whole, Kind::Forwarding),
            Row("cluster-client-ip", Extent::Whole, Kind::Forwarding),
        ],
        b'e' => &[Row("envoy-", Extent::Start, Kind::Forwarding)],
        b'f' => &[Row("forwarded", Extent::Start, Kind::Forwarding)],
        b'g' => {
            &[Row("goog-iap", Extent::Start, Kind::Identity), Row("goog-authenticated", Extent::Start, Kind::Identity)]
        }
        b'h' => &[
            Row("hallpass", Extent::Start, Kind::Identity),
            Row("http-method", Extent::Start, Kind::Override),
            Row("http-host", Extent::Start, Kind::Override),
            Row("host", Extent::Whole, Kind::Override),
        ],
        b'm' => &[
            Row("ms-client-principal", Extent::Start, Kind::Identity),
            Row("method-override", Extent::Whole, Kind::Override),
        ],
        b'o' => &[
            Row("originating-ip", Extent::Whole, Kind::Forwarding),
            Row("original-", Extent::Start, Kind::Override),
            Row("override-", Extent::Start, Kind::Override),
        ],
        b'p' => &[Row("pomerium", Extent::Start, Kind::Identity)],
        b'r' => &[
            Row("remote-", Extent::Start, Kind::Identity),
            Row("real-", Extent::Start, Kind::Forwarding),
            Row("request-id", Extent::Whole, Kind::Forwarding),
            Row("rewrite-", Extent::Start, Kind::Override),
        ],
        b's' => &[
            Row("ssl-", Extent::Start, Kind::Identity),
            Row("scheme", Extent::Whole, Kind::Forwarding),
            Row("script-name", Extent::Whole, Kind::Override),
        ],
        b'u' => &[Row("url-scheme", Extent::Whole, Kind::Forwarding)],
        b'w' => &[Row("webauth-", Extent::Start, Kind::Identity)],
        _ => &[],
    }
}

/// All other names, by the first letter.
const fn others(first: u8) -> &'static [Row] {
    match first {
        b'a' => &[Row("auth-user", Extent::Whole, Kind::Identity)],
        b'c' => &[
            Row("cf-access", Extent::Start, Kind::Identity),
            Row("client-cert", Extent::Start, Kind::Identity),
            Row("client-ip", Extent::Whole, Kind::Forwarding),
            Row("cf-connecting-ip", Extent::Start, Kind::Forwarding),
            Row("connection", Extent::Whole, Kind::Hop),
        ],
        b'e' => &[
            // answered by hyper, and nothing an upstream should wait for
            Row("expect", Extent::Whole, Kind::Hop),
        ],
        b'f' => &[
            Row("forwarded", Extent::Start, Kind::Forwarding),
            Row("fastly-client-ip", Extent::Whole, Kind::Forwarding),
            Row("front-end-https", Extent::Whole, Kind::Forwarding),
        ],
        b'h' => &[Row("http2-settings", Extent::Whole, Kind::Hop)],
        b'k' => &[Row("keep-alive", Extent::Whole, Kind::Hop)],
        b'p' => &[
            Row("path-info", Extent::Whole, Kind::Override),
            // CGI programs take it for the outgoing proxy to use (CVE-2016-5385)
            Row("proxy", Extent::Whole, Kind::Override),
            Row("proxy-", Extent::Start, Kind::Hop),
        ],
        b'r' => &[Row("remote-", Extent::Start, Kind::Identity)],
        b's' => &[Row("ssl-client", Extent::Start, Kind::Identity), Row("script-name", Extent::Whole, Kind::Override)],
        b't' => &[
            Row("true-client-ip", Extent::Whole, Kind::Forwarding),
            Row("traceparent", Extent::Whole, Kind::Forwarding),
            Row("tracestate", Extent::Whole, Kind::Forwarding),
            Row("te", Extent::Whole, Kind::Hop),
            Row("trailer", Extent::Whole, Kind::Hop),
            Row("transfer-encoding", Extent::Whole, Kind::Hop),
        ],
        b'u' => &[Row("upgrade", Extent::Whole, Kind::Hop)],
        _ => &[],
    }
}

/// The kind of `name`; `None` when it passes.
pub(super) fn kind(name: &HeaderName) -> Option<Kind> {
    let bytes = name.as_str().as_bytes();
    let (rest, rows) = match bytes {
        [b'x', sign, rest @ ..] if !sign.is_ascii_alphanumeric() => (rest, with_x(dashed(*rest.first()?))),
        _ => (bytes, others(dashed(*bytes.first()?))),
    };
    rows.iter().find(|row| row.covers(rest)).map(|row| row.2)
}

/// Whether only hallpass may set `name`.
pub(in crate::proxy) fn speaks_for_hallpass(name: &HeaderName) -> bool {
    matches!(kind(name), Some(Kind::Identity | Kind::Forwarding | Kind::Override))
}

/// Removes every header of one of `kinds`, [`Kind::Hop`] among them, and every header that `Connection` names.
pub(super) fn remove(headers: &mut HeaderMap, kinds: &[Kind]) {
    let mut doomed: Vec<HeaderName> = Vec::new();
    for value in headers.get_all(CONNECTION) {
        // read byte for byte: a value that is no text still names what it names
        let options = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let named = options.filter(|option| !is_keep_alive(option));
        doomed.extend(named.filter_map(|option| HeaderName::from_bytes(option).ok()));
    }
    doomed.extend(headers.keys().filter(|name| kind(name).is_some_and(|kind| kinds.contains(&kind))).cloned());
    for name in doomed {
        headers.remove(name);
    }
}

/// Whether a connection option is the one that most messages carry. The header of that name is [`Kind::Hop`] anyway.
pub(in crate::proxy) fn is_keep_alive(option: &[u8]) -> bool {
    option.eq_ignore_ascii_case(b"keep-alive")
}

impl Row {
    fn covers(&self, name: &[u8]) -> bool {
        let Self(pattern, extent, _) = self;
        let long_enough = match extent {
            Extent::Whole => name.len() == pattern.len(),
            Extent::Start => name.len() >= pattern.len(),
        };
        long_enough && pattern.bytes().zip(name).all(|(wanted, byte)| wanted == dashed(*byte))
    }
}

/// Letters in lower case and digits as they are, every sign as a dash.
const fn dashed(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}
