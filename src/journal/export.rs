//! Records outside the store: JSON lines that can be verified by anybody, and CSV for people.

use std::io::{self, BufRead, Read, Write};

use data_encoding::HEXLOWER;
use jiff::fmt::temporal::DateTimePrinter;
use serde::{Deserialize, Serialize};

use crate::domain::event::{Actor, Detail, Event};
use crate::domain::principal::Party;
use crate::domain::time::Timestamp;
use crate::journal::chain::Sealed;
use crate::journal::record::{Note, event_type, from_hex};
use crate::journal::upcast::{self, Unreadable};

/// One record with all that is needed to verify it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Its place in the chain.
    pub sequence: u64,
    /// The stored bytes.
    pub sealed: Sealed,
    /// Its note, unless there is none or it was erased.
    pub note: Option<Note>,
    /// Its time for people to read.
    time: String,
}

impl Exported {
    /// A record of the store; `time` is what its core says.
    #[must_use]
    pub fn new(sequence: u64, sealed: Sealed, note: Option<Note>, time: Timestamp) -> Self {
        Self { sequence, sealed, note, time: readable(time) }
    }

    /// Whether the time shown beside the record is `time`.
    #[must_use]
    pub fn shows(&self, time: Timestamp) -> bool {
        self.time == readable(time)
    }

    /// Writes one line of JSON.
    ///
    /// # Errors
    /// What `out` says; [`io::ErrorKind::InvalidData`] when the record is no text.
    pub fn write_json_line(&self, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Line::of(self)?)?;
        line.push(b'\n');
        out.write_all(&line)
    }
}

/// The members of one line, in this order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    sequence: u64,
    time: String,
    core: String,
    previous: String,
    hash: String,
    signature: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    salt: Option<String>,
}

impl Line {
    fn of(exported: &Exported) -> io::Result<Self> {
        let Exported { sequence, sealed, note, time } = exported;
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec()).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
        };
        Ok(Self {
            sequence: *sequence,
            time: time.clone(),
            core: text(&sealed.core)?,
            previous: HEXLOWER.encode(&sealed.previous),
            hash: HEXLOWER.encode(&sealed.hash),
            signature: HEXLOWER.encode(&sealed.signature),
            note: note.as_ref().map(|note| text(note.text())).transpose()?,
            salt: note.as_ref().map(|note| HEXLOWER.encode(note.salt())),
        })
    }

    fn into_exported(self) -> Option<Exported> {
        let note = match (self.note, self.salt) {
            (Some(text), Some(salt)) => Some(Note::from_parts(from_hex(&salt)?, text.into_bytes())),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return None,
        };
        let sealed = Sealed {
            core: self.core.into_bytes(),
            previous: from_hex(&self.previous)?,
            hash: from_hex(&self.hash)?,
            signature: from_hex(&self.signature)?,
        };
        Some(Exported { sequence: self.sequence, sealed, note, time: self.time })
    }
}

/// A line of an export that is none.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The source failed.
    #[error("the export cannot be read")]
    Io(#[from] io::Error),
    /// Longer than any record.
    #[error("a line is longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// Not a line as hallpass writes it, to the byte.
    #[error("a line is not as hallpass writes it")]
    Malformed,
}

/// No line of an export is longer.
pub const LINE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The records of an export, in the order they stand. Ends after the first error of the source.
pub fn read_json_lines(source: impl BufRead) -> impl Iterator<Item = Result<Exported, ReadError>> {
    let mut source = Some(source);
    std::iter::from_fn(move || {
        let read = read_json_line(source.as_mut()?);
        if !matches!(read, Ok(Some(_))) {
            source = None;
        }
        read.transpose()
    })
}

fn read_json_line(source: &mut impl BufRead) -> Result<Option<Exported>, ReadError> {
    let mut line = Vec::new();
    let length = source.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    if length == 0 {
        return Ok(None);
    }
    let exported = match line.last() {
        Some(b'\n') => serde_json::from_slice::<Line>(&line).ok().and_then(Line::into_exported),
        _ if u64::try_from(length).is_ok_and(|length| length == LINE_BYTES_MAX) => return Err(ReadError::TooLong),
        _ => None,
    };
    let exported = exported.ok_or(ReadError::Malformed)?;
    // two spellings of one line would let bytes change unnoticed
    let mut again = Vec::with_capacity(line.len());
    exported.write_json_line(&mut again)?;
    if again == line { Ok(Some(exported)) } else { Err(ReadError::Malformed) }
}

/// Writes records as CSV. No cell is a formula: what a spreadsheet would compute is led by an apostrophe. For exact bytes
/// there are JSON lines.
pub struct CsvExport<W: Write> {
    writer: csv::Writer<W>,
}

/// Why a record could not be written as CSV.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// The record is none.
    #[error("the record cannot be read")]
    Unreadable(#[from] Unreadable),
    /// The target failed.
    #[error("the export cannot be written")]
    Io(#[from] io::Error),
}

impl From<csv::Error> for CsvError {
    fn from(error: csv::Error) -> Self {
        Self::Io(error.into())
    }
}

const CSV_HEADINGS: [&str; 18] = [
    "sequence",
    "time",
    "event",
    "actor",
    "name",
    "mail",
    "activation",
    "assignment",
    "principal",
    "group",
    "role",
    "justification",
    "ticket",
    "wanted",
    "erased",
    "command",
    "hash",
    "core",
];

impl<W: Write> CsvExport<W> {
    /// Begins with the line of headings.
    ///
    /// # Errors
    /// [`CsvError::Io`].
    pub fn new(out: W) -> Result<Self, CsvError> {
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(CSV_HEADINGS)?;
        Ok(Self { writer })
    }

    /// Writes one record.
    ///
    /// # Errors
    /// [`CsvError`].
    pub fn write(&mut self, exported: &Exported) -> Result<(), CsvError> {
        let record = upcast::read(&exported.sealed.core)?;
        let erased = record.detail.is_some() && exported.note.is_none();
        let detail = exported.note.as_ref().map(Note::detail).transpose()?.unwrap_or_default();
        let Detail { name, mail, justification, ticket, wanted } = detail;
        let Concerned { activation, assignment, principal, group, role } = Concerned::by(&record.event);
        let core = String::from_utf8_lossy(&exported.sealed.core).into_owned();
        let cells = [
            exported.sequence.to_string(),
            exported.time.clone(),
            event_type(&record.event).to_owned(),
            actor(&record.actor),
            name.unwrap_or_default(),
            mail.unwrap_or_default(),
            activation,
            assignment,
            principal,
            group,
            role,
            justification.unwrap_or_default(),
            ticket.unwrap_or_default(),
            wanted.map(|wanted| format!("{} {}", wanted.method, wanted.url)).unwrap_or_default(),
            if erased { "erased" } else { "" }.to_owned(),
            record.command.to_string(),
            HEXLOWER.encode(&exported.sealed.hash),
            core,
        ];
        Ok(self.writer.write_record(cells.into_iter().map(harmless))?)
    }

    /// Writes what is still held back, and gives the target back.
    ///
    /// # Errors
    /// [`CsvError::Io`].
    pub fn finish(self) -> Result<W, CsvError> {
        self.writer.into_inner().map_err(|error| CsvError::Io(error.into_error()))
    }
}

/// What an event is about, as text; empty where it is about no such thing.
#[derive(Default)]
struct Concerned {
    activation: String,
    assignment: String,
    principal: String,
    group: String,
    role: String,
}

impl Concerned {
    fn by(event: &Event) -> Self {
        let mut concerned =
            Self { activation: event.activation().map(|id| id.to_string()).unwrap_or_default(), ..Self::default() };
        match event {
            Event::AssignmentMade { assignment } => {
                concerned.assignment = assignment.id.to_string();
                concerned.role = assignment.role.to_string();
                match &assignment.party {
                    Party::Principal(principal) => concerned.principal = principal.to_string(),
                    Party::Group(group) => concerned.group = format!("{} {}", group.issuer, group.name),
                }
            }
            Event::AssignmentChanged { assignment, .. } | Event::AssignmentEnded { assignment, .. } => {
                concerned.assignment = assignment.to_string();
            }
            Event::ActivationRequested { principal, role, eligibility, .. } => {
                concerned.principal = principal.to_string();
                concerned.role = role.to_string();
                concerned.assignment = eligibility.to_string();
            }
            Event::ActivationDecided { approver, .. } => concerned.principal = approver.to_string(),
            Event::PrincipalLocked { principal }
            | Event::PrincipalUnlocked { principal }
            | Event::CredentialsRevoked { principal, .. }
            | Event::NotesErased { principal, .. } => {
                concerned.principal = principal.to_string();
            }
            Event::JournalOpened { .. }
            | Event::ConfigurationApplied { .. }
            | Event::ActivationStarted { .. }
            | Event::ExtensionRequested { .. }
            | Event::ExtensionEnded { .. }
            | Event::ActivationExtended { .. }
            | Event::ActivationShortened { .. }
            | Event::ActivationEnded { .. }
            | Event::UsesSealed { .. }
            | Event::KeyRotated { .. }
            | Event::AnchorConfirmed { .. }
            | Event::JournalSucceeded { .. }
            | Event::JournalCut { .. } => {}
        }
        concerned
    }
}

fn actor(actor: &Actor) -> String {
    match actor {
        Actor::Principal { principal, .. } => principal.to_string(),
        Actor::Configuration => "configuration".to_owned(),
        Actor::Hallpass => "hallpass".to_owned(),
        Actor::Operator => "operator".to_owned(),
    }
}

/// The cell, led by an apostrophe when a spreadsheet could take it for a formula. Spreadsheets skip white space and
/// control characters before they look, and some know the full-width signs.
fn harmless(cell: String) -> String {
    let skipped = |character: &char| {
        character.is_whitespace() || character.is_control() || matches!(character, '\u{200b}'..='\u{200f}' | '\u{feff}')
    };
    let first = cell.chars().find(|character| !skipped(character));
    let led = cell.chars().next().is_some_and(|character| matches!(character, '\t' | '\r' | '\n'));
    let formula = first.is_some_and(|first| {
        matches!(first, '=' | '+' | '-' | '@' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}')
    });
    if formula || led { format!("'{cell}") } else { cell }
}

/// RFC 3339 in UTC with milliseconds.
fn readable(at: Timestamp) -> String {
    let mut text = String::with_capacity(24);
    let instant = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    // writing to a string cannot fail
    let _ = DateTimePrinter::new().precision(Some(3)).print_timestamp(&instant, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_compute_is_led_by_an_apostrophe() {
        for cell in ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\rx", "\n=2", "\u{ff1d}1", "\u{200b}=1"] {
            assert_eq!(harmless(cell.to_owned()), format!("'{cell}"), "{cell:?}");
        }
        for cell in ["", "plain", "a=b", "2026-11-23T08:30:00.000Z", "'quoted"] {
            assert_eq!(harmless(cell.to_owned()), cell);
        }
    }

    #[test]
    fn endless_and_broken_lines_are_refused() {
        let endless = io::BufReader::new(io::repeat(b'x'));
        assert!(matches!(read_json_lines(endless).next(), Some(Err(ReadError::TooLong))));
        assert!(matches!(read_json_lines(&b"{}\n"[..]).next(), Some(Err(ReadError::Malformed))));
        let mut lines = read_json_lines(&b"\n\n"[..]);
        assert!(matches!(lines.next(), Some(Err(ReadError::Malformed))));
        assert!(lines.next().is_none(), "nothing after an error");
        assert!(read_json_lines(&b""[..]).next().is_none());
    }
}
