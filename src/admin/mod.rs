//! Health, readiness and metrics, on their own listener that the outside never sees.
//!
//! A page that somebody opens beside it must not read it: a name that merely resolves to this machine is refused, and so is
//! whatever a browser sends from elsewhere (DNS rebinding).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

use crate::telemetry::{Metrics, escape};

/// What the admin listener serves.
#[derive(Clone)]
pub struct Admin {
    /// Whether hallpass is ready, and why not.
    pub readiness: Readiness,
    /// All metrics of the process.
    pub metrics: Arc<Metrics>,
    /// Names, beside loopback names and addresses, under which probes may call.
    pub hosts: Arc<[String]>,
}

/// Conditions that must hold before hallpass takes requests. Cheap to clone; all clones share them.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    conditions: Arc<Mutex<Conditions>>,
}

#[derive(Debug, Default)]
struct Conditions {
    started: bool,
    /// What does not hold, by name, with the reason.
    missing: BTreeMap<&'static str, String>,
}

impl Readiness {
    /// Nothing has started yet: not ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The start is over: from now on only missing conditions count.
    pub fn started(&self) {
        self.lock().started = true;
    }

    /// The condition `name` does not hold, because of `reason`.
    pub fn missing(&self, name: &'static str, reason: impl Into<String>) {
        self.lock().missing.insert(name, reason.into());
    }

    /// The condition `name` holds.
    pub fn holds(&self, name: &'static str) {
        self.lock().missing.remove(name);
    }

    /// Whether the start is over and every condition holds.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let conditions = self.lock();
        conditions.started && conditions.missing.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Conditions> {
        self.conditions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One line for each condition that does not hold.
    fn report(&self) -> (bool, String) {
        let conditions = self.lock();
        let starting = (!conditions.started).then(|| "starting\n".to_owned());
        let missing = conditions.missing.iter().map(|(name, reason)| format!("{name}: {}\n", escape::text(reason)));
        let lines: String = starting.into_iter().chain(missing).collect();
        if lines.is_empty() { (true, "ready\n".to_owned()) } else { (false, lines) }
    }
}

/// Everything the admin listener serves.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(|| async { text(StatusCode::OK, "alive\n") }))
        .route("/readyz", get(ready))
        .route("/startupz", get(started))
        .route("/metrics", get(metrics))
        .fallback(|| async { text(StatusCode::NOT_FOUND, "not found\n") })
        .layer(from_fn_with_state(admin.clone(), shield))
        .with_state(admin)
}

async fn ready(State(admin): State<Admin>) -> Response {
    let (ready, report) = admin.readiness.report();
    text(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, report)
}

async fn started(State(admin): State<Admin>) -> Response {
    let started = admin.readiness.lock().started;
    if started { text(StatusCode::OK, "started\n") } else { text(StatusCode::SERVICE_UNAVAILABLE, "starting\n") }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let mut response = admin.metrics.encode().into_response();
    let open_metrics = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, open_metrics);
    response
}

async fn shield(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    let mut response = if is_local(request.uri(), request.headers(), &admin.hosts) {
        next.run(request).await
    } else {
        text(StatusCode::MISDIRECTED_REQUEST, "this listener does not go by that name\n")
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    response
}

/// Whether the request names this listener by an address, a loopback name or a name from the configuration, and does not
/// come from a page elsewhere.
fn is_local(uri: &Uri, headers: &HeaderMap, hosts: &[String]) -> bool {
    let known = |authority: &Authority| {
        let host = authority.host().to_ascii_lowercase();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        // an address cannot be made to mean another machine; a name can
        let loopback_name = host == "localhost" || host.ends_with(".localhost");
        !authority.as_str().contains('@')
            && (loopback_name
                || address.parse::<IpAddr>().is_ok()
                || hosts.iter().any(|own| own.eq_ignore_ascii_case(&host)))
    };
    let mut named = headers.get_all(header::HOST).iter();
    let host = match (named.next(), named.next()) {
        (Some(host), None) => host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()),
        _ => None,
    };
    let origin_known = headers.get_all(header::ORIGIN).iter().all(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
        origin.and_then(|origin| origin.authority().cloned()).is_some_and(|authority| known(&authority))
    });
    let site_known =
        headers.get_all("sec-fetch-site").iter().all(|site| matches!(site.as_bytes(), b"same-origin" | b"none"));
    host.is_some_and(|host| known(&host)) && uri.authority().is_none_or(known) && origin_known && site_known
}

fn text(status: StatusCode, text: impl Into<String>) -> Response {
    let mut response = (status, text.into()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests;
