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
    pub(in crate::portal) role: RoleName,
    pub(in crate::portal) description: String,
    pub(in crate::portal) activation: Lengths,
    pub(in crate::portal) justification: Justification,
    pub(in crate::portal) ticket: Ticket,
    #[serde(flatten)]
    pub(in crate::portal) sign_in: SignIn,
    /// Left out when no approval is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) approval: Option<ApprovalRule>,
    pub(in crate::portal) extend: Extend,
    /// A pending request lapses after this.
    pub(in crate::portal) pending_after: Length,
    /// Limits of eligible assignments.
    pub(in crate::portal) eligible: AssignmentRule,
    /// Limits of active assignments.
    pub(in crate::portal) active: AssignmentRule,
    /// The routes it opens.
    pub(in crate::portal) opens: Vec<String>,
    /// Names these settings.
    pub(in crate::portal) policy: String,
}

/// What somebody must write.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Justification {
    pub(in crate::portal) required: bool,
    /// Fewest characters.
    pub(in crate::portal) min: usize,
    /// Most characters.
    pub(in crate::portal) max: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) pattern: Option<String>,
}

/// Whether a ticket must be named.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Ticket {
    pub(in crate::portal) required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) pattern: Option<String>,
}

/// Who must agree, and how.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct ApprovalRule {
    pub(in crate::portal) stages: Vec<Stage>,
    pub(in crate::portal) justification: Justification,
    #[serde(flatten)]
    pub(in crate::portal) sign_in: SignIn,
    /// Whether requesters may approve their own requests.
    #[serde(rename = "self")]
    pub(in crate::portal) own_request: Allowance,
}

/// What administrators may assign.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct AssignmentRule {
    pub(in crate::portal) permanent: Allowance,
    pub(in crate::portal) max: Length,
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
