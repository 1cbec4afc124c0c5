//! Files that commands write: each has its name when it is whole, and never takes the place of another.

use std::io;
use std::path::Path;

use crate::cli::failure::Failure;
use crate::fresh_file::{FreshFile, folder_of};

/// Whether no file is at `path`.
pub(super) fn is_free(path: &Path) -> Result<(), Failure> {
    let shown = folder_of(path).display();
    match path.try_exists() {
        Ok(false) => Ok(()),
        Ok(true) => Err(taken(path)),
        Err(error) => Err(Failure::Unusable(format!("cannot look into `{shown}`: {error}"))),
    }
}

/// A file for `path`, where none may be.
pub(super) fn beside(path: &Path) -> Result<FreshFile, Failure> {
    is_free(path)?;
    let shown = folder_of(path).display();
    FreshFile::beside(path).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => {
            Failure::Unusable(format!("another hallpass is writing `{}` at this moment", path.display()))
        }
        _ => Failure::Unusable(format!("cannot write to `{shown}`: {error}")),
    })
}

/// Gives it its name.
pub(super) fn place(file: FreshFile, path: &Path) -> Result<(), Failure> {
    file.place().map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => taken(path),
        _ => Failure::Unusable(format!("cannot write `{}`: {error}", path.display())),
    })
}

fn taken(path: &Path) -> Failure {
    let shown = path.display();
    Failure::Usage(format!(
        "`{shown}` is there already: nothing is ever overwritten; name another file, or move that one away"
    ))
}
