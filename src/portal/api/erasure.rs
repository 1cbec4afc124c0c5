//! Erasing what a person typed and is called.

use axum::response::Response;

use crate::domain::command::Command;
use crate::domain::event::Event;
use crate::portal::api::command::Order;
use crate::portal::body::{Named, OptionalJson};
use crate::portal::problem::Problem;
use crate::portal::wire::activation::Reason;
use crate::portal::wire::me::Erasure;
use crate::writer::Outcome;

/// Erases, in all records so far, what this principal typed and is called, and what others wrote about it. The records stay,
/// and the journal verifies without the text. It cannot be undone.
#[utoipa::path(
    post, path = "/principals/{principal}/erase", tag = "principals", operation_id = "erase",
    params(("principal" = String, Path, description = "`issuer:subject`, percent-encoded")),
    request_body = Reason, responses((status = 200, body = Erasure))
)]
pub(super) async fn erase(
    order: Order,
    Named(short): Named<String>,
    OptionalJson { value, bytes }: OptionalJson<Reason>,
) -> Result<Response, Problem> {
    let command = Command::Erase { principal: order.principal(&short)?, justification: value.justification };
    let told = |outcome: &Outcome| {
        let erased = outcome.events.iter().map(|event| match event {
            Event::NotesErased { count, .. } => *count,
            _ => 0,
        });
        Ok(Erasure { principal: short, notes: erased.sum(), sequence: outcome.position.0 })
    };
    order.told(command, &bytes, told).await
}
