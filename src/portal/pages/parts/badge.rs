//! States, as words with a colour; never a colour alone.

use maud::{Markup, html};

use crate::portal::wire::activation::State;
use crate::portal::wire::common::Ending;

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::portal) enum Tone {
    /// Nothing to do.
    Plain,
    /// Something is on its way.
    Waiting,
    /// In force.
    Good,
    /// Taken or refused.
    Bad,
    /// Good to know.
    News,
}

impl Tone {
    /// The class that carries it in the stylesheet.
    pub(in crate::portal) const fn class(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Waiting => "waiting",
            Self::Good => "good",
            Self::Bad => "bad",
            Self::News => "news",
        }
    }
}

/// A word in a frame.
pub(in crate::portal) fn badge(tone: Tone, text: &str) -> Markup {
    html! { span class={ "badge " (tone.class()) } { (text) } }
}

/// Where a case is in its life; how it ended, when it has.
pub(in crate::portal) fn state(state: State, ending: Option<Ending>) -> Markup {
    match state {
        State::Pending => badge(Tone::Waiting, "Pending"),
        State::Scheduled => badge(Tone::News, "Scheduled"),
        State::Active => badge(Tone::Good, "Active"),
        State::Ended => ending.map_or_else(|| badge(Tone::Plain, "Ended"), self::ending),
    }
}

/// How a case ended.
pub(in crate::portal) fn ending(ending: Ending) -> Markup {
    let tone = match ending {
        Ending::Denied | Ending::Revoked | Ending::Locked | Ending::EligibilityLost => Tone::Bad,
        Ending::Cancelled | Ending::Lapsed | Ending::Deactivated | Ending::Expired => Tone::Plain,
    };
    badge(tone, ending_word(ending))
}

/// The word of `house` for an ending.
pub(in crate::portal) const fn ending_word(ending: Ending) -> &'static str {
    match ending {
        Ending::Denied => "Denied",
        Ending::Cancelled => "Cancelled",
        Ending::Lapsed => "Lapsed",
        Ending::Deactivated => "Deactivated",
        Ending::Revoked => "Revoked",
        Ending::Expired => "Expired",
        Ending::EligibilityLost => "Eligibility lost",
        Ending::Locked => "Locked",
    }
}
