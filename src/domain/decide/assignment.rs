//! Making, changing and removing eligible and active assignments: administrators' work.

use crate::domain::activation::Activation;
use crate::domain::assignment::{Assignment, AssignmentEnding, AssignmentKind, Origin};
use crate::domain::command::Caller;
use crate::domain::decide::request::START_GRACE;
use crate::domain::decide::text::reason_refusals;
use crate::domain::decide::{Case, Decided, authority, settle};
use crate::domain::event::Event;
use crate::domain::id::AssignmentId;
use crate::domain::policy::{AssignmentLimits, Need, Permanence};
use crate::domain::principal::Party;
use crate::domain::refusal::{Refusal, Refusals};
use crate::domain::role::RoleId;
use crate::domain::time::{Span, Timestamp, Window};

/// The assignment asked for.
pub(super) struct Wish<'c> {
    pub(super) id: AssignmentId,
    pub(super) kind: AssignmentKind,
    pub(super) role: &'c RoleId,
    pub(super) party: &'c Party,
    pub(super) starts_at: Option<Timestamp>,
    pub(super) ends_at: Option<Timestamp>,
}

pub(super) fn assign(
    case: &Case,
    caller: &Caller,
    wish: &Wish<'_>,
    justification: Option<&str>,
    now: Timestamp,
) -> Decided {
    Refusals::none_of(authority::administrator_refusals(case, caller, now))?;
    let window = Window { starts_at: wish.starts_at.unwrap_or(now), ends_at: wish.ends_at };
    let mut refusals = window_refusals(case, wish.kind, wish.role, &window, now);
    if window.starts_at < now.minus(START_GRACE) {
        refusals.push(Refusal::StartInPast { given: window.starts_at });
    }
    refusals.extend(reason_refusals(need_of(wish.kind), justification));
    Refusals::none_of(refusals)?;
    let assignment = Assignment {
        id: wish.id,
        kind: wish.kind,
        role: wish.role.clone(),
        party: wish.party.clone(),
        window: Window { starts_at: window.starts_at.max(now), ..window },
        origin: Origin::Administrator,
        ended: None,
    };
    Ok(vec![Event::AssignmentMade { assignment }])
}

pub(super) fn change(
    case: &Case,
    caller: &Caller,
    window: Window,
    justification: Option<&str>,
    now: Timestamp,
) -> Decided {
    Refusals::none_of(authority::administrator_refusals(case, caller, now))?;
    let assignment = standing_assignment(case, now)?;
    let mut refusals = window_refusals(case, assignment.kind, &assignment.role, &window, now);
    if assignment.origin == Origin::Configuration {
        refusals.push(Refusal::DeclaredInConfiguration);
    }
    if !window.contains(now) && is_last_administrator(case, assignment, now) {
        refusals.push(Refusal::LastAdministrator);
    }
    refusals.extend(reason_refusals(need_of(assignment.kind), justification));
    Refusals::none_of(refusals)?;
    let changed = Event::AssignmentChanged { assignment: assignment.id, before: assignment.window, after: window };
    Ok(std::iter::once(changed).chain(within(&case.open, &window, now)).collect())
}

pub(super) fn remove(case: &Case, caller: &Caller, justification: Option<&str>, now: Timestamp) -> Decided {
    Refusals::none_of(authority::administrator_refusals(case, caller, now))?;
    let assignment = standing_assignment(case, now)?;
    let mut refusals = reason_refusals(Need::Optional, justification);
    if assignment.origin == Origin::Configuration {
        refusals.push(Refusal::DeclaredInConfiguration);
    }
    if is_last_administrator(case, assignment, now) {
        refusals.push(Refusal::LastAdministrator);
    }
    Refusals::none_of(refusals)?;
    Ok(removal(assignment, &case.open, now))
}

/// The end of an assignment, and of what stood on it.
pub(super) fn removal(assignment: &Assignment, open: &[Activation], now: Timestamp) -> Vec<Event> {
    let removed = ended(assignment, AssignmentEnding::Removed, now);
    std::iter::once(removed).chain(settle::losing_eligibility(open, now)).collect()
}

/// The end of an assignment at `now`; what time had ended before, time ended.
pub(super) fn ended(assignment: &Assignment, ending: AssignmentEnding, now: Timestamp) -> Event {
    let (ending, at) = if assignment.is_overdue(now) {
        (AssignmentEnding::Expired, assignment.window.clip(now))
    } else {
        (ending, now)
    };
    Event::AssignmentEnded { assignment: assignment.id, ending, at }
}

/// Brings activations inside the new window of their eligible assignment: shortened where it ends earlier, ended where
/// it does not hold now.
pub(super) fn within(open: &[Activation], eligible: &Window, now: Timestamp) -> Vec<Event> {
    if !eligible.contains(now) {
        return settle::losing_eligibility(open, now);
    }
    open.iter()
        .filter_map(|activation| {
            let window = activation.window().filter(|window| !window.is_over(now))?;
            let before = window.ends_at?;
            let after = eligible.clip(before);
            if after >= before {
                None
            } else if after <= window.starts_at {
                Some(settle::losing_eligibility(std::slice::from_ref(activation), now))
            } else {
                Some(vec![Event::ActivationShortened { activation: activation.id, before, after }])
            }
        })
        .flatten()
        .collect()
}

fn standing_assignment(case: &Case, now: Timestamp) -> Result<&Assignment, Refusals> {
    let assignment = case.assignment.as_ref().ok_or(Refusal::Unknown)?;
    if assignment.ended.is_some() || assignment.is_overdue(now) {
        return Err(Refusal::AlreadyEnded { ending: None }.into());
    }
    Ok(assignment)
}

fn window_refusals(case: &Case, kind: AssignmentKind, role: &RoleId, window: &Window, now: Timestamp) -> Vec<Refusal> {
    let Some(policy) = case.policies.role(role) else { return vec![Refusal::RoleUnknown] };
    let limits = match kind {
        AssignmentKind::Eligible => policy.eligible,
        AssignmentKind::Active => policy.active,
    };
    length_refusal(limits, window, now).into_iter().collect()
}

fn length_refusal(limits: AssignmentLimits, window: &Window, now: Timestamp) -> Option<Refusal> {
    let Some(ends_at) = window.ends_at else {
        return (limits.permanent == Permanence::Forbidden).then_some(Refusal::PermanentForbidden);
    };
    if ends_at <= window.starts_at || ends_at <= now {
        return Some(Refusal::WindowInvalid);
    }
    let given = Span::seconds(ends_at.millis_since(window.starts_at).div_ceil(1000));
    (given > limits.max).then_some(Refusal::DurationAboveMaximum { max: limits.max, given })
}

/// Whether nobody else would be administrator now.
fn is_last_administrator(case: &Case, assignment: &Assignment, now: Timestamp) -> bool {
    administers(case, assignment, now)
        && !case.standing.iter().any(|other| other.id != assignment.id && administers(case, other, now))
}

/// Whether an assignment makes its party administrator now; the locked hold nothing.
pub(super) fn administers(case: &Case, assignment: &Assignment, now: Timestamp) -> bool {
    assignment.kind == AssignmentKind::Active
        && assignment.role == RoleId::administrator()
        && assignment.stands(now)
        && !case.is_locked(&assignment.party)
}

/// Holding a role directly needs a stated reason; being allowed to ask for it does not.
const fn need_of(kind: AssignmentKind) -> Need {
    match kind {
        AssignmentKind::Eligible => Need::Optional,
        AssignmentKind::Active => Need::Required,
    }
}
