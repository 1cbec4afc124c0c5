//! A command, the rows it may depend on and the time become events, or all the refusals at once.
//!
//! Pure: whoever calls it loads the [`Case`] inside the transaction that will hold the outcome, so that a decision is
//! never made on rows that have moved on.

mod assignment;
pub mod authority;
mod ballot;
mod credentials;
mod ending;
mod erasure;
mod extension;
mod lock;
mod reconcile;
mod request;
mod settle;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;

use crate::domain::activation::Activation;
use crate::domain::assignment::Assignment;
use crate::domain::command::{Caller, Command};
use crate::domain::event::Event;
use crate::domain::policy::Policies;
use crate::domain::principal::{Party, Principal};
use crate::domain::refusal::{Refusal, Refusals};
use crate::domain::standing::{Lock, Position, Standing};
use crate::domain::time::Timestamp;

pub use settle::overdue_events;

/// All that a decision may read: loaded by the store inside the transaction that will hold the outcome.
#[derive(Debug, Clone, Default)]
pub struct Case {
    /// Settings of all roles.
    pub policies: Arc<Policies>,
    /// Standings of the caller: its own, then those of its groups in the identity's order. Empty for configuration and
    /// hallpass itself.
    pub caller: Vec<Standing>,
    /// The activation the command names, when there is one.
    pub activation: Option<Activation>,
    /// The assignment the command names, or that stands behind the activation.
    pub assignment: Option<Assignment>,
    /// Open activations that the command may touch: those behind an assignment, those of a locked principal, or the
    /// caller's own for the role asked for.
    pub open: Vec<Activation>,
    /// Standing assignments the command must know: administrators, those of a locked principal, those configuration made.
    pub standing: Vec<Assignment>,
    /// How many requests wait.
    pub pending: PendingCounts,
    /// Whether the principal the command is about is locked.
    pub subject_lock: Lock,
    /// The instant before which credentials of the principal count no more whose credentials the command revokes.
    pub subject_credentials_since: Option<Timestamp>,
    /// The records whose notes are of the principal the command is about, oldest first.
    pub notes: Vec<Position>,
    /// Who is locked of those with a standing or declared assignment the command must know.
    pub locked: Vec<Principal>,
}

impl Case {
    /// Whether `party` is known to be locked; groups never are.
    fn is_locked(&self, party: &Party) -> bool {
        matches!(party, Party::Principal(principal) if self.locked.contains(principal))
    }
}

/// How many requests wait at this moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct PendingCounts {
    /// Of the caller.
    pub of_principal: usize,
    /// Of the role asked for.
    pub of_role: usize,
    /// Of all.
    pub total: usize,
}

/// What a decision comes to.
pub type Decided = Result<Vec<Event>, Refusals>;

/// Decides `command`. The events are in order and fold onto the rows of `case`; none means that it is so already.
///
/// # Errors
/// All rules the command breaks.
pub fn decide(case: &Case, caller: &Caller, command: &Command, now: Timestamp) -> Decided {
    if caller.identity().zip(case.caller.first()).is_some_and(|(identity, own)| !own.believes(identity)) {
        return Err(Refusal::CredentialRevoked.into());
    }
    match command {
        Command::RequestActivation { id, role, duration, starts_at, justification, ticket, wanted: _ } => {
            let wish = request::Wish {
                id: *id,
                role,
                duration: *duration,
                starts_at: *starts_at,
                justification: justification.as_deref(),
                ticket: ticket.as_deref(),
            };
            request::request(case, caller, &wish, now)
        }
        Command::Decide { choice, revision, adjusted, justification, .. } => {
            let word = ballot::Word {
                choice: *choice,
                revision: *revision,
                adjusted: *adjusted,
                justification: justification.as_deref(),
            };
            on_activation(case, now, |case, activation| ballot::decide(case, activation, caller, &word, now))
        }
        Command::Cancel { .. } => {
            on_activation(case, now, |case, activation| ending::cancel(case, activation, caller, now))
        }
        Command::Deactivate { .. } => {
            on_activation(case, now, |case, activation| ending::deactivate(case, activation, caller, now))
        }
        Command::Revoke { justification, .. } => on_activation(case, now, |case, activation| {
            ending::revoke(case, activation, caller, justification.as_deref(), now)
        }),
        Command::Extend { duration, justification, .. } => on_activation(case, now, |case, activation| {
            extension::extend(case, activation, caller, *duration, justification.as_deref(), now)
        }),
        Command::Assign { id, kind, role, party, starts_at, ends_at, justification } => {
            let wish = assignment::Wish { id: *id, kind: *kind, role, party, starts_at: *starts_at, ends_at: *ends_at };
            assignment::assign(case, caller, &wish, justification.as_deref(), now)
        }
        Command::ChangeAssignment { window, justification, .. } => {
            assignment::change(case, caller, *window, justification.as_deref(), now)
        }
        Command::RemoveAssignment { justification, .. } => {
            assignment::remove(case, caller, justification.as_deref(), now)
        }
        Command::Lock { principal, justification } => {
            lock::lock(case, caller, principal, justification.as_deref(), now)
        }
        Command::Unlock { principal, justification } => {
            lock::unlock(case, caller, principal, justification.as_deref(), now)
        }
        Command::RevokeCredentials { principal, justification } => {
            credentials::revoke(case, caller, principal, justification.as_deref(), now)
        }
        Command::Erase { principal, justification } => {
            erasure::erase(case, caller, principal, justification.as_deref(), now)
        }
        Command::Reconcile { declared, digest } => match caller {
            Caller::Configuration => Ok(reconcile::reconcile(case, declared, digest, now)),
            Caller::Identity(_) | Caller::Hallpass => Err(Refusal::NotAdministrator.into()),
        },
        Command::Settle { .. } => match caller {
            Caller::Hallpass => Ok(settle::settle(case, now)),
            Caller::Identity(_) | Caller::Configuration => Err(Refusal::NotAdministrator.into()),
        },
        Command::SealUses { id, count, digest } => match caller {
            Caller::Hallpass => settle::seal(case, *id, *count, digest),
            Caller::Identity(_) | Caller::Configuration => Err(Refusal::NotAdministrator.into()),
        },
    }
}

/// Writes down first what time has made true of the named activation, then decides on what is left of it.
fn on_activation(case: &Case, now: Timestamp, decide: impl FnOnce(&Case, &Activation) -> Decided) -> Decided {
    let activation = case.activation.as_ref().ok_or(Refusal::Unknown)?;
    let mut events = overdue_events(activation, now);
    let settled = settle::after(activation, &events, now);
    events.extend(decide(case, &settled)?);
    Ok(events)
}
