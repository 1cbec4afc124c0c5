//! The journal's cost: a durable command, a group of a hundred, a standing, a page of past activations.

#![expect(clippy::unwrap_used, reason = "a bench that cannot begin has nothing to measure")]

#[path = "../tests/fixtures/terms.rs"]
mod terms;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use hallpass::domain::activation::{Ending, Requested};
use hallpass::domain::assignment::{Assignment, AssignmentKind, Origin};
use hallpass::domain::event::{Actor, Detail, Event};
use hallpass::domain::id::{ActivationId, AssignmentId, CommandId};
use hallpass::domain::identity::Assurance;
use hallpass::domain::policy::{ExtensionRule, Terms};
use hallpass::domain::principal::{Party, Principal};
use hallpass::domain::time::{Span, Timestamp, Window};
use hallpass::store::{self, ActivationFilter, Appender, Header, Opened, RecordFilter, Settings};

const PAST: u32 = 20_000;

/// Commands of one person, each with ids of its own.
struct Commands {
    drawn: u32,
}

impl Commands {
    fn draw(&mut self) -> [u8; 16] {
        self.drawn += 1;
        let mut bits = [0; 16];
        bits[..4].copy_from_slice(&self.drawn.to_be_bytes());
        bits
    }

    fn request(&mut self) -> (Header, Event, Detail) {
        let detail =
            Detail { justification: Some("the till is stuck again, see the ticket".into()), ..Detail::default() };
        let event = Event::ActivationRequested {
            activation: ActivationId::from_random(self.draw()),
            principal: ada(),
            role: "shop/vault".parse().unwrap(),
            eligibility: AssignmentId::from_random([1; 16]),
            via: None,
            requested: Requested { starts_at: None, duration: Span::hours(1) },
            lapses_at: at(86_400),
            terms: Box::new(terms()),
        };
        (self.header(), event, detail)
    }

    fn header(&mut self) -> Header {
        let actor = Actor::Principal { principal: ada(), assurance: Assurance::default() };
        Header { command: CommandId::from_random(self.draw()), time: at(1), actor, idempotency: None }
    }
}

fn terms() -> Terms {
    let boss = Principal::new("https://id.example", "boss");
    Terms { extension: ExtensionRule::None, ..terms::approved_by(boss) }
}

fn ada() -> Principal {
    Principal::new("https://id.example", "ada")
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_795_000_000 + seconds)
}

/// A request, and its withdrawal: the store ends as it began, but for what is past.
fn past_activation(appender: &mut Appender, commands: &mut Commands, count: u32) {
    let mut transaction = appender.begin().unwrap();
    for _ in 0..count {
        let (header, event, detail) = commands.request();
        let activation = event.activation().unwrap();
        let ended = Event::ActivationEnded { activation, ending: Ending::Cancelled, at: at(1) };
        transaction.append(&header, &[event, ended], &detail).unwrap();
    }
    transaction.commit().unwrap();
}

fn journal(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { path: folder.path().join("store.redb"), key_path: folder.path().join("key") };
    let Opened { reader, mut appender } = store::open(&settings, at(0)).unwrap();
    let mut commands = Commands { drawn: 0 };
    let mut transaction = appender.begin().unwrap();
    for number in 1..=5_u8 {
        let assignment = Assignment {
            id: AssignmentId::from_random([number; 16]),
            kind: AssignmentKind::Eligible,
            role: format!("shop/role-{number}").parse().unwrap(),
            party: ada().into(),
            window: Window::permanent(at(0)),
            origin: Origin::Administrator,
            ended: None,
        };
        let header = commands.header();
        transaction.append(&header, &[Event::AssignmentMade { assignment }], &Detail::default()).unwrap();
    }
    transaction.commit().unwrap();

    criterion.bench_function("durable commit of one command", |bench| {
        bench.iter_batched(
            || commands.request(),
            |(header, event, detail)| {
                let mut transaction = appender.begin().unwrap();
                let ended = Event::ActivationEnded {
                    activation: event.activation().unwrap(),
                    ending: Ending::Cancelled,
                    at: at(1),
                };
                transaction.append(&header, &[event, ended], &detail).unwrap();
                transaction.commit().unwrap()
            },
            BatchSize::PerIteration,
        );
    });
    criterion.bench_function("durable commit of a hundred commands", |bench| {
        bench.iter(|| past_activation(&mut appender, &mut commands, 100));
    });
    let party = Party::from(ada());
    criterion.bench_function("standing", |bench| bench.iter(|| reader.standing(black_box(&party)).unwrap()));

    for _ in 0..PAST / 1000 {
        past_activation(&mut appender, &mut commands, 1000);
    }
    let filter = ActivationFilter { principal: Some(ada()), ..ActivationFilter::default() };
    criterion.bench_function("page of 100 past activations", |bench| {
        bench.iter(|| reader.activations(black_box(&filter), None, 100).unwrap());
    });
    let filter = RecordFilter { principal: Some(ada()), ..RecordFilter::default() };
    let head = reader.head().unwrap().position;
    let after = hallpass::domain::standing::Position(head.0 / 2);
    criterion.bench_function("page of 100 records", |bench| {
        bench.iter(|| reader.records(black_box(&filter), after, 100).unwrap());
    });
    drop((reader, appender));
    criterion.bench_function("open", |bench| bench.iter(|| store::open(&settings, at(2)).unwrap()));
}

criterion_group!(benches, journal);
criterion_main!(benches);
