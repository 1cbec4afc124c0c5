//! What can go wrong between hallpass and its disk.

use std::io;
use std::path::{Path, PathBuf};

use crate::domain::activation::Unfoldable;
use crate::domain::time::Timestamp;
use crate::journal::sign::KeyError;
use crate::journal::upcast::Unreadable;

/// The world failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the store open.
    #[error("the store is open in another process; stop that one first, or give this one a store of its own")]
    Locked,
    /// What is on disk is not what was written.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// Written by another version of hallpass.
    #[error(
        "the store has format {found}; this hallpass knows format {known}: run the version that wrote it, or a newer one"
    )]
    UnknownVersion {
        /// The format found.
        found: u32,
        /// The format that is known.
        known: u32,
    },
    /// A record was written by a later version of hallpass.
    #[error("record {sequence} was written by a later hallpass ({why}): run the version that wrote it, or a newer one")]
    UnknownRecord {
        /// Its position.
        sequence: u64,
        /// What of it is not known.
        why: Unreadable,
    },
    /// The store belongs to another signing key or another chain.
    #[error("the store belongs to another signing key: {0}")]
    Foreign(String),
    /// The store holds another journal than the one that the signing key is bound to.
    #[error(
        "this is not the journal that the signing key is bound to: {why}. Put the right store there, or restore a backup of \
         it; `{pin}` says which one it is"
    )]
    AnotherJournal {
        /// The pin that says so.
        pin: PathBuf,
        /// What differs.
        why: String,
    },
    /// The store was begun with another root key than the one that was given.
    #[error("it is not the journal of the root key that was given, {given}: it was begun with {named}")]
    AnotherRoot {
        /// The key that was given.
        given: String,
        /// The key that its first record names.
        named: String,
    },
    /// The signing key is bound to a journal, and no store is there.
    #[error(
        "the journal of realm {realm} is not at `{}`: mount its volume, or restore a backup to there. To begin anew without \
         it, first move the signing key and `{}` aside; where a copy of the old store is left, `hallpass key lost` lets the \
         new journal name its end",
        .path.display(),
        .pin.display()
    )]
    JournalGone {
        /// The journal's name.
        realm: Box<str>,
        /// Where the store should be.
        path: Box<Path>,
        /// The pin that says so.
        pin: Box<Path>,
    },
    /// The pin beside the signing key cannot be believed.
    #[error("`{path}` does not say which journal the signing key is bound to: {why}")]
    Pin {
        /// Its file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Others than the owner may read the signing key.
    #[error("the signing key `{path}` has mode {mode:o}; it must be 600, for its owner alone: chmod 600 '{path}'")]
    KeyPermissions {
        /// The key file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The store is there, but not its key.
    #[error(
        "the signing key `{0}` is missing, and the store was signed with it: restore that file; if it is lost for good, see \
         `hallpass key lost --help`"
    )]
    KeyMissing(PathBuf),
    /// The key file holds no key.
    #[error("the signing key `{path}` cannot be used")]
    Key {
        /// The key file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// A file or folder failed.
    #[error("`{path}` cannot be used")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file cannot be read.
    #[error("`{path}` cannot be read")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The volume or the file may not be written.
    #[error("`{path}` cannot be written; hallpass must be able to write to its store and to the folder it lies in")]
    ReadOnly {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Reading or writing failed.
    #[error("reading or writing the store failed")]
    Io(#[source] io::Error),
    /// There is no room left.
    #[error("there is no room left for the store")]
    Full(#[source] io::Error),
    /// The store is being reopened, or reopening it failed.
    #[error("the store is closed")]
    Closed,
    /// Commits overtook a snapshot before its rows could be compared with their seals; read again.
    #[error("the store moved on while it was read")]
    Overtaken,
    /// A commit or a change inside a transaction failed before: nothing more may be done with it.
    #[error("the transaction failed before and can only be dropped")]
    Poisoned,
    /// A record would lie before the last one.
    #[error("the time of a record lies before that of the last one")]
    TimeBackwards {
        /// Time of the last record.
        last: Timestamp,
        /// Time of the new one.
        given: Timestamp,
    },
    /// An event that cannot follow what is there: a bug, never a user's mistake.
    #[error("an event does not follow what is there: {0}")]
    Stray(String),
    /// A record that cannot be read or written.
    #[error("a record cannot be read or written")]
    Record(#[from] Unreadable),
    /// The system gave no randomness.
    #[error("the system gave no randomness")]
    Randomness,
    /// Anything else the database says.
    #[error("the database failed")]
    Database(#[source] Box<redb::Error>),
}

impl StoreError {
    /// One sentence for those who may not see how hallpass is built.
    #[must_use]
    pub const fn outward(&self) -> &'static str {
        match self {
            Self::Full(_) => "there is no room left to write the journal",
            Self::Closed => "the journal is being reopened",
            _ => "the journal is not available",
        }
    }

    /// Whether its words tell which file it is about.
    #[must_use]
    pub const fn names_its_file(&self) -> bool {
        matches!(
            self,
            Self::KeyPermissions { .. }
                | Self::KeyMissing(_)
                | Self::JournalGone { .. }
                | Self::Key { .. }
                | Self::File { .. }
                | Self::Unreadable { .. }
                | Self::ReadOnly { .. }
        )
    }

    /// Whether the store could not be looked at, rather than not be believed. Each error has its place here by name.
    #[must_use]
    pub fn is_out_of_reach(&self) -> bool {
        match self {
            Self::Locked
            | Self::File { .. }
            | Self::Unreadable { .. }
            | Self::ReadOnly { .. }
            | Self::Io(_)
            | Self::Full(_)
            | Self::Closed
            | Self::Overtaken
            | Self::Poisoned
            | Self::Randomness => true,
            Self::Database(error) => matches!(
                **error,
                redb::Error::TransactionInProgress | redb::Error::PreviousIo | redb::Error::Backend(_)
            ),
            Self::Damaged(_)
            | Self::UnknownVersion { .. }
            | Self::UnknownRecord { .. }
            | Self::Foreign(_)
            | Self::AnotherJournal { .. }
            | Self::AnotherRoot { .. }
            | Self::JournalGone { .. }
            | Self::Pin { .. }
            | Self::KeyPermissions { .. }
            | Self::KeyMissing(_)
            | Self::Key { .. }
            | Self::TimeBackwards { .. }
            | Self::Stray(_)
            | Self::Record(_) => false,
        }
    }

    /// A file that is only to be read failed.
    pub(crate) fn reading(path: &std::path::Path, source: io::Error) -> Self {
        Self::Unreadable { path: path.to_owned(), source }
    }

    /// A file or folder failed.
    pub(crate) fn file(path: &std::path::Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            _ if is_full(&source) => Self::Full(source),
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Self::ReadOnly { path, source },
            _ => Self::File { path, source },
        }
    }
}

impl From<Unfoldable> for StoreError {
    fn from(unfoldable: Unfoldable) -> Self {
        Self::Stray(unfoldable.to_string())
    }
}

impl From<redb::Error> for StoreError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::Locked,
            redb::Error::DatabaseClosed => Self::Closed,
            redb::Error::TransactionPoisoned => Self::Poisoned,
            redb::Error::Corrupted(what) => Self::Damaged(what),
            redb::Error::UpgradeRequired(found) => {
                Self::UnknownVersion { found: u32::from(found), known: crate::store::tables::FORMAT }
            }
            redb::Error::TableDoesNotExist(table) => Self::Damaged(format!("table `{table}` is missing")),
            redb::Error::TableTypeMismatch { table, .. } => {
                Self::Damaged(format!("table `{table}` is of another kind"))
            }
            redb::Error::Io(source) if is_full(&source) => Self::Full(source),
            redb::Error::Io(source) => Self::Io(source),
            other => Self::Database(Box::new(other)),
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

macro_rules! through_redb_error {
    ($($kind:ty),+) => {
        $(impl From<$kind> for StoreError {
            fn from(error: $kind) -> Self {
                redb::Error::from(error).into()
            }
        })+
    };
}

through_redb_error!(
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError,
    redb::SetDurabilityError
);
