//! A journal carried away with all that is kept beside it, so that a store can be made from it again.
//!
//! # Format, version 2
//!
//! JSON lines. The first is `{"backup":{…}}`: version, realm, root public key, when it was taken, the head, how far
//! those who follow the journal had come, and, since version 2, the head as a [`checkpoint`](super::checkpoint) signed by
//! whoever took it with the key of the journal: a digest shows damage, and only a signature that somebody cut the end. Then, when records were cut from its beginning,
//! `{"carried":{"table":…,"key":…,"value":…}}`, hexadecimal: what they had come to, whose digest the record of the cut names,
//! which is SHA-256 over all of them in order, each as table, key and value with its length before it as 8 bytes, big endian.
//! Then the records, each line byte for byte as in an [`export`](super::export),
//! oldest first. Then `{"row":{"table":…,"key":…,"value":…}}`, hexadecimal: what lies beside the journal and is not folded
//! from it, such as the requests made under an elevation. The last is `{"end":{"records":…,"rows":…,"digest":…}}`, with
//! SHA-256 over every byte before that line: a file without it was cut short.
//!
//! Decided (2026-11): lines of text and not a copy of the database file. Tables are folded from the journal anyway, so a
//! restored store owes nothing to damaged pages, to the layout of tables, or to the database's own version; every line can
//! be verified with the root public key and read without hallpass; and it can be streamed from one snapshot of a running
//! service without a second copy on its disk. The price is that restoring folds every record once more.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _, Write};

use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::clock::format_rfc3339;
use crate::journal::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::journal::export::{Exported, LINE_BYTES_MAX, ReadError, read_json_lines};

/// What a backup is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Of this format.
    pub version: u32,
    /// The chain's name.
    pub realm: String,
    /// The root public key, hexadecimal.
    pub public_key: String,
    /// When it was taken, RFC 3339.
    pub taken_at: String,
    /// The newest record in it: sequence.
    pub sequence: u64,
    /// The newest record in it: hash, hexadecimal.
    pub hash: String,
    /// Where those who follow the journal had come to.
    pub cursors: BTreeMap<String, u64>,
    /// The same head at the same time as a signed note; none when it was taken without the signing key, or by version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

impl Header {
    /// What was signed about the end, which must be what the rest of the header says. By whom, is for the caller to tell.
    ///
    /// # Errors
    /// [`BackupError::Checkpoint`].
    pub fn signed_end(&self) -> Result<Option<SignedCheckpoint>, BackupError> {
        let Some(note) = &self.checkpoint else { return Ok(None) };
        let note: SignedCheckpoint = note.parse().map_err(|_| BackupError::Checkpoint)?;
        let Checkpoint { realm, sequence, hash, time } = &note.checkpoint;
        let says_the_same = *realm == self.realm
            && *sequence == self.sequence
            && HEXLOWER.encode(hash) == self.hash
            && format_rfc3339(*time) == self.taken_at;
        if says_the_same { Ok(Some(note)) } else { Err(BackupError::Checkpoint) }
    }
}

/// The version that is written; those before are read.
pub const VERSION: u32 = 2;

/// A row that lies beside the journal, as the one who keeps it wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// In which table.
    pub table: String,
    /// Under which key.
    pub key: Vec<u8>,
    /// What.
    pub value: Vec<u8>,
}

/// A part of a backup after its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A row that stands for what was cut.
    Carried(Row),
    /// A record.
    Record(Box<Exported>),
    /// A row beside it.
    Row(Row),
}

/// The lines that are no records.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Backup(Header),
    Carried { table: String, key: String, value: String },
    Row { table: String, key: String, value: String },
    End { records: u64, rows: u64, digest: String },
}

/// What is counted and digested on the way.
struct Sum {
    records: u64,
    rows: u64,
    digest: Context,
}

impl Sum {
    fn new() -> Self {
        Self { records: 0, rows: 0, digest: Context::new(&SHA256) }
    }

    fn end(&self) -> Line {
        let digest = HEXLOWER.encode(self.digest.clone().finish().as_ref());
        Line::End { records: self.records, rows: self.rows, digest }
    }
}

/// Writes a backup.
pub struct Writer<W: Write> {
    out: W,
    sum: Sum,
}

impl<W: Write> Writer<W> {
    /// Begins with the header.
    ///
    /// # Errors
    /// What `out` says.
    pub fn begin(out: W, header: Header) -> io::Result<Self> {
        let mut writer = Self { out, sum: Sum::new() };
        writer.line(&Line::Backup(header))?;
        Ok(writer)
    }

    /// Writes the next record.
    ///
    /// # Errors
    /// What `out` says; [`io::ErrorKind::InvalidData`] when the record is no text.
    pub fn record(&mut self, record: &Exported) -> io::Result<()> {
        let mut line = Vec::with_capacity(1024);
        record.write_json_line(&mut line)?;
        self.sum.records = self.sum.records.saturating_add(1);
        self.bytes(&line)
    }

    /// Writes a row.
    ///
    /// # Errors
    /// What `out` says.
    pub fn row(&mut self, row: &Row) -> io::Result<()> {
        self.sum.rows = self.sum.rows.saturating_add(1);
        self.bytes(&row_line(row)?)
    }

    /// Writes a row that stands for what was cut: before the records.
    ///
    /// # Errors
    /// What `out` says.
    pub fn carried(&mut self, row: &Row) -> io::Result<()> {
        let (key, value) = (HEXLOWER.encode(&row.key), HEXLOWER.encode(&row.value));
        self.line(&Line::Carried { table: row.table.clone(), key, value })
    }

    /// Writes the end, without which it is no backup, and gives the target back.
    ///
    /// # Errors
    /// What `out` says.
    pub fn finish(mut self) -> io::Result<W> {
        self.line(&self.sum.end())?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.bytes(&bytes)
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.digest.update(bytes);
        self.out.write_all(bytes)
    }
}

/// Why a file is no backup to rely on.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A line cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It begins with something else.
    #[error("this is no backup of hallpass: it does not begin with one's header")]
    Foreign,
    /// A version nobody here knows.
    #[error("the backup has version {0}; this hallpass knows versions up to {VERSION}")]
    Version(u32),
    /// What was signed when it was taken is not what its header says.
    #[error("the backup was changed: its header does not say what was signed when it was taken")]
    Checkpoint,
    /// The end is missing.
    #[error("the backup was cut short: its end is missing")]
    CutShort,
    /// The end does not fit what stands before it.
    #[error("the backup was changed: its end does not fit what stands before it")]
    Changed,
    /// Something follows the end.
    #[error("something follows the end of the backup")]
    Longer,
}

impl From<io::Error> for BackupError {
    fn from(error: io::Error) -> Self {
        Self::Read(error.into())
    }
}

/// Reads a backup part by part. That it is whole is known only when the last part was read without error.
pub struct Reader<R: BufRead> {
    source: R,
    header: Header,
    sum: Sum,
    over: bool,
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn open(mut source: R) -> Result<Self, BackupError> {
        let line = next_line(&mut source)?.ok_or(BackupError::Foreign)?;
        let Ok(Line::Backup(header)) = serde_json::from_slice(&line) else { return Err(BackupError::Foreign) };
        if !(1..=VERSION).contains(&header.version) {
            return Err(BackupError::Version(header.version));
        }
        let mut sum = Sum::new();
        sum.digest.update(&line);
        Ok(Self { source, header, sum, over: false })
    }

    /// What it says of itself; nothing of it is verified.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    fn part(&mut self) -> Result<Option<Part>, BackupError> {
        let line = next_line(&mut self.source)?.ok_or(BackupError::CutShort)?;
        let part = if line.starts_with(RECORD) {
            let record = read_json_lines(line.as_slice()).next().ok_or(ReadError::Malformed)??;
            self.sum.records = self.sum.records.saturating_add(1);
            Part::Record(Box::new(record))
        } else {
            let bytes = |text: String| HEXLOWER.decode(text.as_bytes()).map_err(|_| ReadError::Malformed);
            match serde_json::from_slice(&line).map_err(|_| ReadError::Malformed)? {
                Line::Carried { table, key, value } => {
                    Part::Carried(Row { table, key: bytes(key)?, value: bytes(value)? })
                }
                Line::Row { table, key, value } => {
                    self.sum.rows = self.sum.rows.saturating_add(1);
                    Part::Row(Row { table, key: bytes(key)?, value: bytes(value)? })
                }
                Line::End { .. } => return self.end(&line),
                Line::Backup(_) => return Err(ReadError::Malformed.into()),
            }
        };
        self.sum.digest.update(&line);
        Ok(Some(part))
    }

    fn end(&mut self, line: &[u8]) -> Result<Option<Part>, BackupError> {
        let mut expected = serde_json::to_vec(&self.sum.end()).map_err(io::Error::from)?;
        expected.push(b'\n');
        if line != expected {
            return Err(BackupError::Changed);
        }
        match next_line(&mut self.source)? {
            None => Ok(None),
            Some(_) => Err(BackupError::Longer),
        }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Part, BackupError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let part = self.part().transpose();
        self.over = !matches!(part, Some(Ok(_)));
        part
    }
}

/// The line of a row beside the journal.
///
/// # Errors
/// None that could happen: it is only text.
pub fn row_line(row: &Row) -> io::Result<Vec<u8>> {
    let (key, value) = (HEXLOWER.encode(&row.key), HEXLOWER.encode(&row.value));
    let mut line = serde_json::to_vec(&Line::Row { table: row.table.clone(), key, value })?;
    line.push(b'\n');
    Ok(line)
}

/// The rows of a file that holds nothing else; each line has the one spelling in which [`row_line`] writes it.
pub fn read_rows(mut source: impl BufRead) -> impl Iterator<Item = Result<Row, ReadError>> {
    std::iter::from_fn(move || {
        let line = next_line(&mut source).transpose()?;
        Some(line.and_then(|line| row_in(&line)))
    })
}

fn row_in(line: &[u8]) -> Result<Row, ReadError> {
    let Ok(Line::Row { table, key, value }) = serde_json::from_slice(line) else { return Err(ReadError::Malformed) };
    let bytes = |text: String| HEXLOWER.decode(text.as_bytes()).map_err(|_| ReadError::Malformed);
    let row = Row { table, key: bytes(key)?, value: bytes(value)? };
    if row_line(&row)? == line { Ok(row) } else { Err(ReadError::Malformed) }
}

/// A whole line with its end; none at the end of the source.
fn next_line(source: &mut impl BufRead) -> Result<Option<Vec<u8>>, ReadError> {
    let mut line = Vec::new();
    let length = source.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) if u64::try_from(length).is_ok_and(|length| length == LINE_BYTES_MAX) => Err(ReadError::TooLong),
        Some(_) => Err(ReadError::Malformed),
    }
}

/// So does the line of a record begin, and no other.
const RECORD: &[u8] = b"{\"sequence\":";

/// So does a backup begin, and no export.
pub const MARK: &[u8] = b"{\"backup\":";

#[cfg(test)]
mod tests;
