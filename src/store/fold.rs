//! Event → rows.
//!
//! Each activation and assignment has one row of its own, and index rows that follow from it alone. Folding an event
//! computes the index rows before and after, takes away what only the former has and writes what only the latter has: no
//! index row can outlive or predecease what it names.

use std::collections::BTreeSet;
use std::sync::Arc;

use redb::{ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::domain::activation::{Activation, Ending, Phase};
use crate::domain::assignment::{Assignment, AssignmentEnd};
use crate::domain::event::{Actor, Event, RecordRun};
use crate::domain::id::{ActivationId, CommandId};
use crate::domain::principal::{Party, Principal};
use crate::domain::role::RoleId;
use crate::domain::standing::Position;
use crate::domain::time::{Span, Timestamp};
use crate::journal::Record;
use crate::journal::record::{Digest, IdempotencyDigest, event_type};
use crate::store::StoreError;
use crate::store::index::{activation_indexes, assignment_indexes, move_indexes};
use crate::store::rows::{self, Placed};
use crate::store::seal::{self, Changes, Seals, Sum, View};
use crate::store::tables::{NOTES, Rows, Scope, Source, due_key, from_row, principal_key, to_row};
use crate::store::vouched::{Vouched, is_open, stands};

/// What folding has changed so far.
pub(super) struct Folded {
    /// Whose standing.
    pub(super) touched: BTreeSet<Party>,
    /// The sums of sealed rows.
    pub(super) changes: Changes,
    /// The sums before.
    pub(super) seals: Arc<Seals>,
}

impl Folded {
    /// Nothing yet, on rows with these seals.
    pub(super) fn new(seals: Arc<Seals>) -> Self {
        Self { touched: BTreeSet::new(), changes: Changes::new(), seals }
    }

    /// The rows of `source`, which holds all that was folded so far.
    pub(super) fn vouched<'f, S: Source>(&'f self, source: &'f S) -> Vouched<'f, S> {
        Vouched::new(source, &self.seals, View::Within(&self.changes))
    }

    /// A row came or went.
    pub(super) fn changed(&mut self, rows: Rows, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        if seal::is_sealed(rows) {
            let (group, row) = (seal::group(rows, key)?, self.seals.row(rows, key, value));
            let sum = self.changes.remove(&group).unwrap_or_default().with(row);
            // what came and went again takes no memory
            if sum != Sum::default() {
                self.changes.insert(group, sum);
            }
        }
        Ok(())
    }
}

/// What an idempotency key was used for, as a row.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UsedKey {
    pub(super) asked: Digest,
    pub(super) command: CommandId,
    pub(super) first: Position,
    pub(super) last: Position,
    pub(super) ends_at: Timestamp,
}

/// An idempotency key is remembered for so long.
const REMEMBERED: Span = Span::hours(24);
/// So many forgotten keys are swept with each record: more than a record can add, so that they never pile up.
const SWEPT: usize = 4;

/// Folds the record at `position`; what it changes is added to `folded`.
pub(super) fn fold(
    transaction: &WriteTransaction,
    position: Position,
    record: &Record,
    folded: &mut Folded,
) -> Result<(), StoreError> {
    sweep_keys(transaction, record.time)?;
    if let (Some(used), Actor::Principal { principal, .. }) = (&record.idempotency, &record.actor) {
        remember(transaction, principal, used, position, record)?;
    }
    let mut concerns = Concerns::default();
    if let Actor::Principal { principal, .. } = &record.actor {
        concerns.principal(principal);
    }
    match &record.event {
        Event::JournalOpened { .. }
        | Event::ConfigurationApplied { .. }
        | Event::KeyRotated { .. }
        | Event::AnchorConfirmed { .. }
        | Event::JournalSucceeded { .. }
        | Event::JournalCut { .. } => {}
        Event::AssignmentMade { assignment } => {
            let before = folded.vouched(transaction).assignment(assignment.id.to_bytes())?;
            if before.is_some() || assignment.ended.is_some() {
                return Err(StoreError::Stray(format!("assignment `{}` is made twice", assignment.id)));
            }
            let placed = Placed { position, item: assignment.clone() };
            write_assignment(transaction, None, &placed, &mut concerns, folded)?;
        }
        Event::AssignmentChanged { assignment, before, after } => {
            let old = standing_assignment(transaction, folded, assignment.to_bytes())?;
            if old.item.window != *before {
                return Err(StoreError::Stray(format!("assignment `{assignment}` had another window")));
            }
            let mut new = old.clone();
            new.item.window = *after;
            write_assignment(transaction, Some(&old), &new, &mut concerns, folded)?;
        }
        Event::AssignmentEnded { assignment, ending, at } => {
            let old = standing_assignment(transaction, folded, assignment.to_bytes())?;
            let mut new = old.clone();
            new.item.ended = Some(AssignmentEnd { ending: *ending, at: *at });
            write_assignment(transaction, Some(&old), &new, &mut concerns, folded)?;
        }
        Event::ActivationRequested { activation, .. }
        | Event::ActivationDecided { activation, .. }
        | Event::ActivationStarted { activation, .. }
        | Event::ExtensionRequested { activation, .. }
        | Event::ExtensionEnded { activation, .. }
        | Event::ActivationExtended { activation, .. }
        | Event::ActivationShortened { activation, .. }
        | Event::ActivationEnded { activation, .. }
        | Event::UsesSealed { activation, .. } => {
            let old = folded.vouched(transaction).activation(activation.to_bytes())?;
            let new = Activation::apply(old.as_ref().map(|old| old.item.clone()), &record.event, record.time)?
                .ok_or_else(|| StoreError::Stray(format!("activation `{activation}` came to nothing")))?;
            let began = old.as_ref().map_or(position, |old| old.position);
            let new = Placed { position: began, item: new };
            if let Event::ActivationDecided { approver, .. } = &record.event {
                concerns.principal(approver);
            }
            if let Phase::Ended { ending, .. } = &new.item.phase {
                concerns.0.insert(Scope::of_ending(*ending));
            }
            if let Event::ActivationEnded { activation, ending, .. } = &record.event {
                name_ending(transaction, *activation, *ending)?;
            }
            write_activation(transaction, old.as_ref(), &new, &mut concerns, folded)?;
        }
        Event::PrincipalLocked { principal } => {
            lock(transaction, principal, true, folded)?;
            concerns.principal(principal);
            folded.touched.insert(principal.clone().into());
        }
        Event::NotesErased { principal, records, .. } => {
            erase(transaction, position, records)?;
            concerns.principal(principal);
        }
        Event::PrincipalUnlocked { principal } => {
            lock(transaction, principal, false, folded)?;
            concerns.principal(principal);
            folded.touched.insert(principal.clone().into());
        }
        Event::CredentialsRevoked { principal, issued_before } => {
            let since = issued_before.as_millis().to_be_bytes();
            let key = principal_key(principal);
            let mut table = transaction.open_table(Rows::Credentials.definition())?;
            if let Some(former) = table.insert(key.as_slice(), since.as_slice())? {
                folded.changed(Rows::Credentials, &key, former.value())?;
            }
            folded.changed(Rows::Credentials, &key, &since)?;
            concerns.principal(principal);
            folded.touched.insert(principal.clone().into());
        }
    }
    concerns.0.insert(Scope::of_event(event_type(&record.event)));
    if let Some(activation) = record.event.activation() {
        concerns.0.insert(Scope::of_activation(activation));
    }
    concerns.write(transaction, position)
}

/// Lets a record about the journal itself be found, as [`fold`] does, which changes nothing else by it.
pub(super) fn find_again(
    transaction: &WriteTransaction,
    position: Position,
    record: &Record,
) -> Result<(), StoreError> {
    let mut concerns = Concerns::default();
    if let Actor::Principal { principal, .. } = &record.actor {
        concerns.principal(principal);
    }
    concerns.0.insert(Scope::of_event(event_type(&record.event)));
    concerns.write(transaction, position)
}

/// Under which scopes a record can be found.
#[derive(Default)]
pub(super) struct Concerns(BTreeSet<Scope>);

impl Concerns {
    fn principal(&mut self, principal: &Principal) {
        self.0.insert(Scope::activations(Some(principal), None));
    }

    fn role(&mut self, role: &RoleId) {
        self.0.insert(Scope::activations(None, Some(role)));
        self.0.insert(Scope::of_app(role.app()));
    }

    fn write(self, transaction: &WriteTransaction, position: Position) -> Result<(), StoreError> {
        let mut table = transaction.open_table(Rows::Records.definition())?;
        for scope in self.0 {
            table.insert(scope.at(position.0).as_slice(), [].as_slice())?;
        }
        Ok(())
    }
}

/// Lets all records so far of a case that ends be found by how it ended.
fn name_ending(transaction: &WriteTransaction, activation: ActivationId, ending: Ending) -> Result<(), StoreError> {
    let mut table = transaction.open_table(Rows::Records.definition())?;
    let of_case = Scope::of_activation(activation);
    let (first, last) = (of_case.at(0), of_case.at(u64::MAX));
    let positions = table
        .range::<&[u8]>(first.as_slice()..=last.as_slice())?
        .map(|entry| rows::position_in(entry?.0.value()))
        .collect::<Result<Vec<_>, StoreError>>()?;
    for position in positions {
        table.insert(Scope::of_ending(ending).at(position.0).as_slice(), [].as_slice())?;
    }
    Ok(())
}

fn standing_assignment(source: &impl Source, folded: &Folded, id: [u8; 16]) -> Result<Placed<Assignment>, StoreError> {
    folded
        .vouched(source)
        .assignment(id)?
        .filter(|placed| placed.item.ended.is_none())
        .ok_or_else(|| StoreError::Stray("an assignment that does not stand cannot change".to_owned()))
}

pub(super) fn write_assignment(
    transaction: &WriteTransaction,
    old: Option<&Placed<Assignment>>,
    new: &Placed<Assignment>,
    concerns: &mut Concerns,
    folded: &mut Folded,
) -> Result<(), StoreError> {
    let Assignment { id, role, party, .. } = &new.item;
    concerns.role(role);
    if let Party::Principal(principal) = party {
        concerns.principal(principal);
    }
    folded.touched.insert(party.clone());
    let (was, is) = (old.is_some_and(|old| stands(&old.item)), stands(&new.item));
    put_own(transaction, Rows::Assignments, id.to_bytes(), &to_row(new)?, (was, is), folded)?;
    let before = old.map(assignment_indexes).transpose()?.unwrap_or_default();
    move_indexes(transaction, before, assignment_indexes(new)?, folded)
}

pub(super) fn write_activation(
    transaction: &WriteTransaction,
    old: Option<&Placed<Activation>>,
    new: &Placed<Activation>,
    concerns: &mut Concerns,
    folded: &mut Folded,
) -> Result<(), StoreError> {
    let Activation { id, role, principal, .. } = &new.item;
    concerns.role(role);
    concerns.principal(principal);
    folded.touched.insert(principal.clone().into());
    let (was, is) = (old.is_some_and(|old| is_open(&old.item)), is_open(&new.item));
    put_own(transaction, Rows::Activations, id.to_bytes(), &to_row(new)?, (was, is), folded)?;
    let before = old.map(activation_indexes).transpose()?.unwrap_or_default();
    move_indexes(transaction, before, activation_indexes(new)?, folded)
}

/// Writes the row of a case or assignment, sealed for as long as it is open: it was, and it is.
fn put_own(
    transaction: &WriteTransaction,
    rows: Rows,
    id: [u8; 16],
    value: &[u8],
    (was_open, is_open): (bool, bool),
    folded: &mut Folded,
) -> Result<(), StoreError> {
    let mut table = transaction.open_table(rows.definition())?;
    let before = table.insert(id.as_slice(), value)?;
    if let Some(before) = before.filter(|_| was_open) {
        folded.changed(rows, &id, before.value())?;
    }
    if is_open {
        folded.changed(rows, &id, value)?;
    }
    Ok(())
}

fn put(transaction: &WriteTransaction, rows: Rows, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    transaction.open_table(rows.definition())?.insert(key, value)?;
    Ok(())
}

fn lock(
    transaction: &WriteTransaction,
    principal: &Principal,
    locked: bool,
    folded: &mut Folded,
) -> Result<(), StoreError> {
    let mut table = transaction.open_table(Rows::Locks.definition())?;
    let key = principal_key(principal);
    let was_locked = if locked {
        table.insert(key.as_slice(), [].as_slice())?.is_some()
    } else {
        table.remove(key.as_slice())?.is_some()
    };
    if was_locked == locked {
        return Err(StoreError::Stray(format!("principal `{principal}` is so already")));
    }
    folded.changed(Rows::Locks, &key, &[])
}

/// Takes the notes away. Notes are no rows, yet they go here, so that no copy of the journal brings them back.
fn erase(transaction: &WriteTransaction, position: Position, records: &[RecordRun]) -> Result<(), StoreError> {
    let mut notes = transaction.open_table(NOTES)?;
    for RecordRun { first, last } in records {
        if first > last || *last >= position.0 {
            return Err(StoreError::Stray("only notes of earlier records can be erased".to_owned()));
        }
        notes.retain_in(*first..=*last, |_, _| false)?;
    }
    Ok(())
}

/// The key under which a principal's idempotency key is remembered.
pub(super) fn used_key(principal: &Principal, key: &Digest) -> Vec<u8> {
    [principal_key(principal).as_slice(), &key.0].concat()
}

fn remember(
    transaction: &WriteTransaction,
    principal: &Principal,
    used: &IdempotencyDigest,
    position: Position,
    record: &Record,
) -> Result<(), StoreError> {
    let place = used_key(principal, &used.key);
    let before: Option<UsedKey> = rows::row(transaction, Rows::Idempotency, &place)?;
    let row = match before {
        Some(row) if row.command == record.command => UsedKey { last: position, ..row },
        Some(row) => {
            // the same key after its day: forgotten, though not yet swept
            let mut ends = transaction.open_table(Rows::IdempotencyEnds.definition())?;
            ends.remove(due_key(row.ends_at, &[&place]).as_slice())?;
            fresh(used, position, record)
        }
        None => fresh(used, position, record),
    };
    write_used(transaction, &place, &row)
}

/// Writes what a key, under its place, was used for.
pub(super) fn write_used(transaction: &WriteTransaction, place: &[u8], row: &UsedKey) -> Result<(), StoreError> {
    put(transaction, Rows::IdempotencyEnds, &due_key(row.ends_at, &[place]), &[])?;
    put(transaction, Rows::Idempotency, place, &to_row(row)?)
}

fn fresh(used: &IdempotencyDigest, position: Position, record: &Record) -> UsedKey {
    UsedKey {
        asked: used.asked,
        command: record.command,
        first: position,
        last: position,
        ends_at: record.time.plus(REMEMBERED),
    }
}

fn sweep_keys(transaction: &WriteTransaction, now: Timestamp) -> Result<(), StoreError> {
    let mut ends = transaction.open_table(Rows::IdempotencyEnds.definition())?;
    let until = due_key(now, &[]);
    let mut swept = Vec::new();
    for entry in ends.range::<&[u8]>(..until.as_slice())?.take(SWEPT) {
        swept.push(entry?.0.value().to_vec());
    }
    let mut keys = transaction.open_table(Rows::Idempotency.definition())?;
    for key in swept {
        ends.remove(key.as_slice())?;
        if let Some((_, place)) = key.split_first_chunk::<8>() {
            let row = keys.remove(place)?;
            let named = row.map(|row| from_row::<UsedKey>(row.value())).transpose()?;
            if named.is_none() {
                return Err(StoreError::Damaged("a forgotten key is missing".to_owned()));
            }
        }
    }
    Ok(())
}
