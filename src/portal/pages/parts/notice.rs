//! What a page says about itself: what was done, what went wrong, and what to do where there is nothing.

use maud::{Markup, html};

use crate::portal::pages::parts::badge::Tone;

/// A message above the content.
pub(in crate::portal) fn notice(tone: Tone, body: &Markup) -> Markup {
    let role = if tone == Tone::Bad { "alert" } else { "status" };
    html! { div class={ "notice " (tone.class()) } role=(role) { (body) } }
}

/// What stands where a list would be: that there is nothing, and what to do.
pub(in crate::portal) fn empty(what: &str, to_do: &Markup) -> Markup {
    html! { div .empty { p .what { (what) } p { (to_do) } } }
}
