//! Bringing the assignments that configuration declares in line with it, as ordinary events.

use crate::domain::activation::Activation;
use crate::domain::assignment::{Assignment, AssignmentKind, Origin};
use crate::domain::command::Declared;
use crate::domain::decide::{Case, assignment};
use crate::domain::event::Event;
use crate::domain::time::{Timestamp, Window};

/// What must happen so that the standing assignments made by configuration are those `declared`. What an administrator
/// made is left alone.
pub(super) fn reconcile(case: &Case, declared: &[Declared], digest: &str, now: Timestamp) -> Vec<Event> {
    let applied = Event::ConfigurationApplied { digest: digest.to_owned() };
    let made: Vec<_> = case.standing.iter().filter(|made| made.origin == Origin::Configuration).collect();
    let gone = made
        .iter()
        .filter(|made| !declared.iter().any(|declared| declared.is(made)))
        .flat_map(|gone| assignment::removal(gone, &behind(case, gone), now));
    let kept = declared.iter().flat_map(|declared| match made.iter().find(|made| declared.is(made)) {
        Some(standing) => adjusted(case, standing, declared, now),
        // who is locked holds nothing, and unlocking gives nothing back by itself
        None if declared.kind == AssignmentKind::Active && case.is_locked(&declared.party) => Vec::new(),
        None => newly_made(declared, now).into_iter().collect(),
    });
    std::iter::once(applied).chain(gone).chain(kept).collect()
}

fn newly_made(declared: &Declared, now: Timestamp) -> Option<Event> {
    let window = Window { starts_at: declared.starts_at.unwrap_or(now), ends_at: declared.ends_at };
    let is_over = window.is_over(now) || window.ends_at.is_some_and(|end| end <= window.starts_at);
    (!is_over).then(|| Event::AssignmentMade {
        assignment: Assignment {
            id: declared.id,
            kind: declared.kind,
            role: declared.role.clone(),
            party: declared.party.clone(),
            window,
            origin: Origin::Configuration,
            ended: None,
        },
    })
}

fn adjusted(case: &Case, standing: &Assignment, declared: &Declared, now: Timestamp) -> Vec<Event> {
    let starts_at = declared.starts_at.unwrap_or(standing.window.starts_at);
    let window = Window { starts_at, ends_at: declared.ends_at };
    if window == standing.window {
        return Vec::new();
    }
    let changed = Event::AssignmentChanged { assignment: standing.id, before: standing.window, after: window };
    std::iter::once(changed).chain(assignment::within(&behind(case, standing), &window, now)).collect()
}

fn behind(case: &Case, assignment: &Assignment) -> Vec<Activation> {
    case.open.iter().filter(|activation| activation.eligibility == assignment.id).cloned().collect()
}
