//! Everything running at once: issuer, application, and hallpass as in production, in a folder that goes away.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use http::StatusCode;
use tempfile::TempDir;
use tokio::time::timeout;
use toml::{Table, Value};

use crate::app::App;
use crate::clock::Clock;
use crate::config::{self, Source, Sources};
use crate::demo::issuer::{Client, Issuer, ROOT, TokenOptions};
use crate::demo::places::{Part, Place, Ports};
use crate::demo::upstream::Upstream;

/// The running demo.
pub(super) struct Stage {
    pub(super) gate: String,
    pub(super) portal: String,
    pub(super) admin: String,
    pub(super) issuer: Issuer,
    pub(super) upstream: Upstream,
    /// Parts whose familiar port was taken.
    pub(super) moved: Vec<(Part, u16)>,
    app: App,
    folder: TempDir,
}

impl Stage {
    pub(super) async fn start(ports: Ports) -> anyhow::Result<Self> {
        let mut places = Vec::new();
        for part in Part::ALL {
            places.push(Place::hold(part, ports).await?);
        }
        let moved = places.iter().filter_map(|place| place.moved_from.map(|port| (place.part, port))).collect();
        let mut places = places.into_iter();
        let mut next = || places.next().context("a part has no place");
        let (gate, portal, admin, issuer, upstream) = (next()?, next()?, next()?, next()?, next()?);

        let clock = Clock::system();
        let issuer = Issuer::start_on(issuer.into_listener(), clock.clone())?;
        let upstream = Upstream::start_on(upstream.into_listener())?;
        let folder = tempfile::Builder::new().prefix("hallpass-demo-").tempdir()?;
        let written = Written { gate: &gate, portal: &portal, admin: &admin, issuer: &issuer, upstream: &upstream };
        let file = folder.path().join("demo.toml");
        std::fs::write(&file, written.onto(SHIPPED, folder.path())?)?;
        // the environment of whoever tries the demo may be meant for another hallpass
        let sources = Sources { sources: vec![Source::Path(file)], environment: Vec::new() };
        let config = config::load(&sources).context("the configuration of the demo cannot be used")?;

        let (gate_url, portal_url, admin_url) = (gate.url(), portal.url(), admin.url());
        issuer.register(Client::hallpass(CLIENT_ID, &gate_url, &portal_url));
        // held until now so that nobody else took them; hallpass opens its own sockets
        drop((gate, portal, admin));
        let app = App::start(config, clock).await.context("hallpass cannot start")?;
        believed(&portal_url, &issuer).await?;
        Ok(Self { gate: gate_url, portal: portal_url, admin: admin_url, issuer, upstream, moved, app, folder })
    }

    /// Where store, key and configuration lie.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stops everything and removes the folder.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.app.shutdown().await;
        drop((self.issuer, self.upstream));
        self.folder.close().context("the temporary folder cannot be removed")
    }
}

/// Returns once hallpass has the issuer's keys: it fetches them beside everything else, and says 503 until then.
async fn believed(portal: &str, issuer: &Issuer) -> anyhow::Result<()> {
    let token = issuer.token(&ROOT, &TokenOptions::default())?;
    let (client, me) = (client()?, format!("{portal}/api/v1/me"));
    let asking = async {
        while client.get(&me).bearer_auth(&token).send().await?.status() == StatusCode::SERVICE_UNAVAILABLE {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    };
    timeout(PATIENCE, asking).await.context("hallpass does not get the issuer's keys")?
}

/// Talks to loopback only, whatever proxies the machine is told to use.
pub(super) fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE).build()
}

/// Longer than any answer takes, shorter than anybody's patience.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);

/// What only this run knows.
struct Written<'p> {
    gate: &'p Place,
    portal: &'p Place,
    admin: &'p Place,
    issuer: &'p Issuer,
    upstream: &'p Upstream,
}

impl Written<'_> {
    /// The shipped configuration with the addresses and paths of this run.
    fn onto(&self, shipped: &str, folder: &Path) -> anyhow::Result<String> {
        let mut config: Table = shipped.parse()?;
        let path = |name: &str| folder.join(name).to_str().map(str::to_owned).context("the folder's name is not UTF-8");
        set(section(&mut config, "store")?, "path", path("journal.redb")?);
        set(section(&mut config, "store")?, "key_file", path("signing.key")?);
        for (name, place) in [("portal", self.portal), ("admin", self.admin)] {
            set(section(&mut config, name)?, "listen", place.address.to_string());
        }
        set(section(&mut config, "portal")?, "public_url", self.portal.url());
        for listener in sections(&mut config, "listener")? {
            set(listener, "listen", self.gate.address.to_string());
            set(listener, "public_url", self.gate.url());
        }
        for issuer in sections(&mut config, "issuer")? {
            set(issuer, "issuer", self.issuer.url().to_owned());
            for other in ["jwks_file", "discovery"] {
                issuer.remove(other);
            }
            set(issuer, "jwks_url", self.issuer.keys_url());
        }
        for upstream in sections(&mut config, "upstream")? {
            set(upstream, "url", self.upstream.url());
        }
        Ok(config.to_string())
    }
}

fn section<'c>(config: &'c mut Table, name: &str) -> anyhow::Result<&'c mut Table> {
    let section = config.entry(name).or_insert_with(|| Value::Table(Table::new()));
    section.as_table_mut().with_context(|| format!("`{name}` is not a table"))
}

fn sections<'c>(config: &'c mut Table, name: &str) -> anyhow::Result<impl Iterator<Item = &'c mut Table>> {
    let sections = config.get_mut(name).and_then(Value::as_array_mut);
    Ok(sections.with_context(|| format!("there is no `[[{name}]]`"))?.iter_mut().filter_map(Value::as_table_mut))
}

fn set(table: &mut Table, name: &str, value: String) {
    table.insert(name.to_owned(), Value::String(value));
}

/// What hallpass is called at the provider.
const CLIENT_ID: &str = "hallpass-web";

/// The configuration that ships with hallpass.
const SHIPPED: &str = include_str!("../../config/demo.toml");

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_shipped_configuration_with_the_addresses_of_a_run_is_without_problems() {
        let mut places = Vec::new();
        for part in Part::ALL {
            places.push(Place::hold(part, Ports::Free).await.unwrap());
        }
        let [gate, portal, admin, ..] = places.as_slice() else { panic!("there are five parts") };
        let (issuer, upstream) = (Issuer::start(Clock::system()).await.unwrap(), Upstream::start().await.unwrap());
        let written = Written { gate, portal, admin, issuer: &issuer, upstream: &upstream };
        let folder = tempfile::tempdir().unwrap();
        let text = written.onto(SHIPPED, folder.path()).unwrap();
        for url in [gate.url(), portal.url(), issuer.keys_url(), upstream.url()] {
            assert!(text.contains(&format!("\"{url}\"")), "{url} in {text}");
        }
        let source = Source::Text { name: "demo".to_owned(), text };
        let loaded = config::load(&Sources { sources: vec![source], environment: Vec::new() });
        assert!(loaded.is_ok(), "{}", loaded.unwrap_err());
    }
}
