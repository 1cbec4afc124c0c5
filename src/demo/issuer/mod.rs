//! A small OpenID provider on loopback with a fresh key: it believes whoever asks, so it is for demos and tests only.
//!
//! Browsers come to it through the authorization code flow, as they would to a company's identity provider; `curl` gets a
//! token for the asking.

mod authorize;
mod browser;
mod client;
mod handed;
mod keys;
mod logout;
mod pages;
mod parameters;
mod people;
mod sign_in;
#[cfg(test)]
mod tests;
mod token;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::demo::stage::client;
use sign_in::Memory;

pub use client::Client;
pub use keys::Unusable;
pub use people::{ADA, AUDIENCE, GRACE, PASSWORD, PEOPLE, Person, ROOT, TWO_FACTORS, TokenOptions, VERA};

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
    memory: Mutex<Memory>,
    /// Tells clients that somebody signed out.
    http: reqwest::Client,
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
            memory: Mutex::new(Memory::new()),
            http: client()?,
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

    /// Lets people sign in to this client; a former one of the same id goes.
    pub fn register(&self, client: Client) {
        let mut memory = self.shared.memory();
        memory.clients.retain(|former| former.id != client.id);
        memory.clients.push(client);
    }

    /// Sets claims over what the person with this subject carries, in every token that a sign-in, a refresh or the token endpoint
    /// makes from now on; null removes one.
    pub fn change(&self, subject: &str, claims: Map<String, Value>) {
        let mut memory = self.shared.memory();
        memory.changed.retain(|(former, _)| former != subject);
        memory.changed.push((subject.to_owned(), claims));
    }

    /// Ends every sign-in of this person; returns how many clients were told and said that they understood.
    pub async fn sign_out(&self, subject: &str) -> usize {
        logout::end(&self.shared, |sign_in| sign_in.person.subject == subject).await
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
        self.shared.keys().sign(header, claims)
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
        self.shared.keys().current_id().to_owned()
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
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keys(&self) -> RwLockReadGuard<'_, keys::Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn token(&self, person: &Person, options: &TokenOptions) -> Result<String, Unusable> {
        let keys = self.keys();
        let header = people::header(keys.current_id(), options);
        let claims = people::claims(&self.url, &keys::random_id()?, person, options, self.clock.now());
        keys.sign(header.to_string().as_bytes(), claims.to_string().as_bytes())
    }

    fn published(&self) -> Value {
        self.keys().published()
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(explanation))
        .route(browser::FOLDER, get(home))
        .route(AUTHORIZE_PATH, get(authorize::page).post(authorize::chosen))
        .route(END_SESSION_PATH, get(logout::asked).post(logout::asked_by_form))
        .route(TOKEN_PATH, post(token::endpoint))
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

async fn published(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.keys_served.fetch_add(1, Ordering::AcqRel);
    Json(shared.published())
}

async fn discovery(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let at = |path: &str| format!("{}{path}", shared.url);
    Json(json!({
        "issuer": shared.url,
        "authorization_endpoint": at(AUTHORIZE_PATH),
        "token_endpoint": at(TOKEN_PATH),
        "jwks_uri": at(KEYS_PATH),
        "end_session_endpoint": at(END_SESSION_PATH),
        "scopes_supported": ["openid", "profile", "email", "groups", "offline_access"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "acr_values_supported": authorize::ACR_VALUES,
        "claims_supported": ["sub", "name", "email", "email_verified", "groups", "amr", "acr", "auth_time", "sid"],
        "prompt_values_supported": ["none", "login", "select_account"],
        "authorization_response_iss_parameter_supported": true,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "claims_parameter_supported": false,
    }))
}

/// Who is signed in here in this browser, with a way out.
async fn home(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let now = shared.clock.now();
    let signed_in = browser::cookie(&headers).and_then(|cookie| shared.memory().sign_ins.find(&cookie, now).cloned());
    pages::home(signed_in.map(|sign_in| sign_in.person).as_ref())
}

/// For `curl`; a browser is better served with a page.
async fn explanation(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|accepts| accepts.to_str().ok()).unwrap_or_default();
    if accepts.contains("text/html") {
        return Redirect::to(browser::FOLDER).into_response();
    }
    let people: String =
        PEOPLE.iter().map(|person| format!("  {:<7}{:<18}{}\n", person.subject, person.name, person.about)).collect();
    let told = format!(
        "An OpenID provider for the hallpass demo. Its key was made at start and is gone when the demo ends.\n\
         It believes whoever asks, so it listens on loopback only.\n\n\
         People:\n{people}\n\
         A token for Ada (`mfa=false`: signed in without a second factor; `minutes=1`: short-lived; `as=text`: bare):\n\n  \
         curl -s -d person=ada -d mfa=true {}{TOKEN_PATH}\n",
        shared.url
    );
    told.into_response()
}

const KEYS_PATH: &str = "/keys";
const TOKEN_PATH: &str = "/token";
const AUTHORIZE_PATH: &str = "/oidc/authorize";
const END_SESSION_PATH: &str = "/oidc/end-session";
