//! Emphasis for terminals, and none for files.

use crate::demo::Colour;

/// Emphasises, where it can be seen.
#[derive(Debug, Clone, Copy)]
pub(in crate::demo) struct Ink {
    colour: Colour,
}

impl Ink {
    pub(in crate::demo) const fn of(colour: Colour) -> Self {
        Self { colour }
    }

    pub(in crate::demo) fn strong(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(in crate::demo) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(in crate::demo) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(in crate::demo) fn bad(self, text: &str) -> String {
        self.with("31", text)
    }

    pub(in crate::demo) fn warn(self, text: &str) -> String {
        self.with("33", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        match self.colour {
            Colour::On => format!("\x1b[{code}m{text}\x1b[0m"),
            Colour::Off => text.to_owned(),
        }
    }
}
