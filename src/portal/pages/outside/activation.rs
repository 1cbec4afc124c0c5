//! Where the link of a pending request leads: how to see how it stands.
//!
//! Like the page that tells how to ask, it knows nobody and tells nothing: it is the same for every id.

use axum::response::Response;
use maud::html;

use crate::domain::id::ActivationId;
use crate::portal::Portal;
use crate::portal::pages::form::Fields;
use crate::portal::pages::outside::shell::{leads_back, quoted};
use crate::portal::pages::outside::{answer, no_such_link};

pub(super) fn page(portal: &Portal, id: &str, asked: &Fields) -> Response {
    let Ok(id) = id.parse::<ActivationId>() else {
        return no_such_link(
            portal,
            html! { p { "The link names no request. An id is written " code { "act_…" } "." } },
        );
    };
    let settings = &portal.shared.parts.settings;
    let portal_url = quoted(&settings.public_url);
    let back = asked.filled("return_to").filter(|url| leads_back(url, &settings.gate_urls));
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
    answer(portal, "A request that waits", body)
}
