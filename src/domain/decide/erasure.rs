//! Erasing what a person typed and is called: their own words, and what others wrote about them.
//!
//! What stays are the facts: who, as `issuer:subject`, was given what, when, and by whom. The notes of all records by the
//! person or about them go as a whole, the name of an approver and their words with them: a note has one digest.

use crate::domain::command::Caller;
use crate::domain::decide::text::reason_refusals;
use crate::domain::decide::{Case, Decided, authority};
use crate::domain::event::{Event, RecordRun};
use crate::domain::policy::Need;
use crate::domain::principal::Principal;
use crate::domain::refusal::Refusals;
use crate::domain::standing::Position;
use crate::domain::time::Timestamp;

pub(super) fn erase(
    case: &Case,
    caller: &Caller,
    principal: &Principal,
    justification: Option<&str>,
    now: Timestamp,
) -> Decided {
    let mut refusals = authority::administrator_refusals(case, caller, now);
    if refusals.is_empty() {
        refusals = reason_refusals(Need::Required, justification);
    }
    Refusals::none_of(refusals)?;
    let erased = case.notes.chunks(NOTES_PER_RECORD).map(|notes| Event::NotesErased {
        principal: principal.clone(),
        count: u64::try_from(notes.len()).unwrap_or(u64::MAX),
        records: runs(notes),
    });
    Ok(erased.collect())
}

/// Neighbours together: only records that had a note are in a run.
fn runs(notes: &[Position]) -> Vec<RecordRun> {
    let mut runs: Vec<RecordRun> = Vec::new();
    for Position(sequence) in notes {
        match runs.last_mut() {
            Some(run) if run.last.saturating_add(1) == *sequence => run.last = *sequence,
            Some(_) | None => runs.push(RecordRun { first: *sequence, last: *sequence }),
        }
    }
    runs
}

/// A record stays far below the longest line of an export.
const NOTES_PER_RECORD: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_run() {
        let runs = |notes: &[u64]| -> Vec<(u64, u64)> {
            let notes: Vec<_> = notes.iter().copied().map(Position).collect();
            runs(&notes).into_iter().map(|run| (run.first, run.last)).collect()
        };
        assert_eq!(runs(&[]), []);
        assert_eq!(runs(&[2, 3, 4, 7, 9, 10]), [(2, 4), (7, 7), (9, 10)]);
    }
}
