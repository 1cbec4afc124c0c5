//! What else is done to an activation: cancel, deactivate, extend, revoke.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};

use crate::domain::command::Command;
use crate::domain::id::ActivationId;
use crate::portal::Portal;
use crate::portal::api::command::{case_answer, no_precondition};
use crate::portal::body::{Json, Named, OptionalJson};
use crate::portal::caller::Commander;
use crate::portal::idempotency::Key;
use crate::portal::problem::Problem;
use crate::portal::wire::activation::{Activation, ExtendRequest, Nothing, Reason};

/// Withdraws a request, or an extension, that waits.
#[utoipa::path(
    post, path = "/activations/{id}/cancel", tag = "activations", operation_id = "cancel",
    params(("id" = String, Path, description = "`act_…`")), request_body = Nothing,
    responses((status = 200, body = Activation, headers(("ETag" = String))))
)]
pub(super) async fn cancel(
    State(portal): State<Portal>,
    commander: Commander,
    Named(id): Named<ActivationId>,
    key: Key,
    headers: HeaderMap,
    OptionalJson { value: Nothing {}, bytes }: OptionalJson<Nothing>,
) -> Result<Response, Problem> {
    done(&portal, &commander, Command::Cancel { id }, key, &headers, &bytes).await
}

/// Hands an active role back.
#[utoipa::path(
    post, path = "/activations/{id}/deactivate", tag = "activations", operation_id = "deactivate",
    params(("id" = String, Path, description = "`act_…`")), request_body = Nothing,
    responses((status = 200, body = Activation, headers(("ETag" = String))))
)]
pub(super) async fn deactivate(
    State(portal): State<Portal>,
    commander: Commander,
    Named(id): Named<ActivationId>,
    key: Key,
    headers: HeaderMap,
    OptionalJson { value: Nothing {}, bytes }: OptionalJson<Nothing>,
) -> Result<Response, Problem> {
    done(&portal, &commander, Command::Deactivate { id }, key, &headers, &bytes).await
}

/// Asks for a later end.
#[utoipa::path(
    post, path = "/activations/{id}/extend", tag = "activations", operation_id = "extend",
    params(("id" = String, Path, description = "`act_…`")), request_body = ExtendRequest,
    responses((status = 200, body = Activation, headers(("ETag" = String))))
)]
pub(super) async fn extend(
    State(portal): State<Portal>,
    commander: Commander,
    Named(id): Named<ActivationId>,
    key: Key,
    headers: HeaderMap,
    Json { value, bytes }: Json<ExtendRequest>,
) -> Result<Response, Problem> {
    let command = Command::Extend { id, duration: value.duration.0, justification: value.justification };
    done(&portal, &commander, command, key, &headers, &bytes).await
}

/// Takes a pending or active role away.
#[utoipa::path(
    post, path = "/activations/{id}/revoke", tag = "activations", operation_id = "revoke",
    params(("id" = String, Path, description = "`act_…`")), request_body = Reason,
    responses((status = 200, body = Activation, headers(("ETag" = String))))
)]
pub(super) async fn revoke(
    State(portal): State<Portal>,
    commander: Commander,
    Named(id): Named<ActivationId>,
    key: Key,
    headers: HeaderMap,
    OptionalJson { value, bytes }: OptionalJson<Reason>,
) -> Result<Response, Problem> {
    let command = Command::Revoke { id, justification: value.justification };
    done(&portal, &commander, command, key, &headers, &bytes).await
}

async fn done(
    portal: &Portal,
    commander: &Commander,
    command: Command,
    key: Key,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Problem> {
    no_precondition(headers)?;
    let outcome = portal.command(commander, command, key.with(body)?).await?;
    case_answer(portal, commander, outcome, StatusCode::OK).await
}
