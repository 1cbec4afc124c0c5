//! hallpass with everything around it, on free ports of loopback, in a folder that goes away.

use std::fs;
use std::path::PathBuf;

use futures_util::FutureExt as _;
use hallpass::app::App;
use hallpass::clock::{Clock, ManualClock};
use hallpass::config::{self, Config, Source, Sources};
use hallpass::demo::issuer::Issuer;
use hallpass::demo::upstream::Upstream;
use hallpass::domain::time::{Span, Timestamp};
use tempfile::TempDir;

use super::people::Who;

pub struct House {
    pub app: App,
    pub issuer: Issuer,
    pub upstream: Upstream,
    pub clock: ManualClock,
    pub http: reqwest::Client,
    config: String,
    folder: TempDir,
}

impl House {
    /// The configuration of the demo with a few more roles.
    pub async fn new() -> Self {
        Self::with("").await
    }

    /// The same with more configuration at its end.
    pub async fn with(more: &str) -> Self {
        Self::written_as(|text, _| format!("{text}\n{more}")).await
    }

    /// The same with a configuration that was made over.
    pub async fn written_as(change: impl FnOnce(String, &Issuer) -> String) -> Self {
        let (clock, manual) = Clock::manual(morning());
        let issuer = Issuer::start(clock.clone()).await.expect("an issuer");
        let upstream = Upstream::start().await.expect("an application");
        let folder = tempfile::tempdir().expect("a folder");
        let config = change(written(&issuer, &upstream), &issuer);
        let app = App::start(load(&config, &folder), clock).await.expect("hallpass starts");
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let house = Self { app, issuer, upstream, clock: manual, http, config, folder };
        house.until_keys_are_there().await;
        house
    }

    /// The keys of an issuer are fetched in the background.
    pub async fn until_keys_are_there(&self) {
        let mut pause = tokio::time::interval(std::time::Duration::from_secs(5));
        pause.tick().await;
        super::until("the keys of the issuer are there", async || {
            // whoever stalled while they were fetched is given up, and asked again half a minute later
            if pause.tick().now_or_never().is_some() {
                self.pass(Span::seconds(30));
            }
            self.ada().get("/account").await.status != 503
        })
        .await;
    }

    pub fn gate(&self) -> String {
        let gates = self.app.addresses().gates;
        format!("http://{}", gates.first().expect("a gate"))
    }

    pub fn portal(&self) -> String {
        format!("http://{}", self.app.addresses().portal)
    }

    pub fn admin(&self) -> String {
        format!("http://{}", self.app.addresses().admin)
    }

    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    pub fn ada(&self) -> Who<'_> {
        Who::new(self, &hallpass::demo::issuer::ADA)
    }

    pub fn grace(&self) -> Who<'_> {
        Who::new(self, &hallpass::demo::issuer::GRACE)
    }

    pub fn vera(&self) -> Who<'_> {
        Who::new(self, &hallpass::demo::issuer::VERA)
    }

    pub fn root(&self) -> Who<'_> {
        Who::new(self, &hallpass::demo::issuer::ROOT)
    }

    /// Time passes for everybody.
    pub fn pass(&self, span: Span) {
        self.clock.advance(span);
    }

    /// Lets time pass for everybody, one step after the other, until it holds: slowly, so that for whoever stalls meanwhile
    /// not years go by.
    pub async fn pass_until(&self, what: &str, step: Span, mut holds: impl AsyncFnMut() -> bool) {
        let mut pause = tokio::time::interval(std::time::Duration::from_millis(20));
        super::until(what, async || {
            pause.tick().await;
            self.pass(step);
            holds().await
        })
        .await;
    }

    /// Reads the configuration again, with one text in it replaced.
    pub async fn reload(&mut self, from: &str, to: &str) -> anyhow::Result<()> {
        assert!(self.config.contains(from), "the configuration has no `{from}`");
        let changed = self.config.replace(from, to);
        let config = try_load(&changed, &self.folder)?;
        self.app.reload(config).await?;
        self.config = changed;
        Ok(())
    }

    /// Stops hallpass in good order and starts it again on the same store.
    pub async fn restart(self) -> Self {
        let Self { app, issuer, upstream, clock, http, config, folder } = self;
        app.shutdown().await;
        let (fresh, manual) = Clock::manual(clock.reading());
        let app = App::start(load(&config, &folder), fresh).await.expect("hallpass starts again");
        let house = Self { app, issuer, upstream, clock: manual, http, config, folder };
        house.until_keys_are_there().await;
        house
    }

    pub async fn stop(self) {
        self.app.shutdown().await;
    }
}

/// Where every story begins: 2026-11-23T08:00:00Z.
fn morning() -> Timestamp {
    Timestamp::from_seconds(1_795_420_800)
}

fn written(issuer: &Issuer, upstream: &Upstream) -> String {
    let shipped = include_str!("../../../config/demo.toml");
    let text = shipped
        .replace(r#"public_url = "http://127.0.0.1:8081""#, r#"public_url = "http://portal.test""#)
        .replace(r#"public_url = "http://127.0.0.1:8080""#, r#"public_url = "http://gate.test""#)
        .replace("127.0.0.1:8081", "127.0.0.1:0")
        .replace("127.0.0.1:8082", "127.0.0.1:0")
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace(r#""http://127.0.0.1:8083/keys""#, &format!("\"{}\"", issuer.keys_url()))
        .replace(r#""http://127.0.0.1:8083""#, &format!("\"{}\"", issuer.url()))
        .replace(r#""http://127.0.0.1:8084""#, &format!("\"{}\"", upstream.url()));
    format!("{}\n{}", without_sign_in(&text), include_str!("house.toml"))
}

/// Most stories are of tokens; those of browsers say themselves how people sign in.
fn without_sign_in(text: &str) -> String {
    let (before, table) = text.split_once("[issuer.sign_in]").expect("the demo signs people in");
    let (_, after) = table.split_once("\n\n").expect("more tables follow");
    format!("{before}\n{after}")
}

fn load(text: &str, folder: &TempDir) -> Config {
    match try_load(text, folder) {
        Ok(config) => config,
        Err(problems) => panic!("{problems:#}"),
    }
}

fn try_load(text: &str, folder: &TempDir) -> anyhow::Result<Config> {
    let file = folder.path().join("house.toml");
    fs::write(&file, text)?;
    Ok(config::load(&Sources { sources: vec![Source::Path(file)], environment: Vec::new() })?)
}
