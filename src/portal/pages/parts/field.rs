//! Fields of forms: a label, a hint, what to fill in, and beside it everything that was wrong with it.

use maud::{Markup, html};

use crate::domain::policy::Need;
use crate::portal::pages::fault::Faults;
use crate::portal::pages::parts::text;

/// One field, whatever its kind.
#[derive(Debug, Clone, Copy)]
pub(in crate::portal) struct Field<'f> {
    /// Tells fields of one name apart where a page has several forms; ids begin with it.
    pub(in crate::portal) form: &'f str,
    /// The name it is sent under.
    pub(in crate::portal) name: &'f str,
    pub(in crate::portal) label: &'f str,
    /// How to fill it in; may be empty.
    pub(in crate::portal) hint: &'f str,
    pub(in crate::portal) need: Need,
    pub(in crate::portal) faults: &'f Faults,
}

/// One of several that can be chosen.
#[derive(Debug, Clone)]
pub(in crate::portal) struct Choice {
    /// What is sent.
    pub(in crate::portal) value: String,
    /// What is read.
    pub(in crate::portal) label: String,
}

impl Field<'_> {
    /// One line of text.
    pub(in crate::portal) fn line(&self, value: &str) -> Markup {
        self.around(&html! {
            input #(self.id()) type="text" name=(self.name) value=(value) autocomplete="off" spellcheck="false"
                required[self.is_required()] aria-invalid=[self.invalid()] aria-describedby=[self.described()];
        })
    }

    /// One line to search with.
    pub(in crate::portal) fn search(&self, value: &str) -> Markup {
        self.around(&html! {
            input #(self.id()) type="search" name=(self.name) value=(value) autocomplete="off" spellcheck="false"
                aria-describedby=[self.described()];
        })
    }

    /// Several lines of text.
    pub(in crate::portal) fn lines(&self, value: &str) -> Markup {
        // a browser drops the first line break after the tag: one to spare keeps the value's own
        self.around(&html! {
            textarea #(self.id()) name=(self.name) rows="3" required[self.is_required()]
                aria-invalid=[self.invalid()] aria-describedby=[self.described()] { "\n" (value) }
        })
    }

    /// A date and time. In UTC as it is written here; the script turns it into the viewer's zone and says so, and sends the
    /// zone's offset along under `offset`.
    pub(in crate::portal) fn moment(&self, value: &str) -> Markup {
        self.around(&html! {
            span .moment {
                input #(self.id()) type="datetime-local" name=(self.name) value=(value) data-moment=""
                    required[self.is_required()] aria-invalid=[self.invalid()] aria-describedby=[self.described()];
                span .zone data-zone="" { "UTC" }
                input type="hidden" name="offset" value="+00:00" data-offset="";
            }
        })
    }

    /// One of a list.
    pub(in crate::portal) fn select(&self, choices: &[Choice], chosen: &str) -> Markup {
        self.around(&html! {
            select #(self.id()) name=(self.name) required[self.is_required()]
                aria-invalid=[self.invalid()] aria-describedby=[self.described()] {
                @for choice in choices {
                    option value=(choice.value) selected[choice.value == chosen] { (choice.label) }
                }
            }
        })
    }

    /// One of a few that are all in sight, sent under the name `group`; and below them what belongs to them.
    pub(in crate::portal) fn radios(&self, group: &str, choices: &[Choice], chosen: &str, below: &Markup) -> Markup {
        html! {
            fieldset .field #(self.id()) aria-describedby=[self.described()] {
                legend { (self.label) (self.optional()) }
                (self.hint())
                div .radios {
                    @for choice in choices {
                        label {
                            input type="radio" name=(group) value=(choice.value) checked[choice.value == chosen];
                            span { (choice.label) }
                        }
                    }
                }
                (below)
                (self.told())
            }
        }
    }

    fn around(&self, control: &Markup) -> Markup {
        html! {
            div .field {
                label for=(self.id()) { (self.label) (self.optional()) }
                (self.hint())
                (control)
                (self.told())
            }
        }
    }

    fn hint(&self) -> Markup {
        html! { @if !self.hint.is_empty() { p .hint id={ (self.id()) "-hint" } { (self.hint) } } }
    }

    fn told(&self) -> Markup {
        let faults = self.faults.of(self.name);
        html! {
            @if !faults.is_empty() {
                ul .faults id={ (self.id()) "-faults" } { @for fault in faults { li { (text::with_code(fault)) } } }
            }
        }
    }

    fn optional(&self) -> Markup {
        html! { @if self.need == Need::Optional { " " span .dim { "optional" } } }
    }

    fn id(&self) -> String {
        if self.form.is_empty() { self.name.to_owned() } else { format!("{}-{}", self.form, self.name) }
    }

    fn is_required(&self) -> bool {
        self.need == Need::Required
    }

    fn invalid(&self) -> Option<&'static str> {
        (!self.faults.of(self.name).is_empty()).then_some("true")
    }

    fn described(&self) -> Option<String> {
        let id = self.id();
        let hint = (!self.hint.is_empty()).then(|| format!("{id}-hint"));
        let faults = self.invalid().map(|_| format!("{id}-faults"));
        let both: Vec<String> = hint.into_iter().chain(faults).collect();
        (!both.is_empty()).then(|| both.join(" "))
    }
}
