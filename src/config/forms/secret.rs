//! A secret as it is written: read like any text, and never written again.

use crate::config::forms::Form;
use crate::identity::Secret;

/// A secret; printed as [`REDACTED`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hidden(pub(crate) Secret);

impl Form for Hidden {
    const NAME: &'static str = "secret";
    const MEANING: &'static str =
        "A secret; best kept in a file of its own, which the key with `_file` at its end names.";
    const EXAMPLE: &'static str = "a secret";

    fn read(text: &str) -> Result<Self, String> {
        // what is wrong is told without the text
        if text.trim().is_empty() {
            return Err("the secret is empty".to_owned());
        }
        if text == REDACTED {
            return Err(format!("`{REDACTED}` only stands for a secret that is not shown; write the secret itself"));
        }
        Ok(Self(Secret::new(text.to_owned())))
    }

    fn write(&self) -> String {
        REDACTED.to_owned()
    }
}

const REDACTED: &str = "<redacted>";
