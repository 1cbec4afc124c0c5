//! Larder, a small application worth protecting: pages, records, a vault, and everything that stays open for long.
//!
//! It knows nothing of sign-in: who asks and by which right it reads from the headers hallpass adds, and shows them.
//! Whatever it has no path for it answers with what it received, so that tests see what came through.

mod pages;
mod records;
mod streams;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::HeaderMap;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{any, get, post};
use futures_util::StreamExt as _;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The running application; it stops, and hangs up on everybody, when this is dropped.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    larder: Arc<Larder>,
    _server: JoinSet<()>,
}

/// What the application holds.
#[derive(Debug, Default)]
struct Larder {
    records: records::Records,
    requests: AtomicU64,
    streams_open: AtomicUsize,
    stop: CancellationToken,
}

impl Upstream {
    /// Starts on a free port of loopback.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_on(TcpListener::bind(("127.0.0.1", 0)).await?)
    }

    /// Starts on a socket that already listens.
    ///
    /// # Errors
    /// When the socket has no address.
    pub fn start_on(listener: TcpListener) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        let larder = Arc::new(Larder::default());
        let router = router(Arc::clone(&larder));
        let mut server = JoinSet::new();
        server.spawn(async move {
            // accepting goes on after every error, so this ends with the task only
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, larder, _server: server })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its own URL, the one hallpass forwards to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests reached it.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.larder.requests.load(Ordering::Acquire)
    }

    /// How many feeds, event streams and exports are open.
    #[must_use]
    pub fn streams_open(&self) -> usize {
        self.larder.streams_open.load(Ordering::Acquire)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.larder.stop.cancel();
    }
}

fn router(larder: Arc<Larder>) -> Router {
    Router::new()
        .route("/", get(pages::home))
        .route("/account", get(pages::account))
        .route("/records", get(records::list))
        .route("/records/{name}", get(records::read).put(records::write).delete(records::delete))
        .route("/uploads", post(uploaded).put(uploaded))
        .route("/vault", get(records::vault))
        .route("/vault/keys/{name}", get(records::secret))
        .route("/vault/feed", any(streams::feed))
        .route("/vault/events", get(streams::events))
        .route("/vault/export", get(streams::export))
        .fallback(echo)
        // an upload is counted, never kept, so its length does not matter
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(Arc::clone(&larder), counted))
        .with_state(larder)
}

async fn counted(State(larder): State<Arc<Larder>>, request: Request, next: Next) -> Response {
    larder.requests.fetch_add(1, Ordering::AcqRel);
    next.run(request).await
}

/// The request as it arrived: method, target, headers in their order, length of the body.
async fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let headers: Vec<Value> =
        parts.headers.iter().map(|(name, value)| json!([name.as_str(), text_of(value.as_bytes())])).collect();
    let described = json!({
        "method": parts.method.as_str(),
        "target": parts.uri.to_string(),
        "version": format!("{:?}", parts.version),
        "identity": identity(&parts.headers),
        "headers": headers,
    });
    match length(body).await {
        Ok(bytes) => Json(with(described, "body_bytes", json!(bytes))).into_response(),
        Err(cut_off) => cut_off.into_response(),
    }
}

/// How much was uploaded.
async fn uploaded(request: Request) -> Response {
    let by = identity(request.headers());
    match length(request.into_body()).await {
        Ok(bytes) => Json(json!({ "bytes": bytes, "by": by })).into_response(),
        Err(cut_off) => cut_off.into_response(),
    }
}

/// The body broke off before its end.
struct CutOff;

impl IntoResponse for CutOff {
    fn into_response(self) -> Response {
        (axum::http::StatusCode::BAD_REQUEST, "the body broke off\n").into_response()
    }
}

async fn length(body: Body) -> Result<u64, CutOff> {
    let mut chunks = body.into_data_stream();
    let mut bytes = 0_u64;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| CutOff)?;
        bytes = bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
    }
    Ok(bytes)
}

/// The headers by which a proxy says who asks and by which right, as they arrived.
fn identity(headers: &HeaderMap) -> Map<String, Value> {
    let tells = |name: &str| {
        name.starts_with("x-hallpass-")
            || matches!(
                name,
                "x-forwarded-user" | "x-forwarded-email" | "x-forwarded-groups" | "x-forwarded-preferred-username"
            )
    };
    headers
        .iter()
        .filter(|(name, _)| tells(name.as_str()))
        .map(|(name, value)| (name.as_str().to_owned(), json!(text_of(value.as_bytes()))))
        .collect()
}

fn text_of(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
    object
}
