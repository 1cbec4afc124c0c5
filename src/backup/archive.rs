//! The archive of records that are to be cut: written, synced, read again and verified, before anything is cut.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write};
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};

use crate::backup::{CarryError, is_free, uses_beside};
use crate::domain::id::ActivationId;
use crate::fresh_file::FreshFile;
use crate::journal::backup::row_line;
use crate::journal::export::read_json_lines;
use crate::journal::verify::Verifier;
use crate::journal::{Digest, PublicKey};
use crate::store::{Plan, Snapshot, StoreError};
use crate::uses::{self, UseSnapshot};

/// Writes what `plan` takes out of the journal in `snapshot` to a file at `path`, where none may be; its digest. The file has
/// its name when every record in it was verified as an auditor would, and all of it is durable.
///
/// # Errors
/// [`CarryError`]; then there is no file at `path`.
pub fn write_archive(
    snapshot: &Snapshot,
    plan: &Plan,
    path: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Digest, CarryError> {
    written_whole(
        path,
        |out| snapshot.write_archive(plan, out, progress),
        |file| prove(file, &snapshot.public_key(), plan),
    )
}

/// Writes what was done under the cases that `plan` takes out of the store at `store`, on which no hallpass runs, to a file at
/// `path`, where none may be: lines as in a backup. The records that seal them are in the archive. No file is written when
/// nothing was done.
///
/// # Errors
/// [`CarryError`]; then there is no file at `path`.
pub fn write_archive_of_uses(store: &Path, plan: &Plan, path: &Path) -> Result<Option<Digest>, CarryError> {
    let Some(uses) = uses_of(store)? else { return Ok(None) };
    let mut any = false;
    uses.each_row_of(&plan.cases, |_| {
        any = true;
        Ok::<_, CarryError>(())
    })?;
    if !any {
        return Ok(None);
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
    written_whole(path, write, read).map(Some)
}

/// Takes what was done under the cases that `plan` took out of the store at `store` out of its uses.
///
/// # Errors
/// [`CarryError::Store`].
pub fn forget_uses(store: &Path, plan: &Plan) -> Result<(), CarryError> {
    Ok(uses::forget(&uses_beside(store), &plan.cases)?)
}

/// The cases of the store at `store` whose uses are not sealed yet.
///
/// # Errors
/// [`CarryError::Store`]; also while a hallpass runs on it.
pub fn unsealed(store: &Path) -> Result<Vec<ActivationId>, CarryError> {
    Ok(uses_of(store)?.map(|uses| uses.unsealed()).transpose()?.unwrap_or_default())
}

fn uses_of(store: &Path) -> Result<Option<UseSnapshot>, CarryError> {
    let path = uses_beside(store);
    Ok(if path.try_exists()? { Some(UseSnapshot::of_file(&path)?) } else { None })
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
    fresh.place().map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => CarryError::Taken(path.to_owned()),
        _ => error.into(),
    })?;
    Ok(written)
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
struct Digested<'f> {
    file: &'f File,
    context: Context,
}

impl<'f> Digested<'f> {
    fn new(file: &'f File) -> Self {
        Self { file, context: Context::new(&SHA256) }
    }

    fn digest(self) -> Digest {
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
