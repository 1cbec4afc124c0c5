//! What time alone makes true: lapsed, expired. Written down after the fact; no verdict waits for it.

use crate::domain::activation::{Activation, Ending, Phase};
use crate::domain::assignment::AssignmentEnding;
use crate::domain::decide::{Case, Decided};
use crate::domain::event::Event;
use crate::domain::id::ActivationId;
use crate::domain::refusal::Refusal;
use crate::domain::time::Timestamp;

/// The events that time has made true of `activation` by `now`, in order.
#[must_use]
pub fn overdue_events(activation: &Activation, now: Timestamp) -> Vec<Event> {
    let id = activation.id;
    match &activation.phase {
        Phase::Pending(ballot) if ballot.lapses_at <= now => {
            vec![Event::ActivationEnded { activation: id, ending: Ending::Lapsed, at: ballot.lapses_at }]
        }
        Phase::Active { window, extension } => {
            let lapsed = extension.as_ref().filter(|extension| window.clip(extension.ballot.lapses_at) <= now);
            let expired = window.ends_at.filter(|end| *end <= now);
            lapsed
                .map(|extension| Event::ExtensionEnded {
                    activation: id,
                    ending: Ending::Lapsed,
                    at: window.clip(extension.ballot.lapses_at),
                })
                .into_iter()
                .chain(expired.map(|at| Event::ActivationEnded { activation: id, ending: Ending::Expired, at }))
                .collect()
        }
        Phase::Pending(_) | Phase::Ended { .. } => Vec::new(),
    }
}

/// `activation` as `events` leave it. Events that do not fold leave it as it was: the store will refuse them.
pub(super) fn after(activation: &Activation, events: &[Event], now: Timestamp) -> Activation {
    events.iter().fold(activation.clone(), |case, event| {
        Activation::apply(Some(case.clone()), event, now).ok().flatten().unwrap_or(case)
    })
}

/// Writes down what time has made true of the activation or assignment in `case`.
pub(super) fn settle(case: &Case, now: Timestamp) -> Vec<Event> {
    if let Some(activation) = &case.activation {
        return overdue_events(activation, now);
    }
    match &case.assignment {
        Some(assignment) if assignment.is_overdue(now) => {
            let at = assignment.window.clip(now);
            // activations behind it end no later by themselves, and requests are looked at when somebody approves:
            // whether this was written down in time changes nothing
            vec![Event::AssignmentEnded { assignment: assignment.id, ending: AssignmentEnding::Expired, at }]
        }
        Some(_) | None => Vec::new(),
    }
}

/// The ends of `open` activations whose eligibility goes away at `now`; what time had ended before, time ended.
pub(super) fn losing_eligibility(open: &[Activation], now: Timestamp) -> Vec<Event> {
    ending_all(open, Ending::EligibilityLost, now)
}

/// Ends all `open` activations at `now`; those that time had ended before are written down as such.
pub(super) fn ending_all(open: &[Activation], ending: Ending, now: Timestamp) -> Vec<Event> {
    open.iter()
        .flat_map(|activation| {
            let mut events = overdue_events(activation, now);
            if !after(activation, &events, now).is_ended() {
                events.push(Event::ActivationEnded { activation: activation.id, ending, at: now });
            }
            events
        })
        .collect()
}

/// Seals the count of requests made under an ended activation, once.
pub(super) fn seal(case: &Case, id: ActivationId, count: u64, digest: &str) -> Decided {
    match case.activation.as_ref().map(|activation| &activation.phase) {
        Some(Phase::Ended { uses: None, .. }) => {
            Ok(vec![Event::UsesSealed { activation: id, count, digest: digest.to_owned() }])
        }
        Some(Phase::Ended { uses: Some(_), ending, .. }) => Err(Refusal::AlreadyEnded { ending: Some(*ending) }.into()),
        Some(Phase::Pending(_) | Phase::Active { .. }) => Err(Refusal::NotActive.into()),
        None => Err(Refusal::Unknown.into()),
    }
}
