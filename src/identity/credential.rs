//! The one place a credential comes from: a single `Authorization: Bearer` header.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::error::AuthnError;

/// The bytes of the bearer token; `None` when the request carries no credential.
///
/// What the bytes are is left to [`text`]: a token already known needs no second look.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<&[u8]>, AuthnError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(AuthnError::AmbiguousCredential);
    }
    let (scheme, token) = value.as_bytes().split_at_checked(SCHEME.len()).ok_or(AuthnError::AmbiguousCredential)?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return Err(AuthnError::AmbiguousCredential);
    }
    match token.trim_ascii_start() {
        [] => Err(AuthnError::AmbiguousCredential),
        token => Ok(Some(token)),
    }
}

/// The token as text, when nothing but one token stands in the header.
pub(super) fn text(token: &[u8]) -> Result<&str, AuthnError> {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    if !token.iter().all(fits) {
        return Err(AuthnError::AmbiguousCredential);
    }
    std::str::from_utf8(token).map_err(|_| AuthnError::AmbiguousCredential)
}

const SCHEME: &[u8] = b"Bearer ";

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(values: &[&[u8]]) -> Result<Option<String>, AuthnError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        bearer(&headers)?.map(|token| text(token).map(str::to_owned)).transpose()
    }

    #[test]
    fn one_bearer_token_or_none() {
        assert_eq!(read(&[]), Ok(None));
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER a.b.c", "Bearer   a.b.c"] {
            assert_eq!(read(&[value.as_bytes()]), Ok(Some("a.b.c".to_owned())), "{value}");
        }
    }

    #[test]
    fn whatever_else_is_ambiguous() {
        let single: &[&[u8]] = &[
            b"",
            b"Bearer",
            b"Bearer ",
            b"Basic YTpi",
            b"a.b.c",
            b"Bearer\ta.b.c",
            b"Bearera.b.c",
            b"Bearer a.b.c, Bearer d",
            b"Bearer a b",
            b"Bearer a.b.\xff",
            b"DPoP a.b.c",
            b"Bearer token=\"x\"",
            b"Bearer \xc3\xa9",
        ];
        for value in single {
            assert_eq!(read(&[value]), Err(AuthnError::AmbiguousCredential), "{value:?}");
        }
        assert_eq!(read(&[b"Bearer a.b.c", b"Bearer a.b.c"]), Err(AuthnError::AmbiguousCredential));
        assert_eq!(read(&[b"Bearer a.b.c", b"Basic x"]), Err(AuthnError::AmbiguousCredential));
        assert_eq!(read(&[b"Bearer a.b.c", b""]), Err(AuthnError::AmbiguousCredential));
    }
}
