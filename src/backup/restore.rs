//! A store made from a backup, and what keeps uses apart from journals that are not theirs.

use std::io::BufRead;
use std::path::Path;

use crate::backup::verify::{each_piece, each_row, root_of};
use crate::backup::{CarryError, is_free, uses_beside};
use crate::journal::PublicKey;
use crate::journal::backup::Reader;
use crate::store::{Head, Piece, Pin, Settings, StoreError, stopped};
use crate::uses::{self, UseSnapshot};

/// Makes the store at `path` and the uses beside it, where neither may be, from a backup that was [verified](super::verify)
/// before; everything is verified once more on the way. The store has its name only when it is whole.
///
/// # Errors
/// [`CarryError`]; then there is no store at `path`.
pub fn restore(
    source: impl BufRead,
    path: &Path,
    root: Option<PublicKey>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Head, CarryError> {
    free(path)?;
    let mut reader = Reader::open(source)?;
    let header = reader.header().clone();
    let root = root_of(&header, root)?;
    let mut rest = None;
    let (store, ended) = stopped::make(path, root, &header.realm, &header.cursors, |take| {
        rest = each_piece(&mut reader, |piece| {
            if let Piece::Record(record) = piece {
                progress(record.sequence, header.sequence);
            }
            take(piece)
        })?;
        Ok::<_, CarryError>(())
    })?;
    let beside = uses_beside(path);
    let uses = uses::bring_back(&beside, |take| each_row(rest.take(), &mut reader, take))?;
    // the store last: where there is one, its uses are there. Whoever starts on their name meanwhile cannot open them
    let uses = uses.place_held()?;
    if let Err(error) = store.place() {
        uses.take_back()?;
        return Err(error.into());
    }
    Ok(ended.head)
}

/// Whether neither the store nor its uses are there.
///
/// # Errors
/// [`CarryError::Taken`] when the store is; [`CarryError::Orphaned`] when only uses are.
pub fn free(path: &Path) -> Result<(), CarryError> {
    is_free(path)?;
    let beside = uses_beside(path);
    if beside.try_exists()? { Err(orphaned(path)) } else { Ok(()) }
}

/// Whether a journal that would be begun where `settings` say takes over no uses: those of another journal would be held
/// against seals that are not theirs. Where a journal is, or should be, this is no question.
///
/// # Errors
/// [`CarryError::Orphaned`] when uses lie there; [`CarryError::Store`] when nobody can tell.
pub fn takes_over_no_uses(settings: &Settings) -> Result<(), CarryError> {
    let Settings { path, key_path } = settings;
    let beside = uses_beside(path);
    let is_something = std::fs::metadata(&beside).is_ok_and(|found| found.len() > 0);
    if !is_something || path.try_exists()? || Pin::beside(key_path)?.is_some() {
        return Ok(());
    }
    let mut rows = 0_u64;
    UseSnapshot::of_file(&beside)?.each_row(|_| {
        rows += 1;
        Ok::<_, StoreError>(())
    })?;
    if rows > 0 { Err(orphaned(path)) } else { Ok(()) }
}

fn orphaned(path: &Path) -> CarryError {
    CarryError::Orphaned { uses: uses_beside(path), store: path.to_owned() }
}
