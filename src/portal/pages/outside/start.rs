//! What this origin is.

use axum::response::Response;
use maud::html;

use crate::portal::Portal;
use crate::portal::pages::outside::answer;
use crate::portal::pages::outside::shell::quoted;

pub(super) fn page(portal: &Portal) -> Response {
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
    answer(portal, "Portal", body)
}
