//! Tables from the journal, and the proof that they are nothing else.

use std::sync::Arc;

use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use crate::domain::event::RecordRun;
use crate::journal::record::Digest;
use crate::journal::{Cut, PublicKey, Tip};
use crate::store::fold::Folded;
use crate::store::open::{Trust, make_tables};
use crate::store::refold::{Refold, Taken};
use crate::store::scratch::Scratch;
use crate::store::seal::Seals;
use crate::store::tables::{Rows, Source};
use crate::store::{Reader, StoreError, carried, rows};

/// A table of rows and a digest over all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableDigest {
    /// The table's name.
    pub table: &'static str,
    /// SHA-256 over its keys and values.
    pub digest: [u8; 32],
}

impl Reader {
    /// Digests over all tables, to compare them with those of another store of the same journal.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn table_digests(&self) -> Result<Vec<TableDigest>, StoreError> {
        self.read(digests)
    }

    /// Folds the whole journal beside the store and compares: every row is what the events made it, and no row is missing.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names the first bad record, or the table that is not what it should be.
    pub fn check_rows(&self) -> Result<(), StoreError> {
        let Trust { key, chain, .. } = &self.shared.trust;
        let seals = Seals::new(key, &chain.realm);
        self.read(|source| compare(source, chain.root, seals, &self.shared.scratch, |_| {}).map(|_| ()))
    }
}

/// A journal whose rows are what it says.
pub(super) struct Compared {
    pub(super) tip: Tip,
    pub(super) cut: Option<Cut>,
    pub(super) folded: Folded,
    /// The key that signs the next record.
    pub(super) signs: PublicKey,
    /// Records whose note is missing although none orders that it be erased.
    pub(super) missing: Vec<RecordRun>,
}

/// Verifies the journal in `source`, folds it in a database of its own, and compares the rows in `source` with what that
/// gives. `taken` is told of each record. What it takes of memory does not grow with the journal.
pub(super) fn compare(
    source: &ReadTransaction,
    root: PublicKey,
    seals: Seals,
    scratch: &Scratch,
    mut taken: impl FnMut(Taken<'_>),
) -> Result<Compared, StoreError> {
    let scratch = scratch.database()?;
    let transaction = scratch.begin_write()?;
    make_tables(&transaction)?;
    carried::replace(&transaction, &carried::of_store(source)?)?;
    let mut refold = Refold::begin(&transaction, root, Folded::new(Arc::new(seals)));
    refold.take_all(source, |record| {
        taken(record);
        Ok(())
    })?;
    let (cut, tip) = (refold.ended()?.cloned(), *refold.tip());
    is_head(source, &tip)?;
    let (signs, missing) = (refold.verifier().in_force(), refold.verifier().absent().missing());
    let folded = refold.into_folded();
    let differs = digests(source)?.into_iter().zip(digests(&transaction)?).find(|(own, fresh)| own != fresh);
    transaction.abort()?;
    match differs {
        Some((table, _)) => Err(StoreError::Damaged(format!("table `{}` is not what the journal says", table.table))),
        None => Ok(Compared { tip, cut, folded, signs, missing }),
    }
}

/// Whether the journal of `source`, which ends at `tip`, ends where its head is: a cut tail must not pass unseen.
pub(super) fn is_head(source: &impl Source, tip: &Tip) -> Result<(), StoreError> {
    if *tip == rows::head(source)? {
        Ok(())
    } else {
        Err(StoreError::Damaged("the head is not that of the last record".to_owned()))
    }
}

/// Verifies the journal in `transaction` from its beginning and folds it into empty tables, whose rows it seals.
pub(super) fn refold(
    transaction: &WriteTransaction,
    root: PublicKey,
    seals: Seals,
) -> Result<(Tip, Folded), StoreError> {
    let mut refold = Refold::begin(transaction, root, Folded::new(Arc::new(seals)));
    refold.take_all(transaction, |_| Ok(()))?;
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
