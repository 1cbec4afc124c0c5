//! Stories of old records that are cut: archived, verified alone and together, and gone from the store for good.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hallpass::domain::activation::{Ending, Requested};
use hallpass::domain::assignment::{Assignment, AssignmentEnding, AssignmentKind, Origin};
use hallpass::domain::event::{Actor, Detail, Event};
use hallpass::domain::id::{ActivationId, AssignmentId, CommandId};
use hallpass::domain::policy::{
    ActivationLimits, AssuranceRule, ExtensionRule, OwnRequest, PolicyRevision, Stage, Terms,
};
use hallpass::domain::principal::Principal;
use hallpass::domain::time::{Span, Timestamp, Window};
use hallpass::store::{self, ActivationFilter, Header, Opened, Settings};
use hallpass::telemetry::Metrics;
use hallpass::uses::{self, Use};
use redb::{Database, TableDefinition};
use tempfile::TempDir;

use crate::hallpass::{Said, program, said};

const CONFIGURATION: &str = r#"
[store]
path = "journal.redb"
key_file = "signing.key"
[portal]
listen = "127.0.0.1:0"
public_url = "http://127.0.0.1:1"
[hallpass]
administrators = ["corp:root"]
[anchor]
file = "anchors"
[[issuer]]
name = "corp"
issuer = "https://id.example"
audience = ["hallpass"]
discovery = true
[[listener]]
listen = "127.0.0.1:0"
public_url = "http://127.0.0.1:2"
[[upstream]]
name = "shop"
url = "http://127.0.0.1:3"
[[route]]
name = "everything"
path = "/**"
mode = "signed_in"
upstream = "shop"
"#;

/// A store that was kept for years, closed: in 2020 a dozen cases, each an hour in a month of its own, in 2021 one that is
/// still open; one person was locked, one assignment made for good and another ended.
struct Years {
    folder: TempDir,
    root: String,
}

impl Years {
    fn write() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("hallpass.toml"), CONFIGURATION).unwrap();
        let settings = settings(folder.path());
        let Opened { reader, mut appender } = store::open(&settings, month(0)).unwrap();
        let mut commit = |time, events: &[Event], because: &str| {
            let detail = Detail { justification: Some(because.to_owned()), ..Detail::default() };
            let command = CommandId::from_random([0; 16]);
            let header = Header { command, time, actor: Actor::Hallpass, idempotency: None };
            let mut transaction = appender.begin().unwrap();
            transaction.append(&header, events, &detail).unwrap();
            transaction.commit().unwrap();
        };
        commit(month(0), &[assigned(1), assigned(2)], "the team of the vault");
        commit(month(0), &[Event::PrincipalLocked { principal: person("eve") }], "left");
        for number in 1..=12 {
            let (from, until) = (month(number), month(number).plus(Span::hours(1)));
            let activation = case(number);
            let started = Event::ActivationStarted { activation, window: Window::new(from, until) };
            commit(from, &[requested(number), started], &format!("counting in month {number}"));
            let mut events = vec![Event::ActivationEnded { activation, ending: Ending::Expired, at: until }];
            if number == 1 {
                let (count, digest) = write_uses(&settings.path.with_extension("uses"), activation);
                events.push(Event::UsesSealed { activation, count, digest });
            }
            commit(until, &events, "");
        }
        let ended = AssignmentId::from_random([2; 16]);
        let gone = Event::AssignmentEnded { assignment: ended, ending: AssignmentEnding::Removed, at: month(12) };
        commit(month(12).plus(Span::hours(2)), &[gone], "");
        commit(month(18), &[requested(99)], "still waiting");
        let root = reader.public_key().to_string();
        Self { folder, root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Said {
        said(program().current_dir(self.folder.path()).args(arguments))
    }

    fn cut(&self, before: &str, archive: &str) -> Said {
        let because = ["--because", "kept long enough", "--config", "hallpass.toml", "--yes"];
        self.run(&[&["audit", "cut", "--before", before, "--archive", archive], &because[..]].concat())
    }

    fn verify(&self, files: &[&str]) -> Said {
        self.run(&[&["audit", "verify", "--key", &self.root], files].concat())
    }

    /// What the second verifier says of the same; where there is no Python, what the first one says.
    fn verify_again(&self, files: &[&str]) -> i32 {
        let Some(python) = python() else { return self.verify(files).code };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verifier/verify.py");
        let mut command = std::process::Command::new(python);
        command.current_dir(self.folder.path()).arg(script).args(files).args(["--key", &self.root]);
        said(&mut command).code
    }

    fn export(&self) {
        let Opened { reader, .. } = store::open(&settings(self.folder.path()), now()).unwrap();
        let mut lines = Vec::new();
        let all = reader.records(&store::RecordFilter::default(), Default::default(), 1000).unwrap();
        all.iter().for_each(|entry| entry.exported().write_json_line(&mut lines).unwrap());
        fs::write(self.path("rest"), lines).unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "a test is told by the environment where Python is")]
fn python() -> Option<String> {
    std::env::var("TESTS_VERIFIER_PYTHON").ok()
}

fn settings(folder: &Path) -> Settings {
    Settings { path: folder.join("journal.redb"), key_path: folder.join("signing.key") }
}

/// The first of a month, more or less, counted from January 2020.
fn month(number: u8) -> Timestamp {
    Timestamp::from_seconds(1_577_836_800 + i64::from(number) * 30 * 86_400 + i64::from(number))
}

/// Later than all of it.
fn now() -> Timestamp {
    Timestamp::from_seconds(1_900_000_000)
}

fn person(name: &str) -> Principal {
    Principal::new("https://id.example", name)
}

fn case(number: u8) -> ActivationId {
    ActivationId::from_random([number; 16])
}

fn assigned(number: u8) -> Event {
    let assignment = Assignment {
        id: AssignmentId::from_random([number; 16]),
        kind: AssignmentKind::Eligible,
        role: "shop/vault".parse().unwrap(),
        party: person(&format!("person-{number}")).into(),
        window: Window::permanent(month(0)),
        origin: Origin::Administrator,
        ended: None,
    };
    Event::AssignmentMade { assignment }
}

fn requested(number: u8) -> Event {
    let terms = Terms {
        policy: PolicyRevision::new("p1"),
        activation: ActivationLimits {
            min: Span::seconds(1),
            max: Span::hours(8),
            default: Span::hours(1),
            total_max: Span::hours(24),
            start_ahead_max: Span::days(7),
        },
        stages: vec![Stage { approvers: vec![person("boss").into()], quorum: 1, deny_threshold: 1 }],
        approver_assurance: AssuranceRule::default(),
        own_request: OwnRequest::Forbidden,
        extension: ExtensionRule::SameApproval,
        assurance: AssuranceRule::default(),
    };
    Event::ActivationRequested {
        activation: case(number),
        principal: person("person-1"),
        role: "shop/vault".parse().unwrap(),
        eligibility: AssignmentId::from_random([1; 16]),
        via: None,
        requested: Requested { starts_at: None, duration: Span::hours(1) },
        lapses_at: now(),
        terms: Box::new(terms),
    }
}

fn write_uses(path: &Path, activation: ActivationId) -> (u64, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (recorder, reader, running) = uses::start(path, &Metrics::default()).unwrap();
    for number in 0..3 {
        let used = Use {
            activation,
            principal: person("person-1"),
            at: month(1),
            request_id: number.to_string().into(),
            method: "GET".into(),
            host: "shop.example".into(),
            path: format!("/vault/{number}").into(),
            route: "vault".into(),
        };
        runtime.block_on(recorder.record(&used)).unwrap();
    }
    drop(recorder);
    running.join();
    let (_, stretch) = reader.unsealed().unwrap().remove(0);
    reader.sealed(activation, &stretch).unwrap();
    (stretch.count, stretch.digest)
}

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
    let rotate = ["key", "rotate", "--because", "yearly", "--config", "hallpass.toml"];
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
    let backup = ["backup", "--store", "journal.redb", "--to", "backup", "--public-key", &years.root];
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
    let without_note = sound.replacen(&lines[4][lines[4].find(",\"note\"").unwrap()..], "}\n", 1);
    years.export();
    for (what, text, alone) in [
        ("a record changed", sound.replacen("person-1", "person-3", 1), 1),
        ("a record removed", [&lines[..4], &lines[5..]].concat().concat(), 1),
        ("its end removed", lines[..20].concat(), 0),
        ("a note removed", without_note, 0),
    ] {
        fs::write(years.path("changed"), text).unwrap();
        for (files, code) in [(&["changed"][..], alone), (&["changed", "rest"], 1)] {
            let found = years.verify(files);
            assert_eq!((found.code, years.verify_again(files)), (code, code), "{what}: {files:?}: {found:?}");
        }
    }
    let rest = fs::read_to_string(years.path("rest")).unwrap();
    let last = rest.trim_end().rfind('\n').unwrap() + 1;
    fs::write(years.path("rest"), &rest[..last]).unwrap();
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
    change(&|transaction| {
        transaction.open_table(JOURNAL).unwrap().remove(27).unwrap();
    });
    for command in [&["store", "check", "journal.redb"][..], &["key", "show", "--config", "hallpass.toml"]] {
        let refused = years.run(command);
        assert!(refused.code != 0 && refused.err.contains("damaged"), "{refused:?}");
    }
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
