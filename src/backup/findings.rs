//! What is wrong beside a chain that is whole.

use crate::domain::event::RecordRun;
use crate::uses::Unproven;

/// Texts, uses and carried rows that are not what was recorded. Rights do not follow from them, since no store is made of such
/// rows; what they prove is lost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Records whose note is missing although no record orders that it be erased.
    pub notes: Vec<RecordRun>,
    /// Uses that are not those that were sealed.
    pub uses: Vec<Unproven>,
    /// Files that are damaged or cannot be read to their end, and why.
    pub files: Vec<String>,
    /// Rows that stand for what was cut, and are not what was signed.
    pub carried: Vec<Uncarried>,
}

/// How rows that stand for what was cut are not what was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Uncarried {
    /// The record of the cut names others.
    #[error(
        "what records up to {last} had come to is not here as record {by} of their cut names it: no store is made of it"
    )]
    Other {
        /// The record of the cut.
        by: u64,
        /// The last record that was cut.
        last: u64,
    },
    /// No record tells of a cut.
    #[error("rows stand for records that were cut, and no record here tells of a cut: no store is made of them")]
    WithoutCut,
}

impl Findings {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.notes.is_empty() && self.uses.is_empty() && self.files.is_empty() && self.carried.is_empty()
    }

    /// Each of them in a line, the first few at length.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        let run = |RecordRun { first, last }: &RecordRun| match first == last {
            true => format!("record {first}: its note is missing, and no record here orders that it be erased"),
            false => format!(
                "records {first} to {last}: their notes are missing, and no record here orders that they be erased"
            ),
        };
        let all = self.notes.len() + self.uses.len() + self.files.len() + self.carried.len();
        let uses = self.uses.iter().map(ToString::to_string);
        let carried = self.carried.iter().map(ToString::to_string);
        let each = carried.chain(self.notes.iter().map(run)).chain(uses).chain(self.files.iter().cloned());
        let mut told: Vec<String> = each.take(TOLD_MAX).collect();
        if all > TOLD_MAX {
            told.push(format!("and {} more", all - TOLD_MAX));
        }
        told
    }
}

const TOLD_MAX: usize = 20;
