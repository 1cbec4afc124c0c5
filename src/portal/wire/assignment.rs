//! Eligible and active assignments as JSON.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::domain::assignment as domain;
use crate::identity::names::IssuerNames;
use crate::portal::wire::common::Party;
use crate::portal::wire::text::{Instant, RoleName};

/// Makes an assignment; exactly one of `principal` and `group` is given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::portal) struct AssignmentRequest {
    /// The role.
    pub(in crate::portal) role: RoleName,
    /// One person or workload, `issuer:subject`.
    #[serde(default)]
    pub(in crate::portal) principal: Option<String>,
    /// Whoever presents this group, `issuer:group`.
    #[serde(default)]
    pub(in crate::portal) group: Option<String>,
    /// From when; now when left out.
    #[serde(default)]
    pub(in crate::portal) starts_at: Option<Instant>,
    /// Until when; permanent when left out.
    #[serde(default)]
    pub(in crate::portal) ends_at: Option<Instant>,
    /// Why.
    #[serde(default)]
    pub(in crate::portal) justification: Option<String>,
}

/// Gives an assignment another window.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::portal) struct AssignmentPatch {
    /// From when; unchanged when left out.
    #[serde(default)]
    pub(in crate::portal) starts_at: Option<Instant>,
    /// Until when; `null` is permanent. Must be said either way.
    #[serde(deserialize_with = "said")]
    #[schema(required)]
    pub(in crate::portal) ends_at: Option<Instant>,
    /// Why.
    #[serde(default)]
    pub(in crate::portal) justification: Option<String>,
}

/// One assignment of one role to one party.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Assignment {
    id: String,
    kind: AssignmentKind,
    role: RoleName,
    #[serde(flatten)]
    party: Party,
    starts_at: Instant,
    /// Left out when it is permanent.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<Instant>,
    origin: Origin,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<AssignmentEnd>,
}

/// What an assignment gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::portal) enum AssignmentKind {
    /// The role may be activated.
    Eligible,
    /// The role is held.
    Active,
}

/// Who made an assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::portal) enum Origin {
    /// An administrator.
    Administrator,
    /// The configuration; only there it can be changed.
    Configuration,
}

/// How an assignment ended.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(in crate::portal) struct AssignmentEnd {
    ending: AssignmentEnding,
    at: Instant,
}

/// Why an assignment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::portal) enum AssignmentEnding {
    /// Taken away.
    Removed,
    /// Its window is over.
    Expired,
    /// Its principal was locked.
    Locked,
}

impl Assignment {
    pub(in crate::portal) fn of(assignment: &domain::Assignment, names: &IssuerNames) -> Self {
        Self {
            id: assignment.id.to_string(),
            kind: assignment.kind.into(),
            role: RoleName(assignment.role.clone()),
            party: Party::of(&assignment.party, names),
            starts_at: Instant(assignment.window.starts_at),
            ends_at: assignment.window.ends_at.map(Instant),
            origin: match assignment.origin {
                domain::Origin::Administrator => Origin::Administrator,
                domain::Origin::Configuration => Origin::Configuration,
            },
            ended: assignment.ended.map(|end| AssignmentEnd { ending: end.ending.into(), at: Instant(end.at) }),
        }
    }
}

impl From<domain::AssignmentKind> for AssignmentKind {
    fn from(kind: domain::AssignmentKind) -> Self {
        match kind {
            domain::AssignmentKind::Eligible => Self::Eligible,
            domain::AssignmentKind::Active => Self::Active,
        }
    }
}

impl From<domain::AssignmentEnding> for AssignmentEnding {
    fn from(ending: domain::AssignmentEnding) -> Self {
        match ending {
            domain::AssignmentEnding::Removed => Self::Removed,
            domain::AssignmentEnding::Expired => Self::Expired,
            domain::AssignmentEnding::Locked => Self::Locked,
        }
    }
}

/// A value that may be `null` but must be there: leaving it out must not make an assignment permanent.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Instant>, D::Error> {
    Option::deserialize(deserializer)
}
