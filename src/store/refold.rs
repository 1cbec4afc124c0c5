//! A journal folded from its beginning: each record is verified and folded, and where records were cut, what they had come to
//! takes their place.

use redb::{ReadableTable, WriteTransaction};

use crate::domain::standing::Position;
use crate::journal::verify::Verifier;
use crate::journal::{Carried, Cut, Note, PublicKey, Record, Sealed, Tip};
use crate::store::fold::{Folded, find_again, fold};
use crate::store::tables::{JOURNAL, Source};
use crate::store::{StoreError, carried, rows};

/// Takes records in their order, and folds them into empty tables. What is carried must be there before.
pub(super) struct Refold<'t> {
    transaction: &'t WriteTransaction,
    verifier: Verifier,
    folded: Folded,
    /// All records so far, as long as they are about the journal itself.
    leading: Option<Vec<(Position, Record)>>,
}

/// A record that was taken.
pub(super) struct Taken<'r> {
    pub(super) sequence: u64,
    /// Its bytes, as the journal keeps them.
    pub(super) row: &'r [u8],
    pub(super) note: Option<&'r Note>,
    pub(super) record: &'r Record,
}

impl<'t> Refold<'t> {
    pub(super) fn begin(transaction: &'t WriteTransaction, root: PublicKey, folded: Folded) -> Self {
        Self { transaction, verifier: Verifier::new(root), folded, leading: Some(Vec::new()) }
    }

    /// Takes every record of `source`, which may be the very transaction it is folded in, and hands it to `taken`.
    pub(super) fn take_all(
        &mut self,
        source: &impl Source,
        mut taken: impl FnMut(Taken<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for entry in source.table(JOURNAL)?.iter()? {
            let (sequence, row) = entry?;
            let (sequence, row) = (sequence.value(), row.value());
            let note = rows::note(source, Position(sequence))?;
            let record = self.take(sequence, &rows::sealed_from(row)?, note.as_ref())?;
            taken(Taken { sequence, row, note: note.as_ref(), record: &record })?;
        }
        Ok(())
    }

    /// Takes the next record.
    pub(super) fn take(&mut self, sequence: u64, sealed: &Sealed, note: Option<&Note>) -> Result<Record, StoreError> {
        let damaged = |fault: crate::journal::verify::Fault| StoreError::Damaged(fault.to_string());
        let (position, gone) = (Position(sequence), self.verifier.gone().len());
        let record = self.verifier.check(sequence, sealed, note).map_err(damaged)?;
        if self.verifier.gone().len() > gone {
            carried::load(self.transaction, &mut self.folded)?;
            for (position, record) in self.leading.iter().flatten() {
                find_again(self.transaction, *position, record)?;
            }
        }
        fold(self.transaction, position, &record, &mut self.folded).map_err(|error| match error {
            StoreError::Stray(what) if !self.verifier.gone().is_empty() => StoreError::Damaged(format!(
                "records are gone before record {sequence}, and it does not follow what is carried: {what}"
            )),
            other => other,
        })?;
        self.folded.touched.clear();
        match &mut self.leading {
            Some(leading) if record.event.is_of_journal() => leading.push((position, record.clone())),
            leading => *leading = None,
        }
        Ok(record)
    }

    /// When all records were taken: what is gone was cut, and what is carried is what it had come to.
    pub(super) fn ended(&self) -> Result<Option<&Cut>, StoreError> {
        let cut = self.verifier.ended().map_err(|fault| StoreError::Damaged(fault.to_string()))?;
        self.is_carried(cut)?;
        Ok(cut)
    }

    /// Whether the rows that are carried are those that `cut` names; none are without a cut.
    pub(super) fn is_carried(&self, cut: Option<&Cut>) -> Result<(), StoreError> {
        let rows = carried::all(self.transaction)?;
        let as_signed = cut.map_or(rows.is_empty(), |cut| rows.iter().collect::<Carried>().digest() == cut.carried);
        if as_signed {
            Ok(())
        } else {
            Err(StoreError::Damaged("the rows carried from before the cut are not those that were signed".to_owned()))
        }
    }

    pub(super) const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    pub(super) const fn tip(&self) -> &Tip {
        self.verifier.tip()
    }

    pub(super) fn into_folded(self) -> Folded {
        self.folded
    }
}
