//! Roles as written: every setting may be left out and is then inherited.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::forms::{Filled, Name, Text};
use crate::domain::role::RoleId;
use crate::domain::time::{Span, Timestamp};

/// Settings all roles of one application inherit.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct App {
    /// The part before the slash in the names of its roles.
    pub(crate) name: Text<Name>,
    /// What its roles inherit.
    #[serde(flatten)]
    pub(crate) settings: RoleSettings,
}

/// A role: what it opens, what it demands, who has it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Role {
    /// `app/role`.
    pub(crate) name: Text<RoleId>,
    /// What the role opens, for people to read.
    #[serde(default)]
    pub(crate) description: String,
    /// What this role settles for itself.
    #[serde(flatten)]
    pub(crate) settings: RoleSettings,
    /// Who may activate it.
    #[serde(default)]
    pub(crate) eligible_assignments: Vec<Assignment>,
    /// Who holds it without activating.
    #[serde(default)]
    pub(crate) active_assignments: Vec<Assignment>,
}

/// A principal or a group, and for how long.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Assignment {
    /// `issuer:subject`; either this or `group`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) principal: Option<String>,
    /// `issuer:group`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<String>,
    /// From when on; since it was first declared when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<Text<Timestamp>>,
    /// Until when; for good when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<Text<Timestamp>>,
}

/// What may be asked for, what it takes, who must agree.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct RoleSettings {
    /// How long an activation may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) activation: Option<Activation>,
    /// What the requester must write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) justification: Option<Justification>,
    /// Whether a ticket must be named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ticket: Option<Ticket>,
    /// Whether a second factor is demanded of the requester.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mfa: Option<bool>,
    /// Values of the claim `amr` that prove a second factor; a level of `acr` that was demanded and reached proves one too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mfa_amr: Option<Vec<Text<Filled>>>,
    /// Levels (`acr`) of which one is demanded, the preferred one first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) acr: Option<Vec<Text<Filled>>>,
    /// The sign-in must be younger than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_age: Option<Text<Span>>,
    /// Who must agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) approval: Option<Approval>,
    /// Whether a running activation may grow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) extend: Option<Extend>,
    /// A pending request lapses after this; 1 minute to 30 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pending_after: Option<Text<Span>>,
    /// What administrators may assign as eligible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) eligible: Option<Eligibility>,
    /// What administrators may assign as active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) active: Option<Eligibility>,
}

/// How long an activation may be; 1 second to 365 days.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Activation {
    /// Shortest length that may be asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) min: Option<Text<Span>>,
    /// Longest length that may be asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max: Option<Text<Span>>,
    /// Length when none is asked for; an inherited one is held between `min` and `max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default: Option<Text<Span>>,
    /// Cap from the first start to the last end, over all extensions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) total_max: Option<Text<Span>>,
    /// How far ahead a start may lie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) start_ahead_max: Option<Text<Span>>,
}

/// What somebody must write.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Justification {
    /// Whether text is required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) required: Option<bool>,
    /// Fewest characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) min: Option<u32>,
    /// Most characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max: Option<u32>,
    /// A regular expression the whole text must match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pattern: Option<Text<Filled>>,
}

/// Whether a ticket must be named.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Ticket {
    /// Whether one is required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) required: Option<bool>,
    /// A regular expression the whole ticket must match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pattern: Option<Text<Filled>>,
}

/// Who must agree.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Approval {
    /// One after another; none means that no approval is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stages: Option<Vec<Stage>>,
    /// What the approver must write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) justification: Option<Justification>,
    /// Whether a second factor is demanded of the approver; as of the requester when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mfa: Option<bool>,
    /// Levels (`acr`) of which one is demanded of the approver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) acr: Option<Vec<Text<Filled>>>,
    /// The approver's sign-in must be younger than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_age: Option<Text<Span>>,
    /// Whether a requester may approve the own request.
    #[serde(rename = "self", skip_serializing_if = "Option::is_none")]
    pub(crate) own_request: Option<OwnRequest>,
}

/// One round of approval.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Stage {
    /// Principals who may decide.
    pub(crate) users: Vec<String>,
    /// Groups whose members may decide.
    pub(crate) groups: Vec<String>,
    /// So many must agree.
    pub(crate) quorum: u32,
    /// So many must refuse to end the request.
    pub(crate) deny_threshold: u32,
}

impl Default for Stage {
    fn default() -> Self {
        Self { users: Vec::new(), groups: Vec::new(), quorum: 1, deny_threshold: 1 }
    }
}

/// Whether a requester may approve the own request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OwnRequest {
    /// Never.
    Forbidden,
    /// Yes; recorded with every such request.
    Allowed,
}

/// Whether a running activation may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Extend {
    /// Never.
    None,
    /// By the same approval as the activation itself.
    SameApproval,
    /// By its holder alone.
    Free,
}

/// What administrators may assign.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Eligibility {
    /// Whether an assignment may have no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) permanent: Option<bool>,
    /// Longest assignment that has an end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max: Option<Text<Span>>,
}
