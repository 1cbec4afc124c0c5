//! Three pages: one for everybody, one that shows what the application was told of its visitor, and the vault.

use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::{Map, Value};

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
                (facts(&told))
            }
            p { a href="/" { "Back to the larder" } }
        },
    )
}

/// What lies in the vault, and its events as they come.
pub(super) fn vault(keys: &[&str], told: &Map<String, Value>) -> Response {
    page(
        "The vault is open",
        &html! {
            ul { @for key in keys { li { a href={ "/vault/keys/" (key) } { (key) } } } }
            h2 { "What is going on in it" }
            p #live role="status" { a href="/vault/events" { "Watch its events" } }
            h2 { "Who opened it, and by which right" }
            (facts(told))
            p { a href="/" { "Back to the larder" } }
            script { (PreEscaped(WATCH)) }
        },
    )
}

/// Follows the events where scripts run, and says so when they are cut.
const WATCH: &str = r#"
const live = document.getElementById("live");
const events = new EventSource("/vault/events");
events.addEventListener("tick", (event) => { live.textContent = `Event: ${event.data}`; });
events.onerror = () => { live.textContent = "The events were cut. Load the page to see why."; };
"#;

fn facts(told: &Map<String, Value>) -> Markup {
    html! { dl { @for (name, value) in told { dt { (name) } dd { (value.as_str().unwrap_or_default()) } } } }
}

fn page(title: &str, content: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Larder" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { a href="/" { "Larder" } span { "an application behind hallpass" } }
                main { h1 { (title) } (content) }
            }
        }
    };
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page.into_string()).into_response()
}

/// Unlike that of hallpass, so that one sees where one is.
const STYLE: &str = "
:root { color-scheme: light dark; --page: #fbf7ef; --ink: #2b2118; --dim: #6b5b4b; --line: #e2d6c3; --link: #8a3b12; }
@media (prefers-color-scheme: dark) { :root { --page: #1b1612; --ink: #efe6da; --dim: #b5a594; --line: #3b3128; --link: #f0a878; } }
body { margin: 0; background: var(--page); color: var(--ink); font: 1rem/1.5 Georgia, 'Noto Serif', serif; }
header, main { max-width: 42rem; margin: 0 auto; padding: 1rem 1.25rem; }
header { display: flex; flex-wrap: wrap; gap: 0 1rem; align-items: baseline; border-bottom: 1px solid var(--line); }
header a { font-weight: bold; font-size: 1.25rem; text-decoration: none; }
header span, dt { color: var(--dim); font-size: 0.875rem; }
a { color: var(--link); }
h1 { font-size: 1.5rem; } h2 { font-size: 1.125rem; margin-top: 2rem; }
li { margin: 0.25rem 0; } dd { margin: 0 0 0.5rem; overflow-wrap: anywhere; font-family: ui-monospace, monospace; font-size: 0.875rem; }
";
