//! The story of one case, line by line, as the journal tells it.

use maud::{Markup, html};

use crate::domain::activation::{Choice, Ending, Requested};
use crate::domain::event::{Actor, Detail, Event};
use crate::domain::time::Timestamp;
use crate::identity::names::IssuerNames;
use crate::portal::desk::Desk;
use crate::portal::pages::parts::badge::{Tone, ending_word};
use crate::portal::pages::parts::{cut, party, text, time};
use crate::store::{Entry, StoreError};

/// Everything `entries`, the records of one case from oldest to newest, have to tell; beside what was asked for, whose words are
/// not repeated.
pub(in crate::portal) fn story(entries: &[Entry], names: &IssuerNames, now: Timestamp) -> Markup {
    html! {
        ol .steps {
            @for (index, entry) in entries.iter().enumerate() {
                // what was typed stands beside the first record of its command
                @let first = !entries.iter().take(index).any(|earlier| earlier.command == entry.command);
                // that it ended by this was said by whoever denied it
                @let ends_by_denial = matches!(entry.event, Event::ActivationEnded { ending: Ending::Denied, .. });
                @if let Some((tone, line)) = told(&entry.event).filter(|_| first || !ends_by_denial) {
                    li class=(tone.class()) {
                        (line)
                        @if first { (by(entry, names)) }
                        div .when { (time::moment(entry.time)) " · " (time::distance(entry.time, now)) }
                        @let told = matches!(entry.event, Event::ActivationRequested { .. });
                        @if let Some(detail) = entry.detail.as_ref().filter(|_| first && !told) { (words(detail)) }
                        @if entry.erased && !told { p .dim { "What was written here is erased." } }
                    }
                }
            }
        }
    }
}

/// Says that `entries`, the records of one case, lack its beginning, when that was cut out of the journal.
pub(in crate::portal) fn lost_beginning(desk: &Desk, entries: &[Entry]) -> Result<Markup, StoreError> {
    let begins = |first: &Entry| matches!(first.event, Event::ActivationRequested { .. });
    let cut = if entries.first().is_none_or(begins) { None } else { desk.cut_since(None)? };
    Ok(cut.as_ref().map(cut::above_case).unwrap_or_default())
}

/// What an event of a case says; nothing for others.
pub(in crate::portal) fn line(event: &Event) -> Option<Markup> {
    told(event).map(|(_, line)| line)
}

fn told(event: &Event) -> Option<(Tone, Markup)> {
    let told = match event {
        Event::ActivationRequested { requested, .. } => (Tone::Plain, html! { "Requested " (asked(requested)) }),
        Event::ActivationDecided { choice: Choice::Approve, adjusted, .. } => {
            (Tone::Good, html! { "Approved" @if let Some(adjusted) = adjusted { ", changed to " (asked(adjusted)) } })
        }
        Event::ActivationDecided { choice: Choice::Deny, .. } => (Tone::Bad, html! { "Denied" }),
        Event::ActivationStarted { window, .. } => (
            Tone::Good,
            html! {
                "Active " (time::range(window.starts_at, window.ends_at))
            },
        ),
        Event::ExtensionRequested { ends_at, .. } => {
            (Tone::Waiting, html! { "Extension requested, until " (time::moment(*ends_at)) })
        }
        Event::ExtensionEnded { ending, .. } => (tone(*ending), html! { "Extension " (word(*ending).to_lowercase()) }),
        Event::ActivationExtended { after, .. } => (Tone::Good, html! { "Extended until " (time::moment(*after)) }),
        Event::ActivationShortened { after, .. } => (Tone::Plain, html! { "Shortened, until " (time::moment(*after)) }),
        Event::ActivationEnded { ending, .. } => (tone(*ending), html! { (word(*ending)) }),
        Event::UsesSealed { count, .. } => (
            Tone::Plain,
            html! { (count) @if *count == 1 { " request was made under it" } @else { " requests were made under it" } },
        ),
        Event::JournalOpened { .. }
        | Event::ConfigurationApplied { .. }
        | Event::AssignmentMade { .. }
        | Event::AssignmentChanged { .. }
        | Event::AssignmentEnded { .. }
        | Event::PrincipalLocked { .. }
        | Event::PrincipalUnlocked { .. }
        | Event::CredentialsRevoked { .. }
        | Event::KeyRotated { .. }
        | Event::AnchorConfirmed { .. }
        | Event::JournalSucceeded { .. }
        | Event::NotesErased { .. }
        | Event::JournalCut { .. } => return None,
    };
    Some(told)
}

/// For how long, and from when if not at once.
pub(in crate::portal) fn asked(requested: &Requested) -> Markup {
    html! {
        "for " (time::span(requested.duration))
        @if let Some(start) = requested.starts_at { " from " (time::moment(start)) }
    }
}

fn by(entry: &Entry, names: &IssuerNames) -> Markup {
    match &entry.actor {
        Actor::Principal { principal, .. } => {
            let name = entry.detail.as_ref().and_then(|detail| detail.name.as_deref());
            html! { " by " (party::person(name, &names.of_principal(principal))) }
        }
        Actor::Configuration => html! { " by the configuration" },
        Actor::Operator => html! { " by the operator" },
        // time did it
        Actor::Hallpass => html! {},
    }
}

fn words(detail: &Detail) -> Markup {
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    html! {
        @if let Some(why) = filled(&detail.justification) { (text::said(&why)) }
        @if let Some(ticket) = filled(&detail.ticket) { p .dim { "Ticket " (text::code(&ticket)) } }
    }
}

fn word(ending: Ending) -> &'static str {
    ending_word(ending.into())
}

const fn tone(ending: Ending) -> Tone {
    match ending {
        Ending::Denied | Ending::Revoked | Ending::EligibilityLost | Ending::Locked => Tone::Bad,
        Ending::Cancelled | Ending::Lapsed | Ending::Deactivated | Ending::Expired => Tone::Plain,
    }
}
