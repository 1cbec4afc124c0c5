//! Instants, spans and windows. Text forms (RFC 3339, `8h 30m`) live in [`crate::clock`]; here time is only compared.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The first instant that can be named.
    pub const MIN: Self = Self(0);
    /// The last instant that can be named, 9999-12-30T22:00:00Z: up to it RFC 3339 has text in every zone.
    pub const MAX: Self = Self(253_402_207_200_000);

    /// From milliseconds since the epoch, held between [`MIN`](Self::MIN) and [`MAX`](Self::MAX).
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// From whole seconds since the epoch, held in range.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Self {
        Self::from_millis(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This instant and a span later, held at [`MAX`](Self::MAX).
    #[must_use]
    pub fn plus(self, span: Span) -> Self {
        Self::from_millis(self.0.saturating_add(span.as_millis()))
    }

    /// This instant less a span, held at [`MIN`](Self::MIN).
    #[must_use]
    pub fn minus(self, span: Span) -> Self {
        Self::from_millis(self.0.saturating_sub(span.as_millis()))
    }

    /// Milliseconds from `earlier` to here; nothing when `earlier` is later.
    #[must_use]
    pub fn millis_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }
}

/// A length of time in whole seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of so many whole seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// A span of so many minutes.
    #[must_use]
    pub const fn minutes(minutes: u64) -> Self {
        Self(minutes.saturating_mul(60))
    }

    /// A span of so many hours.
    #[must_use]
    pub const fn hours(hours: u64) -> Self {
        Self(hours.saturating_mul(3600))
    }

    /// A span of so many days of 24 hours.
    #[must_use]
    pub const fn days(days: u64) -> Self {
        Self(days.saturating_mul(86_400))
    }

    /// The length in whole seconds.
    #[must_use]
    pub const fn as_seconds(self) -> u64 {
        self.0
    }

    fn as_millis(self) -> i64 {
        i64::try_from(self.0.saturating_mul(1000)).unwrap_or(i64::MAX)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0;
        if left == 0 {
            return write!(f, "0s");
        }
        let mut separator = "";
        for (unit, length) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
            let count = left / length;
            left %= length;
            if count > 0 {
                write!(f, "{separator}{count}{unit}")?;
                separator = " ";
            }
        }
        Ok(())
    }
}

/// A half-open stretch `[starts_at, ends_at)`; without an end it is permanent.
///
/// ```
/// use hallpass::domain::time::{Span, Timestamp, Window};
/// let noon = Timestamp::from_seconds(43_200);
/// let window = Window::new(noon, noon.plus(Span::hours(1)));
/// assert!(window.contains(noon));
/// assert!(!window.contains(noon.plus(Span::hours(1))), "the end is exclusive");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// First instant inside.
    pub starts_at: Timestamp,
    /// First instant no longer inside; `None` is permanent.
    pub ends_at: Option<Timestamp>,
}

impl Window {
    /// From `starts_at` until just before `ends_at`.
    #[must_use]
    pub const fn new(starts_at: Timestamp, ends_at: Timestamp) -> Self {
        Self { starts_at, ends_at: Some(ends_at) }
    }

    /// From `starts_at` on, without an end.
    #[must_use]
    pub const fn permanent(starts_at: Timestamp) -> Self {
        Self { starts_at, ends_at: None }
    }

    /// Whether `now` lies inside.
    #[must_use]
    pub fn contains(&self, now: Timestamp) -> bool {
        self.starts_at <= now && !self.is_over(now)
    }

    /// Whether `now` lies at or after the end.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.ends_at.is_some_and(|end| end <= now)
    }

    /// Whether the whole of `other` lies inside.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let ends_late_enough = match (self.ends_at, other.ends_at) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(others)) => others <= own,
        };
        self.starts_at <= other.starts_at && ends_late_enough
    }

    /// The earlier of this window's end and `at`.
    #[must_use]
    pub fn clip(&self, at: Timestamp) -> Timestamp {
        self.ends_at.map_or(at, |end| end.min(at))
    }
}
