//! The journal of a store that no process runs on, read without changing it.

use std::fs::{self, OpenOptions};
use std::path::Path;

use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable};

use crate::domain::standing::Position;
use crate::journal::{Exported, upcast};
use crate::store::handle::guarded;
use crate::store::tables::JOURNAL;
use crate::store::{StoreError, rows};

/// Hands every record of the store at `path` to `each`, oldest first; one whose bytes are no record ends it with an error.
/// Nothing is checked beyond that, and the file stays as it is: one that was not closed cleanly is read from a copy, which
/// may be repaired.
///
/// # Errors
/// [`StoreError`], also while a process runs on the store.
pub fn each_record(path: &Path, mut each: impl FnMut(Exported)) -> Result<(), StoreError> {
    guarded(|| match Builder::new().open_read_only(path) {
        Ok(database) => read(&database, &mut each),
        Err(DatabaseError::RepairAborted) => {
            let folder = tempfile::tempdir().map_err(StoreError::Io)?;
            read(&repaired_copy(path, folder.path())?, &mut each)
        }
        Err(error) => Err(error.into()),
    })
}

fn repaired_copy(path: &Path, folder: &Path) -> Result<Database, StoreError> {
    // whoever holds the store's lock writes to it: a copy made meanwhile would be of no moment at all
    let original = OpenOptions::new().read(true).open(path).map_err(|error| StoreError::file(path, error))?;
    original.try_lock_shared().map_err(|_| StoreError::Locked)?;
    let copy = folder.join("copy.redb");
    fs::copy(path, &copy).map_err(|error| StoreError::file(path, error))?;
    Ok(Builder::new().open(&copy)?)
}

fn read(database: &impl ReadableDatabase, each: &mut impl FnMut(Exported)) -> Result<(), StoreError> {
    let source = database.begin_read()?;
    for entry in source.open_table(JOURNAL)?.iter()? {
        let (sequence, row) = entry?;
        let sequence = sequence.value();
        let sealed = rows::sealed_from(row.value())?;
        let note = rows::note(&source, Position(sequence))?;
        let time = upcast::read(&sealed.core)?.time;
        each(Exported::new(sequence, sealed, note, time));
    }
    Ok(())
}
