//! The API under `/api/v1`: one file per noun. Router and OpenAPI document come from the same list of handlers.

pub(super) mod activation;
mod anchor;
pub(super) mod assignment;
pub(super) mod audit;
mod backup;
pub(super) mod command;
pub(super) mod decision;
pub(super) mod document;
mod ending;
mod erasure;
mod events;
pub(super) mod export;
pub(super) mod list;
mod me;
pub(super) mod role;
mod uses;
pub(super) mod verification;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::portal::Portal;

/// Every route of the API.
pub(super) fn router() -> OpenApiRouter<Portal> {
    let v1 = OpenApiRouter::new()
        .routes(routes!(me::me))
        .routes(routes!(role::list))
        .routes(routes!(role::read))
        .routes(routes!(assignment::eligible::list, assignment::eligible::create))
        .routes(routes!(assignment::eligible::read, assignment::eligible::change, assignment::eligible::remove))
        .routes(routes!(assignment::active::list, assignment::active::create))
        .routes(routes!(assignment::active::read, assignment::active::change, assignment::active::remove))
        .routes(routes!(activation::list, activation::request))
        .routes(routes!(decision::decide_many))
        .routes(routes!(activation::read))
        .routes(routes!(decision::approve))
        .routes(routes!(decision::deny))
        .routes(routes!(ending::cancel))
        .routes(routes!(ending::deactivate))
        .routes(routes!(ending::extend))
        .routes(routes!(ending::revoke))
        .routes(routes!(me::lock, me::unlock))
        .routes(routes!(me::revoke_credentials))
        .routes(routes!(erasure::erase))
        .routes(routes!(audit::list))
        .routes(routes!(export::export))
        .routes(routes!(audit::head))
        .routes(routes!(verification::read, verification::verify))
        .routes(routes!(backup::backup))
        .routes(routes!(anchor::checkpoint))
        .routes(routes!(anchor::publish))
        .routes(routes!(uses::list))
        .routes(routes!(events::follow));
    OpenApiRouter::with_openapi(document::about()).nest("/api/v1", v1)
}
