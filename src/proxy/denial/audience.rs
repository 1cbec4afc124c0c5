//! Who must understand a refusal: a person before a browser, a program, a gRPC client or kubectl.

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, UPGRADE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method};

/// Who must understand the refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audience {
    /// What they read.
    pub form: Form,
    /// Whether they want a body.
    pub body: Body,
}

/// What somebody reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A page.
    Browser,
    /// A problem document.
    Api,
    /// Trailers with a `grpc-status`.
    Grpc,
    /// A Kubernetes `Status`.
    Kubernetes,
}

/// Whether an answer has a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// It does.
    Sent,
    /// The method was `HEAD`.
    Omitted,
}

impl Audience {
    /// Reads who asks; before anything is removed from the request.
    #[must_use]
    pub fn of(parts: &Parts) -> Self {
        let body = if parts.method == Method::HEAD { Body::Omitted } else { Body::Sent };
        Self { form: form(&parts.headers), body }
    }
}

fn form(headers: &HeaderMap) -> Form {
    if text(headers, &CONTENT_TYPE).is_some_and(is_grpc) {
        return Form::Grpc;
    }
    let kubernetes = |agent: &str| agent.split(' ').any(|product| product.starts_with("kubernetes/"));
    if text(headers, &USER_AGENT).is_some_and(kubernetes) {
        return Form::Kubernetes;
    }
    // who wants a tunnel reads no pages
    if headers.contains_key(UPGRADE) {
        return Form::Api;
    }
    let navigates = match headers.get(SEC_FETCH_MODE) {
        // only browsers send it, and no script can: a credential beside it was added by a proxy where the person signed in
        Some(mode) => mode.as_bytes() == b"navigate",
        // a program that carries a credential reads no pages
        None => !headers.contains_key(AUTHORIZATION) && prefers_html(headers),
    };
    if navigates { Form::Browser } else { Form::Api }
}

fn is_grpc(content_type: &str) -> bool {
    let rest = content_type.get(..16).filter(|start| start.eq_ignore_ascii_case("application/grpc"));
    rest.is_some() && content_type.get(16..).is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';', '-']))
}

/// Whether `text/html` is named and nothing a program reads is liked as much.
fn prefers_html(headers: &HeaderMap) -> bool {
    let (mut html, mut json) = (0, 0);
    for line in headers.get_all(ACCEPT) {
        for range in line.to_str().unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts.find_map(|parameter| parameter.strip_prefix("q=")).map_or(1000, thousandths);
            match media_type.as_str() {
                "text/html" | "application/xhtml+xml" => html = html.max(weight),
                "application/json" | "application/problem+json" => json = json.max(weight),
                _ => {}
            }
        }
    }
    html > json
}

/// A weight like `0.85` as thousandths; what is none counts for nothing.
fn thousandths(weight: &str) -> u16 {
    match weight.split_once('.') {
        None if weight == "1" => 1000,
        Some(("1", zeros)) if zeros.bytes().all(|digit| digit == b'0') => 1000,
        Some(("0", digits)) if digits.len() <= 3 && digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            format!("{digits:0<3}").parse().unwrap_or(0)
        }
        None | Some(_) => 0,
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
