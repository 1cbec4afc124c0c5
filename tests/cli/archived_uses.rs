//! Stories of what lies beside an archive: the requests made under the cases in it, which its records seal.

use std::fs;

use crate::years::Years;

/// Two archives, each with uses beside it, and what remained.
fn archived() -> Years {
    let years = Years::write_used(&[1, 2, 6]);
    assert_eq!(years.cut("2020-04-15", "one").code, 0);
    assert_eq!(years.cut("2020-08-15", "two").code, 0);
    years.export();
    years
}

fn lines(years: &Years, file: &str) -> Vec<String> {
    fs::read_to_string(years.path(file)).unwrap().split_inclusive('\n').map(str::to_owned).collect()
}

#[test]
fn what_lies_beside_an_archive_is_what_its_records_seal() {
    let years = archived();
    assert_eq!(lines(&years, "one.uses").len(), 3, "two blocks of one case, one of another");
    for (files, told) in [
        (&["one"][..], "uses        9 beside the archives"),
        (&["two"], "uses        3 beside the archives"),
        (&["one", "two"], "uses        12 beside the archives"),
        (&["one", "two", "rest"], "uses        12 beside the archives"),
        (&["one", "two", "journal.redb"], "uses        12 beside the archives"),
    ] {
        let found = years.verify(files);
        assert!(found.code == 0 && found.out.contains(told), "{files:?}: {told} in {found:?}");
        assert!(!found.err.contains("not verified"), "{files:?}: {found:?}");
        if !files.contains(&"journal.redb") {
            assert_eq!(years.verify_again(files), 0, "{files:?}");
        }
    }
    let json = years.verify(&["--json", "one", "two"]);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&json["uses"], &json["uses_not_there"]), (&12.into(), &serde_json::json!([])));
}

#[test]
fn uses_beside_an_archive_that_are_not_what_was_sealed_are_a_finding() {
    let years = archived();
    let sound = lines(&years, "one.uses");
    let [first, second, other] = sound.as_slice() else { panic!("{sound:?}") };
    let of_second_archive = lines(&years, "two.uses").concat();
    let end = |line: &str, of: &str| line.replacen(of, &of.replace('2', "3"), 1);
    let flipped = end(second, &data_encoding::HEXLOWER.encode(b"/vault/2"));
    assert_ne!(flipped, *second);
    let longer = [first, second, second, other].map(String::as_str).concat();
    for (what, text, told) in [
        ("a byte of a use", [first, flipped.as_str(), other].concat(), "were changed after number 3"),
        ("a byte of a key", sound.concat().replacen("000000000003\"", "000000000002\"", 1), "after number 0"),
        ("a block in the middle", [second.as_str(), other].concat(), "were changed after number 0"),
        ("the last block", [first.as_str(), other].concat(), "of the 6 uses of"),
        ("all of a case", [first.as_str(), second].concat(), "of the 3 uses of"),
        ("all of it", String::new(), "that were sealed, 0 are there"),
        ("those of another archive", of_second_archive.clone(), "which no record of the archive seals"),
        ("and more", [&sound.concat(), &of_second_archive].map(String::as_str).concat(), "which no record of the"),
        ("twice", longer, "line 3: uses of"),
        ("another order", [other.as_str(), first, second].concat(), "line 2: uses of"),
        ("another table", sound.concat().replacen("use_blocks", "use_bricks", 1), "line 1: a row of `use_bricks`"),
        ("another spelling", sound.concat().replacen(",\"key\"", ", \"key\"", 1), "line 1: "),
        ("half a line", sound.concat().trim_end_matches("\"}}\n").to_owned(), "line 3: "),
    ] {
        fs::write(years.path("one.uses"), text).unwrap();
        for files in [&["one"][..], &["one", "two", "rest"]] {
            let found = years.verify(files);
            assert_eq!((found.code, years.verify_again(files)), (1, 1), "{what}: {files:?}: {found:?}");
            let finding = found.err.lines().find(|line| line.starts_with("finding: ") && line.contains(told));
            assert!(finding.is_some(), "{what}: {told} in {}", found.err);
            assert!(found.out.contains("verified    "), "the chain is whole all the same: {}", found.out);
        }
    }
    let json = years.verify(&["--json", "one"]);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["verified"], false);
    assert!(json["findings"][0].as_str().unwrap().contains("`one.uses` is not as it was written: line 3"), "{json}");
}

#[test]
fn uses_that_were_sealed_and_are_not_there_are_said_to_be_missing() {
    let years = archived();
    fs::remove_file(years.path("one.uses")).unwrap();
    let found = years.verify(&["one", "two", "rest"]);
    let told =
        "note: 9 uses are sealed whose file is not there, and were not verified: an archive has them in `one.uses`";
    assert!(found.code == 0 && found.err.contains(told), "{found:?}");
    assert!(found.out.contains("uses        3 beside the archives"), "{found:?}");
    assert_eq!(years.verify_again(&["one", "two", "rest"]), 0);
    let found = years.verify(&["rest"]);
    assert!(found.code == 0 && !found.err.contains("uses are sealed"), "nothing in it seals any: {found:?}");
    // an archive of cases that nobody used has no such file, and none is missed
    assert_eq!(years.cut("2020-12-15", "three").code, 0);
    assert!(!years.path("three.uses").exists());
    let found = years.verify(&["three"]);
    assert!(found.code == 0 && !found.err.contains("uses are sealed") && !found.out.contains("uses  "), "{found:?}");
}
