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
use crate::store::vouched::Vouched;
use crate::store::{StoreError, rows};

impl Transaction {
    /// All that a decision on `command` may read.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn case(&self, caller: &Caller, command: &Command, policies: &Arc<Policies>) -> Result<Case, StoreError> {
        let source = &self.vouched();
        let position = self.head().position;
        let mut case = Case { policies: Arc::clone(policies), ..Case::default() };
        let own = caller.identity().map(|identity| &identity.principal);
        if let Some(identity) = caller.identity() {
            case.caller.push(source.standing(&Party::Principal(identity.principal.clone()), position)?);
            for group in &identity.groups {
                case.caller.push(source.standing(&Party::Group(group.clone()), position)?);
            }
        }
        case.subject_lock = case.caller.first().map_or(Lock::Open, |standing| standing.lock);
        case.pending = rows::pending_counts(&self.transaction, own, asked_role(command))?;
        match command {
            Command::Assign { .. } => {}
            Command::RevokeCredentials { principal, .. } => {
                let subject = source.standing(&Party::Principal(principal.clone()), position)?;
                case.subject_credentials_since = subject.credentials_since;
            }
            Command::ChangeAssignment { id, .. } | Command::RemoveAssignment { id, .. } => {
                case.assignment = self.assignment(*id)?;
                case.open = source.open_behind(*id)?;
                case.standing = administrators(source)?;
                case.locked = locked(source, case.standing.iter().map(|assignment| &assignment.party))?;
            }
            Command::RequestActivation { role, .. } => {
                if let Some(own) = own {
                    case.open = source.open_activations(own, Some(role))?;
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
                case.open = source.open_behind(*id)?;
            }
            Command::Lock { principal, .. } => {
                case.subject_lock = source.lock(principal)?;
                case.open = source.open_activations(principal, None)?;
                case.standing = administrators(source)?;
                for assignment in assignments_of(source, principal)? {
                    if !case.standing.iter().any(|known| known.id == assignment.id) {
                        case.standing.push(assignment);
                    }
                }
                case.locked = locked(source, case.standing.iter().map(|assignment| &assignment.party))?;
            }
            Command::Unlock { principal, .. } => {
                case.subject_lock = source.lock(principal)?;
            }
            Command::Erase { principal, .. } => case.notes = rows::notes_of(&self.transaction, principal)?,
            Command::Reconcile { declared, .. } => {
                case.locked = locked(source, declared.iter().map(|declared| &declared.party))?;
                case.standing = source.configured_assignments()?;
                for assignment in &case.standing {
                    case.open.extend(source.open_behind(assignment.id)?);
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
    source: &Vouched<'_, WriteTransaction>,
    parties: impl Iterator<Item = &'p Party>,
) -> Result<Vec<Principal>, StoreError> {
    let mut locked = Vec::new();
    for party in parties {
        if let Party::Principal(principal) = party
            && source.lock(principal)? == Lock::Locked
        {
            locked.push(principal.clone());
        }
    }
    Ok(locked)
}

fn administrators(source: &Vouched<'_, WriteTransaction>) -> Result<Vec<Assignment>, StoreError> {
    let role = RoleId::administrator();
    source.standing_assignments(&[AssignmentKind::Active], None, Some(&role))
}

fn assignments_of(
    source: &Vouched<'_, WriteTransaction>,
    principal: &Principal,
) -> Result<Vec<Assignment>, StoreError> {
    let party = Party::Principal(principal.clone());
    source.standing_assignments(&[AssignmentKind::Eligible, AssignmentKind::Active], Some(&party), None)
}
