//! One request that waits, with all one needs to decide on it.

use maud::{Markup, html};

use crate::domain::id::ActivationId;
use crate::portal::api::activation::visible;
use crate::portal::desk::Desk;
use crate::portal::pages::approvals::many::Sent;
use crate::portal::pages::approvals::open_vote;
use crate::portal::pages::approvals::past::Past;
use crate::portal::pages::parts::badge::{Tone, badge};
use crate::portal::pages::parts::button::{self, Weight};
use crate::portal::pages::parts::decision::{self, Words};
use crate::portal::pages::parts::{list, party, text, time};
use crate::portal::problem::Problem;
use crate::portal::wire::activation::{Activation, Approval};

/// What a card has besides what there is to know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Its own form.
    pub(super) inline: bool,
    /// It can be chosen among many.
    pub(super) many: bool,
}

/// The card.
pub(super) fn card(desk: &Desk, shown: &Activation, sent: &Sent, shape: Shape) -> Result<Markup, Problem> {
    let id: ActivationId = shown.id.parse().map_err(|_| Problem::unknown())?;
    let case = visible(desk, id)?;
    let Some(vote) = open_vote(shown) else { return Ok(html! {}) };
    let past = Past::of(desk, &case)?;
    let chosen = format!("{}:{}", shown.id, shown.revision);
    let about = format!("{} for {}", shown.name.as_deref().unwrap_or(&shown.principal), shown.role.0);
    Ok(html! {
        article .card.waiting.ask id={ "case-" (shown.id) } {
            div .row.spread {
                @if shape.many {
                    label .choose {
                        input type="checkbox" form=(BULK) name="chosen" value=(chosen) checked[sent.has_chosen(&shown.id)];
                        span {
                            (party::person(shown.name.as_deref(), &shown.principal))
                            span .unseen { ": choose the request of " (about) }
                        }
                    }
                } @else {
                    (party::person(shown.name.as_deref(), &shown.principal))
                }
                span .dim {
                    span .keep { "asked " (time::distance(shown.requested_at.0, desk.viewer.now())) }
                    " · " span .keep { "lapses " (time::distance(vote.lapses_at.0, desk.viewer.now())) }
                }
            }
            p .row {
                (text::role(shown.role.0.as_str()))
                @if shown.extension.is_some() { (badge(Tone::News, "Later end")) }
            }
            (text::said_or(reason(shown), "No justification."))
            (facts(desk, shown, vote, &past.show(desk, &case)))
            @if shape.inline {
                details .decide open[!shape.many || sent.is_about(&shown.id)] {
                    summary { "Decide" span .unseen { " on " (about) } }
                    (decision::form(desk, &case, &Words::default(), "/approvals"))
                    p { a href={ "/activations/" (shown.id) } { "The whole story" span .unseen { " of " (about) } } }
                }
            } @else {
                div .row { (button::link(Weight::Side, "Decide on this one", &format!("/activations/{}", shown.id))) }
            }
        }
    })
}

/// The form in which many are chosen.
pub(super) const BULK: &str = "many";

fn reason(shown: &Activation) -> Option<&str> {
    match &shown.extension {
        Some(extension) => extension.justification.as_deref(),
        None => shown.justification.as_deref(),
    }
}

fn facts(desk: &Desk, shown: &Activation, vote: &Approval, past: &Markup) -> Markup {
    let routes = desk.portal.shared.parts.routes.load();
    let policies = desk.portal.shared.parts.policies.load();
    let mut pairs = Vec::new();
    if let Some(wanted) = &shown.wanted {
        pairs.push(("Denied request", text::wanted(wanted)));
    }
    let description =
        policies.role(&shown.role.0).map(|policy| policy.description.clone()).filter(|text| !text.is_empty());
    let opened = routes.get(&shown.role.0).map_or(&[][..], Vec::as_slice);
    if description.is_some() || !opened.is_empty() {
        pairs.push(("The role opens", html! {
            @if let Some(description) = description { div dir="auto" { (description) } }
            @if !opened.is_empty() {
                ul .plain-list {
                    @for route in opened.iter().take(ROUTES_MAX) { li { (text::code(route)) } }
                    @if opened.len() > ROUTES_MAX { li { a href={ "/roles/" (shown.role.0.as_str()) } { (opened.len() - ROUTES_MAX) " more" } } }
                }
            }
        }));
    }
    pairs.push(("Asks for", asks_for(shown)));
    if let Some(ticket) = &shown.ticket {
        pairs.push(("Ticket", text::code(ticket)));
    }
    pairs.push(("Before", past.clone()));
    // one approval that is enough goes without saying
    if vote.stages > 1 || vote.quorum > 1 {
        pairs.push((
            "Approval",
            html! {
                @if vote.stages > 1 { "stage " (vote.stage.saturating_add(1)) " of " (vote.stages) " · " }
                (vote.approvals) " of " (vote.quorum) @if vote.quorum == 1 { " approval" } @else { " approvals" } " so far"
            },
        ));
    }
    list::facts(pairs)
}

fn asks_for(shown: &Activation) -> Markup {
    html! {
        @match (&shown.extension, &shown.window) {
            (Some(extension), window) => {
                "an end at " (time::moment(extension.ends_at.0))
                @if let Some(end) = window.as_ref().and_then(|window| window.ends_at) { ", now " (time::moment(end.0)) }
            }
            (None, _) => {
                b { (time::span(shown.requested.duration.0)) }
                @match shown.requested.starts_at {
                    Some(start) => { " from " (time::moment(start.0)) }
                    None => { " from its approval on" }
                }
            }
        }
    }
}

const ROUTES_MAX: usize = 5;
