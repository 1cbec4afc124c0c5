//! Uses in their file: numbered, chained, kept over a restart, read in pages, and told when they were changed.

mod closing;
mod outage;

use redb::ReadableTable as _;

use super::*;
use crate::store::Handle;
use crate::store::tests::disk::{Disk, Trouble};

fn used(activation: ActivationId, number: i64) -> Use<'static> {
    Use {
        activation,
        principal: Principal::new("https://id.test", "ada"),
        at: Timestamp::from_seconds(number),
        request_id: number.to_string().into(),
        method: "GET".into(),
        host: "shop.test".into(),
        path: format!("/vault/{}", "\u{e9}".repeat(usize::try_from(number.rem_euclid(7)).expect("small"))).into(),
        route: "vault".into(),
    }
}

fn id(number: u8) -> ActivationId {
    ActivationId::from_random([number; 16])
}

/// What waits for its seal.
fn unsealed(reader: &UseReader) -> Vec<(ActivationId, Stretch)> {
    let unsealed = reader.snapshot().and_then(|snapshot| snapshot.unsealed()).expect("activations");
    reader.stretches(&unsealed).expect("stretches")
}

/// Returns once all that was taken is written.
async fn written(recorder: &UseRecorder) {
    recorder.closing().close(Vec::new(), Timestamp::MIN).await.expect("written");
}

#[tokio::test]
async fn uses_are_numbered_chained_and_kept_over_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("uses.redb");
    let (first, second) = (id(1), id(2));
    let mut digests = Vec::new();
    for round in 0..2 {
        let (recorder, reader, running) = start(&path, GATHERING, &Metrics::default()).expect("a recorder");
        for number in 0..3 {
            recorder.record(&used(first, round * 3 + number)).await.expect("recorded");
        }
        recorder.record(&used(second, round)).await.expect("recorded");
        drop(recorder);
        running.join();
        let count = |id| reader.of(id, 0, 100).expect("uses").len();
        let rounds = usize::try_from(round + 1).expect("small");
        assert_eq!((count(first), count(second)), (rounds * 3, rounds));
        let (_, last) = reader.of(first, 0, 100).expect("uses").pop().expect("a last use");
        assert_eq!(last, used(first, round * 3 + 2), "oldest first, and as it was");
        let stretches = unsealed(&reader);
        for (id, stretch) in &stretches {
            assert_eq!(reader.recount(*id).expect("intact").as_ref(), Some(stretch));
        }
        digests.push(stretches);
    }
    assert_ne!(digests[0], digests[1], "every use moves the digest");

    let (recorder, reader, running) = start(&path, GATHERING, &Metrics::default()).expect("a recorder");
    let stretch = |id| unsealed(&reader).into_iter().find(|(found, _)| *found == id);
    let (_, last) = stretch(first).expect("uses of the first");
    assert_eq!(last.count, 6);
    reader.sealed(first, &Stretch { count: last.count - 1, ..last.clone() }).expect("looked at");
    assert!(stretch(first).is_some(), "a seal over less forgets nothing");
    reader.sealed(first, &last).expect("sealed");
    assert!(stretch(first).is_none());
    recorder.record(&used(first, 99)).await.expect("recorded");
    drop(recorder);
    running.join();
    let numbers: Vec<_> = reader.of(first, 0, 100).expect("uses").into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7], "a late use overwrites nothing");
}

#[tokio::test]
async fn pages_go_over_blocks_without_gap_or_repetition() {
    const COUNT: i64 = 700;
    let folder = tempfile::tempdir().expect("a folder");
    let (recorder, reader, running) =
        start(&folder.path().join("uses.redb"), GATHERING, &Metrics::default()).expect("a recorder");
    for number in 0..COUNT {
        let taken = recorder.try_record(&used(id(1), number)).expect("recorded");
        assert_eq!(taken, Taken::Yes);
        recorder.record(&used(id(2), -number)).await.expect("recorded");
    }
    drop(recorder);
    running.join();
    let (mut after, mut all) = (0, Vec::new());
    loop {
        let page = reader.of(id(1), after, 90).expect("a page");
        let Some((last, _)) = page.last() else { break };
        after = *last;
        assert!(page.len() == 90 || after == COUNT.unsigned_abs(), "{after}: whole pages");
        all.extend(page);
    }
    let expected: Vec<_> = (0..COUNT).map(|number| (number.unsigned_abs() + 1, used(id(1), number))).collect();
    assert_eq!(all, expected);
}

#[tokio::test]
async fn what_was_changed_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("uses.redb");
    // three blocks, since each recorder writes what it was given
    for round in 0..3 {
        let (recorder, _, running) = start(&path, GATHERING, &Metrics::default()).expect("a recorder");
        recorder.record(&used(id(1), round * 2)).await.expect("recorded");
        recorder.record(&used(id(1), round * 2 + 1)).await.expect("recorded");
        drop(recorder);
        running.join();
    }
    let blocks = || -> Vec<(u64, Vec<u8>)> {
        let file = UseFile::open(Place::File(path.clone())).expect("opened");
        let table = file.handle.begin_read().expect("read").open_table(BLOCKS).expect("a table");
        let rows = table.iter().expect("rows").map(|row| row.expect("a row"));
        rows.map(|(key, value)| (key.value().1, value.value().to_owned())).collect()
    };
    let whole = blocks();
    assert_eq!(whole.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [2, 4, 6]);
    let with = |rows: &[(u64, Vec<u8>)]| {
        let file = UseFile::open(Place::File(path.clone())).expect("opened");
        let transaction = file.handle.write().expect("a transaction");
        {
            let mut table = transaction.open_table(BLOCKS).expect("a table");
            table.retain(|_, _| false).expect("emptied");
            for (number, bytes) in rows {
                table.insert((id(1).to_bytes(), *number), bytes.as_slice()).expect("inserted");
            }
        }
        transaction.commit().expect("committed");
        UseReader::new(file.handle).recount(id(1))
    };
    assert_eq!(with(&whole).expect("intact").map(|stretch| stretch.count), Some(6));
    for (block, byte) in [(0, 5), (0, 60), (1, 40), (2, 100)] {
        let mut flipped = whole.clone();
        flipped[block].1[byte] ^= 1;
        assert!(with(&flipped).is_err(), "byte {byte} of block {block}");
    }
    assert!(with(&whole[1..]).is_err(), "the first is missing");
    assert!(with(&[whole[0].clone(), whole[2].clone()]).is_err(), "one is missing in between");
    let swapped = [(2, whole[1].1.clone()), (4, whole[0].1.clone()), whole[2].clone()];
    assert!(with(&swapped).is_err(), "two changed places");
}

#[tokio::test]
async fn a_full_batch_and_the_end_do_not_wait_for_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let (recorder, reader, running) =
        start(&folder.path().join("uses.redb"), GATHERING, &Metrics::default()).expect("a recorder");
    let length = i64::try_from(batches::BATCH_LENGTH).expect("small");
    for number in 0..length * 2 {
        recorder.record(&used(id(1), number)).await.expect("recorded");
    }
    written(&recorder).await;
    recorder.record(&used(id(1), length * 2)).await.expect("recorded");
    let copy = recorder.clone();
    drop(recorder);
    drop(copy);
    running.join();
    assert_eq!(
        reader.recount(id(1)).expect("intact").map(|stretch| stretch.count),
        Some(length.unsigned_abs() * 2 + 1)
    );
}

#[test]
fn a_file_that_nobody_can_make_sense_of_is_an_error_and_never_a_panic() {
    type Look = fn(&UseReader, &UseSnapshot) -> Result<(), StoreError>;
    const LOOKS: [(&str, Look); 14] = [
        ("of", |reader, _| reader.of(id(1), 0, 10).map(drop)),
        ("is_empty", |reader, _| reader.is_empty().map(drop)),
        ("recount", |reader, _| reader.recount(id(1)).map(drop)),
        ("stretches", |reader, _| reader.stretches(&[id(1)]).map(drop)),
        ("sealed", |reader, _| reader.sealed(id(1), &Stretch { count: 1, digest: String::new() })),
        ("archived", |reader, _| reader.archived().map(drop)),
        ("note_archived", |reader, _| reader.note_archived(&[archived()])),
        ("forget", |reader, _| reader.forget(&[archived()])),
        ("snapshot", |reader, _| reader.snapshot()?.unsealed().map(drop)),
        ("unsealed", |_, all| all.unsealed().map(drop)),
        ("each_row", |_, all| all.each_row(|_| Ok(()))),
        ("each_row_of", |_, all| all.each_row_of(&[id(1)], |_| Ok(()))),
        ("holds", |_, all| all.holds(&row()).map(drop)),
        ("each_row, which ends it", |_, all| all.each_row(|_| Err(damaged()))),
    ];
    let disk = Disk::new();
    let (recorder, reader, running) = start_on(&disk, GATHERING, &Metrics::default());
    for number in 0..100 {
        for activation in 0..40 {
            assert_eq!(recorder.try_record(&used(id(activation), number)), Ok(Taken::Yes));
        }
    }
    drop(recorder);
    running.join();
    reader.note_archived(&[archived()]).expect("noted");
    drop(reader);
    for (look, does) in LOOKS {
        // what was read is read again
        disk.suffer(Trouble::None);
        let database = redb::Builder::new().set_cache_size(0).create_with_backend(disk.clone()).expect("opened");
        let uses = UseReader::new(Arc::new(Handle::new(database)));
        let all = uses.snapshot().expect("a moment");
        disk.suffer(Trouble::Mad);
        assert!(does(&uses, &all).is_err(), "{look}");
    }
}

fn archived() -> ArchivedUses {
    ArchivedUses { activation: id(1), last: 1, archive: crate::journal::Digest([7; 32]) }
}

fn row() -> crate::journal::backup::Row {
    let key = [id(1).to_bytes().as_slice(), &1_u64.to_be_bytes()].concat();
    crate::journal::backup::Row { table: carry::USES_NAME.to_owned(), key, value: Vec::new() }
}

/// What is recorded until the recorder ends is one batch, however long it takes.
const GATHERING: Settings = Settings { gather_for: Duration::from_hours(1) };
/// Nothing waits for others.
const AT_ONCE: Settings = Settings { gather_for: Duration::ZERO };
