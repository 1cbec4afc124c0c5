//! The one place where time enters.
//!
//! `now` follows the wall clock, but for one that lies behind what this process has told or its journal tells of: then it
//! goes on from there by itself (`course`), so that a clock set back revives nothing that has ended, and lets nothing last
//! longer. `wait_until` wakes when the time has come, also when somebody moves the clock or the machine slept.

mod alarm;
mod course;
mod text;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::watch;

pub use alarm::Alarm;
use course::{Clocks, Course};
pub use text::{MalformedTime, format_rfc3339, parse_rfc3339, parse_span};

use crate::domain::time::{Span, Timestamp};

/// Tells the time. Cheap to clone; all clones tell the same.
#[derive(Debug, Clone)]
pub struct Clock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    source: Source,
    course: Course,
    /// Moves when waiting tasks must look at the time again.
    moved: watch::Sender<()>,
}

#[derive(Debug)]
enum Source {
    System,
    /// Wall clock and time since boot, in milliseconds.
    Manual {
        wall: AtomicI64,
        since_boot: AtomicI64,
    },
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
        let clock =
            Self::new(Source::Manual { wall: AtomicI64::new(start.as_millis()), since_boot: AtomicI64::new(0) });
        (clock.clone(), ManualClock { clock })
    }

    fn new(source: Source) -> Self {
        let shared = Shared { source, course: Course::default(), moved: watch::Sender::new(()) };
        Self { shared: Arc::new(shared) }
    }

    /// The present instant: never earlier than any told before, unless the wall clock has caught up with the latest it showed
    /// itself or the journal tells of.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.shared.course.now(&self.shared.source))
    }

    /// Goes on from `newest`, which the journal tells of.
    pub fn resume(&self, newest: Timestamp, behind_max: Duration) {
        let behind_max = i64::try_from(behind_max.as_millis()).unwrap_or(i64::MAX);
        self.shared.course.resume(newest.as_millis(), behind_max, &self.shared.source);
        self.shared.moved.send_replace(());
    }

    /// Nothing before `at`, which was told by this clock, will be told any more.
    pub fn hold(&self, at: Timestamp) {
        self.shared.course.raise(at.as_millis(), &self.shared.source);
    }

    /// Whether nobody knows what time it is: this process began with a wall clock that lay behind the journal, and it has not
    /// caught up.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.shared.course.is_lost()
    }

    /// How far the wall clock lies behind what was already told: more than a moment means it was set back.
    #[must_use]
    pub fn behind(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.shared.course.behind(&self.shared.source)).unwrap_or_default())
    }

    /// Time since boot, asleep or awake, for pauses between tries: whoever sets the wall clock makes none of them longer or
    /// shorter.
    #[must_use]
    pub fn since_boot(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.shared.source.since_boot()).unwrap_or_default())
    }

    /// Returns once `now` is at or after `at`; or when the wall clock is followed again, and what was told before says nothing
    /// of how long there is to wait.
    pub async fn wait_until(&self, at: Timestamp) {
        let mut moved = self.shared.moved.subscribe();
        let mut last = self.now();
        loop {
            let now = self.now();
            let left = Duration::from_millis(at.millis_since(now));
            if left.is_zero() || now < last {
                return;
            }
            last = now;
            match self.shared.source {
                Source::Manual { .. } => {
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
            let is_followed_again = found.1 < last.1;
            if wall_for.abs_diff(awake_for) > JUMP || told_for.saturating_sub(awake_for) > JUMP || is_followed_again {
                self.shared.moved.send_replace(());
            }
            last = found;
        }
    }

    fn reading(&self) -> Timestamp {
        Timestamp::from_millis(self.shared.source.wall())
    }
}

impl Clocks for Source {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn wall(&self) -> i64 {
        match self {
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
            }
            Self::Manual { wall, .. } => wall.load(Ordering::Acquire),
        }
    }

    fn since_boot(&self) -> i64 {
        match self {
            Self::System => {
                let since = clock_gettime(ClockId::Boottime);
                since.tv_sec.saturating_mul(1000).saturating_add(since.tv_nsec / 1_000_000)
            }
            Self::Manual { since_boot, .. } => since_boot.load(Ordering::Acquire),
        }
    }
}

/// Moves the clock it came with.
#[derive(Debug, Clone)]
pub struct ManualClock {
    clock: Clock,
}

impl ManualClock {
    /// Lets time pass.
    pub fn advance(&self, by: Span) {
        self.rest(by);
        self.set(self.reading().plus(by));
    }

    /// Lets time pass, and the wall clock does not tell.
    pub fn rest(&self, by: Span) {
        if let Source::Manual { since_boot, .. } = &self.clock.shared.source {
            let passed = Timestamp::from_millis(0).plus(by);
            since_boot.fetch_add(passed.as_millis(), Ordering::AcqRel);
        }
    }

    /// Sets the wall clock, also backwards.
    pub fn set(&self, to: Timestamp) {
        if let Source::Manual { wall, .. } = &self.clock.shared.source {
            wall.store(to.as_millis(), Ordering::Release);
        }
        self.clock.shared.moved.send_replace(());
    }

    /// What the clock was last set to, whatever its floor.
    #[must_use]
    pub fn reading(&self) -> Timestamp {
        self.clock.reading()
    }
}

/// Time awake, for measuring how long something took; never for deciding.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
#[must_use]
pub fn awake() -> Instant {
    Instant::now()
}

const JUMP_CHECK: Duration = Duration::from_millis(250);
const JUMP: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_by_a_time_that_is_told_no_more_is_woken() {
        let (began, hour) = (Timestamp::from_seconds(1_800_000_000), Span::hours(1));
        let (clock, manual) = Clock::manual(began);
        manual.set(began.plus(hour));
        assert_eq!(clock.now(), began.plus(hour));
        manual.set(began);
        manual.advance(Span::minutes(30));
        let told = clock.now();
        assert_eq!(told, began.plus(hour).plus(Span::minutes(30)));
        let wait = clock.wait_until(told.plus(Span::seconds(5)));
        let catch_up = async {
            manual.advance(Span::seconds(1));
            tokio::task::yield_now().await;
            // the wall clock has caught up with what it showed at first
            manual.set(began.plus(hour));
        };
        let woken = tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(wait, catch_up) });
        assert!(woken.await.is_ok(), "it would wait for half an hour");
        assert_eq!(clock.now(), began.plus(hour));
    }
}
