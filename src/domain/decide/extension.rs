//! Asking for a later end of an active role.

use crate::domain::activation::{Activation, Phase};
use crate::domain::command::Caller;
use crate::domain::decide::ending::is_holder;
use crate::domain::decide::text::justification_refusals;
use crate::domain::decide::{Case, Decided, authority};
use crate::domain::event::Event;
use crate::domain::identity::Identity;
use crate::domain::policy::{ExtensionRule, RolePolicy};
use crate::domain::refusal::{Refusal, Refusals};
use crate::domain::time::{Span, Timestamp, Window};

pub(super) fn extend(
    case: &Case,
    activation: &Activation,
    caller: &Caller,
    duration: Span,
    justification: Option<&str>,
    now: Timestamp,
) -> Decided {
    if !authority::may_see(case, activation, caller, now) {
        return Err(Refusal::Unknown.into());
    }
    let identity = caller.identity().filter(|_| is_holder(activation, caller)).ok_or(Refusal::NotHolder)?;
    if authority::is_locked(case) {
        return Err(Refusal::PrincipalLocked.into());
    }
    let (window, waiting) = match &activation.phase {
        Phase::Active { window, extension } if window.contains(now) => (window, extension.is_some()),
        Phase::Active { .. } | Phase::Pending(_) => return Err(Refusal::NotActive.into()),
        Phase::Ended { ending, .. } => return Err(Refusal::AlreadyEnded { ending: Some(*ending) }.into()),
    };
    let policy = case.policies.role(&activation.role).ok_or(Refusal::PolicyChanged)?;
    let rule = stricter(policy.extension, activation.terms.extension);
    let before = window.clip(Timestamp::MAX);
    let after = before.plus(duration);

    let mut refusals = Vec::new();
    if rule == ExtensionRule::None {
        refusals.push(Refusal::ExtensionForbidden);
    }
    if waiting {
        refusals.push(Refusal::AlreadyPending { activation: activation.id });
    }
    refusals.extend(length_refusals(policy, activation, window, duration));
    refusals.extend(eligibility_refusal(case, activation, identity, &Window::new(now, after), now));
    refusals.extend(justification_refusals(&policy.justification, justification));
    refusals.extend(authority::assurance_refusals(&policy.assurance, identity, now));
    let needs_approval = rule == ExtensionRule::SameApproval
        && !(policy.approval.stages.is_empty() && activation.terms.stages.is_empty());
    if needs_approval && activation.terms.stages.is_empty() {
        // nobody was named who could approve this case: a new request finds today's approvers
        refusals.push(Refusal::PolicyChanged);
    }
    Refusals::none_of(refusals)?;

    let id = activation.id;
    Ok(vec![if needs_approval {
        let lapses_at = window.clip(now.plus(policy.pending_after));
        Event::ExtensionRequested { activation: id, ends_at: after, lapses_at }
    } else {
        Event::ActivationExtended { activation: id, before, after }
    }])
}

const fn stricter(today: ExtensionRule, frozen: ExtensionRule) -> ExtensionRule {
    match (today, frozen) {
        (ExtensionRule::None, _) | (_, ExtensionRule::None) => ExtensionRule::None,
        (ExtensionRule::SameApproval, _) | (_, ExtensionRule::SameApproval) => ExtensionRule::SameApproval,
        (ExtensionRule::Free, ExtensionRule::Free) => ExtensionRule::Free,
    }
}

fn length_refusals(policy: &RolePolicy, activation: &Activation, window: &Window, given: Span) -> Vec<Refusal> {
    let longest = policy.activation.max.min(activation.terms.activation.max);
    let total_max = policy.activation.total_max.min(activation.terms.activation.total_max);
    if given.as_seconds() == 0 {
        return vec![Refusal::DurationBelowMinimum { min: Span::seconds(1), given }];
    }
    let mut refusals = Vec::new();
    if given > longest {
        refusals.push(Refusal::DurationAboveMaximum { max: longest, given });
    }
    let so_far = window.clip(Timestamp::MAX).millis_since(window.starts_at).div_ceil(1000);
    let total = Span::seconds(so_far.saturating_add(given.as_seconds()));
    if total > total_max {
        refusals.push(Refusal::TotalExceeded { max: total_max, given: total });
    }
    refusals
}

fn eligibility_refusal(
    case: &Case,
    activation: &Activation,
    identity: &Identity,
    needed: &Window,
    now: Timestamp,
) -> Option<Refusal> {
    let eligibility = case.assignment.as_ref().filter(|eligibility| eligibility.stands(now));
    let covered = eligibility.is_some_and(|eligibility| eligibility.window.covers(needed));
    let carried = activation.via.as_ref().is_none_or(|group| identity.carries(group));
    (!covered || !carried).then_some(Refusal::NotEligible)
}
