//! A token issuer on loopback with a fresh key: it believes whoever asks, so it is for demos and tests only.

mod keys;
mod people;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::{Form, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::domain::time::Span;

pub use keys::Unusable;
pub use people::{ADA, AUDIENCE, GRACE, PEOPLE, Person, ROOT, TokenOptions, VERA};

/// A running issuer; it stops when this is dropped.
#[derive(Debug)]
pub struct Issuer {
    shared: Arc<Shared>,
    _server: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    url: String,
    clock: Clock,
    keys: RwLock<keys::Keys>,
    keys_served: AtomicU64,
}

impl Issuer {
    /// Starts on a free port of loopback.
    ///
    /// # Errors
    /// When no port can be had, or the cryptography does not work.
    pub async fn start(clock: Clock) -> anyhow::Result<Self> {
        Self::start_on(TcpListener::bind(("127.0.0.1", 0)).await?, clock)
    }

    /// Starts on a socket that already listens.
    ///
    /// # Errors
    /// When the socket has no address, or the cryptography does not work.
    pub fn start_on(listener: TcpListener, clock: Clock) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            address,
            url: format!("http://{address}"),
            clock,
            keys: RwLock::new(keys::Keys::new()?),
            keys_served: AtomicU64::new(0),
        });
        let router = router(Arc::clone(&shared));
        let mut server = JoinSet::new();
        server.spawn(async move {
            // accepting goes on after every error, so this ends with the task only
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { shared, _server: server })
    }

    /// The issuer, as tokens name it in `iss`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// Where its public keys are.
    #[must_use]
    pub fn keys_url(&self) -> String {
        format!("{}{KEYS_PATH}", self.shared.url)
    }

    /// An access token for `person`.
    ///
    /// # Errors
    /// When the cryptography does not work.
    pub fn token(&self, person: &Person, options: &TokenOptions) -> Result<String, Unusable> {
        self.shared.token(person, options)
    }

    /// A token of exactly these bytes, signed with the current key whatever they say.
    ///
    /// # Errors
    /// When the cryptography does not work.
    pub fn sign(&self, header: &[u8], claims: &[u8]) -> Result<String, Unusable> {
        self.shared.keys.read().unwrap_or_else(PoisonError::into_inner).sign(header, claims)
    }

    /// Signs with a new key from now on; the former ones stay published.
    ///
    /// # Errors
    /// When the cryptography does not work.
    pub fn rotate(&self) -> Result<(), Unusable> {
        self.shared.keys.write().unwrap_or_else(PoisonError::into_inner).rotate()
    }

    /// Publishes the current key only, as if the former ones had leaked.
    pub fn forget_former_keys(&self) {
        self.shared.keys.write().unwrap_or_else(PoisonError::into_inner).forget_former();
    }

    /// The `kid` of the key that signs.
    #[must_use]
    pub fn key_id(&self) -> String {
        self.shared.keys.read().unwrap_or_else(PoisonError::into_inner).current_id().to_owned()
    }

    /// The public keys as they are served now.
    #[must_use]
    pub fn keys(&self) -> Value {
        self.shared.published()
    }

    /// How often the public keys were fetched.
    #[must_use]
    pub fn keys_served(&self) -> u64 {
        self.shared.keys_served.load(Ordering::Acquire)
    }
}

impl Shared {
    fn token(&self, person: &Person, options: &TokenOptions) -> Result<String, Unusable> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let header = people::header(keys.current_id(), options);
        let claims = people::claims(&self.url, &keys::random_id()?, person, options, self.clock.now());
        keys.sign(header.to_string().as_bytes(), claims.to_string().as_bytes())
    }

    fn published(&self) -> Value {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).published()
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(explanation))
        .route("/token", post(token))
        .route(KEYS_PATH, get(published))
        .route("/.well-known/openid-configuration", get(discovery))
        .layer(from_fn_with_state(Arc::clone(&shared), addressed_here))
        .with_state(shared)
}

/// Tokens are given to everybody on this machine, but not to a web page that made its own name point here.
async fn addressed_here(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let own = [shared.address.to_string(), format!("localhost:{}", shared.address.port())];
    if own.iter().any(|own| own == host) {
        next.run(request).await
    } else {
        (StatusCode::MISDIRECTED_REQUEST, "this issuer answers on loopback only\n").into_response()
    }
}

/// What may be asked of the token endpoint.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRequest {
    person: String,
    #[serde(default = "yes")]
    mfa: bool,
    /// Minutes until the token ends.
    minutes: Option<u64>,
    #[serde(default, rename = "as")]
    form: AnswerForm,
}

/// How a token is handed out.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AnswerForm {
    /// As OAuth has it.
    #[default]
    Json,
    /// The bare token, for a shell variable.
    Text,
}

const fn yes() -> bool {
    true
}

async fn token(State(shared): State<Arc<Shared>>, Form(request): Form<TokenRequest>) -> Response {
    let Some(person) = Person::named(&request.person) else {
        let names: Vec<_> = PEOPLE.iter().map(|person| person.subject).collect();
        let description = format!("nobody here has that name; there are {}", names.join(", "));
        let body = json!({ "error": "invalid_request", "error_description": description });
        return (StatusCode::BAD_REQUEST, Json(body)).into_response();
    };
    let lifetime = Span::minutes(request.minutes.unwrap_or(60).clamp(1, 60));
    let options = TokenOptions { second_factor: request.mfa, lifetime, ..TokenOptions::default() };
    match shared.token(&person, &options) {
        Ok(token) => {
            let no_store = [(header::CACHE_CONTROL, "no-store")];
            if let AnswerForm::Text = request.form {
                return (no_store, token).into_response();
            }
            let body = json!({ "access_token": token, "token_type": "Bearer", "expires_in": lifetime.as_seconds() });
            (no_store, Json(body)).into_response()
        }
        Err(unusable) => (StatusCode::INTERNAL_SERVER_ERROR, unusable.to_string()).into_response(),
    }
}

async fn published(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.keys_served.fetch_add(1, Ordering::AcqRel);
    Json(shared.published())
}

async fn discovery(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let url = &shared.url;
    Json(json!({
        "issuer": url,
        "jwks_uri": format!("{url}{KEYS_PATH}"),
        "token_endpoint": format!("{url}/token"),
        "response_types_supported": ["token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }))
}

async fn explanation(State(shared): State<Arc<Shared>>) -> String {
    let people: String =
        PEOPLE.iter().map(|person| format!("  {:<7}{:<18}{}\n", person.subject, person.name, person.about)).collect();
    format!(
        "A token issuer for the hallpass demo. Its key was made at start and is gone when the demo ends.\n\
         It believes whoever asks, so it listens on loopback only.\n\n\
         People:\n{people}\n\
         A token for Ada (`mfa=false`: signed in without a second factor; `minutes=1`: short-lived; `as=text`: bare):\n\n  \
         curl -s -d person=ada -d mfa=true {}/token\n",
        shared.url
    )
}

const KEYS_PATH: &str = "/keys";
