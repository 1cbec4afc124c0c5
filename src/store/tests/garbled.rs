//! Records changed on a disk whose pages stay sound, as whoever can write the file can change them.

use redb::ReadableTable as _;

use super::disk::Disk;
use crate::store::tables::{JOURNAL, Rows, Scope};

/// Previous hash, hash and signature stand before what a record says, and a version before all of them.
const BEFORE_CORE: usize = 1 + 32 + 32 + 64;

/// Lets the record at `sequence` say `core`, and returns what it said. Nobody may have the store open.
pub(crate) fn rewrite(disk: &Disk, sequence: u64, core: &[u8]) -> Vec<u8> {
    let database = redb::Builder::new().create_with_backend(disk.well()).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut table = transaction.open_table(JOURNAL).unwrap();
    let row = table.get(sequence).unwrap().expect("a record").value().to_vec();
    let (sealed, said) = row.split_at(BEFORE_CORE);
    table.insert(sequence, [sealed, core].concat().as_slice()).unwrap();
    drop(table);
    transaction.commit().unwrap();
    said.to_vec()
}

/// Lists the record at `sequence` as one of the type `event`, or no longer. Nobody may have the store open.
pub(crate) fn list(disk: &Disk, sequence: u64, event: &str, listed: bool) {
    let database = redb::Builder::new().create_with_backend(disk.well()).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut table = transaction.open_table(Rows::Records.definition()).unwrap();
    let key = Scope::of_event(event).at(sequence);
    if listed {
        table.insert(key.as_slice(), [].as_slice()).unwrap();
    } else {
        table.remove(key.as_slice()).unwrap();
    }
    drop(table);
    transaction.commit().unwrap();
}
