//! Rows as they are read, by queries from a snapshot and by decisions inside the transaction that writes.

use redb::{ReadableTable, ReadableTableMetadata};
use serde::{Deserialize, Serialize};

use crate::domain::activation::Activation;
use crate::domain::assignment::{Assignment, AssignmentKind};
use crate::domain::decide::PendingCounts;
use crate::domain::event::{Actor, Event};
use crate::domain::id::{ActivationId, AssignmentId};
use crate::domain::principal::{Group, Party, Principal};
use crate::domain::role::RoleId;
use crate::domain::standing::{Position, Progress};
use crate::domain::time::{Timestamp, Window};
use crate::journal::verify::KeySpan;
use crate::journal::{Cut, Note, PublicKey, Sealed, Tip, upcast};
use crate::store::tables::{JOURNAL, META, NOTES, OF_ACTIVATION, Rows, Scope, Source, after_prefix, fixed, from_row};
use crate::store::{Listed, StoreError};

/// What a party holds, may activate or awaits: one small row each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum OpenRow {
    /// A role held by activation.
    Activated { activation: ActivationId, role: RoleId, window: Window, via: Option<Group> },
    /// A request that waits.
    Pending {
        activation: ActivationId,
        role: RoleId,
        requested_at: Timestamp,
        progress: Progress,
        lapses_at: Timestamp,
    },
    /// A role held by assignment.
    Assigned { assignment: AssignmentId, role: RoleId, window: Window },
    /// A role that may be activated.
    Eligible { assignment: AssignmentId, role: RoleId, window: Window },
}

/// An activation or assignment with the position of its first record, as a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Placed<T> {
    /// Position of the record that began it.
    pub(super) position: Position,
    /// The thing.
    pub(super) item: T,
}

impl<T> From<Placed<T>> for Listed<T> {
    fn from(Placed { position, item }: Placed<T>) -> Self {
        Self { position, item }
    }
}

/// The keys that signed the journal up to now, oldest first.
pub(super) fn keys(source: &impl Source, root: PublicKey) -> Result<Vec<KeySpan>, StoreError> {
    let scope = Scope::of_event("key_rotated");
    let mut keys = vec![KeySpan { key: root, since: 1 }];
    let table = source.table(Rows::Records.definition())?;
    for entry in table.range::<&[u8]>(scope.at(0).as_slice()..=scope.at(u64::MAX).as_slice())? {
        let position = position_in(entry?.0.value())?;
        let sealed = existing(sealed(source, position)?)?;
        let damaged = || StoreError::Damaged(format!("record {position} names no key"));
        let Event::KeyRotated { public_key } = upcast::read(&sealed.core)?.event else { return Err(damaged()) };
        keys.push(KeySpan { key: public_key.parse().map_err(|_| damaged())?, since: position.next().0 });
    }
    Ok(keys)
}

/// What was cut out of the journal, as the newest record of a cut states it; whoever relies on it must verify that record.
pub(super) fn cut(source: &impl Source) -> Result<Option<Cut>, StoreError> {
    let scope = Scope::of_event("journal_cut");
    let table = source.table(Rows::Records.definition())?;
    let newest = table.range::<&[u8]>(scope.at(0).as_slice()..=scope.at(u64::MAX).as_slice())?.next_back();
    let Some(newest) = newest else { return Ok(None) };
    let position = position_in(newest?.0.value())?;
    let record = upcast::read(&existing(sealed(source, position)?)?.core)?;
    Cut::stated_by(position.0, &record).map_err(|error| StoreError::Damaged(format!("record {position}: {error}")))
}

/// The key that signs the record after `position`.
pub(super) fn key_after(source: &impl Source, root: PublicKey, position: Position) -> Result<PublicKey, StoreError> {
    let keys = keys(source, root)?;
    let in_force = keys.iter().rev().find(|span| span.since <= position.next().0);
    Ok(in_force.map_or(root, |span| span.key))
}

/// How many rows each open activation has in the lists of its phase; one that ended has one more.
pub(super) const SCOPES_OF_ACTIVATION: u64 = 5;

/// One activation.
pub(super) fn activation(source: &impl Source, id: [u8; 16]) -> Result<Option<Placed<Activation>>, StoreError> {
    row(source, Rows::Activations, &id)
}

/// One assignment.
pub(super) fn assignment(source: &impl Source, id: [u8; 16]) -> Result<Option<Placed<Assignment>>, StoreError> {
    row(source, Rows::Assignments, &id)
}

/// One row.
pub(super) fn row<T: serde::de::DeserializeOwned>(
    source: &impl Source,
    rows: Rows,
    key: &[u8],
) -> Result<Option<T>, StoreError> {
    let table = source.table(rows.definition())?;
    let found = table.get(key)?;
    found.map(|found| from_row(found.value())).transpose()
}

/// Ids of a list with their positions, newest first, starting below `before`.
pub(super) fn newest(
    source: &impl Source,
    rows: Rows,
    scope: Scope,
    before: Option<Position>,
    limit: usize,
) -> Result<Vec<(Position, [u8; 16])>, StoreError> {
    let table = source.table(rows.definition())?;
    // inverted positions: what is older lies behind
    let from = match before {
        None => scope.at(0),
        Some(Position(0)) => return Ok(Vec::new()),
        Some(Position(before)) => scope.newest_first(before.saturating_sub(1)),
    };
    let until = scope.at(u64::MAX);
    table
        .range::<&[u8]>(from.as_slice()..=until.as_slice())?
        .take(limit)
        .map(|entry| {
            let (key, id) = entry?;
            Ok((inverted_position(key.value())?, fixed(id.value())?))
        })
        .collect()
}

/// The position at the end of a key that is sorted newest first.
pub(super) fn inverted_position(key: &[u8]) -> Result<Position, StoreError> {
    position_in(key).map(|Position(inverted)| Position(!inverted))
}

/// The position at the end of a key.
pub(super) fn position_in(key: &[u8]) -> Result<Position, StoreError> {
    let tail = key.last_chunk().ok_or_else(|| StoreError::Damaged("a key without position".to_owned()))?;
    Ok(Position(u64::from_be_bytes(*tail)))
}

/// How many keys begin with `prefix`.
fn count(source: &impl Source, rows: Rows, prefix: &[u8]) -> Result<usize, StoreError> {
    let table = source.table(rows.definition())?;
    let count = match after_prefix(prefix) {
        Some(end) => table.range::<&[u8]>(prefix..end.as_slice())?.count(),
        None => table.range::<&[u8]>(prefix..)?.count(),
    };
    Ok(count)
}

/// Standing assignments of both kinds in a list, newest first.
pub(super) fn standing_assignments(
    source: &impl Source,
    kind: Option<AssignmentKind>,
    party: Option<&Party>,
    role: Option<&RoleId>,
    before: Option<Position>,
    limit: usize,
) -> Result<Vec<Placed<Assignment>>, StoreError> {
    let mut found = Vec::new();
    for each in [AssignmentKind::Eligible, AssignmentKind::Active] {
        if kind.is_none_or(|kind| kind == each) {
            found.extend(newest(source, Rows::Standing, Scope::assignments(each, party, role), before, limit)?);
        }
    }
    found.sort_unstable_by(|one, other| other.cmp(one));
    found.truncate(limit);
    let mut assignments = Vec::with_capacity(found.len());
    for (_, id) in found {
        let placed = existing(assignment(source, id)?)?;
        if party.is_none_or(|party| *party == placed.item.party) && role.is_none_or(|role| *role == placed.item.role) {
            assignments.push(placed);
        }
    }
    Ok(assignments)
}

/// What an index names must be there.
pub(super) fn existing<T>(found: Option<T>) -> Result<T, StoreError> {
    found.ok_or_else(|| StoreError::Damaged("an index names what is not there".to_owned()))
}

/// How many requests wait.
pub(super) fn pending_counts(
    source: &impl Source,
    principal: Option<&Principal>,
    role: Option<&RoleId>,
) -> Result<PendingCounts, StoreError> {
    let of = |principal: Option<&Principal>, role: Option<&RoleId>| {
        let first = Scope::activations(principal, role).at(0);
        let scope = first.first_chunk::<16>().copied().unwrap_or_default();
        count(source, Rows::Pending, &scope)
    };
    Ok(PendingCounts {
        of_principal: if principal.is_some() { of(principal, None)? } else { 0 },
        of_role: if role.is_some() { of(None, role)? } else { 0 },
        total: usize::try_from(activation_count(source, Rows::Pending)?).unwrap_or(usize::MAX),
    })
}

/// How many activations are in a phase.
pub(super) fn activation_count(source: &impl Source, phase: Rows) -> Result<u64, StoreError> {
    let table = source.table(phase.definition())?;
    let rows_each = if phase == Rows::Ended { SCOPES_OF_ACTIVATION.saturating_add(1) } else { SCOPES_OF_ACTIVATION };
    Ok(table.len()? / rows_each)
}

/// Due things: instant, whether it is an activation, id.
pub(super) fn due_in(key: &[u8]) -> Result<(Timestamp, bool, [u8; 16]), StoreError> {
    let damaged = || StoreError::Damaged("a due row of another length".to_owned());
    let (at, rest) = key.split_first_chunk().ok_or_else(damaged)?;
    let (kind, id) = rest.split_first().ok_or_else(damaged)?;
    let at = i64::try_from(u64::from_be_bytes(*at)).map_err(|_| damaged())?;
    Ok((Timestamp::from_millis(at), *kind == OF_ACTIVATION, fixed(id)?))
}

/// One record's stored bytes.
pub(super) fn sealed(source: &impl Source, position: Position) -> Result<Option<Sealed>, StoreError> {
    let table = source.table(JOURNAL)?;
    let found = table.get(position.0)?;
    found.map(|found| sealed_from(found.value())).transpose()
}

/// A record's row: previous hash, hash, signature, core.
pub(super) fn sealed_from(bytes: &[u8]) -> Result<Sealed, StoreError> {
    let damaged = || StoreError::Damaged("a record's row is cut short".to_owned());
    let (version, rest) = bytes.split_first().ok_or_else(damaged)?;
    if u32::from(*version) != SEALED_VERSION {
        return Err(StoreError::UnknownVersion { found: u32::from(*version), known: SEALED_VERSION });
    }
    let (previous, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
    let (hash, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
    let (signature, core) = rest.split_first_chunk().ok_or_else(damaged)?;
    Ok(Sealed { core: core.to_vec(), previous: *previous, hash: *hash, signature: *signature })
}

/// The bytes of a record's row.
pub(super) fn sealed_row(sealed: &Sealed) -> Vec<u8> {
    let version = u8::try_from(SEALED_VERSION).unwrap_or(u8::MAX);
    [&[version], &sealed.previous[..], &sealed.hash[..], &sealed.signature[..], &sealed.core].concat()
}

const SEALED_VERSION: u32 = 1;

/// One note.
pub(super) fn note(source: &impl Source, position: Position) -> Result<Option<Note>, StoreError> {
    let table = source.table(NOTES)?;
    let Some(found) = table.get(position.0)? else { return Ok(None) };
    let damaged = || StoreError::Damaged("a note's row is cut short".to_owned());
    let (version, rest) = found.value().split_first().ok_or_else(damaged)?;
    if u32::from(*version) != SEALED_VERSION {
        return Err(StoreError::UnknownVersion { found: u32::from(*version), known: SEALED_VERSION });
    }
    let (salt, text) = rest.split_first_chunk().ok_or_else(damaged)?;
    Ok(Some(Note::from_parts(*salt, text.to_vec())))
}

/// The records with a note that are by `principal` or about it, oldest first. What was written when another ordered an
/// erasure stays: it is the proof of that order, and about nothing else.
pub(super) fn notes_of(source: &impl Source, principal: &Principal) -> Result<Vec<Position>, StoreError> {
    let scope = Scope::activations(Some(principal), None);
    let records = source.table(Rows::Records.definition())?;
    let notes = source.table(NOTES)?;
    let mut found = Vec::new();
    for entry in records.range::<&[u8]>(scope.at(0).as_slice()..=scope.at(u64::MAX).as_slice())? {
        let position = position_in(entry?.0.value())?;
        if notes.get(position.0)?.is_none() {
            continue;
        }
        let record = upcast::read(&existing(sealed(source, position)?)?.core)?;
        let ordered_by_another = matches!(record.event, Event::NotesErased { .. })
            && !matches!(&record.actor, Actor::Principal { principal: actor, .. } if actor == principal);
        if !ordered_by_another {
            found.push(position);
        }
    }
    Ok(found)
}

/// The bytes of a note's row.
pub(super) fn note_row(note: &Note) -> Vec<u8> {
    let version = u8::try_from(SEALED_VERSION).unwrap_or(u8::MAX);
    [&[version], &note.salt()[..], note.text()].concat()
}

/// The head as the last transaction left it.
pub(super) fn head(source: &impl Source) -> Result<Tip, StoreError> {
    let bytes = meta(source, "head")?;
    let damaged = || StoreError::Damaged("the head is cut short".to_owned());
    let (sequence, rest) = bytes.split_first_chunk().ok_or_else(damaged)?;
    let (time, hash) = rest.split_first_chunk().ok_or_else(damaged)?;
    Ok(Tip {
        sequence: u64::from_be_bytes(*sequence),
        time: Timestamp::from_millis(i64::from_be_bytes(*time)),
        hash: fixed(hash)?,
    })
}

/// The bytes of the head.
pub(super) fn head_row(tip: &Tip) -> Vec<u8> {
    [&tip.sequence.to_be_bytes()[..], &tip.time.as_millis().to_be_bytes(), &tip.hash].concat()
}

/// One entry of `meta`.
pub(super) fn meta(source: &impl Source, name: &str) -> Result<Vec<u8>, StoreError> {
    let table = source.table(META)?;
    let found = table.get(name)?;
    found
        .map(|found| found.value().to_vec())
        .ok_or_else(|| StoreError::Damaged(format!("`{name}` is missing: this is no hallpass store")))
}
