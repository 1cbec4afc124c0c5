//! Where the link of a pending request leads: how to see how it stands.
//!
//! Like the page that tells how to ask, it knows nobody and tells nothing: it is the same for every id.

use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::StatusCode;
use maud::html;
use serde::Deserialize;

use crate::domain::id::ActivationId;
use crate::portal::Portal;
use crate::portal::pages::layout;
use crate::portal::pages::shell::{leads_back, quoted};

#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    return_to: Option<String>,
}

pub(super) async fn page(
    State(portal): State<Portal>,
    id: Result<Path<String>, axum::extract::rejection::PathRejection>,
    query: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let id = id.ok().and_then(|Path(id)| id.parse::<ActivationId>().ok());
    let Some(id) = id else {
        let body = html! { p { "The link names no request. An id is written " code { "act_…" } "." } };
        return layout::page(StatusCode::BAD_REQUEST, "No such link", &body);
    };
    let settings = &portal.shared.parts.settings;
    let portal_url = quoted(&settings.public_url);
    let asked = query.map(|Query(asked)| asked).unwrap_or_default();
    let back = asked.return_to.as_deref().filter(|url| leads_back(url, &settings.gate_urls));
    let url = quoted(&format!("{}/api/v1/activations/{id}", settings.public_url));
    let body = html! {
        p { "Nothing passes before somebody else approves request " code { (id) } ". With the token you are signed in with, see
            how it stands and who may decide, or take it back." }
        h2 { "Command line" }
        pre { code { "hallpass list --pending --portal " (portal_url) "\nhallpass cancel " (id) " --portal " (portal_url) } }
        h2 { "curl" }
        pre { code { "curl " (url) " \\\n  -H \"Authorization: Bearer $HALLPASS_TOKEN\"" } }
        h2 { "For the approver" }
        pre { code { "hallpass approve " (id) " --portal " (portal_url) } }
        @if let Some(url) = back {
            h2 { "Afterwards" }
            p { a href=(url) rel="noreferrer" { "Back to " (url) } }
        }
    };
    layout::page(StatusCode::OK, "A request that waits", &body)
}
