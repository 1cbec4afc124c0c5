//! The archive of records that are to be cut: written, synced, read again and verified, before anything is cut.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};

use crate::backup::{CarryError, is_free, uses_beside};
use crate::domain::id::ActivationId;
use crate::fresh_file::{FreshFile, is_at, sync_folder_of};
use crate::journal::backup::row_line;
use crate::journal::export::read_json_lines;
use crate::journal::verify::Verifier;
use crate::journal::{Digest, PublicKey};
use crate::store::{Plan, Reader, Snapshot, StoreError};
use crate::uses::{self, ArchivedUses, UseReader, UseSnapshot};

/// The archives of a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Archived {
    /// SHA-256 over that of records.
    pub records: Digest,
    /// SHA-256 over that of uses, when there were any.
    pub uses: Option<Digest>,
}

/// Writes what `plan` takes out of the journal in `snapshot` to a file at `path`, and what was done under its cases to
/// [another beside it](uses_of_archive), as lines of a backup; the records that seal those are in the first. Where no uses are,
/// there is no second file. Each has its name when it was read again, all records as an auditor would, and all of it is
/// durable. `uses` then note that they are archived, so that they can be [forgotten](forget_archived) once the cut is made.
///
/// # Errors
/// [`CarryError`]; [`CarryError::Taken`] when something lies there.
pub fn archive(
    snapshot: &Snapshot,
    plan: &Plan,
    uses: Option<&UseReader>,
    path: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Archived, CarryError> {
    let write = |out: &mut dyn Write| snapshot.write_archive(plan, out, progress);
    let records = written_whole(path, write, |file| prove(file, &snapshot.public_key(), plan))?;
    let mut archived = Archived { records, uses: None };
    let Some(uses) = uses else { return Ok(archived) };
    let mut go_on = || {
        let (digest, last) = archive_uses(&uses.snapshot()?, plan, &uses_of_archive(path))?;
        archived.uses = digest;
        let noted = |(activation, last)| ArchivedUses { activation, last, archive: records };
        Ok(uses.note_archived(&last.into_iter().map(noted).collect::<Vec<_>>())?)
    };
    match go_on() {
        Ok(()) => Ok(archived),
        Err(error) => {
            // what cannot be removed now is removed before the next is written
            discard(path, &archived)?;
            Err(error)
        }
    }
}

/// Where what was done under the cases in the archive at `path` is kept.
#[must_use]
pub fn uses_of_archive(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".uses");
    PathBuf::from(name)
}

/// Removes the archives that were written to `path` and beside it, because their cut will not be made.
///
/// # Errors
/// What the file system says.
pub fn discard(path: &Path, archived: &Archived) -> io::Result<()> {
    // never uses without their records: nobody could tell whose they are
    if archived.uses.is_some() {
        fs::remove_file(uses_of_archive(path))?;
    }
    fs::remove_file(path)?;
    sync_folder_of(path)
}

/// Takes out of `uses` what was archived for a cut that `journal` tells of. What was archived for one that never came to be
/// stays, and so does whatever belongs to a case that is known.
///
/// # Errors
/// [`CarryError::Store`]; what is left then is forgotten the next time.
pub fn forget_archived(uses: &UseReader, journal: &Reader) -> Result<usize, CarryError> {
    let noted = uses.archived()?;
    if noted.is_empty() {
        return Ok(0);
    }
    let made = journal.archives()?;
    let mut gone = Vec::new();
    for archived in noted {
        if made.contains(&archived.archive) && journal.activation(archived.activation)?.is_none() {
            gone.push(archived);
        }
    }
    uses.forget(&gone)?;
    Ok(gone.len())
}

/// Writes the uses of the cases in `plan` to a file at `path`, unless there are none; its digest, and of each case the number
/// of the last use in it.
fn archive_uses(
    uses: &UseSnapshot,
    plan: &Plan,
    path: &Path,
) -> Result<(Option<Digest>, BTreeMap<ActivationId, u64>), CarryError> {
    let mut last = BTreeMap::new();
    uses.each_row_of(&plan.cases, |row| {
        let (id, number) = uses::block_key(&row.key).ok_or_else(|| CarryError::from(uses::damaged()))?;
        last.insert(ActivationId::from_random(id), number);
        Ok::<_, CarryError>(())
    })?;
    if last.is_empty() {
        return Ok((None, last));
    }
    let write = |out: &mut dyn Write| {
        let each = uses.each_row_of(&plan.cases, |row| Ok::<_, CarryError>(out.write_all(&row_line(&row)?)?));
        each.map_err(io::Error::other)
    };
    let read = |file: &File| {
        let mut source = Digested::new(file);
        io::copy(&mut source, &mut io::sink())?;
        Ok(source.digest())
    };
    Ok((Some(written_whole(path, write, read)?), last))
}

/// The cases of the store at `store` whose uses are not sealed yet.
///
/// # Errors
/// [`CarryError::Store`]; also while a hallpass runs on it.
pub fn unsealed(store: &Path) -> Result<Vec<ActivationId>, CarryError> {
    let path = uses_beside(store);
    Ok(if path.try_exists()? { UseSnapshot::of_file(&path)?.unsealed()? } else { Vec::new() })
}

/// A file that has its name when it is durable and was read again as it was written; its digest.
fn written_whole(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    read: impl FnOnce(&File) -> Result<Digest, CarryError>,
) -> Result<Digest, CarryError> {
    is_free(path)?;
    let fresh = FreshFile::beside(path)?;
    let mut file = fresh.file();
    let mut out = BufWriter::new(Digested::new(file));
    write(&mut out)?;
    let written = out.into_inner().map_err(io::IntoInnerError::into_error)?.digest();
    file.sync_all()?;
    file.rewind()?;
    if read(file)? != written {
        return Err(StoreError::Damaged("the archive reads otherwise than it was written".to_owned()).into());
    }
    let again = fresh.file().try_clone()?;
    match fresh.place() {
        Ok(()) => Ok(written),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(CarryError::Taken(path.to_owned())),
        Err(error) => {
            take_back(&again, path)?;
            Err(error.into())
        }
    }
}

/// Takes its name from a file that may have got it and cannot be relied upon; what else has that name keeps it.
fn take_back(file: &File, path: &Path) -> io::Result<()> {
    match is_at(file, path) {
        Ok(true) => fs::remove_file(path),
        Ok(false) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Reads an archive as an auditor would: it verifies alone, and holds every record that `plan` takes out.
fn prove(file: &File, root: &PublicKey, plan: &Plan) -> Result<Digest, CarryError> {
    let damaged = |wrong: String| StoreError::Damaged(format!("the archive does not verify: {wrong}"));
    let mut verifier = Verifier::of_files(*root);
    let mut source = BufReader::new(Digested::new(file));
    let mut records = 0;
    for read in read_json_lines(&mut source) {
        let record = read.map_err(|error| damaged(error.to_string()))?;
        let checked = verifier.check(record.sequence, &record.sealed, record.note.as_ref());
        let checked = checked.map_err(|fault| damaged(fault.to_string()))?;
        let is_of_plan = (plan.first..=plan.last).contains(&record.sequence);
        records += u64::from(is_of_plan && !checked.event.is_of_journal());
    }
    verifier.ended().map_err(|fault| damaged(fault.to_string()))?;
    if verifier.last_of_archive().sequence != plan.last || records != plan.records {
        return Err(damaged("records are missing from it".to_owned()).into());
    }
    io::copy(&mut source, &mut io::sink())?;
    Ok(source.into_inner().digest())
}

/// A file, with SHA-256 over all that goes through.
pub(super) struct Digested<'f> {
    file: &'f File,
    context: Context,
}

impl<'f> Digested<'f> {
    pub(super) fn new(file: &'f File) -> Self {
        Self { file, context: Context::new(&SHA256) }
    }

    pub(super) fn digest(self) -> Digest {
        Digest(self.context.finish().as_ref().first_chunk().copied().unwrap_or_default())
    }
}

impl Read for Digested<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.context.update(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }
}

impl Write for Digested<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.file.write(bytes)?;
        self.context.update(bytes.get(..length).unwrap_or_default());
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_cannot_be_relied_upon_is_taken_back_and_that_of_another_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive");
        let fresh = FreshFile::beside(&path).unwrap();
        let again = fresh.file().try_clone().unwrap();
        take_back(&again, &path).unwrap();
        fresh.place().unwrap();
        assert!(path.exists());
        take_back(&again, &path).unwrap();
        assert!(!path.exists());
        fs::write(&path, "somebody else's").unwrap();
        take_back(&again, &path).unwrap();
        assert!(path.exists());
    }
}
