//! Uses that an archive holds: forgotten once the records they belong to are cut, and not before.
//!
//! That they are archived is noted beside them before the cut. So whoever finds the note later, after the power went or the
//! process was killed, can tell by the journal whether that cut came to be, and end what was begun.

use redb::{ReadableTable, TableDefinition, TableError};

use super::file::{Place, UseFile};
use super::{BLOCKS, UseReader};
use crate::domain::id::ActivationId;
use crate::journal::Digest;
use crate::store::{StoreError, guarded};

/// Uses that an archive holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchivedUses {
    /// Whose.
    pub activation: ActivationId,
    /// Up to this number.
    pub last: u64,
    /// SHA-256 over the archive of records beside which they were archived: the cut names it.
    pub archive: Digest,
}

impl UseReader {
    /// Of the file at `path`, on which no process runs.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn of_file(path: &std::path::Path) -> Result<Self, StoreError> {
        Ok(Self::new(UseFile::open(Place::File(path.to_owned()))?.handle))
    }

    /// What is noted as archived, and not forgotten yet.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn archived(&self) -> Result<Vec<ArchivedUses>, StoreError> {
        self.handle.read(|source| {
            let noted = match source.open_table(ARCHIVED) {
                Ok(noted) => noted,
                Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            };
            noted
                .iter()?
                .map(|row| {
                    let (id, about) = row?;
                    let (archive, last) = about.value();
                    let activation = ActivationId::from_random(id.value());
                    Ok(ArchivedUses { activation, last, archive: Digest(archive) })
                })
                .collect()
        })
    }

    /// Notes these as archived, and no others.
    ///
    /// # Errors
    /// [`StoreError`]; then what was noted before is.
    pub fn note_archived(&self, archived: &[ArchivedUses]) -> Result<(), StoreError> {
        let transaction = self.handle.write()?;
        guarded(|| {
            transaction.delete_table(ARCHIVED)?;
            {
                let mut noted = transaction.open_table(ARCHIVED)?;
                for ArchivedUses { activation, last, archive } in archived {
                    noted.insert(activation.to_bytes(), (archive.0, *last))?;
                }
            }
            Ok(transaction.commit()?)
        })
    }

    /// Takes these out, a few at a time, so that nobody who writes meanwhile waits for long. Uses behind those that were
    /// archived stay.
    ///
    /// # Errors
    /// [`StoreError`]; then some of them are still there, and noted.
    pub fn forget(&self, archived: &[ArchivedUses]) -> Result<(), StoreError> {
        let mut left = archived.iter().peekable();
        while left.peek().is_some() {
            let transaction = self.handle.write()?;
            guarded(|| {
                let (mut blocks, mut noted) = (transaction.open_table(BLOCKS)?, transaction.open_table(ARCHIVED)?);
                let mut room = FORGOTTEN_AT_ONCE;
                while let Some(each) = left.peek().filter(|_| room > 0) {
                    let id = each.activation.to_bytes();
                    let numbers: Vec<u64> = blocks
                        .range((id, 0)..=(id, each.last))?
                        .take(room)
                        .map(|row| Ok(row?.0.value().1))
                        .collect::<Result<_, StoreError>>()?;
                    for number in &numbers {
                        blocks.remove((id, *number))?;
                    }
                    if numbers.len() == room {
                        break;
                    }
                    // one that had none costs its note
                    room = room.saturating_sub(numbers.len().max(1));
                    noted.remove(id)?;
                    left.next();
                }
                drop((blocks, noted));
                Ok(transaction.commit()?)
            })?;
        }
        Ok(())
    }
}

/// Activation → SHA-256 over the archive of its records, and the number of the last use that was archived.
const ARCHIVED: TableDefinition<'_, [u8; 16], ([u8; 32], u64)> = TableDefinition::new("archived_uses");
/// Blocks that are taken out by one commit.
const FORGOTTEN_AT_ONCE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn archived(number: u16, last: u64) -> ArchivedUses {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        ArchivedUses { activation: ActivationId::from_random(id), last, archive: Digest([7; 32]) }
    }

    #[test]
    fn what_was_archived_is_forgotten_in_many_small_commits_and_what_came_later_stays() {
        let folder = tempfile::tempdir().unwrap();
        let uses = UseReader::of_file(&folder.path().join("uses")).unwrap();
        assert_eq!(uses.archived().unwrap(), []);
        let transaction = uses.handle.write().unwrap();
        {
            let mut blocks = transaction.open_table(BLOCKS).unwrap();
            for number in 0..600 {
                for last in 1..=3 {
                    blocks.insert((archived(number, 0).activation.to_bytes(), last), [1].as_slice()).unwrap();
                }
            }
            for last in 4..=1000 {
                blocks.insert((archived(5, 0).activation.to_bytes(), last), [1].as_slice()).unwrap();
            }
        }
        transaction.commit().unwrap();
        let (one, other) = (archived(700, 1), archived(701, 1));
        uses.note_archived(&[one, other]).unwrap();
        assert_eq!(uses.archived().unwrap(), [one, other]);
        // number 9 had none of its own; of number 3 one was used after it was archived
        let gone: Vec<_> = (0..500).map(|number| archived(number, if number == 3 { 2 } else { 1000 })).collect();
        uses.note_archived(&gone).unwrap();
        assert_eq!(uses.archived().unwrap().len(), 500, "no others");
        uses.forget(&gone).unwrap();
        assert_eq!(uses.archived().unwrap(), []);
        let blocks = uses.handle.begin_read().unwrap().open_table(BLOCKS).unwrap();
        let left: Vec<_> = blocks.iter().unwrap().map(|row| row.unwrap().0.value()).collect();
        assert_eq!(left.len(), 1 + 100 * 3);
        assert_eq!(left[0], (archived(3, 0).activation.to_bytes(), 3));
        assert!(left[1..].iter().all(|(id, _)| *id >= archived(500, 0).activation.to_bytes()));
    }
}
