//! All uses carried away and brought back, row by row as they are kept.

use std::path::Path;

use redb::{Database, ReadTransaction, ReadableDatabase as _, ReadableTable, TableDefinition, TableError};

use crate::domain::id::ActivationId;
use crate::journal::backup::Row;
use crate::store::{Fresh, StoreError, guarded, stopped};
use crate::uses::{BLOCKS, UNSEALED, UseReader};

/// All uses at one moment. While it lives the pages it needs are not used again: it should not live for long.
pub struct UseSnapshot {
    // dropped before the database it reads
    source: ReadTransaction,
    /// The database, when nobody else keeps it open.
    _own: Option<Database>,
}

impl UseReader {
    /// All uses as they are now.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn snapshot(&self) -> Result<UseSnapshot, StoreError> {
        Ok(UseSnapshot { source: self.handle.begin_read()?, _own: None })
    }
}

impl UseSnapshot {
    /// Those in the file at `path`, which no process may have open and which stays as it is.
    ///
    /// # Errors
    /// [`StoreError::Locked`] while a process runs on it.
    pub fn of_file(path: &Path) -> Result<Self, StoreError> {
        Self::of(stopped::read_only(path)?)
    }

    /// Of a database that nobody else has open.
    fn of(database: Database) -> Result<Self, StoreError> {
        Ok(Self { source: guarded(|| Ok(database.begin_read()?))?, _own: Some(database) })
    }

    /// Hands every row to `each`; its first error ends it.
    ///
    /// # Errors
    /// What `each` says; [`StoreError`] when the file fails.
    pub fn each_row<E: From<StoreError>>(&self, mut each: impl FnMut(Row) -> Result<(), E>) -> Result<(), E> {
        self.hand_over(&mut each, |take| {
            if let Some(uses) = self.table(BLOCKS)? {
                for row in uses.iter()? {
                    let (key, value) = row?;
                    if take(block_row(key.value(), value.value())) == Handed::Last {
                        return Ok(());
                    }
                }
            }
            if let Some(unsealed) = self.table(UNSEALED)? {
                for row in unsealed.iter()? {
                    let key = row?.0.value().to_vec();
                    if take(Row { table: UNSEALED_NAME.to_owned(), key, value: Vec::new() }) == Handed::Last {
                        return Ok(());
                    }
                }
            }
            Ok(())
        })
    }

    /// Hands every row of these activations to `each`; its first error ends it.
    ///
    /// # Errors
    /// What `each` says; [`StoreError`] when the file fails.
    pub fn each_row_of<E: From<StoreError>>(
        &self,
        activations: &[ActivationId],
        mut each: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<(), E> {
        self.hand_over(&mut each, |take| {
            let Some(uses) = self.table(BLOCKS)? else { return Ok(()) };
            for activation in activations {
                let id = activation.to_bytes();
                for row in uses.range((id, 0)..=(id, u64::MAX))? {
                    let (key, value) = row?;
                    if take(block_row(key.value(), value.value())) == Handed::Last {
                        return Ok(());
                    }
                }
            }
            Ok(())
        })
    }

    /// Whether this row is here, as it is.
    ///
    /// # Errors
    /// [`StoreError`] when the file fails.
    pub fn holds(&self, row: &Row) -> Result<bool, StoreError> {
        guarded(|| {
            let Some(key) = block_key(&row.key).filter(|_| row.table == USES_NAME) else { return Ok(false) };
            let Some(uses) = self.table(BLOCKS)? else { return Ok(false) };
            Ok(uses.get(key)?.is_some_and(|block| block.value() == row.value))
        })
    }

    /// Activations that were used and whose uses are not sealed yet.
    ///
    /// # Errors
    /// [`StoreError`] when the file fails.
    pub fn unsealed(&self) -> Result<Vec<ActivationId>, StoreError> {
        guarded(|| {
            let Some(unsealed) = self.table(UNSEALED)? else { return Ok(Vec::new()) };
            unsealed.iter()?.map(|row| Ok(ActivationId::from_random(row?.0.value()))).collect()
        })
    }

    /// Runs `read`, which stops after the row that `each` had an error for.
    fn hand_over<E: From<StoreError>>(
        &self,
        each: &mut impl FnMut(Row) -> Result<(), E>,
        read: impl FnOnce(&mut dyn FnMut(Row) -> Handed) -> Result<(), StoreError>,
    ) -> Result<(), E> {
        let mut ended = Ok(());
        guarded(|| {
            read(&mut |row| {
                ended = each(row);
                if ended.is_ok() { Handed::More } else { Handed::Last }
            })
        })?;
        ended
    }

    /// A table; none in a file that was never written.
    fn table<K: redb::Key + 'static, V: redb::Value + 'static>(
        &self,
        definition: TableDefinition<'_, K, V>,
    ) -> Result<Option<redb::ReadOnlyTable<K, V>>, StoreError> {
        match self.source.open_table(definition) {
            Ok(table) => Ok(Some(table)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn block_row((id, number): ([u8; 16], u64), block: &[u8]) -> Row {
    let key = [id.as_slice(), &number.to_be_bytes()].concat();
    Row { table: USES_NAME.to_owned(), key, value: block.to_vec() }
}

/// Writes the rows that `rows` hands over into a fresh file for `path`; it has its name once it is placed.
///
/// # Errors
/// What `rows` says; [`StoreError::Damaged`] for a row that is none of uses.
pub fn bring_back<E: From<StoreError>>(
    path: &Path,
    rows: impl FnOnce(&mut dyn FnMut(&Row) -> Result<(), StoreError>) -> Result<(), E>,
) -> Result<Fresh, E> {
    let fresh = Fresh::beside(path)?;
    fresh.fill(|transaction| {
        let mut uses = transaction.open_table(BLOCKS).map_err(StoreError::from)?;
        let mut unsealed = transaction.open_table(UNSEALED).map_err(StoreError::from)?;
        rows(&mut |row| {
            match Kept::of(row)? {
                Kept::Block(key) => {
                    uses.insert(key, row.value.as_slice())?;
                }
                Kept::Unsealed(id) => {
                    unsealed.insert(id, ())?;
                }
            }
            Ok(())
        })
    })?;
    Ok(fresh)
}

/// Whether a file of uses can be made with this row.
///
/// # Errors
/// [`StoreError::Damaged`] for a row that is none of uses.
pub fn is_row(row: &Row) -> Result<(), StoreError> {
    Kept::of(row).map(|_| ())
}

/// Whether further rows are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handed {
    More,
    Last,
}

/// Where a row is kept.
enum Kept {
    Block(([u8; 16], u64)),
    Unsealed([u8; 16]),
}

impl Kept {
    fn of(row: &Row) -> Result<Self, StoreError> {
        let kept = match row.table.as_str() {
            USES_NAME => block_key(&row.key).map(Self::Block),
            UNSEALED_NAME => row.key.as_slice().try_into().ok().map(Self::Unsealed),
            _ => None,
        };
        kept.ok_or_else(|| StoreError::Damaged(format!("a row of `{}` is none of uses", row.table)))
    }
}

/// Copies what the file at `path` holds, and nothing else, into a fresh file, which then takes its place.
///
/// # Errors
/// [`StoreError::Locked`] while a process runs on it; then the file is as it was.
pub fn compact(path: &Path) -> Result<(), StoreError> {
    let all = UseSnapshot::of(stopped::alone(path)?)?;
    bring_back(path, |take| all.each_row(|row| take(&row)))?.replace()
}

/// Activation and number of the last use in a block, as a row's key spells them.
pub(crate) fn block_key(key: &[u8]) -> Option<([u8; 16], u64)> {
    let (id, number) = key.split_first_chunk::<16>()?;
    Some((*id, u64::from_be_bytes(number.try_into().ok()?)))
}

pub(super) const USES_NAME: &str = "use_blocks";
const UNSEALED_NAME: &str = "unsealed_activations";
