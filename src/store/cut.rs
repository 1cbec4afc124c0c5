//! Old records taken out of the journal, once an archive holds them, behind a signed record that says so.
//!
//! Planning reads one state and changes nothing: it folds what is to go in a database of its own, so that what it came to can be
//! carried on, and tells which cases and assignments are over for good. Cutting is one transaction.

use std::collections::BTreeSet;
use std::io::{self, Write};

use data_encoding::HEXLOWER;
use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use crate::domain::activation::{Activation, Phase};
use crate::domain::assignment::Assignment;
use crate::domain::event::{Actor, Detail, Event, RecordRun};
use crate::domain::id::ActivationId;
use crate::domain::standing::Position;
use crate::domain::time::Timestamp;
use crate::journal::{Carried, Cut, Digest, upcast};
use crate::store::bounds::{Bound, Wanted, bounded};
use crate::store::fold::Folded;
use crate::store::handle::guarded;
use crate::store::index::{IndexRows, activation_indexes, move_indexes};
use crate::store::random::random_id;
use crate::store::refold::Refold;
use crate::store::rows::{self, Placed, existing, position_in};
use crate::store::seal::Seals;
use crate::store::snapshot::{Snapshot, exported};
use crate::store::stopped::Progress;
use crate::store::tables::{JOURNAL, NOTES, Rows, Scope, from_row};
use crate::store::{Appender, Committed, Header, StoreError, carried};

/// What came of planning.
pub enum Planned {
    /// Nothing can go.
    Nothing(Bound),
    /// These can.
    Cut(Box<Plan>),
}

/// What is to go, and what of it is to stay.
pub struct Plan {
    /// The first record to go.
    pub first: u64,
    /// The last record to go.
    pub last: u64,
    /// How many records are to go.
    pub records: u64,
    /// Time of the last record to go.
    pub until: Timestamp,
    /// The cases that are over for good, and no longer known.
    pub cases: Vec<ActivationId>,
    /// How many assignments are over for good, and no longer known.
    pub assignments: usize,
    /// What keeps more from going.
    pub bound: Bound,
    /// The newest record when it was planned.
    head: u64,
    former: Option<Cut>,
    runs: Vec<RecordRun>,
    hash: [u8; 32],
    ended: Vec<Ended>,
    /// SHA-256 over what is carried on.
    carried: Digest,
    /// What of it is new, and what no longer carried.
    change: carried::Change,
    /// Keys by which records that are to go are found.
    found_by: Vec<Vec<u8>>,
}

/// What is over for good.
enum Ended {
    Case(Box<Placed<Activation>>),
    Assignment([u8; 16]),
}

impl Snapshot {
    /// Plans to cut the records that are `wanted` gone; changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when those records are not as they were written.
    pub fn plan_cut(&self, wanted: &Wanted<'_>, progress: Progress<'_>) -> Result<Planned, StoreError> {
        guarded(|| self.plan(wanted, progress))
    }

    fn plan(&self, wanted: &Wanted<'_>, progress: Progress<'_>) -> Result<Planned, StoreError> {
        let source = &self.source;
        let former = rows::cut(source)?;
        let first = former.as_ref().map_or(2, |cut| cut.last().saturating_add(1));
        let mut begin = first;
        let head = rows::head(source)?.sequence;
        while begin < head && is_of_journal(source, begin)? {
            begin = begin.saturating_add(1);
        }
        let (bound, mut last) = bounded(source, wanted, begin)?;
        // the record behind the last one to go must lack something before it
        while last >= first && is_of_journal(source, last)? {
            last = last.saturating_sub(1);
        }
        if last < first {
            return Ok(Planned::Nothing(bound));
        }
        let mut plan = Plan {
            first,
            last,
            records: 0,
            until: wanted.before,
            cases: Vec::new(),
            assignments: 0,
            bound,
            runs: former.as_ref().map(|cut| cut.records.clone()).unwrap_or_default(),
            former,
            head,
            hash: [0; 32],
            ended: Vec::new(),
            carried: Digest::of(&[]),
            change: carried::Change::default(),
            found_by: Vec::new(),
        };
        self.fold_gone(&mut plan, progress)?;
        Ok(Planned::Cut(Box::new(plan)))
    }

    /// Folds all up to the last record to go, and notes what is carried on and what is over.
    fn fold_gone(&self, plan: &mut Plan, progress: Progress<'_>) -> Result<(), StoreError> {
        let scratch = self.scratch.database()?;
        let transaction = scratch.begin_write()?;
        super::open::make_tables(&transaction)?;
        let carried = self.carried()?;
        carried::replace(&transaction, &carried)?;
        let folded = Folded::new(std::sync::Arc::new(Seals::passing()?));
        let mut refold = Refold::begin(&transaction, self.public_key, folded);
        for entry in self.source.open_table(JOURNAL)?.range(..=plan.last)? {
            let (sequence, row) = entry?;
            let sequence = sequence.value();
            let sealed = rows::sealed_from(row.value())?;
            let record = refold.take(sequence, &sealed, rows::note(&self.source, Position(sequence))?.as_ref())?;
            progress(sequence, plan.last);
            if sequence >= plan.first && !record.event.is_of_journal() {
                match plan.runs.last_mut() {
                    Some(run) if run.last.saturating_add(1) == sequence => run.last = sequence,
                    _ => plan.runs.push(RecordRun { first: sequence, last: sequence }),
                }
                plan.records = plan.records.saturating_add(1);
            }
        }
        // the record that states the former cut may lie behind; what it states must fit all the same
        let gone = refold.verifier().gone();
        if plan.former.as_ref().map(|cut| cut.records.as_slice()).unwrap_or_default() != gone {
            return Err(StoreError::Damaged("records are gone that no record states".to_owned()));
        }
        refold.is_carried(plan.former.as_ref())?;
        (plan.hash, plan.until) = (refold.tip().hash, refold.tip().time);
        let mut folded = refold.into_folded();
        plan.find_again(&self.source, &transaction)?;
        plan.ended = over_for_good(&self.source, &transaction, plan.last)?;
        for ended in &plan.ended {
            ended.forget(&transaction, &mut folded)?;
            match ended {
                Ended::Case(placed) => plan.cases.push(placed.item.id),
                Ended::Assignment(_) => plan.assignments = plan.assignments.saturating_add(1),
            }
        }
        let carried_on = carried::carried_of(&transaction)?;
        plan.carried = carried_on.iter().collect::<Carried>().digest();
        plan.change = carried::Change::between(&carried, &carried_on);
        Ok(transaction.abort()?)
    }

    /// Writes the archive of what `plan` takes out: an export that verifies alone. It begins with the records about the
    /// journal itself, and, when there was a cut before, ends with those that lead to the record of it.
    ///
    /// # Errors
    /// What `out` says; [`StoreError`] as the error's source.
    pub fn write_archive(&self, plan: &Plan, out: &mut dyn Write, progress: Progress<'_>) -> io::Result<()> {
        let failed = |error: StoreError| io::Error::other(error);
        let source = &self.source;
        let journal = source.open_table(JOURNAL).map_err(|error| failed(error.into()))?;
        for entry in journal.iter().map_err(|error| failed(error.into()))? {
            let (sequence, row) = entry.map_err(|error| failed(error.into()))?;
            let sequence = sequence.value();
            if sequence > plan.last {
                break;
            }
            exported(source, sequence, row.value()).map_err(failed)?.write_json_line(out)?;
            progress(sequence, plan.last);
        }
        let before = plan.former.as_ref().map_or(0, |cut| cut.by);
        for sequence in of_journal(source, plan.last.saturating_add(1), before).map_err(failed)? {
            let row = journal.get(sequence).map_err(|error| failed(error.into()))?;
            let row = existing(row).map_err(failed)?;
            exported(source, sequence, row.value()).map_err(failed)?.write_json_line(out)?;
        }
        out.flush()
    }
}

impl Plan {
    /// Collects the keys by which what is to go can be found: those that `folded` has of it, and those by which records of a
    /// case that ended later are found by how it ended.
    fn find_again(&mut self, source: &ReadTransaction, folded: &WriteTransaction) -> Result<(), StoreError> {
        for entry in folded.open_table(Rows::Records.definition())?.iter()? {
            let (key, _) = entry?;
            if self.is_to_go(position_in(key.value())?.0) {
                self.found_by.push(key.value().to_vec());
            }
        }
        let records = source.open_table(Rows::Records.definition())?;
        for entry in folded.open_table(Rows::Activations.definition())?.iter()? {
            let then: Placed<Activation> = from_row(entry?.1.value())?;
            let now: Option<Placed<Activation>> = rows::activation(source, then.item.id.to_bytes())?;
            let (Phase::Pending(_) | Phase::Active { .. }, Some(Phase::Ended { ending, .. })) =
                (&then.item.phase, now.map(|now| now.item.phase))
            else {
                continue;
            };
            let scope = Scope::of_activation(then.item.id);
            let (from, until) = (scope.at(self.first), scope.at(self.last));
            for entry in records.range::<&[u8]>(from.as_slice()..=until.as_slice())? {
                let Position(position) = position_in(entry?.0.value())?;
                self.found_by.push(Scope::of_ending(ending).at(position).to_vec());
            }
        }
        Ok(())
    }

    fn is_to_go(&self, sequence: u64) -> bool {
        sequence >= self.first && self.runs.iter().any(|run| (run.first..=run.last).contains(&sequence))
    }

    /// The event that states it.
    fn event(&self, archive: Digest) -> Event {
        Event::JournalCut {
            records: self.runs.clone(),
            hash: HEXLOWER.encode(&self.hash),
            until: self.until,
            archive: archive.to_string(),
            carried: self.carried.to_string(),
        }
    }
}

impl Ended {
    /// Takes its rows away.
    fn forget(&self, transaction: &WriteTransaction, folded: &mut Folded) -> Result<(), StoreError> {
        let (rows, id) = match self {
            Self::Case(placed) => {
                move_indexes(transaction, activation_indexes(placed)?, IndexRows::default(), folded)?;
                (Rows::Activations, placed.item.id.to_bytes())
            }
            // its index rows went when it ended
            Self::Assignment(id) => (Rows::Assignments, *id),
        };
        let removed = transaction.open_table(rows.definition())?.remove(id.as_slice())?.is_some();
        existing(removed.then_some(()))
    }
}

impl Appender {
    /// Cuts what was planned, when `archive`, the SHA-256 of a file, holds it. One transaction: the record that states it, by
    /// `actor`, is there and all that it states is gone, or nothing has changed.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`] when the plan is no longer so; [`StoreError`] otherwise, and then nothing has changed.
    pub fn cut(
        &mut self,
        plan: &Plan,
        archive: Digest,
        now: Timestamp,
        (actor, detail): (Actor, &Detail),
    ) -> Result<Committed, StoreError> {
        let mut transaction = self.begin()?;
        let database = &transaction.transaction;
        let overtaken =
            rows::cut(database)? != plan.former || any_goes_on(database, plan)? || any_is_erased(database, plan)?;
        if overtaken {
            return Err(StoreError::Overtaken);
        }
        {
            let (mut journal, mut notes) = (database.open_table(JOURNAL)?, database.open_table(NOTES)?);
            for run in plan.runs.iter().filter(|run| run.last >= plan.first) {
                let range = run.first.max(plan.first)..=run.last;
                journal.retain_in(range.clone(), |_, _| false)?;
                notes.retain_in(range, |_, _| false)?;
            }
            let mut records = database.open_table(Rows::Records.definition())?;
            for key in &plan.found_by {
                records.remove(key.as_slice())?;
            }
        }
        transaction.change_rows(|database, folded| {
            plan.ended.iter().try_for_each(|ended| ended.forget(database, folded))?;
            plan.change.apply(database)
        })?;
        let time = now.max(transaction.head().time);
        let command = random_id()?;
        let header = Header { command, time, actor, idempotency: None };
        transaction.append(&header, &[plan.event(archive)], detail)?;
        transaction.commit()
    }
}

/// Whether a case that the plan takes for over has gone on.
fn any_goes_on(source: &WriteTransaction, plan: &Plan) -> Result<bool, StoreError> {
    let records = source.open_table(Rows::Records.definition())?;
    for id in &plan.cases {
        if has_later(&records, *id, plan.last)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether words were erased since: the archive may hold them.
fn any_is_erased(source: &WriteTransaction, plan: &Plan) -> Result<bool, StoreError> {
    let scope = Scope::of_event("notes_erased");
    let (from, until) = (scope.at(plan.head.saturating_add(1)), scope.at(u64::MAX));
    let records = source.open_table(Rows::Records.definition())?;
    Ok(records.range::<&[u8]>(from.as_slice()..=until.as_slice())?.next().is_some())
}

fn has_later(
    records: &impl ReadableTable<&'static [u8], &'static [u8]>,
    id: ActivationId,
    last: u64,
) -> Result<bool, StoreError> {
    let scope = Scope::of_activation(id);
    let (from, until) = (scope.at(last.saturating_add(1)), scope.at(u64::MAX));
    Ok(records.range::<&[u8]>(from.as_slice()..=until.as_slice())?.next().is_some())
}

/// What had ended in the state in `folded`, up to record `last`, and of which no later record in `source` tells.
fn over_for_good(source: &ReadTransaction, folded: &WriteTransaction, last: u64) -> Result<Vec<Ended>, StoreError> {
    let mut over = Vec::new();
    let records = source.open_table(Rows::Records.definition())?;
    for entry in folded.open_table(Rows::Activations.definition())?.iter()? {
        let placed: Placed<Activation> = from_row(entry?.1.value())?;
        if matches!(placed.item.phase, Phase::Ended { .. }) && !has_later(&records, placed.item.id, last)? {
            over.push(Ended::Case(Box::new(placed)));
        }
    }
    for entry in folded.open_table(Rows::Assignments.definition())?.iter()? {
        let placed: Placed<Assignment> = from_row(entry?.1.value())?;
        if placed.item.ended.is_some() {
            over.push(Ended::Assignment(placed.item.id.to_bytes()));
        }
    }
    Ok(over)
}

fn is_of_journal(source: &ReadTransaction, sequence: u64) -> Result<bool, StoreError> {
    let sealed = existing(rows::sealed(source, Position(sequence))?)?;
    Ok(upcast::read(&sealed.core)?.event.is_of_journal())
}

/// The records about the journal itself from `first` to `last`, oldest first.
fn of_journal(source: &ReadTransaction, first: u64, last: u64) -> Result<BTreeSet<u64>, StoreError> {
    let table = source.open_table(Rows::Records.definition())?;
    let mut found = BTreeSet::new();
    for event in Event::OF_JOURNAL {
        let scope = Scope::of_event(event);
        let (from, until) = (scope.at(first), scope.at(last));
        if first > last {
            break;
        }
        for entry in table.range::<&[u8]>(from.as_slice()..=until.as_slice())? {
            found.insert(position_in(entry?.0.value())?.0);
        }
    }
    Ok(found)
}
