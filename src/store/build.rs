//! A store made of records: each is verified, kept and folded, and nothing has its name before all is durable.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{Builder, Database, WriteTransaction};

use crate::domain::event::RecordRun;
use crate::domain::standing::Position;
use crate::fresh_file::{FreshFile, Placed, folder_of, make_folder_of};
use crate::journal::backup::Row;
use crate::journal::{Cut, Exported, Note, PublicKey, SealedUses, Tip};
use crate::private_file;
use crate::store::append::write_head;
use crate::store::fold::Folded;
use crate::store::handle::begin_write;
use crate::store::open::{make_tables, write_meta};
use crate::store::rebuild::is_head;
use crate::store::refold::{Refold, Taken};
use crate::store::seal::Seals;
use crate::store::snapshot::Snapshot;
use crate::store::stopped::Progress;
use crate::store::tables::{CARRIED, CURSORS, JOURNAL, NOTES};
use crate::store::{CACHE_BYTES, Head, StoreError, rows};

/// What is being made inside one write transaction.
pub(super) struct Build<'t> {
    transaction: &'t WriteTransaction,
    refold: Refold<'t>,
    sealed: Vec<SealedUses>,
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
        Ok(Self { transaction, refold: Refold::begin(transaction, root, folded), sealed: Vec::new() })
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

    /// Takes all that another store holds; `progress` is told of each record.
    pub(super) fn take_all(&mut self, other: &Snapshot, progress: Progress<'_>) -> Result<(), StoreError> {
        let last = other.head()?.position.0;
        for row in other.carried()? {
            self.take(Piece::Carried(&row))?;
        }
        let Self { transaction, refold, sealed } = self;
        refold.take_all(&other.source, |Taken { sequence, row, note, record }| {
            keep(transaction, sequence, row, note)?;
            sealed.extend(SealedUses::stated_by(&record.event));
            progress(sequence, last);
            Ok(())
        })?;
        is_head(&other.source, refold.tip())
    }

    /// Takes the next record: verified, kept with its note, folded.
    fn record(&mut self, record: &Exported) -> Result<(), StoreError> {
        let Exported { sequence, sealed, note, .. } = record;
        keep(self.transaction, *sequence, &rows::sealed_row(sealed), note.as_ref())?;
        let record = self.refold.take(*sequence, sealed, note.as_ref())?;
        self.sealed.extend(SealedUses::stated_by(&record.event));
        Ok(())
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
        Ok(Ended { head: head_of(&tip), records, signs, missing, sealed: self.sealed })
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
    file: FreshFile,
    path: PathBuf,
}

impl Fresh {
    /// For `path`.
    ///
    /// # Errors
    /// [`StoreError`] when no file can be made there.
    pub fn beside(path: &Path) -> Result<Self, StoreError> {
        make_folder_of(path).map_err(|error| failed(folder_of(path), error))?;
        let file = FreshFile::beside(path).map_err(|error| failed(path, error))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Runs `write` in one transaction of a fresh database in it, and makes that durable.
    ///
    /// # Errors
    /// What `write` says; [`StoreError`] when the file fails.
    pub fn fill<T, E: From<StoreError>>(&self, write: impl FnOnce(&WriteTransaction) -> Result<T, E>) -> Result<T, E> {
        let mut database = self.database()?;
        let transaction = begin_write(&database)?;
        let written = write(&transaction)?;
        transaction.commit().map_err(StoreError::from)?;
        shrink(&mut database)?;
        database.close().map_err(StoreError::from)?;
        Ok(written)
    }

    /// A database in it.
    pub(super) fn database(&self) -> Result<Database, StoreError> {
        let file = self.file.file().try_clone().map_err(|error| failed(&self.path, error))?;
        Ok(Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(FileBackend::new(file)?)?)
    }

    /// Gives it its name, which must be free.
    ///
    /// # Errors
    /// [`StoreError::File`] when it is taken.
    pub fn place(self) -> Result<(), StoreError> {
        let Self { file, path } = self;
        private_file::own_as_folder(file.file(), &path).map_err(|error| failed(&path, error))?;
        file.place().map_err(|error| failed(&path, error))
    }

    /// The same; nobody can open it, as stores are opened, as long as what is returned lives.
    ///
    /// # Errors
    /// As [`place`](Self::place).
    pub fn place_held(self) -> Result<Placed, StoreError> {
        let Self { file, path } = self;
        private_file::own_as_folder(file.file(), &path).map_err(|error| failed(&path, error))?;
        file.place_held().map_err(|error| failed(&path, error))
    }

    /// Puts it in the place of the file that has its name, for the same owner and mode. Until then that one is whole.
    ///
    /// # Errors
    /// [`StoreError`]; then the other one is still there.
    pub fn replace(self) -> Result<(), StoreError> {
        let Self { file, path } = self;
        let failed = |error| failed(&path, error);
        let before = std::fs::metadata(&path).map_err(failed)?;
        let own = file.file().metadata().map_err(failed)?;
        if (own.uid(), own.gid()) != (before.uid(), before.gid()) {
            fchown(file.file(), Some(before.uid()), Some(before.gid())).map_err(failed)?;
        }
        let mode = std::fs::Permissions::from_mode(before.mode() & 0o7777);
        file.file().set_permissions(mode).map_err(failed)?;
        file.replace().map_err(failed)
    }

    /// How long it is, in bytes.
    pub(super) fn length(&self) -> Result<u64, StoreError> {
        Ok(self.file.file().metadata().map_err(|error| failed(&self.path, error))?.len())
    }
}

fn failed(path: &Path, error: io::Error) -> StoreError {
    match error.kind() {
        // another process makes it
        io::ErrorKind::WouldBlock => StoreError::Locked,
        _ => StoreError::file(path, error),
    }
}

/// Keeps a record with its note.
fn keep(transaction: &WriteTransaction, sequence: u64, row: &[u8], note: Option<&Note>) -> Result<(), StoreError> {
    transaction.open_table(JOURNAL)?.insert(sequence, row)?;
    if let Some(note) = note {
        transaction.open_table(NOTES)?.insert(sequence, rows::note_row(note).as_slice())?;
    }
    Ok(())
}

/// Gives back what the file has too much.
fn shrink(database: &mut Database) -> Result<(), StoreError> {
    database.compact().map(|_| ()).map_err(|error| StoreError::from(redb::Error::from(error)))
}

/// A head of this tip.
pub(super) const fn head_of(tip: &Tip) -> Head {
    Head { position: Position(tip.sequence), hash: tip.hash, time: tip.time }
}
