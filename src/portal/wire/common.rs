//! Small shapes that several answers share, and how the domain's words become them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::activation as cases;
use crate::domain::event as events;
use crate::domain::policy as rules;
use crate::domain::principal as who;
use crate::domain::time as moments;
use crate::identity::names::IssuerNames;
use crate::portal::wire::text::{Instant, Length};

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::portal) enum Ending {
    /// Refused by approvers.
    Denied,
    /// Withdrawn while pending.
    Cancelled,
    /// Ran out of time while pending.
    Lapsed,
    /// Handed back by its holder.
    Deactivated,
    /// Taken away by someone in authority.
    Revoked,
    /// Ran out of time while active.
    Expired,
    /// The eligible assignment behind it went away.
    EligibilityLost,
    /// Its principal was locked.
    Locked,
}

/// Agreed or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::portal) enum Choice {
    /// Agreed.
    Approve,
    /// Refused.
    Deny,
}

/// What was asked for, or what an approver made of it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Requested {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) starts_at: Option<Instant>,
    pub(in crate::portal) duration: Length,
}

/// A stretch `[starts_at, ends_at)`; without an end it is permanent.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Window {
    pub(in crate::portal) starts_at: Instant,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) ends_at: Option<Instant>,
}

/// A principal or a group, in short form.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::portal) enum Party {
    /// One person or workload, `issuer:subject`.
    Principal(String),
    /// Whoever presents this group, `issuer:group`.
    Group(String),
}

/// One round of approval.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Stage {
    /// In short form; a group begins with `group `.
    pub(in crate::portal) approvers: Vec<String>,
    /// So many distinct approvers must agree.
    pub(in crate::portal) quorum: u32,
    /// So many distinct approvers must refuse to end the request.
    pub(in crate::portal) deny_threshold: u32,
}

/// Lengths an activation may have.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Lengths {
    pub(in crate::portal) min: Length,
    pub(in crate::portal) max: Length,
    pub(in crate::portal) default: Length,
    /// Cap over all extensions.
    pub(in crate::portal) total_max: Length,
    /// How far ahead a start may lie.
    pub(in crate::portal) start_ahead_max: Length,
}

/// How somebody must have signed in; empty demands nothing.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct SignIn {
    /// One of these methods proves the second factor that is demanded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::portal) mfa: Vec<String>,
    /// One of these levels is demanded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::portal) acr: Vec<String>,
    /// The sign-in must be younger than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) max_age: Option<Length>,
}

/// Whether a running activation may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::portal) enum Extend {
    /// Never.
    None,
    /// By the same approval as the activation itself.
    SameApproval,
    /// By its holder alone.
    Free,
}

/// Whether something may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::portal) enum Allowance {
    /// It may.
    Allowed,
    /// It may not.
    Forbidden,
}

/// Records one after the other, both ends included.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct RecordRun {
    first: u64,
    last: u64,
}

impl From<&events::RecordRun> for RecordRun {
    fn from(run: &events::RecordRun) -> Self {
        Self { first: run.first, last: run.last }
    }
}

impl From<cases::Ending> for Ending {
    fn from(ending: cases::Ending) -> Self {
        match ending {
            cases::Ending::Denied => Self::Denied,
            cases::Ending::Cancelled => Self::Cancelled,
            cases::Ending::Lapsed => Self::Lapsed,
            cases::Ending::Deactivated => Self::Deactivated,
            cases::Ending::Revoked => Self::Revoked,
            cases::Ending::Expired => Self::Expired,
            cases::Ending::EligibilityLost => Self::EligibilityLost,
            cases::Ending::Locked => Self::Locked,
        }
    }
}

impl From<Ending> for cases::Ending {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Denied => Self::Denied,
            Ending::Cancelled => Self::Cancelled,
            Ending::Lapsed => Self::Lapsed,
            Ending::Deactivated => Self::Deactivated,
            Ending::Revoked => Self::Revoked,
            Ending::Expired => Self::Expired,
            Ending::EligibilityLost => Self::EligibilityLost,
            Ending::Locked => Self::Locked,
        }
    }
}

impl From<cases::Choice> for Choice {
    fn from(choice: cases::Choice) -> Self {
        match choice {
            cases::Choice::Approve => Self::Approve,
            cases::Choice::Deny => Self::Deny,
        }
    }
}

impl From<Choice> for cases::Choice {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::Approve => Self::Approve,
            Choice::Deny => Self::Deny,
        }
    }
}

impl From<cases::Requested> for Requested {
    fn from(requested: cases::Requested) -> Self {
        Self { starts_at: requested.starts_at.map(Instant), duration: Length(requested.duration) }
    }
}

impl From<moments::Window> for Window {
    fn from(window: moments::Window) -> Self {
        Self { starts_at: Instant(window.starts_at), ends_at: window.ends_at.map(Instant) }
    }
}

/// A party among others of both sorts.
pub(in crate::portal) fn named(party: &who::Party, names: &IssuerNames) -> String {
    match party {
        who::Party::Principal(principal) => names.of_principal(principal),
        who::Party::Group(group) => format!("group {}", names.of_group(group)),
    }
}

impl Party {
    pub(in crate::portal) fn of(party: &who::Party, names: &IssuerNames) -> Self {
        match party {
            who::Party::Principal(principal) => Self::Principal(names.of_principal(principal)),
            who::Party::Group(group) => Self::Group(names.of_group(group)),
        }
    }
}

impl Stage {
    pub(in crate::portal) fn of(stage: &rules::Stage, names: &IssuerNames) -> Self {
        Self {
            approvers: stage.approvers.iter().map(|party| named(party, names)).collect(),
            quorum: stage.quorum,
            deny_threshold: stage.deny_threshold,
        }
    }
}

impl From<rules::ActivationLimits> for Lengths {
    fn from(limits: rules::ActivationLimits) -> Self {
        Self {
            min: Length(limits.min),
            max: Length(limits.max),
            default: Length(limits.default),
            total_max: Length(limits.total_max),
            start_ahead_max: Length(limits.start_ahead_max),
        }
    }
}

impl From<&rules::AssuranceRule> for SignIn {
    fn from(rule: &rules::AssuranceRule) -> Self {
        Self { mfa: rule.mfa_amr.clone(), acr: rule.acr.clone(), max_age: rule.max_age.map(Length) }
    }
}

impl From<rules::ExtensionRule> for Extend {
    fn from(rule: rules::ExtensionRule) -> Self {
        match rule {
            rules::ExtensionRule::None => Self::None,
            rules::ExtensionRule::SameApproval => Self::SameApproval,
            rules::ExtensionRule::Free => Self::Free,
        }
    }
}

impl From<rules::OwnRequest> for Allowance {
    fn from(rule: rules::OwnRequest) -> Self {
        match rule {
            rules::OwnRequest::Forbidden => Self::Forbidden,
            rules::OwnRequest::Allowed => Self::Allowed,
        }
    }
}

impl From<rules::Permanence> for Allowance {
    fn from(rule: rules::Permanence) -> Self {
        match rule {
            rules::Permanence::Allowed => Self::Allowed,
            rules::Permanence::Forbidden => Self::Forbidden,
        }
    }
}
