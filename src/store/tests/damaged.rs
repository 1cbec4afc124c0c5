//! Damage that came while the store was open: whoever reads a record gets what was sealed, or an error.

use redb::ReadableTable as _;

use super::*;
use crate::store::tables::{JOURNAL, NOTES};

fn written() -> House {
    let mut house = House::new();
    let detail = Detail { justification: Some("because".into()), ..Detail::default() };
    for number in 1..=3 {
        house.commit_by(
            by("root"),
            at(1),
            &[made(number, AssignmentKind::Active, person("ada"), "shop/vault")],
            &detail,
        );
    }
    house
}

type Table<'t> = redb::Table<'t, u64, &'static [u8]>;

fn damage(house: &House, table: redb::TableDefinition<'_, u64, &'static [u8]>, damage: impl FnOnce(&mut Table<'_>)) {
    let transaction = house.reader.shared.handle.write().unwrap();
    damage(&mut transaction.open_table(table).unwrap());
    transaction.commit().unwrap();
}

fn row(table: &Table<'_>, sequence: u64) -> Vec<u8> {
    table.get(sequence).unwrap().unwrap().value().to_vec()
}

/// What is said when all is read, when what concerns `ada` is read, and when this record is.
fn said(house: &House, position: u64) -> [String; 3] {
    let said = |result: Result<(), StoreError>| match result {
        Err(StoreError::Damaged(said)) => said,
        other => panic!("{other:?}"),
    };
    let all = house.reader.records(&RecordFilter::default(), Position(0), 100).map(drop);
    let hers = RecordFilter { principal: Some(person("ada")), ..RecordFilter::default() };
    let hers = house.reader.records(&hers, Position(0), 100).map(drop);
    [said(all), said(hers), said(house.reader.record(Position(position)).map(drop))]
}

fn exported(house: &House) -> Vec<u64> {
    let exported = house.reader.exported(&RecordFilter::default(), Position(0), 100).unwrap();
    exported.iter().map(|record| record.sequence).collect()
}

#[test]
fn a_record_that_is_missing_is_missed() {
    for missing in [2, 4] {
        let house = written();
        damage(&house, JOURNAL, |table| drop(table.remove(missing).unwrap()));
        assert_eq!(said(&house, missing), [(); 3].map(|()| format!("record {missing} is missing")));
        let all = house.reader.exported(&RecordFilter::default(), Position(0), 100);
        assert!(matches!(all, Err(StoreError::Damaged(_))), "an export has no gaps: {all:?}");
    }
}

#[test]
fn a_record_that_says_something_else_is_not_shown_but_exported_to_be_judged() {
    let house = written();
    damage(&house, JOURNAL, |table| {
        let mut row = row(table, 3);
        let at = row.windows(5).position(|bytes| bytes == b"vault").unwrap();
        row[at] = b'w';
        table.insert(3, row.as_slice()).unwrap();
    });
    assert_eq!(said(&house, 3), [(); 3].map(|()| "record 3 is not what was sealed".to_owned()));
    assert_eq!(exported(&house), [1, 2, 3, 4]);
}

#[test]
fn a_record_in_the_place_of_another_is_not_shown() {
    let house = written();
    damage(&house, JOURNAL, |table| {
        let other = row(table, 2);
        table.insert(3, other.as_slice()).unwrap();
    });
    assert_eq!(said(&house, 3), [(); 3].map(|()| "record 3 is not what was sealed".to_owned()));
}

#[test]
fn a_last_record_of_another_history_is_not_shown() {
    let house = written();
    let realm = house.reader.realm().unwrap().0;
    damage(&house, JOURNAL, |table| {
        let last = rows::sealed_from(&row(table, 4)).unwrap();
        let (key, _) = SigningKey::generate().unwrap();
        let other = crate::journal::chain::seal(&key, &realm, 4, [9; 32], last.core);
        table.insert(4, rows::sealed_row(&other).as_slice()).unwrap();
    });
    assert_eq!(said(&house, 4), [(); 3].map(|()| "record 4 is not the one the head names".to_owned()));
}

#[test]
fn the_note_of_another_record_is_not_shown() {
    let house = written();
    damage(&house, NOTES, |table| {
        let other = row(table, 2);
        table.insert(3, other.as_slice()).unwrap();
    });
    assert_eq!(said(&house, 3), [(); 3].map(|()| "record 3 has a note that is not its own".to_owned()));
    assert_eq!(exported(&house), [1, 2, 3, 4]);
}
