//! Where a journal comes from to be verified: a portal, a stopped hallpass's store, a backup, an export. All of them hand
//! over the same records, and are judged by the same lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};

use crate::backup::{Proof, Unproven, uses_of_archive};
use crate::cli::audit::export::{PATH, copy};
use crate::cli::audit::found::{Beside, Judge};
use crate::cli::client::Client;
use crate::cli::failure::Failure;
use crate::cli::progress::Bar;
use crate::journal::backup::{self, BackupError, Part};
use crate::journal::export::read_json_lines;
use crate::journal::{Carried, Digest, SealedUses};
use crate::store::{Snapshot, StoreError, stopped};

/// Hands the records in the file at `path` to `judge`: those of a store, a backup or an export, as the file begins. Returns
/// SHA-256 over an export that was read to its end.
pub(super) fn file(path: &Path, judge: &mut Judge) -> Result<Option<Digest>, Failure> {
    let cannot = |error: io::Error| Failure::Unusable(format!("cannot read `{}`: {error}", path.display()));
    let mut file = File::open(path).map_err(cannot)?;
    let mut begin = Vec::new();
    (&mut file).take(BEGIN_BYTES).read_to_end(&mut begin).map_err(cannot)?;
    if begin.starts_with(STORE_MARK) {
        return store(path, judge).map(|()| None);
    }
    file.rewind().map_err(cannot)?;
    let length = file.metadata().map_err(cannot)?.len();
    let source = BufReader::with_capacity(READ_BYTES, file);
    match begin.starts_with(backup::MARK) {
        true => backup(source, judge).map(|()| None),
        false => lines(source, length, judge),
    }
}

/// Holds the uses beside the archive at `archive` against what its records seal, and tells `judge`.
pub(super) fn beside(archive: &Path, judge: &mut Judge) -> Result<(), Failure> {
    let sealed = judge.sealed();
    let count = sealed.iter().map(|sealed| sealed.count).sum();
    let path = uses_of_archive(archive);
    let cannot = |error: io::Error| Failure::Unusable(format!("cannot read `{}`: {error}", path.display()));
    let found = match File::open(&path) {
        Ok(file) => match proven(BufReader::with_capacity(READ_BYTES, file), sealed) {
            Ok(found) if found.is_empty() => Beside::Whole(count),
            Ok(found) => Beside::Unproven(found),
            Err(why) => Beside::Unreadable(why),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound && count == 0 => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Beside::Missing(count),
        Err(error) => return Err(cannot(error)),
    };
    judge.beside(&path, found);
    Ok(())
}

/// What of the uses in `source` is not what was sealed.
fn proven(source: impl BufRead, sealed: Vec<SealedUses>) -> Result<Vec<Unproven>, String> {
    let mut proof = Proof::of_archive(sealed);
    for (row, number) in backup::read_rows(source).zip(1_u64..) {
        let row = row.map_err(|error| format!("line {number}: {error}"))?;
        proof.take(&row).map_err(|error| match error {
            StoreError::Damaged(why) => format!("line {number}: {why}"),
            other => format!("line {number}: {other}"),
        })?;
    }
    Ok(proof.finish())
}

/// Hands the records of an export on standard input to `judge`.
pub(super) fn input(input: &mut dyn BufRead, judge: &mut Judge) -> Result<(), Failure> {
    lines(input, 0, judge).map(|_| ())
}

/// Hands the records of the store at `path`, on which no hallpass runs, to `judge`: of a damaged one, all that can be read.
pub(super) fn store(path: &Path, judge: &mut Judge) -> Result<(), Failure> {
    let journal = match stopped::snapshot(path) {
        Err(StoreError::Damaged(why)) => {
            judge.damaged(path, &why);
            stopped::salvage(path)
        }
        opened => opened,
    };
    match journal.and_then(|journal| each_of(&journal, judge)) {
        // whatever a damaged page seems to say
        Err(error) if judge.is_damaged() => {
            judge.unreadable(error.to_string());
            Ok(())
        }
        read => read.map_err(|error| cannot_read(path, error)),
    }
}

fn each_of(journal: &Snapshot, judge: &mut Judge) -> Result<(), StoreError> {
    let mut bar = Bar::new("verifying");
    let all = journal.head()?.position.0;
    let each = journal.each_record(|record| {
        shown(&mut bar, judge, |judge| (judge.seen(), all));
        if judge.take(Ok(record)).is_break() { Err(Ended::Early) } else { Ok(()) }
    });
    match each {
        Ok(()) => {
            judge.carried(&journal.carried()?.iter().collect());
            Ok(())
        }
        Err(Ended::Early) => Ok(()),
        Err(Ended::Store(error)) => Err(error),
    }
}

fn cannot_read(path: &Path, error: StoreError) -> Failure {
    if matches!(error, StoreError::Locked) {
        let told = "stop that hallpass first, or verify through its portal: leave out the file";
        return Failure::Unusable(format!("a hallpass runs on the store `{}`: {told}", path.display()));
    }
    let place = if error.names_its_file() { String::new() } else { format!(" `{}`", path.display()) };
    Failure::Unusable(format!("cannot read the store{place}: {:#}", anyhow::Error::new(error)))
}

/// Why no further record is read from a store.
enum Ended {
    /// A bad one was found.
    Early,
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A backup must be whole besides: its end is a digest over every line.
fn backup(source: impl BufRead, judge: &mut Judge) -> Result<(), Failure> {
    let mut bar = Bar::new("verifying");
    let bad = |error: BackupError| Failure::False(error.to_string());
    let mut parts = backup::Reader::open(source).map_err(bad)?;
    let all = parts.header().sequence;
    let signed = parts.header().signed_end().map_err(bad)?;
    let (mut proof, mut carried) = (None, Carried::default());
    loop {
        let record = match parts.next() {
            None => {
                let proof: Proof = proof.unwrap_or_else(|| Proof::new(judge.sealed()));
                judge.carried(&carried);
                judge.found(proof.finish());
                judge.backup_ended(signed.as_ref());
                return Ok(());
            }
            Some(Ok(Part::Row(row))) => {
                // all records stand before the first row
                let proof = proof.get_or_insert_with(|| Proof::new(judge.sealed()));
                proof
                    .take(&row)
                    .map_err(|error| Failure::False(format!("the backup is not to be relied on: {error}")))?;
                continue;
            }
            Some(Ok(Part::Carried(row))) => {
                carried.take(&row);
                continue;
            }
            Some(Ok(Part::Record(record))) => Ok(*record),
            Some(Err(BackupError::Read(error))) => Err(error),
            Some(Err(error)) => return Err(bad(error)),
        };
        if judge.take(record).is_break() {
            return Ok(());
        }
        shown(&mut bar, judge, |judge| (judge.seen(), all));
    }
}

/// Hands the records that the portal exports to `judge`. They are kept first: an answer that breaks off is no journal.
pub(super) async fn portal(client: &Client, judge: &mut Judge) -> Result<(), Failure> {
    let mut file = tempfile::tempfile()?;
    let response = client.open(PATH, &[("format", "jsonl")], None).await?;
    copy(client, response, &mut |bytes| file.write_all(bytes)).await?;
    file.rewind()?;
    let length = file.metadata()?.len();
    lines(BufReader::with_capacity(READ_BYTES, file), length, judge).map(|_| ())
}

/// SHA-256 over all of it, when it was read to its end.
fn lines(source: impl BufRead, length: u64, judge: &mut Judge) -> Result<Option<Digest>, Failure> {
    let mut bar = Bar::new("verifying");
    let mut source = Counted { source, read: 0, digest: Context::new(&SHA256) };
    loop {
        let next = read_json_lines(&mut source).next();
        let Some(read) = next else {
            return Ok(source.digest.finish().as_ref().first_chunk().copied().map(Digest));
        };
        if judge.take(read).is_break() {
            return Ok(None);
        }
        shown(&mut bar, judge, |_| (source.read, length.max(source.read)));
    }
}

/// Moves the bar now and then.
fn shown(bar: &mut Bar, judge: &Judge, how_far: impl FnOnce(&Judge) -> (u64, u64)) {
    if judge.seen().is_multiple_of(SHOWN_EACH) {
        let (done, all) = how_far(judge);
        bar.show(done, all);
    }
}

/// How much was read, and a digest over it.
struct Counted<R> {
    source: R,
    read: u64,
    digest: Context,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buffer)?;
        self.read = self.read.saturating_add(length as u64);
        self.digest.update(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.source.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.read = self.read.saturating_add(amount as u64);
        // what is consumed is in the buffer: nothing is read for this
        if let Ok(buffer) = self.source.fill_buf() {
            self.digest.update(buffer.get(..amount).unwrap_or_default());
        }
        self.source.consume(amount);
    }
}

/// So begins every store.
const STORE_MARK: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";
/// Enough of a file to tell what it is.
const BEGIN_BYTES: u64 = 16;
const READ_BYTES: usize = 256 * 1024;
/// The bar moves after so many records.
const SHOWN_EACH: u64 = 1024;
