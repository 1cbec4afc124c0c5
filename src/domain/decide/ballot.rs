//! Approving and denying what waits: a request, or an extension.

use crate::domain::activation::{Activation, Ballot, Choice, Ending, Phase, Requested};
use crate::domain::command::{Adjusted, Caller};
use crate::domain::decide::text::justification_refusals;
use crate::domain::decide::{Case, Decided, authority, settle};
use crate::domain::event::Event;
use crate::domain::identity::Identity;
use crate::domain::policy::{ExtensionRule, OwnRequest, RolePolicy, Stage};
use crate::domain::refusal::{Refusal, Refusals};
use crate::domain::time::{Span, Timestamp, Window};

/// What an approver says.
pub(super) struct Word<'c> {
    pub(super) choice: Choice,
    pub(super) revision: u32,
    pub(super) adjusted: Option<Adjusted>,
    pub(super) justification: Option<&'c str>,
}

pub(super) fn decide(
    case: &Case,
    activation: &Activation,
    caller: &Caller,
    word: &Word<'_>,
    now: Timestamp,
) -> Decided {
    let approver = caller.identity().ok_or(Refusal::NotAnApprover)?;
    if !authority::may_see(case, activation, caller, now) {
        return Err(Refusal::Unknown.into());
    }
    if let Phase::Ended { ending, .. } = &activation.phase {
        return Err(Refusal::AlreadyEnded { ending: Some(*ending) }.into());
    }
    let ballot = activation.ballot().ok_or(Refusal::NotPending)?;
    let stage = ballot.open_stage(&activation.terms).ok_or(Refusal::NotPending)?;

    let mut refusals = standing_refusals(case, activation, ballot, stage, approver);
    if word.revision != activation.revision {
        refusals.push(Refusal::RevisionChanged { current: activation.revision });
    }
    refusals.extend(authority::assurance_refusals(&activation.terms.approver_assurance, approver, now));
    let adjusted = word.adjusted.filter(|adjusted| *adjusted != Adjusted::default());
    match (word.choice, case.policies.role(&activation.role)) {
        (Choice::Approve, Some(policy)) => {
            refusals.extend(justification_refusals(&policy.approval.justification, word.justification));
            if policy.approval.assurance.demands_more_than(&activation.terms.approver_assurance) {
                let more = authority::assurance_refusals(&policy.approval.assurance, approver, now);
                refusals.extend(more.into_iter().filter(|refusal| !refusals.contains(refusal)).collect::<Vec<_>>());
            }
            refusals.extend(policy_refusal(activation, ballot, policy, approver));
            refusals.extend(adjusted.and_then(|adjusted| adjustment_refusal(activation, ballot, adjusted, now)));
        }
        (Choice::Deny, Some(policy)) => {
            refusals.extend(justification_refusals(&policy.approval.justification, word.justification));
        }
        (Choice::Approve, None) => refusals.push(Refusal::PolicyChanged),
        (Choice::Deny, None) => {}
    }
    Refusals::none_of(refusals)?;

    let adjusted = adjusted.filter(|_| word.choice == Choice::Approve);
    let decided = Event::ActivationDecided {
        activation: activation.id,
        approver: approver.principal.clone(),
        stage: ballot.stage,
        choice: word.choice,
        adjusted: adjusted.map(|adjusted| adjusted.onto(asked(activation, ballot))),
    };
    let counted = settle::after(activation, std::slice::from_ref(&decided), now);
    let consequence = match word.choice {
        Choice::Approve => carried(case, &counted, now)?,
        Choice::Deny => refused(case, &counted, stage, now),
    };
    Ok(std::iter::once(decided).chain(consequence).collect())
}

/// Why this person may not vote now.
fn standing_refusals(
    case: &Case,
    activation: &Activation,
    ballot: &Ballot,
    stage: &Stage,
    approver: &Identity,
) -> Vec<Refusal> {
    if authority::is_locked(case) {
        return vec![Refusal::PrincipalLocked];
    }
    let today =
        case.policies.role(&activation.role).map_or(OwnRequest::Forbidden, |policy| policy.approval.own_request);
    let own_allowed = today == OwnRequest::Allowed && activation.terms.own_request == OwnRequest::Allowed;
    if approver.principal == activation.principal && !own_allowed {
        return vec![Refusal::SelfApproval];
    }
    if ballot.has_vote_of(&approver.principal) {
        return vec![Refusal::AlreadyDecided];
    }
    if authority::is_approver_in(stage, approver) {
        return Vec::new();
    }
    let other_stage = activation.terms.stages.iter().any(|stage| authority::is_approver_in(stage, approver));
    vec![if other_stage { Refusal::StageNotOpen } else { Refusal::NotAnApprover }]
}

/// Why today's policy no longer lets this approval count: it became stricter since the request was made.
fn policy_refusal(
    activation: &Activation,
    ballot: &Ballot,
    policy: &RolePolicy,
    approver: &Identity,
) -> Option<Refusal> {
    if matches!(activation.phase, Phase::Active { .. }) && policy.extension == ExtensionRule::None {
        return Some(Refusal::ExtensionForbidden);
    }
    let frozen = &activation.terms;
    let today = &policy.approval.stages;
    if today.is_empty() {
        return None;
    }
    let stricter = today.len() > frozen.stages.len()
        || today.iter().zip(&frozen.stages).any(|(today, frozen)| today.quorum > frozen.quorum)
        || policy.assurance.demands_more_than(&frozen.assurance);
    if stricter {
        return Some(Refusal::PolicyChanged);
    }
    let named_then = ballot.open_stage(frozen).is_some_and(|stage| authority::is_approver_in(stage, approver));
    let named_today = open_today(policy, ballot).is_none_or(|stage| authority::is_approver_in(stage, approver));
    (named_then && !named_today).then_some(Refusal::NotAnApprover)
}

/// What the ballot is about, as adjusted so far: of an extension, only the length by which the end shall move.
fn asked(activation: &Activation, ballot: &Ballot) -> Requested {
    match &activation.phase {
        Phase::Active { window, extension: Some(extension) } => ballot.adjusted().unwrap_or_else(|| {
            let before = window.clip(Timestamp::MAX);
            Requested { starts_at: None, duration: whole_seconds(before, extension.ends_at) }
        }),
        Phase::Pending(_) | Phase::Active { .. } | Phase::Ended { .. } => activation.agreed(),
    }
}

/// Why an approver's change is refused: it may only shorten, and only start later.
fn adjustment_refusal(activation: &Activation, ballot: &Ballot, adjusted: Adjusted, now: Timestamp) -> Option<Refusal> {
    let asked = asked(activation, ballot);
    let limits = activation.terms.activation;
    if let Some(given) = adjusted.duration {
        if given > asked.duration {
            return Some(Refusal::DurationAboveMaximum { max: asked.duration, given });
        }
        let min = limits.min.min(asked.duration);
        if given < min || given.as_seconds() == 0 {
            return Some(Refusal::DurationBelowMinimum { min, given });
        }
    }
    let given = adjusted.starts_at?;
    let runs_already = matches!(activation.phase, Phase::Active { .. });
    if runs_already || given < now || asked.starts_at.is_some_and(|asked| given < asked) {
        return Some(Refusal::StartInPast { given });
    }
    (given > now.plus(limits.start_ahead_max)).then_some(Refusal::StartTooFar { max: limits.start_ahead_max, given })
}

/// What follows when the last needed approval is there.
fn carried(case: &Case, activation: &Activation, now: Timestamp) -> Decided {
    let Some(ballot) = activation.ballot().filter(|ballot| ballot.is_carried(&activation.terms)) else {
        return Ok(Vec::new());
    };
    let eligibility = case.assignment.as_ref().filter(|eligibility| eligibility.stands(now));
    let eligible = eligibility.ok_or(Refusal::NotEligible)?.window;
    let policy = case.policies.role(&activation.role).ok_or(Refusal::PolicyChanged)?;
    let asked = asked(activation, ballot);
    match &activation.phase {
        Phase::Pending(_) => {
            let starts_at = asked.starts_at.map_or(now, |at| at.max(now));
            let longest = policy.activation.max.min(activation.terms.activation.max);
            let ends_at = eligible.clip(starts_at.plus(asked.duration.min(longest)));
            if ends_at <= starts_at {
                return Err(Refusal::NotEligible.into());
            }
            let window = Window::new(starts_at, ends_at);
            Ok(vec![Event::ActivationStarted { activation: activation.id, window }])
        }
        Phase::Active { window, extension: Some(_) } => {
            let before = window.clip(Timestamp::MAX);
            let total = policy.activation.total_max.min(activation.terms.activation.total_max);
            let after = eligible.clip(before.plus(asked.duration)).min(window.starts_at.plus(total));
            if after <= before {
                return Err(Refusal::NotEligible.into());
            }
            Ok(vec![Event::ActivationExtended { activation: activation.id, before, after }])
        }
        Phase::Active { extension: None, .. } | Phase::Ended { .. } => Ok(Vec::new()),
    }
}

/// The open stage as today's policy has it.
fn open_today<'p>(policy: &'p RolePolicy, ballot: &Ballot) -> Option<&'p Stage> {
    policy.approval.stages.get(usize::try_from(ballot.stage).ok()?)
}

/// What follows when enough approvers of the stage have refused, by its own terms or today's.
fn refused(case: &Case, activation: &Activation, stage: &Stage, now: Timestamp) -> Vec<Event> {
    let Some(ballot) = activation.ballot() else { return Vec::new() };
    let today = case.policies.role(&activation.role).and_then(|policy| open_today(policy, ballot));
    let threshold = today.map_or(stage.deny_threshold, |today| today.deny_threshold.min(stage.deny_threshold));
    if ballot.count(Choice::Deny) < usize::try_from(threshold).unwrap_or(usize::MAX) {
        return Vec::new();
    }
    let id = activation.id;
    match activation.phase {
        Phase::Active { .. } => vec![Event::ExtensionEnded { activation: id, ending: Ending::Denied, at: now }],
        Phase::Pending(_) | Phase::Ended { .. } => {
            vec![Event::ActivationEnded { activation: id, ending: Ending::Denied, at: now }]
        }
    }
}

fn whole_seconds(from: Timestamp, to: Timestamp) -> Span {
    Span::seconds(to.millis_since(from) / 1000)
}
