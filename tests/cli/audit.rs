//! Stories of carrying the journal outside and holding it against itself.

use std::path::{Path, PathBuf};

use hallpass::domain::event::{Actor, Detail, Event};
use hallpass::domain::id::CommandId;
use hallpass::domain::standing::Position;
use hallpass::domain::time::Timestamp;
use hallpass::store::{self, Header, Opened, RecordFilter, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::hallpass::{Said, ada, names_in, program, said, told, unnamed_files};
use crate::portal::{Portal, problem};

/// A store with four records, closed, and its export.
struct Journal {
    folder: TempDir,
    lines: Vec<String>,
    public_key: String,
}

impl Journal {
    fn write() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        let Opened { reader, mut appender } = store::open(&settings, Timestamp::from_seconds(1_795_000_000)).unwrap();
        for (number, second) in [(1_u8, 1_795_000_060), (2, 1_795_000_120), (3, 1_795_000_180)] {
            let header = Header {
                command: CommandId::from_random([number; 16]),
                time: Timestamp::from_seconds(second),
                actor: Actor::Configuration,
                idempotency: None,
            };
            let event = Event::ConfigurationApplied { digest: digest(number) };
            let detail = Detail { justification: Some("a \u{202e}note".to_owned()), ..Detail::default() };
            let mut transaction = appender.begin().unwrap();
            transaction.append(&header, &[event], &detail).unwrap();
            transaction.commit().unwrap();
        }
        let entries = reader.exported(&RecordFilter::default(), Position(0), 100).unwrap();
        let lines = entries.iter().map(|entry| {
            let mut line = Vec::new();
            entry.write_json_line(&mut line).unwrap();
            String::from_utf8(line).unwrap()
        });
        let lines = lines.collect();
        let public_key = reader.realm().unwrap().1;
        Self { folder, lines, public_key }
    }

    fn store(&self) -> PathBuf {
        settings(self.folder.path()).path
    }

    fn export(&self) -> String {
        self.lines.concat()
    }

    /// Writes `export` to a file and verifies that.
    fn verify(&self, export: &str, arguments: &[&str]) -> Said {
        let file = self.folder.path().join("export.jsonl");
        std::fs::write(&file, export).unwrap();
        said(program().args(["audit", "verify"]).arg(&file).args(arguments))
    }

    /// `SEQ:HASH` of the record with this number.
    fn head(&self, sequence: usize) -> String {
        let line: Value = serde_json::from_str(&self.lines[sequence - 1]).unwrap();
        format!("{sequence}:{}", line["hash"].as_str().unwrap())
    }

    /// A portal that tells `sequence` as its head and gives `export` away.
    fn portal(&self, sequence: usize, export: &str) -> Portal {
        let (_, hash) = self.head(sequence).split_once(':').map(|(s, h)| (s.to_owned(), h.to_owned())).unwrap();
        let portal = Portal::start();
        let head = json!({"sequence": sequence, "hash": hash, "time": "2026-11-18T11:09:40.000Z", "realm": "r", "public_key": self.public_key});
        portal.answers("GET /audit/head", 200, &head);
        portal.answers_text("GET /audit/export?format=jsonl", 200, "application/jsonl", export);
        portal
    }
}

/// Told by one record and by nothing else in it: all other long hexadecimals are as good as random.
fn digest(number: u8) -> String {
    format!("{number:064x}")
}

fn settings(folder: &Path) -> Settings {
    Settings { path: folder.join("journal.redb"), key_path: folder.join("signing.key") }
}

#[test]
fn a_whole_journal_verifies_and_tells_its_head() {
    let journal = Journal::write();
    let head = journal.head(4);
    let fine = journal.verify(&journal.export(), &["--public-key", &journal.public_key, "--expect-head", &head]);
    assert_eq!((fine.code, fine.err.as_str()), (0, ""), "{fine:?}");
    let told: Vec<&str> = fine.out.lines().collect();
    assert_eq!(told[0], "verified    4 records, each in its place and signed");
    assert_eq!(told[1], format!("head        {head}"));
    assert_eq!(told[2], "span        2026-11-18T11:06:40.000Z to 2026-11-18T11:09:40.000Z");
    assert!(fine.out.contains("3  configuration_applied") && fine.out.contains("1  journal_opened"), "{}", fine.out);
}

#[test]
fn what_proves_nothing_is_said() {
    let journal = Journal::write();
    let alone = journal.verify(&journal.export(), &[]);
    assert_eq!(alone.code, 0, "{alone:?}");
    assert!(alone.err.contains("with --key it would be proven"), "{}", alone.err);
    assert!(alone.err.contains("a cut end shows only against a head kept elsewhere"), "{}", alone.err);
    let json = journal.verify(&journal.export(), &["--json"]);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&json["verified"], &json["records"], &json["head"]["sequence"]), (&true.into(), &4.into(), &4.into()));
    let piped = told(program().args(["audit", "verify", "-"]), journal.export().as_bytes());
    assert_eq!((piped.code, piped.out), (0, alone.out));
}

#[test]
fn the_first_bad_record_is_named() {
    let journal = Journal::write();
    let [first, second, third, fourth] = &journal.lines[..] else { panic!("four records") };
    let stranger = Journal::write();
    let none = "";
    let (told, other) = (digest(2), digest(9));
    assert_eq!(third.matches(&told).count(), 1, "{third}");
    for (case, export, arguments, told) in [
        (
            "changed",
            [first, second, &third.replace(&told, &other), fourth].map(String::as_str),
            vec![],
            "record 3: its hash",
        ),
        ("removed", [first, second, none, fourth], vec![], "record 3: it is missing; record 4 stands in its place"),
        ("swapped", [first, third, second, fourth], vec![], "record 2: it is missing; record 3"),
        (
            "note changed",
            [first, second, third, &fourth.replace("note\\\"", "nope\\\"")].map(String::as_str),
            vec![],
            "record 4: its note",
        ),
        (
            "end cut",
            [first, second, none, none],
            vec!["--expect-head".to_owned(), journal.head(4)],
            "record 3: it is missing",
        ),
        (
            "another chain",
            [first, second, third, fourth],
            vec!["--expect-head".to_owned(), stranger.head(4)],
            "record 4: the head kept elsewhere",
        ),
        (
            "another key",
            [first, second, third, fourth],
            vec!["--public-key".to_owned(), stranger.public_key.clone()],
            "record 1: it does not begin",
        ),
        ("beginning cut", [none, second, third, fourth], vec![], "record 1: it is missing; record 2"),
        ("no journal", ["{}\n", none, none, none], vec![], "record 1: it cannot be read"),
        ("empty", [none, none, none, none], vec![], "record 1: it is missing"),
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let bad = journal.verify(&export.concat(), &arguments);
        assert_eq!((bad.code, bad.out.as_str()), (1, ""), "{case}: {bad:?}");
        assert!(bad.err.contains(told), "{case}: {told} in {}", bad.err);
    }
    let json = journal.verify(&[first.as_str(), third].concat(), &["--json"]);
    let told: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((json.code, &told["verified"], &told["sequence"]), (1, &false.into(), &2.into()));
}

#[test]
fn a_store_verifies_while_nobody_runs_on_it() {
    let journal = Journal::write();
    let verify = || {
        said(program().args(["audit", "verify", "--public-key", &journal.public_key, "--store"]).arg(journal.store()))
    };
    let before = std::fs::read(journal.store()).unwrap();
    let fine = verify();
    assert_eq!(fine.code, 0, "{fine:?}");
    assert!(fine.out.contains(&format!("head        {}", journal.head(4))), "{}", fine.out);
    assert_eq!(std::fs::read(journal.store()).unwrap(), before, "nothing was written");
    let running = store::open(&settings(journal.folder.path()), Timestamp::from_seconds(1_795_000_200)).unwrap();
    let busy = verify();
    assert_eq!(busy.code, 70, "{busy:?}");
    assert!(busy.err.contains("a hallpass runs on the store"), "{}", busy.err);
    drop(running);
}

#[test]
fn a_portal_must_give_the_journal_it_tells_of() {
    let journal = Journal::write();
    let whole = journal.portal(4, &journal.export());
    let fine = said(&mut ada(&whole, &["audit", "verify", "--expect-head", &journal.head(2)]));
    assert_eq!(fine.code, 0, "{fine:?}");
    assert!(
        fine.out.contains("held        1 heads kept elsewhere\n"),
        "the portal's own head is kept nowhere else: {fine:?}"
    );
    let alone = said(&mut ada(&whole, &["audit", "verify"]));
    assert!(
        alone.out.contains("portal      the head that it told before is in it") && !alone.out.contains("held "),
        "{alone:?}"
    );
    assert!(alone.err.contains("the root key is what the portal itself names: with --key"), "{alone:?}");
    let cut = journal.portal(4, &journal.lines[..3].concat());
    let short = said(&mut ada(&cut, &["audit", "verify"]));
    assert_eq!(short.code, 1);
    assert!(short.err.contains("record 4: it is missing"), "{}", short.err);
    let stranger = Journal::write();
    let other = said(&mut ada(&whole, &["audit", "verify", "--expect-head", &stranger.head(2)]));
    assert!(other.code == 1 && other.err.contains("record 2: the head kept elsewhere"), "{other:?}");
    let key = said(&mut ada(&whole, &["audit", "verify", "--public-key", &stranger.public_key]));
    assert!(key.code == 1 && key.err.contains("record 1"), "{key:?}");
}

#[test]
fn an_export_is_whole_or_not_there() {
    let journal = Journal::write();
    let portal = journal.portal(4, &journal.export());
    assert_eq!(said(&mut ada(&portal, &["audit", "export"])).out, journal.export());
    let file = journal.folder.path().join("out.jsonl");
    let written = said(ada(&portal, &["audit", "export", "--output"]).arg(&file));
    assert_eq!((written.code, std::fs::read_to_string(&file).unwrap()), (0, journal.export()));

    let torn = Portal::start();
    let pen = torn.streams("GET /audit/export?format=csv", "text/csv");
    pen.write("sequence,time\n1,");
    let absent = journal.folder.path().join("torn.csv");
    let before = names_in(journal.folder.path());
    let child = ada(&torn, &["audit", "export", "--format", "csv", "--output"]).arg(&absent).spawn().unwrap();
    // its own file shows that the answer has begun
    while unnamed_files(child.id()) == 0 {
        std::thread::yield_now();
    }
    pen.tear();
    let broken = Said::from(child.wait_with_output().unwrap());
    assert_eq!(broken.code, 69, "{broken:?}");
    assert!(broken.err.contains("broke off"), "{}", broken.err);
    assert_eq!(names_in(journal.folder.path()), before);
}

#[test]
fn an_export_takes_the_place_of_no_other_file() {
    let journal = Journal::write();
    let portal = journal.portal(4, &journal.export());
    let file = journal.folder.path().join("out.jsonl");
    std::fs::write(&file, "an older one").unwrap();
    let refused = said(ada(&portal, &["audit", "export", "--output"]).arg(&file));
    assert!(refused.code == 2 && refused.err.contains("nothing is ever overwritten"), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "an older one");
    let nowhere = journal.folder.path().join("absent/out.jsonl");
    let refused = said(ada(&portal, &["audit", "export", "--output"]).arg(&nowhere));
    let folder = nowhere.parent().unwrap().display();
    let told = format!("error: cannot write to `{folder}`: No such file or directory (os error 2)\n");
    assert_eq!((refused.code, refused.err), (70, told));
}

#[test]
fn filters_are_passed_on_and_refusals_told() {
    let portal = Portal::start();
    let line = "GET /audit/export?format=csv&principal=demo%3Aada&role=shop%2Fvault-reader&event=activation_started&from=2026-11-23T07%3A30%3A00.000Z";
    portal.answers_text(line, 200, "text/csv", "sequence\n");
    let arguments = "audit export --format csv --principal demo:ada --role shop/vault-reader --event activation_started --from 2026-11-23T08:30:00+01:00";
    let done = said(&mut ada(&portal, &arguments.split(' ').collect::<Vec<_>>()));
    assert_eq!((done.code, done.out.as_str()), (0, "sequence\n"), "{done:?}");
    let refusal = problem("forbidden", 403, "only an administrator or auditor may read the journal");
    portal.answers("GET /audit/export?format=jsonl", 403, &refusal);
    let refused = said(&mut ada(&portal, &["audit", "export"]));
    assert_eq!((refused.code, refused.out.as_str()), (1, ""));
    assert!(
        refused.err.starts_with("refused: only an administrator or auditor may read the journal"),
        "{}",
        refused.err
    );
}
