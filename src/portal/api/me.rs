//! The caller's own standing, locks on principals, and their credentials.

use axum::extract::State;
use axum::response::Response;

use crate::domain::command::Command;
use crate::domain::event::Event;
use crate::portal::Portal;
use crate::portal::api::command::Order;
use crate::portal::body::{Named, OptionalJson};
use crate::portal::caller::SignedIn;
use crate::portal::problem::{Kind, Problem};
use crate::portal::wire::activation::Reason;
use crate::portal::wire::me::{CredentialState, LockState, Me};
use crate::portal::wire::text::Instant;
use crate::writer::Outcome;

/// Who the caller is, and what it holds, may activate and awaits.
#[utoipa::path(get, path = "/me", tag = "me", operation_id = "me", responses((status = 200, body = Me)))]
pub(super) async fn me(State(portal): State<Portal>, caller: SignedIn) -> Result<axum::Json<Me>, Problem> {
    let me = portal.read_even_locked(&caller.identity, |desk| {
        let trouble = desk.portal.trouble().map(|trouble| trouble.means.to_owned());
        Ok(Me::of(&desk.viewer, &desk.names, trouble))
    });
    me.await.map(axum::Json)
}

/// Ends all a principal holds and refuses it everything.
#[utoipa::path(
    post, path = "/principals/{principal}/lock", tag = "principals", operation_id = "lock",
    params(("principal" = String, Path, description = "`issuer:subject`, percent-encoded")),
    request_body = Reason, responses((status = 200, body = LockState))
)]
pub(super) async fn lock(
    order: Order,
    Named(short): Named<String>,
    OptionalJson { value, bytes }: OptionalJson<Reason>,
) -> Result<Response, Problem> {
    let command = Command::Lock { principal: order.principal(&short)?, justification: value.justification };
    order.told(command, &bytes, |_| Ok(LockState { principal: short, locked: true })).await
}

/// Takes the lock away.
#[utoipa::path(
    delete, path = "/principals/{principal}/lock", tag = "principals", operation_id = "unlock",
    params(("principal" = String, Path, description = "`issuer:subject`, percent-encoded")),
    request_body = Reason, responses((status = 200, body = LockState))
)]
pub(super) async fn unlock(
    order: Order,
    Named(short): Named<String>,
    OptionalJson { value, bytes }: OptionalJson<Reason>,
) -> Result<Response, Problem> {
    let command = Command::Unlock { principal: order.principal(&short)?, justification: value.justification };
    order.told(command, &bytes, |_| Ok(LockState { principal: short, locked: false })).await
}

/// Lets no token and no session count any more that was issued to a principal so far. Administrators may for everybody,
/// everybody for themselves; what is held stays held.
#[utoipa::path(
    post, path = "/principals/{principal}/revoke-credentials", tag = "principals", operation_id = "revoke_credentials",
    params(("principal" = String, Path, description = "`issuer:subject`, percent-encoded")),
    request_body = Reason, responses((status = 200, body = CredentialState))
)]
pub(super) async fn revoke_credentials(
    order: Order,
    Named(short): Named<String>,
    OptionalJson { value, bytes }: OptionalJson<Reason>,
) -> Result<Response, Problem> {
    let (principal, standings) = (order.principal(&short)?, order.portal.shared.parts.standings.clone());
    let command = Command::RevokeCredentials { principal: principal.clone(), justification: value.justification };
    let told = |outcome: &Outcome| {
        let issued_before = outcome.events.iter().find_map(|event| match event {
            Event::CredentialsRevoked { issued_before, .. } => Some(Instant(*issued_before)),
            _ => None,
        });
        // in the same instant it was so already
        let already = || standings.of(&principal.into()).ok()?.credentials_since.map(Instant);
        let issued_before =
            issued_before.or_else(already).ok_or_else(|| Problem::new(Kind::INTERNAL, "the event is missing"))?;
        Ok(CredentialState { principal: short, issued_before })
    };
    order.told(command, &bytes, told).await
}
