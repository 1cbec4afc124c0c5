//! The signing key's file: made at first start for its owner alone, and refused when others may read it.
//!
//! A rotation writes the next key beside it first, then the record that names it, then its pin, then takes it into use: whenever
//! it is cut off, the key that the journal demands is in one of the two files, and the pin is that of the former key or of the
//! next, both of which the journal holds by then. The former key stays beside under another name, with its pin, for opening
//! copies that were made before; nothing else needs it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::fresh_file::{self, sync_folder_of};
use crate::journal::{PublicKey, SigningKey};
use crate::private_file::{self, PrivateFileError};
use crate::store::StoreError;

/// The key in the file at `path`; none when there is no file.
pub(super) fn load(path: &Path) -> Result<Option<SigningKey>, StoreError> {
    let read = private_file::read(path, KEY_BYTES_MAX).map_err(of_file)?;
    let Some(bytes) = read else { return Ok(None) };
    let key = SigningKey::from_pkcs8(&bytes).map_err(|source| StoreError::Key { path: path.to_owned(), source })?;
    Ok(Some(key))
}

/// The key in the file at `path`, made now when there is none.
pub(super) fn load_or_make(path: &Path) -> Result<SigningKey, StoreError> {
    if let Some(key) = load(path)? {
        return Ok(key);
    }
    let (_, bytes) = SigningKey::generate().map_err(|source| StoreError::Key { path: path.to_owned(), source })?;
    // whoever came first wins: a key once made is never replaced
    private_file::make(path, &bytes).map_err(of_file)?;
    load(path)?.ok_or_else(|| StoreError::KeyMissing(path.to_owned()))
}

/// Warns when others than the owner may read or write `path`, which holds what people did and were told.
pub(crate) fn tell_who_may_read(path: &Path) {
    if let Ok(found) = fs::metadata(path) {
        let mode = found.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            let path = path.display();
            tracing::warn!("`{path}` has mode {mode:o}; it should be 600, for its owner alone: chmod 600 '{path}'");
        }
    }
}

/// Makes a key and keeps it beside the one at `path`, to be taken into use later. One that was never taken is replaced.
pub(super) fn make_next(path: &Path) -> Result<SigningKey, StoreError> {
    let next = next_path(path);
    let (key, bytes) = SigningKey::generate().map_err(|source| StoreError::Key { path: next.clone(), source })?;
    // whoever may read the key now must be able to read the one that takes its place
    private_file::replace_like(&next, &bytes, path).map_err(|error| StoreError::file(&next, error))?;
    Ok(key)
}

/// The key kept beside the one at `path`, when there is one.
pub(super) fn next_key(path: &Path) -> Result<Option<SigningKey>, StoreError> {
    load(&next_path(path))
}

/// Puts the next key in the place of the one at `path`, which is `former` and is kept under the name returned.
pub(super) fn take_next(path: &Path, former: &PublicKey) -> Result<PathBuf, StoreError> {
    let kept = retired_path(path, former);
    // a copy: not every file system has links
    if let Some(bytes) = private_file::read(path, KEY_BYTES_MAX).map_err(of_file)? {
        private_file::replace_like(&kept, &bytes, path).map_err(|error| StoreError::file(&kept, error))?;
    }
    let taken = fs::rename(next_path(path), path).and_then(|()| sync_folder_of(path));
    taken.map_err(|error| StoreError::file(path, error))?;
    Ok(kept)
}

/// Takes away what a kill left of the key at `path`, of its next one and of their pins, before they had their names. Nobody
/// may be making them now.
pub(super) fn clear_unfinished(path: &Path) -> Result<(), StoreError> {
    for path in [path.to_owned(), next_path(path), beside(path, PIN)] {
        fresh_file::clear(&path).map_err(|error| StoreError::file(&path, error))?;
    }
    Ok(())
}

/// Where the key at `path` is kept when it was `former` and signs no longer.
pub(super) fn retired_path(path: &Path, former: &PublicKey) -> PathBuf {
    beside(path, &retired_suffix(former))
}

/// What is appended to the name of a key's file when the key is retired.
pub(super) fn retired_suffix(former: &PublicKey) -> String {
    let short: String = former.to_string().chars().take(16).collect();
    format!(".retired-{short}")
}

fn next_path(path: &Path) -> PathBuf {
    beside(path, ".next")
}

/// The name of `path` with `suffix` behind it.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn of_file(error: PrivateFileError) -> StoreError {
    match error {
        PrivateFileError::Io { path, source } => StoreError::file(&path, source),
        PrivateFileError::Permissions { path, mode } => StoreError::KeyPermissions { path, mode },
        PrivateFileError::TooLong { ref path, .. } => {
            StoreError::file(path, io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
        }
    }
}

/// What is appended to the name of a key's file for its pin.
pub(super) const PIN: &str = ".journal";
const KEY_BYTES_MAX: usize = 4096;
