//! The pages, as a browser asks for them.

mod activate;
mod home;
mod long;
pub(super) mod many;
mod outside;
mod problem;
mod request;
mod trouble;

use std::collections::HashSet;

use axum::body::Body;
use http::{Method, Request};
use regex::Regex;

use super::world::{Answer, PORTAL, Who, World};
use crate::portal::pages::form::encoded;

/// What somebody could try to smuggle into a page.
const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>\u{202e}{{7*7}}";

impl World {
    /// A page as `who`.
    async fn page(&self, who: &Who, path: &str) -> Answer {
        let request = self.visit(who, Method::GET, path).body(Body::empty()).unwrap();
        self.shown(request).await
    }

    /// A form sent from one of our own pages.
    async fn form(&self, who: &Who, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request =
            self.visit(who, Method::POST, path).header("origin", PORTAL).header("sec-fetch-site", "same-origin");
        self.shown(request.header("content-type", "application/x-www-form-urlencoded").body(sent(fields)).unwrap())
            .await
    }

    fn visit(&self, who: &Who, method: Method, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.token(who)))
            .header("accept", "text/html,application/xhtml+xml;q=0.9")
            .header("sec-fetch-mode", "navigate")
    }

    async fn shown(&self, request: Request<Body>) -> Answer {
        let answer = self.ask_plainly(request).await;
        if answer.status.is_redirection() {
            assert!(answer.bytes.is_empty());
        } else {
            sound(&answer);
        }
        answer
    }
}

fn sent(fields: &[(&str, &str)]) -> Body {
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    Body::from(pairs.join("&"))
}

/// What holds for every page: it is whole, names its language and itself, and brings no script or style of its own.
#[track_caller]
fn sound(answer: &Answer) {
    let text = answer.text();
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{}: {text}", answer.status);
    assert_eq!(
        answer.header("content-security-policy"),
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    assert_eq!(answer.header("referrer-policy"), "same-origin", "`no-referrer` takes the origin from our own forms");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(text.starts_with("<!DOCTYPE html><html lang=\"en\""), "{text}");
    for once in ["<title>", "<h1>", "<main ", "name=\"viewport\""] {
        assert_eq!(text.matches(once).count(), 1, "{once}: {text}");
    }
    let tags = Regex::new(r"<[a-zA-Z][^>]*>").unwrap();
    let quoted = Regex::new("\"[^\"]*\"").unwrap();
    for tag in tags.find_iter(&text).map(|tag| tag.as_str()) {
        // what is quoted is a value, whatever it says
        let names = quoted.replace_all(tag, "\"\"").into_owned();
        assert!(!names.contains(" style=") && !names.contains(" on"), "{tag}");
        assert!(!tag.starts_with("<style") && !tag.starts_with("<img") && !tag.starts_with("<iframe"), "{tag}");
        assert!(!tag.starts_with("<script") || tag.contains(" src=\"/assets/script-"), "{tag}");
    }
    let ids: Vec<_> = Regex::new(r#" id="([^"]*)""#).unwrap().captures_iter(&text).map(|id| id[1].to_owned()).collect();
    let distinct: HashSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "ids are given once: {ids:?}");
    for named in Regex::new(r#" (?:for|aria-labelledby)="([^"]*)""#).unwrap().captures_iter(&text) {
        assert!(ids.contains(&named[1].to_owned()), "{} names nothing: {text}", &named[0]);
    }
    for link in Regex::new(r#" (?:href|src|action|formaction)="([^"]*)""#).unwrap().captures_iter(&text) {
        let own = link[1].starts_with('/') || link[1].starts_with('#');
        assert!(own || link[1].starts_with("https://shop.example/"), "{}", &link[0]);
    }
    assert!(!text.contains("<script>") && !text.contains("<img"), "{text}");
}

/// The same for pages of somebody unknown, who may be anywhere on their way.
#[track_caller]
fn sound_to_a_stranger(answer: &Answer) {
    sound(answer);
    assert!(!answer.text().contains("<nav") && !answer.text().contains("class=\"account\""), "{}", answer.text());
}

/// The faults told beside the field of this name.
fn faults(answer: &Answer, field: &str) -> Vec<String> {
    let text = answer.text();
    let list = Regex::new(&format!("<ul class=\"faults\" id=\"{field}-faults\">(.*?)</ul>")).unwrap();
    let Some(found) = list.captures(&text) else { return Vec::new() };
    Regex::new("<li>(.*?)</li>").unwrap().captures_iter(&found[1]).map(|fault| fault[1].to_owned()).collect()
}
