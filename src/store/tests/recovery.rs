//! Failing disks, half transactions, remembered keys, and tables made again from the journal.

use std::io;

use redb::{Database, TableDefinition};

use super::disk::{Disk, Trouble};
use super::*;
use crate::domain::event::RecordRun;
use crate::journal::{SigningKey, upcast};

fn on(disk: &Disk) -> (Opened, Vec<u8>) {
    let (key, kept) = SigningKey::generate().unwrap();
    (open_backend(disk.clone(), key, at(0)).unwrap(), kept.to_vec())
}

#[test]
fn after_a_failed_commit_the_store_is_reopened_and_readers_go_on() {
    let disk = Disk::new();
    let (Opened { reader, mut appender }, _) = on(&disk);
    let eligible = made(1, AssignmentKind::Eligible, person("ada"), "shop/vault");
    let mut transaction = appender.begin().unwrap();
    transaction.append(&header(Actor::Hallpass, at(1)), &[eligible], &Detail::default()).unwrap();
    disk.suffer(Trouble::Full);
    let failed = transaction.commit();
    assert!(matches!(failed, Err(StoreError::Full(_))), "{failed:?}");
    assert!(appender.begin().is_err(), "nothing is written before it is reopened");
    assert!(appender.reopen().is_err(), "the disk is still full");
    assert!(matches!(reader.head(), Err(StoreError::Closed)));
    disk.suffer(Trouble::None);
    appender.reopen().unwrap();
    let head = reader.head().unwrap().position;
    assert!(head == Position(1) || head == Position(2), "whole or absent");
    reader.check_rows().unwrap();
    let mut transaction = appender.begin().unwrap();
    let more = made(2, AssignmentKind::Eligible, person("ada"), "shop/till");
    transaction.append(&header(Actor::Hallpass, at(2)), &[more], &Detail::default()).unwrap();
    transaction.commit().unwrap();
    assert_eq!(reader.head().unwrap().position, head.next(), "the old reader sees the new store");
}

#[test]
fn an_older_copy_is_never_what_was_reopened() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { path: folder.path().join("store.redb"), key_path: folder.path().join("key") };
    let commit = |appender: &mut Appender, number| {
        let mut transaction = appender.begin().unwrap();
        let event = made(number, AssignmentKind::Eligible, person("ada"), "shop/vault");
        transaction.append(&header(Actor::Hallpass, at(i64::from(number))), &[event], &Detail::default()).unwrap();
        transaction.commit().unwrap();
    };
    let begun = |number| {
        let Opened { reader, mut appender } = open(&settings, at(0)).unwrap();
        commit(&mut appender, number);
        (reader, appender)
    };
    drop(begun(1));
    let copy = std::fs::read(&settings.path).unwrap();
    let (reader, mut appender) = begun(2);
    appender.reopen().unwrap();
    commit(&mut appender, 3);
    let right = settings.path.with_extension("right");
    std::fs::rename(&settings.path, &right).unwrap();
    // as a volume would that was taken back to an earlier state: shorter, and then with another record in that place
    std::fs::write(&settings.path, &copy).unwrap();
    let refused = appender.reopen().unwrap_err();
    assert!(refused.to_string().contains("record 4, which was written here, is not in it"), "{refused}");
    assert!(matches!(reader.head(), Err(StoreError::Closed)));
    let (_, mut other) = begun(5);
    commit(&mut other, 6);
    commit(&mut other, 7);
    drop(other);
    assert!(appender.reopen().is_err(), "another history");
    std::fs::rename(&right, &settings.path).unwrap();
    appender.reopen().unwrap();
    assert_eq!(reader.head().unwrap().position, Position(4));
}

#[test]
fn reopening_waits_for_no_transaction_it_would_run_over() {
    let (Opened { mut appender, reader }, _) = on(&Disk::new());
    let live = appender.begin().unwrap();
    assert!(appender.reopen().is_err());
    drop(live);
    appender.reopen().unwrap();
    assert_eq!(reader.head().unwrap().position, Position(1));
}

#[test]
fn a_backend_is_opened_again_by_its_own_key_only() {
    let disk = Disk::new();
    let (opened, kept) = on(&disk);
    drop(opened);
    let stranger = SigningKey::generate().unwrap().0;
    assert!(matches!(open_backend(disk.clone(), stranger, at(5)), Err(StoreError::Foreign(_))));
    let own = SigningKey::from_pkcs8(&kept).unwrap();
    assert_eq!(open_backend(disk, own, at(5)).unwrap().reader.head().unwrap().time, at(0));
}

/// What people type is in the pages, and the checksum by which a one-phase commit is found whole could be met by choosing it.
#[test]
fn a_commit_is_confirmed_by_the_disk_before_it_is_the_one_that_counts() {
    let disk = Disk::new();
    let (Opened { mut appender, .. }, _) = on(&disk);
    for number in 1..=3 {
        let before = disk.syncs();
        let mut transaction = appender.begin().unwrap();
        let event = made(number, AssignmentKind::Eligible, person("ada"), "shop/vault");
        transaction.append(&header(Actor::Hallpass, at(1)), &[event], &Detail::default()).unwrap();
        transaction.commit().unwrap();
        assert!(disk.syncs() >= before + 2, "one for what was written, one for making it count");
    }
}

#[test]
fn a_dropped_transaction_leaves_nothing_and_an_empty_one_writes_nothing() {
    let mut house = House::new();
    let before = house.reader.head().unwrap();
    let mut transaction = house.appender.begin().unwrap();
    let eligible = made(1, AssignmentKind::Eligible, person("ada"), "shop/vault");
    transaction.append(&header(Actor::Hallpass, at(1)), &[eligible], &Detail::default()).unwrap();
    assert_eq!(transaction.head().position, Position(2));
    assert!(transaction.assignment(asg(1)).unwrap().is_some(), "its own writes are seen inside");
    assert!(house.reader.assignment(asg(1)).unwrap().is_none(), "and nowhere else");
    drop(transaction);
    assert_eq!(house.reader.head().unwrap(), before);
    let committed = house.appender.begin().unwrap().commit().unwrap();
    assert_eq!((committed.head, committed.touched.len()), (before, 0));
}

#[test]
fn many_commands_share_one_commit_and_time_never_runs_back() {
    let mut house = House::new();
    let mut transaction = house.appender.begin().unwrap();
    for number in 1..=3 {
        let event = made(number, AssignmentKind::Eligible, person("ada"), "shop/vault");
        transaction.append(&header(Actor::Hallpass, at(10)), &[event], &Detail::default()).unwrap();
    }
    assert_eq!(transaction.commit().unwrap().head.position, Position(4));
    let mut transaction = house.appender.begin().unwrap();
    let event = made(9, AssignmentKind::Eligible, person("ada"), "shop/vault");
    let result = transaction.append(&header(Actor::Hallpass, at(9)), &[event], &Detail::default());
    assert!(matches!(result, Err(StoreError::TimeBackwards { last, given }) if last == at(10) && given == at(9)));
    house.rows_equal_fold();
}

#[test]
fn an_idempotency_key_is_remembered_for_a_day_for_its_own_principal() {
    let mut house = House::new();
    let used = |key: &str, digest| Some(Idempotency { key: key.into(), digest: [digest; 32] });
    let mut transaction = house.appender.begin().unwrap();
    let first = Header { idempotency: used("k", 7), ..header(by("ada"), at(10)) };
    let events = [requested(1, "ada", "shop/vault", vec![], at(500)), started(1, 10, 400)];
    transaction.append(&first, &events, &Detail::default()).unwrap();
    transaction.commit().unwrap();

    let day = 86_400;
    let transaction = house.appender.begin().unwrap();
    let remembered = |who: &str, key: &str, now| transaction.remembered(&person(who), key, at(now)).unwrap();
    let expected = remembered("ada", "k", 11).unwrap();
    assert_eq!(expected.records, (Position(2), Position(3)));
    assert!(expected.is_of(&[7; 32]) && !expected.is_of(&[8; 32]));
    assert_eq!(transaction.events(expected.records).unwrap(), events);
    assert_eq!(remembered("bob", "k", 11), None);
    assert_eq!(remembered("ada", "other", 11), None);
    assert_eq!(remembered("ada", "k", 10 + day - 1), Some(expected));
    assert_eq!(remembered("ada", "k", 10 + day), None);
    drop(transaction);
    house.rows_equal_fold();

    // the same key again, the day after, before anything swept it
    let mut transaction = house.appender.begin().unwrap();
    let again = Header { idempotency: used("k", 8), ..header(by("ada"), at(10 + day)) };
    transaction.append(&again, &[ended(1, Ending::Expired, 400)], &Detail::default()).unwrap();
    let remembered = transaction.remembered(&person("ada"), "k", at(20 + day)).unwrap().unwrap();
    assert_eq!(remembered.records, (Position(4), Position(4)));
    assert!(remembered.is_of(&[8; 32]) && !remembered.is_of(&[7; 32]));
    transaction.commit().unwrap();
    house.rows_equal_fold();

    // later records sweep it away
    house.commit(at(20 + 2 * day), &[made(1, AssignmentKind::Eligible, person("ada"), "shop/vault")]);
    let digests = house.reader.table_digests().unwrap();
    let fresh = House::new().reader.table_digests().unwrap();
    for table in ["idempotency", "idempotency_ends"] {
        let of = |digests: &[TableDigest]| digests.iter().find(|found| found.table == table).copied().unwrap();
        assert_eq!(of(&digests), of(&fresh), "{table} is empty again");
    }
    house.rows_equal_fold();
}

#[test]
fn what_was_asked_under_a_key_can_be_compared_until_its_note_is_erased_and_never_guessed() {
    let mut house = House::new();
    let asked = [7; 32];
    let typed = Detail { justification: Some("ill".into()), ..Detail::default() };
    for (number, key) in [(1, "one"), (2, "two")] {
        let idempotency = Some(Idempotency { key: key.into(), digest: asked });
        let header = Header { idempotency, ..header(by("ada"), at(number.into())) };
        let mut transaction = house.appender.begin().unwrap();
        transaction.append(&header, &[requested(number, "ada", "shop/vault", vec![], at(500))], &typed).unwrap();
        transaction.commit().unwrap();
    }
    let written = |reader: &Reader| {
        let all = reader.records(&RecordFilter::default(), Position(1), 10).unwrap();
        let asked = |entry: &Entry| upcast::read(&entry.sealed.core).unwrap().idempotency.unwrap().asked;
        [asked(&all[0]), asked(&all[1])]
    };
    let [one, two] = written(&house.reader);
    assert!(one != two && one != Digest(asked) && two != Digest(asked), "the same was asked, and nothing tells");
    let is_same = |appender: &mut Appender, key: &str, asked: [u8; 32]| {
        let transaction = appender.begin().unwrap();
        transaction.remembered(&person("ada"), key, at(20)).unwrap().unwrap().is_of(&asked)
    };
    assert!(is_same(&mut house.appender, "one", asked) && !is_same(&mut house.appender, "one", [8; 32]));

    // through a new key and a restart
    let House { folder, appender, reader } = house;
    drop((appender, reader));
    rotate_key(&settings(&folder), at(3), &Detail::default()).unwrap();
    let Opened { reader, mut appender } = open(&settings(&folder), at(4)).unwrap();
    assert!(is_same(&mut appender, "one", asked) && is_same(&mut appender, "two", asked));

    let erased =
        Event::NotesErased { principal: person("ada"), records: vec![RecordRun { first: 2, last: 2 }], count: 1 };
    let mut transaction = appender.begin().unwrap();
    transaction.append(&header(by("root"), at(5)), &[erased], &Detail::default()).unwrap();
    transaction.commit().unwrap();
    assert_eq!(written(&reader), [one, two], "records stay as they are");
    assert!(!is_same(&mut appender, "one", asked), "its salt is gone, and with it all that could tell");
    assert!(is_same(&mut appender, "two", asked));
    reader.check_rows().unwrap();
}

#[test]
fn keys_remembered_by_a_version_without_salt_are_still_known() {
    let records = (Position(1), Position(1));
    let note = Note::from_parts([1; 32], b"{}".to_vec());
    for note in [None, Some(note)] {
        let remembered = Remembered { asked: Digest([7; 32]), note, records };
        assert!(remembered.is_of(&[7; 32]) && !remembered.is_of(&[8; 32]));
    }
}

/// A store with something of everything.
fn lively() -> House {
    let mut house = House::new();
    let boss = || stage(&[person("boss").into(), group("leads").into()], 1);
    let detail = Detail { justification: Some("=1+1".into()), ..Detail::default() };
    house.commit(at(1), &[made(1, AssignmentKind::Eligible, person("ada"), "shop/vault")]);
    house.commit_by(by("ada"), at(2), &[requested(1, "ada", "shop/vault", vec![boss()], at(90))], &detail);
    house.commit_by(by("boss"), at(3), &[decided(1, "boss", 0, Choice::Approve), started(1, 3, 50)], &detail);
    house.commit(at(4), &[requested(2, "bob", "shop/vault", vec![boss()], at(90))]);
    house.commit(at(5), &[requested(3, "cid", "shop/vault", vec![], at(90)), ended(3, Ending::Cancelled, 5)]);
    house.commit(at(6), &[Event::PrincipalLocked { principal: person("eve") }]);
    let mut transaction = house.appender.begin().unwrap();
    transaction.move_cursor("notices", Position(3)).unwrap();
    transaction.commit().unwrap();
    house
}

#[test]
fn tables_made_again_are_the_same() {
    let House { folder, appender, reader } = lively();
    let (before, head) = (reader.table_digests().unwrap(), reader.head().unwrap());
    drop((appender, reader));
    let settings = settings(&folder);
    stopped::rebuild(&settings.path, None, &mut |_, _| {}).unwrap();
    let Opened { reader, .. } = open(&settings, at(100)).unwrap();
    assert_eq!(reader.table_digests().unwrap(), before);
    assert_eq!(reader.head().unwrap(), head);
    assert_eq!(reader.cursor("notices").unwrap(), Some(Position(3)));
    let noted = reader.record(Position(3)).unwrap().unwrap();
    assert_eq!(noted.detail.unwrap().justification.as_deref(), Some("=1+1"));
}

#[test]
fn a_changed_row_is_noticed_by_the_fold_and_mended_by_it() {
    let House { folder, appender, reader } = lively();
    drop((appender, reader));
    let settings = settings(&folder);
    {
        let database = Database::open(&settings.path).unwrap();
        let transaction = database.begin_write().unwrap();
        let locks: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("locks");
        transaction.open_table(locks).unwrap().pop_first().unwrap().unwrap();
        transaction.commit().unwrap();
    }
    assert!(matches!(open(&settings, at(100)), Err(StoreError::Damaged(what)) if what.contains("`locks`")));
    stopped::rebuild(&settings.path, None, &mut |_, _| {}).unwrap();
    let Opened { reader, .. } = open(&settings, at(100)).unwrap();
    assert!(reader.is_locked(&person("eve")).unwrap());
    reader.check_rows().unwrap();
}

#[test]
fn errors_speak_outward_without_internals() {
    let error = StoreError::Damaged("page 7".into());
    assert_eq!(error.outward(), "the journal is not available");
    assert!(StoreError::Full(io::ErrorKind::StorageFull.into()).outward().contains("room"));
}
