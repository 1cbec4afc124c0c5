//! One assignment: what it gives to whom, what became of it, and another window for it.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};

use crate::domain::assignment::{Assignment, AssignmentEnding, AssignmentKind, Origin};
use crate::domain::command::Command;
use crate::domain::id::AssignmentId;
use crate::domain::policy::Need;
use crate::domain::time::Window;
use crate::portal::Portal;
use crate::portal::api::assignment::any_visible;
use crate::portal::body::Named;
use crate::portal::desk::Desk;
use crate::portal::pages::assignments::{who, window};
use crate::portal::pages::entry::{Sender, StepUp, Visitor};
use crate::portal::pages::fault::Faults;
use crate::portal::pages::form::{ONCE, Posted, once, url};
use crate::portal::pages::layout::{Frame, Page, Place, see_other};
use crate::portal::pages::parts::badge::{Tone, badge};
use crate::portal::pages::parts::button::{Weight, link, submit};
use crate::portal::pages::parts::field::Field;
use crate::portal::pages::parts::notice::notice;
use crate::portal::pages::parts::{list, text, time};
use crate::portal::problem::Problem;

/// The page.
pub(super) async fn page(
    State(portal): State<Portal>,
    visitor: Visitor,
    Named(id): Named<AssignmentId>,
) -> Result<Response, Problem> {
    portal.read(&visitor.identity, move |desk| show(desk, &any_visible(desk, id)?, None)).await
}

/// What was filled in, and what was wrong with it.
struct Sent {
    starts_at: String,
    ends_at: String,
    justification: String,
    faults: Faults,
    step_up: Option<StepUp>,
}

/// Gives it another window.
pub(super) async fn send(
    State(portal): State<Portal>,
    sender: Sender,
    Named(id): Named<AssignmentId>,
    posted: Posted,
) -> Result<Response, Problem> {
    let fields = posted.fields(&["starts_at", "ends_at", "justification", ONCE], &["offset"])?;
    let found = portal.read(sender.identity(), move |desk| any_visible(desk, id)).await?;
    let mut faults = Faults::default();
    let (starts_at, ends_at) =
        (fields.moment_of("starts_at", 0, &mut faults), fields.moment_of("ends_at", 1, &mut faults));
    let shown = |at: Option<_>, name| at.map_or_else(|| fields.text(name).to_owned(), time::input_value);
    let mut sent = Sent {
        starts_at: shown(starts_at, "starts_at"),
        ends_at: shown(ends_at, "ends_at"),
        justification: fields.text("justification").to_owned(),
        faults,
        step_up: None,
    };
    if sent.faults.is_empty() {
        // the field shows minutes: a start that was left alone stays what it was to the millisecond
        let start = starts_at.filter(|at| time::input_value(*at) != time::input_value(found.window.starts_at));
        let window = Window { starts_at: start.unwrap_or(found.window.starts_at), ends_at };
        let justification = Some(sent.justification.clone()).filter(|text| !text.trim().is_empty());
        let command = Command::ChangeAssignment { id, window, justification };
        match portal.command(&sender.commander, command, fields.idempotency(&format!("change {id}"))).await {
            Ok(_) => return Ok(see_other(&format!("/assignments/{id}"))),
            Err(problem) => {
                sent.step_up = StepUp::for_problem(&problem);
                sent.faults = Faults::of_problem(problem, &["starts_at", "ends_at", "justification"])?;
            }
        }
    }
    portal.read(sender.identity(), move |desk| show(desk, &any_visible(desk, id)?, Some(&sent))).await
}

fn show(desk: &Desk, item: &Assignment, sent: Option<&Sent>) -> Result<Response, Problem> {
    let title = format!("{} of {}", kind(item), item.role);
    let status = sent.map_or(StatusCode::OK, |sent| sent.faults.status());
    let remedy = sent.and_then(|sent| sent.step_up.as_ref());
    let remedy = html! { @if let Some(step_up) = remedy { (step_up.remedy(&desk.portal, &format!("/assignments/{}", item.id))) } };
    let body = html! {
        @if let Some(sent) = sent { (sent.faults.summary(&remedy)) }
        section .sheet aria-label="Assignment" { (facts(desk, item)) }
        @if item.ended.is_none() && desk.viewer.is_administrator() {
            @match item.origin {
                Origin::Configuration => (notice(Tone::News, &html! { p { "It is declared in the configuration, and only there it can be changed or ended." } })),
                Origin::Administrator => (change(desk, item, sent)),
            }
        }
        p .row {
            @if desk.viewer.sees_all() { (link(Weight::Side, "Journal of this role", &url("/history/records", &[("role", item.role.as_str())]))) }
            a href=(url("/assignments", &[("kind", super::word_of(item.kind)), ("role", item.role.as_str())])) { "Assignments of this role" }
        }
    };
    Ok(Page::new(&title, body).at(Place::Assignments).status(status).answer(&Frame::of(desk)?))
}

fn facts(desk: &Desk, item: &Assignment) -> Markup {
    let state = match item.ended {
        None if item.window.is_over(desk.viewer.now()) => badge(Tone::Plain, "Over"),
        None if item.window.contains(desk.viewer.now()) => badge(Tone::Good, "Stands"),
        None => badge(Tone::News, "Begins later"),
        Some(end) => html! {
            (badge(Tone::Bad, match end.ending {
                AssignmentEnding::Removed => "Removed",
                AssignmentEnding::Expired => "Expired",
                AssignmentEnding::Locked => "Locked",
            }))
            " " (time::moment(end.at))
        },
    };
    list::facts([
        ("State", state),
        (
            "Gives",
            html! { (kind(item)) " of " a href={ "/roles/" (item.role.as_str()) } { (text::role(item.role.as_str())) } },
        ),
        ("To", who(desk, &item.party)),
        ("When", html! { (time::moment(item.window.starts_at)) " on, " (window(item.window, desk)) }),
        (
            "Made by",
            match item.origin {
                Origin::Administrator => html! { "an administrator" },
                Origin::Configuration => html! { "the configuration" },
            },
        ),
        ("Id", text::code(&item.id.to_string())),
    ])
}

fn kind(item: &Assignment) -> &'static str {
    match item.kind {
        AssignmentKind::Eligible => "Eligible assignment",
        AssignmentKind::Active => "Active assignment",
    }
}

fn change(desk: &Desk, item: &Assignment, sent: Option<&Sent>) -> Markup {
    let none = Faults::default();
    let faults = sent.map_or(&none, |sent| &sent.faults);
    let field = |name, label, hint, need| Field { form: "", name, label, hint, need, faults };
    let starts_at = sent.map_or_else(|| time::input_value(item.window.starts_at), |sent| sent.starts_at.clone());
    let ends_at = sent
        .map_or_else(|| item.window.ends_at.map(time::input_value).unwrap_or_default(), |sent| sent.ends_at.clone());
    let begun = item.window.starts_at <= desk.viewer.now();
    html! {
        form .sheet method="post" action={ "/assignments/" (item.id) } novalidate aria-labelledby="change" {
            h2 #change { "Another window" }
            (once())
            (field("starts_at", "From", if begun { "It has begun; leave it as it is to change only the end." } else { "" }, Need::Required).moment(&starts_at))
            (field("ends_at", "Until", "Empty is without an end, where the role allows that.", Need::Optional).moment(&ends_at))
            (field("justification", "Reason", "It stays in the journal.", Need::Required).lines(sent.map_or("", |sent| &sent.justification)))
            div .buttons {
                (submit(Weight::Main, "Change"))
                (link(Weight::Destructive, "End it…", &url("/assignments/end", &[("chosen", &item.id.to_string())])))
            }
        }
    }
}
