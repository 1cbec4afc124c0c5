//! What waits for the visitor, longest waiting first: each request with all one needs to decide on it, one by one or many at
//! once with a result each.

mod card;
mod many;
mod past;

use axum::extract::State;
use axum::response::Response;
use http::{StatusCode, Uri};
use maud::{Markup, html};

use crate::portal::Portal;
use crate::portal::api::activation::{ListQuery, Order, WaitingFor, page as list};
use crate::portal::api::decision::LINES_MAX;
use crate::portal::desk::Desk;
use crate::portal::pages::entry::Visitor;
use crate::portal::pages::form::{query, url};
use crate::portal::pages::layout::{Frame, Page, Place};
use crate::portal::pages::parts::{list as pages, notice};
use crate::portal::problem::Problem;
use crate::portal::wire::activation::Activation;

use card::Shape;
use many::Sent;
pub(super) use many::decide;

/// The page.
pub(super) async fn page(State(portal): State<Portal>, visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    portal
        .read(&visitor.identity, move |desk| {
            let asked = query(uri.query());
            let cursor = asked.filled("cursor").map(str::to_owned);
            show(desk, cursor, &Sent::after(desk, asked.filled("decided"))?, StatusCode::OK)
        })
        .await
}

/// The page with what became of decisions above it.
fn show(desk: &Desk, cursor: Option<String>, sent: &Sent, status: StatusCode) -> Result<Response, Problem> {
    let on_first = cursor.is_none();
    let waiting = list(
        desk,
        &ListQuery {
            waiting_for: Some(WaitingFor::Me),
            order: Order::Oldest,
            limit: Some(LINES_MAX.min(desk.portal.shared.parts.settings.limits.page_items_max)),
            cursor,
            ..ListQuery::default()
        },
    )?;
    let cases: Vec<&Activation> = waiting.items.iter().filter(|case| open_vote(case).is_some()).collect();
    let next = waiting.next.as_deref().map(|next| url("/approvals", &[("cursor", next)]));
    let body = html! {
        (sent.results(desk, &waiting.items))
        section #inbox data-live="" aria-label="Requests that wait for you" {
            @if cases.is_empty() { (nothing(on_first)) } @else { (inbox(desk, &cases, sent)?) }
        }
        (pages::pagination((!on_first).then_some("/approvals"), next.as_deref()))
    };
    Ok(Page::new("Approvals", body).at(Place::Approvals).status(status).answer(&Frame::of(desk)?))
}

fn inbox(desk: &Desk, cases: &[&Activation], sent: &Sent) -> Result<Markup, Problem> {
    // a form each is for few: a long list is gone through together, or one by one on their own pages
    let (inline, many) = (cases.len() <= INLINE_MAX, cases.len() > 1);
    let cards = cases
        .iter()
        .map(|case| card::card(desk, case, sent, Shape { inline, many }))
        .collect::<Result<Vec<_>, Problem>>()?;
    Ok(html! {
        @if many { p .dim { (cases.len()) " wait for you; the one that has waited longest comes first." } }
        @for card in cards { (card) }
        @if many { (many::bar(sent)) }
    })
}

fn nothing(on_first: bool) -> Markup {
    let what = if on_first { "Nothing waits for you." } else { "Nothing more waits for you." };
    notice::empty(
        what,
        &html! {
            "Requests appear here by themselves as soon as somebody asks for a role that you approve. "
            a href="/roles" { "See which roles those are" } "."
        },
    )
}

/// The vote that is open: on the request, or on a later end.
fn open_vote(case: &Activation) -> Option<&crate::portal::wire::activation::Approval> {
    case.approval.as_ref().or_else(|| case.extension.as_ref().and_then(|extension| extension.approval.as_ref()))
}

/// So many cases have their own form on this page.
const INLINE_MAX: usize = 12;
