//! Files for their owner alone, as durable as their names: secrets, made once and refused when others may read them, and
//! small files that are appended to or replaced as a whole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

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
    let failed = |source| PrivateFileError::Io { path: path.to_owned(), source };
    let folder = folder_of(path).map_err(failed)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let file = beside(path, bytes).map_err(failed)?;
    own_as_folder(file.as_file(), path).map_err(failed)?;
    match file.persist_noclobber(path) {
        Ok(_) => sync_names(path).map_err(failed),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed(error.error)),
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
    sync_names(path)
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
    let file = beside(path, bytes)?;
    own_as(file.as_file(), like)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_names(path)
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
    let folder = fs::metadata(folder_of(path)?)?;
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
        Ok(()) => sync_names(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// A file with these bytes, which has no name of its own yet.
fn beside(path: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix(".hallpass-new").tempfile_in(folder_of(path)?)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Makes a name as durable as what it names.
fn sync_names(path: &Path) -> io::Result<()> {
    folder_of(path).and_then(File::open)?.sync_all()
}

/// The folder that the file at `path` is in.
///
/// # Errors
/// [`io::ErrorKind::IsADirectory`] when it can be no file's path.
pub fn folder_of(path: &Path) -> io::Result<&Path> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => Ok(folder),
        Some(_) => Ok(Path::new(".")),
        None => Err(io::ErrorKind::IsADirectory.into()),
    }
}

fn ends_a_line(file: &mut File) -> io::Result<bool> {
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
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
