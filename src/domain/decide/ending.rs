//! Ending a case before time does: cancel, deactivate, revoke.

use crate::domain::activation::{Activation, Ending, Phase};
use crate::domain::command::Caller;
use crate::domain::decide::text::reason_refusals;
use crate::domain::decide::{Case, Decided, authority};
use crate::domain::event::Event;
use crate::domain::policy::Need;
use crate::domain::refusal::{Refusal, Refusals};
use crate::domain::role::RoleId;
use crate::domain::time::Timestamp;

/// Withdraws a pending request or a pending extension: its requester may, and administrators.
pub(super) fn cancel(case: &Case, activation: &Activation, caller: &Caller, now: Timestamp) -> Decided {
    visible(case, activation, caller, now)?;
    if !is_holder(activation, caller) && !authority::administrator_refusals(case, caller, now).is_empty() {
        return Err(Refusal::NotHolder.into());
    }
    let id = activation.id;
    match &activation.phase {
        Phase::Pending(_) => Ok(vec![ended(activation, Ending::Cancelled, now)]),
        Phase::Active { extension: Some(_), .. } => {
            Ok(vec![Event::ExtensionEnded { activation: id, ending: Ending::Cancelled, at: now }])
        }
        Phase::Active { extension: None, .. } => Err(Refusal::NotPending.into()),
        Phase::Ended { ending, .. } => Err(Refusal::AlreadyEnded { ending: Some(*ending) }.into()),
    }
}

/// Hands a role back, at any moment: its holder may, also before the window begins and while locked.
pub(super) fn deactivate(case: &Case, activation: &Activation, caller: &Caller, now: Timestamp) -> Decided {
    visible(case, activation, caller, now)?;
    if !is_holder(activation, caller) {
        return Err(Refusal::NotHolder.into());
    }
    match &activation.phase {
        Phase::Active { .. } => Ok(vec![ended(activation, Ending::Deactivated, now)]),
        Phase::Pending(_) => Err(Refusal::NotActive.into()),
        Phase::Ended { ending, .. } => Err(Refusal::AlreadyEnded { ending: Some(*ending) }.into()),
    }
}

/// Takes a pending or active role away: administrators may, and approvers of the role.
pub(super) fn revoke(
    case: &Case,
    activation: &Activation,
    caller: &Caller,
    justification: Option<&str>,
    now: Timestamp,
) -> Decided {
    visible(case, activation, caller, now)?;
    let mut refusals = revoker_refusals(case, activation, caller, now);
    refusals.extend(reason_refusals(Need::Optional, justification));
    if let Phase::Ended { ending, .. } = &activation.phase {
        refusals.push(Refusal::AlreadyEnded { ending: Some(*ending) });
    }
    Refusals::none_of(refusals)?;
    Ok(vec![ended(activation, Ending::Revoked, now)])
}

fn revoker_refusals(case: &Case, activation: &Activation, caller: &Caller, now: Timestamp) -> Vec<Refusal> {
    let Some(identity) = caller.identity() else { return Vec::new() };
    if authority::is_locked(case) {
        return vec![Refusal::PrincipalLocked];
    }
    // taking a right away is never made to wait for a stronger sign-in
    let administrator = authority::holds(&case.caller, identity, &RoleId::administrator(), now);
    let approver = authority::is_approver_of(case, activation, identity);
    if administrator || approver { Vec::new() } else { vec![Refusal::NotAdministrator] }
}

fn visible(case: &Case, activation: &Activation, caller: &Caller, now: Timestamp) -> Result<(), Refusals> {
    if authority::may_see(case, activation, caller, now) { Ok(()) } else { Err(Refusal::Unknown.into()) }
}

pub(super) fn is_holder(activation: &Activation, caller: &Caller) -> bool {
    caller.identity().is_some_and(|identity| identity.principal == activation.principal)
}

const fn ended(activation: &Activation, ending: Ending, at: Timestamp) -> Event {
    Event::ActivationEnded { activation: activation.id, ending, at }
}
