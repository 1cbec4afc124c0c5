//! What trusted proxies in front say about the client: `X-Forwarded-*` and `Forwarded`, read from right to left.
//!
//! The rightmost address was added by the nearest proxy. While a hop is trusted, the one to its left is believed; the first
//! that is not trusted is the client. Whatever lies further left was written by that client and is dropped.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderValue};

use crate::proxy::canonical::BadRequest;
use crate::proxy::headers::{Scheme, TrustedProxies};
use crate::proxy::host::Host;

/// What the proxies say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// The client and the proxies after it, without the peer; empty when they say nothing.
    pub(super) hops: Vec<IpAddr>,
    pub(super) scheme: Option<Scheme>,
    pub(super) host: Option<HeaderValue>,
    pub(super) port: Option<u16>,
}

/// Reads what a trusted peer says.
pub(super) fn read(headers: &HeaderMap, trusted: &TrustedProxies) -> Result<Said, BadRequest> {
    let standard = Standard::read(headers)?;
    let usual =
        items(headers, "x-forwarded-for")?.map(|item| address(item).map(Some)).collect::<Result<Vec<_>, _>>()?;
    let hops = agree(
        (!usual.is_empty()).then(|| believed(&usual, trusted)),
        (!standard.addresses.is_empty()).then(|| believed(&standard.addresses, trusted)),
    )?
    .unwrap_or_default();
    let scheme = same(items(headers, "x-forwarded-proto")?.map(scheme))?;
    let host = same(items(headers, "x-forwarded-host")?.map(host))?;
    let port = same(items(headers, "x-forwarded-port")?.map(port))?;
    Ok(Said { hops, scheme: agree(scheme, standard.scheme)?, host: agree(host, standard.host)?, port })
}

/// The part of `addresses` that trusted hops vouch for; `None` is an address that was kept secret and ends the walk.
fn believed(addresses: &[Option<IpAddr>], trusted: &TrustedProxies) -> Vec<IpAddr> {
    let mut hops = Vec::new();
    for address in addresses.iter().rev() {
        let Some(address) = address else { break };
        hops.push(*address);
        if !trusted.trusts(*address) {
            break;
        }
    }
    hops.reverse();
    hops
}

/// What RFC 7239's header says.
#[derive(Default)]
struct Standard {
    addresses: Vec<Option<IpAddr>>,
    scheme: Option<Scheme>,
    host: Option<HeaderValue>,
}

impl Standard {
    fn read(headers: &HeaderMap) -> Result<Self, BadRequest> {
        let (mut addresses, mut schemes, mut hosts) = (Vec::new(), Vec::new(), Vec::new());
        for line in headers.get_all("forwarded") {
            let line = line.to_str().map_err(|_| BadRequest::Forwarding)?;
            for element in split_outside_quotes(line, ',')? {
                let mut node = None;
                for pair in split_outside_quotes(element, ';')? {
                    let (name, value) = pair.split_once('=').ok_or(BadRequest::Forwarding)?;
                    let value = unquote(value.trim())?;
                    match name.trim().to_ascii_lowercase().as_str() {
                        "for" if node.is_none() => node = Some(secret_or_address(&value)?),
                        "for" => return Err(BadRequest::Forwarding),
                        "proto" => schemes.push(scheme(&value)),
                        "host" => hosts.push(host(&value)),
                        _ => {}
                    }
                }
                // a hop that does not say for whom is a secret one
                addresses.push(node.flatten());
            }
        }
        Ok(Self { addresses, scheme: same(schemes.into_iter())?, host: same(hosts.into_iter())? })
    }
}

/// Every item of a list header, over all its lines.
fn items<'h>(headers: &'h HeaderMap, name: &str) -> Result<impl Iterator<Item = &'h str>, BadRequest> {
    let lines: Vec<&str> = headers
        .get_all(name)
        .iter()
        .map(|value| value.to_str().map_err(|_| BadRequest::Forwarding))
        .collect::<Result<_, _>>()?;
    Ok(lines.into_iter().flat_map(|line| line.split(',')).map(str::trim))
}

/// The one value that all say.
fn same<T: PartialEq>(values: impl Iterator<Item = Result<T, BadRequest>>) -> Result<Option<T>, BadRequest> {
    let mut said = None;
    for value in values {
        said = agree(said, Some(value?))?;
    }
    Ok(said)
}

fn agree<T: PartialEq>(one: Option<T>, other: Option<T>) -> Result<Option<T>, BadRequest> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(BadRequest::Forwarding),
        (one, other) => Ok(one.or(other)),
    }
}

/// An address, perhaps with a port, which some proxies add.
fn address(text: &str) -> Result<IpAddr, BadRequest> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()))
        .map(|address| address.to_canonical())
        .map_err(|_| BadRequest::Forwarding)
}

fn secret_or_address(text: &str) -> Result<Option<IpAddr>, BadRequest> {
    let secret = text.eq_ignore_ascii_case("unknown") || text.starts_with('_');
    if secret { Ok(None) } else { address(text).map(Some) }
}

fn scheme(text: &str) -> Result<Scheme, BadRequest> {
    match text.to_ascii_lowercase().as_str() {
        "http" | "ws" => Ok(Scheme::Http),
        "https" | "wss" => Ok(Scheme::Https),
        _ => Err(BadRequest::Forwarding),
    }
}

fn host(text: &str) -> Result<HeaderValue, BadRequest> {
    let value = HeaderValue::from_str(text).map_err(|_| BadRequest::Forwarding)?;
    Host::parse(&value).map(|host| host.authority()).map_err(|_| BadRequest::Forwarding)
}

fn port(text: &str) -> Result<u16, BadRequest> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0).ok_or(BadRequest::Forwarding)
}

/// Splits at `separator`, but not inside double quotes.
fn split_outside_quotes(text: &str, separator: char) -> Result<Vec<&str>, BadRequest> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if letter == separator && !quoted => {
                parts.extend(text.get(start..at));
                start = at + letter.len_utf8();
            }
            _ => {}
        }
    }
    if quoted {
        return Err(BadRequest::Forwarding);
    }
    parts.extend(text.get(start..));
    Ok(parts)
}

fn unquote(text: &str) -> Result<String, BadRequest> {
    let Some(inner) = text.strip_prefix('"') else {
        return if text.contains('"') { Err(BadRequest::Forwarding) } else { Ok(text.to_owned()) };
    };
    let inner = inner.strip_suffix('"').ok_or(BadRequest::Forwarding)?;
    let mut plain = String::with_capacity(inner.len());
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => plain.push(letters.next().ok_or(BadRequest::Forwarding)?),
            '"' => return Err(BadRequest::Forwarding),
            _ => plain.push(letter),
        }
    }
    Ok(plain)
}
