//! Asking to activate a role.

use crate::domain::activation::{Phase, Requested};
use crate::domain::command::Caller;
use crate::domain::decide::settle::{after, overdue_events};
use crate::domain::decide::text::{justification_refusals, ticket_refusals};
use crate::domain::decide::{Case, Decided, authority};
use crate::domain::event::Event;
use crate::domain::id::ActivationId;
use crate::domain::identity::Identity;
use crate::domain::policy::RolePolicy;
use crate::domain::principal::Group;
use crate::domain::refusal::{Refusal, Refusals};
use crate::domain::role::RoleId;
use crate::domain::standing::Eligible;
use crate::domain::time::{Span, Timestamp, Window};

/// What is asked for.
pub(super) struct Wish<'c> {
    pub(super) id: ActivationId,
    pub(super) role: &'c RoleId,
    pub(super) duration: Option<Span>,
    pub(super) starts_at: Option<Timestamp>,
    pub(super) justification: Option<&'c str>,
    pub(super) ticket: Option<&'c str>,
}

/// A start this little in the past means now: it took a moment to get here.
pub(super) const START_GRACE: Span = Span::seconds(60);

pub(super) fn request(case: &Case, caller: &Caller, wish: &Wish<'_>, now: Timestamp) -> Decided {
    let identity = caller.identity().ok_or(Refusal::NotHolder)?;
    if authority::is_locked(case) {
        return Err(Refusal::PrincipalLocked.into());
    }
    // who may not activate the role at all learns nothing of it, not even whether it exists
    let known = case.policies.role(wish.role).filter(|_| has_any_eligibility(case, wish.role, now));
    let policy = known.ok_or(Refusal::NotEligible)?;

    let mut events = Vec::new();
    let mut windows = Vec::new();
    let mut pending = None;
    for open in &case.open {
        let overdue = overdue_events(open, now);
        let settled = after(open, &overdue, now);
        events.extend(overdue);
        match settled.phase {
            Phase::Pending(_) => pending = Some(settled.id),
            Phase::Active { window, .. } => windows.push(window),
            Phase::Ended { .. } => {}
        }
    }

    let duration = wish.duration.unwrap_or(policy.activation.default);
    let window = window_after(&mut windows, wish.starts_at, duration, now);
    let eligibility = eligibility(case, identity, wish.role, &window, now);

    let mut refusals = Vec::new();
    if eligibility.is_none() {
        refusals.push(Refusal::NotEligible);
    }
    refusals.extend(duration_refusals(policy, duration));
    refusals.extend(start_refusal(policy, wish.starts_at, &window, &windows, now));
    refusals.extend(justification_refusals(&policy.justification, wish.justification));
    refusals.extend(ticket_refusals(&policy.ticket, wish.ticket));
    refusals.extend(authority::assurance_refusals(&policy.assurance, identity, now));
    refusals.extend(pending.map(|activation| Refusal::AlreadyPending { activation }));
    let waiting = if policy.approval.stages.is_empty() { None } else { too_many_pending(case) };
    refusals.extend(waiting.or_else(|| too_many_scheduled(case, &windows, now)));
    Refusals::none_of(refusals)?;
    let (eligible, via) = eligibility.ok_or(Refusal::NotEligible)?;

    events.push(Event::ActivationRequested {
        activation: wish.id,
        principal: identity.principal.clone(),
        role: wish.role.clone(),
        eligibility: eligible.assignment,
        via,
        requested: Requested { starts_at: (window.starts_at > now).then_some(window.starts_at), duration },
        lapses_at: now.plus(policy.pending_after),
        terms: Box::new(policy.terms()),
    });
    if policy.approval.stages.is_empty() {
        events.push(Event::ActivationStarted { activation: wish.id, window });
    }
    Ok(events)
}

/// The window asked for, moved behind those in which the role is held already: no overlap, no gap.
fn window_after(held: &mut [Window], starts_at: Option<Timestamp>, duration: Span, now: Timestamp) -> Window {
    held.sort_by_key(|window| window.starts_at);
    let wished = starts_at.map_or(now, |at| at.max(now));
    let starts_at = held.iter().fold(wished, |start, window| {
        let overlaps = window.starts_at < start.plus(duration) && !window.is_over(start);
        if overlaps { window.clip(Timestamp::MAX) } else { start }
    });
    Window::new(starts_at, starts_at.plus(duration))
}

fn has_any_eligibility(case: &Case, role: &RoleId, now: Timestamp) -> bool {
    let for_role = |eligible: &&Eligible| eligible.role == *role && !eligible.window.is_over(now);
    case.caller.iter().flat_map(|standing| &standing.eligible).any(|eligible| for_role(&eligible))
}

/// The eligible assignment that stands now and covers the whole window, and the group it came through: the principal's
/// own before a group's, the one that lasts longest first.
fn eligibility<'c>(
    case: &'c Case,
    identity: &Identity,
    role: &RoleId,
    window: &Window,
    now: Timestamp,
) -> Option<(&'c Eligible, Option<Group>)> {
    let ways = std::iter::once(None).chain(identity.groups.iter().cloned().map(Some));
    case.caller.iter().zip(ways).find_map(|(standing, via)| {
        let eligible = standing
            .eligible
            .iter()
            .filter(|eligible| eligible.role == *role)
            .filter(|eligible| eligible.window.contains(now) && eligible.window.covers(window))
            .max_by_key(|eligible| (eligible.window.clip(Timestamp::MAX), eligible.assignment))?;
        Some((eligible, via))
    })
}

pub(super) fn duration_refusals(policy: &RolePolicy, given: Span) -> Vec<Refusal> {
    let limits = policy.activation;
    if given < limits.min {
        vec![Refusal::DurationBelowMinimum { min: limits.min, given }]
    } else if given > limits.max {
        vec![Refusal::DurationAboveMaximum { max: limits.max, given }]
    } else {
        Vec::new()
    }
}

/// What is wrong with the start. The limit ahead holds for the window as it was moved behind others, or requests could be
/// lined up without end; only what follows at once on the role held now may begin later.
fn start_refusal(
    policy: &RolePolicy,
    wished: Option<Timestamp>,
    window: &Window,
    held: &[Window],
    now: Timestamp,
) -> Option<Refusal> {
    if let Some(given) = wished.filter(|given| *given < now.minus(START_GRACE)) {
        return Some(Refusal::StartInPast { given });
    }
    let (given, max) = (window.starts_at, policy.activation.start_ahead_max);
    let follows = held.iter().any(|held| held.contains(now) && held.ends_at == Some(given));
    (given > now.plus(max) && !follows).then_some(Refusal::StartTooFar { max, given })
}

/// Activations that have yet to begin wait as well: no more of one role than requests of one principal.
fn too_many_scheduled(case: &Case, held: &[Window], now: Timestamp) -> Option<Refusal> {
    let max = case.policies.limits().per_principal;
    let scheduled = held.iter().filter(|window| now < window.starts_at).count();
    (scheduled >= max).then_some(Refusal::TooManyPending { max })
}

fn too_many_pending(case: &Case) -> Option<Refusal> {
    let limits = case.policies.limits();
    [
        (case.pending.of_principal, limits.per_principal),
        (case.pending.of_role, limits.per_role),
        (case.pending.total, limits.total),
    ]
    .into_iter()
    .find(|(waiting, max)| waiting >= max)
    .map(|(_, max)| Refusal::TooManyPending { max })
}
