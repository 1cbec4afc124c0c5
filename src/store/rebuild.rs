//! Tables from the journal, and the proof that they are nothing else.

use std::path::Path;
use std::sync::Arc;

use redb::{Builder, ReadTransaction, ReadableTable, WriteTransaction};

use crate::domain::standing::Position;
use crate::journal::record::Digest;
use crate::journal::{PublicKey, Tip};
use crate::store::append::{write_head, write_seal};
use crate::store::fold::Folded;
use crate::store::handle::begin_write;
use crate::store::key::{folder_of, sync_folder};
use crate::store::open::{Chain, Trust, make_tables, write_meta};
use crate::store::refold::Refold;
use crate::store::seal::Seals;
use crate::store::tables::{CURSORS, JOURNAL, NOTES, Rows, Source};
use crate::store::{Appender, Reader, StoreError, carried, rows};

/// A table of rows and a digest over all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableDigest {
    /// The table's name.
    pub table: &'static str,
    /// SHA-256 over its keys and values.
    pub digest: [u8; 32],
}

impl Appender {
    /// Verifies the whole journal and folds all tables from it anew, in place, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names the first bad record; then nothing has changed.
    pub fn rebuild(&mut self) -> Result<(), StoreError> {
        let reader = self.reader();
        let transaction = reader.shared.handle.write()?;
        for table in Rows::ALL {
            transaction.delete_table(table.definition())?;
        }
        make_tables(&transaction)?;
        let Trust { key, chain, .. } = &reader.shared.trust;
        let (tip, folded) = refold(&transaction, chain.root, Seals::new(key, &chain.realm))?;
        write_head(&transaction, &tip)?;
        write_seal(&transaction, &tip, &folded)?;
        transaction.commit()?;
        let sums = reader.read(|source| reader.shared.seals.sums_of(source))?;
        reader.shared.seals.replace(sums);
        Ok(())
    }
}

impl Reader {
    /// Writes a fresh store at `path`, which must not exist: the journal, verified, its notes, and all tables folded anew.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names the first bad record.
    pub fn rebuild_into(&self, path: &Path) -> Result<(), StoreError> {
        let failed = |error| StoreError::file(path, error);
        let folder = folder_of(path)?;
        let file = tempfile::Builder::new().prefix(".hallpass-new").tempfile_in(folder).map_err(failed)?;
        let database = Builder::new().create(file.path())?;
        let transaction = begin_write(&database)?;
        self.copy_into(&transaction)?;
        transaction.commit()?;
        database.close()?;
        file.persist_noclobber(path).map_err(|error| failed(error.error))?;
        sync_folder(folder)
    }

    /// Digests over all tables, to compare them with those of another store of the same journal.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn table_digests(&self) -> Result<Vec<TableDigest>, StoreError> {
        self.read(digests)
    }

    /// Folds the whole journal in memory and compares: every row is what the events made it, and no row is missing.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names the first bad record, or the table that is not what it should be.
    pub fn check_rows(&self) -> Result<(), StoreError> {
        let Trust { key, chain, .. } = &self.shared.trust;
        self.read(|source| compare(source, chain, Seals::new(key, &chain.realm)).map(|_| ()))
    }

    /// Copies journal, notes and cursors, and folds the rest.
    fn copy_into(&self, target: &WriteTransaction) -> Result<(), StoreError> {
        let Trust { key, chain, .. } = &self.shared.trust;
        self.read(|source| copy(source, target, chain, Seals::new(key, &chain.realm)).map(|_| ()))
    }
}

/// Folds the journal in `source` in memory and compares its rows with what that gives.
pub(super) fn compare(source: &ReadTransaction, chain: &Chain, seals: Seals) -> Result<Folded, StoreError> {
    let database = Builder::new().create_with_backend(redb::backends::InMemoryBackend::new())?;
    let transaction = begin_write(&database)?;
    let folded = copy(source, &transaction, chain, seals)?;
    match digests(source)?.iter().zip(&digests(&transaction)?).find(|(own, fresh)| own != fresh) {
        Some((table, _)) => Err(StoreError::Damaged(format!("table `{}` is not what the journal says", table.table))),
        None => Ok(folded),
    }
}

fn copy(
    source: &ReadTransaction,
    target: &WriteTransaction,
    chain: &Chain,
    seals: Seals,
) -> Result<Folded, StoreError> {
    make_tables(target)?;
    write_meta(target, &chain.realm, &chain.root.to_string())?;
    for definition in [JOURNAL, NOTES] {
        let mut copy = target.open_table(definition)?;
        for entry in source.open_table(definition)?.iter()? {
            let (sequence, row) = entry?;
            copy.insert(sequence.value(), row.value())?;
        }
    }
    carried::replace(target, &carried::all(source)?)?;
    let mut cursors = target.open_table(CURSORS)?;
    for entry in source.open_table(CURSORS)?.iter()? {
        let (name, position) = entry?;
        cursors.insert(name.value(), position.value())?;
    }
    let (tip, folded) = refold(target, chain.root, seals)?;
    if tip != rows::head(source)? {
        return Err(StoreError::Damaged("the head is not that of the last record".to_owned()));
    }
    write_head(target, &tip)?;
    write_seal(target, &tip, &folded)?;
    Ok(folded)
}

/// Verifies the journal in `transaction` from its beginning and folds it into empty tables, whose rows it seals.
pub(super) fn refold(
    transaction: &WriteTransaction,
    root: PublicKey,
    seals: Seals,
) -> Result<(Tip, Folded), StoreError> {
    let mut refold = Refold::begin(transaction, root, Folded::new(Arc::new(seals)));
    let journal = transaction.open_table(JOURNAL)?;
    for entry in journal.iter()? {
        let (sequence, row) = entry?;
        let note = rows::note(transaction, Position(sequence.value()))?;
        refold.take(sequence.value(), &rows::sealed_from(row.value())?, note.as_ref())?;
    }
    refold.ended()?;
    Ok((*refold.tip(), refold.into_folded()))
}

/// Digests over all tables of rows.
pub(super) fn digests(source: &impl Source) -> Result<Vec<TableDigest>, StoreError> {
    Rows::ALL
        .into_iter()
        .map(|rows| {
            let table = source.table(rows.definition())?;
            let mut running = Digest::of(&[]);
            for entry in table.iter()? {
                let (key, value) = entry?;
                let length = u64::try_from(key.value().len()).unwrap_or(u64::MAX).to_be_bytes();
                running = Digest::of(&[&running.0, &length, key.value(), value.value()]);
            }
            Ok(TableDigest { table: rows.name(), digest: running.0 })
        })
        .collect()
}
