//! hallpass with its people and its application, on free ports of loopback, in a folder that goes away.

use std::net::TcpListener;

use hallpass::app::App;
use hallpass::clock::Clock;
use hallpass::config::{self, Source, Sources};
use hallpass::demo::issuer::{Client, Issuer, Person, TokenOptions};
use hallpass::demo::upstream::Upstream;
use hallpass::store;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::eventually;
use super::npm::{CertifiedProvider, Manner};

/// Where people sign in.
pub enum Provider {
    /// The provider of the demo.
    Demo,
    /// `oidc-provider` of npm; heeding `acr_values` or not.
    Certified(Manner),
}

pub struct House {
    pub gate: String,
    pub portal: String,
    pub issuer: Issuer,
    pub certified: Option<CertifiedProvider>,
    pub upstream: Upstream,
    pub http: reqwest::Client,
    app: Option<App>,
    _folder: TempDir,
}

impl House {
    /// The demo's configuration, with more at its end.
    pub async fn new(more: &str) -> Self {
        Self::start(Provider::Demo, more).await.expect("the demo's provider needs nothing")
    }

    /// On a store in which `past` has written, as the people of this issuer.
    pub async fn with_past(past: impl FnOnce(&store::Settings, &str)) -> Self {
        let house = Self::begin(Provider::Demo, "", past).await;
        house.expect("the demo's provider needs nothing")
    }

    /// With people who sign in at `provider`, where that is installed. Bearer tokens always come from the demo's.
    pub async fn start(provider: Provider, more: &str) -> Option<Self> {
        Self::begin(provider, more, |_, _| {}).await
    }

    async fn begin(provider: Provider, more: &str, past: impl FnOnce(&store::Settings, &str)) -> Option<Self> {
        let clock = Clock::system();
        let issuer = Issuer::start(clock.clone()).await.expect("an issuer");
        let upstream = Upstream::start().await.expect("an application");
        let folder = tempfile::tempdir().expect("a folder");
        let [gate, portal] = free_ports().map(|port| format!("127.0.0.1:{port}"));
        let shipped = include_str!("../../../config/demo.toml")
            .replace("127.0.0.1:8080", &gate)
            .replace("127.0.0.1:8081", &portal)
            .replace("127.0.0.1:8082", "127.0.0.1:0")
            .replace(r#""http://127.0.0.1:8083/keys""#, &format!("\"{}\"", issuer.keys_url()))
            .replace(r#""http://127.0.0.1:8083""#, &format!("\"{}\"", issuer.url()))
            .replace("http://127.0.0.1:8084", &upstream.url())
            .replace("\"demo.redb\"", &format!("{:?}", folder.path().join("demo.redb")));
        let [gate, portal] = [gate, portal].map(|address| format!("http://{address}"));
        issuer.register(Client::hallpass(CLIENT_ID, &gate, &portal));
        let (certified, text) = match provider {
            Provider::Demo => (None, format!("{shipped}\n{more}")),
            Provider::Certified(manner) => {
                let certified = CertifiedProvider::start(&gate, &portal, manner)?;
                let text = certified.instead_of_demo(&shipped);
                (Some(certified), format!("{text}\n{more}"))
            }
        };
        let file = folder.path().join("hallpass.toml");
        std::fs::write(&file, text).expect("written");
        let loaded = config::load(&Sources { sources: vec![Source::Path(file)], environment: Vec::new() });
        let config = loaded.unwrap_or_else(|problems| panic!("{problems:#}"));
        past(&config.store, issuer.url());
        let app = App::start(config, clock).await.expect("hallpass starts");
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
        let http = http.expect("a client");
        let house = Self { gate, portal, issuer, certified, upstream, http, app: Some(app), _folder: folder };
        house.until_keys_are_there().await;
        Some(house)
    }

    async fn until_keys_are_there(&self) {
        let url = format!("{}/account", self.gate);
        let token = self.token(&hallpass::demo::issuer::ADA);
        let ready = eventually(async || {
            let answer = self.http.get(&url).bearer_auth(&token).send().await.ok()?;
            (answer.status() != 503).then_some(())
        });
        assert!(ready.await.is_some(), "the keys of the issuer never came");
    }

    pub fn token(&self, person: &Person) -> String {
        self.issuer.token(person, &TokenOptions::default()).expect("a token")
    }

    /// A command of the API, by somebody with a token.
    pub async fn post(&self, person: &Person, path: &str, body: &Value) -> Value {
        let url = format!("{}/api/v1{path}", self.portal);
        let answer = self.http.post(url).bearer_auth(self.token(person)).json(body).send().await.expect("an answer");
        let (status, text) = (answer.status(), answer.text().await.expect("an answer"));
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// A request for the vault by somebody with a token: its id.
    pub async fn asks_for_the_vault(&self, person: &Person, justification: &str) -> String {
        let ask = json!({ "role": "shop/vault-reader", "duration": "30m", "justification": justification });
        let asked = self.post(person, "/activations", &ask).await;
        asked["id"].as_str().expect("an id").to_owned()
    }

    pub async fn read(&self, person: &Person, path: &str) -> Value {
        let url = format!("{}/api/v1{path}", self.portal);
        let answer = self.http.get(url).bearer_auth(self.token(person)).send().await.expect("an answer");
        answer.json().await.expect("JSON")
    }

    pub async fn stop(mut self) {
        if let Some(app) = self.app.take() {
            app.shutdown().await;
        }
    }
}

/// Ports nobody listens on at this moment, below those the system gives to outgoing connections.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let mut bits = [0; 2];
    aws_lc_rs::rand::fill(&mut bits).expect("random bits");
    let first = 10_000 + u16::from_be_bytes(bits) % 20_000;
    let held: Vec<_> = (first..32_000).filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok()).take(N).collect();
    let ports: Vec<u16> = held.iter().map(|port| port.local_addr().expect("an address").port()).collect();
    ports.try_into().expect("as many as asked for")
}

/// What the demo's configuration calls hallpass at the provider.
const CLIENT_ID: &str = "hallpass-web";
