//! Listeners, upstreams, limits and the portal: where everything is, and that nothing is in another's place.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::config::forms::{Form, Origin, Text, clash, is_local};
use crate::config::raw;
use crate::config::resolve::context::{Context, element};
use crate::config::resolve::identity::{duration, within};
use crate::config::resolve::settings::{Admin, Gate, Limits, Listener, Portal};
use crate::config::tree::Path;
use crate::domain::policy::PendingLimits;
use crate::domain::time::Span;
use crate::portal;
use crate::proxy::UpstreamSettings;
use crate::proxy::canonical::Underscores;
use crate::server::{self, Bind, tls};
use crate::store;
use crate::telemetry::logs;

/// The listeners of the gate.
pub(crate) fn listeners(raw: &[raw::Listener], context: &mut Context<'_>) -> Vec<Listener> {
    if raw.is_empty() {
        context.error(&Path::default().key("listener"), "there is no `[[listener]]`: no request could arrive");
    }
    let mut listeners = Vec::new();
    for (index, listener) in raw.iter().enumerate() {
        let path = element("listener", index);
        in_the_clear(&listener.public_url.0, &path.key("public_url"), context);
        listeners.push(Listener {
            listen: listener.listen.0.clone(),
            public_url: listener.public_url.0.clone(),
            tls: certificate(listener.tls.as_ref(), &path, context),
            trusted_origins: listener.trusted_origins.iter().map(|origin| origin.0.clone()).collect(),
        });
    }
    listeners
}

/// The portal, apart from every gate.
pub(crate) fn portal(raw: &raw::Portal, gates: &[raw::Listener], context: &mut Context<'_>) -> Portal {
    let path = Path::default().key("portal");
    let (url, own) = (path.key("public_url"), &raw.public_url.0);
    in_the_clear(own, &url, context);
    for gate in gates.iter().map(|gate| &gate.public_url.0) {
        if gate == own {
            let message =
                format!("portal and application share the origin `{own}`: a script of the application could approve");
            context.error_with(&url, message, Some("give the portal a host of its own".to_owned()));
        } else if gate.host == own.host {
            let message =
                format!("portal and application share the host `{}`: browsers send cookies to every port", own.host);
            context.warning(&url, message);
        }
    }
    Portal {
        listen: raw.listen.0.clone(),
        public_url: own.clone(),
        tls: certificate(raw.tls.as_ref(), &path, context),
        limits: portal_limits(&raw.limits, &path.key("limits"), context),
    }
}

fn portal_limits(raw: &raw::PortalLimits, path: &Path, context: &mut Context<'_>) -> portal::Limits {
    let mut some = |key: &str, number: u32| -> NonZeroU32 {
        NonZeroU32::new(number).unwrap_or_else(|| {
            context.error(&path.key(key), NOBODY);
            NonZeroU32::MIN
        })
    };
    let limits = portal::Limits {
        body_bytes_max: raw.body_bytes_max.0.0,
        page_items_max: count(some("page_items_max", raw.page_items_max).get()),
        page_items_default: count(some("page_items_default", raw.page_items_default).get()),
        commands_per_second: some("commands_per_second", raw.commands_per_second),
        commands_burst: some("commands_burst", raw.commands_burst),
        requests_max: count(some("requests_max", raw.requests_max).get()),
        streams_per_principal_max: count(raw.streams_per_principal_max),
        streams_max: count(raw.streams_max),
        request_timeout: duration(&raw.request_timeout),
        heartbeat_after: duration(&raw.heartbeat_after),
    };
    within(context, &path.key("request_timeout"), &raw.request_timeout, Span::seconds(1), Span::hours(1));
    within(context, &path.key("heartbeat_after"), &raw.heartbeat_after, Span::seconds(1), Span::hours(1));
    if limits.page_items_max < limits.page_items_default {
        context.error(&path.key("page_items_default"), "the usual page is longer than the longest");
    }
    limits
}

/// Health and metrics.
pub(crate) fn admin(raw: &raw::Admin, context: &mut Context<'_>) -> Admin {
    if !is_local(&raw.listen.0) {
        let path = Path::default().key("admin").key("listen");
        context.warning(&path, format!("health and metrics on `{}` can be reached from elsewhere", raw.listen.0));
    }
    Admin { listen: raw.listen.0.clone() }
}

/// Tells of every pair of listeners that want the same place.
pub(crate) fn clashes(raw: &raw::Configuration, context: &mut Context<'_>) {
    let mut places: Vec<(Path, &Text<Bind>)> = Vec::new();
    for (index, listener) in raw.listener.iter().enumerate() {
        places.push((element("listener", index).key("listen"), &listener.listen));
    }
    places.push((Path::default().key("portal").key("listen"), &raw.portal.listen));
    places.push((Path::default().key("admin").key("listen"), &raw.admin.listen));
    for (index, (path, address)) in places.iter().enumerate() {
        if let Some((other, taken)) = places.iter().take(index).find(|(_, other)| clash(&other.0, &address.0)) {
            context.error(path, format!("`{}` is already taken by `{other}` (`{}`)", address.0, taken.0));
        }
    }
}

/// The upstreams.
pub(crate) fn upstreams(raw: &[raw::Upstream], context: &mut Context<'_>) -> Vec<UpstreamSettings> {
    let mut names = BTreeSet::new();
    let mut upstreams = Vec::new();
    for (index, upstream) in raw.iter().enumerate() {
        let path = element("upstream", index);
        let name = &upstream.name.0.0;
        if !names.insert(name) {
            context.error(&path.key("name"), format!("there are two upstreams named `{name}`"));
        }
        for (key, span) in [
            ("connect_timeout", &upstream.connect_timeout),
            ("response_timeout", &upstream.response_timeout),
            ("idle_timeout", &upstream.idle_timeout),
        ] {
            within(context, &path.key(key), span, Span::seconds(1), Span::hours(1));
        }
        upstreams.push(UpstreamSettings {
            name: name.clone(),
            url: upstream.url.0.write(),
            connect_timeout: duration(&upstream.connect_timeout),
            response_timeout: duration(&upstream.response_timeout),
            idle_timeout: duration(&upstream.idle_timeout),
            idle_max: count(upstream.idle_max),
            forward_authorization: upstream.forward_authorization,
            assertion_audience: assertion_audience(upstream, &path, context),
            authorities_file: upstream
                .authorities_file
                .as_ref()
                .map(|file| context.file(&file.0.0, &path.key("authorities_file"))),
        });
    }
    upstreams
}

fn assertion_audience(upstream: &raw::Upstream, path: &Path, context: &mut Context<'_>) -> Option<String> {
    match (&upstream.assertion_audience, upstream.assertion) {
        (Some(audience), true) => Some(audience.0.0.clone()),
        (None, true) => Some(upstream.name.0.0.clone()),
        (Some(_), false) => {
            context.error(&path.key("assertion_audience"), "no assertion is sent without `assertion = true`");
            None
        }
        (None, false) => None,
    }
}

/// What is logged, and how.
pub(crate) fn log(raw: &raw::Log, context: &mut Context<'_>) -> logs::Settings {
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(&raw.filter) {
        let path = Path::default().key("log").key("filter");
        context.error(&path, format!("`{}` is not a filter like `info,hallpass::access=warn`: {error}", raw.filter));
    }
    let format = match raw.format {
        raw::LogFormat::Json => logs::Format::Json,
        raw::LogFormat::Text => logs::Format::Text,
    };
    logs::Settings { format, filter: raw.filter.clone() }
}

/// How the gate reads requests.
pub(crate) fn gate(raw: &raw::Gate, store: &store::Settings, context: &mut Context<'_>) -> Gate {
    let path = Path::default().key("gate").key("assertion_key_file");
    let assertion_key_file = match &raw.assertion_key_file {
        Some(file) => context.file(&file.0.0, &path),
        None => store.key_path.with_file_name("assertion.key"),
    };
    if [&store.path, &store.key_path].contains(&&assertion_key_file) {
        context.error(&path, "assertions have a key of their own, in a file of its own");
    }
    Gate {
        assertion_key_file,
        cores: NonZeroU32::new(raw.cores),
        underscores: match raw.underscores {
            raw::Underscores::Refuse => Underscores::Refuse,
            raw::Underscores::Drop => Underscores::Drop,
        },
        upgrades: raw.upgrades.iter().map(|protocol| protocol.0.0.to_ascii_lowercase().into()).collect(),
    }
}

/// The bounds of the gate, and of what may wait.
pub(crate) fn limits(raw: &raw::Limits, context: &mut Context<'_>) -> (Limits, PendingLimits) {
    let path = Path::default().key("limits");
    let mut timeout = |key: &str, span: &Text<Span>| -> Duration {
        within(context, &path.key(key), span, Span::seconds(1), Span::hours(1));
        duration(span)
    };
    let limits = Limits {
        connection: server::Limits {
            header_bytes_max: raw.header_bytes_max.0.0,
            header_fields_max: count(raw.header_fields_max),
            header_timeout: timeout("header_timeout", &raw.header_timeout),
            idle_timeout: timeout("idle_timeout", &raw.idle_timeout),
            write_timeout: timeout("write_timeout", &raw.write_timeout),
            handshake_timeout: timeout("handshake_timeout", &raw.handshake_timeout),
            connections_max: count(raw.connections_max),
        },
        body_timeout: timeout("body_timeout", &raw.body_timeout),
        tokens_max: count(raw.tokens_max),
        drain_timeout: timeout("drain_timeout", &raw.drain_timeout),
    };
    for (key, number) in [
        ("header_fields_max", raw.header_fields_max),
        ("connections_max", raw.connections_max),
        ("tokens_max", raw.tokens_max),
        ("pending_per_principal_max", raw.pending_per_principal_max),
        ("pending_per_role_max", raw.pending_per_role_max),
        ("pending_max", raw.pending_max),
    ] {
        if number == 0 {
            context.error(&path.key(key), NOBODY);
        }
    }
    // hyper reads no head into less than 8 KiB
    if !(8 << 10..=1 << 20).contains(&limits.connection.header_bytes_max) {
        context.error(&path.key("header_bytes_max"), "the head of a request needs between 8 KiB and 1 MiB");
    }
    let pending = PendingLimits {
        per_principal: count(raw.pending_per_principal_max),
        per_role: count(raw.pending_per_role_max),
        total: count(raw.pending_max),
    };
    (limits, pending)
}

fn certificate(raw: Option<&raw::Tls>, path: &Path, context: &Context<'_>) -> Option<tls::Settings> {
    let (raw, path) = (raw?, path.key("tls"));
    Some(tls::Settings {
        certificate_file: context.file(&raw.certificate_file.0.0, &path.key("certificate_file")),
        key_file: context.file(&raw.key_file.0.0, &path.key("key_file")),
    })
}

fn in_the_clear(url: &Origin, path: &Path, context: &mut Context<'_>) {
    if url.scheme == "http" && !url.is_loopback() {
        context.warning(path, format!("over `{url}` tokens travel in the clear"));
    }
}

/// A `u32` fits: hallpass runs on nothing smaller.
fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

const NOBODY: &str = "a limit of 0 lets nobody through";
