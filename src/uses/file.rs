//! The file of uses: opened, and opened again after it failed.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::Database;

use super::{BLOCKS, UNSEALED};
use crate::fresh_file::sync_folder_of;
use crate::store::{Handle, StoreError, by_name_alone, guarded, tell_who_may_read};

/// Where uses are written. Readers share its handle and go on with what was opened again.
pub(super) struct UseFile {
    place: Place,
    pub(super) handle: Arc<Handle>,
}

/// Where the database comes from, again and again.
pub(super) enum Place {
    File(PathBuf),
    #[cfg(test)]
    Disk(crate::store::tests::disk::Disk),
}

impl UseFile {
    /// Opens or creates it.
    pub(super) fn open(place: Place) -> Result<Self, StoreError> {
        let database = guarded(|| place.open())?;
        Ok(Self { place, handle: Arc::new(Handle::new(database)) })
    }

    /// After a failed commit, which nobody repeats: closes it and opens it again, as it is on disk.
    pub(super) fn reopen(&self) -> Result<(), StoreError> {
        self.handle.let_go()?;
        self.handle.set(guarded(|| self.place.open())?);
        Ok(())
    }
}

impl Place {
    fn open(&self) -> Result<Database, StoreError> {
        let mut builder = redb::Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        let database = match self {
            Self::File(path) => by_name_alone(path, || {
                Ok(builder.create_with_backend(redb::backends::FileBackend::new(open_file(path)?)?)?)
            })?,
            #[cfg(test)]
            Self::Disk(disk) => builder.create_with_backend(disk.clone())?,
        };
        let transaction = database.begin_write()?;
        transaction.open_table(BLOCKS)?;
        transaction.open_table(UNSEALED)?;
        transaction.commit()?;
        Ok(database)
    }
}

fn open_file(path: &Path) -> Result<std::fs::File, StoreError> {
    tell_who_may_read(path);
    let failed = |source| StoreError::file(path, source);
    let is_new = !path.try_exists().map_err(failed)?;
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(failed)?;
    if is_new {
        // a name that is lost with the power takes with it all that was written under it
        sync_folder_of(path).map_err(failed)?;
    }
    Ok(file)
}

const CACHE_BYTES: usize = 16 << 20;
