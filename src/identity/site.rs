//! A site: one origin at which people sign in, with its cookies and the addresses its providers send people back to.
//!
//! Ports do not isolate cookies, so the names differ for each origin; and since names can be guessed, the origin also stands
//! in the sealed session, which is worth nothing elsewhere.
//!
//! 2026-11: over `https` every cookie is a `__Host-` cookie. Over `http`, which is permitted on loopback only, browsers
//! refuse that prefix (and some `Secure` altogether), so the names do without it there.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE32_NOPAD;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// One origin at which people sign in. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Site {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    origin: String,
    kind: Kind,
    session_cookie: String,
    browser_cookie: String,
}

/// What stands at the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The application behind the gate: links from anywhere must find people signed in.
    Gate,
    /// The portal.
    Portal,
}

impl Site {
    /// The gate at `public_url`, an origin without a path.
    #[must_use]
    pub fn gate(public_url: &str) -> Self {
        Self::new(public_url, Kind::Gate)
    }

    /// The portal at `public_url`, an origin without a path.
    #[must_use]
    pub fn portal(public_url: &str) -> Self {
        Self::new(public_url, Kind::Portal)
    }

    fn new(public_url: &str, kind: Kind) -> Self {
        let origin = public_url.trim_end_matches('/').to_owned();
        let tag = BASE32_NOPAD.encode(digest(&SHA256, origin.as_bytes()).as_ref()).to_ascii_lowercase();
        let tag = tag.get(..TAG_LENGTH).unwrap_or_default();
        let prefix = if origin.starts_with("https://") { "__Host-" } else { "" };
        let session_cookie = format!("{prefix}hallpass_{tag}");
        let browser_cookie = format!("{session_cookie}_browser");
        Self { inner: Arc::new(Inner { origin, kind, session_cookie, browser_cookie }) }
    }

    /// The origin, without a slash at its end.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.inner.origin
    }

    /// The redirect URI that must be registered with every provider.
    #[must_use]
    pub fn callback(&self) -> String {
        self.below("callback")
    }

    /// Where a provider may send people after they signed out there: to be registered too.
    #[must_use]
    pub fn signed_out(&self) -> String {
        self.below("signed-out")
    }

    fn below(&self, name: &str) -> String {
        match self.inner.kind {
            Kind::Gate => format!("{}/.hallpass/{name}", self.inner.origin),
            Kind::Portal => format!("{}/{name}", self.inner.origin),
        }
    }

    /// Where people begin to sign in, with this query.
    #[must_use]
    pub fn sign_in(&self, query: &str) -> String {
        format!("{}?{query}", self.below("sign-in"))
    }

    /// Whether a page of this very site made the request: every `Origin` and `Sec-Fetch-Site` says so, and one is there.
    #[must_use]
    pub fn made(&self, headers: &HeaderMap) -> bool {
        let all = |name: &str, expected: &str| {
            let mut values = headers.get_all(name).iter();
            values.next().map(|first| {
                std::iter::once(first)
                    .chain(values)
                    .all(|value| value.as_bytes().eq_ignore_ascii_case(expected.as_bytes()))
            })
        };
        match (all("origin", &self.inner.origin), all("sec-fetch-site", "same-origin")) {
            (None, None) => false,
            (origin, site) => origin.unwrap_or(true) && site.unwrap_or(true),
        }
    }

    /// Whether the cookie of a session is sent only with requests that begin at this very site, so that whoever comes back
    /// from a provider is not yet known on the first request.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.inner.kind == Kind::Portal
    }

    /// The secret of the session, when exactly one well-formed cookie holds one.
    pub(super) fn session<'h>(&self, headers: &'h HeaderMap) -> Presented<'h> {
        presented(headers, &self.inner.session_cookie)
    }

    /// The secret that names the browser while somebody signs in.
    pub(super) fn browser<'h>(&self, headers: &'h HeaderMap) -> Presented<'h> {
        presented(headers, &self.inner.browser_cookie)
    }

    /// Hands out a session; the browser forgets it when `seconds` have passed.
    pub(super) fn set_session(&self, secret: &str, seconds: u64) -> HeaderValue {
        let same_site = if self.is_strict() { "Strict" } else { "Lax" };
        self.set(&self.inner.session_cookie, secret, same_site, seconds)
    }

    /// Names the browser for as long as a sign-in may take. Never strict: the way back from a provider is cross-site.
    pub(super) fn set_browser(&self, secret: &str, seconds: u64) -> HeaderValue {
        self.set(&self.inner.browser_cookie, secret, "Lax", seconds)
    }

    /// Takes the session's cookie back.
    #[must_use]
    pub fn clear_session(&self) -> HeaderValue {
        self.set_session("", 0)
    }

    fn set(&self, name: &str, value: &str, same_site: &str, seconds: u64) -> HeaderValue {
        let secure = if self.inner.origin.starts_with("https://") { "; Secure" } else { "" };
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite={same_site}; Max-Age={seconds}{secure}");
        // made of letters, digits and signs of our own
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
    }
}

/// What a request carries under one cookie name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presented<'h> {
    /// No such cookie.
    Nothing,
    /// One cookie; what it says is for others to judge.
    One(&'h [u8]),
    /// Several: nobody can tell which is meant, so none is.
    Several,
}

impl<'h> Presented<'h> {
    /// The value, when there is exactly one.
    pub(super) const fn one(self) -> Option<&'h [u8]> {
        match self {
            Self::One(value) => Some(value),
            Self::Nothing | Self::Several => None,
        }
    }
}

/// Cookies are read byte for byte and their names compared exactly.
fn presented<'h>(headers: &'h HeaderMap, name: &str) -> Presented<'h> {
    let mut found = Presented::Nothing;
    for line in headers.get_all(COOKIE) {
        for pair in line.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii) {
            let Some(value) = pair.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"=")) else {
                continue;
            };
            found = match found {
                Presented::Nothing => Presented::One(value),
                Presented::One(_) | Presented::Several => return Presented::Several,
            };
        }
    }
    found
}

const TAG_LENGTH: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn with(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (COOKIE, HeaderValue::from_str(line).unwrap())).collect()
    }

    #[test]
    fn one_cookie_counts_and_several_count_for_none() {
        let site = Site::gate("https://shop.test");
        let name = site.inner.session_cookie.clone();
        let one = |value: &'static [u8]| Presented::One(value);
        let table: [(&[String], Presented<'_>); 10] = [
            (&[], Presented::Nothing),
            (&[format!("{name}=abc")], one(b"abc")),
            (&[format!("a=1; {name}=abc; b=2")], one(b"abc")),
            (&["a=1".to_owned(), format!("{name}=abc")], one(b"abc")),
            (&[format!("{name}=abc; {name}=def")], Presented::Several),
            (&[format!("{name}=abc"), format!("{name}=abc")], Presented::Several),
            (&[format!("{name}_browser=abc")], Presented::Nothing),
            (&[format!("{}=abc", name.to_uppercase())], Presented::Nothing),
            (&[format!("x{name}=abc")], Presented::Nothing),
            (&[format!("{name}=")], one(b"")),
        ];
        for (lines, expected) in table {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            assert_eq!(site.session(&with(&lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn names_differ_for_each_origin_and_port() {
        let names: Vec<String> = [
            "https://shop.test",
            "https://shop.test:8443",
            "https://pass.test",
            "http://127.0.0.1:1",
            "http://127.0.0.1:2",
        ]
        .iter()
        .map(|url| Site::gate(url).inner.session_cookie.clone())
        .collect();
        let distinct: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
        assert!(names.iter().take(3).all(|name| name.starts_with("__Host-hallpass_")), "{names:?}");
    }

    #[test]
    fn cookies_are_out_of_reach_for_scripts_and_other_sites() {
        let gate = Site::gate("https://shop.test/").set_session("abc", 60);
        let gate = gate.to_str().unwrap();
        for part in ["=abc;", "Path=/", "HttpOnly", "Secure", "SameSite=Lax", "Max-Age=60"] {
            assert!(gate.contains(part), "{part} in {gate}");
        }
        assert!(!gate.contains("Domain"));
        let portal = Site::portal("https://pass.test");
        assert!(portal.set_session("abc", 60).to_str().unwrap().contains("SameSite=Strict"));
        assert!(portal.set_browser("abc", 60).to_str().unwrap().contains("SameSite=Lax"));
        assert!(portal.clear_session().to_str().unwrap().contains("Max-Age=0"));
        let local = Site::gate("http://127.0.0.1:8080").set_session("abc", 60);
        assert!(!local.to_str().unwrap().contains("Secure") && !local.to_str().unwrap().contains("__Host-"));
    }

    #[test]
    fn only_its_own_pages_make_requests_that_count() {
        let site = Site::portal("https://pass.test");
        let made = |given: &[(&'static str, &'static str)]| {
            let headers = given
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)));
            let mut all = HeaderMap::new();
            for (name, value) in headers {
                all.append(name, value);
            }
            site.made(&all)
        };
        assert!(made(&[("origin", "https://pass.test")]));
        assert!(made(&[("sec-fetch-site", "same-origin")]));
        assert!(made(&[("origin", "https://pass.test"), ("sec-fetch-site", "same-origin")]));
        for refused in [
            &[][..],
            &[("origin", "null")],
            &[("origin", "https://shop.test")],
            &[("origin", "http://pass.test")],
            &[("origin", "https://pass.test:444")],
            &[("origin", "https://pass.test"), ("origin", "https://shop.test")],
            &[("origin", "https://pass.test"), ("sec-fetch-site", "same-site")],
            &[("origin", "null"), ("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
            &[("sec-fetch-site", "cross-site")],
        ] {
            assert!(!made(refused), "{refused:?}");
        }
    }

    #[test]
    fn providers_send_people_back_to_the_origin_itself() {
        let gate = Site::gate("https://shop.test");
        assert_eq!(gate.callback(), "https://shop.test/.hallpass/callback");
        assert_eq!(gate.signed_out(), "https://shop.test/.hallpass/signed-out");
        let portal = Site::portal("https://pass.test");
        assert_eq!(portal.callback(), "https://pass.test/callback");
        assert_eq!(portal.signed_out(), "https://pass.test/signed-out");
    }
}
