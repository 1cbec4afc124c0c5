//! Stories of what lies beside an archive: the requests made under the cases in it, which its records seal.

use std::fs;
use std::path::{Path, PathBuf};

use hallpass::backup::{self, CarryError, UseReader};
use hallpass::domain::event::{Actor, Detail};
use hallpass::domain::time::Timestamp;
use hallpass::journal::Digest;
use hallpass::store::{self, Appender, Opened, Plan, Planned, Reader, Wanted};

use crate::years::{Years, month, now, settings};

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

/// What came of a look: what was removed, and the archive that was written then, with its plan.
struct Looked {
    removed: Vec<PathBuf>,
    path: PathBuf,
    plan: Box<Plan>,
    digest: Digest,
}

/// What retention does on each look, up to the cut.
struct Looks {
    folder: PathBuf,
    reader: Reader,
    appender: Appender,
    uses: UseReader,
}

impl Looks {
    fn at(years: &Years) -> Self {
        let folder = years.path("archives");
        fs::create_dir(&folder).unwrap();
        let Opened { reader, appender } = store::open_existing(&settings(years.folder.path()), now()).unwrap();
        let uses = UseReader::of_file(&years.path("journal.uses")).unwrap();
        Self { folder, reader, appender, uses }
    }

    fn look(&self, before: Timestamp) -> Result<Looked, CarryError> {
        let snapshot = self.reader.snapshot().unwrap();
        let planned = snapshot.plan_cut(&Wanted::before(before, now()), &mut |_, _| {}).unwrap();
        let plan = match planned {
            Planned::Cut(plan) => Some(plan),
            Planned::Nothing(_) => None,
        };
        let plan = plan.unwrap();
        let mut removed = backup::make_way(&snapshot, &plan, &self.folder, &self.reader.archives().unwrap())?;
        removed.extend(backup::remove_orphans(&self.uses.snapshot().unwrap(), &plan, &self.folder)?);
        let path = backup::path_of_archive(&self.folder, &plan);
        let archived = backup::archive(&snapshot, &plan, Some(&self.uses), &path, &mut |_, _| {})?;
        assert!(archived.uses.is_some());
        Ok(Looked { removed, path, plan, digest: archived.records })
    }
}

/// The uses alone, as they are left when neither they nor their name could be taken back.
fn without_records(archive: &Path) -> PathBuf {
    fs::remove_file(archive).unwrap();
    backup::uses_of_archive(archive)
}

#[test]
fn uses_without_their_records_are_removed_when_nothing_is_lost_with_them() {
    let years = Years::write_used(&[1, 2, 6]);
    let mut looks = Looks::at(&years);
    let Looked { path, .. } = looks.look(month(4)).unwrap();
    let alone = without_records(&path);
    let Looked { removed, path: again, .. } = looks.look(month(4)).unwrap();
    assert_eq!((removed, &again), (vec![alone.clone()], &path), "the next look goes on");
    without_records(&path);
    let Looked { removed, path: longer, .. } = looks.look(month(8)).unwrap();
    assert_eq!(removed, [alone.as_path()], "also when it plans another cut");

    let alone = without_records(&longer);
    let sound = fs::read_to_string(&alone).unwrap();
    fs::write(&alone, sound.replacen("\"value\":\"", "\"value\":\"00", 1)).unwrap();
    let Err(strange) = looks.look(month(8)) else { panic!("nobody else has it") };
    assert!(matches!(&strange, CarryError::Stray(path) if *path == alone), "{strange}");
    assert!(alone.exists(), "what nobody else has is never removed");
    fs::write(&alone, sound).unwrap();

    let Looked { removed, path, plan, digest } = looks.look(month(4)).unwrap();
    assert_eq!(removed, [alone]);
    looks.appender.cut(&plan, digest, now(), (Actor::Operator, &Detail::default())).unwrap();
    assert_eq!(backup::forget_archived(&looks.uses, &looks.reader).unwrap(), 2);
    // an archive of records that somebody has moved: the uses beside it are nowhere else
    let alone = without_records(&path);
    let Looked { removed, .. } = looks.look(month(8)).unwrap();
    assert!(removed.is_empty() && alone.exists(), "{removed:?}");
}
