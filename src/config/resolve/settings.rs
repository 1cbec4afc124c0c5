//! A resolved configuration: plain values, nothing left to look up.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::anchor;
use crate::config::effective;
use crate::config::forms::Origin;
use crate::config::problem::Problem;
use crate::config::raw;
use crate::domain::command::Declared;
use crate::domain::policy::Policies;
use crate::domain::rule::Rule;
use crate::identity::names::IssuerNames;
use crate::identity::{self, Site};
use crate::portal;
use crate::proxy::UpstreamSettings;
use crate::proxy::canonical::Underscores;
use crate::proxy::route::{RouteOptions, RouteSettings};
use crate::server;
use crate::server::{Bind, tls};
use crate::store;
use crate::telemetry::logs;

/// A whole configuration that works.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the journal lives.
    pub store: store::Settings,
    /// Where heads are published.
    pub anchor: anchor::Settings,
    /// How long records are kept; for good when it does not say.
    pub retention: Option<store::Retention>,
    /// Who vouches for people.
    pub identity: identity::Settings,
    /// Short names of issuers.
    pub names: IssuerNames,
    /// Every role with its settings.
    pub policies: Policies,
    /// Assignments that configuration makes, each with a fresh id.
    pub declared: Vec<Declared>,
    /// Where requests arrive.
    pub listeners: Vec<Listener>,
    /// Where permitted requests go.
    pub upstreams: Vec<UpstreamSettings>,
    /// Which request demands what, in the order written.
    pub routes: Vec<Route>,
    /// The portal.
    pub portal: Portal,
    /// Health and metrics.
    pub admin: Admin,
    /// What is logged, and how.
    pub log: logs::Settings,
    /// How the gate reads requests.
    pub gate: Gate,
    /// Bounds of the gate.
    pub limits: Limits,
    /// Proxies whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// SHA-256 over the canonical resolved configuration, in hexadecimal.
    pub digest: String,
    /// What somebody should look at.
    pub warnings: Vec<Problem>,
    /// The files it was read from.
    pub files: Vec<PathBuf>,
    pub(crate) effective: Effective,
}

/// Where requests arrive.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Its address.
    pub listen: Bind,
    /// The origin people reach the application under.
    pub public_url: Origin,
    /// Certificate and key.
    pub tls: Option<tls::Settings>,
    /// Origins besides its own whose pages may open a WebSocket, or change something under a session.
    pub trusted_origins: Vec<Origin>,
}

/// Which request demands what.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its name.
    pub name: Arc<str>,
    /// Only requests for this host, in lower case without port.
    pub host: Option<String>,
    /// Which paths, as written.
    pub path: String,
    /// Only these methods; every method when empty.
    pub methods: Vec<String>,
    /// What is demanded.
    pub rule: Rule,
    /// The name of the upstream; `None` only where nobody may pass.
    pub upstream: Option<Arc<str>>,
    /// What its application makes of unusual paths.
    pub options: RouteOptions,
}

impl Config {
    /// Where people sign in: the portal and every gate; none when no issuer is configured for it.
    #[must_use]
    pub fn sites(&self) -> Vec<Site> {
        if self.identity.issuers.iter().all(|issuer| issuer.sign_in.is_none()) {
            return Vec::new();
        }
        let gates = self.listeners.iter().map(|listener| Site::gate(&listener.public_url.to_string()));
        std::iter::once(Site::portal(&self.portal.public_url.to_string())).chain(gates).collect()
    }

    /// The routes as the gate takes them. Where nobody may pass the upstream is never asked, and any of them will do.
    #[must_use]
    pub fn route_settings(&self) -> Vec<RouteSettings> {
        let any = self.upstreams.first().map_or("", |upstream| upstream.name.as_str());
        self.routes.iter().map(|route| route.settings(any)).collect()
    }
}

impl Route {
    /// The route as the gate takes it, with `otherwise` in place of an upstream that was left out.
    pub(crate) fn settings(&self, otherwise: &str) -> RouteSettings {
        RouteSettings {
            name: self.name.to_string(),
            host: self.host.clone(),
            path: self.path.clone(),
            methods: self.methods.clone(),
            rule: self.rule.clone(),
            upstream: self.upstream.as_deref().unwrap_or(otherwise).to_owned(),
            options: self.options,
        }
    }
}

/// The portal.
#[derive(Debug, Clone)]
pub struct Portal {
    /// Its address.
    pub listen: Bind,
    /// The origin people reach it under.
    pub public_url: Origin,
    /// Certificate and key.
    pub tls: Option<tls::Settings>,
    /// Its bounds.
    pub limits: portal::Limits,
}

/// Health and metrics.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Its address.
    pub listen: Bind,
}

/// How the gate reads requests.
#[derive(Debug, Clone)]
pub struct Gate {
    /// Cores that serve requests; `None` is all the machine has.
    pub cores: Option<NonZeroU32>,
    /// What happens to header names with an underscore.
    pub underscores: Underscores,
    /// Protocols besides `websocket` that a client may switch to, in lower case.
    pub upgrades: Vec<Arc<str>>,
    /// Keys of signed assertions.
    pub assertion_key_file: PathBuf,
}

/// Bounds of the gate.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of each listener's connections.
    pub connection: server::Limits,
    /// How long a client may pause inside a request's body; one of at most 64 KiB must be whole within it.
    pub body_timeout: Duration,
    /// Verified tokens that each core remembers.
    pub tokens_max: usize,
    /// How long open exchanges may take to finish when hallpass stops.
    pub drain_timeout: Duration,
}

/// The configuration with every inherited setting in place, as it would have to be written.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Effective {
    pub(crate) trusted_proxies: Vec<crate::config::forms::Text<IpNet>>,
    pub(crate) store: raw::Store,
    pub(crate) anchor: raw::Anchor,
    pub(crate) retention: raw::Retention,
    pub(crate) portal: raw::Portal,
    pub(crate) admin: raw::Admin,
    pub(crate) log: raw::Log,
    pub(crate) gate: raw::Gate,
    pub(crate) limits: raw::Limits,
    pub(crate) hallpass: raw::Hallpass,
    pub(crate) issuer: Vec<raw::Issuer>,
    pub(crate) listener: Vec<raw::Listener>,
    pub(crate) upstream: Vec<raw::Upstream>,
    pub(crate) route: Vec<raw::Route>,
    pub(crate) defaults: effective::Settings,
    pub(crate) app: Vec<effective::App>,
    pub(crate) role: Vec<effective::Role>,
}
