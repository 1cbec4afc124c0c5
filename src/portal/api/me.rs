//! The caller's own standing, and locks on principals.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;

use crate::domain::command::Command;
use crate::portal::Portal;
use crate::portal::api::command::{mark, no_precondition};
use crate::portal::body::{Named, OptionalJson};
use crate::portal::caller::{Commander, SignedIn};
use crate::portal::idempotency::Key;
use crate::portal::problem::Problem;
use crate::portal::wire::activation::Reason;
use crate::portal::wire::me::{LockState, Me};

/// Who the caller is, and what it holds, may activate and awaits.
#[utoipa::path(get, path = "/me", tag = "me", operation_id = "me", responses((status = 200, body = Me)))]
pub(super) async fn me(State(portal): State<Portal>, caller: SignedIn) -> Result<axum::Json<Me>, Problem> {
    let me = portal.read_even_locked(&caller.identity, |desk| Ok(Me::of(&desk.viewer, &desk.names)));
    me.await.map(axum::Json)
}

/// Ends all a principal holds and refuses it everything.
#[utoipa::path(
    post, path = "/principals/{principal}/lock", tag = "principals", operation_id = "lock",
    params(("principal" = String, Path, description = "`issuer:subject`, percent-encoded")),
    request_body = Reason, responses((status = 200, body = LockState))
)]
pub(super) async fn lock(
    State(portal): State<Portal>,
    commander: Commander,
    Named(short): Named<String>,
    key: Key,
    headers: HeaderMap,
    OptionalJson { value, bytes }: OptionalJson<Reason>,
) -> Result<Response, Problem> {
    let principal = portal.shared.parts.names.load().principal(&short).ok_or_else(Problem::unknown)?;
    let command = Command::Lock { principal, justification: value.justification };
    set(&portal, &commander, command, short, key, &headers, &bytes).await
}

/// Takes the lock away.
#[utoipa::path(
    delete, path = "/principals/{principal}/lock", tag = "principals", operation_id = "unlock",
    params(("principal" = String, Path, description = "`issuer:subject`, percent-encoded")),
    request_body = Reason, responses((status = 200, body = LockState))
)]
pub(super) async fn unlock(
    State(portal): State<Portal>,
    commander: Commander,
    Named(short): Named<String>,
    key: Key,
    headers: HeaderMap,
    OptionalJson { value, bytes }: OptionalJson<Reason>,
) -> Result<Response, Problem> {
    let principal = portal.shared.parts.names.load().principal(&short).ok_or_else(Problem::unknown)?;
    let command = Command::Unlock { principal, justification: value.justification };
    set(&portal, &commander, command, short, key, &headers, &bytes).await
}

async fn set(
    portal: &Portal,
    commander: &Commander,
    command: Command,
    principal: String,
    key: Key,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Problem> {
    no_precondition(headers)?;
    let locked = matches!(command, Command::Lock { .. });
    let outcome = portal.command(commander, command, key.with(body)?).await?;
    let mut response = axum::Json(LockState { principal, locked }).into_response();
    mark(response.headers_mut(), outcome.replayed);
    Ok(response)
}
