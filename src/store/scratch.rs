//! Databases that are gone when they are dropped: a journal is folded into one, only to see what comes of it.
//!
//! Decided (2026-11): in an unnamed file beside the store, not in memory, because a journal may be far longer than memory, and
//! never in the folder for temporary files, which is often memory too, or another disk: what people wrote, and may want erased,
//! stays where the store is. There is room for as much beside the store as it takes itself, or it could not be made anew either;
//! a disk that is full is told. Only where nothing may be written, as beside a backup on a read-only volume, it is in memory
//! after all: to look at a journal there takes as much as its tables. No kill leaves anything behind.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Builder, Database};

use crate::fresh_file::folder_of;
use crate::store::{CACHE_BYTES, StoreError};

/// Where such databases are.
#[derive(Debug, Clone)]
pub(super) enum Scratch {
    /// In this folder; in memory when nothing may be written there.
    In(PathBuf),
    /// In memory: for storage that was handed in, of which nobody knows where it is.
    Memory,
}

impl Scratch {
    /// In the folder that the file at `path` is in, or will be: as long as that is not made, in the nearest above it that is.
    pub(super) fn beside(path: &Path) -> Self {
        let mut folder = folder_of(path);
        while !folder.exists() && folder_of(folder) != folder {
            folder = folder_of(folder);
        }
        Self::In(folder.to_owned())
    }

    /// An empty one.
    pub(super) fn database(&self) -> Result<Database, StoreError> {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        Ok(match self.file()? {
            Some(file) => builder.create_with_backend(FileBackend::new(file)?)?,
            None => builder.create_with_backend(InMemoryBackend::new())?,
        })
    }

    /// A file without a name; none where it is in memory.
    fn file(&self) -> Result<Option<File>, StoreError> {
        let Self::In(folder) = self else { return Ok(None) };
        match tempfile::tempfile_in(folder) {
            Ok(file) => Ok(Some(file)),
            Err(error) if may_not_be_written(&error) => Ok(None),
            Err(error) => Err(StoreError::file(folder, error)),
        }
    }
}

/// Whether it is said of the folder, and not of what goes wrong with it now.
fn may_not_be_written(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files that this process has open in or below `folder`.
    fn open_below(folder: &Path) -> usize {
        let open = std::fs::read_dir("/proc/self/fd").unwrap();
        let targets = open.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
        targets.filter(|target| target.starts_with(folder)).count()
    }

    #[test]
    fn it_lies_beside_the_store_and_has_no_name() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["journal.redb", "not/made/yet/journal.redb"] {
            let database = Scratch::beside(&folder.path().join(path)).database().unwrap();
            assert_eq!(open_below(folder.path()), 1, "not in memory, not elsewhere");
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a kill leaves nothing");
            drop(database);
        }
        assert_eq!(open_below(folder.path()), 0);
        let Scratch::In(here) = Scratch::beside(Path::new("not-there/journal.redb")) else { panic!() };
        assert_eq!(here, Path::new("."));
    }

    #[test]
    fn what_fails_beside_the_store_is_told_and_no_reason_to_write_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let scratch = Scratch::beside(&folder.path().join("file/journal.redb"));
        let refused = scratch.database().err().unwrap();
        assert!(matches!(&refused, StoreError::File { path, .. } if path.ends_with("file")), "{refused:?}");
        for (kind, in_memory) in [
            (io::ErrorKind::StorageFull, false),
            (io::ErrorKind::QuotaExceeded, false),
            (io::ErrorKind::NotFound, false),
            (io::ErrorKind::ReadOnlyFilesystem, true),
            (io::ErrorKind::PermissionDenied, true),
        ] {
            assert_eq!(may_not_be_written(&kind.into()), in_memory, "{kind}");
        }
        // where nobody may write, root included
        assert!(Scratch::In(PathBuf::from("/sys")).file().unwrap().is_none());
        assert!(Scratch::beside(&folder.path().join("journal.redb")).file().unwrap().is_some());
    }
}
