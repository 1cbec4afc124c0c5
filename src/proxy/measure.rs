//! What the gate measures. Handles are resolved once per core and route and then kept; no label names a person.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Unit;

use crate::proxy::guard::Ending;
use crate::server::Gauges;
use crate::server::tls::Certificate;
use crate::telemetry::{Certificates, Metrics, RequestLabels};

/// All metrics of the gate.
#[derive(Clone)]
pub(super) struct Meters {
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram, fn() -> Histogram>,
    decisions: Family<DecisionLabels, Counter>,
    pub(super) decision_duration: Histogram,
    pub(super) tunnels_open: Gauge,
    tunnels_closed: Family<ReasonLabels, Counter>,
    connections_open: Family<ListenerLabels, Gauge>,
    connections_refused: Family<ListenerLabels, Counter>,
    handshakes_failed: Family<ListenerLabels, Counter>,
    malformed: Family<ListenerLabels, Counter>,
    certificates: Certificates,
}

/// What one core measures of one route on one listener.
pub(super) struct RouteMeters {
    meters: Meters,
    listener: Rc<str>,
    route: Rc<str>,
    duration: Histogram,
    requests: RefCell<Vec<((&'static str, StatusCode), Counter)>>,
    decisions: RefCell<Vec<(Decision, Counter)>>,
}

/// A verdict as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decision {
    /// `allow` or `deny`.
    pub(super) outcome: &'static str,
    /// Why.
    pub(super) reason: &'static str,
    /// `enforce` or `shadow`.
    pub(super) mode: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    listener: String,
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    route: String,
    outcome: &'static str,
    reason: &'static str,
    mode: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabels {
    listener: String,
}

impl Meters {
    /// Registers everything.
    pub(super) fn new(metrics: &Metrics) -> Self {
        let meters = Self {
            requests: metrics.requests(),
            durations: Family::new_with_constructor(durations as fn() -> Histogram),
            decisions: Family::default(),
            decision_duration: Histogram::new(exponential_buckets(1e-6, 4.0, 10)),
            tunnels_open: Gauge::default(),
            tunnels_closed: Family::default(),
            connections_open: Family::default(),
            connections_refused: Family::default(),
            handshakes_failed: Family::default(),
            malformed: Family::default(),
            certificates: metrics.certificates(),
        };
        let registered = meters.clone();
        metrics.register(|registry| {
            registry.register_with_unit(
                "http_request_duration",
                "From the head of a request to the end of its answer",
                Unit::Seconds,
                registered.durations,
            );
            registry.register("decisions", "Verdicts of the gate", registered.decisions);
            registry.register_with_unit(
                "decision_duration",
                "From the head of a request to its verdict",
                Unit::Seconds,
                registered.decision_duration,
            );
            registry.register("tunnels_open", "Open tunnels", registered.tunnels_open);
            registry.register("tunnels_closed", "Tunnels closed, by reason", registered.tunnels_closed);
            registry.register("connections_open", "Open connections of clients", registered.connections_open);
            registry.register("connections_refused", "Connections beyond the limit", registered.connections_refused);
            registry.register("connections_malformed", "Connections that did not speak HTTP", registered.malformed);
            registry.register("tls_handshakes_failed", "TLS handshakes that failed", registered.handshakes_failed);
        });
        meters
    }

    /// What is measured of one listener's connections.
    pub(super) fn connections(&self, listener: &str) -> Gauges {
        let labels = ListenerLabels { listener: listener.to_owned() };
        Gauges {
            open: self.connections_open.get_or_create_owned(&labels),
            refused: self.connections_refused.get_or_create_owned(&labels),
            handshakes_failed: self.handshakes_failed.get_or_create_owned(&labels),
            malformed: self.malformed.get_or_create_owned(&labels),
        }
    }

    /// Tells when a certificate ends.
    pub(super) fn certificate(&self, certificate: Certificate) -> Arc<Certificate> {
        if let (file, Some(ends_at)) = certificate.validity() {
            self.certificates.ends(&file, ends_at);
        }
        Arc::new(certificate)
    }

    /// Tells when a certificate ends that takes another's place.
    pub(super) fn certificate_replaced(&self, old: &Certificate, new: &Certificate) {
        self.certificates.forget(&old.validity().0);
        if let (file, Some(ends_at)) = new.validity() {
            self.certificates.ends(&file, ends_at);
        }
    }

    /// What one core measures of one route on one listener.
    pub(super) fn route(&self, listener: &str, route: &str) -> RouteMeters {
        let labels = RouteLabels { listener: listener.to_owned(), route: route.to_owned() };
        RouteMeters {
            duration: self.durations.get_or_create_owned(&labels),
            meters: self.clone(),
            listener: listener.into(),
            route: route.into(),
            requests: RefCell::default(),
            decisions: RefCell::default(),
        }
    }

    pub(super) fn tunnel_closed(&self, ending: Option<Ending>) {
        let reason = ending.map_or("ended", Ending::name);
        self.tunnels_closed.get_or_create(&ReasonLabels { reason }).inc();
    }
}

impl RouteMeters {
    /// Counts one request.
    pub(super) fn request(&self, method: Option<&Method>, status: StatusCode, took: Duration) {
        self.duration.observe(took.as_secs_f64());
        let method = method_label(method);
        let mut known = self.requests.borrow_mut();
        // few kinds ever occur on one route: a look along a short list beats hashing
        if let Some((_, counter)) = known.iter().find(|(kind, _)| *kind == (method, status)) {
            counter.inc();
            return;
        }
        let counter = self.meters.requests.get_or_create_owned(&RequestLabels {
            listener: self.listener.to_string(),
            route: self.route.to_string(),
            method,
            code: status.as_u16(),
        });
        counter.inc();
        known.push(((method, status), counter));
    }

    /// Counts one verdict.
    pub(super) fn decision(&self, decision: Decision, took: Duration) {
        self.meters.decision_duration.observe(took.as_secs_f64());
        let mut known = self.decisions.borrow_mut();
        if let Some((_, counter)) = known.iter().find(|(kind, _)| *kind == decision) {
            counter.inc();
            return;
        }
        let counter = self.meters.decisions.get_or_create_owned(&DecisionLabels {
            route: self.route.to_string(),
            outcome: decision.outcome,
            reason: decision.reason,
            mode: decision.mode,
        });
        counter.inc();
        known.push((decision, counter));
    }
}

fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.000_5, 2.5, 14))
}

/// Strangers may send any method: all but the usual ones are one.
fn method_label(method: Option<&Method>) -> &'static str {
    const USUAL: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"];
    let method = method.map_or("", Method::as_str);
    USUAL.into_iter().find(|usual| *usual == method).unwrap_or("other")
}
