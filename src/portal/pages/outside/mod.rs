//! Pages for somebody who is not signed in, where no issuer offers a sign-in in the browser: how to go on with a token.
//!
//! They know nobody and tell nothing: they are the same whatever exists.

mod activate;
mod activation;
pub(super) mod shell;
mod start;

use axum::response::Response;
use http::Uri;
use maud::Markup;

use crate::portal::Portal;
use crate::portal::pages::form::query;
use crate::portal::pages::layout::{Frame, Page};

/// What to do with a token instead of the page at `uri`.
pub(super) fn page(portal: &Portal, uri: &Uri) -> Response {
    let asked = query(uri.query());
    match uri.path().trim_start_matches('/').split('/').collect::<Vec<_>>().as_slice() {
        ["activate"] => activate::page(portal, &asked),
        ["activations", id, ..] => activation::page(portal, id, &asked),
        _ => start::page(portal),
    }
}

fn answer(portal: &Portal, title: &str, body: Markup) -> Response {
    Page::new(title, body).answer(&Frame::outside(portal.shared.parts.clock.now()))
}

fn no_such_link(portal: &Portal, body: Markup) -> Response {
    let page = Page::new("No such link", body).status(http::StatusCode::BAD_REQUEST);
    page.answer(&Frame::outside(portal.shared.parts.clock.now()))
}
