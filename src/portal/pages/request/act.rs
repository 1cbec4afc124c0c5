//! What is sent from a case's page: one form, one command; refused, the page again with everything that was wrong.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use crate::clock::parse_span;
use crate::domain::activation::Choice;
use crate::domain::command::{Adjusted, Command};
use crate::domain::id::ActivationId;
use crate::portal::Portal;
use crate::portal::api::activation::visible;
use crate::portal::body::Named;
use crate::portal::pages::entry::{Sender, StepUp};
use crate::portal::pages::fault::Faults;
use crate::portal::pages::form::{Fields, ONCE, Posted, url};
use crate::portal::pages::layout::see_other;
use crate::portal::pages::parts::decision::{self, Words};
use crate::portal::pages::parts::time;
use crate::portal::pages::request::{Sent, extend, show};
use crate::portal::problem::{Kind, Problem};

/// One command about one case.
struct Act {
    id: ActivationId,
    verb: &'static str,
    command: Command,
}

/// Withdraws a request, or an extension that waits.
pub(in crate::portal) async fn cancel(
    State(portal): State<Portal>,
    sender: Sender,
    Named(id): Named<ActivationId>,
    posted: Posted,
) -> Result<Response, Problem> {
    let fields = posted.fields(&[ONCE], &[])?;
    let act = Act { id, verb: "cancel", command: Command::Cancel { id } };
    done(&portal, &sender, act, &fields, Sent::default(), Sent::of_none).await
}

/// Hands the role back.
pub(in crate::portal) async fn deactivate(
    State(portal): State<Portal>,
    sender: Sender,
    Named(id): Named<ActivationId>,
    posted: Posted,
) -> Result<Response, Problem> {
    let fields = posted.fields(&[ONCE], &[])?;
    let act = Act { id, verb: "deactivate", command: Command::Deactivate { id } };
    done(&portal, &sender, act, &fields, Sent::default(), Sent::of_none).await
}

/// Takes the role or the request away.
pub(in crate::portal) async fn revoke(
    State(portal): State<Portal>,
    sender: Sender,
    Named(id): Named<ActivationId>,
    posted: Posted,
) -> Result<Response, Problem> {
    let fields = posted.fields(&["justification", ONCE], &[])?;
    let command = Command::Revoke { id, justification: typed(&fields) };
    done(&portal, &sender, Act { id, verb: "revoke", command }, &fields, Sent::default(), Sent::of_none).await
}

/// Asks for a later end.
pub(in crate::portal) async fn extend(
    State(portal): State<Portal>,
    sender: Sender,
    Named(id): Named<ActivationId>,
    posted: Posted,
) -> Result<Response, Problem> {
    let fields = posted.fields(&["duration", "justification", ONCE], &[])?;
    let duration = parse_span(fields.text("duration").trim())
        .map_err(|error| Problem::member(Kind::INVALID_BODY, "/duration", error.to_string()))?;
    let command = Command::Extend { id, duration, justification: typed(&fields) };
    let wanted = extend::Wanted {
        duration: fields.text("duration").trim().to_owned(),
        justification: fields.text("justification").to_owned(),
        faults: Faults::default(),
    };
    let sent = Sent { extension: wanted, ..Sent::default() };
    done(&portal, &sender, Act { id, verb: "extend", command }, &fields, sent, Sent::of_extension).await
}

/// Approves what waits.
pub(in crate::portal) async fn approve(
    State(portal): State<Portal>,
    sender: Sender,
    Named(id): Named<ActivationId>,
    posted: Posted,
) -> Result<Response, Problem> {
    decide(&portal, &sender, id, Choice::Approve, posted).await
}

/// Denies what waits.
pub(in crate::portal) async fn deny(
    State(portal): State<Portal>,
    sender: Sender,
    Named(id): Named<ActivationId>,
    posted: Posted,
) -> Result<Response, Problem> {
    decide(&portal, &sender, id, Choice::Deny, posted).await
}

async fn decide(
    portal: &Portal,
    sender: &Sender,
    id: ActivationId,
    choice: Choice,
    posted: Posted,
) -> Result<Response, Problem> {
    let fields = posted.fields(&decision::FIELDS, &[])?;
    let revision = fields.text("revision").parse();
    let revision = revision.map_err(|_| Problem::member(Kind::INVALID_BODY, "/revision", "not a revision"))?;
    let mut faults = Faults::default();
    let starts_at = fields.moment("starts_at", &mut faults);
    let duration = fields
        .filled("duration")
        .and_then(|text| parse_span(text).map_err(|error| faults.add("duration", error.to_string())).ok());
    let adjusted = Adjusted { duration, starts_at };
    if choice == Choice::Deny && adjusted != Adjusted::default() {
        faults.add("duration", "only an approval changes what was asked for; to deny, leave length and start as asked");
    }
    let words = Words {
        justification: fields.text("justification").to_owned(),
        duration: fields.text("duration").trim().to_owned(),
        starts_at: starts_at.map_or_else(|| fields.text("starts_at").to_owned(), time::input_value),
        faults,
    };
    if !words.faults.is_empty() {
        let sent = Sent { decision: words, ..Sent::default() };
        return again(portal, sender, id, sent, StatusCode::UNPROCESSABLE_ENTITY).await;
    }
    let adjusted = Some(adjusted).filter(|adjusted| *adjusted != Adjusted::default());
    let command = Command::Decide { id, choice, revision, adjusted, justification: typed(&fields) };
    let sent = Sent { decision: words, ..Sent::default() };
    let verb = match choice {
        Choice::Approve => "approve",
        Choice::Deny => "deny",
    };
    done(portal, sender, Act { id, verb, command }, &fields, sent, Sent::of_decision).await
}

/// Gives the command; what was wrong with it goes where `place` puts it in what was `sent`.
async fn done(
    portal: &Portal,
    sender: &Sender,
    Act { id, verb, command }: Act,
    fields: &Fields,
    sent: Sent,
    place: fn(Sent, Problem) -> Result<Sent, Problem>,
) -> Result<Response, Problem> {
    match portal.command(&sender.commander, command, fields.idempotency(&format!("{verb} {id}"))).await {
        // whoever decides among all that waits goes on there
        Ok(_) if fields.text(decision::FROM) == decision::APPROVALS => {
            Ok(see_other(&url(decision::APPROVALS, &[("decided", &id.to_string())])))
        }
        Ok(_) => Ok(see_other(&format!("/activations/{id}"))),
        Err(problem) => {
            let sent = place(sent, problem)?;
            let status = sent.faults.status_with(&sent.decision.faults);
            again(portal, sender, id, sent, status).await
        }
    }
}

async fn again(
    portal: &Portal,
    sender: &Sender,
    id: ActivationId,
    sent: Sent,
    status: StatusCode,
) -> Result<Response, Problem> {
    portal
        .read(sender.identity(), move |desk| {
            let case = visible(desk, id)?;
            show(desk, &case, None, &sent, status)
        })
        .await
}

impl Sent {
    fn of_none(self, problem: Problem) -> Result<Self, Problem> {
        let faults = Faults::of_problem(problem, &["justification"])?;
        Ok(Self { faults, ..self })
    }

    fn of_extension(self, problem: Problem) -> Result<Self, Problem> {
        let step_up = StepUp::for_problem(&problem);
        let faults = Faults::of_problem(problem, &["duration", "justification"])?;
        let extension = extend::Wanted { faults: faults.clone(), ..self.extension };
        Ok(Self { faults, step_up, extension, ..self })
    }

    fn of_decision(self, problem: Problem) -> Result<Self, Problem> {
        let faults = Faults::of_problem(problem, &decision::TOLD)?;
        Ok(Self { decision: Words { faults, ..self.decision }, ..self })
    }
}

fn typed(fields: &Fields) -> Option<String> {
    Some(fields.text("justification")).filter(|text| !text.trim().is_empty()).map(str::to_owned)
}
