//! Instants and spans as typed and as shown.

use std::str::FromStr;

use crate::cli::terminal::safe;
use crate::clock::{format_rfc3339, parse_rfc3339, parse_span};
use crate::domain::time::{Span, Timestamp};

/// A span as typed: `1h`, `8h30m`, `2d`.
pub(super) fn span(text: &str) -> Result<Span, String> {
    match parse_span(text) {
        Ok(Span::ZERO) => Err("a span of no time at all".to_owned()),
        Ok(span) => Ok(span),
        Err(error) => Err(error.to_string()),
    }
}

/// An instant as typed: RFC 3339, or `+2h` from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    At(Timestamp),
    In(Span),
}

impl Moment {
    /// As the portal reads it.
    pub(super) fn to_rfc3339(self, now: Timestamp) -> String {
        format_rfc3339(match self {
            Self::At(at) => at,
            Self::In(span) => now.plus(span),
        })
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix('+') {
            Some(span) => parse_span(span).map(Self::In).map_err(|error| error.to_string()),
            None => {
                parse_rfc3339(text).map(Self::At).map_err(|error| format!("{error}; or `+2h` for two hours from now"))
            }
        }
    }
}

/// An instant of the portal for people: `2026-11-23 08:30:00Z, in 1h 5m`.
pub(super) fn show(instant: &str, now: Timestamp) -> String {
    let Ok(at) = parse_rfc3339(instant) else {
        return safe(instant).into_owned();
    };
    let text = format_rfc3339(at);
    let whole_seconds = text.split_once('.').map_or(text.as_str(), |(seconds, _)| seconds).replace('T', " ");
    let distance = if at >= now {
        // rounded away from the instant: what is about to end has not ended
        format!("in {}", rough(at.millis_since(now).div_ceil(1000)))
    } else {
        format!("{} ago", rough(now.millis_since(at) / 1000))
    };
    format!("{whole_seconds}Z, {distance}")
}

/// The two largest units: nobody at night wants the seconds of a week.
fn rough(seconds: u64) -> String {
    let text = Span::seconds(seconds).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_instants_or_distances() {
        let now = Timestamp::from_seconds(1_795_000_000);
        assert_eq!("+2h".parse(), Ok(Moment::In(Span::hours(2))));
        assert_eq!(Moment::In(Span::hours(2)).to_rfc3339(now), format_rfc3339(now.plus(Span::hours(2))));
        assert!("2026-11-23T08:30:00+01:00".parse::<Moment>().is_ok());
        assert!("tomorrow".parse::<Moment>().is_err());
        assert!(span("0s").is_err());
    }

    #[test]
    fn instants_are_shown_with_their_distance() {
        let now = parse_rfc3339("2026-11-23T08:30:00Z").unwrap();
        assert_eq!(show("2026-11-23T09:35:10.500Z", now), "2026-11-23 09:35:10Z, in 1h 5m");
        assert_eq!(show("2026-11-23T08:29:00Z", now), "2026-11-23 08:29:00Z, 1m ago");
        assert_eq!(show("\u{1b}[2J", now), "\\u{1b}[2J");
    }
}
