//! The refusal as a page: what is wrong, what it takes, and the one thing to do.
//!
//! What it takes to get a role comes from the settings of today and from how fast others were decided on; both are in memory.

use maud::{Markup, html};

use crate::clock::format_rfc3339;
use crate::domain::authorize::{Curable, Denial};
use crate::domain::policy::{Need, RolePolicy};
use crate::domain::rule::Demand;
use crate::domain::standing::Pending;
use crate::domain::time::{Span, Timestamp};
use crate::identity::words;
use crate::proxy::denial::telling::{Telling, Way};
use crate::proxy::denial::{Occasion, Refused};
use crate::proxy::page::{Page, Weight, button, facts, sentence};

/// The page for this refusal.
pub(super) fn page<'a>(refused: &Refused, telling: &'a Telling, occasion: &'a Occasion<'_>) -> Page<'a> {
    let (title, body) = match refused {
        Refused::Denied(Denial::Requestable(roles)) => match roles.as_slice() {
            [only] => alone(only, occasion),
            roles => (telling.title, choice(roles, occasion)),
        },
        Refused::Denied(Denial::NotSignedIn) => {
            (telling.title, html! { (sentence("This address wants to know who you are.")) (sentence(NO_SIGN_IN)) })
        }
        Refused::InvalidToken | Refused::Denied(Denial::CredentialRevoked) => {
            (telling.title, html! { (told(telling)) (sentence(NO_SIGN_IN)) })
        }
        Refused::Denied(Denial::Forbidden) => (
            telling.title,
            html! { (told(telling)) (sentence("If you think you should, ask whoever runs this application.")) },
        ),
        Refused::Unavailable { .. } | Refused::Overloaded { .. } => {
            (telling.title, html! { (told(telling)) (again(occasion)) })
        }
        _ => (telling.title, told(telling)),
    };
    Page { title, body, code: telling.code, request_id: occasion.request_id }
}

/// One role would open it: how it stands in full, and one button.
fn alone(curable: &Curable, occasion: &Occasion<'_>) -> (&'static str, Markup) {
    let url = occasion.links.activation(curable, occasion.canonical);
    let policy = occasion.policies.role(&curable.role);
    let heading = html! { (role(curable)) (described(policy.map(|policy| &**policy))) };
    match (&curable.pending, curable.starts_at) {
        (Some(pending), _) => (
            "Your request waits for approval",
            html! {
                p { "Nothing passes before others agree." (wanted(occasion)) }
                section .waiting {
                    (heading)
                    (facts(&state_of(pending, occasion.now)))
                    p .row { (button(Weight::Main, "See how it stands", &url)) (retry(occasion)) }
                }
            },
        ),
        (None, Some(starts_at)) => (
            "This begins later",
            html! {
                p { "The role is granted to you, and its time has yet to come." (wanted(occasion)) }
                section .waiting {
                    (heading)
                    (facts(&[("Begins", moment(starts_at, occasion.now))]))
                    p .row { (button(Weight::Main, "See it at the portal", &url)) (retry(occasion)) }
                }
            },
        ),
        (None, None) => (
            "This needs a role you can activate",
            html! {
                p { "You may activate it for a while; it is not active now." (wanted(occasion)) }
                section {
                    (heading)
                    @if let Some(policy) = policy { (facts(&costs(policy, occasion))) }
                    p .row { (button(Weight::Main, &format!("Activate {}", curable.role), &url)) }
                    (command(curable, occasion))
                }
            },
        ),
    }
}

/// Several roles: each in short, with its own button.
fn choice(roles: &[Curable], occasion: &Occasion<'_>) -> Markup {
    let all = matches!(occasion.demand, Some(Demand::AllRoles(_)));
    html! {
        p {
            @if all { "All of these roles are needed, and none of them is active now." }
            @else { "Any one of these roles will do." }
            (wanted(occasion))
        }
        @for curable in roles {
            @let policy = occasion.policies.role(&curable.role);
            @let url = occasion.links.activation(curable, occasion.canonical);
            section .waiting[curable.pending.is_some()] {
                (role(curable))
                (described(policy.map(|policy| &**policy)))
                @match (&curable.pending, curable.starts_at) {
                    (Some(pending), _) => {
                        p .dim { "Your request waits: " (stage_of(pending)) "; it lapses " (moment(pending.lapses_at, occasion.now)) "." }
                        p .row { (button(Weight::Side, &format!("See how {} stands", curable.role), &url)) }
                    }
                    (None, Some(starts_at)) => {
                        p .dim { "Granted to you; it begins " (moment(starts_at, occasion.now)) "." }
                        p .row { (button(Weight::Side, &format!("See {} at the portal", curable.role), &url)) }
                    }
                    (None, None) => {
                        @if let Some(policy) = policy { p .dim { (in_short(policy, occasion)) } }
                        p .row { (button(Weight::Main, &format!("Activate {}", curable.role), &url)) }
                        (command(curable, occasion))
                    }
                }
            }
        }
    }
}

fn role(curable: &Curable) -> Markup {
    let name = curable.role.as_str();
    let (app, role) = name.split_once('/').unwrap_or(("", name));
    html! { h2 { span .app { (app) "/" } (role) } }
}

fn described(policy: Option<&RolePolicy>) -> Markup {
    let text = policy.map(|policy| policy.description.trim()).filter(|text| !text.is_empty());
    html! { @if let Some(text) = text { p dir="auto" { (text) } } }
}

/// What was asked for, as it was decided on.
fn wanted(occasion: &Occasion<'_>) -> Markup {
    html! {
        @if let Some(canonical) = occasion.canonical {
            " You asked for " code { (canonical.method.as_str()) " " (canonical.path()) } "."
        }
    }
}

/// What it takes to get a role.
fn costs(policy: &RolePolicy, occasion: &Occasion<'_>) -> Vec<(&'static str, String)> {
    let mut costs = Vec::new();
    match words::approval(&policy.approval, occasion.names) {
        Some(approvers) => {
            costs.push(("Approval", format!("by {approvers}")));
            costs.push((
                "Time to a decision",
                match occasion.paces.of(&policy.role) {
                    Some(pace) => words::pace(&pace),
                    None => "not known yet".to_owned(),
                },
            ));
        }
        None => costs.push(("Approval", "none is needed: it is held at once".to_owned())),
    }
    let sign_in = words::sign_in(&policy.assurance);
    if !sign_in.is_empty() {
        costs.push(("Signed in", sign_in.join(", ")));
    }
    let asked: Vec<&str> = [
        (policy.justification.need == Need::Required).then_some("a reason"),
        (policy.ticket.need == Need::Required).then_some("a ticket"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !asked.is_empty() {
        costs.push(("You give", asked.join(" and ")));
    }
    costs.push(("For at most", words::length(policy.activation.max)));
    costs
}

/// The same in one line.
fn in_short(policy: &RolePolicy, occasion: &Occasion<'_>) -> String {
    let mut parts = Vec::new();
    match words::approval(&policy.approval, occasion.names) {
        Some(approvers) => parts.push(format!("approval by {approvers}")),
        None => parts.push("held at once".to_owned()),
    }
    let pace = occasion.paces.of(&policy.role).filter(|_| !policy.approval.stages.is_empty());
    parts.extend(pace.map(|pace| format!("usually {}", words::length(pace.about()))));
    parts.extend(words::sign_in(&policy.assurance));
    if policy.ticket.need == Need::Required {
        parts.push("a ticket".to_owned());
    }
    parts.push(format!("at most {}", words::length(policy.activation.max)));
    parts.join(" · ")
}

fn state_of(pending: &Pending, now: Timestamp) -> Vec<(&'static str, String)> {
    vec![
        ("Approval", stage_of(pending)),
        ("Waiting since", moment(pending.requested_at, now)),
        ("Lapses", moment(pending.lapses_at, now)),
    ]
}

/// `stage 1 of 2, 0 of 1 have agreed`; what there is only one of is not counted.
fn stage_of(pending: &Pending) -> String {
    let progress = pending.progress;
    let agreed = match (progress.agreed, progress.quorum) {
        (0, 0 | 1) => "nobody has decided yet".to_owned(),
        (agreed, quorum) => format!("{agreed} of {quorum} have agreed"),
    };
    if progress.stages > 1 {
        format!("stage {} of {}, {agreed}", progress.stage.saturating_add(1).min(progress.stages), progress.stages)
    } else {
        agreed
    }
}

/// `2026-11-23 03:30 UTC (in 20 minutes)`.
fn moment(at: Timestamp, now: Timestamp) -> String {
    let text: String = format_rfc3339(at).chars().take(16).collect();
    let text = text.replace('T', " ");
    let distance =
        |later: Timestamp, earlier: Timestamp| words::length(Span::seconds(later.millis_since(earlier) / 1000));
    match at.as_seconds().cmp(&now.as_seconds()) {
        std::cmp::Ordering::Greater => format!("{text} UTC (in {})", distance(at, now)),
        std::cmp::Ordering::Less => format!("{text} UTC ({} ago)", distance(now, at)),
        std::cmp::Ordering::Equal => format!("{text} UTC (now)"),
    }
}

fn command(curable: &Curable, occasion: &Occasion<'_>) -> Markup {
    match Way::of(curable, &occasion.links.portal_url) {
        Way::Request(command) => html! { details { summary { "From a terminal" } pre { code { (command) } } } },
        Way::Wait => html! {},
    }
}

/// The same address once more, where asking again changes nothing by itself.
fn retry(occasion: &Occasion<'_>) -> Markup {
    let url = occasion
        .canonical
        .filter(|canonical| matches!(canonical.method, http::Method::GET | http::Method::HEAD))
        .and_then(|canonical| occasion.links.back_to(canonical));
    html! { @if let Some(url) = url { (button(Weight::Side, "Try again", &url)) } }
}

fn again(occasion: &Occasion<'_>) -> Markup {
    html! { p .row { (retry(occasion)) } }
}

/// The message as a sentence.
fn told(telling: &Telling) -> Markup {
    let mut letters = telling.detail.chars();
    let capital = letters.next().map(|first| first.to_ascii_uppercase());
    let text: String = capital.into_iter().chain(letters).collect();
    sentence(&format!("{text}."))
}

const NO_SIGN_IN: &str = "This gate has no sign-in page of its own. Open the address through your organisation's sign-in, or \
    use a program that sends an access token, such as curl with a header `Authorization: Bearer TOKEN`.";
