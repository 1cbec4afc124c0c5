//! `Idempotency-Key`: the same key and the same request give the same answer, the same key and another request none.

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use http::request::Parts;
use http::{HeaderMap, Method, Uri, header};

use crate::portal::caller::single;
use crate::portal::problem::{Kind, Problem};
use crate::store::Idempotency;

/// The key of a request and all that tells it from another, before its body is known.
pub(super) struct Key {
    key: Option<String>,
    /// Method, path and precondition.
    asked: Vec<u8>,
}

impl Key {
    pub(super) fn of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Self, Problem> {
        let key = single(headers, "idempotency-key")?;
        if let Some(key) = key
            && (key.is_empty() || key.len() > KEY_BYTES_MAX || !key.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            let detail = format!("an idempotency key is 1 to {KEY_BYTES_MAX} visible ASCII characters");
            return Err(Problem::new(Kind::INVALID_HEADER, detail));
        }
        let precondition = headers.get(header::IF_MATCH).map_or(&b""[..], http::HeaderValue::as_bytes);
        let asked = framed([method.as_str().as_bytes(), uri.path().as_bytes(), precondition]);
        Ok(Self { key: key.map(str::to_owned), asked })
    }

    /// The key of a form about many things, by the hidden field that tells one showing of it from another.
    pub(super) fn of_form(path: &str, once: Option<&str>) -> Self {
        let key = once.filter(|once| once.len() <= KEY_BYTES_MAX / 2).map(|once| format!("form-{once}"));
        Self { key, asked: framed([b"form", path.as_bytes()]) }
    }

    /// With the body, which is compared in canonical form: white space and order of members do not matter.
    pub(super) fn with(self, body: &[u8]) -> Result<Option<Idempotency>, Problem> {
        let Some(key) = self.key else { return Ok(None) };
        let digest = digest_of(&self.asked, &canonical(body)?);
        Ok(Some(Idempotency { key, digest }))
    }

    /// The key of one line of many, named by what it is about.
    pub(super) fn line(&self, about: &str, line: &[u8]) -> Option<Idempotency> {
        let key = self.key.as_ref()?;
        let name = digest(&SHA256, &framed([key.as_bytes(), about.as_bytes()]));
        Some(Idempotency {
            key: format!("line-{}", HEXLOWER.encode(name.as_ref())),
            digest: digest_of(&self.asked, line),
        })
    }
}

impl axum::extract::FromRequestParts<crate::portal::Portal> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &crate::portal::Portal) -> Result<Self, Problem> {
        Self::of(&parts.method, &parts.uri, &parts.headers)
    }
}

const KEY_BYTES_MAX: usize = 255;

fn canonical(body: &[u8]) -> Result<Vec<u8>, Problem> {
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let invalid = || Problem::new(Kind::INVALID_BODY, "the body has no canonical form");
    let value: serde_json::Value = serde_json::from_slice(body).map_err(|_| invalid())?;
    serde_json_canonicalizer::to_vec(&value).map_err(|_| invalid())
}

fn digest_of(asked: &[u8], body: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    let digest = digest(&SHA256, &framed([asked, body]));
    for (to, from) in bytes.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    bytes
}

/// Parts, each after its length: no two lists of parts share their bytes.
fn framed<const N: usize>(parts: [&[u8]; N]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn key(path: &'static str, headers: &[(&'static str, &'static str)]) -> Result<Key, Problem> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        Key::of(&Method::POST, &Uri::from_static(path), &map)
    }

    fn digest_for(path: &'static str, if_match: &'static str, body: &str) -> [u8; 32] {
        let key = key(path, &[("idempotency-key", "k"), ("if-match", if_match)]).unwrap();
        key.with(body.as_bytes()).unwrap().unwrap().digest
    }

    #[test]
    fn the_same_request_has_the_same_digest_however_it_is_spaced() {
        let first = digest_for("/a", "\"1\"", r#"{"role":"a/b","duration":"1h"}"#);
        assert_eq!(first, digest_for("/a", "\"1\"", "{ \"duration\": \"1h\",\n\"role\":\"a\\u002fb\"}"));
        assert_ne!(first, digest_for("/b", "\"1\"", r#"{"role":"a/b","duration":"1h"}"#));
        assert_ne!(first, digest_for("/a", "\"2\"", r#"{"role":"a/b","duration":"1h"}"#));
        assert_ne!(first, digest_for("/a", "\"1\"", r#"{"role":"a/b","duration":"2h"}"#));
        assert_ne!(first, digest_for("/a", "\"1\"", ""));
    }

    #[test]
    fn keys_are_short_visible_and_single() {
        assert!(key("/a", &[]).unwrap().with(b"{}").unwrap().is_none());
        assert!(key("/a", &[("idempotency-key", "")]).is_err());
        assert!(key("/a", &[("idempotency-key", "a b")]).is_err());
        assert!(key("/a", &[("idempotency-key", "a"), ("idempotency-key", "a")]).is_err());
        for (length, fits) in [(255, true), (256, false)] {
            let mut map = HeaderMap::new();
            map.insert("idempotency-key", HeaderValue::try_from("k".repeat(length)).unwrap());
            assert_eq!(Key::of(&Method::POST, &Uri::from_static("/a"), &map).is_ok(), fits, "{length}");
        }
    }

    #[test]
    fn lines_of_one_request_have_keys_of_their_own() {
        let key = key("/a", &[("idempotency-key", "k")]).unwrap();
        let (first, second) = (key.line("act_1", b"x").unwrap(), key.line("act_2", b"x").unwrap());
        assert_ne!(first.key, second.key);
        assert_eq!(first, key.line("act_1", b"x").unwrap());
        assert_ne!(first.digest, key.line("act_1", b"y").unwrap().digest);
    }
}
