//! A store that was kept for years, and what is done to it.

use std::fs;
use std::path::{Path, PathBuf};

use hallpass::domain::activation::{Ending, Requested};
use hallpass::domain::assignment::{Assignment, AssignmentEnding, AssignmentKind, Origin};
use hallpass::domain::event::{Actor, Detail, Event};
use hallpass::domain::id::{ActivationId, AssignmentId, CommandId};
use hallpass::domain::principal::Principal;
use hallpass::domain::time::{Span, Timestamp, Window};
use hallpass::store::{self, Header, Opened, Settings};
use tempfile::TempDir;

use crate::hallpass::{Said, program, said};
use crate::terms;
use crate::used::three_uses;

pub(crate) const CONFIGURATION: &str = r#"
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
pub(crate) struct Years {
    pub(crate) folder: TempDir,
    pub(crate) root: String,
}

impl Years {
    pub(crate) fn write() -> Self {
        Self::write_used(&[1])
    }

    /// The same, with three uses of each case in `used`; of the first case another three, in a block of their own.
    pub(crate) fn write_used(used: &[u8]) -> Self {
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
            let uses = settings.path.with_extension("uses");
            if number == 1 {
                three_uses(&uses, activation, "person-1", from);
            }
            if used.contains(&number) {
                let (count, digest) = seal_uses(&uses, number);
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

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        said(program().current_dir(self.folder.path()).args(arguments))
    }

    pub(crate) fn cut(&self, before: &str, archive: &str) -> Said {
        let because = ["--because", "kept long enough", "--config", "hallpass.toml", "--yes"];
        self.run(&[&["audit", "cut", "--before", before, "--archive", archive], &because[..]].concat())
    }

    pub(crate) fn verify(&self, files: &[&str]) -> Said {
        self.run(&[&["audit", "verify", "--key", &self.root], files].concat())
    }

    /// What the second verifier says of the same; where there is no Python, what the first one says.
    pub(crate) fn verify_again(&self, files: &[&str]) -> i32 {
        let Some(python) = python() else { return self.verify(files).code };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verifier/verify.py");
        let mut command = std::process::Command::new(python);
        command.current_dir(self.folder.path()).arg(script).args(files).args(["--key", &self.root]);
        said(&mut command).code
    }

    pub(crate) fn export(&self) {
        let Opened { reader, .. } = store::open(&settings(self.folder.path()), now()).unwrap();
        let mut lines = Vec::new();
        let all = reader.exported(&store::RecordFilter::default(), Default::default(), 1000).unwrap();
        all.iter().for_each(|entry| entry.write_json_line(&mut lines).unwrap());
        fs::write(self.path("rest"), lines).unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "a test is told by the environment where Python is")]
fn python() -> Option<String> {
    std::env::var("TESTS_VERIFIER_PYTHON").ok()
}

pub(crate) fn settings(folder: &Path) -> Settings {
    Settings { path: folder.join("journal.redb"), key_path: folder.join("signing.key") }
}

/// The first of a month, more or less, counted from January 2020.
pub(crate) fn month(number: u8) -> Timestamp {
    Timestamp::from_seconds(1_577_836_800 + i64::from(number) * 30 * 86_400 + i64::from(number))
}

/// Later than all of it.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_seconds(1_900_000_000)
}

pub(crate) fn person(name: &str) -> Principal {
    Principal::new("https://id.example", name)
}

pub(crate) fn case(number: u8) -> ActivationId {
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
    Event::ActivationRequested {
        activation: case(number),
        principal: person("person-1"),
        role: "shop/vault".parse().unwrap(),
        eligibility: AssignmentId::from_random([1; 16]),
        via: None,
        requested: Requested { starts_at: None, duration: Span::hours(1) },
        lapses_at: now(),
        terms: Box::new(terms::approved_by(person("boss"))),
    }
}

/// Three uses in a block of their own behind those that are there, sealed.
fn seal_uses(path: &Path, number: u8) -> (u64, String) {
    let reader = three_uses(path, case(number), "person-1", month(number));
    let stretch = reader.recount(case(number)).unwrap().unwrap();
    assert_eq!(reader.snapshot().unwrap().unsealed().unwrap(), [case(number)]);
    reader.sealed(case(number), &stretch).unwrap();
    (stretch.count, stretch.digest)
}
