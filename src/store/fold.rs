//! Event → rows.
//!
//! Each activation and assignment has one row of its own, and index rows that follow from it alone. Folding an event
//! computes the index rows before and after, takes away what only the former has and writes what only the latter has: no
//! index row can outlive or predecease what it names.

use std::collections::{BTreeMap, BTreeSet};

use redb::{ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::domain::activation::{Activation, Phase};
use crate::domain::assignment::{Assignment, AssignmentEnd, AssignmentKind, Origin};
use crate::domain::event::{Actor, Event, RecordRun};
use crate::domain::id::CommandId;
use crate::domain::principal::{Party, Principal};
use crate::domain::role::RoleId;
use crate::domain::standing::Position;
use crate::domain::time::{Span, Timestamp};
use crate::journal::Record;
use crate::journal::record::{Digest, IdempotencyDigest, event_type};
use crate::store::StoreError;
use crate::store::rows::{self, OpenRow, Placed};
use crate::store::tables::{
    NOTES, OF_ACTIVATION, OF_ASSIGNMENT, Rows, Scope, Source, due_key, from_row, party_key, principal_key, to_row,
};

/// Index rows: table and key → value.
#[derive(Default)]
struct IndexRows(BTreeMap<(Rows, Vec<u8>), Vec<u8>>);

impl IndexRows {
    fn add(&mut self, rows: Rows, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.0.insert((rows, key.into()), value.into());
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

/// Folds the record at `position`; whose standing it changes is added to `touched`.
pub(super) fn fold(
    transaction: &WriteTransaction,
    position: Position,
    record: &Record,
    touched: &mut BTreeSet<Party>,
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
        | Event::JournalSucceeded { .. } => {}
        Event::AssignmentMade { assignment } => {
            let before = rows::assignment(transaction, assignment.id.to_bytes())?;
            if before.is_some() || assignment.ended.is_some() {
                return Err(StoreError::Stray(format!("assignment `{}` is made twice", assignment.id)));
            }
            let placed = Placed { position, item: assignment.clone() };
            write_assignment(transaction, None, &placed, &mut concerns, touched)?;
        }
        Event::AssignmentChanged { assignment, before, after } => {
            let old = standing_assignment(transaction, assignment.to_bytes())?;
            if old.item.window != *before {
                return Err(StoreError::Stray(format!("assignment `{assignment}` had another window")));
            }
            let mut new = old.clone();
            new.item.window = *after;
            write_assignment(transaction, Some(&old), &new, &mut concerns, touched)?;
        }
        Event::AssignmentEnded { assignment, ending, at } => {
            let old = standing_assignment(transaction, assignment.to_bytes())?;
            let mut new = old.clone();
            new.item.ended = Some(AssignmentEnd { ending: *ending, at: *at });
            write_assignment(transaction, Some(&old), &new, &mut concerns, touched)?;
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
            let old = rows::activation(transaction, activation.to_bytes())?;
            let new = Activation::apply(old.as_ref().map(|old| old.item.clone()), &record.event, record.time)?
                .ok_or_else(|| StoreError::Stray(format!("activation `{activation}` came to nothing")))?;
            let began = old.as_ref().map_or(position, |old| old.position);
            let new = Placed { position: began, item: new };
            if let Event::ActivationDecided { approver, .. } = &record.event {
                concerns.principal(approver);
            }
            write_activation(transaction, old.as_ref(), &new, &mut concerns, touched)?;
        }
        Event::PrincipalLocked { principal } => {
            lock(transaction, principal, true)?;
            concerns.principal(principal);
            touched.insert(principal.clone().into());
        }
        Event::NotesErased { principal, records, .. } => {
            erase(transaction, position, records)?;
            concerns.principal(principal);
        }
        Event::PrincipalUnlocked { principal } => {
            lock(transaction, principal, false)?;
            concerns.principal(principal);
            touched.insert(principal.clone().into());
        }
        Event::CredentialsRevoked { principal, issued_before } => {
            let since = issued_before.as_millis().to_be_bytes();
            put(transaction, Rows::Credentials, principal_key(principal).as_slice(), &since)?;
            concerns.principal(principal);
            touched.insert(principal.clone().into());
        }
    }
    concerns.0.insert(Scope::of_event(event_type(&record.event)));
    if let Some(activation) = record.event.activation() {
        concerns.0.insert(Scope::of_activation(activation));
    }
    let mut table = transaction.open_table(Rows::Records.definition())?;
    for scope in concerns.0 {
        table.insert(scope.at(position.0).as_slice(), [].as_slice())?;
    }
    Ok(())
}

/// Under which scopes a record can be found.
#[derive(Default)]
struct Concerns(BTreeSet<Scope>);

impl Concerns {
    fn principal(&mut self, principal: &Principal) {
        self.0.insert(Scope::activations(Some(principal), None));
    }

    fn role(&mut self, role: &RoleId) {
        self.0.insert(Scope::activations(None, Some(role)));
    }
}

fn standing_assignment(source: &impl Source, id: [u8; 16]) -> Result<Placed<Assignment>, StoreError> {
    rows::assignment(source, id)?
        .filter(|placed| placed.item.ended.is_none())
        .ok_or_else(|| StoreError::Stray("an assignment that does not stand cannot change".to_owned()))
}

fn write_assignment(
    transaction: &WriteTransaction,
    old: Option<&Placed<Assignment>>,
    new: &Placed<Assignment>,
    concerns: &mut Concerns,
    touched: &mut BTreeSet<Party>,
) -> Result<(), StoreError> {
    let Assignment { id, role, party, .. } = &new.item;
    concerns.role(role);
    if let Party::Principal(principal) = party {
        concerns.principal(principal);
    }
    touched.insert(party.clone());
    put(transaction, Rows::Assignments, &id.to_bytes(), &to_row(new)?)?;
    let before = old.map(assignment_indexes).transpose()?.unwrap_or_default();
    move_indexes(transaction, before, assignment_indexes(new)?)
}

fn assignment_indexes(placed: &Placed<Assignment>) -> Result<IndexRows, StoreError> {
    let Assignment { id, kind, role, party, window, origin, ended } = &placed.item;
    let mut indexes = IndexRows::default();
    if ended.is_some() {
        return Ok(indexes);
    }
    let mut scopes = vec![
        Scope::assignments(*kind, None, None),
        Scope::assignments(*kind, Some(party), None),
        Scope::assignments(*kind, None, Some(role)),
        Scope::assignments(*kind, Some(party), Some(role)),
    ];
    match origin {
        Origin::Configuration => scopes.push(Scope::configuration()),
        Origin::Administrator => {}
    }
    for scope in scopes {
        indexes.add(Rows::Standing, scope.newest_first(placed.position.0), id.to_bytes());
    }
    let row = match kind {
        AssignmentKind::Active => OpenRow::Assigned { assignment: *id, role: role.clone(), window: *window },
        AssignmentKind::Eligible => OpenRow::Eligible { assignment: *id, role: role.clone(), window: *window },
    };
    indexes.add(Rows::Open, open_key(party, OF_ASSIGNMENT, id.to_bytes()), to_row(&row)?);
    if let Some(ends_at) = window.ends_at {
        indexes.add(Rows::Due, due_key(ends_at, &[&[OF_ASSIGNMENT], &id.to_bytes()]), []);
    }
    Ok(indexes)
}

fn write_activation(
    transaction: &WriteTransaction,
    old: Option<&Placed<Activation>>,
    new: &Placed<Activation>,
    concerns: &mut Concerns,
    touched: &mut BTreeSet<Party>,
) -> Result<(), StoreError> {
    let Activation { id, role, principal, .. } = &new.item;
    concerns.role(role);
    concerns.principal(principal);
    touched.insert(principal.clone().into());
    put(transaction, Rows::Activations, &id.to_bytes(), &to_row(new)?)?;
    let before = old.map(activation_indexes).transpose()?.unwrap_or_default();
    move_indexes(transaction, before, activation_indexes(new)?)
}

fn activation_indexes(placed: &Placed<Activation>) -> Result<IndexRows, StoreError> {
    let Placed { position, item } = placed;
    let Activation { id, principal, role, eligibility, via, terms, phase, .. } = item;
    let mut indexes = IndexRows::default();
    let party = Party::Principal(principal.clone());
    let (list, open) = match phase {
        Phase::Pending(ballot) => {
            (Rows::Pending, Some(OpenRow::Pending { activation: *id, role: role.clone(), lapses_at: ballot.lapses_at }))
        }
        Phase::Active { window, .. } => (
            Rows::Active,
            Some(OpenRow::Activated { activation: *id, role: role.clone(), window: *window, via: via.clone() }),
        ),
        Phase::Ended { .. } => (Rows::Ended, None),
    };
    for scope in [
        Scope::activations(None, None),
        Scope::activations(Some(principal), None),
        Scope::activations(None, Some(role)),
        Scope::activations(Some(principal), Some(role)),
    ] {
        indexes.add(list, scope.newest_first(position.0), id.to_bytes());
    }
    if let Some(row) = open {
        indexes.add(Rows::Open, open_key(&party, OF_ACTIVATION, id.to_bytes()), to_row(&row)?);
        indexes.add(Rows::Behind, [eligibility.to_bytes(), id.to_bytes()].concat(), []);
    }
    if let Some(due_at) = item.due_at() {
        indexes.add(Rows::Due, due_key(due_at, &[&[OF_ACTIVATION], &id.to_bytes()]), []);
    }
    if let Some(stage) = item.ballot().and_then(|ballot| ballot.open_stage(terms)) {
        for approver in &stage.approvers {
            let key = [party_key(approver).as_slice(), &(!position.0).to_be_bytes()].concat();
            indexes.add(Rows::Ballots, key, id.to_bytes());
        }
    }
    Ok(indexes)
}

fn open_key(party: &Party, kind: u8, id: [u8; 16]) -> Vec<u8> {
    [party_key(party).as_slice(), &[kind], &id].concat()
}

fn move_indexes(
    transaction: &WriteTransaction,
    IndexRows(before): IndexRows,
    IndexRows(after): IndexRows,
) -> Result<(), StoreError> {
    for (rows, key) in before.keys().filter(|place| !after.contains_key(*place)) {
        let mut table = transaction.open_table(rows.definition())?;
        if table.remove(key.as_slice())?.is_none() {
            return Err(StoreError::Damaged(format!("a row of `{}` is missing", rows.name())));
        }
    }
    for ((rows, key), value) in after.iter().filter(|(place, value)| before.get(*place) != Some(*value)) {
        put(transaction, *rows, key, value)?;
    }
    Ok(())
}

fn put(transaction: &WriteTransaction, rows: Rows, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    transaction.open_table(rows.definition())?.insert(key, value)?;
    Ok(())
}

fn lock(transaction: &WriteTransaction, principal: &Principal, locked: bool) -> Result<(), StoreError> {
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
    Ok(())
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
    put(transaction, Rows::IdempotencyEnds, &due_key(row.ends_at, &[&place]), &[])?;
    put(transaction, Rows::Idempotency, &place, &to_row(&row)?)
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
