//! Records by what they concern.

use std::collections::BTreeSet;

use redb::ReadTransaction;

use crate::domain::standing::Position;
use crate::domain::time::Timestamp;
use crate::journal::{Cut, Digest, Note, upcast};
use crate::store::rows::{self, existing, position_in};
use crate::store::tables::{JOURNAL, Rows, Scope};
use crate::store::{Entry, PAGE_MAX, Reader, RecordFilter, StoreError};

impl Reader {
    /// Records after `after`, oldest first; at most [`PAGE_MAX`].
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn records(&self, filter: &RecordFilter, after: Position, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let limit = limit.min(PAGE_MAX);
        self.read(|source| {
            let last = rows::head(source)?.sequence;
            // times never decrease: a time is a position
            let from = match filter.from {
                Some(from) => first_at(source, from, last)?,
                None => 1,
            };
            let until = match filter.until {
                Some(until) => first_at(source, until, last)?,
                None => last.saturating_add(1),
            };
            let scopes = filter.scopes();
            let mut entries = Vec::new();
            let mut next = from.max(after.next().0);
            while next < until && entries.len() < limit {
                let Some(found) = next_in_all(source, &scopes, next)?.filter(|found| *found < until) else { break };
                entries.push(entry(source, Position(found))?);
                next = found.saturating_add(1);
            }
            Ok(entries)
        })
    }

    /// What was cut out of the journal, when something was.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn cut(&self) -> Result<Option<Cut>, StoreError> {
        self.read(rows::cut)
    }

    /// SHA-256 over the archive of each cut of this journal.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn archives(&self) -> Result<BTreeSet<Digest>, StoreError> {
        self.read(|source| {
            let mut archives = BTreeSet::new();
            let (scope, table) = (Scope::of_event("journal_cut"), source.open_table(Rows::Records.definition())?);
            let (first, last) = (scope.at(0), scope.at(u64::MAX));
            for found in table.range::<&[u8]>(first.as_slice()..=last.as_slice())? {
                let position = position_in(found?.0.value())?;
                let record = upcast::read(&existing(rows::sealed(source, position)?)?.core)?;
                let damaged = |_| StoreError::Damaged(format!("record {} states no cut", position.0));
                archives.extend(Cut::stated_by(position.0, &record).map_err(damaged)?.map(|cut| cut.archive));
            }
            Ok(archives)
        })
    }

    /// One record; none when it was cut.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn record(&self, position: Position) -> Result<Option<Entry>, StoreError> {
        self.read(|source| {
            if position == Position(0) || position.0 > rows::head(source)?.sequence {
                return Ok(None);
            }
            if rows::cut(source)?.is_some_and(|cut| cut.holds(position.0)) {
                return Ok(None);
            }
            entry(source, position).map(Some)
        })
    }
}

impl RecordFilter {
    fn scopes(&self) -> Vec<Scope> {
        let activation = self.activation.map(Scope::of_activation);
        let principal = self.principal.as_ref().map(|principal| Scope::activations(Some(principal), None));
        let role = self.role.as_ref().map(|role| Scope::activations(None, Some(role)));
        let event = self.event.as_deref().map(Scope::of_event);
        // a role names its application itself; records of another one are found by neither
        let app = self.app.as_deref().map(Scope::of_app);
        let ending = self.ending.map(Scope::of_ending);
        [activation, principal, role, app, ending, event].into_iter().flatten().collect()
    }
}

/// The first position at or after `from` that every list holds; of a record when there is no list.
fn next_in_all(source: &ReadTransaction, scopes: &[Scope], from: u64) -> Result<Option<u64>, StoreError> {
    if scopes.is_empty() {
        let next = source.open_table(JOURNAL)?.range(from..)?.next().transpose()?;
        return Ok(next.map(|(sequence, _)| sequence.value()));
    }
    let table = source.open_table(Rows::Records.definition())?;
    let mut candidate = from;
    // each round either ends or moves the candidate forward
    'search: loop {
        for scope in scopes {
            let (first, last) = (scope.at(candidate), scope.at(u64::MAX));
            let next = table.range::<&[u8]>(first.as_slice()..=last.as_slice())?.next().transpose()?;
            let Some((key, _)) = next else { return Ok(None) };
            let Position(found) = position_in(key.value())?;
            if found > candidate {
                candidate = found;
                continue 'search;
            }
        }
        return Ok(Some(candidate));
    }
}

/// The first position whose record, which was not cut, is not before `at`; one past the last when there is none.
pub(super) fn first_at(source: &ReadTransaction, at: Timestamp, last: u64) -> Result<u64, StoreError> {
    let time_of = |position| -> Result<Timestamp, StoreError> {
        Ok(upcast::read(&existing(rows::sealed(source, Position(position))?)?.core)?.time)
    };
    let cut = rows::cut(source)?;
    for kept in cut.iter().flat_map(Cut::kept) {
        if time_of(kept)? >= at {
            return Ok(kept);
        }
    }
    let (mut low, mut high) = (cut.map_or(1, |cut| cut.last().saturating_add(1)), last.saturating_add(1));
    while low < high {
        let middle = low.midpoint(high);
        if time_of(middle)? < at {
            low = middle.saturating_add(1);
        } else {
            high = middle;
        }
    }
    Ok(low)
}

fn entry(source: &ReadTransaction, position: Position) -> Result<Entry, StoreError> {
    let sealed = existing(rows::sealed(source, position)?)?;
    let record = upcast::read(&sealed.core)?;
    let note = rows::note(source, position)?;
    let detail = note.as_ref().map(Note::detail).transpose()?;
    let erased = record.detail.is_some() && note.is_none();
    Ok(Entry {
        position,
        time: record.time,
        actor: record.actor,
        command: record.command,
        event: record.event,
        detail,
        erased,
        note,
        sealed,
    })
}
