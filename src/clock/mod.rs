//! The one place where time enters.
//!
//! `now` never runs backwards: it is held at a floor, the latest instant this process has seen or its journal tells of, so
//! that a clock set back revives nothing that has ended. `wait_until` wakes when the wall clock says so, also when
//! somebody moves the clock or the machine slept.

mod alarm;
mod text;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

pub use alarm::Alarm;
pub use text::{MalformedTime, format_rfc3339, parse_rfc3339, parse_span};

use crate::domain::time::{Span, Timestamp};

/// Tells the time. Cheap to clone; all clones share one floor.
#[derive(Debug, Clone)]
pub struct Clock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    source: Source,
    /// Milliseconds; the latest instant ever told.
    floor: AtomicI64,
    /// Moves when waiting tasks must look at the time again.
    moved: watch::Sender<()>,
}

#[derive(Debug)]
enum Source {
    System,
    Manual(AtomicI64),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::new(Source::System)
    }

    /// A clock that stands still until somebody moves it: for tests.
    #[must_use]
    pub fn manual(start: Timestamp) -> (Self, ManualClock) {
        let clock = Self::new(Source::Manual(AtomicI64::new(start.as_millis())));
        (clock.clone(), ManualClock { clock })
    }

    fn new(source: Source) -> Self {
        let shared = Shared { source, floor: AtomicI64::new(0), moved: watch::Sender::new(()) };
        Self { shared: Arc::new(shared) }
    }

    /// The present instant, never earlier than any told before.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let reading = self.reading().as_millis();
        // most readings move the floor by a millisecond at most: look before writing to the shared line
        let floor = self.shared.floor.load(Ordering::Acquire);
        if reading <= floor {
            return Timestamp::from_millis(floor);
        }
        Timestamp::from_millis(self.shared.floor.fetch_max(reading, Ordering::AcqRel).max(reading))
    }

    /// Nothing before `at` will be told any more.
    pub fn raise_floor(&self, at: Timestamp) {
        self.shared.floor.fetch_max(at.as_millis(), Ordering::AcqRel);
        self.shared.moved.send_replace(());
    }

    /// How far the underlying clock lies behind what was already told: more than a moment means it was set back.
    #[must_use]
    pub fn behind(&self) -> Duration {
        let floor = Timestamp::from_millis(self.shared.floor.load(Ordering::Acquire));
        Duration::from_millis(floor.millis_since(self.reading()))
    }

    /// Returns once `now` is at or after `at`.
    pub async fn wait_until(&self, at: Timestamp) {
        let mut moved = self.shared.moved.subscribe();
        loop {
            let left = Duration::from_millis(at.millis_since(self.now()));
            if left.is_zero() {
                return;
            }
            match self.shared.source {
                Source::Manual(_) => {
                    let _ = moved.changed().await;
                }
                Source::System => {
                    // sleeping counts time awake; `watch_for_jumps` tells when the wall clock parts from it
                    let _ = tokio::time::timeout(left, moved.changed()).await;
                }
            }
        }
    }

    /// Wakes all waiting tasks whenever the wall clock, or what was told, has parted from the time awake. Runs until it is
    /// dropped.
    pub async fn watch_for_jumps(&self) {
        let look = || (self.reading(), self.now(), awake());
        let mut last = look();
        loop {
            tokio::time::sleep(JUMP_CHECK).await;
            let found = look();
            let awake_for = found.2.duration_since(last.2);
            let wall_for = Duration::from_millis(found.0.millis_since(last.0));
            // a clock that was set forward and back again between two looks has left its mark here alone
            let told_for = Duration::from_millis(found.1.millis_since(last.1));
            if wall_for.abs_diff(awake_for) > JUMP || told_for.saturating_sub(awake_for) > JUMP {
                self.shared.moved.send_replace(());
            }
            last = found;
        }
    }

    fn reading(&self) -> Timestamp {
        match &self.shared.source {
            Source::System => wall(),
            Source::Manual(millis) => Timestamp::from_millis(millis.load(Ordering::Acquire)),
        }
    }
}

/// Moves the clock it came with.
#[derive(Debug, Clone)]
pub struct ManualClock {
    clock: Clock,
}

impl ManualClock {
    /// Moves the clock forward.
    pub fn advance(&self, by: Span) {
        self.set(self.reading().plus(by));
    }

    /// Sets the clock, also backwards.
    pub fn set(&self, to: Timestamp) {
        if let Source::Manual(millis) = &self.clock.shared.source {
            millis.store(to.as_millis(), Ordering::Release);
        }
        self.clock.shared.moved.send_replace(());
    }

    /// What the clock was last set to, whatever its floor.
    #[must_use]
    pub fn reading(&self) -> Timestamp {
        self.clock.reading()
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Time awake, for measuring how long something took; never for deciding.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
#[must_use]
pub fn awake() -> Instant {
    Instant::now()
}

const JUMP_CHECK: Duration = Duration::from_millis(250);
const JUMP: Duration = Duration::from_millis(50);
