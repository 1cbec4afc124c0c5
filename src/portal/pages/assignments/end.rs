//! Ending assignments, one or many: looked at once more, with one reason, and a result for each line.

use axum::extract::State;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use http::{StatusCode, Uri};
use maud::{Markup, html};

use crate::domain::assignment::Assignment;
use crate::domain::command::Command;
use crate::domain::id::AssignmentId;
use crate::domain::policy::Need;
use crate::portal::Portal;
use crate::portal::api::assignment::any_visible;
use crate::portal::api::decision::LINES_MAX;
use crate::portal::desk::Desk;
use crate::portal::idempotency::Key;
use crate::portal::pages::assignments::{who, window};
use crate::portal::pages::entry::{Sender, StepUp, Visitor};
use crate::portal::pages::fault::{Faults, refused};
use crate::portal::pages::form::{Fields, ONCE, Posted, once, query};
use crate::portal::pages::layout::{Frame, Page, Place};
use crate::portal::pages::parts::badge::{Tone, badge};
use crate::portal::pages::parts::button::{Weight, link, submit};
use crate::portal::pages::parts::field::Field;
use crate::portal::pages::parts::notice::{empty, notice};
use crate::portal::pages::parts::{table, text};
use crate::portal::problem::{Kind, Problem};

/// Shows what would end.
pub(super) async fn page(State(portal): State<Portal>, visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    portal
        .read(&visitor.identity, move |desk| {
            let asked = query(uri.query());
            show(desk, &chosen(&asked)?, &Sent::default(), StatusCode::OK)
        })
        .await
}

/// What was sent, and what became of it.
#[derive(Default)]
struct Sent {
    justification: String,
    faults: Faults,
    results: Vec<(AssignmentId, Result<Assignment, Problem>)>,
}

/// Ends them, as far as each may be.
pub(super) async fn send(State(portal): State<Portal>, sender: Sender, posted: Posted) -> Result<Response, Problem> {
    let fields = posted.fields(&["justification", ONCE], &["chosen"])?;
    let ids = chosen(&fields)?;
    let mut sent = Sent { justification: fields.text("justification").to_owned(), ..Sent::default() };
    if ids.is_empty() {
        return Err(Problem::member(Kind::INVALID_BODY, "/chosen", "choose at least one assignment"));
    }
    let key = Key::of_form("/assignments/end", fields.filled(ONCE));
    let (portal, sender, key, why) = (&portal, &sender, &key, fields.filled("justification"));
    sent.results = stream::iter(ids)
        .map(|id| async move { (id, end(portal, sender, id, why, key).await) })
        .buffered(LINES_AT_ONCE)
        .collect()
        .await;
    let left: Vec<AssignmentId> =
        sent.results.iter().filter(|(_, outcome)| outcome.is_err()).map(|(id, _)| *id).collect();
    let done = left.len() < sent.results.len();
    let status = if done { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    portal.read(sender.identity(), move |desk| show(desk, &left, &sent, status)).await
}

async fn end(
    portal: &Portal,
    sender: &Sender,
    id: AssignmentId,
    why: Option<&str>,
    key: &Key,
) -> Result<Assignment, Problem> {
    portal.read(sender.identity(), move |desk| any_visible(desk, id)).await?;
    let command = Command::RemoveAssignment { id, justification: why.map(str::to_owned) };
    let idempotency = key.line(&id.to_string(), why.unwrap_or_default().as_bytes());
    let outcome = portal.command(&sender.commander, command, idempotency).await?;
    outcome.assignment.ok_or_else(|| Problem::new(Kind::INTERNAL, "the assignment is missing"))
}

/// The ids chosen, each once.
fn chosen(fields: &Fields) -> Result<Vec<AssignmentId>, Problem> {
    let mut ids: Vec<AssignmentId> = Vec::new();
    for id in fields.all("chosen") {
        let id = id.parse().map_err(|_| Problem::unknown())?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    if ids.len() > LINES_MAX {
        return Err(Problem::new(Kind::INVALID_BODY, format!("at most {LINES_MAX} assignments end at once")));
    }
    Ok(ids)
}

fn show(desk: &Desk, ids: &[AssignmentId], sent: &Sent, status: StatusCode) -> Result<Response, Problem> {
    let items = ids.iter().map(|id| any_visible(desk, *id)).collect::<Result<Vec<_>, Problem>>()?;
    let field = Field {
        form: "",
        name: "justification",
        label: "One reason for all",
        hint: "It stays in the journal.",
        need: Need::Required,
        faults: &sent.faults,
    };
    let body = html! {
        (results(desk, sent))
        @if items.is_empty() {
            @if sent.results.is_empty() {
                (empty("No assignment is chosen.", &html! { "Choose some in the list. " a href="/assignments" { "To the list" } }))
            } @else {
                p { (link(Weight::Side, "Back to assignments", "/assignments")) }
            }
        } @else {
            p { "What rests on these ends with them: whoever activated a role by an eligible assignment loses it at once." }
            (table::table("Assignments that end", &["Role", "Who", "When"], items.iter().map(|item| vec![
                text::role(item.role.as_str()), who(desk, &item.party), window(item.window, desk),
            ])))
            form .sheet method="post" action="/assignments/end" novalidate {
                (once())
                @for item in &items { input type="hidden" name="chosen" value=(item.id.to_string()); }
                (field.lines(&sent.justification))
                div .buttons {
                    (submit(Weight::Destructive, &format!("End {} now", count(items.len()))))
                    (link(Weight::Side, "Back", "/assignments"))
                }
            }
        }
    };
    Ok(Page::new("End assignments", body).at(Place::Assignments).status(status).answer(&Frame::of(desk)?))
}

fn results(desk: &Desk, sent: &Sent) -> Markup {
    let failed = sent.results.iter().filter(|(_, outcome)| outcome.is_err()).count();
    let done = sent.results.len().saturating_sub(failed);
    let step_up = sent.results.iter().find_map(|(_, outcome)| outcome.as_ref().err().and_then(StepUp::for_problem));
    html! {
        @if !sent.results.is_empty() {
            (notice(if failed == 0 { Tone::Good } else { Tone::Bad }, &html! {
                p { b { (done) " ended" @if failed > 0 { ", " (failed) " not" } "." } }
                @if let Some(step_up) = step_up { (step_up.remedy(&desk.portal, "/assignments")) }
            }))
            (table::table("What became of each", &["Assignment", "Result"], sent.results.iter().map(|(id, outcome)| vec![
                html! { a href={ "/assignments/" (id) } {
                    @match outcome { Ok(item) => { (text::role(item.role.as_str())) " " (desk.names.of_party(&item.party)) } Err(_) => (text::code(&id.to_string())) }
                } },
                match outcome {
                    Ok(_) => badge(Tone::Plain, "Ended"),
                    Err(problem) => refused(problem),
                },
            ])))
        }
    }
}

fn count(items: usize) -> String {
    if items == 1 { "it".to_owned() } else { format!("all {items}") }
}

/// Lines on their way to the writer together; they share its commits.
const LINES_AT_ONCE: usize = 16;
