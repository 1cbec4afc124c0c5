//! What the first start after `hallpass store rebuild` takes, when every row is compared with the journal: time, and the most
//! memory the program has at once, for journals of `TESTS_START_RECORDS` records (100,000 and 300,000 when it does not say).

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement tells what it found")]

#[path = "../tests/fixtures/terms.rs"]
mod terms;

use std::path::Path;
use std::process::{Child, Command, Stdio};

use hallpass::clock::awake;
use hallpass::domain::activation::{Ending, Requested};
use hallpass::domain::assignment::{Assignment, AssignmentKind, Origin};
use hallpass::domain::event::{Actor, Detail, Event};
use hallpass::domain::id::{ActivationId, AssignmentId, CommandId};
use hallpass::domain::principal::Principal;
use hallpass::domain::time::{Span, Timestamp, Window};
use hallpass::store::{self, Header, Opened, Settings};

fn main() {
    for records in records_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let settings = Settings { path: path("journal.redb"), key_path: path("signing.key") };
        write(&settings, records);
        std::fs::write(path("hallpass.toml"), CONFIGURATION).unwrap();
        let length = path("journal.redb").metadata().unwrap().len() >> 20;
        println!("{records} records, {length} MiB");
        measured("rebuild", program(folder.path(), &["store", "rebuild", "journal.redb"]));
        measured("check", program(folder.path(), &["store", "check", "journal.redb"]));
        measured("first start", program(folder.path(), &["key", "show", "--config", "hallpass.toml"]));
        measured("next start", program(folder.path(), &["key", "show", "--config", "hallpass.toml"]));
    }
}

fn program(folder: &Path, arguments: &[&str]) -> Child {
    let mut program = Command::new(env!("CARGO_BIN_EXE_hallpass"));
    program.current_dir(folder).args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    program.spawn().unwrap()
}

/// Waits for it, and looks all the while at the most memory it had.
fn measured(what: &str, mut child: Child) {
    let (began, mut most) = (awake(), 0);
    let status = loop {
        let seen = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = seen.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()).and_then(|text| text.parse().ok());
        most = most.max(kibibytes.unwrap_or(0_u64));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    assert!(status.success(), "{what}: {status}");
    println!("  {what:<12} {:>6.1} s {:>6} MiB", awake().duration_since(began).as_secs_f64(), most >> 10);
}

/// Cases of four records each: asked for, held, over, used.
fn write(settings: &Settings, records: u64) {
    let Opened { mut appender, .. } = store::open(settings, at(0)).unwrap();
    let (mut number, mut written) = (0_u64, 1);
    while written < records {
        let mut transaction = appender.begin().unwrap();
        for _ in 0..500 {
            number += 1;
            let header = header(number);
            let because = Detail {
                name: Some("Ada Lovelace".into()),
                mail: Some("ada@corp.example".into()),
                justification: Some("the till of shop 4 is stuck again, ticket and log are linked".into()),
                ticket: Some("OPS-4711".into()),
                wanted: None,
            };
            if number == 1 {
                transaction.append(&header, &[assigned()], &Detail::default()).unwrap();
                written += 1;
            }
            transaction.append(&header, &case(number), &because).unwrap();
            written += 4;
        }
        transaction.commit().unwrap();
    }
}

fn case(number: u64) -> [Event; 4] {
    let activation = ActivationId::from_random(bits(number));
    let begun = at(i64::try_from(number).unwrap());
    let requested = Event::ActivationRequested {
        activation,
        principal: person(number),
        role: "shop/vault".parse().unwrap(),
        eligibility: AssignmentId::from_random([1; 16]),
        via: None,
        requested: Requested { starts_at: None, duration: Span::hours(1) },
        lapses_at: begun.plus(Span::hours(1)),
        terms: Box::new(terms::approved_by(person(1))),
    };
    let window = Window::new(begun, begun.plus(Span::hours(1)));
    [
        requested,
        Event::ActivationStarted { activation, window },
        Event::ActivationEnded { activation, ending: Ending::Deactivated, at: begun },
        Event::UsesSealed { activation, count: 0, digest: "ab".repeat(32) },
    ]
}

fn assigned() -> Event {
    let assignment = Assignment {
        id: AssignmentId::from_random([1; 16]),
        kind: AssignmentKind::Eligible,
        role: "shop/vault".parse().unwrap(),
        party: person(0).into(),
        window: Window::permanent(at(0)),
        origin: Origin::Administrator,
        ended: None,
    };
    Event::AssignmentMade { assignment }
}

fn header(number: u64) -> Header {
    let time = at(i64::try_from(number).unwrap());
    Header { command: CommandId::from_random(bits(number)), time, actor: Actor::Hallpass, idempotency: None }
}

/// As random ids are: neighbours lie far from each other.
fn bits(number: u64) -> [u8; 16] {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    let mut bits = [0; 16];
    bits.iter_mut().zip(mixed.into_iter().chain(number.to_be_bytes())).for_each(|(bit, given)| *bit = given);
    bits
}

fn person(number: u64) -> Principal {
    Principal::new("https://id.example/realms/corp", &format!("4f6c2a9e-{}", number % 1000))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_700_000_000 + seconds)
}

#[expect(clippy::disallowed_methods, reason = "a measurement is told its size by the environment")]
fn records_asked_for() -> Vec<u64> {
    let asked = std::env::var("TESTS_START_RECORDS").ok().and_then(|text| text.parse().ok());
    asked.map_or_else(|| vec![100_000, 300_000], |records| vec![records])
}

const CONFIGURATION: &str = r#"
[store]
path = "journal.redb"
key_file = "signing.key"
[portal]
listen = "127.0.0.1:0"
public_url = "http://127.0.0.1:1"
[hallpass]
administrators = ["corp:root"]
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
