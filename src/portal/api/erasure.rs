//! Erasing what a person typed and is called.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;

use crate::domain::command::Command;
use crate::domain::event::Event;
use crate::portal::Portal;
use crate::portal::api::command::{mark, no_precondition};
use crate::portal::body::{Named, OptionalJson};
use crate::portal::caller::Commander;
use crate::portal::idempotency::Key;
use crate::portal::problem::Problem;
use crate::portal::wire::activation::Reason;
use crate::portal::wire::me::Erasure;

/// Erases, in all records so far, what this principal typed and is called, and what others wrote about it. The records stay,
/// and the journal verifies without the text. It cannot be undone.
#[utoipa::path(
    post, path = "/principals/{principal}/erase", tag = "principals", operation_id = "erase",
    params(("principal" = String, Path, description = "`issuer:subject`, percent-encoded")),
    request_body = Reason, responses((status = 200, body = Erasure))
)]
pub(super) async fn erase(
    State(portal): State<Portal>,
    commander: Commander,
    Named(short): Named<String>,
    key: Key,
    headers: HeaderMap,
    OptionalJson { value, bytes }: OptionalJson<Reason>,
) -> Result<Response, Problem> {
    no_precondition(&headers)?;
    let principal = portal.shared.parts.names.load().principal(&short).ok_or_else(Problem::unknown)?;
    let command = Command::Erase { principal, justification: value.justification };
    let outcome = portal.command(&commander, command, key.with(&bytes)?).await?;
    let erased = outcome.events.iter().map(|event| match event {
        Event::NotesErased { count, .. } => *count,
        _ => 0,
    });
    let erasure = Erasure { principal: short, notes: erased.sum(), sequence: outcome.position.0 };
    let mut response = axum::Json(erasure).into_response();
    mark(response.headers_mut(), outcome.replayed);
    Ok(response)
}
