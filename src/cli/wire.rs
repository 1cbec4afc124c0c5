//! The portal's answers as far as this command line reads them. A newer portal may say more: unknown members are passed over.

use serde::Deserialize;

/// One page of things.
#[derive(Debug, Deserialize)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    #[serde(default)]
    pub(super) next: Option<String>,
}

/// One case.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Activation {
    pub(super) id: String,
    pub(super) role: String,
    pub(super) principal: String,
    #[serde(default)]
    pub(super) name: Option<String>,
    pub(super) state: String,
    #[serde(default)]
    pub(super) ending: Option<String>,
    #[serde(default)]
    pub(super) ended_at: Option<String>,
    pub(super) requested_at: String,
    pub(super) requested: Requested,
    #[serde(default)]
    pub(super) window: Option<Window>,
    pub(super) revision: u64,
    #[serde(default)]
    pub(super) via: Option<String>,
    #[serde(default)]
    pub(super) approval: Option<Approval>,
    #[serde(default)]
    pub(super) extension: Option<Extension>,
    #[serde(default)]
    pub(super) decisions: Vec<Decision>,
    #[serde(default)]
    pub(super) justification: Option<String>,
    #[serde(default)]
    pub(super) ticket: Option<String>,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Requested {
    #[serde(default)]
    pub(super) starts_at: Option<String>,
    pub(super) duration: String,
}

/// When a role is held.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Window {
    pub(super) starts_at: String,
    #[serde(default)]
    pub(super) ends_at: Option<String>,
}

/// The open vote.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Approval {
    /// Counted from 0.
    pub(super) stage: u64,
    pub(super) stages: u64,
    pub(super) quorum: u64,
    #[serde(default)]
    pub(super) approvals: u64,
    /// In short form; a group begins with `group `.
    #[serde(default)]
    pub(super) approvers: Vec<String>,
    #[serde(default)]
    pub(super) lapses_at: Option<String>,
}

/// A wish for a later end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Extension {
    pub(super) ends_at: String,
    #[serde(default)]
    pub(super) justification: Option<String>,
    #[serde(default)]
    pub(super) approval: Option<Approval>,
}

/// What one approver said.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Decision {
    pub(super) approver: String,
    #[serde(default)]
    pub(super) name: Option<String>,
    pub(super) choice: String,
    pub(super) at: String,
    #[serde(default)]
    pub(super) justification: Option<String>,
    #[serde(default)]
    pub(super) adjusted: Option<Requested>,
}

/// What a request would come to.
#[derive(Debug, Deserialize)]
pub(super) struct DryRun {
    pub(super) outcome: String,
    #[serde(default)]
    pub(super) errors: Vec<super::client::problem::Broken>,
}

/// The caller's own picture.
#[derive(Debug, Deserialize)]
pub(super) struct Me {
    pub(super) principal: String,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) groups: Vec<String>,
    #[serde(default)]
    pub(super) assurance: Assurance,
    #[serde(default)]
    pub(super) locked: bool,
    #[serde(default)]
    pub(super) trouble: Option<String>,
    #[serde(default)]
    pub(super) held: Vec<Held>,
    #[serde(default)]
    pub(super) eligible: Vec<Eligible>,
    #[serde(default)]
    pub(super) pending: Vec<Pending>,
}

/// How and when the caller signed in.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Assurance {
    #[serde(default)]
    pub(super) amr: Vec<String>,
    #[serde(default)]
    pub(super) acr: Option<String>,
    #[serde(default)]
    pub(super) auth_time: Option<String>,
}

/// A role held now or soon.
#[derive(Debug, Deserialize)]
pub(super) struct Held {
    pub(super) role: String,
    #[serde(default)]
    pub(super) activation: Option<String>,
    #[serde(default)]
    pub(super) assignment: Option<String>,
    pub(super) starts_at: String,
    #[serde(default)]
    pub(super) ends_at: Option<String>,
    #[serde(default)]
    pub(super) via: Option<String>,
}

/// A role that may be activated.
#[derive(Debug, Deserialize)]
pub(super) struct Eligible {
    pub(super) role: String,
    #[serde(default)]
    pub(super) assignment: String,
    #[serde(default)]
    pub(super) from: Option<String>,
    #[serde(default)]
    pub(super) until: Option<String>,
    #[serde(default)]
    pub(super) via: Option<String>,
}

/// A request that waits.
#[derive(Debug, Deserialize)]
pub(super) struct Pending {
    pub(super) role: String,
    pub(super) activation: String,
    #[serde(default)]
    pub(super) requested_at: Option<String>,
    #[serde(default)]
    pub(super) lapses_at: Option<String>,
}

/// A role with as much of its settings as fits a list.
#[derive(Debug, Deserialize)]
pub(super) struct Role {
    pub(super) role: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) activation: Option<Lengths>,
    /// Absent when no approval is needed.
    #[serde(default)]
    pub(super) approval: Option<serde::de::IgnoredAny>,
}

/// Lengths an activation may have.
#[derive(Debug, Deserialize)]
pub(super) struct Lengths {
    #[serde(default)]
    pub(super) default: String,
    #[serde(default)]
    pub(super) max: String,
}

/// The newest record of the journal.
#[derive(Debug, Deserialize)]
pub(super) struct Head {
    pub(super) sequence: u64,
    pub(super) hash: String,
    pub(super) public_key: String,
    /// Why the portal doubts its journal, while it does.
    #[serde(default)]
    pub(super) doubt: Option<String>,
}
