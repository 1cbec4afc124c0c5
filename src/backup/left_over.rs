//! The folder of archives that retention writes: their names, and what was left there by a cut that did not come to be.
//!
//! Such an archive is in the way of the next one, and would not join it. It is removed when no cut names it and the journal
//! still holds every record in it, as it was sealed: then nothing is lost with it. Anything else is left alone, and told.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use crate::backup::CarryError;
use crate::backup::archive::{Digested, uses_of_archive};
use crate::fresh_file::UNFINISHED;
use crate::journal::Digest;
use crate::journal::export::read_json_lines;
use crate::store::{Plan, Snapshot};

/// Where the archive of what `plan` takes out is kept in `folder`: names sort as the archives join.
#[must_use]
pub fn path_of_archive(folder: &Path, plan: &Plan) -> PathBuf {
    folder.join(format!("{BEGIN}{:012}-{:012}{END}", plan.first, plan.last))
}

/// Makes way for the archive of `plan` in `folder`; what was removed. `made` are the archives that cuts name.
///
/// # Errors
/// [`CarryError::Stray`] when an archive lies there whose records `snapshot` does not hold, and no cut names it.
pub fn make_way(
    snapshot: &Snapshot,
    plan: &Plan,
    folder: &Path,
    made: &BTreeSet<Digest>,
) -> Result<Vec<PathBuf>, CarryError> {
    let mut removed = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.strip_suffix(UNFINISHED).is_some_and(is_ours) {
            fs::remove_file(entry.path())?;
        } else if last_in(name).is_some_and(|last| last >= plan.first) {
            let path = entry.path();
            if made.contains(&digest_of(&path)?) {
                continue;
            }
            if !is_held(snapshot, &path)? {
                return Err(CarryError::Stray(path));
            }
            match fs::remove_file(uses_of_archive(&path)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                Ok(()) | Err(_) => {}
            }
            fs::remove_file(&path)?;
            removed.push(path);
        }
    }
    Ok(removed)
}

/// The last record in the archive of this name; nothing when it is none of retention's.
pub(super) fn last_in(name: &str) -> Option<u64> {
    let (_, last) = name.strip_prefix(BEGIN)?.strip_suffix(END)?.split_once('-')?;
    last.parse().ok()
}

/// Whether it is the name of an archive of retention's, or of the uses beside one.
fn is_ours(name: &str) -> bool {
    last_in(name.strip_suffix(".uses").unwrap_or(name)).is_some()
}

fn digest_of(path: &Path) -> io::Result<Digest> {
    let file = File::open(path)?;
    let mut source = Digested::new(&file);
    io::copy(&mut source, &mut io::sink())?;
    Ok(source.digest())
}

/// Whether every record in the file at `path` is in `snapshot`, as it was sealed.
fn is_held(snapshot: &Snapshot, path: &Path) -> Result<bool, CarryError> {
    for record in read_json_lines(BufReader::new(File::open(path)?)) {
        let Ok(record) = record else { return Ok(false) };
        if !snapshot.holds(record.sequence, &record.sealed)? {
            return Ok(false);
        }
    }
    Ok(true)
}

const BEGIN: &str = "journal-";
const END: &str = ".jsonl";
