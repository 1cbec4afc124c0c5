//! Stories of an operator who keeps a store: backup, restore, check, compact, rebuild.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hallpass::domain::assignment::{Assignment, AssignmentKind, Origin};
use hallpass::domain::event::{Actor, Detail, Event};
use hallpass::domain::id::{ActivationId, AssignmentId, CommandId};
use hallpass::domain::identity::Assurance;
use hallpass::domain::principal::Principal;
use hallpass::domain::standing::Position;
use hallpass::domain::time::{Timestamp, Window};
use hallpass::store::{self, Header, Opened, RecordFilter, Settings};
use hallpass::telemetry::Metrics;
use hallpass::uses::{self, Use};
use redb::{Database, TableDefinition};
use tempfile::TempDir;

use crate::hallpass::{Said, program, said};
use crate::used::three_uses;

const RECORDS: u8 = 6;
const TEXT: &str = "because the cellar of Ada Lovelace is under water";

/// A store with a few records, a note in each, and uses beside it; closed.
struct Kept {
    folder: TempDir,
    public_key: String,
}

impl Kept {
    fn write() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        let Opened { reader, mut appender } = store::open(&settings, at(0)).unwrap();
        for number in 1..RECORDS {
            let mut transaction = appender.begin().unwrap();
            let detail = Detail { justification: Some(format!("{TEXT}, {number}")), ..Detail::default() };
            transaction.append(&header(number), &[made(number)], &detail).unwrap();
            transaction.commit().unwrap();
        }
        let public_key = reader.realm().unwrap().1;
        drop((reader, appender));
        three_uses(&settings.path.with_extension("uses"), ActivationId::from_random([7; 16]), "person-1", at(0));
        Self { folder, public_key }
    }

    fn store(&self) -> PathBuf {
        settings(self.folder.path()).path
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn backup(&self, to: &Path) -> Said {
        said(
            program()
                .args(["backup", "--public-key", &self.public_key, "--store"])
                .arg(self.store())
                .arg("--key")
                .arg(self.path("signing.key"))
                .arg("--to")
                .arg(to),
        )
    }

    /// Runs `hallpass store` with this and the store.
    fn command(&self, name: &str) -> Said {
        let mut command = program();
        command.args(["store", name]).arg(self.store());
        if name != "compact" {
            command.args(["--public-key", &self.public_key]);
        }
        said(&mut command)
    }
}

fn settings(folder: &Path) -> Settings {
    Settings { path: folder.join("journal.redb"), key_path: folder.join("signing.key") }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(1_795_000_000 + second)
}

fn header(number: u8) -> Header {
    let actor =
        Actor::Principal { principal: Principal::new("https://id.example", "root"), assurance: Assurance::default() };
    Header { command: CommandId::from_random([number; 16]), time: at(number.into()), actor, idempotency: None }
}

fn made(number: u8) -> Event {
    let assignment = Assignment {
        id: AssignmentId::from_random([number; 16]),
        kind: AssignmentKind::Eligible,
        role: "shop/vault".parse().unwrap(),
        party: Principal::new("https://id.example", &format!("person-{number}")).into(),
        window: Window::permanent(at(0)),
        origin: Origin::Administrator,
        ended: None,
    };
    Event::AssignmentMade { assignment }
}

fn all_uses(path: &Path) -> Vec<(u64, Use<'static>)> {
    let (recorder, reader, running) = uses::start(path, uses::Settings::default(), &Metrics::default()).unwrap();
    let all = reader.of(ActivationId::from_random([7; 16]), 0, 100).unwrap();
    drop(recorder);
    running.join();
    all
}

/// What a store says of itself: its records, its notes, and a digest of each table.
fn content(folder: &Path, store: PathBuf) -> (Vec<Vec<u8>>, Vec<store::TableDigest>) {
    let settings = Settings { path: store, ..settings(folder) };
    let Opened { reader, .. } = store::open(&settings, at(1000)).unwrap();
    let records = reader.exported(&RecordFilter::default(), Position(0), 1000).unwrap();
    let lines = records.iter().map(|record| {
        let mut line = Vec::new();
        record.write_json_line(&mut line).unwrap();
        line
    });
    (lines.collect(), reader.table_digests().unwrap())
}

#[test]
fn a_backup_of_a_stopped_store_becomes_the_same_store_again() {
    let kept = Kept::write();
    let (backup, restored) = (kept.path("backup"), kept.path("again/journal.redb"));
    let done = kept.backup(&backup);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.out.contains("backed up   6 records and 2 rows of uses, verified"), "{}", done.out);
    assert!(done.err.contains("the signing key is not in it"), "{}", done.err);
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    let again = kept.backup(&backup);
    assert!(again.code == 2 && again.err.contains("nothing is ever overwritten"), "{again:?}");

    let restore = || said(program().args(["restore", "--from"]).arg(&backup).arg("--to").arg(&restored));
    let done = restore();
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.err.contains("warning: whatever was decided after"), "{}", done.err);
    assert_eq!(fs::metadata(&restored).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(content(kept.folder.path(), kept.store()), content(kept.folder.path(), restored.clone()));
    let uses = |store: &Path| all_uses(&store.with_extension("uses"));
    assert_eq!((uses(&restored), uses(&restored).len()), (uses(&kept.store()), 3));
    let before = fs::read(&restored).unwrap();
    let twice = restore();
    assert!(twice.code == 2 && twice.err.contains("nothing is ever overwritten"), "{twice:?}");
    assert_eq!(fs::read(&restored).unwrap(), before);
}

#[test]
fn a_backup_that_was_changed_cut_or_is_anothers_makes_no_store() {
    let kept = Kept::write();
    let (backup, restored) = (kept.path("backup"), kept.path("again.redb"));
    assert_eq!(kept.backup(&backup).code, 0);
    let sound = fs::read_to_string(&backup).unwrap();
    let lines: Vec<&str> = sound.split_inclusive('\n').collect();
    let stranger = Kept::write();
    for (case, text, key, told) in [
        ("cut", lines[..lines.len() - 1].concat(), &kept.public_key, "cut short"),
        (
            "a use changed",
            sound.replace("\"table\":\"use_blocks\"", "\"table\":\"use_bricks\""),
            &kept.public_key,
            "is none of uses",
        ),
        ("a record changed", sound.replace("person-3", "person-4"), &kept.public_key, "record 4: its hash"),
        ("a note changed", sound.replace("water, 3", "water, 4"), &kept.public_key, "record 4: its note"),
        ("a record removed", [&lines[..3], &lines[4..]].concat().concat(), &kept.public_key, "record 3: it is missing"),
        ("another's", sound.clone(), &stranger.public_key, "not the one that was given"),
        ("no backup", lines[1..].concat(), &kept.public_key, "no backup of hallpass"),
    ] {
        fs::write(&backup, text).unwrap();
        let mut command = program();
        command.args(["restore", "--public-key", key, "--from"]).arg(&backup).arg("--to").arg(&restored);
        let refused = said(&mut command);
        assert_eq!((refused.code, refused.out.as_str()), (1, ""), "{case}: {refused:?}");
        assert!(refused.err.contains(told), "{case}: {told} in {}", refused.err);
        assert!(!restored.exists() && !restored.with_extension("uses").exists(), "{case}");
    }
}

#[test]
fn what_cannot_be_used_is_no_wrong_command_line_and_is_told_once() {
    let kept = Kept::write();
    let (absent, folder) = (kept.path("absent"), kept.path("folder"));
    fs::create_dir(&folder).unwrap();
    let restore = |from: &Path| {
        let mut command = program();
        command.args(["restore", "--from"]).arg(from).arg("--to").arg(kept.path("again.redb"));
        said(&mut command)
    };
    let refused = restore(&folder);
    assert!(refused.code == 2 && refused.err.contains("is a folder, and a backup is a file"), "{refused:?}");
    let missing = format!("`{}`", absent.display());
    let nowhere = kept.path("nowhere/backup");
    for (case, refused) in [
        ("no backup", restore(&absent)),
        ("no store", said(program().args(["store", "check"]).arg(&absent))),
        ("no store to compact", said(program().args(["store", "compact"]).arg(&absent))),
        ("no journal", said(program().args(["audit", "verify"]).arg(&absent))),
        ("no store to verify", said(program().args(["audit", "verify", "--store"]).arg(&absent))),
    ] {
        assert_eq!(refused.code, 70, "{case}: {refused:?}");
        assert_eq!(refused.err.matches(&missing).count(), 1, "{case}: {}", refused.err);
        assert!(refused.err.contains("cannot") && refused.err.contains("read"), "{case}: {}", refused.err);
    }
    let refused = kept.backup(&nowhere);
    let told = format!(
        "error: cannot write to `{}`: No such file or directory (os error 2)\n",
        kept.path("nowhere").display()
    );
    assert_eq!((refused.code, refused.err), (70, told));
}

#[test]
fn restoring_tells_when_the_key_is_not_the_one() {
    let kept = Kept::write();
    let backup = kept.path("backup");
    assert_eq!(kept.backup(&backup).code, 0);
    let stranger = Kept::write();
    let restore = |key: PathBuf, to: &str| {
        let mut command = program();
        command.args(["restore", "--from"]).arg(&backup).arg("--key").arg(key).arg("--to").arg(kept.path(to));
        said(&mut command)
    };
    let refused = restore(stranger.path("signing.key"), "strange.redb");
    assert!(refused.code == 1 && refused.err.contains("is bound to"), "{refused:?}");
    fs::remove_file(stranger.path("signing.key.journal")).unwrap();
    let refused = restore(stranger.path("signing.key"), "strange.redb");
    assert!(refused.code == 1 && refused.err.contains(&kept.public_key), "{refused:?}");
    assert!(!kept.path("strange.redb").exists());
    assert_eq!(restore(kept.path("signing.key"), "own.redb").code, 0);
}

#[test]
fn a_check_finds_a_row_that_no_record_made_and_rebuilding_mends_it() {
    const LOCKS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("locks");
    let kept = Kept::write();
    let before = fs::read(kept.store()).unwrap();
    let sound = kept.command("check");
    assert_eq!(sound.code, 0, "{sound:?}");
    assert!(sound.out.contains("sound       6 records"), "{}", sound.out);
    assert_eq!(fs::read(kept.store()).unwrap(), before, "a check changes nothing");

    let database = Database::open(kept.store()).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(LOCKS).unwrap().insert(b"nobody".as_slice(), [].as_slice()).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let wrong = kept.command("check");
    assert!(wrong.code == 1 && wrong.err.contains("table `locks` is not what the journal says"), "{wrong:?}");
    let rebuilt = kept.command("rebuild");
    assert!(rebuilt.code == 0 && rebuilt.out.contains("rebuilt     6 records"), "{rebuilt:?}");
    assert_eq!(kept.command("check").code, 0);
    assert_eq!(fs::metadata(kept.store()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn nothing_is_done_to_a_store_that_a_hallpass_runs_on() {
    let kept = Kept::write();
    let running = store::open(&settings(kept.folder.path()), at(100)).unwrap();
    let before = fs::read(kept.store()).unwrap();
    for command in ["check", "compact", "rebuild"] {
        let refused = kept.command(command);
        assert!(refused.code == 70 && refused.err.contains("a hallpass runs on"), "{command}: {refused:?}");
    }
    let refused = kept.backup(&kept.path("backup"));
    assert!(refused.code == 70 && refused.err.contains("a hallpass runs on"), "{refused:?}");
    assert!(fs::read(kept.store()).unwrap() == before);
    drop(running);
    for command in ["check", "compact", "rebuild", "check"] {
        let done = kept.command(command);
        assert_eq!(done.code, 0, "{command}: {done:?}");
    }
    assert_eq!(content(kept.folder.path(), kept.store()).0.len(), usize::from(RECORDS));
}

#[test]
fn a_damaged_file_is_told_and_left_alone() {
    let kept = Kept::write();
    let sound = fs::read(kept.store()).unwrap();
    for (case, damage) in [
        ("empty", Vec::new()),
        ("something else", b"not a database at all".repeat(1000)),
        ("cut", sound[..sound.len() / 3].to_vec()),
        ("overwritten", [&sound[..4096], &vec![0xa5; sound.len() - 4096][..]].concat()),
    ] {
        fs::write(kept.store(), &damage).unwrap();
        for command in ["check", "compact", "rebuild"] {
            let refused = kept.command(command);
            assert!(refused.code == 1 || refused.code == 70, "{case}, {command}: {refused:?}");
            assert!(refused.err.starts_with("error: "), "{case}, {command}: {}", refused.err);
            assert_eq!(fs::read(kept.store()).unwrap(), damage, "{case}, {command}");
        }
    }
}
