//! Retention as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::forms::{Filled, Text};
use crate::domain::time::Span;

/// How long records are kept; for good when left out.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Retention {
    /// Records older than this are cut out of the journal, once an archive holds them; two days at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keep: Option<Text<Span>>,
    /// The folder that archives are written to; it must exist, and nobody else may write to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) archive: Option<Text<Filled>>,
}
