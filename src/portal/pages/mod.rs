//! Pages for people: server-rendered, no script, escaped by the template.

mod activate;
mod activation;
mod layout;
mod shell;
mod start;

use axum::Router;
use axum::routing::get;

use crate::portal::Portal;

/// Every page.
pub(super) fn router() -> Router<Portal> {
    Router::new()
        .route("/", get(start::page))
        .route("/activate", get(activate::page))
        .route("/activations/{id}", get(activation::page))
        .route("/style.css", get(layout::style))
}
