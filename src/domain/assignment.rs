//! Eligible and active assignments made by administrators or configuration.
//!
//! Eligible: the party may activate the role. Active: the party holds it. They are separate things; activating, ending or
//! revoking an activation leaves the eligible assignment untouched.

use serde::{Deserialize, Serialize};

use crate::domain::id::AssignmentId;
use crate::domain::principal::Party;
use crate::domain::role::RoleId;
use crate::domain::time::{Timestamp, Window};

/// One assignment of one role to one party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Its id.
    pub id: AssignmentId,
    /// Eligible or active.
    pub kind: AssignmentKind,
    /// The role.
    pub role: RoleId,
    /// Who has it.
    pub party: Party,
    /// When it counts.
    pub window: Window,
    /// Who made it.
    pub origin: Origin,
    /// When and why it ended; `None` while it stands.
    pub ended: Option<AssignmentEnd>,
}

/// What an assignment gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssignmentKind {
    /// The role may be activated.
    Eligible,
    /// The role is held.
    Active,
}

/// Who made an assignment: what configuration made, only configuration changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// An administrator.
    Administrator,
    /// The configuration.
    Configuration,
}

/// How an assignment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignmentEnd {
    /// Why.
    pub ending: AssignmentEnding,
    /// From when on it no longer counts.
    pub at: Timestamp,
}

/// Why an assignment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssignmentEnding {
    /// Taken away.
    Removed,
    /// Its window is over.
    Expired,
    /// Its principal was locked.
    Locked,
}

impl Assignment {
    /// Whether it counts at `now`.
    #[must_use]
    pub fn stands(&self, now: Timestamp) -> bool {
        self.ended.is_none() && self.window.contains(now)
    }

    /// Whether its window ran out without that having been written down yet.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.ended.is_none() && self.window.is_over(now)
    }
}
