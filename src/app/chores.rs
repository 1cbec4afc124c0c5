//! Small things done beside: watching health, counting.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use tokio_util::sync::CancellationToken;

use crate::admin::Readiness;
use crate::clock::Clock;
use crate::identity::Authenticator;
use crate::store::Reader;
use crate::telemetry::Metrics;
use crate::uses;
use crate::writer::Health;

/// What readiness depends on.
pub(super) struct Watched {
    pub(super) health: Health,
    pub(super) uses: uses::Health,
    pub(super) clock: Clock,
    pub(super) authenticator: Authenticator,
    pub(super) issuers: usize,
    pub(super) alarm: ClockAlarm,
}

/// Tells of a clock that was set back: as a metric always, in the log when it begins and when it is over.
#[derive(Debug)]
pub(super) struct ClockAlarm {
    behind_seconds: Gauge<f64, AtomicU64>,
    rings: AtomicBool,
}

impl ClockAlarm {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let alarm = Self { behind_seconds: Gauge::default(), rings: AtomicBool::new(false) };
        metrics.register(|registry| {
            let help = "how far the machine's clock lies behind what was told before; above 5, nothing new is granted";
            registry.register("clock_behind_seconds", help, alarm.behind_seconds.clone());
        });
        alarm
    }

    /// What readiness lacks while the clock lies too far behind.
    fn look(&self, clock: &Clock) -> Option<String> {
        let behind = clock.behind();
        self.behind_seconds.set(behind.as_secs_f64());
        let rings = behind > super::CLOCK_BEHIND_MAX || clock.is_lost();
        if self.rings.swap(rings, Ordering::Relaxed) != rings {
            if rings && clock.is_lost() {
                tracing::error!(
                    behind_seconds = behind.as_secs(),
                    "the clock lies behind the newest record of the journal: nobody can tell which rights have ended, so no role \
                     opens anything until it has caught up; correct it"
                );
            } else if rings {
                tracing::error!(
                    behind_seconds = behind.as_secs(),
                    "the clock was set back: time goes on without it, and nothing new is granted until it has caught up; correct it"
                );
            } else {
                tracing::info!("the clock has caught up; rights are granted again");
            }
        }
        let stops = if clock.is_lost() { "no role opens anything" } else { "nothing new is granted" };
        rings.then(|| format!("the clock lies {} s behind; {stops}", behind.as_secs()))
    }
}

/// Keeps readiness true, until `stop`: does the journal take commands, can the clock be believed, is there an issuer
/// whose tokens can be verified?
pub(super) async fn watch_health(watched: Watched, readiness: Readiness, stop: CancellationToken) {
    let mut pulse = tokio::time::interval(PULSE);
    while stop.run_until_cancelled(pulse.tick()).await.is_some() {
        watched.report(&readiness);
    }
}

impl Watched {
    pub(super) fn report(&self, readiness: &Readiness) {
        match self.health.state().explanation() {
            None => readiness.holds("journal"),
            Some(explanation) => readiness.missing("journal", explanation),
        }
        match self.uses.explanation() {
            None => readiness.holds("uses"),
            Some(explanation) => readiness.missing("uses", explanation),
        }
        match self.alarm.look(&self.clock) {
            None => readiness.holds("clock"),
            Some(lacking) => readiness.missing("clock", lacking),
        }
        let lacking = self.authenticator.without_keys();
        // one issuer that is down must not take the others' people down with it
        if !lacking.is_empty() && lacking.len() >= self.issuers {
            readiness.missing("keys", format!("no keys of the issuers {}", lacking.join(", ")));
        } else {
            readiness.holds("keys");
        }
    }
}

/// What came of reading a configuration again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reloaded {
    /// It is in force.
    Whole,
    /// The last good one stays.
    Not,
}

/// Reloads that came into force or were refused.
#[derive(Debug, Clone)]
pub(super) struct Reloads {
    total: Family<ReloadLabels, Counter>,
    last_success: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    result: &'static str,
}

impl Reloads {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let reloads = Self { total: Family::default(), last_success: Gauge::default() };
        reloads.last_success.set(1);
        metrics.register(|registry| {
            let help = "configurations read again, by what came of it";
            registry.register("config_reloads", help, reloads.total.clone());
            let help = "whether the last configuration read is the one in force";
            registry.register("config_last_reload_success", help, reloads.last_success.clone());
        });
        reloads
    }

    pub(super) fn count(&self, reloaded: Reloaded) {
        let (result, success) = match reloaded {
            Reloaded::Whole => ("success", 1),
            Reloaded::Not => ("failure", 0),
        };
        self.total.get_or_create(&ReloadLabels { result }).inc();
        self.last_success.set(success);
    }
}

/// Registers how many activations are pending and active; read from the store when somebody asks.
pub(super) fn count_activations(reader: Reader, metrics: &Metrics) {
    metrics.register(|registry| registry.register_collector(Box::new(Activations { reader })));
}

struct Activations {
    reader: Reader,
}

impl std::fmt::Debug for Activations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Activations")
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    phase: &'static str,
}

impl Collector for Activations {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        // what cannot be read is not told; readiness says why
        let Ok((pending, active)) = self.reader.counts() else { return Ok(()) };
        let kind = prometheus_client::metrics::MetricType::Gauge;
        let mut family =
            encoder.encode_descriptor("activations", "activations that are pending or active", None, kind)?;
        for (phase, count) in [("pending", pending), ("active", active)] {
            let gauge = ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
            gauge.encode(family.encode_family(&PhaseLabels { phase })?)?;
        }
        Ok(())
    }
}

const PULSE: std::time::Duration = std::time::Duration::from_millis(500);
