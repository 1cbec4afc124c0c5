//! The journal of a store that no process runs on, read without changing it.

use std::path::Path;

use crate::journal::Exported;
use crate::store::{StoreError, stopped};

/// Hands every record of the store at `path` to `each`, oldest first; one whose bytes are no record ends it with an error.
/// Nothing is checked beyond that, and the file stays as it is, also when it was not closed cleanly.
///
/// # Errors
/// [`StoreError`], also while a process runs on the store.
pub fn each_record(path: &Path, mut each: impl FnMut(Exported)) -> Result<(), StoreError> {
    stopped::snapshot(path)?.each_record(|record| {
        each(record);
        Ok(())
    })
}
