//! Files for their owner alone, as durable as their names: secrets, made once and refused when others may read them, and
//! small files that are appended to or replaced as a whole.
//!
//! What takes the place of a file has another name for a moment, always the same (`fresh_file`): a kill may leave a secret
//! there, and [`clear`](crate::fresh_file::clear) takes it away, as does whoever writes the file again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::fresh_file::{FreshFile, folder_of, make_folder_of, sync_folder_of};

/// Why a file with a secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// It cannot be read or written.
    #[error("`{path}` cannot be used: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read it.
    #[error("`{path}` has mode {mode:04o}: a secret must be readable by its owner only: chmod 600 '{path}'")]
    Permissions {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is longer than any such secret.
    #[error("`{path}` is longer than {bytes_max} bytes: it holds something else")]
    TooLong {
        /// Which file.
        path: PathBuf,
        /// How long it may be.
        bytes_max: usize,
    },
}

/// What the file at `path` holds; none when there is no file.
///
/// # Errors
/// [`PrivateFileError`] when others may read it, it is longer than `bytes_max`, or nobody can.
pub fn read(path: &Path, bytes_max: usize) -> Result<Option<Zeroizing<Vec<u8>>>, PrivateFileError> {
    let failed = |source| PrivateFileError::Io { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let about = file.metadata().map_err(failed)?;
    let mode = about.permissions().mode() & 0o7777;
    // whoever cannot tell is taken for its owner, from whom more is asked
    let us = fs::metadata("/proc/self").map_or(about.uid(), |process| process.uid());
    if mode & forbidden(about.uid(), us) != 0 {
        return Err(PrivateFileError::Permissions { path: path.to_owned(), mode });
    }
    // never grown: what a growing vector leaves behind is not wiped
    let mut bytes = Zeroizing::new(Vec::with_capacity(bytes_max.saturating_add(1)));
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > bytes_max {
        return Err(PrivateFileError::TooLong { path: path.to_owned(), bytes_max });
    }
    Ok(Some(bytes))
}

/// What nobody may have of such a file. A file of somebody else, as secrets are mounted into containers, can only be lent to
/// us through our group; our own needs no group.
const fn forbidden(owner: u32, us: u32) -> u32 {
    if owner == us { 0o077 } else { 0o037 }
}

/// Writes a new file for its owner alone, durably; one that is there already stays as it is.
///
/// # Errors
/// [`PrivateFileError::Io`].
pub fn make(path: &Path, bytes: &[u8]) -> Result<(), PrivateFileError> {
    make_folder_of(path).map_err(|source| PrivateFileError::Io { path: folder_of(path).to_owned(), source })?;
    let made = filled(path, bytes).and_then(|file| {
        own_as_folder(file.file(), path)?;
        file.place()
    });
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(|source| PrivateFileError::Io { path: path.to_owned(), source }),
    }
}

/// Appends `text`, which ends with a line's end, to the file at `path`, which is made when it is not there. Durable when this
/// returns. A line that was torn off before is ended, so that it swallows nothing.
///
/// # Errors
/// What the file system says.
pub fn append(path: &Path, text: &str) -> io::Result<()> {
    let is_there = path.try_exists()?;
    let mut file = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(path)?;
    if !is_there {
        own_as_folder(&file, path)?;
    }
    let is_torn = file.seek(SeekFrom::End(0))? > 0 && !ends_a_line(&mut file)?;
    file.write_all(format!("{}{text}", if is_torn { "\n" } else { "" }).as_bytes())?;
    file.sync_all()?;
    sync_folder_of(path)
}

/// Puts a file with these bytes at `path`, in the place of the one that is there, for the same owner and mode. Durable when
/// this returns.
///
/// # Errors
/// What the file system says; then the other one is still there.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_like(path, bytes, path)
}

/// The same, for the owner and mode of the file at `like`.
///
/// # Errors
/// As [`replace`].
pub fn replace_like(path: &Path, bytes: &[u8], like: &Path) -> io::Result<()> {
    let file = filled(path, bytes)?;
    own_as(file.file(), like)?;
    file.replace()
}

/// Gives `file`, new and ours, to the owner and mode of the one at `like`, or to the owner of its folder when there is none:
/// what root does for a service that is stopped must not shut that out. Whoever is not root keeps it, for themselves alone.
///
/// # Errors
/// What the file system says, save that only root may give files away.
pub fn own_as(file: &File, like: &Path) -> io::Result<()> {
    let like = match fs::metadata(like) {
        Ok(like) => like,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return own_as_folder(file, like),
        Err(error) => return Err(error),
    };
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (like.uid(), like.gid()) && !given(file, &like)? {
        return Ok(());
    }
    file.set_permissions(fs::Permissions::from_mode(like.mode() & 0o7777))
}

/// Gives `file`, new and ours, to the owner of the folder that `path` lies in.
///
/// # Errors
/// As [`own_as`].
pub fn own_as_folder(file: &File, path: &Path) -> io::Result<()> {
    let folder = fs::metadata(folder_of(path))?;
    if file.metadata()?.uid() != folder.uid() {
        given(file, &folder)?;
    }
    Ok(())
}

fn given(file: &File, like: &fs::Metadata) -> io::Result<bool> {
    match fchown(file, Some(like.uid()), Some(like.gid())) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes the file at `path`, if there is one. Durable when this returns.
///
/// # Errors
/// What the file system says.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder_of(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// A file with these bytes, for `path`.
fn filled(path: &Path, bytes: &[u8]) -> io::Result<FreshFile> {
    let fresh = FreshFile::beside(path)?;
    fresh.file().write_all(bytes)?;
    Ok(fresh)
}

fn ends_a_line(file: &mut File) -> io::Result<bool> {
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::mem::MaybeUninit;

    use rustix::fs::inotify;

    use super::*;

    #[test]
    fn what_somebody_else_owns_may_be_lent_to_our_group_to_read() {
        for (owner, mode, allowed) in [
            (0, 0o440, true),
            (0, 0o640, true),
            (0, 0o660, false),
            (0, 0o444, false),
            (0, 0o641, false),
            (10, 0o600, true),
            (10, 0o640, false),
        ] {
            assert_eq!(mode & forbidden(owner, 10) == 0, allowed, "{owner} {mode:04o}");
        }
    }

    #[test]
    fn a_secret_is_its_owners_alone_and_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/secret");
        assert!(read(&path, 100).unwrap().is_none());
        make(&path, b"first").unwrap();
        make(&path, b"second").unwrap();
        assert_eq!(**read(&path, 100).unwrap().unwrap(), *b"first");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(**read(&path, 5).unwrap().unwrap(), *b"first");
        assert!(matches!(read(&path, 4), Err(PrivateFileError::TooLong { bytes_max: 4, .. })));
        for mode in [0o640, 0o644, 0o604, 0o620, 0o602] {
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let refused = read(&path, 100).unwrap_err().to_string();
            assert!(refused.contains(&format!("has mode {mode:04o}")) && refused.contains("chmod 600 '"), "{refused}");
        }
    }

    /// Every name that there was in `folder` while `work` was done, however short.
    fn names_during(folder: &Path, work: impl FnOnce()) -> BTreeSet<String> {
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        inotify::add_watch(&watch, folder, inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVE).unwrap();
        work();
        let (mut buffer, mut names) = ([MaybeUninit::uninit(); 4096], BTreeSet::new());
        let mut events = inotify::Reader::new(&watch, &mut buffer);
        while let Ok(event) = events.next() {
            names.extend(event.file_name().map(|name| name.to_str().unwrap().to_owned()));
        }
        names
    }

    #[test]
    fn nothing_ever_has_a_name_that_the_next_write_does_not_take_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let made = names_during(folder.path(), || {
            make(&path, b"first").unwrap();
            make(&path, b"second").unwrap();
            append(&path, "third\n").unwrap();
        });
        assert_eq!(made, BTreeSet::from(["secret".to_owned()]));
        let replaced = names_during(folder.path(), || replace(&path, b"fourth").unwrap());
        assert_eq!(replaced, ["secret", "secret.unfinished"].map(str::to_owned).into());

        // a kill left the half of another secret, or all of it, for somebody else to read
        let left = folder.path().join("secret.unfinished");
        fs::write(&left, "a former secret, which is destroyed by now").unwrap();
        fs::set_permissions(&left, PermissionsExt::from_mode(0o644)).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o400)).unwrap();
        replace(&path, b"fifth").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"fifth");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o400);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_appended_stands_behind_a_torn_line_and_goes_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        append(&path, "one\n").unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"to").unwrap();
        append(&path, "three\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\nto\nthree\n");
        replace(&path, b"four\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "four\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing else is left");
    }
}
