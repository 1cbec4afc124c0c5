//! What records that were cut had come to: carried on as rows, so that the rest of the journal can still be folded.
//!
//! Decided (2026-11): the rows of cases, assignments, locks and credentials are carried, and no index of them. Whatever a later
//! version looks up otherwise, it makes anew from these. Rejected: to write an event for each of them into the journal again,
//! because a record says what somebody did, and nobody did it then.

use std::collections::BTreeMap;

use redb::{ReadTransaction, ReadableTable, TableError, WriteTransaction};

use crate::domain::activation::Activation;
use crate::domain::assignment::Assignment;
use crate::journal::backup::Row;
use crate::store::StoreError;
use crate::store::fold::{Concerns, Folded, write_activation, write_assignment, write_used};
use crate::store::rows::Placed;
use crate::store::tables::{CARRIED, Rows, Source, from_row};

/// The tables whose rows are carried.
const TABLES: [Rows; 5] = [Rows::Activations, Rows::Assignments, Rows::Credentials, Rows::Idempotency, Rows::Locks];

/// The rows of `source`, as they are to be carried.
pub(super) fn carried_of(source: &impl Source) -> Result<Vec<Row>, StoreError> {
    let mut carried = Vec::new();
    for rows in TABLES {
        for entry in source.table(rows.definition())?.iter()? {
            let (key, value) = entry?;
            carried.push(Row {
                table: rows.name().to_owned(),
                key: key.value().to_vec(),
                value: value.value().to_vec(),
            });
        }
    }
    // as the table sorts them, so that their digest is the same wherever they come from
    carried.sort_unstable_by(|one, other| (&one.table, &one.key).cmp(&(&other.table, &other.key)));
    Ok(carried)
}

/// The rows that are carried.
pub(super) fn all(source: &impl Source) -> Result<Vec<Row>, StoreError> {
    let table = source.table(CARRIED)?;
    table
        .iter()?
        .map(|entry| {
            let (key, value) = entry?;
            let (table, key) = key.value();
            Ok(Row { table: table.to_owned(), key: key.to_vec(), value: value.value().to_vec() })
        })
        .collect()
}

/// The same of a whole store, which may be of an older format that carried none.
pub(super) fn of_store(source: &ReadTransaction) -> Result<Vec<Row>, StoreError> {
    match source.open_table(CARRIED) {
        Ok(_) => all(source),
        Err(TableError::TableDoesNotExist(_)) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// How what is carried changes by a cut: no more is written than that.
#[derive(Debug, Default)]
pub(super) struct Change {
    gone: Vec<(String, Vec<u8>)>,
    come: Vec<Row>,
}

impl Change {
    pub(super) fn between(before: &[Row], after: &[Row]) -> Self {
        let (former, latter): (BTreeMap<_, _>, BTreeMap<_, _>) =
            (before.iter().map(place).collect(), after.iter().map(place).collect());
        // one that comes with another value takes the place of the former
        let gone = former.keys().filter(|place| !latter.contains_key(*place));
        let gone = gone.map(|(table, key)| ((*table).to_owned(), key.to_vec())).collect();
        let come =
            after.iter().filter(|row| former.get(&place(row).0) != Some(&row.value.as_slice())).cloned().collect();
        Self { gone, come }
    }

    pub(super) fn apply(&self, transaction: &WriteTransaction) -> Result<(), StoreError> {
        let mut table = transaction.open_table(CARRIED)?;
        for (name, key) in &self.gone {
            table.remove((name.as_str(), key.as_slice()))?;
        }
        for Row { table: name, key, value } in &self.come {
            table.insert((name.as_str(), key.as_slice()), value.as_slice())?;
        }
        Ok(())
    }
}

fn place(row: &Row) -> ((&str, &[u8]), &[u8]) {
    ((row.table.as_str(), row.key.as_slice()), row.value.as_slice())
}

/// Carries these rows and no others.
pub(super) fn replace(transaction: &WriteTransaction, carried: &[Row]) -> Result<(), StoreError> {
    let mut table = transaction.open_table(CARRIED)?;
    table.retain(|_, _| false)?;
    for Row { table: name, key, value } in carried {
        table.insert((name.as_str(), key.as_slice()), value.as_slice())?;
    }
    Ok(())
}

/// Puts the rows that are carried, and all that follows from them, in the place of what was folded so far.
pub(super) fn load(transaction: &WriteTransaction, folded: &mut Folded) -> Result<(), StoreError> {
    for table in Rows::ALL {
        transaction.delete_table(table.definition())?;
        transaction.open_table(table.definition())?;
    }
    folded.changes.clear();
    for Row { table, key, value } in all(transaction)? {
        let rows = TABLES.into_iter().find(|rows| rows.name() == table);
        match rows {
            Some(Rows::Activations) => {
                let placed: Placed<Activation> = from_row(&value)?;
                write_activation(transaction, None, &placed, &mut Concerns::default(), folded)?;
            }
            Some(Rows::Assignments) => {
                let placed: Placed<Assignment> = from_row(&value)?;
                write_assignment(transaction, None, &placed, &mut Concerns::default(), folded)?;
            }
            Some(Rows::Idempotency) => write_used(transaction, &key, &from_row(&value)?)?,
            Some(rows) => {
                transaction.open_table(rows.definition())?.insert(key.as_slice(), value.as_slice())?;
                folded.changed(rows, &key, &value)?;
            }
            None => return Err(StoreError::Damaged(format!("rows of `{table}` are never carried"))),
        }
    }
    folded.touched.clear();
    Ok(())
}
