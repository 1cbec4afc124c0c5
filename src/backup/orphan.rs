//! Uses in the folder of archives without the records they lie beside: what is left when neither could be removed at once.
//!
//! Nobody could tell whose they are, and they are in the way of the next archive. They are removed when the records they were
//! written with are all still in the journal, and the file of uses holds every one of them: then nothing is lost with them.
//! Anything else is left alone, and told.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use crate::backup::CarryError;
use crate::backup::left_over::last_in;
use crate::journal::backup::read_rows;
use crate::store::Plan;
use crate::uses::UseSnapshot;

/// Makes way for the uses beside the archive of `plan` in `folder`; what was removed.
///
/// # Errors
/// [`CarryError::Stray`] when such a file lies there and `uses` do not hold all of it.
pub fn remove_orphans(uses: &UseSnapshot, plan: &Plan, folder: &Path) -> Result<Vec<PathBuf>, CarryError> {
    let mut removed = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(records) = name.to_str().and_then(|name| name.strip_suffix(".uses")) else { continue };
        // what a cut took out of the journal lies before this plan
        let is_in_the_way = last_in(records).is_some_and(|last| last >= plan.first);
        if !is_in_the_way || folder.join(records).try_exists()? {
            continue;
        }
        let path = entry.path();
        if !is_held(uses, &path)? {
            return Err(CarryError::Stray(path));
        }
        fs::remove_file(&path)?;
        removed.push(path);
    }
    Ok(removed)
}

/// Whether every row in the file at `path` is among `uses`, as it is there.
fn is_held(uses: &UseSnapshot, path: &Path) -> Result<bool, CarryError> {
    for row in read_rows(BufReader::new(File::open(path)?)) {
        let Ok(row) = row else { return Ok(false) };
        if !uses.holds(&row)? {
            return Ok(false);
        }
    }
    Ok(true)
}
