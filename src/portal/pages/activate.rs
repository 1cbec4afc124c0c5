//! Where a denial leads: how to ask for this very role.
//!
//! The page knows nobody and tells nothing: it is the same for every well-formed role, whether it exists or not.

use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use maud::html;
use serde::Deserialize;

use crate::domain::role::RoleId;
use crate::portal::Portal;
use crate::portal::pages::layout;
use crate::portal::pages::shell::{leads_back, quoted};

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    role: Option<String>,
    return_to: Option<String>,
}

pub(super) async fn page(
    State(portal): State<Portal>,
    query: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let asked = query.map(|Query(asked)| asked).ok();
    let role = asked.as_ref().and_then(|asked| asked.role.as_deref()).and_then(|role| role.parse::<RoleId>().ok());
    let Some(role) = role else {
        let body = html! { p { "The link names no role. A role is written " code { "app/role" } "." } };
        return layout::page(StatusCode::BAD_REQUEST, "No such link", &body);
    };
    let settings = &portal.shared.parts.settings;
    let back =
        asked.as_ref().and_then(|asked| asked.return_to.as_deref()).filter(|url| leads_back(url, &settings.gate_urls));
    let body = html! {
        p { "To pass, you need the role " strong { (role) } ". Ask for it with the token you are signed in with, in "
            code { "HALLPASS_TOKEN" } "; once the role is held, the same token passes." }
        h2 { "Command line" }
        pre { code { (command_line(&role, &settings.public_url)) } }
        h2 { "curl" }
        pre { code { (curl_line(&role, &settings.public_url)) } }
        @if let Some(url) = back {
            h2 { "Afterwards" }
            p { a href=(url) rel="noreferrer" { "Back to " (url) } }
        }
    };
    layout::page(StatusCode::OK, "Activate a role", &body)
}

/// A role's name holds nothing a shell or JSON would take for more than text; the rest is quoted.
fn command_line(role: &RoleId, portal_url: &str) -> String {
    format!("hallpass request {role} \\\n  --portal {} \\\n  --because 'why you need it' --wait", quoted(portal_url))
}

fn curl_line(role: &RoleId, portal_url: &str) -> String {
    let url = quoted(&format!("{portal_url}/api/v1/activations"));
    let body = quoted(&format!(r#"{{"role":"{role}","justification":"why you need it"}}"#));
    format!(
        "curl {url} \\\n  -H \"Authorization: Bearer $HALLPASS_TOKEN\" \\\n  \
         -H 'Content-Type: application/json' \\\n  -d {body}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_one_word_where_they_must_be() {
        let role: RoleId = "shop/vault-reader".parse().unwrap();
        let url = "https://pim.example/it's";
        assert_eq!(
            command_line(&role, url),
            "hallpass request shop/vault-reader \\\n  --portal 'https://pim.example/it'\\''s' \\\n  --because 'why you need it' --wait"
        );
        assert!(curl_line(&role, "https://pim.example").contains(r#"-d '{"role":"shop/vault-reader","justification"#));
    }
}
