//! Whether a backup is whole, and a store can be made from it.

use std::io::BufRead;
use std::path::Path;

use data_encoding::HEXLOWER;

use crate::backup::{CarryError, Findings};
use crate::domain::event::Event;
use crate::journal::backup::{BackupError, Header, Part, Reader, Row};
use crate::journal::{Exported, PublicKey, SignedCheckpoint, upcast};
use crate::store::{Ended, Head, Piece, Pin, StoreError, stopped};
use crate::uses;

/// What a backup was proven to hold.
#[derive(Debug, Clone)]
pub struct Proven {
    /// What it says of itself, which is so.
    pub header: Header,
    /// The root key by which it verifies.
    pub root: PublicKey,
    /// The key that signs its next record.
    pub signs: PublicKey,
    /// Its newest record.
    pub head: Head,
    /// What its taker signed about its end, which is so; none when nobody did.
    pub checkpoint: Option<SignedCheckpoint>,
    /// How many records.
    pub records: u64,
    /// How many rows beside the journal.
    pub rows: u64,
    /// Texts and uses that are not what was recorded.
    pub findings: Findings,
}

/// Reads `source` to its end: every byte is what was written, every record in its place and signed, every note its own, and
/// a store can be folded from them, which is done in the folder of `beside`. What is wrong beside that is in the findings.
/// `root` is the key to hold it against; without it, the one that it names itself. With `pin` it must be the journal that a
/// signing key is bound to.
///
/// # Errors
/// [`CarryError`] says what is wrong first.
pub fn verify(
    source: impl BufRead,
    beside: &Path,
    root: Option<PublicKey>,
    pin: Option<&Pin>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Proven, CarryError> {
    let mut reader = Reader::open(source)?;
    let header = reader.header().clone();
    let root = root_of(&header, root)?;
    if let Some(pin) = pin {
        pin.is_of(&header.realm, root)?;
        pin.is_reached_by(header.sequence)?;
    }
    let mut rest = None;
    let mut realm = None;
    let Ended { head, records, signs, missing, sealed } = stopped::rehearse(beside, root, |take| {
        rest = each_piece(&mut reader, |piece| {
            take(piece)?;
            if let Piece::Record(record) = piece {
                pin.map_or(Ok(()), |pin| pin.knows(record.sequence, &record.sealed))?;
                progress(record.sequence, header.sequence);
                realm = realm.take().or_else(|| realm_of(record));
            }
            Ok(())
        })?;
        Ok::<_, CarryError>(())
    })?;
    let (mut rows, mut proof) = (0, uses::Proof::new(sealed));
    each_row(rest.take(), &mut reader, |row| {
        rows += 1;
        uses::is_row(row)?;
        proof.take(row)
    })?;
    if realm.as_deref() != Some(header.realm.as_str()) {
        return Err(CarryError::Header("its journal is another realm's"));
    }
    if head.position.0 != header.sequence || HEXLOWER.encode(&head.hash) != header.hash {
        return Err(CarryError::Header("its journal ends elsewhere"));
    }
    let checkpoint = header.signed_end()?;
    if checkpoint.as_ref().is_some_and(|note| !note.is_by(&signs)) {
        return Err(CarryError::Header("another key than the one in force signed its end"));
    }
    let findings = Findings { notes: missing, uses: proof.finish(), ..Findings::default() };
    Ok(Proven { header, root, signs, head, checkpoint, records, rows, findings })
}

/// The key to hold it against.
pub(super) fn root_of(header: &Header, given: Option<PublicKey>) -> Result<PublicKey, CarryError> {
    let named: PublicKey =
        header.public_key.parse().map_err(|_| CarryError::Header("the root key it names is none"))?;
    match given {
        Some(given) if given != named => Err(CarryError::Root { named: named.to_string() }),
        Some(_) | None => Ok(named),
    }
}

/// Hands over what was carried and the records, and returns the first row behind them, if there is one.
pub(super) fn each_piece<R: BufRead>(
    reader: &mut Reader<R>,
    mut each: impl FnMut(Piece<'_>) -> Result<(), StoreError>,
) -> Result<Option<Row>, CarryError> {
    for part in reader {
        match part? {
            Part::Carried(row) => each(Piece::Carried(&row))?,
            Part::Record(record) => each(Piece::Record(&record))?,
            Part::Row(row) => return Ok(Some(row)),
        }
    }
    Ok(None)
}

/// Hands over the rows: `first`, and those behind it to the end.
pub(super) fn each_row<R: BufRead>(
    first: Option<Row>,
    reader: &mut Reader<R>,
    mut each: impl FnMut(&Row) -> Result<(), StoreError>,
) -> Result<(), CarryError> {
    if let Some(first) = first {
        each(&first)?;
    }
    for part in reader {
        match part? {
            Part::Row(row) => each(&row)?,
            Part::Record(_) | Part::Carried(_) => return Err(BackupError::Changed.into()),
        }
    }
    Ok(())
}

fn realm_of(first: &Exported) -> Option<String> {
    match upcast::read(&first.sealed.core).ok()?.event {
        Event::JournalOpened { realm, .. } => Some(realm),
        _ => None,
    }
}
