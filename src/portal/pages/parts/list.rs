//! Facts in pairs, and the way to the next page of a list.

use maud::{Markup, html};

/// Terms with what they are here; pairs without content are left out by the caller.
pub(in crate::portal) fn facts(pairs: impl IntoIterator<Item = (&'static str, Markup)>) -> Markup {
    html! {
        dl .facts {
            @for (term, content) in pairs {
                div { dt { (term) } dd { (content) } }
            }
        }
    }
}

/// The form that narrows a list. Where there is little room it is folded away, unless it narrows already.
pub(in crate::portal) fn filters(open: bool, form: &Markup) -> Markup {
    html! { details .filter open[open] { summary { "Filter" } (form) } }
}

/// Leads to the page of a list that goes on; nothing at its end.
pub(in crate::portal) fn pagination(first: Option<&str>, next: Option<&str>) -> Markup {
    html! {
        @if first.is_some() || next.is_some() {
            nav .pages aria-label="Pages" {
                @if let Some(href) = first { a .button.side href=(href) rel="first" { "First page" } }
                @if let Some(href) = next { a .button.side href=(href) rel="next" { "Next page" } }
            }
        }
    }
}
