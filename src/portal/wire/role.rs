//! Roles as JSON: their settings, for people who may use, approve or watch over them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::policy as rules;
use crate::identity::names::IssuerNames;
use crate::portal::wire::common::{Allowance, Extend, Lengths, SignIn, Stage};
use crate::portal::wire::text::{Length, RoleName};

/// One role with its settings.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Role {
    role: RoleName,
    description: String,
    activation: Lengths,
    justification: Justification,
    ticket: Ticket,
    #[serde(flatten)]
    sign_in: SignIn,
    /// Left out when no approval is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<ApprovalRule>,
    extend: Extend,
    /// A pending request lapses after this.
    pending_after: Length,
    /// Limits of eligible assignments.
    eligible: AssignmentRule,
    /// Limits of active assignments.
    active: AssignmentRule,
    /// The routes it opens.
    opens: Vec<String>,
    /// Names these settings.
    policy: String,
}

/// What somebody must write.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Justification {
    required: bool,
    /// Fewest characters.
    min: usize,
    /// Most characters.
    max: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
}

/// Whether a ticket must be named.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Ticket {
    required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
}

/// Who must agree, and how.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct ApprovalRule {
    stages: Vec<Stage>,
    justification: Justification,
    #[serde(flatten)]
    sign_in: SignIn,
    /// Whether requesters may approve their own requests.
    #[serde(rename = "self")]
    own_request: Allowance,
}

/// What administrators may assign.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct AssignmentRule {
    permanent: Allowance,
    max: Length,
}

impl Role {
    pub(in crate::portal) fn of(policy: &rules::RolePolicy, opens: &[String], names: &IssuerNames) -> Self {
        let approval = (!policy.approval.stages.is_empty()).then(|| ApprovalRule {
            stages: policy.approval.stages.iter().map(|stage| Stage::of(stage, names)).collect(),
            justification: (&policy.approval.justification).into(),
            sign_in: (&policy.approval.assurance).into(),
            own_request: policy.approval.own_request.into(),
        });
        Self {
            role: RoleName(policy.role.clone()),
            description: policy.description.clone(),
            activation: policy.activation.into(),
            justification: (&policy.justification).into(),
            ticket: Ticket {
                required: policy.ticket.need == rules::Need::Required,
                pattern: policy.ticket.pattern.as_ref().map(|pattern| pattern.source().to_owned()),
            },
            sign_in: (&policy.assurance).into(),
            approval,
            extend: policy.extension.into(),
            pending_after: Length(policy.pending_after),
            eligible: policy.eligible.into(),
            active: policy.active.into(),
            opens: opens.to_vec(),
            policy: policy.revision.to_string(),
        }
    }
}

impl From<&rules::JustificationRule> for Justification {
    fn from(rule: &rules::JustificationRule) -> Self {
        Self {
            required: rule.need == rules::Need::Required,
            min: rule.characters_min,
            max: rule.characters_max,
            pattern: rule.pattern.as_ref().map(|pattern| pattern.source().to_owned()),
        }
    }
}

impl From<rules::AssignmentLimits> for AssignmentRule {
    fn from(limits: rules::AssignmentLimits) -> Self {
        Self { permanent: limits.permanent.into(), max: Length(limits.max) }
    }
}
