//! Approve and deny, one by one or many at once.

use std::collections::HashSet;
use std::num::NonZeroU32;

use axum::extract::State;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, StatusCode};

use crate::domain::activation::Choice;
use crate::domain::command::{Adjusted, Command};
use crate::domain::id::ActivationId;
use crate::portal::Portal;
use crate::portal::api::command::{case_answer, if_match, no_precondition, shown_case};
use crate::portal::body::{Json, Named, OptionalJson};
use crate::portal::caller::Commander;
use crate::portal::idempotency::Key;
use crate::portal::problem::{Kind, Problem};
use crate::portal::wire::activation::{
    Activation, DecisionLine, DecisionRequest, DecisionResult, DecisionResults, DecisionsRequest,
};

/// Approves the request or extension that waits.
#[utoipa::path(
    post, path = "/activations/{id}/approve", tag = "activations", operation_id = "approve",
    params(("id" = String, Path, description = "`act_…`")), request_body = DecisionRequest,
    responses((status = 200, body = Activation, headers(("ETag" = String))))
)]
pub(super) async fn approve(
    State(portal): State<Portal>,
    commander: Commander,
    Named(id): Named<ActivationId>,
    key: Key,
    headers: HeaderMap,
    body: OptionalJson<DecisionRequest>,
) -> Result<Response, Problem> {
    decide(&portal, &commander, id, Choice::Approve, key, &headers, body).await
}

/// Denies the request or extension that waits.
#[utoipa::path(
    post, path = "/activations/{id}/deny", tag = "activations", operation_id = "deny",
    params(("id" = String, Path, description = "`act_…`")), request_body = DecisionRequest,
    responses((status = 200, body = Activation, headers(("ETag" = String))))
)]
pub(super) async fn deny(
    State(portal): State<Portal>,
    commander: Commander,
    Named(id): Named<ActivationId>,
    key: Key,
    headers: HeaderMap,
    body: OptionalJson<DecisionRequest>,
) -> Result<Response, Problem> {
    decide(&portal, &commander, id, Choice::Deny, key, &headers, body).await
}

async fn decide(
    portal: &Portal,
    commander: &Commander,
    id: ActivationId,
    choice: Choice,
    key: Key,
    headers: &HeaderMap,
    OptionalJson { value, bytes }: OptionalJson<DecisionRequest>,
) -> Result<Response, Problem> {
    let precondition = if_match(headers)?;
    let revision = match (precondition, value.revision) {
        (Some(header), Some(member)) if header != member => {
            let detail = "`If-Match` and `revision` name different revisions";
            return Err(Problem::member(Kind::INVALID_BODY, "/revision", detail));
        }
        (Some(revision), _) | (None, Some(revision)) => revision,
        (None, None) => {
            let detail = "a decision names the revision its approver saw, as `revision` or `If-Match`";
            return Err(Problem::new(Kind::REVISION_MISSING, detail));
        }
    };
    let adjusted = Adjusted {
        duration: value.duration.map(|length| length.0),
        starts_at: value.starts_at.map(|instant| instant.0),
    };
    only_approvals_adjust(choice, adjusted)?;
    let command = Command::Decide {
        id,
        choice,
        revision,
        adjusted: Some(adjusted).filter(|adjusted| *adjusted != Adjusted::default()),
        justification: value.justification,
    };
    let outcome = portal
        .command(commander, command, key.with(&bytes)?)
        .await
        .map_err(|problem| if precondition.is_some() { problem.of_precondition() } else { problem })?;
    case_answer(portal, commander, outcome, StatusCode::OK).await
}

/// Decides on up to 100 cases; every line has a result of its own, and one that fails leaves the others alone.
#[utoipa::path(
    post, path = "/activations/decisions", tag = "activations", operation_id = "decide_many",
    request_body = DecisionsRequest, responses((status = 200, body = DecisionResults))
)]
pub(super) async fn decide_many(
    State(portal): State<Portal>,
    commander: Commander,
    key: Key,
    headers: HeaderMap,
    Json { value, bytes: _ }: Json<DecisionsRequest>,
) -> Result<axum::Json<DecisionResults>, Problem> {
    no_precondition(&headers)?;
    let decided = decide_all(&portal, &commander, value.decisions, value.justification.as_deref(), &key).await?;
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
    let adjusted =
        Adjusted { duration: line.duration.map(|length| length.0), starts_at: line.starts_at.map(|instant| instant.0) };
    let choice = line.choice.into();
    only_approvals_adjust(choice, adjusted)?;
    let command = Command::Decide {
        id,
        choice,
        revision: line.revision,
        adjusted: Some(adjusted).filter(|adjusted| *adjusted != Adjusted::default()),
        justification: line.justification,
    };
    let outcome = portal.command(commander, command, idempotency).await?;
    let case = outcome.activation.ok_or_else(|| Problem::new(Kind::INTERNAL, "the case is missing"))?;
    shown_case(portal, commander, case).await
}

/// A denial that shortens is a misunderstanding; it is not guessed which half was meant.
fn only_approvals_adjust(choice: Choice, adjusted: Adjusted) -> Result<(), Problem> {
    let pointer = match (choice, adjusted) {
        (Choice::Approve, _) | (Choice::Deny, Adjusted { duration: None, starts_at: None }) => return Ok(()),
        (Choice::Deny, Adjusted { duration: Some(_), .. }) => "/duration",
        (Choice::Deny, Adjusted { starts_at: Some(_), .. }) => "/starts_at",
    };
    Err(Problem::member(Kind::INVALID_BODY, pointer, "only an approval changes what was asked for"))
}

/// So many decisions may be given at once.
pub(in crate::portal) const LINES_MAX: usize = 100;
/// Lines on their way to the writer together; they share its commits.
const LINES_AT_ONCE: usize = 16;
/// So many lines weigh as much as one more command.
const LINES_PER_COMMAND: u32 = 10;
