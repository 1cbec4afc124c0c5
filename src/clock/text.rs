//! Instants and spans as people write them: RFC 3339 and `8h 30m`.

use jiff::fmt::temporal::DateTimePrinter;
use jiff::{SignedDuration, Timestamp as Instant};

use crate::domain::time::{Span, Timestamp};

/// The text is no instant or span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedTime {
    /// Not an instant.
    #[error("`{0}` is not an instant like `2026-11-23T08:30:00Z`; the offset is required")]
    Instant(String),
    /// Not a span.
    #[error("`{0}` is not a span of whole seconds like `8h 30m`")]
    Span(String),
}

/// An instant as RFC 3339 text in UTC with milliseconds.
#[must_use]
pub fn format_rfc3339(at: Timestamp) -> String {
    let mut text = String::with_capacity(24);
    let instant = Instant::from_millisecond(at.as_millis()).unwrap_or(Instant::UNIX_EPOCH);
    // writing to a string cannot fail
    let _ = DateTimePrinter::new().precision(Some(3)).print_timestamp(&instant, &mut text);
    text
}

/// Reads RFC 3339 text; the offset is required.
///
/// # Errors
/// [`MalformedTime::Instant`].
pub fn parse_rfc3339(text: &str) -> Result<Timestamp, MalformedTime> {
    let instant: Instant = text.parse().map_err(|_| MalformedTime::Instant(text.to_owned()))?;
    Ok(Timestamp::from_millis(instant.as_millisecond()))
}

/// Reads a span like `8h 30m`, `90s`, `14d` or `PT1H`, in whole seconds; a day is 24 hours.
///
/// # Errors
/// [`MalformedTime::Span`] also for negative, fractional and unimaginably long spans.
pub fn parse_span(text: &str) -> Result<Span, MalformedTime> {
    let malformed = || MalformedTime::Span(text.to_owned());
    let span: jiff::Span = text.parse().map_err(|_| malformed())?;
    let length = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| malformed())?;
    if length < SignedDuration::ZERO || length.subsec_nanos() != 0 {
        return Err(malformed());
    }
    u64::try_from(length.as_secs()).map(Span::seconds).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_whole_seconds_in_familiar_spelling() {
        for (text, seconds) in [("8h 30m", 30_600), ("90s", 90), ("1d", 86_400), ("PT1H", 3600), ("1h30m", 5400)] {
            assert_eq!(parse_span(text), Ok(Span::seconds(seconds)), "{text}");
        }
        for text in ["", "-1h", "1.5s", "100ms", "8", "soon", "1 fortnight"] {
            assert!(parse_span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn instants_round_trip_and_need_an_offset() {
        let at = Timestamp::from_millis(1_795_404_600_123);
        assert_eq!(parse_rfc3339(&format_rfc3339(at)), Ok(at));
        assert_eq!(format_rfc3339(Timestamp::MAX), "9999-12-30T22:00:00.000Z");
        assert!(parse_rfc3339("2026-11-23T08:30:00").is_err());
    }
}
