//! People and groups: a name to read, and the short form that tells two of the same name apart.

use maud::{Markup, html};

use crate::domain::principal::Party;
use crate::identity::names::IssuerNames;

/// A principal: name, when it is known, and `issuer:subject`.
pub(in crate::portal) fn person(name: Option<&str>, short: &str) -> Markup {
    html! {
        span .person {
            @if let Some(name) = name.filter(|name| !name.trim().is_empty()) { bdi .name { (name) } " " }
            code { bdi { (short) } }
        }
    }
}

/// Any of these parties, in a sentence.
pub(in crate::portal) fn any_of(shorts: &[String]) -> Markup {
    html! {
        @for (index, short) in shorts.iter().enumerate() {
            @if index > 0 { @if index.saturating_add(1) == shorts.len() { " or " } @else { ", " } }
            (party(short))
        }
    }
}

/// A principal or a group.
pub(in crate::portal) fn one(party: &Party, names: &IssuerNames) -> Markup {
    match party {
        Party::Principal(principal) => html! { code { bdi { (names.of_principal(principal)) } } },
        Party::Group(group) => html! { "anyone in " code { bdi { (names.of_group(group)) } } },
    }
}

/// Parties in short form, as `wire` gives them: a group begins with `group `.
pub(in crate::portal) fn parties(shorts: &[String]) -> Markup {
    html! {
        ul .parties {
            @for short in shorts {
                li { (party(short)) }
            }
        }
    }
}

fn party(short: &str) -> Markup {
    html! {
        @if let Some(group) = short.strip_prefix("group ") { "anyone in " code { bdi { (group) } } }
        @else { code { bdi { (short) } } }
    }
}
