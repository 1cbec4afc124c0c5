//! Notes that are not there: erased, as a record orders that names theirs, or simply missing.

use std::collections::BTreeSet;

use crate::domain::event::{Event, RecordRun};
use crate::journal::fault::Wrong;
use crate::journal::record::{Note, Record};

/// Tells the two apart, while records are checked one after the other.
#[derive(Debug, Default)]
pub struct Absent {
    /// Records that lack the note they were written with, and that no record named since.
    missing: BTreeSet<u64>,
    erased: u64,
}

impl Absent {
    /// Takes the next record; `lacks` says whether it lacks its note. An order names earlier records only, as when it is
    /// carried out.
    pub(super) fn take(&mut self, sequence: u64, event: &Event, lacks: bool) {
        if lacks {
            self.missing.insert(sequence);
        }
        let Event::NotesErased { records, .. } = event else { return };
        for RecordRun { first, last } in records {
            // checked before asking: a range that ends before it begins is a panic
            if first > last || *last >= sequence {
                continue;
            }
            while let Some(named) = self.missing.range(first..=last).next().copied() {
                self.missing.remove(&named);
                self.erased = self.erased.saturating_add(1);
            }
        }
    }

    /// How many notes were erased, as a later record orders.
    #[must_use]
    pub const fn erased(&self) -> u64 {
        self.erased
    }

    /// The records whose note is missing although no later one orders that it be erased; neighbours together.
    #[must_use]
    pub fn missing(&self) -> Vec<RecordRun> {
        let mut runs: Vec<RecordRun> = Vec::new();
        for sequence in &self.missing {
            match runs.last_mut() {
                Some(run) if run.last.saturating_add(1) == *sequence => run.last = *sequence,
                Some(_) | None => runs.push(RecordRun { first: *sequence, last: *sequence }),
            }
        }
        runs
    }
}

/// Whether the record lacks the note it was written with.
pub(super) fn lacks_note(record: &Record, note: Option<&Note>) -> Result<bool, Wrong> {
    match (record.detail, note) {
        (Some(digest), Some(note)) if note.digest() == digest && note.detail().is_ok() => Ok(false),
        (Some(_), None) => Ok(true),
        (None, None) => Ok(false),
        (Some(_) | None, Some(_)) => Err(Wrong::Note),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::principal::Principal;

    fn order(runs: &[(u64, u64)]) -> Event {
        let records = runs.iter().map(|(first, last)| RecordRun { first: *first, last: *last }).collect();
        Event::NotesErased { principal: Principal::new("https://id.example", "ada"), count: 0, records }
    }

    #[test]
    fn only_what_a_later_record_names_was_erased() {
        let applied = Event::ConfigurationApplied { digest: String::new() };
        let mut absent = Absent::default();
        for sequence in 1..=9 {
            absent.take(sequence, &applied, sequence != 5);
        }
        // 10 names itself and what comes after it, and a run that ends before it begins
        absent.take(10, &order(&[(2, 3), (7, 7), (8, 10), (9, 2), (u64::MAX, u64::MAX)]), true);
        let missing: Vec<_> = absent.missing().iter().map(|run| (run.first, run.last)).collect();
        assert_eq!((absent.erased(), missing), (3, vec![(1, 1), (4, 4), (6, 6), (8, 10)]));
    }
}
