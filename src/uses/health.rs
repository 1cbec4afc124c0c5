//! Whether uses can be written down, for the data path, readiness and metrics.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::watch;

use crate::telemetry::Metrics;

/// Whether the record of uses is kept at present. Cheap to clone; all clones tell the same.
#[derive(Debug, Clone)]
pub struct Health {
    keeping: Arc<watch::Sender<Keeping>>,
    out: Gauge,
    failures: Counter,
    lost: Counter,
}

/// What becomes of uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// They are written down.
    Kept,
    /// They cannot be written: requests under an elevation are refused until they can. What was taken before waits in
    /// memory.
    Out,
}

impl Health {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let health = Self::unmeasured();
        metrics.register(|registry| {
            let help = "1 while uses cannot be written, so that requests under an elevation are refused";
            registry.register("uses_out", help, health.out.clone());
            let help = "tries to write uses, or to open their file again, that failed";
            registry.register("uses_failures", help, health.failures.clone());
            let help = "uses taken but never written, because hallpass was stopped before they could be";
            registry.register("uses_lost", help, health.lost.clone());
        });
        health
    }

    pub(super) fn unmeasured() -> Self {
        let keeping = Arc::new(watch::Sender::new(Keeping::Kept));
        Self { keeping, out: Gauge::default(), failures: Counter::default(), lost: Counter::default() }
    }

    /// What becomes of uses at present.
    #[must_use]
    pub fn keeping(&self) -> Keeping {
        *self.keeping.borrow()
    }

    /// What it means, for those who run hallpass; nothing when all is well.
    #[must_use]
    pub fn explanation(&self) -> Option<&'static str> {
        match self.keeping() {
            Keeping::Kept => None,
            Keeping::Out => Some(
                "uses cannot be written down; requests that pass because of an activation are refused until they can",
            ),
        }
    }

    /// Returns once it is so.
    pub async fn becomes(&self, wanted: Keeping) {
        // the sender lives as long as this
        let _ = self.keeping.subscribe().wait_for(|keeping| *keeping == wanted).await;
    }

    pub(super) fn set(&self, keeping: Keeping) {
        self.out.set(i64::from(keeping == Keeping::Out));
        self.keeping.send_replace(keeping);
    }

    pub(super) fn failed(&self) {
        self.failures.inc();
    }

    pub(super) fn lost(&self, uses: usize) {
        self.lost.inc_by(u64::try_from(uses).unwrap_or(u64::MAX));
    }
}
