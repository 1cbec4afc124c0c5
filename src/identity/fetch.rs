//! Key sets from file and network, with every limit an issuer that is slow, huge, moved or lying could run into.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::header::{ACCEPT, CACHE_CONTROL};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use tokio::sync::OnceCell;

use super::json;
use super::settings::{IssuerSettings, KeySource};
use crate::domain::time::Span;

/// A key set as it was read.
#[derive(Debug)]
pub(super) struct Fetched {
    /// The bytes.
    pub(super) content: Vec<u8>,
    /// How long the server says they are fresh.
    pub(super) fresh_for: Option<Span>,
}

/// Why no key set could be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum FetchError {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    File(std::io::ErrorKind),
    /// No connection, or it broke.
    #[error("the server cannot be reached")]
    Unreachable,
    /// Too slow.
    #[error("the server does not answer in time")]
    Timeout,
    /// Anything but 200; redirects are not followed.
    #[error("the server answers {0}")]
    Status(u16),
    /// More than the limit.
    #[error("longer than 512 KiB")]
    TooLarge,
    /// The discovery document does not name this issuer and a permitted key URL.
    #[error("the discovery document is not usable: {0}")]
    Discovery(&'static str),
    /// The content is no key set with a usable key.
    #[error("the key set is not usable: {0}")]
    Keys(&'static str),
}

impl FetchError {
    /// The value of the `result` label.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Status(_) => "status",
            Self::TooLarge => "too_large",
            Self::Discovery(_) => "discovery",
            Self::Keys(_) => "keys",
        }
    }
}

/// Reads key sets. The client behind it is built when first needed: it reads the machine's certificates.
#[derive(Debug)]
pub(super) struct Fetcher {
    client: OnceCell<Client>,
    /// For each exchange, from the connection to the last byte.
    pub(super) timeout: Duration,
}

impl Default for Fetcher {
    fn default() -> Self {
        Self { client: OnceCell::new(), timeout: TIMEOUT }
    }
}

impl Fetcher {
    /// With another time for each exchange.
    pub(super) fn waiting(timeout: Duration) -> Self {
        Self { timeout, ..Self::default() }
    }

    /// Reads the key set of an issuer from wherever its settings say.
    pub(super) async fn fetch(&self, issuer: &IssuerSettings) -> Result<Fetched, FetchError> {
        match &issuer.keys {
            KeySource::File(path) => {
                let path: PathBuf = path.clone();
                let read = tokio::task::spawn_blocking(move || file(&path)).await;
                let content = read.unwrap_or(Err(FetchError::File(std::io::ErrorKind::Other)))?;
                Ok(Fetched { content, fresh_for: None })
            }
            KeySource::Url(url) => self.get(permitted(url).ok_or(FetchError::Unreachable)?).await,
            KeySource::Discovery => {
                let base = issuer.issuer.trim_end_matches('/');
                let url = permitted(&format!("{base}/.well-known/openid-configuration"));
                let url = url.ok_or(FetchError::Discovery("the issuer is no permitted URL"))?;
                let scheme = url.scheme().to_owned();
                let document = self.get(url).await?;
                let keys = key_url(&document.content, &issuer.issuer).map_err(FetchError::Discovery)?;
                if scheme == "https" && keys.scheme() != "https" {
                    return Err(FetchError::Discovery("its keys are not behind https"));
                }
                self.get(keys).await
            }
        }
    }

    /// Reads what stands at a permitted URL.
    pub(super) async fn get(&self, url: Url) -> Result<Fetched, FetchError> {
        let client = self.client.get_or_try_init(client).await?;
        let request = client.get(url).timeout(self.timeout).header(ACCEPT, "application/json");
        let response = request.send().await.map_err(failure)?;
        if response.status() != http::StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let fresh_for = max_age(&response);
        Ok(Fetched { content: content(response).await?, fresh_for })
    }

    /// Sends a request to a permitted URL, and reads its answer whatever the status.
    pub(super) async fn send(&self, request: http::Request<Vec<u8>>) -> Result<http::Response<Vec<u8>>, FetchError> {
        let client = self.client.get_or_try_init(client).await?;
        let (parts, body) = request.into_parts();
        let url = permitted(&parts.uri.to_string()).ok_or(FetchError::Unreachable)?;
        let request = client.request(parts.method, url).headers(parts.headers).body(body).timeout(self.timeout);
        let response = request.send().await.map_err(failure)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut answer = http::Response::new(content(response).await?);
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }
}

async fn content(mut response: Response) -> Result<Vec<u8>, FetchError> {
    let mut content = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        if BYTES_MAX < content.len() + chunk.len() {
            return Err(FetchError::TooLarge);
        }
        content.extend_from_slice(&chunk);
    }
    Ok(content)
}

/// Proxies named by the environment are not used: what is trusted stands in the configuration.
async fn client() -> Result<Client, FetchError> {
    let builder = Client::builder().redirect(Policy::none()).no_proxy().user_agent("hallpass");
    builder.build().map_err(|_| FetchError::Unreachable)
}

fn failure(error: reqwest::Error) -> FetchError {
    if error.is_timeout() { FetchError::Timeout } else { FetchError::Unreachable }
}

fn max_age(response: &Response) -> Option<Span> {
    let stated = response.headers().get(CACHE_CONTROL)?.to_str().ok()?;
    let directive = stated.split(',').find_map(|directive| directive.trim().strip_prefix("max-age="))?;
    directive.parse().ok().map(Span::seconds)
}

/// Where the discovery document says the keys are, when it is the document of this issuer.
fn key_url(document: &[u8], issuer: &str) -> Result<Url, &'static str> {
    let document = json::object(document).ok_or("not one plain JSON object")?;
    let text = |member: &str| document.get(member).and_then(serde_json::Value::as_str);
    if text("issuer") != Some(issuer) {
        return Err("it speaks of another issuer");
    }
    permitted(text("jwks_uri").ok_or("without `jwks_uri`")?).ok_or("`jwks_uri` is no permitted URL")
}

/// The URL, when keys may be fetched from it: over https, or in the clear from this very machine.
pub(super) fn permitted(url: &str) -> Option<Url> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?;
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    let loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    let private = url.scheme() == "https" || (url.scheme() == "http" && loopback);
    (private && url.username().is_empty() && url.password().is_none()).then_some(url)
}

/// Reads a whole file within the limit.
pub(super) fn file(path: &Path) -> Result<Vec<u8>, FetchError> {
    let failure = |error: std::io::Error| FetchError::File(error.kind());
    let mut content = Vec::new();
    let limit = u64::try_from(BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(path).map_err(failure)?.take(limit).read_to_end(&mut content).map_err(failure)?;
    if BYTES_MAX < content.len() { Err(FetchError::TooLarge) } else { Ok(content) }
}

const BYTES_MAX: usize = 512 * 1024;
const TIMEOUT: Duration = Duration::from_secs(2);
/// For exchanges that a person waits for.
pub(super) const PATIENT_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_https_or_from_this_machine() {
        for url in [
            "https://id.example/keys",
            "http://localhost:8080/keys",
            "http://127.0.0.1/keys",
            "http://127.1.2.3/",
            "http://[::1]:1/keys",
        ] {
            assert!(permitted(url).is_some(), "{url}");
        }
        for url in [
            "http://id.example/keys",
            "http://10.0.0.1/",
            "http://localhost.evil.example/",
            "http://127.0.0.1.nip.io/",
            "ftp://127.0.0.1/",
            "file:///etc/keys",
            "https://ada:secret@id.example/",
            "id.example",
            "",
            "http://[::2]/",
        ] {
            assert!(permitted(url).is_none(), "{url}");
        }
    }

    #[test]
    fn a_discovery_document_speaks_for_its_own_issuer_only() {
        let document = |issuer: &str, keys: &str| format!(r#"{{"issuer":"{issuer}","jwks_uri":"{keys}"}}"#);
        let (own, keys) = ("https://id.example", "https://keys.example/");
        assert!(key_url(document(own, keys).as_bytes(), own).is_ok());
        assert!(key_url(document("https://id.example/", keys).as_bytes(), own).is_err(), "byte for byte");
        assert!(key_url(document("https://evil.example", keys).as_bytes(), own).is_err());
        assert!(key_url(document(own, "http://keys.example/").as_bytes(), own).is_err());
        assert!(key_url(br#"{"issuer":"https://id.example"}"#, own).is_err());
        assert!(key_url(b"<html>", own).is_err());
    }
}
