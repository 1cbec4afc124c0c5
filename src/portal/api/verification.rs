//! Verifying the journal as it is kept: begun by a request, and looked at by others.

use axum::extract::State;

use crate::portal::Portal;
use crate::portal::api::audit::all_or_nothing;
use crate::portal::api::command::Order;
use crate::portal::body::OptionalJson;
use crate::portal::caller::SignedIn;
use crate::portal::desk::Desk;
use crate::portal::problem::Problem;
use crate::portal::verification;
use crate::portal::wire::activation::Nothing;
use crate::portal::wire::verification::Verification;

/// How the last verification went, or how the one under way stands. For administrators and auditors.
#[utoipa::path(
    get, path = "/audit/verification", tag = "audit", operation_id = "read_verification",
    responses((status = 200, body = Verification))
)]
pub(super) async fn read(State(portal): State<Portal>, caller: SignedIn) -> Result<axum::Json<Verification>, Problem> {
    portal.read(&caller.identity, |desk| Ok(state(desk)?.into())).await.map(axum::Json)
}

/// Begins to verify the whole journal, unless that is under way. For administrators and auditors.
#[utoipa::path(
    post, path = "/audit/verification", tag = "audit", operation_id = "verify_journal",
    request_body = Nothing, responses((status = 200, body = Verification))
)]
pub(super) async fn verify(
    order: Order,
    OptionalJson { value: Nothing {}, bytes: _ }: OptionalJson<Nothing>,
) -> Result<axum::Json<Verification>, Problem> {
    order.unconditional()?;
    order.portal.read(&order.commander.identity, |desk| Ok(begin(desk)?.into())).await.map(axum::Json)
}

/// How it stands, for one who may see the journal as a whole.
pub(in crate::portal) fn state(desk: &Desk) -> Result<verification::State, Problem> {
    all_or_nothing(desk)?;
    Ok(desk.portal.shared.verification.state())
}

/// Begins one, for one who may see the journal as a whole.
pub(in crate::portal) fn begin(desk: &Desk) -> Result<verification::State, Problem> {
    all_or_nothing(desk)?;
    let (shared, parts) = (&desk.portal.shared, &desk.portal.shared.parts);
    Ok(shared.verification.begin(parts.reader.clone(), parts.clock.clone(), parts.stop.clone())?)
}
