//! Configuration as written. The doc comments are the descriptions of the JSON Schema.
//!
//! Defaults that stand alone are here; those that are inherited (defaults → application → role) are in `effective`.
//! Unknown keys are refused by the schema and not by serde, which would stop at the first one.

mod anchor;
mod gate;
mod identity;
mod retention;
mod role;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::forms::{Filled, Origin, Size, Text};
use crate::domain::time::Span;
use crate::server::Bind;
use ipnet::IpNet;

pub(crate) use anchor::Anchor;
pub(crate) use gate::{
    Case, EncodedSlashes, EnforcementMode, Gate, Limits, Listener, PathParameters, Route, RouteMode, Tls, Underscores,
    Upstream,
};
pub(crate) use identity::{Algorithm, Issuer};
pub(crate) use retention::Retention;
pub(crate) use role::{Activation, App, Assignment, Extend, Justification, OwnRequest, Role, RoleSettings, Stage};

/// hallpass: who may pass, what a role demands, where everything listens.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Configuration {
    /// Proxies whose `X-Forwarded-*` headers are believed; nobody else's are.
    #[serde(default)]
    pub(crate) trusted_proxies: Vec<Text<IpNet>>,
    /// Where the journal lives.
    #[serde(default)]
    pub(crate) store: Store,
    /// Where the journal's head is published, so that nobody can change the journal unnoticed.
    #[serde(default)]
    pub(crate) anchor: Anchor,
    /// How long records are kept.
    #[serde(default)]
    pub(crate) retention: Retention,
    /// Where people request, approve and review.
    pub(crate) portal: Portal,
    /// Health and metrics.
    #[serde(default)]
    pub(crate) admin: Admin,
    /// What is logged, and how.
    #[serde(default)]
    pub(crate) log: Log,
    /// How the gate reads requests.
    #[serde(default)]
    pub(crate) gate: Gate,
    /// Bounds that keep one client from taking everything.
    #[serde(default)]
    pub(crate) limits: Limits,
    /// Who runs hallpass itself.
    #[serde(default)]
    pub(crate) hallpass: Hallpass,
    /// Who vouches for people.
    #[serde(default)]
    pub(crate) issuer: Vec<Issuer>,
    /// Where requests arrive.
    #[serde(default)]
    pub(crate) listener: Vec<Listener>,
    /// Where permitted requests go.
    #[serde(default)]
    pub(crate) upstream: Vec<Upstream>,
    /// Which request demands what; the most specific wins, a path nobody named is denied.
    #[serde(default)]
    pub(crate) route: Vec<Route>,
    /// Settings all roles inherit.
    #[serde(default)]
    pub(crate) defaults: RoleSettings,
    /// Settings all roles of one application inherit.
    #[serde(default)]
    pub(crate) app: Vec<App>,
    /// The roles, with their settings and declared assignments.
    #[serde(default)]
    pub(crate) role: Vec<Role>,
}

/// Where the journal lives.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Store {
    /// The store file; a relative path starts at the folder of the file that names it.
    pub(crate) path: Text<Filled>,
    /// The key that signs the journal; made at first start, readable by its owner only.
    pub(crate) key_file: Text<Filled>,
}

impl Default for Store {
    fn default() -> Self {
        let path = |path: &str| Text(Filled(path.to_owned()));
        Self { path: path("/var/lib/hallpass/hallpass.redb"), key_file: path("/var/lib/hallpass/signing.key") }
    }
}

/// Where people request, approve and review.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Portal {
    /// Address of the portal.
    #[serde(default = "portal_listen")]
    pub(crate) listen: Text<Bind>,
    /// The origin people reach it under; never the gate's own.
    pub(crate) public_url: Text<Origin>,
    /// Certificate and key; without them the portal speaks plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<Tls>,
    /// Bounds of the portal.
    #[serde(default)]
    pub(crate) limits: PortalLimits,
}

fn portal_listen() -> Text<Bind> {
    local(8081)
}

/// Bounds of the portal.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct PortalLimits {
    /// Largest request body.
    pub(crate) body_bytes_max: Text<Size>,
    /// Longest page of a list.
    pub(crate) page_items_max: u32,
    /// Page of a list when no length is asked for.
    pub(crate) page_items_default: u32,
    /// Commands of one principal in a second, on average.
    pub(crate) commands_per_second: u32,
    /// Commands of one principal at once.
    pub(crate) commands_burst: u32,
    /// Requests answered at the same time, of all clients.
    pub(crate) requests_max: u32,
    /// Event streams and exports open at the same time, of one principal.
    pub(crate) streams_per_principal_max: u32,
    /// Event streams and exports open at the same time, of all clients.
    pub(crate) streams_max: u32,
    /// A request that has no answer by then gets none.
    pub(crate) request_timeout: Text<Span>,
    /// Nothing to tell for so long is told on an event stream.
    pub(crate) heartbeat_after: Text<Span>,
}

impl Default for PortalLimits {
    fn default() -> Self {
        Self {
            body_bytes_max: Text(Size(64 << 10)),
            page_items_max: 200,
            page_items_default: 50,
            commands_per_second: 10,
            commands_burst: 60,
            requests_max: 256,
            streams_per_principal_max: 8,
            streams_max: 1000,
            request_timeout: seconds(15),
            heartbeat_after: seconds(15),
        }
    }
}

/// Health and metrics.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Admin {
    /// Address of health and metrics; keep it away from the public.
    pub(crate) listen: Text<Bind>,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: local(8082) }
    }
}

/// What is logged, and how.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Log {
    /// For machines or for eyes.
    pub(crate) format: LogFormat,
    /// What is worth a line: a level, or `target=level` pairs with commas between.
    pub(crate) filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Json, filter: "info".to_owned() }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// One JSON object on each line.
    Json,
    /// For reading in a terminal.
    Text,
}

/// Who runs hallpass itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Hallpass {
    /// Principals that hold `hallpass/administrator` for good.
    pub(crate) administrators: Vec<String>,
    /// Principals that hold `hallpass/auditor` for good.
    pub(crate) auditors: Vec<String>,
}

/// An address of this machine.
pub(crate) fn local(port: u16) -> Text<Bind> {
    Text(Bind::Tcp((std::net::Ipv4Addr::LOCALHOST, port).into()))
}

/// A span of so many seconds, as it stands in a file.
pub(crate) const fn seconds(count: u64) -> Text<Span> {
    Text(Span::seconds(count))
}
