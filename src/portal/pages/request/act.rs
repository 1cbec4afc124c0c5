//! What is sent from a case's page: one form, one command; refused, the page again with everything that was wrong.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};

use crate::clock::parse_span;
use crate::domain::activation::Choice;
use crate::domain::command::{Adjusted, Command};
use crate::domain::id::ActivationId;
use crate::portal::Portal;
use crate::portal::api::activation::visible;
use crate::portal::body::Named;
use crate::portal::desk::Desk;
use crate::portal::pages::entry::{Sender, StepUp};
use crate::portal::pages::fault::Faults;
use crate::portal::pages::form::{Fields, ONCE, Posted, url};
use crate::portal::pages::layout::see_other;
use crate::portal::pages::parts::decision::{self, Words};
use crate::portal::pages::parts::time;
use crate::portal::pages::request::{Sent, extend, show};
use crate::portal::problem::{Kind, Problem};

/// A form of one case's page on its way: who sent it, about which case, and what it says.
pub(in crate::portal) struct Act {
    portal: Portal,
    sender: Sender,
    id: ActivationId,
    posted: Posted,
}

impl FromRequest<Portal> for Act {
    type Rejection = Response;

    async fn from_request(request: Request, portal: &Portal) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let sender = Sender::from_request_parts(&mut parts, portal).await?;
        let named = Named::from_request_parts(&mut parts, portal).await;
        let Named(id) = named.map_err(IntoResponse::into_response)?;
        let posted = Posted::from_request(Request::from_parts(parts, body), portal).await;
        let posted = posted.map_err(IntoResponse::into_response)?;
        Ok(Self { portal: portal.clone(), sender, id, posted })
    }
}

/// Withdraws a request, or an extension that waits.
pub(in crate::portal) async fn cancel(act: Act) -> Result<Response, Problem> {
    act.plainly("cancel", &[ONCE], |id, _| Command::Cancel { id }).await
}

/// Hands the role back.
pub(in crate::portal) async fn deactivate(act: Act) -> Result<Response, Problem> {
    act.plainly("deactivate", &[ONCE], |id, _| Command::Deactivate { id }).await
}

/// Takes the role or the request away.
pub(in crate::portal) async fn revoke(act: Act) -> Result<Response, Problem> {
    act.plainly("revoke", &["justification", ONCE], |id, fields| Command::Revoke { id, justification: typed(fields) })
        .await
}

/// Asks for a later end.
pub(in crate::portal) async fn extend(act: Act) -> Result<Response, Problem> {
    act.carried_out(&["duration", "justification", ONCE], |id, fields| {
        let duration = parse_span(fields.text("duration").trim())
            .map_err(|error| Problem::member(Kind::INVALID_BODY, "/duration", error.to_string()))?;
        let extension = extend::Wanted {
            duration: fields.text("duration").trim().to_owned(),
            justification: fields.text("justification").to_owned(),
            faults: Faults::default(),
        };
        Ok(Read {
            verb: "extend",
            command: Some(Command::Extend { id, duration, justification: typed(fields) }),
            sent: Sent { extension, ..Sent::default() },
            place: Sent::of_extension,
        })
    })
    .await
}

/// Approves what waits.
pub(in crate::portal) async fn approve(act: Act) -> Result<Response, Problem> {
    act.carried_out(&decision::FIELDS, |id, fields| decision_in(id, fields, Choice::Approve)).await
}

/// Denies what waits.
pub(in crate::portal) async fn deny(act: Act) -> Result<Response, Problem> {
    act.carried_out(&decision::FIELDS, |id, fields| decision_in(id, fields, Choice::Deny)).await
}

fn decision_in(id: ActivationId, fields: &Fields, choice: Choice) -> Result<Read, Problem> {
    let revision = fields.text("revision").parse();
    let revision = revision.map_err(|_| Problem::member(Kind::INVALID_BODY, "/revision", "not a revision"))?;
    let mut faults = Faults::default();
    let starts_at = fields.moment("starts_at", &mut faults);
    let duration = fields
        .filled("duration")
        .and_then(|text| parse_span(text).map_err(|error| faults.add("duration", error.to_string())).ok());
    let adjusted = Some(Adjusted { duration, starts_at }).filter(|adjusted| *adjusted != Adjusted::default());
    if choice == Choice::Deny && adjusted.is_some() {
        faults.add("duration", "only an approval changes what was asked for; to deny, leave length and start as asked");
    }
    let command = Command::Decide { id, choice, revision, adjusted, justification: typed(fields) };
    let command = Some(command).filter(|_| faults.is_empty());
    let words = Words {
        justification: fields.text("justification").to_owned(),
        duration: fields.text("duration").trim().to_owned(),
        starts_at: starts_at.map_or_else(|| fields.text("starts_at").to_owned(), time::input_value),
        faults,
    };
    let verb = match choice {
        Choice::Approve => "approve",
        Choice::Deny => "deny",
    };
    Ok(Read { verb, command, sent: Sent { decision: words, ..Sent::default() }, place: Sent::of_decision })
}

/// What a form asks for.
struct Read {
    verb: &'static str,
    /// Nothing when a field could not be read.
    command: Option<Command>,
    /// What was filled in, to be shown again.
    sent: Sent,
    /// Puts what was wrong with the command beside it.
    place: fn(Sent, Problem) -> Result<Sent, Problem>,
}

impl Act {
    /// Carries out a command that needs no field but perhaps a reason.
    async fn plainly(
        self,
        verb: &'static str,
        known: &[&str],
        command: impl FnOnce(ActivationId, &Fields) -> Command,
    ) -> Result<Response, Problem> {
        let read = |id, fields: &Fields| {
            let command = Some(command(id, fields));
            Ok(Read { verb, command, sent: Sent::default(), place: Sent::of_none })
        };
        self.carried_out(known, read).await
    }

    /// Carries out what `read` makes of the fields, and leads on; refused, the page again with everything that was wrong.
    async fn carried_out(
        self,
        known: &[&str],
        read: impl FnOnce(ActivationId, &Fields) -> Result<Read, Problem>,
    ) -> Result<Response, Problem> {
        let Self { portal, sender, id, posted } = self;
        let fields = posted.fields(known, &[])?;
        let Read { verb, command, sent, place } = read(id, &fields)?;
        let sent = match command {
            None => sent,
            Some(command) => {
                let once = fields.idempotency(&format!("{verb} {id}"));
                match portal.command(&sender.commander, command, once).await {
                    // whoever decides among all that waits goes on there
                    Ok(_) if fields.text(decision::FROM) == decision::APPROVALS => {
                        return Ok(see_other(&url(decision::APPROVALS, &[("decided", &id.to_string())])));
                    }
                    Ok(_) => return Ok(see_other(&format!("/activations/{id}"))),
                    Err(problem) => place(sent, problem)?,
                }
            }
        };
        let status = sent.faults.status_with(&sent.decision.faults);
        let again = move |desk: &Desk| show(desk, &visible(desk, id)?, None, &sent, status);
        portal.read(sender.identity(), again).await
    }
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
