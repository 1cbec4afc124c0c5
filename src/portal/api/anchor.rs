//! The journal's head, signed, for keeping it elsewhere; and publishing it there on demand.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use http::{HeaderValue, header};

use crate::portal::Portal;
use crate::portal::api::audit::all_or_nothing;
use crate::portal::caller::{Commander, SignedIn};
use crate::portal::desk::Desk;
use crate::portal::problem::{Kind, Problem};
use crate::portal::wire::head::{Anchored, Missed};
use crate::portal::wire::text::Instant;
use crate::writer::SubmitError;

/// The head as a signed note (C2SP), by the key in force. For administrators and auditors.
#[utoipa::path(
    get, path = "/audit/checkpoint", tag = "audit", operation_id = "journal_checkpoint",
    responses((status = 200, description = "a signed note", content((String = "text/plain"))))
)]
pub(super) async fn checkpoint(State(portal): State<Portal>, caller: SignedIn) -> Result<Response, Problem> {
    let note = portal.read(&caller.identity, |desk| {
        all_or_nothing(desk)?;
        undoubted(desk)?;
        Ok(desk.reader().checkpoint(desk.viewer.now())?.to_string())
    });
    let mut response = note.await?.into_response();
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    Ok(response)
}

/// Publishes the head now, to every place that is configured. For administrators and auditors.
#[utoipa::path(
    post, path = "/audit/anchors", tag = "audit", operation_id = "publish_anchor",
    responses((status = 200, body = Anchored))
)]
pub(super) async fn publish(State(portal): State<Portal>, caller: Commander) -> Result<axum::Json<Anchored>, Problem> {
    portal.read(&caller.identity, |desk| all_or_nothing(desk).and_then(|()| undoubted(desk))).await?;
    let published = portal.shared.parts.anchors.publish().await;
    let published = published.map_err(|error| Problem::new(Kind::UNAVAILABLE, error.to_string()))?;
    let said = &published.checkpoint.checkpoint;
    Ok(axum::Json(Anchored {
        sequence: said.sequence,
        hash: HEXLOWER.encode(&said.hash),
        time: Instant(said.time),
        checkpoint: published.checkpoint.to_string(),
        reached: published.reached,
        missed: published.missed.into_iter().map(|(target, detail)| Missed { target, detail }).collect(),
    }))
}

/// A journal in doubt is not vouched for.
fn undoubted(desk: &Desk) -> Result<(), Problem> {
    match desk.portal.shared.parts.standings.doubted() {
        Some(reason) => Err(SubmitError::Doubted(reason.clone()).into()),
        None => Ok(()),
    }
}
