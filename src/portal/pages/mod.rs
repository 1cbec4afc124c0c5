//! Pages for people: server-rendered, complete without script, escaped by the template. Thin views over the very commands of
//! the API.

mod activate;
mod approvals;
pub(in crate::portal) mod asset;
mod assignments;
mod eligible;
pub(in crate::portal) mod entry;
pub(in crate::portal) mod fault;
pub(in crate::portal) mod form;
mod history;
mod home;
pub(in crate::portal) mod layout;
mod outside;
pub(in crate::portal) mod parts;
pub(in crate::portal) mod problem;
mod request;
mod roles;
pub(in crate::portal) mod rules;
mod sign_in;
pub(in crate::portal) mod story;
mod wish;

pub(in crate::portal) use outside::shell::leads_back;

use axum::Router;
use axum::routing::{get, post};

use crate::portal::Portal;
use crate::portal::pages::request::act;

/// Every page.
pub(super) fn router() -> Router<Portal> {
    Router::new()
        .merge(assignments::router())
        .merge(history::router())
        .route("/", get(home::page))
        .route("/activate", get(activate::page).post(activate::send))
        .route("/activations/{id}", get(request::page))
        .route("/activations/{id}/cancel", post(act::cancel))
        .route("/activations/{id}/deactivate", post(act::deactivate))
        .route("/activations/{id}/extend", post(act::extend))
        .route("/activations/{id}/revoke", post(act::revoke))
        .route("/activations/{id}/approve", post(act::approve))
        .route("/activations/{id}/deny", post(act::deny))
        .route("/approvals", get(approvals::page).post(approvals::decide))
        .route("/roles", get(roles::page))
        .route("/roles/{app}/{role}", get(roles::one))
        .route("/assets/{name}", get(asset::serve))
        .route("/sign-in", get(sign_in::begin))
        .route("/callback", get(sign_in::finish))
        .route("/sign-out", get(sign_in::ask_to_sign_out).post(sign_in::sign_out))
        .route("/signed-out", get(sign_in::signed_out))
        .route(NOTICES, post(sign_in::notice))
}

/// Where providers tell that somebody signed out.
pub(super) const NOTICES: &str = "/backchannel-logout";
