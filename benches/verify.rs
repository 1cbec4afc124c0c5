//! How long `hallpass audit verify` takes for a long journal: one export of `TESTS_VERIFY_RECORDS` records (a million when
//! it does not say), written by hand and verified by the program itself, on as many cores as the program uses.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement tells what it found")]

use std::io::Write as _;
use std::process::Command;

use hallpass::clock::awake;
use hallpass::domain::activation::{Choice, Ending};
use hallpass::domain::event::{Actor, Detail, Event};
use hallpass::domain::id::{ActivationId, CommandId};
use hallpass::domain::identity::Assurance;
use hallpass::domain::principal::Principal;
use hallpass::domain::time::{Span, Timestamp, Window};
use hallpass::journal::record::VERSION;
use hallpass::journal::{Exported, Note, Record, SigningKey, Tip, chain};

const REALM: &str = "00112233445566778899aabbccddeeff";

fn main() {
    let records = records_asked_for();
    let (key, _) = SigningKey::generate().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let began = awake();
    write(&key, records, file.path());
    let length = file.path().metadata().unwrap().len();
    println!("wrote {records} records, {} MiB, in {:.1} s", length >> 20, awake().duration_since(began).as_secs_f64());
    let root = key.public_key().to_string();
    for round in 1..=3 {
        let (began, before) = (awake(), cpu_seconds_of_children());
        let status = Command::new(env!("CARGO_BIN_EXE_hallpass"))
            .args(["audit", "verify", "--key", &root])
            .arg(file.path())
            .stdout(std::process::Stdio::null())
            .status();
        assert!(status.unwrap().success(), "the journal must verify");
        let took = awake().duration_since(began).as_secs_f64();
        let cpu = cpu_seconds_of_children() - before;
        let each = cpu * 1e6 / records as f64;
        println!(
            "round {round}: {records} records, {cpu:.1} s of one core ({each:.1} µs each), {took:.1} s by the clock"
        );
    }
}

/// What the programs that were waited for have used; a machine at other work makes them slower, not more costly.
fn cpu_seconds_of_children() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // the 16th and 17th field of the line, in hundredths of a second
    let ticks = |field: usize| fields.get(field).unwrap().parse::<f64>().unwrap();
    (ticks(13) + ticks(14)) / 100.0
}

fn write(key: &SigningKey, records: u64, path: &std::path::Path) {
    let mut out = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let mut tip = Tip::START;
    for sequence in 1..=records {
        let (event, detail) = event(key, sequence);
        let mut bits = [0; 16];
        for (byte, number) in bits.iter_mut().zip(sequence.to_be_bytes()) {
            *byte = number;
        }
        let note = Note::new(&detail, [7; 32]).unwrap();
        let time = Timestamp::from_millis(1_795_000_000_000 + i64::try_from(sequence).unwrap());
        let record = Record {
            version: VERSION,
            time,
            actor: Actor::Principal {
                principal: Principal::new("https://id.example/realms/corp", "4f6c2a9e-ada"),
                assurance: Assurance { amr: vec!["pwd".into(), "mfa".into()], acr: None, auth_time: Some(time) },
            },
            command: CommandId::from_random(bits),
            event,
            detail: note.as_ref().map(Note::digest),
            idempotency: None,
        };
        let sealed = chain::seal(key, REALM, sequence, tip.hash, record.encode().unwrap());
        tip = Tip { sequence, hash: sealed.hash, time };
        Exported::new(sequence, sealed, note, time).write_json_line(&mut out).unwrap();
    }
    out.flush().unwrap();
}

/// What a journal mostly holds: decisions with a reason, starts, ends, counts.
fn event(key: &SigningKey, sequence: u64) -> (Event, Detail) {
    let activation = ActivationId::from_random([9; 16]);
    let at = Timestamp::from_seconds(1_795_000_000);
    let because = Detail {
        name: Some("Ada Lovelace".into()),
        mail: Some("ada@corp.example".into()),
        justification: Some("the till of shop 4 is stuck again, ticket and log are linked".into()),
        ticket: Some("OPS-4711".into()),
        wanted: None,
    };
    let approver = Principal::new("https://id.example/realms/corp", "9b1d77c0-grace");
    if sequence == 1 {
        let public_key = key.public_key().to_string();
        return (Event::JournalOpened { realm: REALM.into(), public_key }, Detail::default());
    }
    match sequence % 4 {
        0 => (
            Event::ActivationDecided { activation, approver, stage: 0, choice: Choice::Approve, adjusted: None },
            because,
        ),
        1 => (
            Event::ActivationStarted { activation, window: Window::new(at, at.plus(Span::hours(1))) },
            Detail::default(),
        ),
        2 => (Event::ActivationEnded { activation, ending: Ending::Expired, at }, Detail::default()),
        _ => (Event::UsesSealed { activation, count: sequence, digest: "ab".repeat(32) }, Detail::default()),
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement is told its size by the environment")]
fn records_asked_for() -> u64 {
    std::env::var("TESTS_VERIFY_RECORDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000)
}
