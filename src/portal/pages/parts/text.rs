//! Text that people wrote, and text that machines read. Both are shown as they are, and reach no further than their place.

use maud::{Markup, html};

use crate::portal::wire::wanted::Wanted;

/// What somebody wrote: line breaks stay, and letters that turn the direction of writing turn nothing else.
pub(in crate::portal) fn said(text: &str) -> Markup {
    html! { q .said dir="auto" { (text) } }
}

/// What somebody wrote, or that nothing is there.
pub(in crate::portal) fn said_or(text: Option<&str>, otherwise: &str) -> Markup {
    match text.filter(|text| !text.trim().is_empty()) {
        Some(text) => said(text),
        None => html! { span .dim { (otherwise) } },
    }
}

/// A name, path or id.
pub(in crate::portal) fn code(text: &str) -> Markup {
    html! { code { bdi { (text) } } }
}

/// A sentence, with every second part between backticks as code.
pub(in crate::portal) fn with_code(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// The request that was denied, as whoever asked for the role brought it along.
pub(in crate::portal) fn wanted(wanted: &Wanted) -> Markup {
    html! { code .wanted { b { bdi { (wanted.method) } } " " bdi { (wanted.url) } } }
}

/// A role's name: the application stands back behind the role.
pub(in crate::portal) fn role(name: &str) -> Markup {
    let (app, role) = name.split_once('/').unwrap_or(("", name));
    html! { span .role { span .app { (app) "/" } wbr; (role) } }
}
