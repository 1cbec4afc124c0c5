//! What the newest anchor says about a journal: is this the file that told it, and does it still hold what it told?

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::anchor::file::{AnchorFile, Mark, Newest};
use crate::clock::format_rfc3339;
use crate::domain::event::ChainPoint;
use crate::domain::standing::Position;
use crate::journal::{Checkpoint, SignedCheckpoint};
use crate::store::{Reader, StoreError};

/// What came of comparing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// There is no anchor yet, and none was ever written.
    Nothing,
    /// The journal holds what the anchor names.
    Holds(Box<Checkpoint>),
    /// It does not.
    Mismatch(Box<Mismatch>),
}

/// The journal is not the one that the anchor names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The newest anchor, or what the mark says of it when the file is gone; nothing when there is something, but no anchor.
    pub expected: Option<Checkpoint>,
    /// The head that was found.
    pub found: ChainPoint,
    /// How they differ.
    pub mistake: Mistake,
}

/// How a journal differs from its anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mistake {
    /// Another chain: a fresh start, or somebody else's file.
    Foreign,
    /// It ends before the anchored record: an old copy, or a cut end.
    Short,
    /// The anchored record was cut, so that nothing tells whether it was the same.
    Cut,
    /// Another record stands in the anchored one's place.
    Forked,
    /// No key of this journal signed the anchor.
    Unsigned,
    /// The file of anchors holds something, but no anchor.
    Unreadable,
    /// The file of anchors ends before the last one that was written to it: its end was cut or is damaged.
    Behind {
        /// The file.
        file: PathBuf,
        /// The record that its newest anchor names.
        newest: u64,
    },
    /// There is no file of anchors, or an empty one, although heads were written to one.
    Gone {
        /// Where it was looked for.
        file: PathBuf,
        /// Where the last head was written to.
        written: PathBuf,
    },
}

/// One sentence for the operator.
impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expected, found, mistake } = self;
        if let Some(Checkpoint { realm, sequence, time, .. }) = expected {
            write!(f, "the newest anchor, of {}, names record {sequence} of journal {realm}; ", format_rfc3339(*time))?;
        }
        match mistake {
            Mistake::Foreign => write!(f, "this is journal {}", found.realm),
            Mistake::Short => {
                write!(f, "this journal ends at record {}: an old copy, or its end was cut", found.sequence)
            }
            Mistake::Cut => {
                f.write_str("it was cut, and no later one was anchored: hold the anchor against the archive")
            }
            Mistake::Forked => f.write_str("another record stands there in this journal"),
            Mistake::Unsigned => f.write_str("but no key of this journal signed it"),
            Mistake::Unreadable => f.write_str("the file of anchors holds no whole anchor"),
            Mistake::Behind { file, newest } => write!(
                f,
                "the newest one in `{}` names record {newest}: the file's end was cut or is damaged, so restore it",
                file.display()
            ),
            Mistake::Gone { file, written } => {
                write!(f, "the file of anchors `{}` is not there, or empty", file.display())?;
                if written == file {
                    f.write_str(": mount its volume, or restore it")
                } else {
                    write!(f, ": the last one was written to `{}`, so copy that there", written.display())
                }
            }
        }
    }
}

/// Why nothing can be compared.
#[derive(Debug, thiserror::Error)]
pub enum AnchorFileError {
    /// The file of anchors cannot be read.
    #[error("the file of anchors `{path}` cannot be read")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Store(#[from] StoreError),
}

/// Holds the journal behind `reader` against the newest anchor in `file`.
///
/// # Errors
/// [`AnchorFileError`]: unknown means no, so whoever asks must not go on as if it held.
pub fn compare(file: &AnchorFile, reader: &Reader) -> Result<Compared, AnchorFileError> {
    let source = |source| AnchorFileError::File { path: file.path().to_owned(), source };
    match file.newest().map_err(source)? {
        Newest::Nothing => {
            let Some(Mark { path, last }) = file.mark().map_err(source)? else { return Ok(Compared::Nothing) };
            // what the mark says is as old as the store it lies beside, and vouches for nothing
            let mistake = Mistake::Gone { file: file.path().to_owned(), written: path };
            let expected = last.map(|note| note.checkpoint);
            Ok(Compared::Mismatch(Box::new(Mismatch { expected, found: head(reader)?, mistake })))
        }
        Newest::Note(note) => {
            let last = file.mark().map_err(source)?.and_then(|mark| mark.last);
            match (compare_with(&note, reader)?, last) {
                (Compared::Holds(newest), Some(last)) if is_lost(&newest, &last.checkpoint) => {
                    let mistake = Mistake::Behind { file: file.path().to_owned(), newest: newest.sequence };
                    let (expected, found) = (Some(last.checkpoint), head(reader)?);
                    Ok(Compared::Mismatch(Box::new(Mismatch { expected, found, mistake })))
                }
                (compared, _) => Ok(compared),
            }
        }
        Newest::Unreadable => {
            let found = head(reader)?;
            let mismatch = Mismatch { expected: None, found, mistake: Mistake::Unreadable };
            Ok(Compared::Mismatch(Box::new(mismatch)))
        }
    }
}

/// Whether the file lost its end: the mark, which is only written after it, names a `last` anchor that is newer than its
/// `newest`. Newer in time as well, because after a confirmation a journal may be shorter than before.
fn is_lost(newest: &Checkpoint, last: &Checkpoint) -> bool {
    newest.realm == last.realm && newest.sequence < last.sequence && newest.time < last.time
}

/// Holds the journal behind `reader` against `note`.
///
/// # Errors
/// [`AnchorFileError::Store`].
pub fn compare_with(note: &SignedCheckpoint, reader: &Reader) -> Result<Compared, AnchorFileError> {
    let (expected, found) = (note.checkpoint.clone(), head(reader)?);
    let mistake = if expected.realm != found.realm {
        Some(Mistake::Foreign)
    } else if expected.sequence > found.sequence {
        Some(Mistake::Short)
    } else if !reader.keys()?.iter().any(|span| note.is_by(&span.key)) {
        Some(Mistake::Unsigned)
    } else if reader.cut()?.is_some_and(|cut| cut.holds(expected.sequence)) {
        Some(Mistake::Cut)
    } else {
        let there = reader.record(Position(expected.sequence))?;
        there.is_none_or(|entry| entry.sealed.hash != expected.hash).then_some(Mistake::Forked)
    };
    Ok(match mistake {
        None => Compared::Holds(Box::new(expected)),
        Some(mistake) => Compared::Mismatch(Box::new(Mismatch { expected: Some(expected), found, mistake })),
    })
}

fn head(reader: &Reader) -> Result<ChainPoint, StoreError> {
    let (realm, head) = (reader.realm()?.0, reader.head()?);
    Ok(ChainPoint { realm, sequence: head.position.0, hash: data_encoding::HEXLOWER.encode(&head.hash) })
}
