//! Loads what a decision may read, from the transaction that will hold its outcome.

use std::sync::Arc;

use redb::WriteTransaction;

use crate::domain::activation::Activation;
use crate::domain::assignment::{Assignment, AssignmentKind};
use crate::domain::command::{Caller, Command, Overdue};
use crate::domain::decide::Case;
use crate::domain::id::{ActivationId, AssignmentId};
use crate::domain::policy::Policies;
use crate::domain::principal::{Party, Principal};
use crate::domain::role::RoleId;
use crate::domain::standing::Lock;
use crate::store::append::Transaction;
use crate::store::{StoreError, rows};

impl Transaction {
    /// All that a decision on `command` may read.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn case(&self, caller: &Caller, command: &Command, policies: &Arc<Policies>) -> Result<Case, StoreError> {
        let source = &self.transaction;
        let position = self.head().position;
        let mut case = Case { policies: Arc::clone(policies), ..Case::default() };
        let own = caller.identity().map(|identity| &identity.principal);
        if let Some(identity) = caller.identity() {
            case.caller.push(rows::standing(source, &Party::Principal(identity.principal.clone()), position)?);
            for group in &identity.groups {
                case.caller.push(rows::standing(source, &Party::Group(group.clone()), position)?);
            }
        }
        case.subject_lock = case.caller.first().map_or(Lock::Open, |standing| standing.lock);
        case.pending = rows::pending_counts(source, own, asked_role(command))?;
        match command {
            Command::Assign { .. } | Command::RevokeCredentials { .. } => {}
            Command::ChangeAssignment { id, .. } | Command::RemoveAssignment { id, .. } => {
                case.assignment = self.assignment(*id)?;
                case.open = rows::open_behind(source, *id)?;
                case.standing = administrators(source)?;
                case.locked = locked(source, case.standing.iter().map(|assignment| &assignment.party))?;
            }
            Command::RequestActivation { role, .. } => {
                if let Some(own) = own {
                    case.open = rows::open_activations(source, Some(own), Some(role))?;
                }
            }
            Command::Decide { id, .. }
            | Command::Cancel { id }
            | Command::Deactivate { id }
            | Command::Extend { id, .. }
            | Command::Revoke { id, .. }
            | Command::SealUses { id, .. }
            | Command::Settle { overdue: Overdue::Activation(id) } => {
                (case.activation, case.assignment) = self.activation_and_eligibility(*id)?;
            }
            Command::Settle { overdue: Overdue::Assignment(id) } => {
                case.assignment = self.assignment(*id)?;
                case.open = rows::open_behind(source, *id)?;
            }
            Command::Lock { principal, .. } => {
                case.subject_lock = rows::lock(source, principal)?;
                case.open = rows::open_activations(source, Some(principal), None)?;
                case.standing = administrators(source)?;
                for assignment in assignments_of(source, principal)? {
                    if !case.standing.iter().any(|known| known.id == assignment.id) {
                        case.standing.push(assignment);
                    }
                }
                case.locked = locked(source, case.standing.iter().map(|assignment| &assignment.party))?;
            }
            Command::Unlock { principal, .. } => {
                case.subject_lock = rows::lock(source, principal)?;
            }
            Command::Erase { principal, .. } => case.notes = rows::notes_of(source, principal)?,
            Command::Reconcile { declared, .. } => {
                case.locked = locked(source, declared.iter().map(|declared| &declared.party))?;
                case.standing = rows::configured_assignments(source)?;
                for assignment in &case.standing {
                    case.open.extend(rows::open_behind(source, assignment.id)?);
                }
            }
        }
        Ok(case)
    }

    fn activation_and_eligibility(
        &self,
        id: ActivationId,
    ) -> Result<(Option<Activation>, Option<Assignment>), StoreError> {
        let activation = self.activation(id)?;
        let behind: Option<AssignmentId> = activation.as_ref().map(|activation| activation.eligibility);
        let assignment = behind.map(|id| self.assignment(id)).transpose()?.flatten();
        Ok((activation, assignment))
    }
}

/// The role whose waiting requests count.
const fn asked_role(command: &Command) -> Option<&RoleId> {
    match command {
        Command::RequestActivation { role, .. } => Some(role),
        Command::Assign { .. }
        | Command::ChangeAssignment { .. }
        | Command::RemoveAssignment { .. }
        | Command::Decide { .. }
        | Command::Cancel { .. }
        | Command::Deactivate { .. }
        | Command::Extend { .. }
        | Command::Revoke { .. }
        | Command::Lock { .. }
        | Command::Unlock { .. }
        | Command::RevokeCredentials { .. }
        | Command::Erase { .. }
        | Command::Reconcile { .. }
        | Command::Settle { .. }
        | Command::SealUses { .. } => None,
    }
}

/// Who of `parties` is locked.
fn locked<'p>(
    source: &WriteTransaction,
    parties: impl Iterator<Item = &'p Party>,
) -> Result<Vec<Principal>, StoreError> {
    let mut locked = Vec::new();
    for party in parties {
        if let Party::Principal(principal) = party
            && rows::lock(source, principal)? == Lock::Locked
        {
            locked.push(principal.clone());
        }
    }
    Ok(locked)
}

fn administrators(source: &WriteTransaction) -> Result<Vec<Assignment>, StoreError> {
    let role = RoleId::administrator();
    let kind = Some(AssignmentKind::Active);
    let found = rows::standing_assignments(source, kind, None, Some(&role), None, usize::MAX)?;
    Ok(found.into_iter().map(|placed| placed.item).collect())
}

fn assignments_of(source: &WriteTransaction, principal: &Principal) -> Result<Vec<Assignment>, StoreError> {
    let party = Party::Principal(principal.clone());
    let found = rows::standing_assignments(source, None, Some(&party), None, None, usize::MAX)?;
    Ok(found.into_iter().map(|placed| placed.item).collect())
}
