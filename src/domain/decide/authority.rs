//! Who may do what: the only place where authority is decided.

use crate::domain::activation::Activation;
use crate::domain::command::Caller;
use crate::domain::decide::Case;
use crate::domain::identity::Identity;
use crate::domain::policy::{AssuranceGap, AssuranceRule, Stage};
use crate::domain::refusal::Refusal;
use crate::domain::role::RoleId;
use crate::domain::standing::{Lock, Standing};
use crate::domain::time::Timestamp;

/// Whether the identity is locked.
pub(super) fn is_locked(case: &Case) -> bool {
    case.caller.first().is_none_or(|own| own.lock == Lock::Locked)
}

/// Whether `identity` holds `role` at `now`, by its own standing or a group's.
#[must_use]
pub fn holds(standings: &[Standing], identity: &Identity, role: &RoleId, now: Timestamp) -> bool {
    standings.first().is_some_and(|own| own.lock == Lock::Open && own.believes(identity))
        && standings.iter().any(|standing| standing.holding(role, identity, now).is_some())
}

/// Whether `identity` may see everything: administrators and auditors may.
#[must_use]
pub fn sees_everything(standings: &[Standing], identity: &Identity, now: Timestamp) -> bool {
    [RoleId::administrator(), RoleId::auditor()].iter().any(|role| holds(standings, identity, role, now))
}

/// Why the caller may not act as administrator; empty when it may.
pub(super) fn administrator_refusals(case: &Case, caller: &Caller, now: Timestamp) -> Vec<Refusal> {
    match caller {
        Caller::Configuration | Caller::Hallpass => Vec::new(),
        Caller::Identity(identity) => {
            let role = RoleId::administrator();
            if !holds(&case.caller, identity, &role, now) {
                return vec![Refusal::NotAdministrator];
            }
            let policy = case.policies.role(&role);
            policy.map_or_else(Vec::new, |policy| assurance_refusals(&policy.assurance, identity, now))
        }
    }
}

/// How a sign-in falls short of `rule`, as refusals.
pub(super) fn assurance_refusals(rule: &AssuranceRule, identity: &Identity, now: Timestamp) -> Vec<Refusal> {
    let refusal = |gap| match gap {
        AssuranceGap::Mfa => Refusal::MfaRequired { amr: rule.mfa_amr.clone() },
        AssuranceGap::Acr => Refusal::AcrRequired { acr: rule.acr.clone() },
        AssuranceGap::Age => Refusal::SignInTooOld { max_age: rule.max_age.unwrap_or_default() },
    };
    rule.gaps(&identity.assurance, now).into_iter().map(refusal).collect()
}

/// Whether `identity` is named as approver in `stage`.
pub(super) fn is_approver_in(stage: &Stage, identity: &Identity) -> bool {
    stage.approvers.iter().any(|party| identity.is(party))
}

/// Whether `identity` may approve activations of this role: in some stage of the case's own terms or of today's policy.
#[must_use]
pub fn is_approver_of(case: &Case, activation: &Activation, identity: &Identity) -> bool {
    let today = case.policies.role(&activation.role).map(|policy| policy.approval.stages.as_slice());
    activation.terms.stages.iter().chain(today.unwrap_or_default()).any(|stage| is_approver_in(stage, identity))
}

/// Whether the caller may know of this case at all; to others it does not exist.
pub(super) fn may_see(case: &Case, activation: &Activation, caller: &Caller, now: Timestamp) -> bool {
    match caller {
        Caller::Configuration | Caller::Hallpass => true,
        Caller::Identity(identity) => {
            identity.principal == activation.principal
                || is_approver_of(case, activation, identity)
                || sees_everything(&case.caller, identity, now)
        }
    }
}
