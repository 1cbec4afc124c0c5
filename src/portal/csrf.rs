//! Requests that another site made a browser send change nothing here.
//!
//! Origin and Fetch Metadata are checked whoever asks. A bearer token, which no browser adds by itself, may come without
//! either; the cookie of a session may not.

use http::{HeaderMap, Method, header};

use crate::identity::Site;
use crate::portal::problem::{Kind, Problem};

/// Refuses what would change state and comes from another origin than `own_origin`.
pub(super) fn check(method: &Method, headers: &HeaderMap, own_origin: &str) -> Result<(), Problem> {
    if method.is_safe() {
        return Ok(());
    }
    let same = |name: &str, allowed: &[&str]| {
        headers.get_all(name).iter().all(|value| allowed.iter().any(|allowed| value.as_bytes() == allowed.as_bytes()))
    };
    // the protected app is often a sibling of this origin: same-site is not near enough
    if same("sec-fetch-site", &["same-origin", "none"]) && same(header::ORIGIN.as_str(), &[own_origin]) {
        Ok(())
    } else {
        Err(Problem::new(Kind::CROSS_SITE, "the request comes from another origin"))
    }
}

/// Refuses what would change state by a cookie, unless a page of this very origin sent it.
pub(super) fn check_session(method: &Method, headers: &HeaderMap, site: &Site) -> Result<(), Problem> {
    if method.is_safe() || site.made(headers) {
        return Ok(());
    }
    Err(Problem::new(Kind::CROSS_SITE, "nothing says that a page of this portal sent the request"))
}

/// The origin, as browsers write it, of an absolute URL: scheme, host, and a port other than the scheme's own.
pub(super) fn origin_of(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"))?;
    let authority = uri.authority()?;
    if authority.as_str().contains('@') {
        return None;
    }
    let host = authority.host().to_ascii_lowercase();
    Some(match (scheme, authority.port_u16()) {
        ("https", Some(443)) | ("http", Some(80)) | (_, None) => format!("{scheme}://{host}"),
        (_, Some(port)) => format!("{scheme}://{host}:{port}"),
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const OWN: &str = "https://pim.example";

    fn passes(method: &Method, given: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, HeaderValue::from_static(value));
        }
        check(method, &headers, OWN).is_ok()
    }

    #[test]
    fn only_the_own_origin_and_clients_that_are_no_browsers_change_state() {
        for method in [Method::POST, Method::PATCH, Method::DELETE, Method::PUT] {
            assert!(passes(&method, &[]));
            assert!(passes(&method, &[("origin", OWN), ("sec-fetch-site", "same-origin")]));
            assert!(passes(&method, &[("sec-fetch-site", "none")]));
            for refused in [
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-site", "same-site"),
                ("sec-fetch-site", "Same-Origin"),
                ("sec-fetch-site", ""),
                ("origin", "https://app.example"),
                ("origin", "http://pim.example"),
                ("origin", "https://pim.example:444"),
                ("origin", "https://pim.example.evil.example"),
                ("origin", "null"),
            ] {
                assert!(!passes(&method, &[refused]), "{refused:?}");
            }
            assert!(!passes(&method, &[("origin", OWN), ("origin", "https://app.example")]), "every value counts");
        }
    }

    #[test]
    fn reading_is_left_to_the_same_origin_policy() {
        assert!(passes(&Method::GET, &[("sec-fetch-site", "cross-site"), ("origin", "https://app.example")]));
    }

    #[test]
    fn origins_are_written_as_browsers_do() {
        for (url, origin) in [
            ("https://pim.example/", Some("https://pim.example")),
            ("https://PIM.example:443/base", Some("https://pim.example")),
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("https://user@pim.example", None),
            ("ftp://pim.example", None),
            ("/activate", None),
            ("javascript:alert(1)", None),
        ] {
            assert_eq!(origin_of(url).as_deref(), origin, "{url}");
        }
    }
}
