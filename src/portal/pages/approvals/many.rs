//! Many decisions at once: one justification, one form, and a result for each line.

use std::collections::HashSet;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};

use crate::domain::policy::Need;
use crate::portal::Portal;
use crate::portal::api::activation::visible;
use crate::portal::api::decision::{Decided, LINES_MAX, decide_all};
use crate::portal::desk::Desk;
use crate::portal::idempotency::Key;
use crate::portal::pages::approvals::card::BULK;
use crate::portal::pages::approvals::show;
use crate::portal::pages::entry::{Sender, StepUp};
use crate::portal::pages::fault::{Faults, refused};
use crate::portal::pages::form::{ONCE, Posted, once};
use crate::portal::pages::parts::badge::{self, Tone};
use crate::portal::pages::parts::button::{Weight, submit_as};
use crate::portal::pages::parts::field::Field;
use crate::portal::pages::parts::notice::notice;
use crate::portal::pages::parts::{party, table, text};
use crate::portal::problem::{Kind, Problem};
use crate::portal::wire::activation::{Activation, DecisionLine};
use crate::portal::wire::common::Choice;

/// What was sent, and what became of it.
#[derive(Default)]
pub(super) struct Sent {
    justification: String,
    faults: Faults,
    results: Vec<Decided>,
    /// Chosen, and still to be decided on.
    chosen: HashSet<String>,
    /// What was decided on by itself just now.
    last: Option<Activation>,
}

/// Decides on all that was chosen, as far as each may be; answered with a result for each line and what still waits. Sent
/// again, the same form gives the same results.
pub(in crate::portal) async fn decide(
    State(portal): State<Portal>,
    sender: Sender,
    posted: Posted,
) -> Result<Response, Problem> {
    let fields = posted.fields(&["choice", "justification", ONCE], &["chosen"])?;
    let choice = match fields.text("choice") {
        "approve" => Choice::Approve,
        "deny" => Choice::Deny,
        _ => return Err(Problem::member(Kind::INVALID_BODY, "/choice", "choose to approve or to deny")),
    };
    let lines = fields.all("chosen").map(|line| read(line, choice)).collect::<Result<Vec<_>, Problem>>()?;
    let mut sent = Sent {
        justification: fields.text("justification").to_owned(),
        chosen: lines.iter().map(|line| line.activation.clone()).collect(),
        ..Sent::default()
    };
    if lines.is_empty() || lines.len() > LINES_MAX {
        let fault = match lines.len() {
            0 => "choose at least one request".to_owned(),
            count => format!("{count} are chosen; decide on at most {LINES_MAX} at once"),
        };
        sent.faults.add("chosen", fault);
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return portal.read(sender.identity(), move |desk| show(desk, None, &sent, status)).await;
    }
    let justification = fields.filled("justification");
    let key = Key::of_form("/approvals", fields.filled(ONCE));
    sent.results = decide_all(&portal, &sender.commander, lines, justification, &key).await?;
    for decided in sent.results.iter().filter(|decided| decided.outcome.is_ok()) {
        sent.chosen.remove(&decided.activation);
    }
    let done = sent.results.len() > sent.chosen.len();
    if done && sent.chosen.is_empty() {
        sent.justification.clear();
    }
    let status = if done { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    portal.read(sender.identity(), move |desk| show(desk, None, &sent, status)).await
}

/// `act_…:revision`, as the page offered it.
fn read(line: &str, choice: Choice) -> Result<DecisionLine, Problem> {
    let malformed = || Problem::member(Kind::INVALID_BODY, "/chosen", "the page did not offer this line");
    let (activation, revision) = line.split_once(':').ok_or_else(malformed)?;
    let revision = revision.parse().map_err(|_| malformed())?;
    Ok(DecisionLine {
        activation: activation.to_owned(),
        choice,
        revision,
        duration: None,
        starts_at: None,
        justification: None,
    })
}

/// The form that takes all that is chosen; it stays in reach of a thumb.
pub(super) fn bar(sent: &Sent) -> Markup {
    let field = Field {
        form: BULK,
        name: "justification",
        label: "One reason for all",
        hint: "The requesters will read it, and it stays in the journal.",
        need: Need::Optional,
        faults: &sent.faults,
    };
    html! {
        form #(BULK) .bulk method="post" action="/approvals" novalidate {
            (once())
            div .row.spread {
                label .choose hidden { input type="checkbox" form=(BULK) data-all="chosen" data-told="many-told"; span { "Choose all" } }
                span #many-told .dim aria-live="polite" {}
            }
            (field.lines(&sent.justification))
            div .buttons {
                (submit_as(Weight::Main, "Approve chosen", "choice", "approve"))
                (submit_as(Weight::Destructive, "Deny chosen", "choice", "deny"))
            }
        }
    }
}

impl Sent {
    /// Nothing was sent, but one case was decided on just before.
    pub(super) fn after(desk: &Desk, decided: Option<&str>) -> Result<Self, Problem> {
        let case = decided.and_then(|id| id.parse().ok()).and_then(|id| visible(desk, id).ok());
        let last = case.map(|case| desk.activation(&case)).transpose()?;
        Ok(Self { last, ..Self::default() })
    }

    pub(super) fn has_chosen(&self, id: &str) -> bool {
        self.chosen.contains(id)
    }

    /// Whether something was wrong with just this one.
    pub(super) fn is_about(&self, id: &str) -> bool {
        self.results.len() == 1 && self.has_chosen(id)
    }

    /// What became of each line, in their order; `waiting` are those that still wait.
    pub(super) fn results(&self, desk: &Desk, waiting: &[Activation]) -> Markup {
        let failed = self.chosen.len();
        let done = self.results.len().saturating_sub(failed);
        let tone = if failed == 0 { Tone::Good } else { Tone::Bad };
        let step_up =
            self.results.iter().find_map(|decided| decided.outcome.as_ref().err().and_then(StepUp::for_problem));
        html! {
            @if let Some(last) = &self.last {
                (notice(Tone::News, &html! { p {
                    "Your decision is written down: " (party::person(last.name.as_deref(), &last.principal)) " · "
                    a href={ "/activations/" (last.id) } { (text::role(last.role.0.as_str())) } " "
                    (badge::state(last.state, last.ending))
                } }))
            }
            @for fault in self.faults.of("chosen") { (notice(Tone::Bad, &html! { p { (fault) } })) }
            @if !self.results.is_empty() {
                (notice(tone, &html! {
                    p { b { (done) " decided" @if failed > 0 { ", " (failed) " not" } "." } }
                    @if let Some(step_up) = step_up { (step_up.remedy(&desk.portal, "/approvals")) }
                }))
                (table::table("What became of each", &["Request", "Requester", "Result"], self.results.iter().map(|decided| line(decided, waiting))))
            }
        }
    }
}

fn line(decided: &Decided, waiting: &[Activation]) -> Vec<Markup> {
    let link = |text: &Markup| html! { a href={ "/activations/" (decided.activation) } { (text) } };
    let known = match &decided.outcome {
        Ok(shown) => Some(shown),
        Err(_) => waiting.iter().find(|case| case.id == decided.activation),
    };
    let (role, requester) = match known {
        Some(shown) => {
            (link(&text::role(shown.role.0.as_str())), party::person(shown.name.as_deref(), &shown.principal))
        }
        None => (link(&text::code(&decided.activation)), html! { span .dim { "no longer waits for you" } }),
    };
    let result = match &decided.outcome {
        Ok(shown) => badge::state(shown.state, shown.ending),
        Err(problem) => refused(problem),
    };
    vec![role, requester, result]
}
