//! Files with secrets: made once, for their owner alone, and refused when others may read them.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
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
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let mut file = tempfile::Builder::new().prefix(".hallpass-secret").tempfile_in(folder).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    match file.persist_noclobber(path) {
        // the new name is as durable as what it names
        Ok(_) => fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed(error.error)),
    }
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
}
