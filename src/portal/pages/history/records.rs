//! Records of the journal, one by one, as they were written; and how one is shown wherever it stands.

use axum::extract::State;
use axum::response::Response;
use http::{StatusCode, Uri};
use maud::{Markup, html};

use crate::domain::event::{Actor, Event};
use crate::domain::policy::Need;
use crate::domain::role::RoleId;
use crate::journal::EVENT_TYPES;
use crate::journal::record::event_type;
use crate::portal::Portal;
use crate::portal::api::audit::{ListQuery, entries};
use crate::portal::desk::Desk;
use crate::portal::pages::entry::Visitor;
use crate::portal::pages::fault::Faults;
use crate::portal::pages::form::{query, url};
use crate::portal::pages::history::{Tab, tabs};
use crate::portal::pages::layout::{Frame, Page, Place};
use crate::portal::pages::parts::button::{self, Weight};
use crate::portal::pages::parts::field::{Choice, Field};
use crate::portal::pages::parts::{cut, list, notice, party, text, time};
use crate::portal::pages::story;
use crate::portal::problem::{Kind, Problem};
use crate::portal::wire::text::RoleName;
use crate::store::Entry;

/// The page.
pub(super) async fn page(State(portal): State<Portal>, visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    portal
        .read(&visitor.identity, move |desk| {
            let asked = query(uri.query());
            let filled = |name| asked.filled(name).map(str::to_owned);
            let mut faults = Faults::default();
            let role = asked.filled("role").and_then(|name| match name.parse::<RoleId>() {
                Ok(role) => Some(RoleName(role)),
                Err(error) => {
                    faults.add("role", error.to_string());
                    None
                }
            });
            let wanted = ListQuery {
                principal: filled("principal"),
                role,
                event: filled("event").filter(|event| EVENT_TYPES.contains(&event.as_str())),
                cursor: filled("cursor"),
                limit: Some(ROWS),
                ..ListQuery::default()
            };
            let looked = if faults.is_empty() { entries(desk, wanted.clone()).map(Some) } else { Ok(None) };
            let found = match looked {
                Ok(found) => found,
                // a cursor of a process that is gone: begin again, rather than tell of it
                Err(problem) if problem.code() == Kind::INVALID_CURSOR.code => {
                    Some(entries(desk, ListQuery { cursor: None, ..wanted })?)
                }
                Err(problem) => {
                    faults.extend(Faults::of_problem(problem, &[])?.on("principal"));
                    None
                }
            };
            let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
            let on = |cursor: &str| {
                url("/history/records", &[
                    ("principal", asked.text("principal")),
                    ("role", asked.text("role")),
                    ("event", asked.text("event")),
                    ("cursor", cursor),
                ])
            };
            let field = |name, label, hint| Field { form: "", name, label, hint, need: Need::Required, faults: &faults };
            let any = Choice { value: String::new(), label: "Any".to_owned() };
            let kinds: Vec<Choice> = std::iter::once(any)
                .chain(EVENT_TYPES.iter().map(|kind| Choice { value: (*kind).to_owned(), label: words(kind) }))
                .collect();
            let filtered = ["principal", "role", "event"].iter().any(|name| asked.filled(name).is_some());
            let body = html! {
                (tabs(desk, Tab::Records))
                @if !desk.viewer.sees_all() { p .dim { "Records that concern you." } }
                (list::filters(filtered, &html! { form .sheet method="get" action="/history/records" role="search" {
                    div .filters {
                        (field("principal", "Person", "issuer:subject").search(asked.text("principal")))
                        (field("role", "Role", "app/role").search(asked.text("role")))
                        (field("event", "Event", "").select(&kinds, asked.text("event")))
                    }
                    (button::submit(Weight::Main, "Filter"))
                } }))
                @if let Some(found) = found {
                    @if let Some(cut) = &found.cut { (cut::above_records(cut)) }
                    @if found.items.is_empty() {
                        (notice::empty("No record matches.", &html! { a href="/history/records" { "Show all" } }))
                    } @else {
                        (all(desk, &found.items))
                    }
                    (list::pagination(asked.filled("cursor").map(|_| on("")).as_deref(), found.next.as_deref().map(on).as_deref()))
                }
            };
            Ok(Page::new("Records", body).at(Place::History).status(status).answer(&Frame::of(desk)?))
        })
        .await
}

/// These records in full, in their order.
pub(super) fn all(desk: &Desk, entries: &[Entry]) -> Markup {
    html! { ol .plain-list { @for entry in entries { li .card.record { (one(desk, entry)) } } } }
}

fn one(desk: &Desk, entry: &Entry) -> Markup {
    let detail = entry.detail.as_ref();
    let hash = data_encoding::HEXLOWER.encode(&entry.sealed.hash);
    let mut pairs = vec![("By", by(desk, entry))];
    if let Some(told) = story::line(&entry.event) {
        pairs.push(("What", told));
    }
    if let Some(about) = about(desk, &entry.event) {
        pairs.push(("About", about));
    }
    if let Some(why) = detail.and_then(|detail| detail.justification.as_deref()) {
        pairs.push(("Words", text::said(why)));
    }
    if let Some(ticket) = detail.and_then(|detail| detail.ticket.as_deref()) {
        pairs.push(("Ticket", text::code(ticket)));
    }
    if let Some(wanted) = detail.and_then(|detail| detail.wanted.as_ref()) {
        pairs.push(("Denied request", text::wanted(&wanted.into())));
    }
    pairs.push(("Hash", html! { span .hash { (text::code(&hash)) } }));
    html! {
        div .row.spread {
            span { b { (words(event_type(&entry.event))) } " " span .dim { "record " (entry.position.0) } }
            span .dim { (time::moment(entry.time)) " · " (time::distance(entry.time, desk.viewer.now())) }
        }
        (list::facts(pairs))
    }
}

fn by(desk: &Desk, entry: &Entry) -> Markup {
    match &entry.actor {
        Actor::Principal { principal, assurance } => {
            let name = entry.detail.as_ref().and_then(|detail| detail.name.as_deref());
            let in_full = desk.viewer.sees_principal(principal);
            html! {
                (party::person(name, &desk.names.of_principal(principal)))
                @if in_full && !assurance.amr.is_empty() { " " span .dim { "signed in by " (assurance.amr.join(", ")) } }
                @if in_full { @if let Some(acr) = &assurance.acr { " " span .dim { "at level " (acr) } } }
            }
        }
        Actor::Configuration => html! { "the configuration" },
        Actor::Operator => html! { "the operator, at the machine" },
        Actor::Hallpass => html! { "hallpass itself, writing down what time has made true" },
    }
}

/// What an event is about, and the way to it.
fn about(desk: &Desk, event: &Event) -> Option<Markup> {
    if let Some(id) = event.activation() {
        return Some(html! { a href={ "/history/" (id) } { (text::code(&id.to_string())) } });
    }
    let person = |principal| html! { code { bdi { (desk.names.of_principal(principal)) } } };
    match event {
        Event::AssignmentMade { assignment } => Some(html! {
            a href={ "/assignments/" (assignment.id) } { (text::role(assignment.role.as_str())) } " to " (party::one(&assignment.party, &desk.names))
        }),
        Event::AssignmentChanged { assignment, .. } | Event::AssignmentEnded { assignment, .. } => {
            Some(html! { a href={ "/assignments/" (assignment) } { (text::code(&assignment.to_string())) } })
        }
        Event::PrincipalLocked { principal }
        | Event::PrincipalUnlocked { principal }
        | Event::CredentialsRevoked { principal, .. }
        | Event::NotesErased { principal, .. } => Some(person(principal)),
        _ => None,
    }
}

/// `activation_requested` as people read it.
fn words(kind: &str) -> String {
    let text = kind.replace('_', " ");
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

const ROWS: usize = 50;
