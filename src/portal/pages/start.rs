//! What this origin is.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use maud::html;

use crate::portal::Portal;
use crate::portal::pages::layout;
use crate::portal::pages::shell::quoted;

pub(super) async fn page(State(portal): State<Portal>) -> Response {
    let url = &portal.shared.parts.settings.public_url;
    let body = html! {
        p { "This is the portal of hallpass: here roles are asked for, approved, handed back and taken away." }
        p { "It speaks JSON under " code { (url) "/api/v1" } ", to whoever shows a bearer token; the "
            code { "hallpass" } " command line speaks it for you." }
        ul {
            li { a href="/api/openapi.json" { "The API, described (OpenAPI 3.1)" } }
        }
        pre { code { "export HALLPASS_PORTAL=" (quoted(url)) "\nexport HALLPASS_TOKEN_FILE=FILE   # or HALLPASS_TOKEN\nhallpass list" } }
    };
    layout::page(StatusCode::OK, "Portal", &body)
}
