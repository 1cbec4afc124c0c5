//! Logs and metrics.
//!
//! What never enters a log, at any level: tokens, cookies, `Authorization` values, query strings, bodies, keys, and the free
//! text of people (justifications, tickets). Whoever logs an error logs its own words, not the input that caused it; input
//! that must be named goes through [`escape`]. On the way out every line is escaped once more ([`logs`]), so that what slips
//! through can neither start a line of its own nor turn a terminal around.

pub mod escape;
pub mod lines;
pub mod logs;
mod outlet;
mod requests;
#[cfg(test)]
pub(crate) mod sink;

use std::path::Path;
use std::sync::Mutex;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::domain::time::Timestamp;
pub use requests::RequestLabels;

/// All metrics of one process; each floor registers its own when it starts and keeps the handles.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<RequestLabels, Counter>,
    certificates: Family<CertificateLabels, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CertificateLabels {
    cert: String,
}

/// When certificates end: told by whoever loads them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Certificates(Family<CertificateLabels, Gauge>);

impl Certificates {
    /// The certificate in `file` ends then.
    pub fn ends(&self, file: &Path, at: Timestamp) {
        let labels = CertificateLabels { cert: file.display().to_string() };
        self.0.get_or_create(&labels).set(at.as_seconds());
    }

    /// The certificate in `file` is used no more.
    pub fn forget(&self, file: &Path) {
        self.0.remove(&CertificateLabels { cert: file.display().to_string() });
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("hallpass");
        let build = [("version", env!("CARGO_PKG_VERSION")), ("rust_version", env!("CARGO_PKG_RUST_VERSION"))];
        registry.register("build", "What this process was built from", Info::new(build));
        let requests = Family::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        let certificates = Family::default();
        let help = "When the certificates of listeners end, in seconds since 1970";
        registry.register_with_unit("tls_cert_not_after", help, Unit::Seconds, certificates.clone());
        registry.register(
            "log_lines_lost",
            "Lines of the log that could not be written, or not in time",
            logs::LOST.clone(),
        );
        Self { registry: Mutex::new(registry), requests, certificates }
    }
}

impl Metrics {
    /// Lets a floor register its metrics.
    pub fn register<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        let mut registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        register(&mut registry)
    }

    /// Requests answered, of every listener.
    #[must_use]
    pub fn requests(&self) -> Family<RequestLabels, Counter> {
        self.requests.clone()
    }

    /// When certificates end, of every listener.
    #[must_use]
    pub fn certificates(&self) -> Certificates {
        Certificates(self.certificates.clone())
    }

    /// OpenMetrics text.
    #[must_use]
    pub fn encode(&self) -> String {
        let registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut text = String::new();
        // writing to a string cannot fail
        let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_is_told() {
        let text = Metrics::default().encode();
        assert!(text.contains(&format!("hallpass_build_info{{version=\"{}\"", env!("CARGO_PKG_VERSION"))), "{text}");
    }
}
