//! What the provider and a browser say to each other beside the pages: its one cookie, where a form came from, where to go.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use cookie::{Cookie, SameSite};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::demo::issuer::Shared;

/// The value of the provider's cookie.
pub(super) fn cookie(headers: &HeaderMap) -> Option<String> {
    let sent = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut values = sent.flat_map(Cookie::split_parse).flatten().filter(|cookie| cookie.name() == COOKIE);
    values.next().map(|cookie| cookie.value().to_owned())
}

/// Sets the provider's cookie until the browser closes. It goes to the pages of the provider only: the applications of the
/// demo live on the same host, and ports do not keep cookies apart.
pub(super) fn remember(value: &str) -> (HeaderName, String) {
    let cookie = Cookie::build((COOKIE, value)).path(FOLDER).http_only(true).same_site(SameSite::Lax);
    (header::SET_COOKIE, cookie.build().to_string())
}

/// Removes it.
pub(super) fn forget() -> (HeaderName, String) {
    let cookie = Cookie::build((COOKIE, "")).path(FOLDER).http_only(true).same_site(SameSite::Lax);
    (header::SET_COOKIE, cookie.max_age(cookie::time::Duration::ZERO).build().to_string())
}

/// Whether a form was sent by a page of this origin, or by no browser at all.
pub(super) fn is_from_here(headers: &HeaderMap, shared: &Shared) -> bool {
    let own = [shared.url.clone(), format!("http://localhost:{}", shared.address.port())];
    let mut origins = headers.get_all(header::ORIGIN).iter().map(HeaderValue::as_bytes);
    origins.all(|origin| own.iter().any(|own| own.as_bytes() == origin))
}

/// `url` with these parameters at the end of its query.
pub(super) fn with_query<'p>(url: &str, parameters: impl IntoIterator<Item = (&'p str, &'p str)>) -> String {
    let mut whole = url.to_owned();
    for (name, value) in parameters {
        whole.push(if whole.contains('?') { '&' } else { '?' });
        whole.push_str(name);
        whole.push('=');
        whole.extend(utf8_percent_encode(value, PLAIN));
    }
    whole
}

/// The part of the provider that browsers come to.
pub(super) const FOLDER: &str = "/oidc";
const COOKIE: &str = "hallpass_demo_provider";

/// All but what RFC 3986 section 2.3 leaves as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
