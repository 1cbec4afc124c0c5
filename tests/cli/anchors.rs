//! Stories of heads kept elsewhere: which of them a journal is held against, and what is said of the others.

use std::fs;

use hallpass::anchor::AnchorFile;
use hallpass::clock::parse_rfc3339;
use hallpass::journal::checkpoint::read_all;
use hallpass::journal::{Checkpoint, SignedCheckpoint, SigningKey};
use hallpass::store::stopped;
use serde_json::{Value, json};

use crate::findings::with_new_end;
use crate::years::Years;

/// The lines of the journal, exported.
fn lines(years: &Years) -> Vec<String> {
    years.export();
    fs::read_to_string(years.path("rest")).unwrap().split_inclusive('\n').map(str::to_owned).collect()
}

/// A checkpoint by the journal's key: at `time` its record `sequence` was `hash`, or the one that is there.
fn signed(years: &Years, sequence: usize, hash: Option<[u8; 32]>, time: &str) -> SignedCheckpoint {
    let first: Value = serde_json::from_str(&lines(years)[0]).unwrap();
    let core: Value = serde_json::from_str(first["core"].as_str().unwrap()).unwrap();
    let hash = hash.unwrap_or_else(|| {
        let line: Value = serde_json::from_str(&lines(years)[sequence - 1]).unwrap();
        data_encoding::HEXLOWER.decode(line["hash"].as_str().unwrap().as_bytes()).unwrap().try_into().unwrap()
    });
    let key = SigningKey::from_pkcs8(&fs::read(years.path("signing.key")).unwrap()).unwrap();
    let realm = core["event"]["realm"].as_str().unwrap().to_owned();
    Checkpoint { realm, sequence: sequence as u64, hash, time: parse_rfc3339(time).unwrap() }.sign(&key)
}

fn anchored(years: &Years, notes: &[SignedCheckpoint]) {
    let file: String = notes.iter().map(|note| format!("{note}\n")).collect();
    fs::write(years.path("anchors"), file).unwrap();
}

fn told(years: &Years) -> AnchorFile {
    AnchorFile::new(&years.path("anchors"), &years.path("journal.redb"))
}

fn head(years: &Years) -> u64 {
    stopped::snapshot(&years.path("journal.redb")).unwrap().head().unwrap().position.0
}

const THEN: &str = "2021-10-01T00:00:00Z";

#[test]
fn every_anchor_is_held_or_it_is_said_why_not() {
    let years = Years::write();
    let all = lines(&years);
    let notes = [5, 20, 30].map(|sequence| signed(&years, sequence, None, THEN));
    anchored(&years, &notes);
    let against = |file: &str, more: &[&str]| years.verify(&[&[file, "--anchor", "anchors"], more].concat());
    let whole = against("rest", &[]);
    assert!(whole.code == 0 && whole.out.contains("held        3 heads kept elsewhere\n"), "{whole:?}");
    assert!(!whole.err.contains("warning") && !whole.err.contains("vouches"), "{whole:?}");

    // an older copy is not the whole, and can be held against those that are as old
    fs::write(years.path("old"), all[..25].concat()).unwrap();
    let short = against("old", &[]);
    let why =
        "record 26: it is missing: an anchor of 2021-10-01T00:00:00.000Z names record 30, and this journal ends before";
    assert!(short.code == 1 && short.err.contains(why) && short.err.contains("--older-copy"), "{short:?}");
    let old = against("old", &["--older-copy"]);
    assert!(old.code == 0 && old.out.contains("held        2 heads kept elsewhere\n"), "{old:?}");
    assert!(old.out.contains("not held    1 heads kept elsewhere name what came after this copy\n"), "{old:?}");
    let json: Value = serde_json::from_str(&against("old", &["--older-copy", "--json"]).out).unwrap();
    assert_eq!((&json["held"], &json["not_held"]["behind"]), (&json!(2), &json!(1)));
    fs::write(years.path("older"), all[..4].concat()).unwrap();
    let none = against("older", &["--older-copy"]);
    assert!(none.code == 0 && none.err.contains("nothing vouches for its end"), "{none:?}");
    anchored(&years, &[signed(&years, 20, Some([7; 32]), THEN), notes[2].clone()]);
    let forked = against("old", &["--older-copy"]);
    assert!(forked.code == 1 && forked.err.contains("record 20: the head kept elsewhere names another"), "{forked:?}");

    // torn in the middle of a dash, and gone on with: the others count, and it is said
    let torn = notes[1].to_string();
    let torn = &torn.as_bytes()[..torn.find('\u{2014}').unwrap() + 1];
    let file = [notes[0].to_string().as_bytes(), b"\n", torn, b"\n", notes[2].to_string().as_bytes()].concat();
    fs::write(years.path("anchors"), file).unwrap();
    let damaged = against("rest", &[]);
    assert!(damaged.code == 0 && damaged.out.contains("held        2 heads"), "{damaged:?}");
    assert!(damaged.err.contains("warning: 1 pieces of `anchors` are no anchor"), "{damaged:?}");
    assert_eq!(years.verify_again(&["rest", "--anchor", "anchors"]), 0);
}

#[test]
fn a_confirmation_excuses_those_before_it_that_are_not_met_and_no_others() {
    let years = Years::write();
    anchored(&years, &[signed(&years, 10, None, THEN), signed(&years, 60, Some([7; 32]), THEN)]);
    let confirm = ["anchor", "confirm", "--config", "hallpass.toml", "--because", "the volume burnt", "--yes"];
    let done = years.run(&confirm);
    assert!(done.code == 0 && done.out.contains("confirmed by record 44"), "{done:?}");
    let found = years.verify(&["journal.redb", "--anchor", "anchors"]);
    assert!(found.code == 0 && found.out.contains("held        2 heads kept elsewhere\n"), "{found:?}");
    assert!(
        found.out.contains("not held    1 heads kept elsewhere are not met, as the operator accepted"),
        "{found:?}"
    );
    years.export();
    assert_eq!(years.verify_again(&["rest", "--anchor", "anchors"]), 0);
    // the confirmation's own anchor is of the same instant, and counts
    let text = fs::read_to_string(years.path("anchors")).unwrap();
    let own = read_all(&text).pop().unwrap();
    assert_eq!(own.checkpoint.sequence, 44);
    let time = hallpass::clock::format_rfc3339(own.checkpoint.time);
    anchored(&years, &[signed(&years, 44, Some([7; 32]), &time)]);
    let forked = years.verify(&["journal.redb", "--anchor", "anchors"]);
    assert!(forked.code == 1 && forked.err.contains("record 44"), "{forked:?}");
    assert_eq!(years.verify_again(&["rest", "--anchor", "anchors"]), 1);
}

#[test]
fn the_anchors_of_a_lost_journal_stay_its_own() {
    let years = Years::write();
    let note = signed(&years, 43, None, THEN);
    anchored(&years, std::slice::from_ref(&note));
    fs::rename(years.path("journal.redb"), years.path("old.redb")).unwrap();
    fs::rename(years.path("journal.uses"), years.path("old.uses")).unwrap();
    fs::remove_file(years.path("signing.key")).unwrap();
    let lost = ["key", "lost", "--config", "hallpass.toml", "--old-store", "old.redb", "--because", "burnt", "--yes"];
    let done = years.run(&[&lost[..], &["--key", &years.root]].concat());
    let kept = format!("anchors.of-{}", note.checkpoint.realm);
    assert!(done.code == 0 && done.out.contains(&kept), "{done:?}");
    let root = done.out.lines().find_map(|line| line.strip_prefix("new root key  ")).unwrap().to_owned();
    let new = |anchors: &str| years.run(&["audit", "verify", "journal.redb", "--key", &root, "--anchor", anchors]);
    let old = |anchors: &str| years.verify(&["old.redb", "--anchor", anchors]);
    for found in [new("anchors"), old(&kept)] {
        assert!(found.code == 0 && found.out.contains("held        1 heads kept elsewhere\n"), "{found:?}");
    }
    // where both are kept together, the new one tells which it need not hold
    let both = [fs::read(years.path(&kept)).unwrap(), fs::read(years.path("anchors")).unwrap()].concat();
    fs::write(years.path("both"), both).unwrap();
    let found = new("both");
    assert!(
        found.code == 0 && found.out.contains("not held    1 heads kept elsewhere are of the journal before"),
        "{found:?}"
    );
    let found = old("both");
    assert!(found.code == 1 && found.err.contains("give the anchors of this journal only"), "{found:?}");
}

#[test]
fn a_file_of_anchors_that_lost_its_end_is_doubt() {
    let years = Years::write();
    let (first, last) = (signed(&years, 10, None, THEN), signed(&years, 43, None, "2021-10-02T00:00:00Z"));
    told(&years).append(&first).unwrap();
    told(&years).append(&last).unwrap();
    let rotate = || years.run(&["key", "rotate", "--yes", "--config", "hallpass.toml", "--because", "yearly"]);
    let damaged = last.to_string().replace("time", "tide");
    for end in ["", &damaged] {
        fs::write(years.path("anchors"), format!("{first}\n{end}")).unwrap();
        let refused = rotate();
        let why = "names record 43 of journal";
        assert!(refused.code == 1 && refused.err.contains(why), "{refused:?}");
        assert!(refused.err.contains("names record 10: the file's end was cut or is damaged"), "{refused:?}");
        assert_eq!(head(&years), 43, "no record was written");
    }
    anchored(&years, &[first, last]);
    let done = rotate();
    assert!(done.code == 0 && done.out.contains("anchored  record 44"), "{done:?}");
}

#[test]
fn what_cannot_be_taken_back_wants_a_reason_and_asks() {
    let years = Years::write();
    for command in [
        &["key", "rotate"][..],
        &["key", "lost", "--old-store", "old.redb", "--key", &years.root],
        &["anchor", "confirm"],
        &["audit", "cut", "--before", "2020-01-01", "--archive", "archive"],
    ] {
        for because in ["", " \t"] {
            let refused = years.run(&[command, &["--because", because, "--yes", "--config", "hallpass.toml"]].concat());
            assert!(refused.code == 2 && refused.err.contains("say why"), "{refused:?}");
        }
    }
    let asked = years.run(&["key", "rotate", "--because", "yearly", "--config", "hallpass.toml"]);
    assert!(asked.code == 2 && asked.err.contains("give --yes"), "{asked:?}");
    assert_eq!(head(&years), 43, "no record was written");
}

#[test]
fn nothing_is_written_when_the_anchors_cannot_be() {
    let years = Years::write();
    let text = fs::read_to_string(years.path("hallpass.toml")).unwrap();
    fs::write(years.path("hallpass.toml"), text.replace("\"anchors\"", "\"volume/anchors\"")).unwrap();
    fs::create_dir(years.path("volume")).unwrap();
    let file = AnchorFile::new(&years.path("volume/anchors"), &years.path("journal.redb"));
    file.append(&signed(&years, 43, None, THEN)).unwrap();
    fs::remove_dir_all(years.path("volume")).unwrap();
    for _ in 0..2 {
        let refused = years.run(&["anchor", "confirm", "--config", "hallpass.toml", "--because", "burnt", "--yes"]);
        assert!(refused.code == 70 && refused.err.contains("nothing was done: the file of anchors"), "{refused:?}");
        assert_eq!(head(&years), 43);
    }
    fs::create_dir_all(years.path("volume/anchors")).unwrap();
    let cut = ["audit", "cut", "--config", "hallpass.toml", "--before", "2020-08-15", "--dry-run"];
    let refused = years.run(&cut);
    assert!(refused.code == 70 && refused.err.contains("the file of anchors `"), "{refused:?}");
    assert!(refused.err.contains("cannot be read: Is a directory"), "{refused:?}");
}

#[test]
fn a_backup_whose_end_was_cut_does_not_say_what_was_signed() {
    let years = Years::write();
    let take = |to: &str, more: &[&str]| {
        let store = ["backup", "--to", to, "--store", "journal.redb", "--public-key", &years.root];
        years.run(&[&store[..], more].concat())
    };
    let done = take("backup", &["--key", "signing.key"]);
    assert!(done.code == 0 && done.out.contains(", and signed then that it ends there"), "{done:?}");
    assert!(!done.err.contains("nobody signed"), "{done:?}");
    let unsigned = take("unsigned", &[]);
    assert!(unsigned.code == 0 && unsigned.err.contains("nobody signed where it ends"), "{unsigned:?}");
    let restore =
        |from: &str, to: &str| years.run(&["restore", "--from", from, "--to", to, "--public-key", &years.root]);
    let sound = restore("backup", "again.redb");
    assert!(sound.code == 0 && !sound.err.contains("nobody signed"), "{sound:?}");
    let found = years.verify(&["backup"]);
    assert!(found.code == 0 && found.out.contains("signed      at "), "{found:?}");

    // somebody takes the last three records away, and makes header and end fit
    let text = fs::read_to_string(years.path("backup")).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let is_gone =
        |line: &String| ["41", "42", "43"].iter().any(|gone| line.starts_with(&format!("{{\"sequence\":{gone},")));
    let rest: Vec<String> = lines[1..].iter().filter(|line| !is_gone(line)).cloned().collect();
    assert_eq!(rest.len() + 4, lines.len());
    let last: Value =
        serde_json::from_str(rest.iter().rfind(|line| line.starts_with("{\"sequence\"")).unwrap()).unwrap();
    let header: Value = serde_json::from_str(&lines[0]).unwrap();
    let cut = |change: &dyn Fn(&mut Value)| {
        let mut header = header.clone();
        change(&mut header["backup"]);
        let all: Vec<String> = std::iter::once(header.to_string()).chain(rest.iter().cloned()).collect();
        fs::write(years.path("cut"), with_new_end(all.iter())).unwrap();
        (restore("cut", "cut.redb"), years.verify(&["cut"]))
    };
    let fits = |header: &mut Value| (header["sequence"], header["hash"]) = (json!(40), last["hash"].clone());
    let older = signed(&years, 40, None, THEN).to_string();
    for (case, change, told) in [
        (
            "nothing else",
            &(|_: &mut Value| {}) as &dyn Fn(&mut Value),
            ["its journal ends elsewhere", "names record 43"],
        ),
        ("the header fits", &fits, ["does not say what was signed"; 2]),
        (
            "and an older anchor stands in the place of the signed end",
            &|header| {
                fits(header);
                header["checkpoint"] = json!(older);
            },
            ["does not say what was signed"; 2],
        ),
    ] {
        let (restored, verified) = cut(change);
        assert!(restored.code == 1 && restored.err.contains(told[0]), "{case}: {restored:?}");
        assert!(verified.code == 1 && verified.err.contains(told[1]), "{case}: {verified:?}");
        assert!(!years.path("cut.redb").exists(), "{case}");
    }
    // without what was signed it is a backup like those before: nobody takes it who was not told to
    let (restored, verified) = cut(&|header| {
        fits(header);
        header["version"] = json!(1);
        header.as_object_mut().unwrap().remove("checkpoint");
    });
    for refused in [restored, verified] {
        assert!(refused.code == 1 && refused.err.contains("nobody signed where this backup ends"), "{refused:?}");
    }
    assert!(!years.path("cut.redb").exists());
    let told = years.verify(&["cut", "--json"]);
    let json: Value = serde_json::from_str(&told.out).unwrap();
    assert!(
        json["verified"] == false && json["reservation"].as_str().is_some_and(|why| why.contains("signed")),
        "{json}"
    );
    let verified = years.verify(&["cut", "--unsigned-end"]);
    assert!(
        verified.code == 0 && verified.err.contains("warning: nobody signed where this backup ends"),
        "{verified:?}"
    );
    let restored = years.run(&["restore", "--from", "cut", "--to", "cut.redb", "--unsigned-end"]);
    assert!(
        restored.code == 0 && restored.err.contains("warning: nobody signed where this backup ends"),
        "{restored:?}"
    );
    anchored(&years, &[signed(&years, 43, None, THEN)]);
    assert_eq!(years.verify(&["cut", "--unsigned-end", "--anchor", "anchors"]).code, 1, "anchors tell");

    // a key that is not the one in force signs nothing that anybody believes
    let stranger = Years::write();
    fs::copy(stranger.path("signing.key"), years.path("other.key")).unwrap();
    let refused = take("other", &["--key", "other.key"]);
    assert!(refused.code == 1 && refused.err.contains("another key than the one in force"), "{refused:?}");
    assert!(!years.path("other").exists());
}
