//! Request id and trace: an id per request, and the W3C trace it belongs to.

use std::cell::RefCell;

use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Ids of one request.
#[derive(Debug, Clone)]
pub(super) struct Ids {
    pub(super) request: HeaderValue,
    pub(super) traceparent: HeaderValue,
    /// Passed on only with the `traceparent` it came with.
    pub(super) tracestate: Option<HeaderValue>,
}

/// Whether an incoming request id is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// A trusted proxy: its id is kept, so that one id names the request everywhere.
    Trusted,
    /// Anybody: the id is fresh.
    Stranger,
}

/// Ids for a request with these headers. A valid trace goes on unchanged, since hallpass records no span of its own;
/// otherwise a new one begins, unsampled and without the old state.
pub(super) fn ids(headers: &HeaderMap, sender: Sender) -> Ids {
    let kept = match sender {
        Sender::Trusted => only(headers, &REQUEST_ID).filter(|id| is_request_id(id)),
        Sender::Stranger => None,
    };
    let request = kept.cloned().unwrap_or_else(|| {
        let mut text = [0; 32];
        HEXLOWER.encode_mut(&random::<16>(), &mut text);
        ascii(&text)
    });
    match only(headers, &TRACEPARENT).filter(|value| is_traceparent(value)) {
        Some(traceparent) => Ids { request, traceparent: traceparent.clone(), tracestate: tracestate(headers) },
        None => Ids { request, traceparent: fresh_traceparent(), tracestate: None },
    }
}

/// A request id that nobody has used before.
pub(super) fn fresh_request_id() -> String {
    HEXLOWER.encode(&random::<16>())
}

/// The trace id in a valid `traceparent`.
pub(super) fn trace_id(traceparent: &HeaderValue) -> &str {
    traceparent.as_bytes().get(3..35).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default()
}

fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// 1 to 128 characters that need no care in a log, a header or a shell.
fn is_request_id(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    (1..=128).contains(&bytes.len())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b'+' | b'='))
}

/// `00-<32 hex>-<16 hex>-<2 hex>` in lower case, ids not all zero. A later version may carry more at its end; that part
/// is unknown here and is not passed on, so such a trace begins anew.
fn is_traceparent(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else { return false };
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, span, flags] = parts.as_slice() else { return false };
    let lower_hex =
        |text: &str, length| text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let not_zero = |text: &str| text.bytes().any(|byte| byte != b'0');
    lower_hex(version, 2)
        && *version != "ff"
        && lower_hex(trace, 32)
        && not_zero(trace)
        && lower_hex(span, 16)
        && not_zero(span)
        && lower_hex(flags, 2)
}

/// All `tracestate` lines as one, when they are well-formed enough to pass on.
fn tracestate(headers: &HeaderMap) -> Option<HeaderValue> {
    let lines: Option<Vec<&str>> = headers.get_all("tracestate").iter().map(|value| value.to_str().ok()).collect();
    let state = lines?.join(",");
    let members: Vec<&str> = state.split(',').map(str::trim).filter(|member| !member.is_empty()).collect();
    let well_formed =
        (1..=TRACESTATE_MEMBERS_MAX).contains(&members.len()) && members.iter().all(|member| member.contains('='));
    (well_formed && state.len() <= TRACESTATE_BYTES_MAX).then(|| header_value(&members.join(",")))
}

/// `00-<trace>-<span>-00`.
fn fresh_traceparent() -> HeaderValue {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    if let Some(trace) = text.get_mut(3..35) {
        HEXLOWER.encode_mut(&random::<16>(), trace);
    }
    if let Some(span) = text.get_mut(36..52) {
        HEXLOWER.encode_mut(&random::<8>(), span);
    }
    ascii(&text)
}

/// Random bytes, drawn from the generator many at a time. Should it ever fail, an id that repeats is better than a refused
/// request: ids decide nothing.
fn random<const N: usize>() -> [u8; N] {
    thread_local! {
        static DRAWN: RefCell<(usize, [u8; DRAWN_BYTES])> = const { RefCell::new((DRAWN_BYTES, [1; DRAWN_BYTES])) };
    }
    DRAWN.with_borrow_mut(|(at, bytes)| {
        if *at + N > DRAWN_BYTES {
            let _ = aws_lc_rs::rand::fill(bytes);
            *at = 0;
        }
        let taken = bytes.get(*at..).and_then(<[u8]>::first_chunk).copied().unwrap_or([1; N]);
        *at += N;
        taken
    })
}

fn ascii(bytes: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(bytes).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const DRAWN_BYTES: usize = 1000;
const TRACESTATE_MEMBERS_MAX: usize = 32;
const TRACESTATE_BYTES_MAX: usize = 4 * 1024;
