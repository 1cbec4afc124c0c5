//! The journal and the uses carried away as one file, proven, and made into a store again.
//!
//! The form is that of [`journal::backup`](crate::journal::backup). The signing key is never in it: whoever steals a backup
//! can read it, and cannot write a journal that anybody believes. Keep the key apart, or restore without it and begin anew.

mod archive;
mod findings;
mod left_over;
mod orphan;
mod restore;
mod verify;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;

use crate::clock::format_rfc3339;
use crate::domain::time::Timestamp;
use crate::journal::backup::{BackupError, Header, VERSION, Writer};
use crate::journal::{PublicKey, SignedCheckpoint};
use crate::store::stopped::{Checked, Remade};
use crate::store::{Reader, Snapshot, StoreError, stopped};
use crate::uses::{self, UseSnapshot};

pub use crate::uses::{Proof, Unproven, UseReader};
pub use archive::{Archived, archive, discard, forget_archived, unsealed, uses_of_archive};
pub use findings::{Findings, Uncarried};
pub use left_over::{make_way, path_of_archive};
pub use orphan::remove_orphans;
pub use restore::{free, restore, takes_over_no_uses};
pub use verify::{Proven, verify};

/// Why a backup could not be taken, proven or brought back.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// The store says why.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The backup is none to rely on.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// It says of itself what it does not hold.
    #[error("the backup is not what its header says: {0}")]
    Header(&'static str),
    /// It was begun with another root key than the one that was given.
    #[error("the backup names the root key {named}, which is not the one that was given")]
    Root {
        /// The key it names.
        named: String,
    },
    /// A file stands where one was to be made.
    #[error("`{}` is there already: nothing is ever overwritten", .0.display())]
    Taken(PathBuf),
    /// Uses lie where a store is to be made, without one.
    #[error(
        "`{}` is there, and the store it belongs to, `{}`, is not: it was left behind when that was moved away, or by a restore \
         that was cut off. Move it to where its store is, or aside when it has none, and try again",
        .uses.display(),
        .store.display()
    )]
    Orphaned {
        /// The uses.
        uses: PathBuf,
        /// Where their store would be.
        store: PathBuf,
    },
    /// An archive lies where retention keeps its own, and is not of this journal.
    #[error(
        "`{}` is named like an archive of this journal, but holds what the journal does not, and no cut names it: keep it elsewhere",
        .0.display()
    )]
    Stray(PathBuf),
    /// Reading or writing failed.
    #[error("a file failed")]
    Io(#[from] io::Error),
}

/// One consistent state of journal and uses.
pub struct Moment {
    journal: Snapshot,
    uses: Option<UseSnapshot>,
    checkpoint: Option<SignedCheckpoint>,
}

impl Moment {
    /// Of a running hallpass. The uses must have been looked at first: then every seal in the journal has its uses.
    #[must_use]
    pub const fn of(uses: UseSnapshot, journal: Snapshot) -> Self {
        Self { journal, uses: Some(uses), checkpoint: None }
    }

    /// Of the store at `path` and the uses beside it, on which no hallpass runs.
    ///
    /// # Errors
    /// [`StoreError::Locked`] while one does.
    pub fn of_files(path: &Path) -> Result<Self, StoreError> {
        let beside = uses_beside(path);
        let there = beside.try_exists().map_err(|error| StoreError::file(&beside, error))?;
        let uses = if there { Some(UseSnapshot::of_file(&beside)?) } else { None };
        Ok(Self { journal: stopped::snapshot(path)?, uses, checkpoint: None })
    }

    /// The same, with its end signed by the key of a running hallpass, which must not be in doubt about its journal.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn signed(mut self, reader: &Reader, now: Timestamp) -> Result<Self, StoreError> {
        self.checkpoint = Some(reader.checkpoint_of(&self.journal, now)?);
        Ok(self)
    }

    /// The same, with its end signed by the key in the file at `key`.
    ///
    /// # Errors
    /// [`StoreError::KeyMissing`], or what else is wrong with the file or the store.
    pub fn signed_by_file(mut self, key: &Path, now: Timestamp) -> Result<Self, StoreError> {
        self.checkpoint = Some(self.journal.checkpoint_by_file(key, now)?);
        Ok(self)
    }

    /// How many records there are to carry.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn length(&self) -> Result<u64, StoreError> {
        Ok(self.journal.head()?.position.0)
    }

    /// Writes all of it to `out`; `written` is told how many records are.
    ///
    /// # Errors
    /// [`CarryError`]; what was written until then is no backup.
    pub fn write<W: Write>(&self, now: Timestamp, out: W, written: &mut dyn FnMut(u64)) -> Result<W, CarryError> {
        let Self { journal, uses, checkpoint } = self;
        let head = journal.head()?;
        let taken_at = checkpoint.as_ref().map_or(now, |note| note.checkpoint.time);
        let header = Header {
            version: VERSION,
            realm: journal.realm().to_owned(),
            public_key: journal.public_key().to_string(),
            taken_at: format_rfc3339(taken_at),
            sequence: head.position.0,
            hash: HEXLOWER.encode(&head.hash),
            cursors: journal.cursors()?,
            checkpoint: checkpoint.as_ref().map(ToString::to_string),
        };
        let mut writer = Writer::begin(out, header)?;
        for row in journal.carried()? {
            writer.carried(&row)?;
        }
        journal.each_record(|record| {
            written(record.sequence);
            Ok::<_, CarryError>(writer.record(&record)?)
        })?;
        if let Some(uses) = uses {
            uses.each_row(|row| Ok::<_, CarryError>(writer.row(&row)?))?;
        }
        Ok(writer.finish()?)
    }
}

/// What a look at a whole store and the uses beside it found.
pub struct Looked {
    /// The journal and its rows, which are sound.
    pub checked: Checked,
    /// What is wrong beside the chain and the rows.
    pub findings: Findings,
    /// The file of uses, when it is missing or empty although the journal has sealed uses.
    pub lost: Option<PathBuf>,
}

/// Checks the store at `path` and the uses beside it, which stay as they are.
///
/// # Errors
/// As [`stopped::check`].
pub fn check(path: &Path, root: Option<PublicKey>, progress: stopped::Progress<'_>) -> Result<Looked, StoreError> {
    let mut checked = stopped::check(path, root, progress)?;
    let beside = uses_beside(path);
    let mut is_lost = checked.sealed.iter().any(|sealed| sealed.count > 0);
    let mut proof = Proof::new(std::mem::take(&mut checked.sealed));
    if beside.try_exists().map_err(|error| StoreError::reading(&beside, error))? {
        UseSnapshot::of_file(&beside)?.each_row(|row| {
            is_lost = false;
            proof.take(&row)
        })?;
    }
    let findings =
        Findings { notes: std::mem::take(&mut checked.missing), uses: proof.finish(), ..Findings::default() };
    Ok(Looked { checked, findings, lost: is_lost.then_some(beside) })
}

/// Makes the store at `path` and the uses beside it anew, of what they hold and nothing else.
///
/// # Errors
/// [`StoreError`]; [`StoreError::Locked`] while a process runs on them.
pub fn compact(path: &Path, progress: stopped::Progress<'_>) -> Result<Remade, StoreError> {
    let remade = stopped::compact(path, progress)?;
    let beside = uses_beside(path);
    if beside.try_exists().map_err(|error| StoreError::file(&beside, error))? {
        uses::compact(&beside)?;
    }
    Ok(remade)
}

/// Whether no file is there.
///
/// # Errors
/// [`CarryError::Taken`].
pub fn is_free(path: &Path) -> Result<(), CarryError> {
    if path.try_exists()? { Err(CarryError::Taken(path.to_owned())) } else { Ok(()) }
}

/// Where the uses of the store at `path` are.
#[must_use]
pub fn uses_beside(path: &Path) -> PathBuf {
    path.with_extension("uses")
}
