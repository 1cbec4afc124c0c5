//! What the gate is told, and what becomes of it: [`Settings`] as resolved by configuration, [`Rules`] as used by requests.
//!
//! Rules are made whole or not at all, and swapped as one: a request sees one set from its first byte to its last.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::time::Timestamp;
use crate::identity::Site;
use crate::identity::names::IssuerNames;
use crate::proxy::assertion::{self, AssertionKeyError};
use crate::proxy::canonical::{CanonicalSettings, Underscores};
use crate::proxy::denial::Links;
use crate::proxy::headers::TrustedProxies;
use crate::proxy::route::{RouteProblem, RouteSettings, Routes};
use crate::proxy::upstream::{Target, UpstreamSettings};
use crate::server::{Bind, Limits, tls};

/// All the gate is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Cores that serve requests; each has its own runtime, sockets, pools and caches. Fixed at start.
    pub cores: usize,
    /// Where it listens; addresses, TLS on or off, and limits are fixed at start.
    pub listeners: Vec<ListenerSettings>,
    /// Applications it stands in front of.
    pub upstreams: Vec<UpstreamSettings>,
    /// What is demanded where.
    pub routes: Vec<RouteSettings>,
    /// The portal's public URL.
    pub portal_url: String,
    /// Proxies in front whose word about the client counts.
    pub trusted_proxies: TrustedProxies,
    /// What happens to header names with an underscore.
    pub underscores: Underscores,
    /// Protocols besides `websocket` that a client may switch to, in lower case.
    pub upgrades: Vec<Arc<str>>,
    /// Short names of issuers.
    pub names: IssuerNames,
    /// Verified tokens that each core remembers. Fixed at start.
    pub tokens_max: usize,
    /// How long a client may pause inside a request's body; a short one must be whole within it.
    pub body_timeout: Duration,
    /// The key that signs assertions; made when an upstream is sent any and the file is not there.
    pub assertion_key_file: PathBuf,
}

/// One listener of the gate.
#[derive(Debug, Clone)]
pub struct ListenerSettings {
    /// Where.
    pub bind: Bind,
    /// How browsers reach it; links and origins come from here only.
    pub public_url: String,
    /// Certificate and key, when it speaks TLS.
    pub tls: Option<tls::Settings>,
    /// Origins besides its own whose pages may open a WebSocket, or change something under a session.
    pub trusted_origins: Vec<String>,
    /// Limits of its connections.
    pub limits: Limits,
}

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Some routes cannot be compiled.
    #[error("{}", list(.0))]
    Routes(Vec<RouteProblem>),
    /// A route names an upstream that nobody configured.
    #[error("route `{route}` names an unknown upstream `{upstream}`")]
    UnknownUpstream {
        /// The route.
        route: String,
        /// The name it uses.
        upstream: String,
    },
    /// An upstream cannot be used.
    #[error("upstream `{name}`: {problem}")]
    Upstream {
        /// Which.
        name: String,
        /// Why.
        problem: String,
    },
    /// There is no key to sign assertions with.
    #[error(transparent)]
    AssertionKey(#[from] AssertionKeyError),
    /// Listeners differ from those the process started with.
    #[error("listeners cannot be changed without a restart")]
    ListenersChanged,
}

fn list(problems: &[RouteProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// One usable set of settings.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) canonical: CanonicalSettings,
    pub(super) routes: Routes,
    /// For each route, by its index: the index of its upstream.
    pub(super) upstream_of: Vec<usize>,
    pub(super) upstreams: Vec<Arc<Target>>,
    pub(super) listeners: Vec<ListenerRules>,
    pub(super) trusted_proxies: Arc<TrustedProxies>,
    pub(super) names: IssuerNames,
    pub(super) body_timeout: Duration,
    /// `None` when no upstream is sent assertions.
    pub(super) assertion_keys: Option<assertion::Keys>,
}

/// What requests need to know of the listener they came on.
#[derive(Debug)]
pub(super) struct ListenerRules {
    /// For logs and metrics.
    pub(super) name: Arc<str>,
    pub(super) links: Links,
    /// Where people sign in, and whose sessions count.
    pub(super) site: Site,
    /// Origins whose pages may open a WebSocket.
    origins: Vec<String>,
}

impl Rules {
    /// Resolves settings, and keeps targets of `present` that did not change, so that their connections stay.
    pub(super) fn resolve(settings: &Settings, present: Option<&Self>, now: Timestamp) -> Result<Self, SettingsError> {
        let routes = Routes::new(settings.routes.clone()).map_err(SettingsError::Routes)?;
        let mut upstreams = Vec::with_capacity(settings.upstreams.len());
        let mut by_name = HashMap::new();
        for upstream in &settings.upstreams {
            by_name.insert(upstream.name.as_str(), upstreams.len());
            let same = present.and_then(|rules| rules.upstreams.iter().find(|target| target.settings == *upstream));
            upstreams.push(match same {
                Some(target) => Arc::clone(target),
                None => Arc::new(Target::resolve(upstream)?),
            });
        }
        let upstream_of = routes
            .iter()
            .map(|route| {
                by_name.get(&*route.upstream).copied().ok_or_else(|| SettingsError::UnknownUpstream {
                    route: route.name.to_string(),
                    upstream: route.upstream.to_string(),
                })
            })
            .collect::<Result<_, _>>()?;
        let asserts = settings.upstreams.iter().any(|upstream| upstream.assertion_audience.is_some());
        let present_keys = present.and_then(|rules| rules.assertion_keys.as_ref());
        let assertion_keys =
            asserts.then(|| assertion::Keys::load(&settings.assertion_key_file, present_keys, now)).transpose()?;
        Ok(Self {
            canonical: CanonicalSettings {
                spelling: routes.spelling(),
                underscores: settings.underscores,
                upgrades: settings.upgrades.clone(),
            },
            routes,
            upstream_of,
            upstreams,
            listeners: settings
                .listeners
                .iter()
                .map(|listener| ListenerRules {
                    name: listener.bind.to_string().into(),
                    links: Links { portal_url: settings.portal_url.clone(), gate_url: listener.public_url.clone() },
                    site: Site::gate(&listener.public_url),
                    origins: std::iter::once(origin_of(&listener.public_url).to_owned())
                        .chain(listener.trusted_origins.iter().cloned())
                        .collect(),
                })
                .collect(),
            trusted_proxies: Arc::new(settings.trusted_proxies.clone()),
            names: settings.names.clone(),
            body_timeout: settings.body_timeout,
            assertion_keys,
        })
    }
}

impl ListenerRules {
    /// Whether pages of `origin` are believed here.
    pub(super) fn takes_origin(&self, origin: &[u8]) -> bool {
        self.origins.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(origin))
    }
}

/// Scheme and authority of a URL, without a path.
fn origin_of(url: &str) -> &str {
    let authority_at = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(authority_at..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| authority_at + at);
    url.get(..end).unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_no_path() {
        for (url, origin) in [
            ("https://shop.test", "https://shop.test"),
            ("https://shop.test/", "https://shop.test"),
            ("http://127.0.0.1:8080/a/b", "http://127.0.0.1:8080"),
        ] {
            assert_eq!(origin_of(url), origin);
        }
    }
}
