//! Databases that are gone when they are dropped: a journal is folded into one, only to see what comes of it.
//!
//! Decided (2026-11): in an unnamed file beside the store, not in memory, because a journal may be far longer than memory, and
//! not in the folder for temporary files, which is often memory too, or missing. There is room for as much beside the store
//! as it takes itself, or it could not be made anew either. No kill leaves anything behind.

use std::path::{Path, PathBuf};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Builder, Database};

use crate::store::{CACHE_BYTES, StoreError};

/// Where such databases are.
#[derive(Debug, Clone)]
pub(super) enum Scratch {
    /// In this folder, or where the system keeps temporary files when it cannot be written.
    In(PathBuf),
    /// In memory: for storage that was handed in, of which nobody knows where it is.
    Memory,
}

impl Scratch {
    /// In the folder that the file at `path` is or will be in.
    pub(super) fn beside(path: &Path) -> Self {
        Self::In(crate::fresh_file::folder_of(path).to_owned())
    }

    /// An empty one.
    pub(super) fn database(&self) -> Result<Database, StoreError> {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        match self {
            Self::In(folder) => {
                let file = tempfile::tempfile_in(folder).or_else(|_| tempfile::tempfile());
                let file = file.map_err(|error| StoreError::file(folder, error))?;
                Ok(builder.create_with_backend(FileBackend::new(file)?)?)
            }
            Self::Memory => Ok(builder.create_with_backend(InMemoryBackend::new())?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lies_beside_the_store_and_has_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let database = Scratch::beside(&folder.path().join("journal.redb")).database().unwrap();
        let open = std::fs::read_dir("/proc/self/fd").unwrap();
        let targets = open.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
        assert_eq!(
            targets.filter(|target| target.starts_with(folder.path())).count(),
            1,
            "not in memory, not elsewhere"
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a kill leaves nothing");
        drop(database);
    }
}
