//! A store made from a backup.

use std::io::BufRead;
use std::path::Path;

use crate::backup::verify::{each_piece, each_row, root_of};
use crate::backup::{CarryError, is_free, uses_beside};
use crate::journal::PublicKey;
use crate::journal::backup::Reader;
use crate::store::{Head, Piece, stopped};
use crate::uses;

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
    // the store last: where there is one, its uses are there
    uses.place()?;
    if let Err(error) = store.place() {
        // nobody can have begun to use it: there was no store
        std::fs::remove_file(&beside)?;
        return Err(error.into());
    }
    Ok(ended.head)
}

/// Whether neither the store nor its uses are there.
///
/// # Errors
/// [`CarryError::Taken`] names the one that is.
pub fn free(path: &Path) -> Result<(), CarryError> {
    for file in [path.to_owned(), uses_beside(path)] {
        is_free(&file)?;
    }
    Ok(())
}
