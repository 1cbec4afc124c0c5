//! Records by what they concern.

use std::collections::BTreeSet;

use redb::ReadTransaction;

use crate::domain::standing::Position;
use crate::domain::time::Timestamp;
use crate::journal::{Cut, Digest, Exported, Note, chain, upcast};
use crate::store::rows::{self, existing, position_in};
use crate::store::tables::{JOURNAL, Rows, Scope};
use crate::store::{Entry, PAGE_MAX, Reader, RecordFilter, StoreError, snapshot};

impl Reader {
    /// Records after `after`, oldest first; at most [`PAGE_MAX`]. Each is what was sealed, and without a filter none is left out.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails, or holds another record than was sealed.
    pub fn records(&self, filter: &RecordFilter, after: Position, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.found(filter, after, limit, |source, position| self.entry(source, position))
    }

    /// The same records as they are kept, whatever became of them: to be verified elsewhere.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails, or holds what is no record.
    pub fn exported(&self, filter: &RecordFilter, after: Position, limit: usize) -> Result<Vec<Exported>, StoreError> {
        self.found(filter, after, limit, |source, Position(sequence)| {
            let row = source.open_table(JOURNAL)?.get(sequence)?;
            let row = row.ok_or_else(|| StoreError::Damaged(format!("record {sequence} is missing")))?;
            snapshot::exported(source, sequence, row.value())
        })
    }

    fn found<T>(
        &self,
        filter: &RecordFilter,
        after: Position,
        limit: usize,
        read: impl Fn(&ReadTransaction, Position) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
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
            let (scopes, cut) = (filter.scopes(), rows::cut(source)?);
            let mut found = Vec::new();
            let mut next = from.max(after.next().0);
            while found.len() < limit {
                let position = match scopes.as_slice() {
                    // counted and not looked for: one that is missing is missed
                    [] => Some(cut.as_ref().map_or(next, |cut| cut.first_kept(next))),
                    scopes => next_in_all(source, scopes, next)?,
                };
                let Some(position) = position.filter(|position| *position < until) else { break };
                found.push(read(source, Position(position))?);
                next = position.saturating_add(1);
            }
            Ok(found)
        })
    }

    /// The record at `position`, which must be there as it was sealed.
    fn entry(&self, source: &ReadTransaction, position: Position) -> Result<Entry, StoreError> {
        let damaged = |wrong: &str| StoreError::Damaged(format!("record {position} {wrong}"));
        let sealed = rows::sealed(source, position)?.ok_or_else(|| damaged("is missing"))?;
        if chain::hash(&self.shared.trust.chain.realm, position.0, &sealed.previous, &sealed.core) != sealed.hash {
            return Err(damaged("is not what was sealed"));
        }
        let head = rows::head(source)?;
        if position.0 == head.sequence && sealed.hash != head.hash {
            return Err(damaged("is not the one the head names"));
        }
        let record = upcast::read(&sealed.core)?;
        let note = rows::note(source, position)?;
        if note.as_ref().is_some_and(|note| Some(note.digest()) != record.detail) {
            return Err(damaged("has a note that is not its own"));
        }
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
            sealed,
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
            self.entry(source, position).map(Some)
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

/// The first position at or after `from` that every list holds.
fn next_in_all(source: &ReadTransaction, scopes: &[Scope], from: u64) -> Result<Option<u64>, StoreError> {
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
