//! hallpass's own cookies: the application neither sees nor sets them.
//!
//! Values are read byte for byte, so that one that is no text hides nothing.

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

/// How the names of own cookies begin; browsers do not tell letter case of the prefix apart, so neither does this.
const OWN: &[&[u8]] = &[b"__host-hallpass", b"__secure-hallpass", b"hallpass_"];

/// Takes own cookies out of a request.
pub(super) fn strip_inbound(headers: &mut HeaderMap) {
    let any = headers.get_all(COOKIE).iter().any(|line| pairs(line).any(is_own));
    if !any {
        return;
    }
    let kept: Vec<HeaderValue> = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| {
            let rest: Vec<&[u8]> = pairs(line).filter(|pair| !is_own(pair)).map(<[u8]>::trim_ascii).collect();
            let rest = rest.join(b"; ".as_slice());
            // parts of a value that was allowed are allowed
            HeaderValue::from_bytes(&rest).ok().filter(|value| !value.is_empty())
        })
        .collect();
    replace(headers, COOKIE, kept);
}

/// Takes own cookies out of an answer.
pub(super) fn strip_outbound(headers: &mut HeaderMap) {
    let own = |line: &HeaderValue| pairs(line).next().is_some_and(is_own);
    if !headers.get_all(SET_COOKIE).iter().any(own) {
        return;
    }
    let kept: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().filter(|line| !own(line)).cloned().collect();
    replace(headers, SET_COOKIE, kept);
}

fn replace(headers: &mut HeaderMap, name: http::HeaderName, values: Vec<HeaderValue>) {
    headers.remove(&name);
    for value in values {
        headers.append(name.clone(), value);
    }
}

fn pairs(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    line.as_bytes().split(|byte| *byte == b';')
}

/// A cookie without a name comes back as its bare value: `=__Host-hallpass…` is one of ours to whoever reads it.
fn is_own(pair: &[u8]) -> bool {
    let mut name = pair;
    while let [first, rest @ ..] = name
        && (first.is_ascii_whitespace() || *first == b'=')
    {
        name = rest;
    }
    OWN.iter().any(|own| name.get(..own.len()).is_some_and(|start| start.eq_ignore_ascii_case(own)))
}
