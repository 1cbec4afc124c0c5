//! Stories of an auditor who must hear what is wrong beside a chain that is whole: texts that are missing, and uses that
//! are not those that were sealed.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use hallpass::domain::event::{Detail, Event, RecordRun};
use hallpass::domain::id::{ActivationId, CommandId};
use hallpass::domain::principal::Principal;
use hallpass::domain::standing::Position;
use hallpass::domain::time::Timestamp;
use hallpass::journal::export::read_json_lines;
use hallpass::journal::upcast;
use hallpass::store::{self, Appender, Header, Opened, RecordFilter, Settings};
use hallpass::uses;
use redb::{Database, ReadableTable as _, TableDefinition};
use serde_json::Value;
use tempfile::TempDir;

use crate::hallpass::{Said, program, said};
use crate::used::three_uses;

const GOLDEN: &str = include_str!("../golden/journal-v1.jsonl");
const USES: TableDefinition<'_, ([u8; 16], u64), &[u8]> = TableDefinition::new("use_blocks");
const NOTES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("notes");

/// A store with one activation that was used and is over, and the uses beside it; nobody runs on it.
struct Kept {
    folder: TempDir,
    activation: ActivationId,
    /// The record of the request, which has a note.
    request: u64,
}

impl Kept {
    fn write() -> Self {
        let activation = ActivationId::from_random([1; 16]);
        let kept = Self { folder: tempfile::tempdir().unwrap(), activation, request: 3 };
        let (mut appender, reader) = kept.open();
        for exported in read_json_lines(GOLDEN.as_bytes()).map(Result::unwrap) {
            let record = upcast::read(&exported.sealed.core).unwrap();
            let detail = exported.note.map(|note| note.detail().unwrap()).unwrap_or_default();
            let wanted = matches!(
                record.event,
                Event::AssignmentMade { .. }
                    | Event::ActivationRequested { .. }
                    | Event::ActivationDecided { stage: 0, adjusted: Some(_), .. }
                    | Event::ActivationStarted { .. }
                    | Event::ActivationEnded { .. }
            );
            if wanted {
                let header =
                    Header { command: record.command, time: record.time, actor: record.actor, idempotency: None };
                append(&mut appender, &header, record.event, &detail);
            }
        }
        let stretch = kept.used();
        let sealed = Event::UsesSealed { activation, count: stretch.count, digest: stretch.digest };
        append(&mut appender, &by_hallpass(40), sealed, &Detail::default());
        let requests = RecordFilter { event: Some("activation_requested".to_owned()), ..RecordFilter::default() };
        let request = reader.records(&requests, Position(0), 10).unwrap()[0].position.0;
        assert_eq!(request, kept.request);
        kept
    }

    fn open(&self) -> (Appender, store::Reader) {
        let settings = Settings { path: self.store(), key_path: self.path("signing.key") };
        let Opened { reader, appender } = store::open(&settings, Timestamp::from_millis(1_795_000_000_000)).unwrap();
        (appender, reader)
    }

    /// Three uses, in the file beside the store.
    fn used(&self) -> uses::Stretch {
        let reader = three_uses(&self.uses(), self.activation, "ada", Timestamp::from_seconds(1_795_000_020));
        reader.recount(self.activation).unwrap().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn store(&self) -> PathBuf {
        self.path("journal.redb")
    }

    fn uses(&self) -> PathBuf {
        self.path("journal.uses")
    }

    fn run(&self, arguments: &[&str], file: &Path) -> Said {
        said(program().args(arguments).arg(file))
    }

    fn backup(&self, to: &Path) -> Said {
        let key = self.path("signing.key");
        said(program().args(["backup", "--store"]).arg(self.store()).arg("--key").arg(key).arg("--to").arg(to))
    }

    /// Changes a byte of what was done, where no digest of the database knows.
    fn change_a_use(&self) {
        let database = Database::open(self.uses()).unwrap();
        let transaction = database.begin_write().unwrap();
        {
            let mut table = transaction.open_table(USES).unwrap();
            let (key, block) = {
                let row = table.first().unwrap().unwrap();
                (row.0.value(), row.1.value().to_vec())
            };
            let changed = String::from_utf8_lossy(&block).contains("/vault/0");
            assert!(changed, "a path to change");
            let at = block.windows(8).position(|window| window == b"/vault/0").unwrap();
            let mut block = block;
            block[at + 7] = b'9';
            table.insert(key, block.as_slice()).unwrap();
        }
        transaction.commit().unwrap();
    }

    fn remove_note(&self) {
        let database = Database::open(self.store()).unwrap();
        let transaction = database.begin_write().unwrap();
        assert!(transaction.open_table(NOTES).unwrap().remove(self.request).unwrap().is_some());
        transaction.commit().unwrap();
    }

    fn export(&self) -> PathBuf {
        let (appender, reader) = self.open();
        let mut lines = Vec::new();
        for entry in reader.exported(&RecordFilter::default(), Position(0), 100).unwrap() {
            entry.write_json_line(&mut lines).unwrap();
        }
        drop((appender, reader));
        let path = self.path("export.jsonl");
        fs::write(&path, lines).unwrap();
        path
    }
}

fn by_hallpass(second: i64) -> Header {
    let time = Timestamp::from_millis(1_795_000_000_000 + second * 1001);
    let actor = hallpass::domain::event::Actor::Hallpass;
    Header { command: CommandId::from_random([9; 16]), time, actor, idempotency: None }
}

fn append(appender: &mut Appender, header: &Header, event: Event, detail: &Detail) {
    let mut transaction = appender.begin().unwrap();
    transaction.append(header, &[event], detail).unwrap();
    transaction.commit().unwrap();
}

#[test]
fn whoever_is_sound_has_no_findings() {
    let kept = Kept::write();
    let backup = kept.path("backup");
    let taken = kept.backup(&backup);
    assert_eq!(taken.code, 0, "{taken:?}");
    for (arguments, file) in [
        (&["audit", "verify"][..], &backup),
        (&["audit", "verify"], &kept.store()),
        (&["store", "check"], &kept.store()),
    ] {
        let fine = kept.run(arguments, file);
        assert_eq!(fine.code, 0, "{arguments:?}: {fine:?}");
        assert!(!fine.err.contains("is missing or empty"), "{fine:?}");
    }
}

#[test]
fn uses_that_are_not_those_that_were_sealed_are_found_wherever_they_are_verified() {
    let kept = Kept::write();
    let (sound, backup, restored) = (kept.path("sound"), kept.path("backup"), kept.path("again.redb"));
    assert_eq!(kept.backup(&sound).code, 0);
    kept.change_a_use();
    let told = format!("the uses of {} were changed after number 0", kept.activation);
    let checked = kept.run(&["store", "check"], &kept.store());
    assert!(checked.code == 1 && checked.err.contains(&told), "{checked:?}");

    let taken = kept.backup(&backup);
    assert!(taken.code == 1 && taken.err.contains(&told), "{taken:?}");
    assert!(backup.exists(), "it is the best there is");
    let verified = kept.run(&["audit", "verify", "--json"], &backup);
    assert!(verified.code == 1 && verified.err.contains(&told), "{verified:?}");
    let json: Value = serde_json::from_str(&verified.out).unwrap();
    assert_eq!((&json["verified"], &json["findings"][0]), (&false.into(), &told.as_str().into()));

    let restore = |further: &[&str]| {
        let mut command = program();
        command.args(["restore", "--from"]).arg(&backup).arg("--to").arg(&restored).args(further);
        said(&mut command)
    };
    let refused = restore(&[]);
    assert!(
        refused.code == 1 && refused.err.contains(&told) && refused.err.contains("--despite-findings"),
        "{refused:?}"
    );
    assert!(!restored.exists() && !restored.with_extension("uses").exists());
    let done = restore(&["--despite-findings"]);
    assert!(done.code == 0 && done.err.contains(&told), "{done:?}");

    // a row taken out, and the end written anew: only the seal can tell
    let lost: Vec<String> = fs::read_to_string(&sound).unwrap().lines().map(str::to_owned).collect();
    let whole = with_new_end(lost.iter().filter(|line| !line.contains("\"table\":\"use_blocks\"")));
    fs::write(&sound, whole).unwrap();
    let verified = kept.run(&["audit", "verify"], &sound);
    let told = format!("of the 3 uses of {} that were sealed, 0 are there", kept.activation);
    assert!(verified.code == 1 && verified.err.contains(&told), "{verified:?}");
    fs::remove_file(kept.uses()).unwrap();
    let checked = kept.run(&["store", "check"], &kept.store());
    assert!(checked.code == 1 && checked.err.contains(&told), "{checked:?}");
    let told = "journal.uses` is missing or empty although the journal has sealed uses";
    assert!(checked.err.contains(told), "{checked:?}");
    // emptied, as a start leaves it
    let (recorder, _, running) =
        uses::start(&kept.uses(), uses::Settings::default(), &hallpass::telemetry::Metrics::default()).unwrap();
    drop(recorder);
    running.join();
    let checked = kept.run(&["store", "check"], &kept.store());
    assert!(checked.code == 1 && checked.err.contains(told), "{checked:?}");
}

#[test]
fn a_start_tells_when_the_file_of_uses_was_lost_and_only_then() {
    let kept = Kept::write();
    let configuration = crate::serve::config("127.0.0.1:0", "info").replace("shop.redb", "journal.redb");
    fs::write(kept.path("keys.json"), crate::serve::KEYS).unwrap();
    fs::write(kept.path("hallpass.toml"), configuration.replace("shop.key", "signing.key")).unwrap();
    let log_of_a_start = || {
        let mut running = program().args(["serve", "--config"]).arg(kept.path("hallpass.toml")).spawn().unwrap();
        let lines = BufReader::new(running.stderr.take().unwrap()).lines().map(Result::unwrap);
        let log: Vec<String> = lines.take_while(|line| !line.contains("hallpass has started")).collect();
        running.kill().unwrap();
        running.wait().unwrap();
        log.concat()
    };
    let told = "the file of uses was missing or empty";
    let sound = log_of_a_start();
    assert!(!sound.contains(told) && !sound.contains("had no pin"), "{sound}");
    fs::remove_file(kept.path("signing.key.journal")).unwrap();
    let log = log_of_a_start();
    let unbound = log.split('{').find(|line| line.contains("the signing key had no pin")).unwrap();
    assert!(unbound.contains("\"level\":\"WARN\"") || unbound.contains("warn"), "{unbound}");
    fs::remove_file(kept.uses()).unwrap();
    for start in ["missing", "empty, as the start before left it"] {
        let log = log_of_a_start();
        assert!(log.contains(told) && log.contains("journal.uses"), "{start}: {log}");
    }
}

#[test]
fn a_file_of_uses_that_is_damaged_is_named_with_what_to_do() {
    let kept = Kept::write();
    let configuration = crate::serve::config("127.0.0.1:0", "info").replace("shop.redb", "journal.redb");
    fs::write(kept.path("keys.json"), crate::serve::KEYS).unwrap();
    fs::write(kept.path("hallpass.toml"), configuration.replace("shop.key", "signing.key")).unwrap();
    fs::write(kept.uses(), "no database").unwrap();
    let refused = kept.run(&["serve", "--config"], &kept.path("hallpass.toml"));
    let told =
        format!("the file of uses `{}` cannot be opened. When it is damaged, move it aside", kept.uses().display());
    assert!(refused.code == 70 && refused.err.contains(&told), "{refused:?}");
}

/// A backup of these lines, whose own end fits them.
pub(crate) fn with_new_end<'l>(lines: impl Iterator<Item = &'l String>) -> String {
    let lines: Vec<&str> = lines.map(String::as_str).filter(|line| !line.starts_with("{\"end\"")).collect();
    let body: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body.as_bytes());
    let digest = data_encoding::HEXLOWER.encode(digest.as_ref());
    let count = |begin: &str| lines.iter().filter(|line| line.starts_with(begin)).count();
    let (records, rows) = (count("{\"sequence\""), count("{\"row\""));
    format!("{body}{{\"end\":{{\"records\":{records},\"rows\":{rows},\"digest\":\"{digest}\"}}}}\n")
}

#[test]
fn a_note_that_nobody_ordered_to_erase_is_found_wherever_it_is_verified() {
    let kept = Kept::write();
    kept.remove_note();
    let told = format!("record {}: its note is missing, and no record here orders that it be erased", kept.request);
    let (backup, export) = (kept.path("backup"), kept.export());
    let taken = kept.backup(&backup);
    assert!(taken.code == 1 && taken.err.contains(&told) && backup.exists(), "{taken:?}");
    let checked = kept.run(&["store", "check"], &kept.store());
    assert!(checked.code == 1 && checked.err.contains(&told), "{checked:?}");
    for file in [&kept.store(), &backup, &export] {
        let verified = kept.run(&["audit", "verify"], file);
        assert!(verified.code == 1 && verified.err.contains(&told), "{verified:?}");
        assert!(
            verified.out.contains("erased      0 notes") && verified.out.contains("missing     1 notes"),
            "{verified:?}"
        );
    }
}

#[test]
fn a_note_that_a_record_orders_to_erase_is_none_to_find() {
    let kept = Kept::write();
    let (mut appender, reader) = kept.open();
    let records = vec![RecordRun { first: kept.request, last: kept.request }];
    let order = Event::NotesErased { principal: Principal::new("https://id.example", "ada"), count: 1, records };
    append(&mut appender, &by_hallpass(50), order, &Detail::default());
    drop((appender, reader));
    let (backup, export) = (kept.path("backup"), kept.export());
    assert_eq!(kept.backup(&backup).code, 0);
    for file in [&kept.store(), &backup, &export] {
        let verified = kept.run(&["audit", "verify"], file);
        assert_eq!(verified.code, 0, "{verified:?}");
        assert!(verified.out.contains("erased      1 notes, each as a record orders"), "{verified:?}");
    }
    // without the order, the same file tells that a text is gone
    let lines = fs::read_to_string(&export).unwrap();
    let cut: String = lines.split_inclusive('\n').filter(|line| !line.contains("notes_erased")).collect();
    fs::write(&export, cut).unwrap();
    let verified = kept.run(&["audit", "verify"], &export);
    assert!(verified.code == 1 && verified.err.contains(&format!("record {}:", kept.request)), "{verified:?}");
}
