//! All that one party holds, may activate or awaits, as of one journal position.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::activation::{Ballot, Choice};
use crate::domain::id::{ActivationId, AssignmentId};
use crate::domain::identity::Identity;
use crate::domain::policy::Terms;
use crate::domain::principal::Group;
use crate::domain::role::RoleId;
use crate::domain::time::{Timestamp, Window};

/// A place in the journal: the sequence number of a record, counted from 1; 0 is before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    /// The place after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What one party holds, may activate and awaits. Ended things are not in it; what is in it may still lie outside its
/// window, so every look compares with `now`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The newest record it was read at.
    pub position: Position,
    /// Whether the party is locked.
    pub lock: Lock,
    /// Credentials issued before this instant prove nobody any more.
    pub credentials_since: Option<Timestamp>,
    /// Roles held, by activation or by assignment.
    pub held: Vec<Held>,
    /// Roles that may be activated.
    pub eligible: Vec<Eligible>,
    /// Requests that wait for approval.
    pub pending: Vec<Pending>,
}

/// Whether a principal is locked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lock {
    /// It is not.
    #[default]
    Open,
    /// It holds nothing and may ask for nothing.
    Locked,
}

/// A role held inside a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The role.
    pub role: RoleId,
    /// When.
    pub window: Window,
    /// Why it is held.
    pub basis: Basis,
    /// A group the holder must present on each request for it to count.
    pub via: Option<Group>,
}

/// Why a role is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Basis {
    /// It was activated.
    Activation(ActivationId),
    /// It was assigned directly.
    Assignment(AssignmentId),
}

/// A role that may be activated inside a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eligible {
    /// The eligible assignment.
    pub assignment: AssignmentId,
    /// The role.
    pub role: RoleId,
    /// When.
    pub window: Window,
}

/// A request that waits for approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The case.
    pub activation: ActivationId,
    /// The role.
    pub role: RoleId,
    /// Since when it waits.
    pub requested_at: Timestamp,
    /// How far its approval is.
    pub progress: Progress,
    /// It no longer waits from then on.
    pub lapses_at: Timestamp,
}

/// How far an approval is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// The open stage, counted from 0.
    pub stage: u32,
    /// How many stages there are.
    pub stages: u32,
    /// So many have agreed in the open stage.
    pub agreed: u32,
    /// So many must agree in the open stage.
    pub quorum: u32,
}

impl Progress {
    /// How far `ballot` is under `terms`.
    #[must_use]
    pub fn of(ballot: &Ballot, terms: &Terms) -> Self {
        Self {
            stage: ballot.stage,
            stages: u32::try_from(terms.stages.len()).unwrap_or(u32::MAX),
            agreed: u32::try_from(ballot.count(Choice::Approve)).unwrap_or(u32::MAX),
            quorum: ballot.open_stage(terms).map_or(0, |stage| stage.quorum),
        }
    }
}

impl Standing {
    /// Whether the credential behind `identity` still counts, this being its own standing: none was revoked, or it says
    /// that it was issued later.
    #[must_use]
    pub fn believes(&self, identity: &Identity) -> bool {
        self.credentials_since.is_none_or(|since| identity.issued_at.is_some_and(|issued_at| since <= issued_at))
    }

    /// The holding of `role` that counts for `identity` at `now` and lasts longest.
    #[must_use]
    pub fn holding(&self, role: &RoleId, identity: &Identity, now: Timestamp) -> Option<&Held> {
        self.held
            .iter()
            .filter(|held| held.role == *role && held.counts_for(identity, now))
            .max_by_key(|held| held.window.ends_at.unwrap_or(Timestamp::MAX))
    }

    /// The eligible assignment for `role` that stands at `now` and lasts longest.
    #[must_use]
    pub fn eligibility(&self, role: &RoleId, now: Timestamp) -> Option<&Eligible> {
        self.eligible
            .iter()
            .filter(|eligible| eligible.role == *role && eligible.window.contains(now))
            .max_by_key(|eligible| eligible.window.ends_at.unwrap_or(Timestamp::MAX))
    }

    /// The request for `role` that still waits at `now`.
    #[must_use]
    pub fn pending(&self, role: &RoleId, now: Timestamp) -> Option<&Pending> {
        self.pending.iter().find(|pending| pending.role == *role && now < pending.lapses_at)
    }
}

impl Held {
    /// Whether this holding counts for `identity` at `now`: inside its window, and with the group it came through.
    #[must_use]
    pub fn counts_for(&self, identity: &Identity, now: Timestamp) -> bool {
        self.window.contains(now) && self.via.as_ref().is_none_or(|group| identity.carries(group))
    }
}
