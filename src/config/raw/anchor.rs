//! Anchors as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::forms::{Filled, Text, Url};
use crate::config::raw::seconds;
use crate::domain::time::Span;

/// Where the journal's head is published. The log always has it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Anchor {
    /// A file that is only appended to; its newest anchor is held against the journal at every start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<Text<Filled>>,
    /// At least so often.
    pub(crate) interval: Text<Span>,
    /// At the latest after so many records.
    pub(crate) records_max: u64,
    /// A server that is told each anchor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) webhook: Option<Webhook>,
}

impl Default for Anchor {
    fn default() -> Self {
        Self { file: None, interval: seconds(300), records_max: 1000, webhook: None }
    }
}

/// A server that is told each anchor.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Webhook {
    /// Where anchors are posted: https, or this machine.
    pub(crate) url: Text<Url>,
    /// A file with one line: `whsec_` and the base64 of 24 to 64 random bytes (Standard Webhooks).
    pub(crate) secret_file: Text<Filled>,
}
