//! A browser, a provider that says whatever a test wants, and the two sites between them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::extract::{Form, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue, StatusCode};
use reqwest::Url;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::forge::{NEVER, RSA, World, with};
use crate::domain::time::{Span, Timestamp};
use crate::identity::settings::SignInSettings;
use crate::identity::{
    Begun, Finished, IssuerSettings, Patience, Presence, Session, SignInError, SignInWorker, SignIns, Site,
};

pub(super) const CLIENT: &str = "web";

/// What the provider does.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    /// Laid over its metadata.
    pub(super) metadata: Value,
    /// Laid over the ID token's header and claims.
    pub(super) header: Value,
    pub(super) claims: Value,
    /// Laid over the token response.
    pub(super) response: Value,
    /// Never answers forms that say this.
    pub(super) stalls: Option<(&'static str, &'static str)>,
    /// Status and body instead of a token response.
    pub(super) fails: Option<(u16, Value)>,
}

impl Default for Manner {
    fn default() -> Self {
        let nothing = || json!({});
        Self {
            metadata: nothing(),
            header: nothing(),
            claims: nothing(),
            response: nothing(),
            stalls: None,
            fails: None,
        }
    }
}

#[derive(Clone)]
struct Shared {
    origin: String,
    manner: Arc<Mutex<Manner>>,
    /// The nonce it was sent last, and what the clock says.
    nonce: Arc<Mutex<String>>,
    now: Arc<Mutex<i64>>,
    /// Forms sent to the token endpoint.
    asked: Arc<Mutex<Vec<HashMap<String, String>>>>,
}

/// A house of people who sign in.
pub(super) struct Street {
    pub(super) world: World,
    pub(super) sign_ins: SignIns,
    pub(super) gate: Site,
    pub(super) portal: Site,
    shared: Shared,
    folder: tempfile::TempDir,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

/// The cookies of one browser at one site.
#[derive(Debug, Clone, Default)]
pub(super) struct Browser {
    cookies: HashMap<String, String>,
}

impl Browser {
    pub(super) fn headers(&self) -> HeaderMap {
        let line: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut headers = HeaderMap::new();
        if !line.is_empty() {
            headers.insert(COOKIE, HeaderValue::try_from(line.join("; ")).unwrap());
        }
        headers
    }

    pub(super) fn keep(&mut self, cookies: &[HeaderValue]) {
        for cookie in cookies {
            let text = cookie.to_str().unwrap();
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            if text.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// The session's cookie, as a header would carry it.
    pub(super) fn session(&self) -> Option<(String, String)> {
        let found = self.cookies.iter().find(|(name, _)| !name.ends_with("_browser"));
        found.map(|(name, value)| (name.clone(), value.clone()))
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }
}

impl Street {
    pub(super) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(change: impl Fn(&mut SignInSettings)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let world = World::with(&[&RSA], |issuer| Self::signs_in(issuer, &origin, &change));
        let shared = Shared {
            origin,
            manner: Arc::default(),
            nonce: Arc::default(),
            now: Arc::new(Mutex::new(world.clock.now().as_seconds())),
            asked: Arc::default(),
        };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/token", post(token))
            .with_state(shared.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        let folder = tempfile::tempdir().unwrap();
        let (sign_ins, worker) = opened(&world, folder.path().join("sessions"));
        let stop = CancellationToken::new();
        tasks.spawn(worker.run(stop.clone()));
        let (gate, portal) = (Site::gate("https://shop.test"), Site::portal("https://pass.test"));
        Self { world, sign_ins, gate, portal, shared, folder, stop, tasks }
    }

    fn signs_in(issuer: &mut IssuerSettings, origin: &str, change: &impl Fn(&mut SignInSettings)) {
        issuer.issuer = origin.into();
        let mut settings = SignInSettings::new(CLIENT);
        change(&mut settings);
        issuer.sign_in = Some(settings);
    }

    /// The same file under a fresh process.
    pub(super) async fn restarted(mut self) -> Self {
        self.stop.cancel();
        let Self { ref mut tasks, .. } = self;
        // the worker notes what was used before it ends; the provider stays
        tasks.join_next().await.unwrap().unwrap();
        let path = self.folder.path().join("sessions");
        // its last handle must be gone before the file can be opened again
        self.sign_ins = opened(&self.world, self.folder.path().join("other")).0;
        let (sign_ins, worker) = opened(&self.world, path);
        self.sign_ins = sign_ins;
        self.stop = CancellationToken::new();
        self.tasks.spawn(worker.run(self.stop.clone()));
        self
    }

    pub(super) fn issuer(&self) -> &str {
        &self.shared.origin
    }

    pub(super) fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// Forms sent to the token endpoint so far.
    pub(super) fn asked(&self) -> Vec<HashMap<String, String>> {
        self.shared.asked.lock().unwrap().clone()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.world.clock.now()
    }

    pub(super) fn pass(&self, span: Span) {
        self.world.manual.advance(span);
        *self.shared.now.lock().unwrap() = self.now().as_seconds();
    }

    /// Goes to the provider: the parameters it gets there.
    pub(super) async fn begin(
        &self,
        browser: &mut Browser,
        site: &Site,
        query: &str,
    ) -> Result<HashMap<String, String>, SignInError> {
        match self.sign_ins.begin(site, &browser.headers(), query).await? {
            Begun::Onward { location, cookies } => {
                browser.keep(&cookies);
                let sent: HashMap<String, String> = Url::parse(&location)
                    .unwrap()
                    .query_pairs()
                    .map(|(name, value)| (name.into_owned(), value.into_owned()))
                    .collect();
                self.shared.nonce.lock().unwrap().clone_from(&sent["nonce"]);
                Ok(sent)
            }
            Begun::Choose(offers) => panic!("there is one provider, not {offers:?}"),
        }
    }

    /// Comes back from the provider with this query.
    pub(super) async fn finish(
        &self,
        browser: &mut Browser,
        site: &Site,
        query: &str,
    ) -> Result<Finished, SignInError> {
        let finished = self.sign_ins.finish(site, &browser.headers(), query).await?;
        browser.keep(&finished.cookies);
        Ok(finished)
    }

    /// An honest answer to what was sent.
    pub(super) fn answer(&self, sent: &HashMap<String, String>) -> String {
        format!("code=abc&state={}&iss={}", sent["state"], self.shared.origin)
    }

    /// The whole way.
    pub(super) async fn sign_in(
        &self,
        browser: &mut Browser,
        site: &Site,
        query: &str,
    ) -> Result<Finished, SignInError> {
        let sent = self.begin(browser, site, query).await?;
        self.finish(browser, site, &self.answer(&sent)).await
    }

    /// Somebody who has just signed in at the gate.
    pub(super) async fn signed_in(&self) -> Browser {
        let mut browser = Browser::default();
        self.sign_in(&mut browser, &self.gate, "").await.unwrap();
        browser
    }

    /// Who the browser is at a site.
    pub(super) async fn who(&self, browser: &Browser, site: &Site) -> Option<Arc<Session>> {
        self.sign_ins.identify(site, &browser.headers(), Presence::Acts, self.now()).await.unwrap()
    }

    pub(super) async fn is_in(&self, browser: &Browser, site: &Site) -> bool {
        self.who(browser, site).await.is_some()
    }

    /// What lies in the file of sessions.
    pub(super) fn file(&self) -> Vec<u8> {
        std::fs::read(self.folder.path().join("sessions")).unwrap()
    }

    /// The settings with another way to sign in.
    pub(super) fn reload(&self, change: impl FnOnce(&mut IssuerSettings)) {
        let mut issuer = self.world.settings();
        Self::signs_in(&mut issuer, &self.shared.origin, &|_| {});
        change(&mut issuer);
        self.world.authenticator.reload(crate::identity::Settings { issuers: vec![issuer] }).unwrap();
        self.sign_ins.reconsider();
    }
}

/// Waits for others for as long as it takes.
fn opened(world: &World, path: PathBuf) -> (SignIns, SignInWorker) {
    SignIns::with(Patience { provider: NEVER, keys: NEVER }, world.authenticator.clone(), path).unwrap()
}

async fn metadata(State(shared): State<Shared>) -> Json<Value> {
    let origin = &shared.origin;
    let honest = json!({
        "issuer": origin,
        "authorization_endpoint": format!("{origin}/authorize"),
        "token_endpoint": format!("{origin}/token"),
        "end_session_endpoint": format!("{origin}/end"),
        "authorization_response_iss_parameter_supported": true,
    });
    Json(with(honest, &shared.manner.lock().unwrap().metadata))
}

async fn token(State(shared): State<Shared>, Form(form): Form<HashMap<String, String>>) -> Response {
    let manner = shared.manner.lock().unwrap().clone();
    let first = form.contains_key("code");
    let stalls = manner.stalls.is_some_and(|(name, value)| form.get(name).is_some_and(|given| given == value));
    shared.asked.lock().unwrap().push(form);
    if stalls {
        std::future::pending::<()>().await;
    }
    if let Some((status, body)) = manner.fails {
        return (StatusCode::from_u16(status).unwrap(), Json(body)).into_response();
    }
    let now = *shared.now.lock().unwrap();
    let mut claims = json!({
        "iss": shared.origin, "aud": CLIENT, "sub": "ada", "iat": now, "exp": now + 300, "auth_time": now, "sid": "s-1",
        "groups": ["engineers"], "amr": ["pwd"],
    });
    if first {
        claims["nonce"] = shared.nonce.lock().unwrap().clone().into();
    }
    let (header, claims) = (with(RSA.header(), &manner.header), with(claims, &manner.claims));
    let id_token = RSA.raw(&header.to_string(), &claims.to_string());
    let honest = json!({
        "access_token": "access", "token_type": "Bearer", "expires_in": 300, "refresh_token": "refresh-1",
        "id_token": id_token,
    });
    Json(with(honest, &manner.response)).into_response()
}
