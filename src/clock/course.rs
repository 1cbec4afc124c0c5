//! How time goes on when the wall clock cannot be followed.
//!
//! A wall clock that lies behind what was told before is wrong now, or was wrong then, and nothing tells which. What holds in
//! both cases is that time passes: from the latest instant told it goes on as the machine counts it (`CLOCK_BOOTTIME`, which
//! no one can set and which counts while the machine sleeps), so that whatever ends, ends in time. The wall clock is
//! followed again once it has reached that instant.
//!
//! Where a process begins behind the journal's newest record, not even that is known: how long nobody counted. It says so
//! ([`Course::is_lost`]) until the wall clock has caught up.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Instants and durations are milliseconds; instants since 1970.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// The latest instant the wall clock has shown, or the journal tells of.
    floor: AtomicI64,
    /// Time told less time since boot, while the wall clock is not followed.
    lead: AtomicI64,
    /// What the wall clock showed when `lead` was noted.
    noted: AtomicI64,
    /// Whether the wall clock was left since.
    is_left: AtomicBool,
    is_lost: AtomicBool,
    turning: Mutex<()>,
}

/// The two clocks there are.
pub(super) trait Clocks {
    /// What people call the time; anybody may set it.
    fn wall(&self) -> i64;
    /// Time since boot, asleep or awake.
    fn since_boot(&self) -> i64;
}

impl Course {
    /// The present instant.
    pub(super) fn now(&self, clocks: &impl Clocks) -> i64 {
        let (wall, floor) = (clocks.wall(), self.floor.load(Ordering::Acquire));
        if wall.saturating_add(JITTER) < floor {
            self.is_left.store(true, Ordering::Relaxed);
            return clocks.since_boot().saturating_add(self.lead.load(Ordering::Acquire)).max(floor);
        }
        if wall.saturating_sub(self.noted.load(Ordering::Relaxed)) >= NOTE_EVERY || self.is_left.load(Ordering::Relaxed)
        {
            self.follow(clocks);
        }
        // most readings move the floor by a millisecond at most: look before writing to the shared line
        if wall <= floor { floor } else { self.floor.fetch_max(wall, Ordering::AcqRel).max(wall) }
    }

    /// From now on nothing before `at` is told.
    pub(super) fn raise(&self, at: i64, clocks: &impl Clocks) {
        if at <= self.floor.load(Ordering::Acquire) {
            return;
        }
        let _turning = self.turning.lock().unwrap_or_else(PoisonError::into_inner);
        if self.floor.fetch_max(at, Ordering::AcqRel) < at {
            self.lead.fetch_max(at.saturating_sub(clocks.since_boot()), Ordering::AcqRel);
        }
    }

    /// Goes on from `newest`, which was told before this process began. When the wall clock lies further behind than
    /// `behind_max`, nobody knows how long ago that was.
    pub(super) fn resume(&self, newest: i64, behind_max: i64, clocks: &impl Clocks) {
        self.raise(newest, clocks);
        if self.behind(clocks) > behind_max {
            self.is_left.store(true, Ordering::Relaxed);
            self.is_lost.store(true, Ordering::Release);
        }
    }

    /// Whether nobody knows what time it is.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }

    /// How far the wall clock lies behind what was told.
    pub(super) fn behind(&self, clocks: &impl Clocks) -> i64 {
        self.floor.load(Ordering::Acquire).saturating_sub(clocks.wall()).max(0)
    }

    /// Notes how far the wall clock is from the time since boot.
    fn follow(&self, clocks: &impl Clocks) {
        let _turning = self.turning.lock().unwrap_or_else(PoisonError::into_inner);
        // in this order: whoever is held up in between tells ends too early and never too late
        let (since_boot, wall) = (clocks.since_boot(), clocks.wall());
        if wall.saturating_add(JITTER) < self.floor.load(Ordering::Acquire) {
            return;
        }
        self.lead.store(wall.saturating_sub(since_boot), Ordering::Release);
        self.noted.store(wall, Ordering::Relaxed);
        self.is_left.store(false, Ordering::Relaxed);
        self.is_lost.store(false, Ordering::Release);
    }
}

/// Cores that read the wall clock at the same time may see each other's readings in the future.
const JITTER: i64 = 50;
/// A step of the wall clock that is shorter may show up in what is told this late.
const NOTE_EVERY: i64 = 100;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    struct Shown {
        wall: Cell<i64>,
        since_boot: Cell<i64>,
    }

    impl Shown {
        fn passes(&self, millis: i64) {
            self.wall.set(self.wall.get() + millis);
            self.since_boot.set(self.since_boot.get() + millis);
        }

        fn is_set(&self, by: i64) {
            self.wall.set(self.wall.get() + by);
        }
    }

    impl Clocks for Shown {
        fn wall(&self) -> i64 {
            self.wall.get()
        }

        fn since_boot(&self) -> i64 {
            self.since_boot.get()
        }
    }

    fn began() -> (Course, Shown) {
        let shown = Shown { wall: Cell::new(T), since_boot: Cell::new(77_000) };
        let course = Course::default();
        assert_eq!(course.now(&shown), T);
        (course, shown)
    }

    #[test]
    fn a_wall_clock_that_goes_on_is_followed() {
        let (course, shown) = began();
        for step in [1, 5, 99, 100, 5_000, HOUR] {
            shown.passes(step);
            assert_eq!((course.now(&shown), course.behind(&shown)), (shown.wall(), 0));
        }
        // slept: both went on; woken by a network clock: the wall alone
        shown.is_set(HOUR);
        assert_eq!(course.now(&shown), shown.wall());
    }

    #[test]
    fn time_passes_while_the_wall_clock_is_set_back() {
        let (course, shown) = began();
        shown.passes(10_000);
        assert_eq!(course.now(&shown), T + 10_000);
        shown.is_set(-HOUR);
        for passed in [0, 1, 999, 30_000] {
            shown.passes(passed);
            assert_eq!(course.now(&shown), shown.wall() + HOUR, "as if nobody had touched it");
        }
        assert!(!course.is_lost() && course.behind(&shown) > 0);
        // and back
        shown.is_set(HOUR);
        assert_eq!((course.now(&shown), course.behind(&shown)), (shown.wall(), 0));
    }

    #[test]
    fn a_wall_clock_that_was_wrong_before_is_followed_once_it_has_caught_up() {
        let (course, shown) = began();
        shown.is_set(HOUR);
        assert_eq!(course.now(&shown), T + HOUR);
        shown.is_set(-HOUR);
        shown.passes(HOUR / 2);
        assert_eq!(course.now(&shown), T + HOUR + HOUR / 2, "ends come early rather than late");
        shown.passes(HOUR / 2);
        assert_eq!(course.now(&shown), T + HOUR);
        shown.passes(1);
        assert_eq!(course.now(&shown), shown.wall());
        shown.is_set(-HOUR / 2);
        assert_eq!(course.now(&shown), T + HOUR + 1, "what it led by before is forgotten");
    }

    #[test]
    fn what_was_recorded_meanwhile_holds_the_wall_clock_off() {
        let (course, shown) = began();
        shown.is_set(-HOUR);
        shown.passes(60_000);
        let recorded = course.now(&shown);
        assert_eq!(recorded, T + 60_000);
        course.raise(recorded, &shown);
        shown.passes(HOUR - 30_000);
        assert_eq!(shown.wall(), T + 30_000, "past what the wall clock itself had shown");
        assert_eq!(course.now(&shown), recorded + HOUR - 30_000);
        shown.passes(30_000);
        assert_eq!(course.now(&shown), recorded);
    }

    #[test]
    fn whoever_begins_behind_the_journal_is_lost_until_the_wall_clock_has_caught_up() {
        let (course, shown) = began();
        course.resume(T + 5_000, 5_000, &shown);
        assert!(!course.is_lost(), "so much is nothing");
        course.resume(T + HOUR, 5_000, &shown);
        assert!(course.is_lost());
        shown.passes(1_000);
        assert_eq!((course.now(&shown), course.is_lost()), (T + HOUR + 1_000, true));
        shown.is_set(HOUR);
        assert_eq!((course.now(&shown), course.is_lost()), (shown.wall(), false));
    }

    #[test]
    fn readings_of_several_cores_at_once_leave_the_wall_clock_for_nothing() {
        let (course, shown) = began();
        shown.passes(40);
        assert_eq!(course.now(&shown), T + 40);
        shown.is_set(-40);
        assert_eq!(course.now(&shown), T + 40);
        assert!(!course.is_left.load(Ordering::Relaxed));
    }

    const T: i64 = 1_800_000_000_000;
    const HOUR: i64 = 3_600_000;
}
