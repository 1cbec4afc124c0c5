//! The gate as written: listeners, upstreams, routes and limits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::forms::{Application, Filled, Host, Method, Name, Origin, PathPattern, Size, Text};
use crate::config::raw::seconds;
use crate::domain::role::RoleId;
use crate::domain::time::Span;
use crate::server::Bind;

/// Where requests arrive.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Listener {
    /// Address of the gate.
    pub(crate) listen: Text<Bind>,
    /// The origin people reach the application under.
    pub(crate) public_url: Text<Origin>,
    /// Certificate and key; without them the listener speaks plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<Tls>,
    /// Origins besides its own whose pages may open a WebSocket, or change something under a session.
    #[serde(default)]
    pub(crate) trusted_origins: Vec<Text<Origin>>,
}

/// Certificate and key.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Tls {
    /// The certificate chain, PEM, leaf first.
    pub(crate) certificate_file: Text<Filled>,
    /// The private key, PEM.
    pub(crate) key_file: Text<Filled>,
}

/// Where permitted requests go.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Upstream {
    /// What routes call it.
    pub(crate) name: Text<Name>,
    /// Where it is.
    pub(crate) url: Text<Application>,
    /// How long a connection may take to be made.
    #[serde(default = "connect_timeout")]
    pub(crate) connect_timeout: Text<Span>,
    /// How long the head of an answer may take; also bounds how long a short exchange outlives its permit.
    #[serde(default = "response_timeout")]
    pub(crate) response_timeout: Text<Span>,
    /// How long an unused connection is kept.
    #[serde(default = "idle_timeout")]
    pub(crate) idle_timeout: Text<Span>,
    /// How many unused connections each core keeps.
    #[serde(default = "idle_max")]
    pub(crate) idle_max: u32,
    /// Whether the application sees the `Authorization` header.
    #[serde(default)]
    pub(crate) forward_authorization: bool,
    /// Whether the application is sent a signed assertion of who asks and by what right.
    #[serde(default)]
    pub(crate) assertion: bool,
    /// The `aud` of these assertions; the upstream's name when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) assertion_audience: Option<Text<Filled>>,
    /// Authorities to trust instead of the platform's, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) authorities_file: Option<Text<Filled>>,
}

fn connect_timeout() -> Text<Span> {
    seconds(5)
}

fn idle_timeout() -> Text<Span> {
    seconds(60)
}

fn idle_max() -> u32 {
    64
}

fn response_timeout() -> Text<Span> {
    seconds(60)
}

/// Which request demands what.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Route {
    /// What logs and metrics call it.
    pub(crate) name: Text<Name>,
    /// Only requests for this host; every host when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<Text<Host>>,
    /// Which paths.
    pub(crate) path: Text<PathPattern>,
    /// Only these methods; every method when empty.
    #[serde(default)]
    pub(crate) methods: Vec<Text<Method>>,
    /// Who may pass; `role` when left out and a role is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<RouteMode>,
    /// The role that is demanded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<Text<RoleId>>,
    /// Roles of which one is demanded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) any_role: Option<Vec<Text<RoleId>>>,
    /// Roles that are all demanded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) all_roles: Option<Vec<Text<RoleId>>>,
    /// Whether a denial is carried out or only recorded.
    #[serde(default)]
    pub(crate) enforcement: EnforcementMode,
    /// Whether a second factor is demanded; which values prove one is in `defaults.mfa_amr`.
    #[serde(default)]
    pub(crate) mfa: bool,
    /// Levels of which one is demanded.
    #[serde(default)]
    pub(crate) acr: Vec<Text<Filled>>,
    /// The sign-in must be younger than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_age: Option<Text<Span>>,
    /// Where its requests go; needed by every mode but `deny`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) upstream: Option<Text<Name>>,
    /// What happens to `%2F` and `%5C` in a path.
    #[serde(default)]
    pub(crate) encoded_slashes: EncodedSlashes,
    /// What happens to `;name=value` in a path.
    #[serde(default)]
    pub(crate) path_parameters: PathParameters,
    /// Whether letter case tells paths apart; when one route ignores it, all do.
    #[serde(default)]
    pub(crate) path_case: Case,
}

/// What happens to `%2F` and `%5C` in a path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EncodedSlashes {
    /// The request is refused.
    #[default]
    Refuse,
    /// They stay escaped, inside their segment.
    Keep,
}

/// What happens to `;name=value` in a path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PathParameters {
    /// The request is refused.
    #[default]
    Refuse,
    /// They are taken away, for the decision and for the upstream.
    Strip,
}

/// Whether letter case tells paths apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Case {
    /// It does.
    #[default]
    Sensitive,
    /// It does not: the application ignores it.
    Ignored,
}

/// How the gate reads requests.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Gate {
    /// Cores that serve requests; 0 is all the machine has.
    pub(crate) cores: u32,
    /// What happens to header names with an underscore, which many applications cannot tell from a dash.
    pub(crate) underscores: Underscores,
    /// Protocols besides `websocket` that a client may switch to, in lower case.
    pub(crate) upgrades: Vec<Text<Name>>,
    /// Keys of signed assertions, PEM, made when needed; `assertion.key` beside the store's `key_file` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) assertion_key_file: Option<Text<Filled>>,
}

/// What happens to header names with an underscore.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Underscores {
    /// The request is refused.
    #[default]
    Refuse,
    /// The header is dropped.
    Drop,
}

/// Who may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RouteMode {
    /// Everybody, known or not.
    Public,
    /// Whoever proves who they are.
    SignedIn,
    /// Who holds the role now.
    Role,
    /// Nobody.
    Deny,
}

/// Whether a denial is carried out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EnforcementMode {
    /// A denied request is refused.
    #[default]
    Enforce,
    /// A denied request passes, and the denial is recorded: for trying a rule out.
    Shadow,
}

/// Bounds that keep one client from taking everything.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Limits {
    /// Largest head of a request.
    pub(crate) header_bytes_max: Text<Size>,
    /// Most header fields of a request.
    pub(crate) header_fields_max: u32,
    /// How long the head of a request may take.
    pub(crate) header_timeout: Text<Span>,
    /// How long a kept connection may stay without a request.
    pub(crate) idle_timeout: Text<Span>,
    /// How long the other side may refuse to take bytes.
    pub(crate) write_timeout: Text<Span>,
    /// How long a TLS handshake may take.
    pub(crate) handshake_timeout: Text<Span>,
    /// Most connections of one listener at once.
    pub(crate) connections_max: u32,
    /// How long a client may pause inside a request's body; one of at most 64 KiB must be whole within it.
    pub(crate) body_timeout: Text<Span>,
    /// Verified tokens that each core remembers.
    pub(crate) tokens_max: u32,
    /// How long open exchanges may take to finish when hallpass stops.
    pub(crate) drain_timeout: Text<Span>,
    /// Most requests one principal may have waiting.
    pub(crate) pending_per_principal_max: u32,
    /// Most requests that may wait for one role.
    pub(crate) pending_per_role_max: u32,
    /// Most requests that may wait.
    pub(crate) pending_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes_max: Text(Size(16 << 10)),
            header_fields_max: 100,
            header_timeout: seconds(10),
            idle_timeout: seconds(75),
            write_timeout: seconds(60),
            handshake_timeout: seconds(10),
            connections_max: 65_536,
            body_timeout: seconds(30),
            tokens_max: 10_000,
            drain_timeout: seconds(30),
            pending_per_principal_max: 20,
            pending_per_role_max: 1000,
            pending_max: 10_000,
        }
    }
}
