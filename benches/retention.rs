//! For how long retention keeps the writer from taking commands: cuts of so many records each, in a journal of
//! `TESTS_RETENTION_RECORDS` (100,000 when it does not say) with as many assignments as it has cases.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement tells what it found")]

#[path = "../tests/fixtures/terms.rs"]
mod terms;

use std::time::Duration;

use hallpass::clock::awake;
use hallpass::domain::activation::{Choice, Ending, Requested};
use hallpass::domain::assignment::{Assignment, AssignmentKind, Origin};
use hallpass::domain::event::{Actor, Detail, Event};
use hallpass::domain::id::{ActivationId, AssignmentId, CommandId};
use hallpass::domain::principal::Principal;
use hallpass::domain::time::{Span, Timestamp, Window};
use hallpass::journal::Digest;
use hallpass::store::{self, Appender, Header, Opened, Planned, Settings, Wanted};

/// A case is requested, decided, started, ended, sealed; and somebody is assigned.
const RECORDS_PER_CASE: u64 = 6;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { path: folder.path().join("store"), key_path: folder.path().join("key") };
    let Opened { reader, mut appender } = store::open(&settings, at(0)).unwrap();
    let cases = records_asked_for() / RECORDS_PER_CASE;
    let began = awake();
    for first in (0..cases).step_by(1000) {
        write(&mut appender, first, (first + 1000).min(cases));
    }
    let length = settings.path.metadata().unwrap().len() >> 20;
    let written = reader.head().unwrap().position.0;
    println!("wrote {written} records, {length} MiB, in {:.1} s", seconds(awake().duration_since(began)));
    let now = at(cases + 1).plus(Span::days(100));
    for records_max in [1_000, 2_000, 5_000, 10_000, 20_000, 5_000, 5_000] {
        let began = awake();
        let snapshot = reader.snapshot().unwrap();
        let wanted = Wanted { records_max, ..Wanted::before(now, now) };
        let Planned::Cut(plan) = snapshot.plan_cut(&wanted, &mut |_, _| {}).unwrap() else { return };
        let planned = awake();
        let mut archive = Vec::new();
        snapshot.write_archive(&plan, &mut archive, &mut |_, _| {}).unwrap();
        drop(snapshot);
        let (digest, archived) = (Digest::of(&[&archive]), awake());
        appender.cut(&plan, digest, now, (Actor::Hallpass, &Detail::default())).unwrap();
        println!(
            "{:>6} records, {} cases: planned in {:.3} s, archived in {:.3} s ({} KiB), cut in {:.3} s",
            plan.records,
            plan.cases.len(),
            seconds(planned.duration_since(began)),
            seconds(archived.duration_since(planned)),
            archive.len() >> 10,
            seconds(awake().duration_since(archived)),
        );
    }
    reader.check_rows().unwrap();
}

fn seconds(span: Duration) -> f64 {
    span.as_secs_f64()
}

fn at(minutes: u64) -> Timestamp {
    Timestamp::from_seconds(1_600_000_000).plus(Span::minutes(minutes))
}

fn bits(kind: u8, number: u64) -> [u8; 16] {
    // spread as random ids are
    let digest = Digest::of(&[&[kind], &number.to_be_bytes()]).0;
    *digest.first_chunk().unwrap()
}

/// Commits these cases.
fn write(appender: &mut Appender, first: u64, end: u64) {
    let mut transaction = appender.begin().unwrap();
    for number in first..end {
        let (activation, person) = (ActivationId::from_random(bits(1, number)), person(number % 1000));
        let time = at(number);
        let role = "shop/vault-reader".parse().unwrap();
        let eligibility = AssignmentId::from_random(bits(2, number));
        let assignment = Assignment {
            id: eligibility,
            kind: AssignmentKind::Eligible,
            role,
            party: person.clone().into(),
            window: Window::permanent(time),
            origin: Origin::Administrator,
            ended: None,
        };
        let because = Detail {
            name: Some("Ada Lovelace".into()),
            mail: Some("ada@corp.example".into()),
            justification: Some("the till of shop 4 is stuck again, ticket and log are linked".into()),
            ticket: Some("OPS-4711".into()),
            wanted: None,
        };
        let mut append = |part: u8, detail: &Detail, event: Event| {
            let header = Header {
                command: CommandId::from_random(bits(part, number)),
                time,
                actor: Actor::Hallpass,
                idempotency: None,
            };
            transaction.append(&header, &[event], detail).unwrap();
        };
        append(3, &because, Event::AssignmentMade { assignment });
        append(4, &because, requested(activation, person, eligibility, time));
        let approver = Principal::new("https://id.example/realms/corp", "grace");
        let decided =
            Event::ActivationDecided { activation, approver, stage: 0, choice: Choice::Approve, adjusted: None };
        append(5, &because, decided);
        let window = Window::new(time, time.plus(Span::seconds(30)));
        append(6, &Detail::default(), Event::ActivationStarted { activation, window });
        let ended = Event::ActivationEnded { activation, ending: Ending::Revoked, at: time };
        append(7, &Detail::default(), ended);
        append(8, &Detail::default(), Event::UsesSealed { activation, count: 7, digest: "ab".repeat(32) });
    }
    transaction.commit().unwrap();
}

fn person(number: u64) -> Principal {
    Principal::new("https://id.example/realms/corp", &format!("4f6c2a9e-{number}"))
}

fn requested(activation: ActivationId, principal: Principal, eligibility: AssignmentId, time: Timestamp) -> Event {
    let terms = terms::approved_by(Principal::new("https://id.example/realms/corp", "grace"));
    Event::ActivationRequested {
        activation,
        principal,
        role: "shop/vault-reader".parse().unwrap(),
        eligibility,
        via: None,
        requested: Requested { starts_at: None, duration: Span::hours(1) },
        lapses_at: time.plus(Span::days(1)),
        terms: Box::new(terms),
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement is told its size by the environment")]
fn records_asked_for() -> u64 {
    std::env::var("TESTS_RETENTION_RECORDS").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000)
}
