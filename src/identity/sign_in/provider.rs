//! What a provider says of itself: where people sign in, where codes are redeemed, and what it can do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Url;
use serde_json::Value;

use super::error::SignInError;
use crate::domain::time::{Span, Timestamp};
use crate::identity::fetch::{Fetcher, permitted};
use crate::identity::json;
use crate::identity::settings::IssuerSettings;

/// A provider's metadata (OpenID Connect Discovery 1.0, section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Provider {
    pub(super) authorization: Url,
    pub(super) token: Url,
    pub(super) end_session: Option<Url>,
    /// Whether answers carry `iss` (RFC 9207), so that one without is none of its.
    pub(super) names_itself: bool,
    /// How the client proves itself.
    pub(super) authentication: Authentication,
}

/// How a client proves itself at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Authentication {
    Basic,
    Post,
}

/// Metadata of all providers, as last read.
#[derive(Debug, Default)]
pub(super) struct Providers {
    fetcher: Fetcher,
    known: Mutex<HashMap<String, Known>>,
    /// Held by the one who reads metadata; with it, who could not be read, and until when that is not tried again.
    reading: tokio::sync::Mutex<HashMap<String, (Timestamp, SignInError)>>,
}

#[derive(Debug, Clone)]
struct Known {
    provider: Arc<Provider>,
    read_at: Timestamp,
}

impl Providers {
    pub(super) fn new(fetcher: Fetcher) -> Self {
        Self { fetcher, known: Mutex::default(), reading: tokio::sync::Mutex::default() }
    }

    pub(super) const fn fetcher(&self) -> &Fetcher {
        &self.fetcher
    }

    /// The metadata of an issuer, read anew now and then. What was last read serves while the provider cannot be reached.
    pub(super) async fn of(&self, issuer: &IssuerSettings, now: Timestamp) -> Result<Arc<Provider>, SignInError> {
        if let Some(provider) = self.fresh(issuer, now) {
            return Ok(provider);
        }
        let mut failed = self.reading.lock().await;
        if let Some(provider) = self.fresh(issuer, now) {
            return Ok(provider);
        }
        let known = self.known().get(&*issuer.issuer).cloned();
        if let Some((_, error)) = failed.get(&*issuer.issuer).filter(|(until, _)| now < *until) {
            return known.map(|known| known.provider).ok_or_else(|| error.clone());
        }
        match self.fetch(issuer).await {
            Ok(provider) => {
                let provider = Arc::new(provider);
                let known = Known { provider: Arc::clone(&provider), read_at: now };
                self.known().insert(issuer.issuer.to_string(), known);
                Ok(provider)
            }
            Err(error) => {
                tracing::warn!(issuer = %issuer.name, issuer.url = %issuer.issuer, %error, "the metadata of a provider cannot be read");
                failed.insert(issuer.issuer.to_string(), (now.plus(RETRY_EVERY), error.clone()));
                known.map(|known| known.provider).ok_or(error)
            }
        }
    }

    /// The metadata of an issuer that was read a short time ago.
    pub(super) fn fresh(&self, issuer: &IssuerSettings, now: Timestamp) -> Option<Arc<Provider>> {
        let known = self.known();
        let known = known.get(&*issuer.issuer).filter(|known| now < known.read_at.plus(FRESH_FOR))?;
        Some(Arc::clone(&known.provider))
    }

    /// The metadata of an issuer that was read before, however old.
    pub(super) fn known_of(&self, issuer: &str) -> Option<Arc<Provider>> {
        self.known().get(issuer).map(|known| Arc::clone(&known.provider))
    }

    async fn fetch(&self, issuer: &IssuerSettings) -> Result<Provider, SignInError> {
        let unusable = |why| SignInError::Unusable { issuer: issuer.name.to_string(), why };
        let base = issuer.issuer.trim_end_matches('/');
        let url = permitted(&format!("{base}/.well-known/openid-configuration"));
        let url = url.ok_or_else(|| unusable("its address is not one that is read from"))?;
        let document = self.fetcher.get(url).await.map_err(|error| {
            tracing::warn!(issuer = %issuer.name, %error, "a provider cannot be reached");
            SignInError::Unreachable { issuer: issuer.name.to_string() }
        })?;
        read(&document.content, &issuer.issuer).map_err(unusable)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads metadata, when it is this issuer's.
fn read(document: &[u8], issuer: &str) -> Result<Provider, &'static str> {
    let document = json::object(document).ok_or("its metadata is not one plain JSON object")?;
    let text = |member: &str| document.get(member).and_then(Value::as_str);
    if text("issuer") != Some(issuer) {
        return Err("its metadata speaks of another issuer");
    }
    let https = issuer.starts_with("https://");
    let url = |member: &str| permitted(text(member)?).filter(|url| !https || url.scheme() == "https");
    let authorization = url("authorization_endpoint").ok_or("its metadata names no usable `authorization_endpoint`")?;
    let token = url("token_endpoint").ok_or("its metadata names no usable `token_endpoint`")?;
    let list = |member: &str| -> Option<Vec<&str>> {
        Some(document.get(member)?.as_array()?.iter().filter_map(Value::as_str).collect())
    };
    if list("code_challenge_methods_supported").is_some_and(|methods| !methods.contains(&"S256")) {
        return Err("it does not support PKCE with S256");
    }
    if list("response_types_supported").is_some_and(|types| !types.contains(&"code")) {
        return Err("it does not support the authorization code flow");
    }
    // left out means basic (Discovery, section 3)
    let basic = list("token_endpoint_auth_methods_supported")
        .is_none_or(|methods| methods.contains(&"client_secret_basic") || !methods.contains(&"client_secret_post"));
    Ok(Provider {
        authorization,
        token,
        end_session: url("end_session_endpoint"),
        names_itself: document.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true)),
        authentication: if basic { Authentication::Basic } else { Authentication::Post },
    })
}

const FRESH_FOR: Span = Span::hours(1);
const RETRY_EVERY: Span = Span::seconds(5);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://id.test";

    fn metadata(changes: &Value) -> Vec<u8> {
        let mut document = json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://id.test/authorize",
            "token_endpoint": "https://id.test/token",
            "end_session_endpoint": "https://id.test/end",
            "authorization_response_iss_parameter_supported": true,
        });
        for (name, value) in changes.as_object().unwrap() {
            document[name] = value.clone();
        }
        document.to_string().into_bytes()
    }

    #[test]
    fn metadata_is_read_when_it_is_the_issuers_and_nothing_in_it_is_in_the_clear() {
        let provider = read(&metadata(&json!({})), ISSUER).unwrap();
        assert_eq!(provider.authorization.as_str(), "https://id.test/authorize");
        assert!(provider.names_itself && provider.authentication == Authentication::Basic);
        for changes in [
            json!({"issuer": "https://id.test/"}),
            json!({"issuer": "https://evil.test"}),
            json!({"authorization_endpoint": "http://id.test/authorize"}),
            json!({"authorization_endpoint": "http://127.0.0.1/authorize"}),
            json!({"authorization_endpoint": "javascript:alert(1)"}),
            json!({"token_endpoint": null}),
            json!({"token_endpoint": "http://id.test/token"}),
            json!({"token_endpoint": "https://ada:secret@id.test/token"}),
            json!({"code_challenge_methods_supported": ["plain"]}),
            json!({"response_types_supported": ["id_token"]}),
        ] {
            assert!(read(&metadata(&changes), ISSUER).is_err(), "{changes}");
        }
        assert!(read(b"<html>", ISSUER).is_err());
        let end = read(&metadata(&json!({"end_session_endpoint": "http://id.test/end"})), ISSUER).unwrap().end_session;
        assert_eq!(end, None, "an address nobody may be sent to is as good as none");
    }

    #[test]
    fn the_client_proves_itself_as_the_provider_wants() {
        let way = |methods: &Value| {
            let changes = json!({"token_endpoint_auth_methods_supported": methods});
            read(&metadata(&changes), ISSUER).unwrap().authentication
        };
        assert_eq!(way(&json!(["client_secret_post"])), Authentication::Post);
        assert_eq!(way(&json!(["client_secret_post", "client_secret_basic"])), Authentication::Basic);
        assert_eq!(way(&json!(["private_key_jwt"])), Authentication::Basic);
    }
}
