//! Approve and deny, one by one or many at once.

use std::collections::HashSet;
use std::num::NonZeroU32;

use axum::response::Response;
use futures_util::{StreamExt, stream};

use crate::domain::activation::Choice;
use crate::domain::command::{Adjusted, Command};
use crate::domain::id::ActivationId;
use crate::portal::Portal;
use crate::portal::api::command::{Order, shown_case};
use crate::portal::body::{Json, Named, OptionalJson};
use crate::portal::caller::Commander;
use crate::portal::idempotency::Key;
use crate::portal::problem::{Kind, Problem};
use crate::portal::wire::activation::{
    Activation, DecisionLine, DecisionRequest, DecisionResult, DecisionResults, DecisionsRequest,
};
use crate::portal::wire::text::{Instant, Length};

/// Approves the request or extension that waits.
#[utoipa::path(
    post, path = "/activations/{id}/approve", tag = "activations", operation_id = "approve",
    params(("id" = String, Path, description = "`act_…`")), request_body = DecisionRequest,
    responses((status = 200, body = Activation, headers(("ETag" = String))))
)]
pub(super) async fn approve(
    order: Order,
    Named(id): Named<ActivationId>,
    body: OptionalJson<DecisionRequest>,
) -> Result<Response, Problem> {
    decide(order, id, Choice::Approve, body).await
}

/// Denies the request or extension that waits.
#[utoipa::path(
    post, path = "/activations/{id}/deny", tag = "activations", operation_id = "deny",
    params(("id" = String, Path, description = "`act_…`")), request_body = DecisionRequest,
    responses((status = 200, body = Activation, headers(("ETag" = String))))
)]
pub(super) async fn deny(
    order: Order,
    Named(id): Named<ActivationId>,
    body: OptionalJson<DecisionRequest>,
) -> Result<Response, Problem> {
    decide(order, id, Choice::Deny, body).await
}

async fn decide(
    order: Order,
    id: ActivationId,
    choice: Choice,
    OptionalJson { value, bytes }: OptionalJson<DecisionRequest>,
) -> Result<Response, Problem> {
    let adjusted = adjusted(choice, value.duration, value.starts_at);
    let decide = |revision| {
        Ok(Command::Decide { id, choice, revision, adjusted: adjusted?, justification: value.justification })
    };
    order.on_revision(value.revision, &bytes, decide).await
}

/// Decides on up to 100 cases; every line has a result of its own, and one that fails leaves the others alone.
#[utoipa::path(
    post, path = "/activations/decisions", tag = "activations", operation_id = "decide_many",
    request_body = DecisionsRequest, responses((status = 200, body = DecisionResults))
)]
pub(super) async fn decide_many(
    order: Order,
    Json { value, bytes: _ }: Json<DecisionsRequest>,
) -> Result<axum::Json<DecisionResults>, Problem> {
    order.unconditional()?;
    let Order { portal, commander, key, .. } = &order;
    let decided = decide_all(portal, commander, value.decisions, value.justification.as_deref(), key).await?;
    let results = decided.into_iter().map(|Decided { activation, outcome }| match outcome {
        Ok(shown) => DecisionResult { activation, status: 200, result: Some(shown), problem: None },
        Err(problem) => {
            let status = problem.status().as_u16();
            DecisionResult { activation, status, result: None, problem: Some(problem.body()) }
        }
    });
    Ok(axum::Json(DecisionResults { results: results.collect() }))
}

/// What became of one of many decisions.
pub(in crate::portal) struct Decided {
    pub(in crate::portal) activation: String,
    pub(in crate::portal) outcome: Result<Activation, Problem>,
}

/// Decides on all of `lines`, in their order, as far as each may be.
pub(in crate::portal) async fn decide_all(
    portal: &Portal,
    commander: &Commander,
    lines: Vec<DecisionLine>,
    justification: Option<&str>,
    key: &Key,
) -> Result<Vec<Decided>, Problem> {
    if lines.is_empty() || lines.len() > LINES_MAX {
        let detail = format!("{} decisions; 1 to {LINES_MAX} at once", lines.len());
        return Err(Problem::member(Kind::INVALID_BODY, "/decisions", detail));
    }
    let mut named = HashSet::new();
    if let Some(twice) = lines.iter().position(|line| !named.insert(line.activation.clone())) {
        let pointer = format!("/decisions/{twice}/activation");
        return Err(Problem::member(Kind::INVALID_BODY, pointer, "an activation is named twice"));
    }
    let weight = u32::try_from(lines.len()).ok().and_then(|count| NonZeroU32::new(count / LINES_PER_COMMAND));
    if let Some(weight) = weight {
        portal.shared.usage.command(&commander.identity.principal, weight)?;
    }
    let decided = stream::iter(lines).map(|line| async move {
        let activation = line.activation.clone();
        Decided { activation, outcome: decide_line(portal, commander, line, justification, key).await }
    });
    Ok(decided.buffered(LINES_AT_ONCE).collect().await)
}

async fn decide_line(
    portal: &Portal,
    commander: &Commander,
    line: DecisionLine,
    shared_justification: Option<&str>,
    key: &Key,
) -> Result<Activation, Problem> {
    let id: ActivationId = line.activation.parse().map_err(|_| Problem::unknown())?;
    let justification = line.justification.or_else(|| shared_justification.map(str::to_owned));
    let line = DecisionLine { justification, ..line };
    let asked = serde_json_canonicalizer::to_vec(&line)
        .map_err(|_| Problem::new(Kind::INVALID_BODY, "the decision has no canonical form"))?;
    let idempotency = key.line(&line.activation, &asked);
    let choice = line.choice.into();
    let adjusted = adjusted(choice, line.duration, line.starts_at)?;
    let command = Command::Decide { id, choice, revision: line.revision, adjusted, justification: line.justification };
    let outcome = portal.command(commander, command, idempotency).await?;
    let case = outcome.activation.ok_or_else(|| Problem::new(Kind::INTERNAL, "the case is missing"))?;
    shown_case(portal, &commander.identity, case).await
}

/// What an approval changes. A denial that shortens is a misunderstanding; it is not guessed which half was meant.
fn adjusted(choice: Choice, duration: Option<Length>, starts_at: Option<Instant>) -> Result<Option<Adjusted>, Problem> {
    let pointer = match (choice, &duration, &starts_at) {
        (_, None, None) => return Ok(None),
        (Choice::Approve, ..) => {
            let (duration, starts_at) = (duration.map(|length| length.0), starts_at.map(|instant| instant.0));
            return Ok(Some(Adjusted { duration, starts_at }));
        }
        (Choice::Deny, Some(_), _) => "/duration",
        (Choice::Deny, None, Some(_)) => "/starts_at",
    };
    Err(Problem::member(Kind::INVALID_BODY, pointer, "only an approval changes what was asked for"))
}

/// So many decisions may be given at once.
pub(in crate::portal) const LINES_MAX: usize = 100;
/// Lines on their way to the writer together; they share its commits.
const LINES_AT_ONCE: usize = 16;
/// So many lines weigh as much as one more command.
const LINES_PER_COMMAND: u32 = 10;
