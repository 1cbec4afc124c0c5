//! Stories of old records that are cut: archived, verified alone and together, and gone from the store for good.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use hallpass::store::{self, ActivationFilter, Opened, Settings};
use redb::{Database, TableDefinition};

use crate::findings::with_new_end;
use crate::years::{Years, case, month, now, person, settings};

#[test]
fn what_is_cut_verifies_as_an_archive_joins_what_remains_and_is_gone_from_the_store() {
    let years = Years::write();
    let before = fs::read(years.path("journal.redb")).unwrap();
    let dry = years.run(&["audit", "cut", "--dry-run", "--before", "2020-08-15", "--config", "hallpass.toml"]);
    assert_eq!(dry.code, 0, "{dry:?}");
    assert!(dry.out.contains("records   25, from 2 to 26"), "{}", dry.out);
    assert!(dry.out.contains("with them 7 cases and 0 assignments"), "{}", dry.out);
    assert_eq!(fs::read(years.path("journal.redb")).unwrap(), before, "a dry run changes nothing");

    let done = years.cut("2020-08-15", "2020.jsonl");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.out.contains("cut       by record 44") && done.out.contains("anchored  record 44"), "{}", done.out);
    assert_eq!(fs::metadata(years.path("2020.jsonl")).unwrap().permissions().mode() & 0o777, 0o600);
    let of_uses = fs::read_to_string(years.path("2020.jsonl.uses")).unwrap();
    assert!(
        of_uses.lines().count() > 0
            && of_uses.lines().all(|line| line.starts_with("{\"row\":{\"table\":\"use_blocks\""))
    );
    years.export();
    for (files, told) in [
        (&["2020.jsonl"][..], "verified    26 records"),
        (&["journal.redb"], "verified    19 records"),
        (&["rest"], "cut         records 2 to 26, on "),
        (&["2020.jsonl", "journal.redb"], "verified    44 records"),
        (&["2020.jsonl", "rest"], "joined      1 archives"),
    ] {
        let found = years.verify(files);
        assert!(found.code == 0 && found.out.contains(told), "{files:?}: {told} in {found:?}");
        if !files.contains(&"journal.redb") {
            assert_eq!(years.verify_again(files), 0, "{files:?}");
        }
    }
    for file in ["journal.redb", "journal.uses"] {
        years.run(&["store", "compact", "journal.redb"]);
        let bytes = fs::read(years.path(file)).unwrap();
        for word in ["counting in month 3", "/vault/1"] {
            assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{word} is still in {file}");
        }
    }

    // what holds, holds on; what is over is known no more; what is open is as it was
    let Opened { reader, .. } = store::open(&settings(years.folder.path()), now()).unwrap();
    assert!(reader.is_locked(&person("eve")).unwrap());
    assert_eq!(reader.standing(&person("person-1").into()).unwrap().eligible.len(), 1);
    assert!(reader.activation(case(7)).unwrap().is_none() && reader.activation(case(8)).unwrap().is_some());
    assert!(reader.activation(case(99)).unwrap().is_some());
    let all = reader.activations(&ActivationFilter::default(), None, 100).unwrap();
    assert_eq!(all.len(), 6);
    let from = ActivationFilter { from: Some(month(3)), until: Some(month(9)), ..ActivationFilter::default() };
    assert_eq!(reader.activations(&from, None, 100).unwrap().len(), 1);
    drop(reader);

    let again = years.cut("2020-08-15", "again.jsonl");
    assert!(again.code == 0 && again.out.contains("nothing to cut: what lies behind is not older"), "{again:?}");
    let taken = years.cut("2020-12-15", "2020.jsonl");
    assert!(taken.code == 2 && taken.err.contains("nothing is ever overwritten"), "{taken:?}");
}

#[test]
fn cuts_follow_one_another_across_new_keys_and_stop_at_what_is_open() {
    let years = Years::write();
    let rotate = ["key", "rotate", "--yes", "--because", "yearly", "--config", "hallpass.toml"];
    assert_eq!(years.run(&rotate).code, 0);
    assert_eq!(years.cut("2020-04-15", "one").code, 0);
    assert_eq!(years.run(&rotate).code, 0);
    assert_eq!(years.cut("2020-08-15", "two").code, 0);
    let last = years.cut("2022-01-01", "three");
    assert!(last.code == 0 && last.out.contains("began there, and is open"), "{last:?}");
    let none = years.cut("2022-01-01", "four");
    assert!(none.code == 0 && none.out.contains("nothing to cut: act_"), "{none:?}");
    assert!(!years.path("four").exists());
    years.export();
    for files in [
        &["one"][..],
        &["two"],
        &["three"],
        &["rest"],
        &["one", "two"],
        &["two", "three"],
        &["three", "rest"],
        &["two", "three", "rest"],
        &["one", "two", "three", "rest"],
    ] {
        let found = years.verify(files);
        assert_eq!((found.code, years.verify_again(files)), (0, 0), "{files:?}: {found:?}");
    }
    for files in [&["one", "three"][..], &["one", "rest"], &["two", "one"], &["rest", "one"], &["one", "two", "rest"]] {
        let found = years.verify(files);
        assert_eq!((found.code, years.verify_again(files)), (1, 1), "{files:?}: {found:?}");
    }
    assert_eq!(years.run(&rotate).code, 0);
    for command in ["check", "rebuild", "check", "compact", "check"] {
        let done = years.run(&["store", command, "journal.redb"]);
        assert_eq!(done.code, 0, "{command}: {done:?}");
    }
    let backup = ["backup", "--store", "journal.redb", "--to", "backup", "--key", "signing.key"];
    assert_eq!(years.run(&backup).code, 0);
    let restored = years.run(&["restore", "--from", "backup", "--to", "again.redb", "--key", "signing.key"]);
    assert_eq!(restored.code, 0, "{restored:?}");
    let again = Settings { path: years.path("again.redb"), ..settings(years.folder.path()) };
    let digests = |settings: &Settings| store::open(settings, now()).unwrap().reader.table_digests().unwrap();
    assert_eq!(digests(&again), digests(&settings(years.folder.path())));
    for files in [&["backup"][..], &["again.redb"], &["one", "two", "three", "again.redb"], &["two", "three", "backup"]]
    {
        let found = years.verify(files);
        assert_eq!(found.code, 0, "{files:?}: {found:?}");
    }
}

#[test]
fn a_changed_archive_and_changed_rows_are_refused() {
    const CARRIED: TableDefinition<'_, (&str, &[u8]), &[u8]> = TableDefinition::new("carried");
    const JOURNAL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("journal");
    let years = Years::write();
    assert_eq!(years.cut("2020-08-15", "archive").code, 0);
    let sound = fs::read_to_string(years.path("archive")).unwrap();
    let lines: Vec<&str> = sound.split_inclusive('\n').collect();
    let (without_note, _) = lines[4].split_once(",\"note\"").unwrap();
    let without_note = sound.replacen(lines[4], &format!("{without_note}}}\n"), 1);
    years.export();
    for (what, text, alone) in [
        ("a record changed", sound.replacen("person-1", "person-3", 1), 1),
        ("a record removed", [&lines[..4], &lines[5..]].concat().concat(), 1),
        ("its end removed", lines[..20].concat(), 0),
        ("a note removed", without_note, 1),
    ] {
        fs::write(years.path("changed"), text).unwrap();
        for (files, code) in [(&["changed"][..], alone), (&["changed", "rest"], 1)] {
            let found = years.verify(files);
            assert_eq!((found.code, years.verify_again(files)), (code, code), "{what}: {files:?}: {found:?}");
        }
    }
    let rest = fs::read_to_string(years.path("rest")).unwrap();
    let rest: Vec<&str> = rest.split_inclusive('\n').collect();
    fs::write(years.path("rest"), rest[..rest.len() - 1].concat()).unwrap();
    let found = years.verify(&["rest"]);
    assert!(found.code == 1 && found.err.contains("record 2: it is missing; record 27"), "without its cut: {found:?}");
    assert_eq!(years.verify_again(&["rest"]), 1);

    let whole = fs::read(years.path("journal.redb")).unwrap();
    let change = |change: &dyn Fn(&redb::WriteTransaction)| {
        fs::write(years.path("journal.redb"), &whole).unwrap();
        let database = Database::open(years.path("journal.redb")).unwrap();
        let transaction = database.begin_write().unwrap();
        change(&transaction);
        transaction.commit().unwrap();
    };
    change(&|transaction| {
        let mut carried = transaction.open_table(CARRIED).unwrap();
        carried.retain(|(table, _), _| table != "locks").unwrap();
    });
    for command in ["check", "rebuild"] {
        let refused = years.run(&["store", command, "journal.redb"]);
        assert!(refused.code == 1 && refused.err.contains("not those that were signed"), "{command}: {refused:?}");
    }
    let refused = years.run(&["backup", "--store", "journal.redb", "--to", "backup"]);
    assert!(refused.code == 1 && !years.path("backup").exists(), "{refused:?}");
    let found = years.verify(&["journal.redb"]);
    assert!(found.code == 1 && found.err.contains(UNCARRIED), "{found:?}");
    change(&|transaction| {
        transaction.open_table(JOURNAL).unwrap().remove(27).unwrap();
    });
    for command in [&["store", "check", "journal.redb"][..], &["key", "show", "--config", "hallpass.toml"]] {
        let refused = years.run(command);
        assert!(refused.code != 0 && refused.err.contains("damaged"), "{refused:?}");
    }
}

#[test]
fn rows_of_a_backup_that_stand_for_what_was_cut_are_those_that_were_signed() {
    let years = Years::write();
    assert_eq!(years.cut("2020-08-15", "archive").code, 0);
    let backup = ["backup", "--store", "journal.redb", "--to", "backup", "--key", "signing.key"];
    assert_eq!(years.run(&backup).code, 0);
    let sound = lines_of(&years, "backup");
    let [first, second, ..] =
        (1..sound.len()).filter(|at| sound[*at].starts_with("{\"carried\":")).collect::<Vec<_>>()[..]
    else {
        panic!("at least two rows are carried: {sound:?}")
    };
    let verify = |what: &str, changed: &[String]| {
        assert_ne!(changed, sound, "{what}");
        fs::write(years.path("changed"), with_new_end(changed.iter())).unwrap();
        for files in [&["changed"][..], &["archive", "changed"]] {
            let found = years.verify(files);
            assert!(found.code == 1 && found.err.contains(UNCARRIED), "{what}: {files:?}: {found:?}");
        }
    };
    let mut changed = sound.clone();
    changed.swap(first, second);
    verify("two swapped", &changed);
    changed.remove(first);
    verify("one removed", &changed);
    changed.insert(first, sound[first].replace("\"value\":\"01", "\"value\":\"02"));
    verify("one changed", &changed);

    // the same rows where nothing was cut
    let uncut = Years::write();
    assert_eq!(uncut.run(&backup).code, 0);
    let mut lines = lines_of(&uncut, "backup");
    lines.insert(1, sound[first].clone());
    fs::write(uncut.path("changed"), with_new_end(lines.iter())).unwrap();
    let found = uncut.verify(&["changed"]);
    assert!(found.code == 1 && found.err.contains("no record here tells of a cut"), "{found:?}");
}

fn lines_of(years: &Years, file: &str) -> Vec<String> {
    fs::read_to_string(years.path(file)).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn heads_kept_elsewhere_are_held_against_the_archive_when_what_they_name_was_cut() {
    let years = Years::write();
    let old = years.verify(&["journal.redb"]);
    assert_eq!(old.code, 0);
    let line: Vec<String> = {
        years.export();
        fs::read_to_string(years.path("rest")).unwrap().lines().map(str::to_owned).collect()
    };
    let head = |sequence: usize| {
        let record: serde_json::Value = serde_json::from_str(&line[sequence - 1]).unwrap();
        format!("{sequence}:{}", record["hash"].as_str().unwrap())
    };
    assert_eq!(years.cut("2020-08-15", "archive").code, 0);
    years.export();
    let held = |files: &[&str], head: &str| years.verify(&[files, &["--expect-head", head]].concat());
    for (files, sequence, code) in
        [(&["rest"][..], 30, 0), (&["rest"], 10, 1), (&["archive", "rest"], 10, 0), (&["archive"], 10, 0)]
    {
        let found = held(files, &head(sequence));
        assert_eq!(found.code, code, "{files:?} {sequence}: {found:?}");
    }
    let refused = held(&["rest"], &head(10));
    assert!(refused.err.contains("record 10: it was cut"), "{refused:?}");
    let forged = format!("10:{}", "ab".repeat(32));
    assert_eq!(held(&["archive", "rest"], &forged).code, 1);
    // a journal whose anchor is not met loses nothing, and the newest anchor bounds what may go
    let anchors = fs::read_to_string(years.path("anchors")).unwrap();
    fs::write(years.path("anchors"), anchors.replace("\n44\n", "\n43\n")).unwrap();
    let refused = years.cut("2020-12-15", "two");
    assert!(refused.code == 1 && refused.err.contains("in doubt") && !years.path("two").exists(), "{refused:?}");
}

const UNCARRIED: &str = "had come to is not here as record";
