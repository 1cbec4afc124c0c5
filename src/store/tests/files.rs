//! Files: first start, modes, strangers, damage.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::*;
use crate::journal::upcast::Unreadable;
use crate::store::tables::Rows;

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const JOURNAL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("journal");
const NOTES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("notes");

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &std::path::Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A closed store with a few records.
fn written() -> (TempDir, Settings) {
    let House { folder, appender, reader } = {
        let mut house = House::new();
        let detail = Detail { justification: Some("because".into()), ..Detail::default() };
        house.commit_by(by("root"), at(1), &[made(1, AssignmentKind::Active, person("ada"), "shop/vault")], &detail);
        house.commit(at(2), &[requested(1, "ada", "shop/vault", vec![], at(50)), started(1, 2, 40)]);
        house
    };
    drop((appender, reader));
    let settings = settings(&folder);
    (folder, settings)
}

fn refused(settings: &Settings) -> StoreError {
    match open(settings, at(100)) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

#[test]
fn a_first_start_makes_everything_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let Opened { reader, .. } = open(&settings, at(7)).unwrap();
    assert_eq!((mode(&settings.path), mode(&settings.key_path)), (0o600, 0o600));
    assert_eq!(mode(settings.path.parent().unwrap()), 0o700);
    let head = reader.head().unwrap();
    assert_eq!((head.position, head.time), (Position(1), at(7)));
    let (realm, public_key) = reader.realm().unwrap();
    assert_eq!(realm.len(), 32);
    let first = reader.record(Position(1)).unwrap().unwrap();
    assert_eq!(first.event, Event::JournalOpened { realm, public_key });
    let left = fs::read_dir(settings.path.parent().unwrap()).unwrap().count();
    assert_eq!(left, 1, "no temporary file stays");
}

#[test]
fn reopening_keeps_everything() {
    let (_folder, settings) = written();
    let Opened { reader, mut appender } = open(&settings, at(100)).unwrap();
    assert_eq!(reader.head().unwrap().position, Position(4));
    assert_eq!(reader.head().unwrap().time, at(2), "opening writes nothing");
    assert_eq!(reader.standing(&person("ada").into()).unwrap().held.len(), 2);
    let entry = reader.record(Position(2)).unwrap().unwrap();
    assert_eq!(entry.detail.unwrap().justification.as_deref(), Some("because"));
    assert_eq!(entry.actor, by("root"));
    let mut transaction = appender.begin().unwrap();
    transaction
        .append(&header(Actor::Hallpass, at(100)), &[ended(1, Ending::Expired, 40)], &Detail::default())
        .unwrap();
    assert_eq!(transaction.commit().unwrap().head.position, Position(5));
    reader.check_rows().unwrap();
}

#[test]
fn a_second_opening_is_refused_while_the_first_lives() {
    let (_folder, settings) = written();
    let first = open(&settings, at(100)).unwrap();
    assert!(matches!(refused(&settings), StoreError::Locked));
    drop(first);
    open(&settings, at(100)).unwrap();
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let (_folder, settings) = written();
    for bad in [0o640, 0o604, 0o660, 0o601] {
        set_mode(&settings.key_path, bad);
        assert!(matches!(refused(&settings), StoreError::KeyPermissions { mode, .. } if mode == bad), "{bad:o}");
    }
    set_mode(&settings.key_path, 0o400);
    open(&settings, at(100)).unwrap();
}

#[test]
fn another_key_no_key_and_a_broken_key_are_refused() {
    let (folder, settings) = written();
    let kept = fs::read(&settings.key_path).unwrap();
    let other = self::settings(&tempfile::tempdir_in(folder.path()).unwrap());
    drop(open(&other, at(1)).unwrap());
    fs::copy(&other.key_path, &settings.key_path).unwrap();
    assert!(matches!(refused(&settings), StoreError::Foreign(_)));
    fs::write(&settings.key_path, b"not a key").unwrap();
    assert!(matches!(refused(&settings), StoreError::Key { .. }));
    fs::remove_file(&settings.key_path).unwrap();
    assert!(matches!(refused(&settings), StoreError::KeyMissing(_)));
    assert!(!settings.key_path.exists(), "no key is made for a store that has one");
    fs::write(&settings.key_path, kept).unwrap();
    set_mode(&settings.key_path, 0o600);
    open(&settings, at(100)).unwrap();
}

#[test]
fn what_is_no_store_is_refused_and_never_replaced() {
    let (_folder, settings) = written();
    for bytes in [&b""[..], b"hello", &[0; 8192]] {
        fs::write(&settings.path, bytes).unwrap();
        assert!(matches!(refused(&settings), StoreError::Damaged(_)));
        assert_eq!(fs::read(&settings.path).unwrap(), bytes);
    }
    fs::remove_file(&settings.path).unwrap();
    drop(Database::create(&settings.path).unwrap());
    assert!(matches!(refused(&settings), StoreError::Damaged(_)), "a database without a journal");
}

/// Changes a row behind the store's back.
fn tamper<'k, K: redb::Key + 'static>(
    settings: &Settings,
    table: TableDefinition<'_, K, &'static [u8]>,
    key: impl std::borrow::Borrow<K::SelfType<'k>>,
    change: impl FnOnce(&mut Vec<u8>),
) {
    let database = Database::open(&settings.path).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut table = transaction.open_table(table).unwrap();
        let mut bytes = table.get(key.borrow()).unwrap().unwrap().value().to_vec();
        change(&mut bytes);
        table.insert(key.borrow(), bytes.as_slice()).unwrap();
    }
    transaction.commit().unwrap();
}

#[test]
fn tampered_rows_are_noticed_at_the_next_start() {
    // version, previous hash, hash, signature, core
    for offset in [1, 40, 70, 140, 200] {
        for sequence in 1..=4_u64 {
            let (_folder, settings) = written();
            tamper(&settings, JOURNAL, sequence, |row| row[offset] ^= 1);
            let error = refused(&settings);
            let named = format!("record {sequence}");
            assert!(
                matches!(&error, StoreError::Damaged(what) if what.contains(&named)),
                "offset {offset} of record {sequence}: {error}"
            );
        }
    }
    let (_folder, settings) = written();
    tamper(&settings, NOTES, 2, |row| *row.last_mut().unwrap() ^= 1);
    assert!(matches!(refused(&settings), StoreError::Damaged(what) if what.contains("record 2")));
    for name in ["head", "applied"] {
        let (_folder, settings) = written();
        tamper(&settings, META, name, |row| row[7] ^= 1);
        assert!(matches!(refused(&settings), StoreError::Damaged(_)), "{name}");
    }
    let (_folder, settings) = written();
    tamper(&settings, META, "realm", |row| row[0] = b'x');
    assert!(matches!(refused(&settings), StoreError::AnotherJournal { .. }));
    let (_folder, settings) = written();
    tamper(&settings, META, "format", |row| row[3] = 9);
    assert!(matches!(refused(&settings), StoreError::UnknownVersion { found: 9, known: 3 }));
}

#[test]
fn tables_of_an_older_format_are_folded_anew_and_a_cut_tail_is_noticed_meanwhile() {
    let (_folder, settings) = written();
    let was = open(&settings, at(100)).unwrap().reader.table_digests().unwrap();
    let empty_a_table = || {
        let database = Database::open(&settings.path).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.delete_table(Rows::Activations.definition()).unwrap();
        transaction.commit().unwrap();
    };
    empty_a_table();
    tamper(&settings, META, "format", |row| row[3] = 1);
    let reader = open(&settings, at(100)).unwrap().reader;
    assert_eq!(reader.table_digests().unwrap(), was);
    drop(reader);

    tamper(&settings, META, "format", |row| row[3] = 1);
    let database = Database::open(&settings.path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(JOURNAL).unwrap().remove(4).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert!(matches!(refused(&settings), StoreError::Damaged(_)));
}

#[test]
fn a_removed_last_record_is_noticed() {
    let (_folder, settings) = written();
    let database = Database::open(&settings.path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(JOURNAL).unwrap().remove(4).unwrap();
    transaction.commit().unwrap();
    assert_eq!(database.begin_read().unwrap().open_table(JOURNAL).unwrap().last().unwrap().unwrap().0.value(), 3);
    drop(database);
    assert!(matches!(refused(&settings), StoreError::Damaged(_)));
}

#[test]
fn damaged_pages_are_an_error_and_never_a_panic_or_another_truth() {
    let (_folder, settings) = written();
    let sound = fs::read(&settings.path).unwrap();
    let used: Vec<usize> = (0..sound.len()).filter(|offset| sound[*offset] != 0).collect();
    let records = |reader: &Reader| -> Vec<Sealed> {
        let filter = RecordFilter::default();
        reader.records(&filter, Position(0), 100).unwrap().into_iter().map(|entry| entry.sealed).collect()
    };
    let before = records(&open(&settings, at(100)).unwrap().reader);
    // the same each time: `tests/crash/damage.rs` looks further
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..60 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut bytes = sound.clone();
        let offset = used[usize::try_from(random).unwrap() % used.len()];
        bytes[offset] ^= 1 << (random >> 60 & 7);
        fs::write(&settings.path, bytes).unwrap();
        if let Ok(opened) = open(&settings, at(100)) {
            assert_eq!(records(&opened.reader), before, "offset {offset}");
        }
    }
}

#[test]
fn an_authentic_record_of_a_later_version_is_refused_and_said_to_be_one() {
    let (_folder, settings) = written();
    let realm = open(&settings, at(100)).unwrap().reader.realm().unwrap().0;
    let key = super::super::key::load(&settings.key_path).unwrap().unwrap();
    tamper(&settings, JOURNAL, 4, |row| {
        let at = row.windows(11).position(|bytes| bytes == b"\"version\":1").unwrap();
        row[at + 10] = b'9';
        // version, previous hash, hash, signature, core
        let previous: [u8; 32] = row[1..33].try_into().unwrap();
        let sealed = crate::journal::chain::seal(&key, &realm, 4, previous, row[129..].to_vec());
        row[33..65].copy_from_slice(&sealed.hash);
        row[65..129].copy_from_slice(&sealed.signature);
    });
    let error = refused(&settings);
    assert!(matches!(error, StoreError::UnknownRecord { sequence: 4, why: Unreadable::Version(9) }), "{error}");
}

#[test]
fn what_is_wrong_with_a_store_is_told_also_while_a_rotation_is_finished() {
    let (folder, settings) = written();
    let (former, next) = (fs::read(&settings.key_path).unwrap(), settings.key_path.with_extension("key.next"));
    let former_pin = Pin::beside(&settings.key_path).unwrap().unwrap();
    rotate_key(&settings, at(100), &Detail::default()).unwrap();
    let store = fs::read(&settings.path).unwrap();
    // cut off behind the record
    let cut_off = || {
        fs::write(&settings.path, &store).unwrap();
        if !next.exists() {
            fs::rename(&settings.key_path, &next).unwrap();
        }
        fs::write(&settings.key_path, &former).unwrap();
        set_mode(&settings.key_path, 0o600);
        former_pin.write(&settings.key_path).unwrap();
    };
    cut_off();
    tamper(&settings, META, "applied", |row| row[7] ^= 1);
    let error = refused(&settings);
    assert!(matches!(&error, StoreError::Damaged(what) if what.contains("rows are folded up to")), "{error}");

    // a next key that is not the one in force says nothing about the one that is
    cut_off();
    let other = self::settings(&tempfile::tempdir_in(folder.path()).unwrap());
    drop(open(&other, at(1)).unwrap());
    let kept = fs::read(&next).unwrap();
    fs::copy(&other.key_path, &next).unwrap();
    let error = refused(&settings);
    assert!(matches!(&error, StoreError::Foreign(why) if why.contains("it is signed with the public key")), "{error}");
    fs::write(&next, kept).unwrap();
    open(&settings, at(101)).unwrap();
}
