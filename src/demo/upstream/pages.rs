//! Two pages: one for everybody, one that shows what the application was told of its visitor.

use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::identity;

/// For everybody.
pub(super) async fn home() -> Response {
    page(
        "Larder",
        &html! {
            p { "Recipes for everybody who is signed in, and a vault for those who need it right now." }
            ul {
                li { a href="/account" { "/account" } " who you are (signed in)" }
                li { a href="/records" { "/records" } " recipes; to change one takes the role shop/records-editor" }
                li { a href="/vault" { "/vault" } " the vault; takes the role shop/vault-reader, which somebody must approve" }
                li { a href="/echo" { "/echo" } " your request as it arrived here" }
            }
        },
    )
}

/// What arrived about the visitor.
pub(super) async fn account(headers: HeaderMap) -> Response {
    let told = identity(&headers);
    page(
        "Your account",
        &html! {
            @if told.is_empty() {
                p { "Nobody told this application who you are." }
            } @else {
                dl { @for (name, value) in &told { dt { (name) } dd { (value.as_str().unwrap_or_default()) } } }
            }
        },
    )
}

fn page(title: &str, content: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; meta name="viewport" content="width=device-width"; title { (title) } }
            body { main { h1 { (title) } (content) } }
        }
    };
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page.into_string()).into_response()
}
