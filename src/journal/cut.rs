//! What was cut out of a journal, and the signed record that says so.

use crate::domain::event::{Event, RecordRun};
use crate::domain::time::Timestamp;
use crate::journal::record::{Digest, Record, from_hex};

/// What a `journal_cut` record states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The record that states it.
    pub by: u64,
    /// When it was cut.
    pub at: Timestamp,
    /// All records that were gone then, in order, with at least one between each two runs.
    pub records: Vec<RecordRun>,
    /// Hash of the last of them.
    pub hash: [u8; 32],
    /// Time of the last of them.
    pub until: Timestamp,
    /// SHA-256 over the archive of those that went with this cut.
    pub archive: Digest,
    /// SHA-256 over what they had come to.
    pub carried: Digest,
}

/// A `journal_cut` record that states what cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it states a cut that cannot be")]
pub struct NoCut;

impl Cut {
    /// What `record` states; nothing when it is of another type.
    ///
    /// # Errors
    /// [`NoCut`].
    pub fn stated_by(sequence: u64, record: &Record) -> Result<Option<Self>, NoCut> {
        let Event::JournalCut { records, hash, until, archive, carried } = &record.event else { return Ok(None) };
        // the first record always stays, and one stays between each two runs
        let mut free = 2;
        for RecordRun { first, last } in records {
            if *first < free || first > last || *last >= sequence {
                return Err(NoCut);
            }
            free = last.saturating_add(2);
        }
        if records.is_empty() {
            return Err(NoCut);
        }
        let digest = |text| from_hex(text).ok_or(NoCut);
        Ok(Some(Self {
            by: sequence,
            at: record.time,
            records: records.clone(),
            hash: digest(hash)?,
            until: *until,
            archive: Digest(digest(archive)?),
            carried: Digest(digest(carried)?),
        }))
    }

    /// The last record that is gone.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.records.last().map_or(0, |run| run.last)
    }

    /// How many records are gone.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.records.iter().map(|run| run.last.saturating_sub(run.first).saturating_add(1)).sum()
    }

    /// Whether this record is gone.
    #[must_use]
    pub fn holds(&self, sequence: u64) -> bool {
        contain(&self.records, sequence)
    }

    /// The first record at or behind this one that is not gone.
    #[must_use]
    pub fn first_kept(&self, sequence: u64) -> u64 {
        let gone = self.records.iter().find(|run| (run.first..=run.last).contains(&sequence));
        gone.map_or(sequence, |run| run.last.saturating_add(1))
    }

    /// The records up to the last that is gone which are still there, oldest first.
    pub fn kept(&self) -> impl Iterator<Item = u64> + '_ {
        let starts = std::iter::once(1).chain(self.records.iter().map(|run| run.last.saturating_add(1)));
        starts.zip(&self.records).flat_map(|(start, run)| start..run.first)
    }
}

/// Whether one of `runs` holds this record.
pub(super) fn contain(runs: &[RecordRun], sequence: u64) -> bool {
    runs.iter().any(|run| (run.first..=run.last).contains(&sequence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::Actor;
    use crate::domain::id::CommandId;
    use crate::journal::record::VERSION;

    fn stated(runs: &[(u64, u64)], sequence: u64) -> Result<Option<Cut>, NoCut> {
        let records = runs.iter().map(|(first, last)| RecordRun { first: *first, last: *last }).collect();
        let digest = "ab".repeat(32);
        let until = Timestamp::from_seconds(1);
        let (archive, carried) = (digest.clone(), digest.clone());
        let record = Record {
            version: VERSION,
            time: until,
            actor: Actor::Operator,
            command: CommandId::from_random([1; 16]),
            event: Event::JournalCut { records, hash: digest, until, archive, carried },
            detail: None,
            idempotency: None,
        };
        Cut::stated_by(sequence, &record)
    }

    #[test]
    fn what_is_gone_and_what_stayed_can_be_told() {
        let cut = stated(&[(2, 4), (7, 9)], 20).unwrap().unwrap();
        assert_eq!((cut.last(), cut.count()), (9, 6));
        assert_eq!(cut.kept().collect::<Vec<_>>(), [1, 5, 6]);
        assert!(cut.holds(8) && !cut.holds(6) && !cut.holds(10));
        assert_eq!([1, 2, 4, 5, 8, 10].map(|sequence| cut.first_kept(sequence)), [1, 5, 5, 5, 10, 10]);
    }

    #[test]
    fn a_cut_that_cannot_be_is_refused() {
        for runs in [&[][..], &[(1, 4)], &[(4, 3)], &[(2, 4), (5, 9)], &[(5, 9), (2, 3)], &[(2, 20)], &[(2, u64::MAX)]]
        {
            assert_eq!(stated(runs, 20), Err(NoCut), "{runs:?}");
        }
        assert!(stated(&[(2, 19)], 20).is_ok());
    }
}
