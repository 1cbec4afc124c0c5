//! Buttons that submit, and links that look like one. What destroys looks unlike what does not.

use maud::{Markup, html};

/// How much a button asks to be pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::portal) enum Weight {
    /// What the page is for; one in sight.
    Main,
    /// Beside it.
    Side,
    /// Takes something away.
    Destructive,
}

impl Weight {
    const fn class(self) -> &'static str {
        match self {
            Self::Main => "button main",
            Self::Side => "button side",
            Self::Destructive => "button destructive",
        }
    }
}

/// Submits the form it stands in.
pub(in crate::portal) fn submit(weight: Weight, text: &str) -> Markup {
    html! { button class=(weight.class()) type="submit" { (text) } }
}

/// Submits the form it stands in, and says that it was this button: `name=value`.
pub(in crate::portal) fn submit_as(weight: Weight, text: &str, name: &str, value: &str) -> Markup {
    html! { button class=(weight.class()) type="submit" name=(name) value=(value) { (text) } }
}

/// Submits the form it stands in to another address.
pub(in crate::portal) fn submit_to(weight: Weight, text: &str, path: &str) -> Markup {
    html! { button class=(weight.class()) type="submit" formaction=(path) { (text) } }
}

/// Leads somewhere.
pub(in crate::portal) fn link(weight: Weight, text: &str, href: &str) -> Markup {
    html! { a class=(weight.class()) href=(href) { (text) } }
}

/// A form that is nothing but its button; `about` names for screen readers what it acts on.
pub(in crate::portal) fn form(weight: Weight, text: &str, about: &str, path: &str) -> Markup {
    html! {
        form .alone method="post" action=(path) {
            button class=(weight.class()) type="submit" { (text) span .unseen { " " (about) } }
        }
    }
}
