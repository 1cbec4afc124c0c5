//! Home: what the visitor holds, has asked for, may activate, and did before.

use axum::extract::State;
use axum::response::Response;
use http::Uri;
use maud::{Markup, html};

use crate::domain::activation as domain;
use crate::domain::standing::{Basis, Held};
use crate::portal::Portal;
use crate::portal::desk::Desk;
use crate::portal::pages::eligible::Eligible;
use crate::portal::pages::entry::Visitor;
use crate::portal::pages::form::{query, url};
use crate::portal::pages::layout::{Frame, Page, Place};
use crate::portal::pages::parts::badge::{self, Tone};
use crate::portal::pages::parts::button::{self, Weight};
use crate::portal::pages::parts::{notice, party, table, text, time};
use crate::portal::pages::request::extend;
use crate::portal::problem::Problem;
use crate::portal::wire::activation::{Activation, State as Stage};
use crate::store::{ActivationFilter, PhaseName};

/// The page.
pub(super) async fn page(State(portal): State<Portal>, visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    portal
        .read(&visitor.identity, move |desk| {
            let policies = desk.portal.shared.parts.policies.load();
            let asked = query(uri.query());
            let searches = asked.filled("search").is_some() || asked.filled("cursor").is_some();
            let eligible = Eligible::of(desk, &policies, &asked)?;
            let body = html! {
                // whoever searches or turns pages looks for a role
                @if !searches {
                    section #held data-live="" aria-labelledby="holding" { (holding(desk)?) }
                    section #asked data-live="" aria-label="What you asked for" { (waiting(desk)?) }
                }
                section aria-labelledby="eligible" {
                    h2 #eligible { "You may activate" }
                    (eligible.show(desk, "/"))
                }
                @if !searches { (before(desk)?) }
            };
            Ok(Page::new("Home", body).at(Place::Home).answer(&Frame::of(desk)?))
        })
        .await
}

/// Roles held now, or from a time to come.
fn holding(desk: &Desk) -> Result<Markup, Problem> {
    let (identity, now) = (desk.viewer.identity(), desk.viewer.now());
    let mut held: Vec<&Held> = desk
        .viewer
        .standings()
        .flat_map(|(_, standing)| &standing.held)
        .filter(|held| !held.window.is_over(now) && held.via.as_ref().is_none_or(|group| identity.carries(group)))
        .collect();
    // what ends first is what one must think of first
    held.sort_by_key(|held| (held.window.starts_at > now, held.window.ends_at.is_none(), held.window.ends_at));
    let cards = held.into_iter().take(CARDS_MAX).map(|held| card(desk, held)).collect::<Result<Vec<_>, _>>()?;
    Ok(html! {
        h2 #holding { "You hold now" }
        @if cards.is_empty() {
            (notice::empty("You hold no role.", &html! { "Choose one below when you need it, and hand it back when you are done." }))
        }
        @for card in cards { (card) }
    })
}

fn card(desk: &Desk, held: &Held) -> Result<Markup, Problem> {
    let now = desk.viewer.now();
    let case = match held.basis {
        Basis::Activation(id) => desk.reader().activation(id)?.map(|listed| listed.item),
        Basis::Assignment(_) => None,
    };
    let begun = held.window.contains(now);
    let tone = if begun { Tone::Good } else { Tone::News };
    Ok(html! {
        article class={ "card " (tone.class()) } {
            div .row.spread {
                div .row {
                    (text::role(held.role.as_str()))
                    (badge::badge(tone, if begun { "Active" } else { "Scheduled" }))
                }
                @if begun {
                    @match held.window.ends_at {
                        Some(end) => span { (time::countdown(end, now)) span .dim { " · " span .keep { "until " (time::moment(end)) } } },
                        None => span .dim { "without an end" },
                    }
                } @else {
                    span { "begins " (time::distance(held.window.starts_at, now)) " " span .dim { "· " (time::moment(held.window.starts_at)) } }
                }
            }
            @match case {
                Some(case) => (actions(desk, &case)?),
                None => p .dim {
                    "Assigned directly"
                    @if let Some(group) = &held.via { " to " (text::code(&desk.names.of_group(group))) }
                    "."
                },
            }
        }
    })
}

fn actions(desk: &Desk, case: &domain::Activation) -> Result<Markup, Problem> {
    let path = format!("/activations/{}", case.id);
    Ok(html! {
        div .row.acts {
            (extend::drawer(desk, case, &extend::Wanted::default()))
            (button::form(Weight::Destructive, "Deactivate", case.role.as_str(), &format!("{path}/deactivate")))
            a href=(path) { "Details" span .unseen { " of " (case.role) } }
        }
    })
}

/// Requests that wait for approval.
fn waiting(desk: &Desk) -> Result<Markup, Problem> {
    let now = desk.viewer.now();
    let pending = desk.viewer.standings().flat_map(|(_, standing)| &standing.pending).filter(|p| now < p.lapses_at);
    let mut cases = Vec::new();
    for pending in pending.take(CARDS_MAX) {
        if let Some(listed) = desk.reader().activation(pending.activation)? {
            cases.push(desk.activation(&listed.item)?);
        }
    }
    Ok(html! {
        @if !cases.is_empty() {
            h2 { "You asked for" }
            @for case in cases.iter().filter(|case| case.state == Stage::Pending) { (request(desk, case)) }
        }
    })
}

fn request(desk: &Desk, case: &Activation) -> Markup {
    let (now, path) = (desk.viewer.now(), format!("/activations/{}", case.id));
    html! {
        article .card.waiting {
            div .row.spread {
                div .row { (text::role(case.role.0.as_str())) (badge::state(case.state, case.ending)) }
                span .dim { "asked " (time::distance(case.requested_at.0, now)) " for " (time::span(case.requested.duration.0)) }
            }
            @if let Some(approval) = &case.approval {
                p .dim {
                    "Waits for " (party::any_of(&approval.approvers)) " · lapses " (time::distance(approval.lapses_at.0, now))
                }
            }
            div .row.acts {
                (button::form(Weight::Destructive, "Cancel", &format!("request for {}", case.role.0), &format!("{path}/cancel")))
                a href=(path) { "Details" span .unseen { " of the request for " (case.role.0) } }
            }
        }
    }
}

/// The last activation of each of the roles used last, to be repeated.
fn before(desk: &Desk) -> Result<Markup, Problem> {
    let filter = ActivationFilter {
        principal: Some(desk.viewer.identity().principal.clone()),
        phase: Some(PhaseName::Ended),
        ..ActivationFilter::default()
    };
    let mut last: Vec<domain::Activation> = Vec::new();
    for listed in desk.reader().activations(&filter, None, LOOKED_BACK_MAX)? {
        let seen = last.iter().any(|case| case.role == listed.item.role);
        if last.len() < REPEATED_MAX && !seen {
            last.push(listed.item);
        }
    }
    let cases = last.iter().map(|case| Ok(desk.activation(case)?)).collect::<Result<Vec<_>, Problem>>()?;
    Ok(html! {
        @if !cases.is_empty() {
            section aria-labelledby="before" {
                h2 #before { "You used before" }
                (table::table("Roles you used before", &["Role", "Justification", "Ended", ""], cases.iter().map(|case| repeated(desk, case))))
            }
        }
    })
}

fn repeated(desk: &Desk, case: &Activation) -> Vec<Markup> {
    let link = url(
        "/activate",
        &[
            ("role", case.role.0.as_str()),
            ("duration", &case.requested.duration.0.to_string()),
            ("justification", case.justification.as_deref().unwrap_or_default()),
            ("ticket", case.ticket.as_deref().unwrap_or_default()),
        ],
    );
    vec![
        text::role(case.role.0.as_str()),
        html! {
            (text::said_or(case.justification.as_deref(), "none"))
            div .dim {
                "for " (time::span(case.requested.duration.0))
                @if let Some(ticket) = &case.ticket { " · " (text::code(ticket)) }
            }
        },
        html! {
            (badge::state(case.state, case.ending)) " "
            @if let Some(at) = case.ended_at { span .dim { (time::distance(at.0, desk.viewer.now())) } }
        },
        html! {
            div .row {
                a href={ "/activations/" (case.id) } { "Details" span .unseen { " of " (case.role.0) } }
                (button::link(Weight::Side, "Repeat", &link))
            }
        },
    ]
}

/// More cards than anybody reads are not shown.
const CARDS_MAX: usize = 50;
const REPEATED_MAX: usize = 5;
/// How many past activations are looked through for distinct roles.
const LOOKED_BACK_MAX: usize = 40;
