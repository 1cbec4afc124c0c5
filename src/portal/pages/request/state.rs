//! How a case stands at this moment, and what the visitor may do about it; follows the journal by itself.

use maud::{Markup, html};

use crate::domain::activation::{Activation, Phase};
use crate::domain::time::Span;
use crate::identity::words;
use crate::portal::desk::Desk;
use crate::portal::pages::form::{once, url};
use crate::portal::pages::parts::badge::{self, Tone};
use crate::portal::pages::parts::button::{self, Weight};
use crate::portal::pages::parts::field::Field;
use crate::portal::pages::parts::{decision, party, text, time};
use crate::portal::pages::request::{Back, Sent, address, extend};
use crate::portal::wire::activation::{self as wire, Approval, State};
use crate::portal::wire::common::Ending;

/// The part of the page that changes.
pub(super) fn section(
    desk: &Desk,
    case: &Activation,
    shown: &wire::Activation,
    back: Option<&Back>,
    sent: &Sent,
) -> Markup {
    let tone = match (shown.state, shown.ending) {
        (State::Pending, _) => Tone::Waiting,
        (State::Scheduled, _) => Tone::News,
        (State::Active, _) => Tone::Good,
        (State::Ended, Some(Ending::Denied | Ending::Revoked | Ending::Locked | Ending::EligibilityLost)) => Tone::Bad,
        (State::Ended, _) => Tone::Plain,
    };
    html! {
        section #state class={ "card " (tone.class()) } data-live="" aria-label="State" aria-live="polite" {
            div .row.spread {
                div .row { (badge::state(shown.state, shown.ending)) span { (sentence(desk, case, shown)) } }
                (clock(desk, shown))
            }
            @if let Some(approval) = &shown.approval {
                (vote(desk, approval))
                @if let Some(pace) = desk.portal.shared.parts.paces.load().of(&case.role) {
                    p .dim { "Usual time to a decision: " (words::pace(&pace)) "." }
                }
            }
            @if let Some(extension) = &shown.extension {
                p { "A later end is asked for: " (time::moment(extension.ends_at.0)) "." }
                @if let Some(why) = &extension.justification { (text::said(why)) }
                @if let Some(approval) = &extension.approval { (vote(desk, approval)) }
            }
            @if is_holder(desk, case) { (way(desk, case, shown, back)) }
            (actions(desk, case, shown, sent))
        }
    }
}

/// While a visitor without script waits for the role, the page is loaded again, and they are sent back once it is held.
pub(super) fn without_script(desk: &Desk, case: &Activation, back: Option<&Back>) -> Markup {
    let waits = is_holder(desk, case) && matches!(case.phase, Phase::Pending(_));
    let again = url(
        &format!("/activations/{}", case.id),
        &[("return_to", back.map_or("", |back| back.url.as_str())), ("wait", "yes")],
    );
    html! {
        @if waits { noscript { meta http-equiv="refresh" content={ (LOADED_AGAIN_SECONDS) "; url=" (again) }; } }
    }
}

/// Whether the visitor holds the role by this case now.
pub(super) fn holds_now(desk: &Desk, case: &Activation) -> bool {
    is_holder(desk, case) && case.window().is_some_and(|window| window.contains(desk.viewer.now()))
}

const LOADED_AGAIN_SECONDS: u32 = 5;
/// A role that began so lately is what the visitor waited for: the script takes them back. Later they are only offered it.
const JUST_BEGUN: Span = Span::seconds(60);

fn is_holder(desk: &Desk, case: &Activation) -> bool {
    case.principal == desk.viewer.identity().principal
}

fn sentence(desk: &Desk, case: &Activation, shown: &wire::Activation) -> Markup {
    let you = is_holder(desk, case);
    html! {
        @match (shown.state, shown.ending) {
            (State::Pending, _) if you => "Nothing passes before it is approved.",
            (State::Pending, _) if decision::is_asked(desk, case) => "Waits for your decision.",
            (State::Pending, _) => "Waits for a decision.",
            (State::Scheduled, _) => "Granted; it has not begun.",
            (State::Active, _) if you => "You hold this role.",
            (State::Active, _) => "The role is held.",
            (State::Ended, Some(Ending::Denied)) => "The request was refused; nothing was granted.",
            (State::Ended, Some(Ending::Cancelled)) => "The request was withdrawn before it was decided.",
            (State::Ended, Some(Ending::Lapsed)) => "Nobody decided in time; nothing was granted.",
            (State::Ended, Some(Ending::Deactivated)) => "The role was handed back.",
            (State::Ended, Some(Ending::Revoked)) => "It was taken away.",
            (State::Ended, Some(Ending::Expired)) => "Its time ran out.",
            (State::Ended, Some(Ending::EligibilityLost)) => "The eligible assignment behind it is gone.",
            (State::Ended, Some(Ending::Locked)) => "Its holder was locked.",
            (State::Ended, None) => "It is over.",
        }
    }
}

fn clock(desk: &Desk, shown: &wire::Activation) -> Markup {
    let now = desk.viewer.now();
    html! {
        @match (shown.state, &shown.window) {
            (State::Active, Some(window)) => @if let Some(end) = &window.ends_at {
                span { (time::countdown(end.0, now)) span .dim { " · " span .keep { "until " (time::moment(end.0)) } } }
            },
            (State::Scheduled, Some(window)) => {
                span { "begins " (time::distance(window.starts_at.0, now)) " " span .dim { "· " (time::moment(window.starts_at.0)) } }
            },
            (State::Ended, _) => @if let Some(at) = &shown.ended_at {
                span .dim { (time::moment(at.0)) " · " (time::distance(at.0, now)) }
            },
            _ => {},
        }
    }
}

fn vote(desk: &Desk, approval: &Approval) -> Markup {
    html! {
        p .dim {
            @if approval.stages > 1 { "Stage " (approval.stage.saturating_add(1)) " of " (approval.stages) ". " }
            @if approval.quorum > 1 { (approval.approvals) " of " (approval.quorum) " approvals. " }
            "To be decided by " (party::any_of(&approval.approvers))
            " · lapses " (time::distance(approval.lapses_at.0, desk.viewer.now()))
        }
    }
}

/// The way back to where the holder came from: now, or what will happen.
fn way(desk: &Desk, case: &Activation, shown: &wire::Activation, back: Option<&Back>) -> Markup {
    let begun = case.window().is_some_and(|window| {
        let now = desk.viewer.now();
        window.contains(now) && now < window.starts_at.plus(JUST_BEGUN)
    });
    let go = begun.then(|| case.id.to_string());
    html! {
        @match (shown.state, back) {
            (State::Pending, Some(back)) => p .dim {
                "This page follows by itself. Once it is approved, you are taken back to " (place(back)) "."
            },
            (State::Pending, None) => p .dim { "This page follows by itself." },
            (State::Active, Some(back)) => p {
                a .button.main #back href=(back.url) rel="noreferrer" data-go=[go] { "Back to " (place(back)) }
            },
            (State::Ended, _) => p { a .button.side href=(ask_again(shown, back)) { "Ask again" } },
            _ => {},
        }
    }
}

/// A gate's URL without what nobody reads.
fn place(back: &Back) -> Markup {
    let whole = back.url.split_once("://").map_or(back.url.as_str(), |(_, rest)| rest);
    let path = whole.split(['?', '#']).next().unwrap_or(whole);
    let short: String = path.chars().take(PLACE_CHARACTERS_MAX).collect();
    let more = if short.len() < path.len() { "…" } else { "" };
    html! { span .place { bdi { (short) (more) } } }
}

const PLACE_CHARACTERS_MAX: usize = 60;

fn ask_again(shown: &wire::Activation, back: Option<&Back>) -> String {
    let pairs = [
        ("role", shown.role.0.as_str()),
        ("return_to", back.map_or("", |back| back.url.as_str())),
        ("duration", &shown.requested.duration.0.to_string()),
        ("justification", shown.justification.as_deref().unwrap_or_default()),
        ("ticket", shown.ticket.as_deref().unwrap_or_default()),
    ];
    url("/activate", &pairs)
}

/// What the visitor may try; the domain decides when they do.
fn actions(desk: &Desk, case: &Activation, shown: &wire::Activation, sent: &Sent) -> Markup {
    let (holder, path) = (is_holder(desk, case), address(case, None));
    let open = shown.state != State::Ended;
    // whoever is asked for a decision denies; there is nothing yet to take away
    let asked = shown.state == State::Pending && decision::is_asked(desk, case);
    let revocable = !asked && may_revoke(desk, case);
    let running = matches!(shown.state, State::Active | State::Scheduled);
    html! {
        @if open && (holder || revocable) {
            div .row.acts {
                @if holder && shown.state == State::Pending {
                    (button::form(Weight::Destructive, "Cancel", "the request", &format!("{path}/cancel")))
                }
                @if holder && shown.extension.is_some() {
                    (button::form(Weight::Destructive, "Withdraw the extension", "", &format!("{path}/cancel")))
                }
                @if holder && running {
                    (extend::drawer(desk, case, &sent.extension))
                    (button::form(Weight::Destructive, "Deactivate", "the role", &format!("{path}/deactivate")))
                }
                @if revocable { (revoke(&path, sent)) }
            }
        }
    }
}

fn revoke(path: &str, sent: &Sent) -> Markup {
    let field = Field {
        form: "revoke",
        name: "justification",
        label: "Reason",
        hint: "The holder and the journal will read it.",
        need: crate::domain::policy::Need::Optional,
        faults: &sent.faults,
    };
    html! {
        details .drawer.destructive {
            summary { "Revoke" }
            form method="post" action={ (path) "/revoke" } novalidate {
                (once())
                (field.lines(""))
                (button::submit(Weight::Destructive, "Revoke now"))
            }
        }
    }
}

/// Whether the visitor has authority over the case: as administrator, or as approver by its own terms or today's.
fn may_revoke(desk: &Desk, case: &Activation) -> bool {
    let policies = desk.portal.shared.parts.policies.load();
    let today = policies.role(&case.role).map(|policy| policy.approval.stages.as_slice());
    let mut approvers = case.terms.stages.iter().chain(today.unwrap_or_default()).flat_map(|stage| &stage.approvers);
    desk.viewer.is_administrator() || approvers.any(|party| desk.viewer.identity().is(party))
}
