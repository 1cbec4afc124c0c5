//! A store's file that is read and never written: what the database would write, such as a repair, stays in memory.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{BackendError, StorageBackend};

use crate::store::StoreError;
use crate::store::handle::by_name;

/// The file, and what was changed of it.
#[derive(Debug)]
pub(super) struct Overlay {
    file: File,
    changed: Mutex<Changed>,
}

#[derive(Debug)]
struct Changed {
    /// Page number → page.
    pages: BTreeMap<u64, Box<[u8]>>,
    /// As the database sees it.
    length: u64,
    /// Beyond it nothing of the file shows.
    file_length: u64,
}

/// Whom the lock keeps away while the file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alone {
    /// Those who write.
    FromWriters,
    /// Everybody.
    FromAll,
}

impl Overlay {
    /// Opens the file at `path`, which no process may be writing.
    ///
    /// # Errors
    /// [`StoreError::Locked`] while one does.
    pub(super) fn open(path: &Path, alone: Alone) -> Result<Self, StoreError> {
        by_name(path, || Self::locked(path, alone))
    }

    fn locked(path: &Path, alone: Alone) -> Result<Self, StoreError> {
        let failed = |error| StoreError::reading(path, error);
        let file = OpenOptions::new().read(true).open(path).map_err(failed)?;
        let locked = match alone {
            Alone::FromWriters => file.try_lock_shared(),
            Alone::FromAll => file.try_lock(),
        };
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let length = file.metadata().map_err(failed)?.len();
        if length == 0 {
            return Err(StoreError::Damaged(format!("`{}` is empty", path.display())));
        }
        let changed = Changed { pages: BTreeMap::new(), length, file_length: length };
        Ok(Self { file, changed: Mutex::new(changed) })
    }

    fn changed(&self) -> MutexGuard<'_, Changed> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One page as it is in the file, zeros behind its end.
    fn page(&self, number: u64, file_length: u64) -> io::Result<Box<[u8]>> {
        let mut page = vec![0; PAGE].into_boxed_slice();
        let offset = number.saturating_mul(PAGE as u64);
        let there = usize::try_from(file_length.saturating_sub(offset)).unwrap_or(PAGE).min(PAGE);
        if let Some(there) = page.get_mut(..there) {
            self.file.read_exact_at(there, offset)?;
        }
        Ok(page)
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.changed().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let changed = self.changed();
        if changed.pages.is_empty() && offset.saturating_add(out.len() as u64) <= changed.file_length {
            return self.file.read_exact_at(out, offset);
        }
        for (number, within, piece) in pieces(offset, out.len()) {
            let target = out.get_mut(piece).ok_or(io::ErrorKind::InvalidInput)?;
            let length = target.len();
            let fresh;
            let page = match changed.pages.get(&number) {
                Some(page) => page,
                None => {
                    fresh = self.page(number, changed.file_length)?;
                    &fresh
                }
            };
            target.copy_from_slice(page.get(within..within + length).ok_or(io::ErrorKind::InvalidInput)?);
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut changed = self.changed();
        changed.length = length;
        changed.file_length = changed.file_length.min(length);
        changed.pages.retain(|number, _| number.saturating_mul(PAGE as u64) < length);
        // what was cut must not come back when it grows again
        let kept = usize::try_from(length % PAGE as u64).unwrap_or(0);
        if let Some(cut) = changed.pages.get_mut(&(length / PAGE as u64)).and_then(|page| page.get_mut(kept..)) {
            cut.fill(0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut changed = self.changed();
        let file_length = changed.file_length;
        for (number, within, piece) in pieces(offset, data.len()) {
            let source = data.get(piece).ok_or(io::ErrorKind::InvalidInput)?;
            let page = match changed.pages.entry(number) {
                Entry::Occupied(page) => page.into_mut(),
                Entry::Vacant(free) => free.insert(self.page(number, file_length)?),
            };
            let target = page.get_mut(within..within + source.len()).ok_or(io::ErrorKind::InvalidInput)?;
            target.copy_from_slice(source);
        }
        Ok(())
    }

    // the lock on the file was taken when it was opened, and is given back when it is closed

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn try_lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }
}

const PAGE: usize = 4096;

/// `length` bytes from `offset` on, page by page: the page's number, where in it, and which of the bytes.
fn pieces(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done >= length {
            return None;
        }
        let at = offset.saturating_add(done as u64);
        let within = usize::try_from(at % PAGE as u64).unwrap_or(0);
        let end = length.min(done + PAGE - within);
        let piece = done..end;
        done = end;
        Some((at / PAGE as u64, within, piece))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_the_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let original: Vec<u8> = (0..10_000_u32).map(|number| (number % 251) as u8).collect();
        std::fs::write(&path, &original).unwrap();
        let overlay = Overlay::open(&path, Alone::FromWriters).unwrap();
        overlay.write(4_000, &[9; 200]).unwrap();
        overlay.set_len(12_000).unwrap();
        overlay.write(11_990, &[8; 10]).unwrap();
        let mut expected = [original.as_slice(), &[0; 2_000]].concat();
        expected[4_000..4_200].fill(9);
        expected[11_990..].fill(8);
        let mut read = vec![0; 12_000];
        overlay.read(0, &mut read).unwrap();
        assert_eq!(read, expected);
        let mut middle = [0; 300];
        overlay.read(3_950, &mut middle).unwrap();
        assert_eq!(middle, expected[3_950..4_250]);
        overlay.set_len(5_000).unwrap();
        overlay.set_len(9_000).unwrap();
        let mut after = [1; 100];
        overlay.read(6_000, &mut after).unwrap();
        assert_eq!(after, [0; 100], "what was cut does not come back");
        assert_eq!(std::fs::read(&path).unwrap(), original);
    }

    #[test]
    fn nobody_reads_under_a_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, [1; 10]).unwrap();
        let writer = File::open(&path).unwrap();
        writer.try_lock().unwrap();
        assert!(matches!(Overlay::open(&path, Alone::FromWriters), Err(StoreError::Locked)));
        writer.unlock().unwrap();
        let reader = Overlay::open(&path, Alone::FromWriters).unwrap();
        assert!(Overlay::open(&path, Alone::FromWriters).is_ok());
        assert!(matches!(Overlay::open(&path, Alone::FromAll), Err(StoreError::Locked)));
        drop(reader);
    }
}
