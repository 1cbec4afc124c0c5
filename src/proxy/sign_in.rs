//! Signing in and out at the gate: the endpoints below the reserved prefix, and their few small pages.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::identity::{Begun, Fault, SignInError, SignIns, Site};
use crate::proxy::canonical::Canonical;
use crate::proxy::core::{Core, View};
use crate::proxy::denial::Refused;
use crate::proxy::page;

enum Endpoint {
    SignIn,
    Callback,
    SignOut,
    SignedOut,
}

/// Answers `path` below the reserved prefix. Where nobody signs in with a browser there is nothing here.
pub(super) async fn answer(
    core: &Core,
    view: &View,
    listener: usize,
    headers: &HeaderMap,
    (canonical, path): (&Canonical, &str),
) -> Result<Response<Bytes>, Refused> {
    let endpoint = match path {
        "sign-in" => Endpoint::SignIn,
        "callback" => Endpoint::Callback,
        "sign-out" => Endpoint::SignOut,
        "signed-out" => Endpoint::SignedOut,
        _ => return Err(Refused::NotFound),
    };
    let sign_ins = core.identities.sign_ins().ok_or(Refused::NotFound)?;
    let site = &view.rules.listeners.get(listener).ok_or(Refused::Internal)?.site;
    let query = canonical.query().unwrap_or_default();
    let reads = canonical.method == Method::GET || canonical.method == Method::HEAD;
    Ok(match endpoint {
        Endpoint::SignOut if canonical.method == Method::POST => sign_out(sign_ins, site, headers).await?,
        Endpoint::SignOut if !reads => not_allowed("GET, HEAD, POST"),
        _ if !reads => not_allowed("GET, HEAD"),
        Endpoint::SignIn => sign_in(sign_ins, site, headers, query).await,
        Endpoint::Callback => callback(sign_ins, site, headers, query).await,
        Endpoint::SignOut => ask_to_sign_out(sign_ins, site, headers),
        Endpoint::SignedOut => signed_out(site),
    })
}

async fn sign_in(sign_ins: &SignIns, site: &Site, headers: &HeaderMap, query: &str) -> Response<Bytes> {
    match sign_ins.begin(site, headers, query).await {
        Ok(Begun::Onward { location, cookies }) => onward(StatusCode::FOUND, &location, cookies),
        Ok(Begun::Choose(offers)) => {
            let body = html! {
                p { "Who knows you?" }
                @for offer in &offers { p { a.button.main href=(site.sign_in(&offer.query)) { (offer.name) } } }
            };
            shell(StatusCode::OK, "Sign in", None, &body)
        }
        Err(error) => failed(site, &error),
    }
}

async fn callback(sign_ins: &SignIns, site: &Site, headers: &HeaderMap, query: &str) -> Response<Bytes> {
    match sign_ins.finish(site, headers, query).await {
        Ok(finished) => onward(StatusCode::SEE_OTHER, &finished.return_to, finished.cookies),
        Err(error) => failed(site, &error),
    }
}

/// A link alone signs nobody out: it could stand on any page.
fn ask_to_sign_out(sign_ins: &SignIns, site: &Site, headers: &HeaderMap) -> Response<Bytes> {
    if !sign_ins.is_presented(site, headers) {
        return signed_out(site);
    }
    let body = html! {
        p { "This ends your sign-in at this address, here and at the service you signed in with." }
        form method="post" action="/.hallpass/sign-out" { p { button.button.main type="submit" { "Sign out" } } }
        p { a href="/" { "Stay signed in" } }
    };
    shell(StatusCode::OK, "Sign out?", None, &body)
}

async fn sign_out(sign_ins: &SignIns, site: &Site, headers: &HeaderMap) -> Result<Response<Bytes>, Refused> {
    if !site.made(headers) {
        return Err(Refused::ForeignOrigin);
    }
    let signed_out = match sign_ins.sign_out(site, headers).await {
        Ok(signed_out) => signed_out,
        Err(error) => return Ok(failed(site, &error)),
    };
    // by a page, not by a redirect: the policy of the page whose form was sent may forbid that to lead elsewhere
    let next = signed_out.onward.unwrap_or_else(|| site.signed_out());
    let body = html! {
        p { "You are signed out here." }
        p { a.button.main href=(next) { "Go on" } }
    };
    let mut response = shell(StatusCode::OK, "Signed out", Some(&next), &body);
    add_cookies(&mut response, signed_out.cookies);
    Ok(response)
}

fn signed_out(site: &Site) -> Response<Bytes> {
    let body = html! {
        p { "You are signed out." }
        p { a.button.main href=(site.sign_in("return_to=%2F")) { "Sign in again" } }
    };
    shell(StatusCode::OK, "Signed out", None, &body)
}

fn failed(site: &Site, error: &SignInError) -> Response<Bytes> {
    let status = match error.fault() {
        Fault::Nothing => StatusCode::NOT_FOUND,
        Fault::Request => StatusCode::BAD_REQUEST,
        Fault::Person => StatusCode::FORBIDDEN,
        Fault::Provider => StatusCode::BAD_GATEWAY,
        Fault::Moment => StatusCode::SERVICE_UNAVAILABLE,
    };
    let (again, home) = match error {
        SignInError::FellShort(short) => (short.again.as_deref().map(|query| site.sign_in(query)), None),
        SignInError::NotOffered | SignInError::UnknownProvider => (None, None),
        SignInError::NotSignedOut => (None, Some("/.hallpass/sign-out")),
        _ => (Some(site.sign_in("return_to=%2F")), Some("/")),
    };
    let body = html! {
        @for sentence in error.sentences() { (page::sentence(&sentence)) }
        @if let Some(again) = &again { p { a.button.main href=(again) { "Sign in again" } } }
        @if let Some(home) = home { p { a href=(home) { "Go on" } } }
        p.dim { "Code " code { (error.code()) } " · status " (status.as_u16()) }
    };
    shell(status, error.title(), None, &body)
}

fn onward(status: StatusCode, location: &str, cookies: Vec<HeaderValue>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    match HeaderValue::try_from(location) {
        Ok(location) => drop(headers.insert(LOCATION, location)),
        Err(_) => *response.status_mut() = StatusCode::BAD_GATEWAY,
    }
    add_cookies(&mut response, cookies);
    response
}

fn add_cookies(response: &mut Response<Bytes>, cookies: Vec<HeaderValue>) {
    for cookie in cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

fn not_allowed(methods: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A page; with `next` the browser goes on by itself.
fn shell(status: StatusCode, title: &str, next: Option<&str>, body: &Markup) -> Response<Bytes> {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                @if let Some(next) = next { meta http-equiv="refresh" content=(format!("0; url={next}")); }
                title { (title) " · hallpass" }
                style { (PreEscaped(page::STYLE)) }
            }
            body { main { h1 { (title) } (body) } }
        }
    };
    let mut response = Response::new(Bytes::from(markup.into_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // with `no-referrer` browsers would send `Origin: null` with our own form
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    let policy = page::CONTENT_SECURITY_POLICY.replace("form-action 'none'", "form-action 'self'");
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}
