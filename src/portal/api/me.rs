//! The caller's own standing, locks on principals, and their credentials.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;

use crate::domain::command::Command;
use crate::domain::event::Event;
use crate::portal::Portal;
use crate::portal::api::command::{mark, no_precondition};
use crate::portal::body::{Named, OptionalJson};
use crate::portal::caller::{Commander, SignedIn};
use crate::portal::idempotency::Key;
use crate::portal::problem::{Kind, Problem};
use crate::portal::wire::activation::Reason;
use crate::portal::wire::me::{CredentialState, LockState, Me};
use crate::portal::wire::text::Instant;

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

/// Lets no token and no session count any more that was issued to a principal so far. Administrators may for everybody,
/// everybody for themselves; what is held stays held.
#[utoipa::path(
    post, path = "/principals/{principal}/revoke-credentials", tag = "principals", operation_id = "revoke_credentials",
    params(("principal" = String, Path, description = "`issuer:subject`, percent-encoded")),
    request_body = Reason, responses((status = 200, body = CredentialState))
)]
pub(super) async fn revoke_credentials(
    State(portal): State<Portal>,
    commander: Commander,
    Named(short): Named<String>,
    key: Key,
    headers: HeaderMap,
    OptionalJson { value, bytes }: OptionalJson<Reason>,
) -> Result<Response, Problem> {
    no_precondition(&headers)?;
    let principal = portal.shared.parts.names.load().principal(&short).ok_or_else(Problem::unknown)?;
    let command = Command::RevokeCredentials { principal, justification: value.justification };
    let outcome = portal.command(&commander, command, key.with(&bytes)?).await?;
    let issued_before = outcome.events.iter().find_map(|event| match event {
        Event::CredentialsRevoked { issued_before, .. } => Some(Instant(*issued_before)),
        _ => None,
    });
    let issued_before = issued_before.ok_or_else(|| Problem::new(Kind::INTERNAL, "the event is missing"))?;
    let mut response = axum::Json(CredentialState { principal: short, issued_before }).into_response();
    mark(response.headers_mut(), outcome.replayed);
    Ok(response)
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
