//! One case, whole: what is asked, how it stands, who decides, and what the visitor may do about it.

pub(super) mod act;
pub(super) mod extend;
mod state;

use axum::extract::State;
use axum::response::Response;
use http::{StatusCode, Uri};
use maud::{Markup, html};

use crate::domain::activation::Activation;
use crate::domain::id::ActivationId;
use crate::domain::standing::Position;
use crate::portal::Portal;
use crate::portal::api::activation::visible;
use crate::portal::body::Named;
use crate::portal::desk::Desk;
use crate::portal::pages::entry::{StepUp, Visitor};
use crate::portal::pages::fault::Faults;
use crate::portal::pages::form::{Fields, query, url};
use crate::portal::pages::layout::{Frame, Page, see_other};
use crate::portal::pages::outside::shell::leads_back;
use crate::portal::pages::parts::decision::{self, Words};
use crate::portal::pages::parts::{list, party, text};
use crate::portal::pages::{rules, story};
use crate::portal::problem::Problem;
use crate::portal::wire::activation as wire;
use crate::store::RecordFilter;

/// What was sent from the page, when it was refused.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// What speaks of no form in particular.
    faults: Faults,
    step_up: Option<StepUp>,
    extension: extend::Wanted,
    decision: Words,
}

/// Where the visitor came from, when it is a gate.
#[derive(Debug, Clone)]
pub(super) struct Back {
    pub(super) url: String,
}

/// The page; once the role is held, a visitor without script who waits is sent back to where they came from.
pub(super) async fn page(
    State(portal): State<Portal>,
    visitor: Visitor,
    Named(id): Named<ActivationId>,
    uri: Uri,
) -> Result<Response, Problem> {
    portal
        .read(&visitor.identity, move |desk| {
            let asked = query(uri.query());
            let back = Back::of(desk, &asked);
            let case = visible(desk, id)?;
            if let Some(back) = back.as_ref().filter(|_| asked.filled("wait").is_some())
                && state::holds_now(desk, &case)
            {
                return Ok(see_other(&back.url));
            }
            show(desk, &case, back.as_ref(), &Sent::default(), StatusCode::OK)
        })
        .await
}

impl Back {
    pub(super) fn of(desk: &Desk, asked: &Fields) -> Option<Self> {
        let gates = &desk.portal.shared.parts.settings.gate_urls;
        let url = asked.filled("return_to").filter(|url| leads_back(url, gates))?;
        Some(Self { url: url.to_owned() })
    }
}

/// The page's own address, from which one comes back to it.
fn address(case: &Activation, back: Option<&Back>) -> String {
    url(&format!("/activations/{}", case.id), &[("return_to", back.map_or("", |back| back.url.as_str()))])
}

fn show(
    desk: &Desk,
    case: &Activation,
    back: Option<&Back>,
    sent: &Sent,
    status: StatusCode,
) -> Result<Response, Problem> {
    let shown = desk.activation(case)?;
    let filter = RecordFilter { activation: Some(case.id), ..RecordFilter::default() };
    let entries = desk.reader().records(&filter, Position(0), RECORDS_MAX)?;
    let own = address(case, back);
    let asked = decision::is_asked(desk, case);
    let title = format!("Activation of {}", case.role);
    let body = html! {
        (sent.faults.summary(&html! {
            @if let Some(step_up) = &sent.step_up { (step_up.remedy(&desk.portal, &own)) }
        }))
        // who is no longer asked has no form to read it beside
        @if !asked { (sent.decision.faults.summary(&html! {})) }
        (state::section(desk, case, &shown, back, sent))
        div .sides {
            div {
                section .sheet aria-labelledby="what" {
                    h2 #what { "What is asked" }
                    (facts(desk, case, &shown))
                }
                section #decide data-live="" aria-label="Your decision" {
                    @if asked {
                        div .sheet {
                            h2 { "Your decision" }
                            (sent.decision.faults.summary(&html! {}))
                            (decision::form(desk, case, &sent.decision, &own))
                        }
                    }
                }
            }
            section #story .sheet data-live="" aria-labelledby="so-far" {
                h2 #so-far { "So far" }
                (story::lost_beginning(desk, &entries)?)
                (story::story(&entries, &desk.names, desk.viewer.now()))
            }
        }
    };
    let page = Page::new(&title, body).status(status).head(state::without_script(desk, case, back));
    Ok(page.answer(&Frame::of(desk)?))
}

fn facts(desk: &Desk, case: &Activation, shown: &wire::Activation) -> Markup {
    let policies = desk.portal.shared.parts.policies.load();
    let routes = desk.portal.shared.parts.routes.load();
    let policy = policies.role(&case.role);
    let mut pairs = vec![
        ("Requester", party::person(shown.name.as_deref(), &shown.principal)),
        (
            "Role",
            html! {
                (text::role(case.role.as_str()))
                @if let Some(policy) = policy { @if !policy.description.is_empty() { div dir="auto" { (policy.description) } } }
            },
        ),
    ];
    if let Some(routes) = routes.get(&case.role).filter(|routes| !routes.is_empty()) {
        pairs.push(("Opens", html! { ul .plain-list { @for route in routes { li { (text::code(route)) } } } }));
    }
    if let Some(wanted) = &shown.wanted {
        pairs.push(("Denied request", text::wanted(wanted)));
    }
    pairs.push(("Asked for", story::asked(&case.requested)));
    let unsaid = if shown.erased { "erased" } else { "none" };
    pairs.push(("Justification", text::said_or(shown.justification.as_deref(), unsaid)));
    if let Some(ticket) = &shown.ticket {
        pairs.push(("Ticket", text::code(ticket)));
    }
    if let Some(via) = &shown.via {
        pairs.push(("Eligible", html! { "as member of " (text::code(via)) }));
    }
    pairs.push(("Decided by", rules::deciders(&case.terms.stages, &desk.names)));
    if let Some(uses) = shown.uses {
        pairs.push(("Uses", html! { (uses) }));
    }
    pairs.push(("Id", text::code(&shown.id)));
    list::facts(pairs)
}

/// A case has a handful of records; one with many decisions and extensions, dozens.
const RECORDS_MAX: usize = 1000;
