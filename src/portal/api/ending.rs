//! What else is done to an activation: cancel, deactivate, extend, revoke.

use axum::response::Response;

use crate::domain::command::Command;
use crate::domain::id::ActivationId;
use crate::portal::api::command::Order;
use crate::portal::body::{Json, Named, OptionalJson};
use crate::portal::problem::Problem;
use crate::portal::wire::activation::{Activation, ExtendRequest, Nothing, Reason};

/// Withdraws a request, or an extension, that waits.
#[utoipa::path(
    post, path = "/activations/{id}/cancel", tag = "activations", operation_id = "cancel",
    params(("id" = String, Path, description = "`act_…`")), request_body = Nothing,
    responses((status = 200, body = Activation, headers(("ETag" = String))))
)]
pub(super) async fn cancel(
    order: Order,
    Named(id): Named<ActivationId>,
    OptionalJson { value: Nothing {}, bytes }: OptionalJson<Nothing>,
) -> Result<Response, Problem> {
    order.on_case(Command::Cancel { id }, &bytes).await
}

/// Hands an active role back.
#[utoipa::path(
    post, path = "/activations/{id}/deactivate", tag = "activations", operation_id = "deactivate",
    params(("id" = String, Path, description = "`act_…`")), request_body = Nothing,
    responses((status = 200, body = Activation, headers(("ETag" = String))))
)]
pub(super) async fn deactivate(
    order: Order,
    Named(id): Named<ActivationId>,
    OptionalJson { value: Nothing {}, bytes }: OptionalJson<Nothing>,
) -> Result<Response, Problem> {
    order.on_case(Command::Deactivate { id }, &bytes).await
}

/// Asks for a later end.
#[utoipa::path(
    post, path = "/activations/{id}/extend", tag = "activations", operation_id = "extend",
    params(("id" = String, Path, description = "`act_…`")), request_body = ExtendRequest,
    responses((status = 200, body = Activation, headers(("ETag" = String))))
)]
pub(super) async fn extend(
    order: Order,
    Named(id): Named<ActivationId>,
    Json { value, bytes }: Json<ExtendRequest>,
) -> Result<Response, Problem> {
    let command = Command::Extend { id, duration: value.duration.0, justification: value.justification };
    order.on_case(command, &bytes).await
}

/// Takes a pending or active role away.
#[utoipa::path(
    post, path = "/activations/{id}/revoke", tag = "activations", operation_id = "revoke",
    params(("id" = String, Path, description = "`act_…`")), request_body = Reason,
    responses((status = 200, body = Activation, headers(("ETag" = String))))
)]
pub(super) async fn revoke(
    order: Order,
    Named(id): Named<ActivationId>,
    OptionalJson { value, bytes }: OptionalJson<Reason>,
) -> Result<Response, Problem> {
    let command = Command::Revoke { id, justification: value.justification };
    order.on_case(command, &bytes).await
}
