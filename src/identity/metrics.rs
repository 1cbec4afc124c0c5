//! What this floor counts.

use std::fmt;
use std::sync::Weak;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};

use super::authenticator::Shared;
use crate::telemetry::Metrics;

/// Handles to the metrics of this floor.
#[derive(Debug, Clone)]
pub(super) struct Counters {
    /// Attempts to read keys, by issuer and result.
    pub(super) refreshes: Family<RefreshLabels, Counter>,
    /// Keys left out of a set, by issuer and reason.
    pub(super) refused_keys: Family<RefusalLabels, Counter>,
    /// Tokens that were remembered.
    pub(super) hits: Counter,
    /// Tokens that were not.
    pub(super) misses: Counter,
    /// Sessions in the file, as last counted.
    pub(super) sessions: Gauge,
    sign_ins: Family<RefreshLabels, Counter>,
    notices: Family<NoticeLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RefreshLabels {
    pub(super) issuer: String,
    pub(super) result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RefusalLabels {
    pub(super) issuer: String,
    pub(super) reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NoticeLabels {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LookupLabels {
    cache: &'static str,
    result: &'static str,
}

impl Counters {
    /// Registers them.
    pub(super) fn register(metrics: &Metrics) -> Self {
        let lookups = Family::<LookupLabels, Counter>::default();
        let lookup = |result| lookups.get_or_create_owned(&LookupLabels { cache: "tokens", result });
        let counters = Self {
            refreshes: Family::default(),
            refused_keys: Family::default(),
            hits: lookup("hit"),
            misses: lookup("miss"),
            sessions: Gauge::default(),
            sign_ins: Family::default(),
            notices: Family::default(),
        };
        metrics.register(|registry| {
            registry.register("jwks_refresh", "Attempts to read the keys of an issuer", counters.refreshes.clone());
            registry.register("jwks_keys_refused", "Keys left out of a key set", counters.refused_keys.clone());
            registry.register("cache_lookups", "Lookups in a cache", lookups);
            registry.register("sessions", "Sessions of people who signed in with a browser", counters.sessions.clone());
            registry.register("sign_ins", "Callbacks from providers, by what came of them", counters.sign_ins.clone());
            let help = "Notices of providers that somebody signed out, by what came of them";
            registry.register("logout_notices", help, counters.notices.clone());
        });
        counters
    }

    /// Counts a callback; the issuer is empty where none could be told.
    pub(super) fn sign_in(&self, issuer: &str, result: &'static str) {
        self.sign_ins.get_or_create(&RefreshLabels { issuer: issuer.to_owned(), result }).inc();
    }

    /// Counts a logout notice.
    pub(super) fn logout_notice(&self, result: &'static str) {
        self.notices.get_or_create(&NoticeLabels { result }).inc();
    }
}

/// How old the keys are, computed when somebody asks.
pub(super) struct Ages(pub(super) Weak<Shared>);

impl fmt::Debug for Ages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ages")
    }
}

impl Collector for Ages {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Some(shared) = self.0.upgrade() else { return Ok(()) };
        let help = "Time since the keys of an issuer were last read";
        let mut ages = encoder.encode_descriptor("jwks_age_seconds", help, None, MetricType::Gauge)?;
        for (issuer, age) in shared.key_ages() {
            ConstGauge::new(age).encode(ages.encode_family(&[("issuer", &*issuer)])?)?;
        }
        Ok(())
    }
}
