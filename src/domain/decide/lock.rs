//! Locking a principal: everything it holds ends at once, and it is refused everything until it is unlocked.

use crate::domain::activation::Ending;
use crate::domain::assignment::{Assignment, AssignmentEnding, AssignmentKind};
use crate::domain::command::Caller;
use crate::domain::decide::text::reason_refusals;
use crate::domain::decide::{Case, Decided, assignment, authority, settle};
use crate::domain::event::Event;
use crate::domain::policy::Need;
use crate::domain::principal::{Party, Principal};
use crate::domain::refusal::{Refusal, Refusals};
use crate::domain::standing::Lock;
use crate::domain::time::Timestamp;

pub(super) fn lock(
    case: &Case,
    caller: &Caller,
    principal: &Principal,
    justification: Option<&str>,
    now: Timestamp,
) -> Decided {
    Refusals::none_of(refusals(case, caller, justification, now))?;
    if case.subject_lock == Lock::Locked {
        return Ok(Vec::new());
    }
    let party = Party::Principal(principal.clone());
    let own = case.standing.iter().filter(|assignment| assignment.party == party);
    let held: Vec<_> = own.filter(|assignment| assignment.kind == AssignmentKind::Active).collect();
    let administers = |assignment: &&Assignment| assignment::administers(case, assignment, now);
    if held.iter().any(administers) && !case.standing.iter().filter(administers).any(|other| other.party != party) {
        return Err(Refusal::LastAdministrator.into());
    }
    let locked = Event::PrincipalLocked { principal: principal.clone() };
    let assignments = held.into_iter().map(|held| assignment::ended(held, AssignmentEnding::Locked, now));
    let activations = settle::ending_all(&case.open, Ending::Locked, now);
    Ok(std::iter::once(locked).chain(assignments).chain(activations).collect())
}

/// Gives back the right to ask. What the lock ended stays ended; what configuration declares comes back when it is read
/// the next time.
pub(super) fn unlock(
    case: &Case,
    caller: &Caller,
    principal: &Principal,
    justification: Option<&str>,
    now: Timestamp,
) -> Decided {
    Refusals::none_of(refusals(case, caller, justification, now))?;
    Ok(match case.subject_lock {
        Lock::Open => Vec::new(),
        Lock::Locked => vec![Event::PrincipalUnlocked { principal: principal.clone() }],
    })
}

fn refusals(case: &Case, caller: &Caller, justification: Option<&str>, now: Timestamp) -> Vec<Refusal> {
    let mut refusals = authority::administrator_refusals(case, caller, now);
    if refusals.is_empty() {
        refusals = reason_refusals(Need::Required, justification);
    }
    refusals
}
