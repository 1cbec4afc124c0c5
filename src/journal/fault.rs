//! What can be wrong with a journal.

use crate::clock::format_rfc3339;
use crate::domain::event::RecordRun;
use crate::domain::time::Timestamp;

/// The first record that is wrong, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {sequence}: {wrong}")]
pub struct Fault {
    /// The sequence number at which the chain breaks.
    pub sequence: u64,
    /// What is wrong.
    pub wrong: Wrong,
}

impl Fault {
    /// That of records that are gone and should not be.
    pub(super) const fn of_gap(run: &RecordRun) -> Self {
        Self { sequence: run.first, wrong: Wrong::Missing { found: Some(run.last.saturating_add(1)) } }
    }
}

/// What can be wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It is not there: another one follows, or none.
    #[error("it is missing{}", .found.map_or_else(String::new, |found| format!("; record {found} stands in its place")))]
    Missing {
        /// The sequence number found in its place.
        found: Option<u64>,
    },
    /// It is not there, although something kept elsewhere names it or a later one: the journal ends before.
    #[error(
        "it is missing: {} names record {named}, and this journal ends before: an older copy, or its end was cut",
        .at.map_or_else(|| "a head kept elsewhere".to_owned(), |at| format!("an anchor of {}", format_rfc3339(at)))
    )]
    Behind {
        /// The record that is named.
        named: u64,
        /// When an anchor named it; none for a head that tells no time.
        at: Option<Timestamp>,
    },
    /// It does not follow the record before.
    #[error("it does not follow the record before")]
    Link,
    /// Its hash is not that of its content.
    #[error("its hash is not that of its content")]
    Hash,
    /// Its signature is not by the key that was in force.
    #[error("its signature is not by the key that was in force")]
    Signature,
    /// Its bytes are no record.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// It is authentic, and of a version or an event that only a later hallpass knows.
    #[error("it was written by a later hallpass: {0}")]
    Later(String),
    /// Its time lies before that of the record before.
    #[error("its time lies before that of the record before")]
    TimeBackwards,
    /// The time shown beside it is not its time.
    #[error("the time shown beside it is not its time")]
    ShownTime,
    /// Its note is not the one it was written with.
    #[error("its note is not the one it was written with")]
    Note,
    /// The note it was written with is not there, and none of the records says that it was erased.
    #[error("its note is missing, and no record here orders that it be erased")]
    NoteMissing,
    /// It does not begin a chain, or begins one in the middle, or begins that of another key.
    #[error("it does not begin the journal of this root key")]
    Root,
    /// A head kept elsewhere names another hash for it.
    #[error("the head kept elsewhere names another hash")]
    Head,
    /// A head kept elsewhere names it, and it was cut.
    #[error("it was cut, so the head kept elsewhere that names it must be held against the archive")]
    Cut,
    /// A file that ends with it is not the archive that its cut names.
    #[error("the file that ends with it is not the archive that was written when it was cut")]
    Archive,
    /// An anchor was given that tells of another journal.
    #[error("the anchor is one of another journal, {0}")]
    ForeignAnchor(String),
    /// An anchor was given that nobody signed who signed this journal.
    #[error("no key of this journal signed the anchor")]
    UnsignedAnchor,
    /// A backup's end was signed by somebody who does not sign this journal.
    #[error("it is the last one, and the key in force did not sign that the backup ends there")]
    UnsignedEnd,
}
