//! Where a denial leads: how to ask for this very role.
//!
//! The page knows nobody and tells nothing: it is the same for every well-formed role, whether it exists or not.

use axum::response::Response;
use maud::html;

use crate::domain::role::RoleId;
use crate::portal::Portal;
use crate::portal::pages::form::Fields;
use crate::portal::pages::outside::shell::{leads_back, quoted};
use crate::portal::pages::outside::{answer, no_such_link};

pub(super) fn page(portal: &Portal, asked: &Fields) -> Response {
    let Ok(role) = asked.text("role").parse::<RoleId>() else {
        return no_such_link(
            portal,
            html! { p { "The link names no role. A role is written " code { "app/role" } "." } },
        );
    };
    let settings = &portal.shared.parts.settings;
    let back = asked.filled("return_to").filter(|url| leads_back(url, &settings.gate_urls));
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
    answer(portal, "Activate a role", body)
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
