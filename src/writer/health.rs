//! How the store is, for readiness, metrics, pages and whoever asks.

use std::sync::Arc;

use arc_swap::ArcSwap;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::store::StoreError;
use crate::telemetry::Metrics;
use crate::writer::batch::BatchError;

/// What the store takes at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreState {
    /// Every command.
    Open,
    /// Only what ends a right: the disk is full.
    EndsOnly,
    /// Nothing, until it was reopened and verified. Known rights are enforced until they end.
    Out,
    /// Nothing, and what is there cannot be believed: no role opens anything.
    Damaged,
}

impl StoreState {
    const ALL: [Self; 4] = [Self::Open, Self::EndsOnly, Self::Out, Self::Damaged];

    const fn label(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::EndsOnly => "ends_only",
            Self::Out => "out",
            Self::Damaged => "damaged",
        }
    }

    /// What it means, for those who run hallpass; nothing when all is well.
    #[must_use]
    pub const fn explanation(self) -> Option<&'static str> {
        match self {
            Self::Open => None,
            Self::EndsOnly => Some(
                "there is no room left for the journal; rights can be ended, and nothing new is granted until there is room, 8 MiB at least",
            ),
            Self::Out => Some(
                "the journal takes no commands; known rights are enforced until they end, and nothing new is granted",
            ),
            Self::Damaged => Some(
                "the journal cannot be believed after it was reopened; no role opens anything until the store is restored",
            ),
        }
    }
}

/// How the store is. Cheap to clone; all clones tell the same.
#[derive(Debug, Clone)]
pub struct Health {
    state: Arc<ArcSwap<StoreState>>,
    states: Family<StateLabels, Gauge>,
    failures: Family<FailureLabels, Counter>,
    owed: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    reason: &'static str,
}

impl Health {
    /// All is well.
    pub(super) fn new(metrics: &Metrics) -> Self {
        let health = Self {
            state: Arc::new(ArcSwap::from_pointee(StoreState::Open)),
            states: Family::default(),
            failures: Family::default(),
            owed: Gauge::default(),
        };
        metrics.register(|registry| {
            let help = "1 for the state the store is in: open, ends_only (disk full), out (no commands), damaged";
            registry.register("store_state", help, health.states.clone());
            let help = "commits that failed, by reason";
            registry.register("store_failures", help, health.failures.clone());
            let help = "ends of rights in force in memory that the journal does not hold yet";
            registry.register("store_owed_ends", help, health.owed.clone());
        });
        health.set(StoreState::Open);
        health
    }

    /// Whether the journal takes commands, be it only such as end a right.
    #[must_use]
    pub fn takes_commands(&self) -> bool {
        matches!(self.state(), StoreState::Open | StoreState::EndsOnly)
    }

    /// What the store takes at present.
    #[must_use]
    pub fn state(&self) -> StoreState {
        **self.state.load()
    }

    pub(super) fn set(&self, state: StoreState) {
        self.state.store(Arc::new(state));
        for each in StoreState::ALL {
            self.states.get_or_create(&StateLabels { state: each.label() }).set(i64::from(each == state));
        }
    }

    pub(super) fn failed(&self, error: &BatchError) {
        let reason = match error {
            BatchError::Store(StoreError::Full(_)) => "full",
            BatchError::Store(StoreError::Io(_) | StoreError::File { .. }) => "io",
            BatchError::Store(StoreError::Damaged(_)) => "damaged",
            BatchError::Store(StoreError::Randomness) => "randomness",
            BatchError::Store(_) => "store",
            BatchError::Panicked => "panic",
        };
        self.failures.get_or_create(&FailureLabels { reason }).inc();
    }

    pub(super) fn owes(&self, ends: usize) {
        self.owed.set(i64::try_from(ends).unwrap_or(i64::MAX));
    }
}
