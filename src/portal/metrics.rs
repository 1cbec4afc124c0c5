//! What the portal counts: requests and open streams. No label names a person.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::telemetry::{Metrics, RequestLabels};

/// Handles of the portal's metrics.
pub(super) struct PortalMetrics {
    requests: Family<RequestLabels, Counter>,
    streams: Gauge,
}

/// Counts one open stream until dropped.
pub(super) struct OpenStream(Gauge);

impl PortalMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let (requests, streams) = (metrics.requests(), Gauge::default());
        metrics.register(|registry| {
            registry.register("event_streams_open", "event streams and exports open at the portal", streams.clone());
        });
        Self { requests, streams }
    }

    /// `route` is the path as the router knows it; empty when none matched.
    pub(super) fn answered(&self, route: &str, method: &http::Method, code: u16) {
        let (listener, route) = ("portal".to_owned(), route.to_owned());
        self.requests.get_or_create(&RequestLabels { listener, route, method: name_of(method), code }).inc();
    }

    pub(super) fn stream(&self) -> OpenStream {
        self.streams.inc();
        OpenStream(self.streams.clone())
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A method's name, from a closed list: a client cannot make new series.
fn name_of(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "PUT" => "PUT",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
