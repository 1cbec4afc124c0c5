//! Pages for people: server-rendered, complete without script, escaped by the template. Thin views over the very commands of
//! the API.

pub(in crate::portal) mod asset;
pub(in crate::portal) mod entry;
pub(in crate::portal) mod fault;
pub(in crate::portal) mod form;
pub(in crate::portal) mod layout;
mod outside;
pub(in crate::portal) mod parts;
pub(in crate::portal) mod problem;

pub(in crate::portal) use outside::shell::leads_back;

use axum::Router;
use axum::routing::get;

use crate::portal::Portal;

/// Every page.
pub(super) fn router() -> Router<Portal> {
    Router::new()
        .route("/", get(outside::asked))
        .route("/activate", get(outside::asked))
        .route("/activations/{id}", get(outside::asked))
        .route("/assets/{name}", get(asset::serve))
}
