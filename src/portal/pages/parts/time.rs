//! Times: for people, and exact. Written in UTC here; the script turns them into the viewer's zone and keeps them moving.

use maud::{Markup, html};

use crate::clock::format_rfc3339;
use crate::domain::time::{Span, Timestamp};

/// A moment, as date and time.
pub(in crate::portal) fn moment(at: Timestamp) -> Markup {
    html! { time datetime=(format_rfc3339(at)) title=(exact(at)) data-time="moment" { (date_and_time(at)) " UTC" } }
}

/// From a moment to another, whose day is told only where it is another.
pub(in crate::portal) fn range(from: Timestamp, until: Option<Timestamp>) -> Markup {
    html! { (moment(from)) @if let Some(until) = until { " – " (end(until, from)) } }
}

/// The end of what began at `from`.
fn end(at: Timestamp, from: Timestamp) -> Markup {
    let (whole, first) = (date_and_time(at), date_and_time(from));
    let day = |text: &str| text.split_once(", ").map(|(day, _)| day.to_owned());
    let time = whole.split_once(", ").filter(|_| day(&whole) == day(&first)).map(|(_, time)| time.to_owned());
    let shown = time.unwrap_or(whole);
    html! {
        time datetime=(format_rfc3339(at)) title=(exact(at)) data-time="end" data-from=(format_rfc3339(from)) { (shown) " UTC" }
    }
}

/// A moment, as its distance from now: `3 h ago`, `in 20 min`.
pub(in crate::portal) fn distance(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(format_rfc3339(at)) title=(exact(at)) data-time="distance" { (distance_words(at, now)) } }
}

/// What is left until `end`, counted down by the script.
pub(in crate::portal) fn countdown(end: Timestamp, now: Timestamp) -> Markup {
    let left = if now < end { format!("{} left", coarse(left(end, now))) } else { "over".to_owned() };
    html! { time .countdown datetime=(format_rfc3339(end)) title=(exact(end)) data-time="countdown" { (left) } }
}

/// A length of time.
pub(in crate::portal) fn span(length: Span) -> Markup {
    html! { span .span { (length.to_string()) } }
}

/// A moment as `datetime-local` inputs hold it, in UTC.
pub(in crate::portal) fn input_value(at: Timestamp) -> String {
    format_rfc3339(at).chars().take(16).collect()
}

/// `2026-11-23 03:30:00 UTC`.
fn exact(at: Timestamp) -> String {
    let text: String = format_rfc3339(at).chars().take(19).collect();
    format!("{} UTC", text.replace('T', " "))
}

/// `23 Nov 2026, 03:30`.
fn date_and_time(at: Timestamp) -> String {
    let text = format_rfc3339(at);
    let (date, time) = text.split_once('T').unwrap_or((&text, ""));
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next(), parts.next(), parts.next());
    let month = month.and_then(|month| month.parse::<usize>().ok()).and_then(|month| MONTHS.get(month.checked_sub(1)?));
    let time: String = time.chars().take(5).collect();
    let day = day.unwrap_or_default().trim_start_matches('0');
    format!("{day} {} {}, {time}", month.copied().unwrap_or_default(), year.unwrap_or_default())
}

fn distance_words(at: Timestamp, now: Timestamp) -> String {
    if at > now {
        format!("in {}", coarse(left(at, now)))
    } else {
        match left(now, at).as_seconds() {
            0..60 => "just now".to_owned(),
            _ => format!("{} ago", coarse(left(now, at))),
        }
    }
}

/// Whole seconds from `now` to `end`, a begun one counted.
fn left(end: Timestamp, now: Timestamp) -> Span {
    Span::seconds(end.millis_since(now).div_ceil(1000))
}

/// The two largest units of a length are all that one can take in.
fn coarse(length: Span) -> String {
    let seconds = length.as_seconds();
    let two = |large: u64, large_name: &str, small: u64, small_name: &str| {
        let rest = (seconds % large) / small;
        let first = format!("{} {large_name}", seconds / large);
        if rest == 0 { first } else { format!("{first} {rest} {small_name}") }
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => two(3600, "h", 60, "min"),
        _ => two(86_400, "d", 3600, "h"),
    }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_human_and_exact() {
        let at = Timestamp::from_millis(1_795_404_600_123);
        let shown = moment(at).into_string();
        assert!(shown.contains(">23 Nov 2026, 03:30 UTC<"), "{shown}");
        assert!(shown.contains("title=\"2026-11-23 03:30:00 UTC\""), "{shown}");
        assert!(shown.contains("datetime=\"2026-11-23T03:30:00.123Z\""), "{shown}");
        assert_eq!(input_value(at), "2026-11-23T03:30");
    }

    #[test]
    fn the_end_of_a_range_repeats_no_day() {
        let from = Timestamp::from_seconds(1_795_404_600);
        let text = |until: Span| range(from, Some(from.plus(until))).into_string();
        assert!(text(Span::hours(2)).ends_with(">05:30 UTC</time>"), "{}", text(Span::hours(2)));
        assert!(text(Span::hours(24)).ends_with(">24 Nov 2026, 03:30 UTC</time>"), "{}", text(Span::hours(24)));
        assert_eq!(range(from, None).into_string(), moment(from).into_string());
    }

    #[test]
    fn distances_name_two_units_at_most() {
        let now = Timestamp::from_seconds(1_795_404_600);
        for (seconds, words) in
            [(0, "just now"), (59, "just now"), (60, "1 min ago"), (3660, "1 h 1 min ago"), (90_000, "1 d 1 h ago")]
        {
            assert_eq!(distance_words(now.minus(Span::seconds(seconds)), now), words);
        }
        assert_eq!(distance_words(now.plus(Span::days(2)), now), "in 2 d");
        assert!(countdown(now.plus(Span::minutes(28)), now).into_string().contains(">28 min left<"));
        assert!(countdown(now, now).into_string().contains(">over<"), "the end is exclusive");
    }
}
