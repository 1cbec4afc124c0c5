//! From the resolved configuration to the settings of each floor.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::app::CLOCK_BEHIND_MAX;
use crate::config::{Config, Listener};
use crate::domain::policy::Policies;
use crate::domain::rule::Demand;
use crate::portal::{self, RoutesByRole};
use crate::proxy::headers::TrustedProxies;
use crate::proxy::{self, ListenerSettings};
use crate::server;
use crate::writer;

pub(super) fn gate(config: &Config) -> proxy::Settings {
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    let cores = config.gate.cores.and_then(|cores| usize::try_from(cores.get()).ok()).unwrap_or(available);
    proxy::Settings {
        cores,
        listeners: config.listeners.iter().map(|each| listener(each, config.limits.connection)).collect(),
        upstreams: config.upstreams.clone(),
        routes: config.route_settings(),
        portal_url: config.portal.public_url.to_string(),
        trusted_proxies: TrustedProxies(config.trusted_proxies.clone()),
        underscores: config.gate.underscores,
        upgrades: config.gate.upgrades.clone(),
        names: config.names.clone(),
        tokens_max: config.limits.tokens_max,
        body_timeout: config.limits.body_timeout,
        assertion_key_file: config.gate.assertion_key_file.clone(),
    }
}

fn listener(listener: &Listener, limits: server::Limits) -> ListenerSettings {
    ListenerSettings {
        bind: listener.listen.clone(),
        public_url: listener.public_url.to_string(),
        tls: listener.tls.clone(),
        trusted_origins: listener.trusted_origins.iter().map(ToString::to_string).collect(),
        limits,
    }
}

pub(super) fn portal(config: &Config) -> portal::Settings {
    portal::Settings {
        public_url: config.portal.public_url.to_string(),
        gate_urls: config.listeners.iter().map(|listener| listener.public_url.to_string()).collect(),
        limits: config.portal.limits.clone(),
    }
}

pub(super) fn writer(config: &Config, policies: &Arc<ArcSwap<Policies>>) -> writer::Settings {
    // the anchors are best on another volume, and so is this
    let places = std::iter::once(&config.store.path).chain(&config.anchor.file);
    let aside = places.map(|place| {
        let mut name = place.clone().into_os_string();
        name.push(".owed");
        name.into()
    });
    writer::Settings { policies: Arc::clone(policies), clock_behind_max: CLOCK_BEHIND_MAX, aside: aside.collect() }
}

/// What each role opens, for people to read: `GET, HEAD shop.example/vault/**`.
pub(super) fn routes_by_role(config: &Config) -> RoutesByRole {
    let mut routes = RoutesByRole::new();
    for route in &config.routes {
        let (Demand::AnyRole(roles) | Demand::AllRoles(roles)) = &route.rule.demand else { continue };
        let methods = if route.methods.is_empty() { String::new() } else { format!("{} ", route.methods.join(", ")) };
        let text = format!("{methods}{}{}", route.host.as_deref().unwrap_or_default(), route.path);
        for role in roles {
            routes.entry(role.clone()).or_default().push(text.clone());
        }
    }
    routes
}
