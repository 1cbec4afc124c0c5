//! Where a journal comes from to be verified: a portal, a stopped hallpass's store, a backup, an export. All of them hand
//! over the same records, and are judged by the same lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::path::Path;

use crate::cli::audit::export::{PATH, copy};
use crate::cli::audit::found::Judge;
use crate::cli::client::Client;
use crate::cli::failure::Failure;
use crate::cli::progress::Bar;
use crate::journal::export::read_json_lines;
use crate::store::{self, StoreError};

/// Hands the records in the file at `path` to `judge`: those of a store when it is one, of an export or backup otherwise.
pub(super) fn file(path: &Path, judge: &mut Judge) -> Result<(), Failure> {
    let cannot = |error: io::Error| Failure::Usage(format!("cannot read `{}`: {error}", path.display()));
    let mut file = File::open(path).map_err(cannot)?;
    let mut begin = Vec::new();
    (&mut file).take(STORE_BEGIN.len() as u64).read_to_end(&mut begin).map_err(cannot)?;
    if begin == STORE_BEGIN {
        return store(path, judge);
    }
    file.rewind().map_err(cannot)?;
    let length = file.metadata().map_err(cannot)?.len();
    lines(BufReader::with_capacity(READ_BYTES, file), length, judge)
}

/// Hands the records of standard input to `judge`.
pub(super) fn input(input: &mut dyn BufRead, judge: &mut Judge) -> Result<(), Failure> {
    lines(input, 0, judge)
}

/// Hands the records of the store at `path`, on which no hallpass runs, to `judge`.
pub(super) fn store(path: &Path, judge: &mut Judge) -> Result<(), Failure> {
    let mut bar = Bar::new("verifying");
    let read = store::each_record(path, |record| {
        if judge.take(Ok(record)).is_continue() && judge.seen() % SHOWN_EACH == 0 {
            bar.show(judge.seen(), judge.seen());
        }
    });
    read.map_err(|error| {
        let what_to_do = match error {
            StoreError::Locked => "; stop that hallpass first, or verify through its portal: leave out the file",
            _ => "",
        };
        let why = anyhow::Error::new(error);
        Failure::Usage(format!("cannot read the store `{}`: {why:#}{what_to_do}", path.display()))
    })
}

/// Hands the records that the portal exports to `judge`. They are kept first: an answer that breaks off is no journal.
pub(super) async fn portal(client: &Client, judge: &mut Judge) -> Result<(), Failure> {
    let mut file = tempfile::tempfile()?;
    let response = client.open(PATH, &[("format", "jsonl")], None).await?;
    copy(client, response, &mut |bytes| file.write_all(bytes)).await?;
    file.rewind()?;
    let length = file.metadata()?.len();
    lines(BufReader::with_capacity(READ_BYTES, file), length, judge)
}

fn lines(source: impl BufRead, length: u64, judge: &mut Judge) -> Result<(), Failure> {
    let mut bar = Bar::new("verifying");
    let mut source = Counted { source, read: 0 };
    if source.fill_buf()?.starts_with(BACKUP_BEGIN) {
        source.skip_until(b'\n')?;
    }
    loop {
        // what a backup holds beside records is not the journal's
        let next = source.fill_buf()?;
        if BACKUP_BESIDE.iter().any(|beside| next.starts_with(beside)) {
            return Ok(());
        }
        let Some(read) = read_json_lines(&mut source).next() else { return Ok(()) };
        if judge.take(read).is_break() {
            return Ok(());
        }
        if judge.seen() % SHOWN_EACH == 0 {
            bar.show(source.read, length.max(source.read));
        }
    }
}

/// How much was read.
struct Counted<R> {
    source: R,
    read: u64,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buffer)?;
        self.read = self.read.saturating_add(length as u64);
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.source.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.read = self.read.saturating_add(amount as u64);
        self.source.consume(amount);
    }
}

/// So begins every store.
const STORE_BEGIN: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";
/// So begins a backup.
const BACKUP_BEGIN: &[u8] = b"{\"backup\":";
/// So begin the lines of a backup that are no records.
const BACKUP_BESIDE: [&[u8]; 2] = [b"{\"row\":", b"{\"end\":"];
const READ_BYTES: usize = 256 * 1024;
/// The bar moves after so many records.
const SHOWN_EACH: u64 = 1024;
