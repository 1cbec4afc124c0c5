//! A store made of records: each is verified, kept and folded, and nothing has its name before all is durable.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Builder, Database, WriteTransaction};
use tempfile::NamedTempFile;

use crate::domain::event::RecordRun;
use crate::domain::standing::Position;
use crate::journal::backup::Row;
use crate::journal::{Cut, Exported, PublicKey, SealedUses, Tip};
use crate::private_file;
use crate::store::append::write_head;
use crate::store::fold::Folded;
use crate::store::handle::begin_write;
use crate::store::key::{folder_of, sync_folder};
use crate::store::open::{make_tables, write_meta};
use crate::store::refold::Refold;
use crate::store::seal::Seals;
use crate::store::tables::{CARRIED, CURSORS, JOURNAL, NOTES};
use crate::store::{Head, StoreError, rows};

/// What is being made inside one write transaction.
pub(super) struct Build<'t> {
    transaction: &'t WriteTransaction,
    refold: Refold<'t>,
}

/// What a store is made of, in this order.
#[derive(Debug, Clone, Copy)]
pub enum Piece<'p> {
    /// A row carried from before the cut, when there was one.
    Carried(&'p Row),
    /// A record.
    Record(&'p Exported),
}

impl<'t> Build<'t> {
    /// Begins with nothing but empty tables.
    pub(super) fn begin(transaction: &'t WriteTransaction, root: PublicKey) -> Result<Self, StoreError> {
        make_tables(transaction)?;
        // without the signing key nothing can be sealed: the first start compares all rows and does it
        let folded = Folded::new(Arc::new(Seals::passing()?));
        Ok(Self { transaction, refold: Refold::begin(transaction, root, folded) })
    }

    /// Takes the next piece.
    pub(super) fn take(&mut self, piece: Piece<'_>) -> Result<(), StoreError> {
        match piece {
            Piece::Carried(Row { table, key, value }) => {
                let mut carried = self.transaction.open_table(CARRIED)?;
                carried.insert((table.as_str(), key.as_slice()), value.as_slice())?;
                Ok(())
            }
            Piece::Record(record) => self.record(record),
        }
    }

    /// Takes the next record: verified, kept with its note, folded.
    fn record(&mut self, record: &Exported) -> Result<(), StoreError> {
        let Exported { sequence, sealed, note, .. } = record;
        self.transaction.open_table(JOURNAL)?.insert(sequence, rows::sealed_row(sealed).as_slice())?;
        if let Some(note) = note {
            self.transaction.open_table(NOTES)?.insert(sequence, rows::note_row(note).as_slice())?;
        }
        self.refold.take(*sequence, sealed, note.as_ref())
    }

    /// Writes what the store is about; the end of its journal.
    pub(super) fn finish(
        self,
        realm: &str,
        root: PublicKey,
        cursors: &BTreeMap<String, u64>,
    ) -> Result<Ended, StoreError> {
        let cut = self.refold.ended()?.map(Cut::count);
        let tip = *self.refold.tip();
        write_meta(self.transaction, realm, &root.to_string())?;
        write_head(self.transaction, &tip)?;
        let mut table = self.transaction.open_table(CURSORS)?;
        for (name, position) in cursors {
            table.insert(name.as_str(), position)?;
        }
        let records = tip.sequence.saturating_sub(cut.unwrap_or(0));
        let (signs, missing) = (self.refold.verifier().in_force(), self.refold.verifier().absent().missing());
        Ok(Ended { head: head_of(&tip), records, signs, missing, sealed: self.refold.into_sealed() })
    }
}

/// Where a journal ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its newest record.
    pub head: Head,
    /// How many records there are.
    pub records: u64,
    /// The key that signs the next one.
    pub signs: PublicKey,
    /// Records whose note is missing although none orders that it be erased.
    pub missing: Vec<RecordRun>,
    /// The uses that its records seal.
    pub sealed: Vec<SealedUses>,
}

/// A new file beside the place where it will be: readable by its owner only, gone when it is dropped.
pub struct Fresh {
    file: NamedTempFile,
    path: PathBuf,
}

impl Fresh {
    /// For `path`.
    ///
    /// # Errors
    /// [`StoreError`] when no file can be made there.
    pub fn beside(path: &Path) -> Result<Self, StoreError> {
        let file = tempfile::Builder::new()
            .prefix(".hallpass-new")
            .tempfile_in(folder_of(path)?)
            .map_err(|error| StoreError::file(path, error))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Runs `write` in one transaction of a fresh database in it, and makes that durable.
    ///
    /// # Errors
    /// What `write` says; [`StoreError`] when the file fails.
    pub fn fill<T, E: From<StoreError>>(&self, write: impl FnOnce(&WriteTransaction) -> Result<T, E>) -> Result<T, E> {
        let mut database = Builder::new().create(self.file.path()).map_err(StoreError::from)?;
        let transaction = begin_write(&database)?;
        let written = write(&transaction)?;
        transaction.commit().map_err(StoreError::from)?;
        shrink(&mut database)?;
        database.close().map_err(StoreError::from)?;
        self.file.as_file().sync_all().map_err(|error| StoreError::file(&self.path, error))?;
        Ok(written)
    }

    /// Gives it its name, which must be free.
    ///
    /// # Errors
    /// [`StoreError::File`] when it is taken.
    pub fn place(self) -> Result<(), StoreError> {
        let Self { file, path } = self;
        private_file::own_as_folder(file.as_file(), &path).map_err(|error| StoreError::file(&path, error))?;
        file.persist_noclobber(&path).map_err(|error| StoreError::file(&path, error.error))?;
        sync_folder(folder_of(&path)?)
    }

    /// Puts it in the place of the file that has its name, for the same owner and mode. Until then that one is whole.
    ///
    /// # Errors
    /// [`StoreError`]; then the other one is still there.
    pub fn replace(self) -> Result<(), StoreError> {
        let Self { file, path } = self;
        let failed = |error| StoreError::file(&path, error);
        let before = std::fs::metadata(&path).map_err(failed)?;
        let own = file.as_file().metadata().map_err(failed)?;
        if (own.uid(), own.gid()) != (before.uid(), before.gid()) {
            fchown(file.as_file(), Some(before.uid()), Some(before.gid())).map_err(failed)?;
        }
        let mode = std::fs::Permissions::from_mode(before.mode() & 0o7777);
        file.as_file().set_permissions(mode).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&path).map_err(|error| StoreError::file(&path, error.error))?;
        sync_folder(folder_of(&path)?)
    }

    /// How long it is, in bytes.
    pub(super) fn length(&self) -> Result<u64, StoreError> {
        Ok(self.file.as_file().metadata().map_err(|error| StoreError::file(&self.path, error))?.len())
    }
}

/// Gives back what the file has too much.
fn shrink(database: &mut Database) -> Result<(), StoreError> {
    database.compact().map(|_| ()).map_err(|error| StoreError::from(redb::Error::from(error)))
}

/// A head of this tip.
const fn head_of(tip: &Tip) -> Head {
    Head { position: Position(tip.sequence), hash: tip.hash, time: tip.time }
}
