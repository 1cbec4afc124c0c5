//! Room kept free beside the store: given back when the disk is full, so that rights can still be ended.
//!
//! A commit needs room even when all it does is take something away. The file holds real bytes, so the disk has set the
//! room aside; it goes when there is no other, and comes back when there is room for it twice.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file that keeps the room.
#[derive(Debug, Clone)]
pub(super) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    /// Beside the store at `store`.
    pub(super) fn beside(store: &Path) -> Self {
        let mut name = store.as_os_str().to_owned();
        name.push(".reserve");
        Self { path: PathBuf::from(name) }
    }

    /// Sets the room aside, unless that was done before; only when there is room for it twice.
    pub(super) fn hold(&self) -> io::Result<()> {
        let probe = self.path.with_extension("probe");
        // a kill may have left it, and nobody else would take it away
        remove(&probe)?;
        if fs::metadata(&self.path).is_ok_and(|found| found.len() == BYTES) {
            return Ok(());
        }
        let held = fill(&probe).and_then(|()| fill(&self.path));
        let cleared = remove(&probe);
        if held.is_err() {
            let _ = remove(&self.path);
        }
        held.and(cleared)
    }

    /// Gives the room back.
    pub(super) fn give_back(&self) -> io::Result<()> {
        remove(&self.path)
    }
}

/// Bytes of chance: a file system that compresses or leaves out zeros would set nothing aside.
fn fill(path: &Path) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let mut chunk = vec![0; CHUNK];
    for _ in 0..BYTES / CHUNK as u64 {
        aws_lc_rs::rand::fill(&mut chunk).map_err(|_| io::Error::other("no random bits"))?;
        file.write_all(&chunk)?;
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Enough for some thousand ends; each needs a few pages until the next commit, and little for good.
const BYTES: u64 = 4 * 1024 * 1024;
const CHUNK: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_held_once_given_back_and_held_again() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::beside(&folder.path().join("store.redb"));
        let length = || fs::metadata(folder.path().join("store.redb.reserve")).map(|found| found.len()).ok();
        reserve.hold().unwrap();
        assert_eq!(length(), Some(BYTES));
        reserve.hold().unwrap();
        reserve.give_back().unwrap();
        assert_eq!(length(), None);
        reserve.give_back().unwrap();
        reserve.hold().unwrap();
        assert_eq!(length(), Some(BYTES));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn room_that_a_kill_left_taken_is_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::beside(&folder.path().join("store.redb"));
        let names = || {
            let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
            names.collect::<Vec<_>>()
        };
        // killed while it filled the one, the other, and behind both
        for (probe, held) in [(BYTES / 2, 0), (BYTES, BYTES / 2), (BYTES, BYTES)] {
            for (name, length) in [("store.redb.probe", probe), ("store.redb.reserve", held)] {
                File::create(folder.path().join(name)).unwrap().set_len(length).unwrap();
            }
            reserve.hold().unwrap();
            assert_eq!(names(), ["store.redb.reserve"], "{probe} {held}");
            assert_eq!(fs::metadata(folder.path().join("store.redb.reserve")).unwrap().len(), BYTES);
        }
    }
}
