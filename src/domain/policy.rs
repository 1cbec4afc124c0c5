//! The settings of a role: what may be asked, for how long, and who must agree.
//!
//! Configuration resolves them; a request freezes the part that decides it into [`Terms`], so that a later, wider policy
//! never flows into an old request.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::identity::Assurance;
use crate::domain::principal::Party;
use crate::domain::role::RoleId;
use crate::domain::time::{Span, Timestamp};

/// Every role hallpass knows, with its settings; one value for one configuration.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    roles: BTreeMap<RoleId, Arc<RolePolicy>>,
    limits: PendingLimits,
}

impl Policies {
    /// The policies of these roles.
    #[must_use]
    pub fn new(roles: impl IntoIterator<Item = RolePolicy>, limits: PendingLimits) -> Self {
        Self { roles: roles.into_iter().map(|policy| (policy.role.clone(), Arc::new(policy))).collect(), limits }
    }

    /// The settings of `role`, when it is known.
    #[must_use]
    pub fn role(&self, role: &RoleId) -> Option<&Arc<RolePolicy>> {
        self.roles.get(role)
    }

    /// All roles, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<RolePolicy>> {
        self.roles.values()
    }

    /// How many requests may wait at once.
    #[must_use]
    pub const fn limits(&self) -> &PendingLimits {
        &self.limits
    }
}

/// How many requests may wait at once; beyond it a request is refused, not queued.
#[derive(Debug, Clone, Copy)]
pub struct PendingLimits {
    /// Of one principal; of one role as many again may be granted and have yet to begin.
    pub per_principal: usize,
    /// Of one role.
    pub per_role: usize,
    /// Of all.
    pub total: usize,
}

impl Default for PendingLimits {
    fn default() -> Self {
        Self { per_principal: 20, per_role: 1000, total: 10_000 }
    }
}

/// The settings of one role.
#[derive(Debug, Clone)]
pub struct RolePolicy {
    /// The role.
    pub role: RoleId,
    /// What the role opens, for people to read.
    pub description: String,
    /// Digest over all settings: names the policy a case was decided under.
    pub revision: PolicyRevision,
    /// Lengths that may be asked for.
    pub activation: ActivationLimits,
    /// What the requester must write.
    pub justification: JustificationRule,
    /// Whether a ticket must be named.
    pub ticket: TicketRule,
    /// How the requester must have signed in.
    pub assurance: AssuranceRule,
    /// Who must agree; none needed when `stages` is empty.
    pub approval: ApprovalRule,
    /// Whether and how a running activation grows.
    pub extension: ExtensionRule,
    /// A pending request lapses after this.
    pub pending_after: Span,
    /// Limits for administrators who assign eligibility.
    pub eligible: AssignmentLimits,
    /// Limits for administrators who assign the role directly.
    pub active: AssignmentLimits,
}

/// SHA-256 over a role's settings, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PolicyRevision(Arc<str>);

impl PolicyRevision {
    /// Names a revision by its digest.
    #[must_use]
    pub fn new(digest: &str) -> Self {
        Self(digest.into())
    }
}

impl fmt::Display for PolicyRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How long an activation may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivationLimits {
    /// Shortest length that may be asked for.
    pub min: Span,
    /// Longest length that may be asked for.
    pub max: Span,
    /// Length when none is asked for.
    pub default: Span,
    /// Cap from the first start to the last end, over all extensions.
    pub total_max: Span,
    /// How far ahead a start may lie.
    pub start_ahead_max: Span,
}

/// What somebody must write to justify an act; lengths in characters.
#[derive(Debug, Clone, Default)]
pub struct JustificationRule {
    /// Whether text is required at all.
    pub need: Need,
    /// Fewest characters, white space at the ends not counted.
    pub characters_min: usize,
    /// Most characters.
    pub characters_max: usize,
    /// A pattern the text must match.
    pub pattern: Option<Pattern>,
}

impl JustificationRule {
    /// No justification is longer than this, whatever the rule.
    pub const CHARACTERS_MAX: usize = 4000;
}

/// Whether something must be given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// It must be given.
    Required,
    /// It may be given.
    #[default]
    Optional,
}

/// Whether a ticket must be named, and its form.
#[derive(Debug, Clone, Default)]
pub struct TicketRule {
    /// Whether one must be given.
    pub need: Need,
    /// A pattern the ticket must match.
    pub pattern: Option<Pattern>,
}

/// A pattern as written, with its compiled meaning handed in: this floor compiles nothing.
#[derive(Clone)]
pub struct Pattern {
    source: Arc<str>,
    matches: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}

impl Pattern {
    /// A pattern written as `source` that accepts what `matches` accepts.
    pub fn new(source: &str, matches: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { source: source.into(), matches: Arc::new(matches) }
    }

    /// Whether `text` is accepted.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        (self.matches)(text)
    }

    /// The pattern as written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({})", self.source)
    }
}

/// How strong and how fresh a sign-in must be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssuranceRule {
    /// Multi-factor sign-in is demanded, and one of these `amr` values proves it; empty demands none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mfa_amr: Vec<String>,
    /// One of these `acr` levels is demanded, in order of preference; empty demands none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acr: Vec<String>,
    /// The sign-in must be younger than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Span>,
}

/// One way in which a sign-in falls short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssuranceGap {
    /// A second factor was not used.
    Mfa,
    /// None of the demanded levels was reached.
    Acr,
    /// The sign-in is too old, or does not say when it was.
    Age,
}

impl AssuranceRule {
    /// Every way in which `assurance` falls short at `now`. A demanded `acr` that was reached also proves a second factor;
    /// a sign-in without `auth_time` satisfies no `max_age` (RFC 9470, section 4).
    #[must_use]
    pub fn gaps(&self, assurance: &Assurance, now: Timestamp) -> Vec<AssuranceGap> {
        let mut gaps = Vec::new();
        let acr_reached = assurance.acr.as_ref().is_some_and(|acr| self.acr.contains(acr));
        let second_factor = assurance.amr.iter().any(|method| self.mfa_amr.contains(method));
        if !self.mfa_amr.is_empty() && !second_factor && !acr_reached {
            gaps.push(AssuranceGap::Mfa);
        }
        if !self.acr.is_empty() && !acr_reached {
            gaps.push(AssuranceGap::Acr);
        }
        if let Some(max_age) = self.max_age
            && assurance.auth_time.is_none_or(|at| at.plus(max_age) <= now)
        {
            gaps.push(AssuranceGap::Age);
        }
        gaps
    }
}

impl AssuranceRule {
    /// Whether something that satisfied `other` may fall short of this.
    #[must_use]
    pub fn demands_more_than(&self, other: &Self) -> bool {
        let narrower = |own: &[String], others: &[String]| {
            !own.is_empty() && (others.is_empty() || others.iter().any(|value| !own.contains(value)))
        };
        narrower(&self.mfa_amr, &other.mfa_amr)
            || narrower(&self.acr, &other.acr)
            || self.max_age.is_some_and(|own| other.max_age.is_none_or(|others| own < others))
    }
}

/// Who must agree to an activation.
#[derive(Debug, Clone, Default)]
pub struct ApprovalRule {
    /// One after another; none means that no approval is needed.
    pub stages: Vec<Stage>,
    /// What the approver must write.
    pub justification: JustificationRule,
    /// How the approver must have signed in.
    pub assurance: AssuranceRule,
    /// Whether the requester may count among the approvers.
    pub own_request: OwnRequest,
}

/// Whether a requester may approve the own request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnRequest {
    /// Never.
    #[default]
    Forbidden,
    /// By explicit policy; recorded with every such request.
    Allowed,
}

/// One round of approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Who may decide.
    pub approvers: Vec<Party>,
    /// So many distinct approvers must agree; at least 1.
    pub quorum: u32,
    /// So many distinct approvers must refuse to end the request; at least 1.
    pub deny_threshold: u32,
}

/// Whether a running activation may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtensionRule {
    /// Never.
    None,
    /// By the same approval as the activation itself.
    SameApproval,
    /// By its holder alone.
    Free,
}

/// What administrators may assign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssignmentLimits {
    /// Whether an assignment may have no end.
    pub permanent: Permanence,
    /// Longest assignment that has an end.
    pub max: Span,
}

/// Whether an assignment may have no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permanence {
    /// It may.
    Allowed,
    /// It may not.
    Forbidden,
}

/// What decides one case, frozen when it began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The policy the request was made under.
    pub policy: PolicyRevision,
    /// Lengths that may be given.
    pub activation: ActivationLimits,
    /// Who must agree, round by round.
    pub stages: Vec<Stage>,
    /// How an approver must have signed in.
    pub approver_assurance: AssuranceRule,
    /// Whether the requester may approve.
    pub own_request: OwnRequest,
    /// Whether and how the activation may grow.
    pub extension: ExtensionRule,
    /// How the requester must have signed in.
    pub assurance: AssuranceRule,
}

impl RolePolicy {
    /// The part of this policy that decides a case which begins now.
    #[must_use]
    pub fn terms(&self) -> Terms {
        Terms {
            policy: self.revision.clone(),
            activation: self.activation,
            stages: self.approval.stages.clone(),
            approver_assurance: self.approval.assurance.clone(),
            own_request: self.approval.own_request,
            extension: self.extension,
            assurance: self.assurance.clone(),
        }
    }
}
