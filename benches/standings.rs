//! Looking up a standing: in the shared cache, and read from the store, among ten thousand people.
#![expect(clippy::expect_used, reason = "a bench that cannot be set up has nothing to measure")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use hallpass::clock::Clock;
use hallpass::domain::assignment::{Assignment, AssignmentKind, Origin};
use hallpass::domain::event::{Actor, Detail, Event};
use hallpass::domain::id::{AssignmentId, CommandId};
use hallpass::domain::principal::{Party, Principal};
use hallpass::domain::time::Window;
use hallpass::journal::sign::SigningKey;
use hallpass::standings::Standings;
use hallpass::store::{self, Header, Reader};

const PEOPLE: usize = 10_000;

fn party(number: usize) -> Party {
    Party::Principal(Principal::new("https://id.example", &format!("person-{number}")))
}

/// A store where everybody holds a role.
fn reader() -> Reader {
    let (key, _) = SigningKey::generate().expect("a key");
    let now = Clock::system().now();
    let store::Opened { reader, mut appender } =
        store::open_backend(redb::backends::InMemoryBackend::new(), key, now).expect("a store");
    let mut batch = appender.begin().expect("a transaction");
    for number in 0..PEOPLE {
        let bits = (number as u128 + 1).to_be_bytes();
        let assignment = Assignment {
            id: AssignmentId::from_random(bits),
            kind: AssignmentKind::Active,
            role: "shop/vault".parse().expect("a role"),
            party: party(number),
            window: Window::permanent(now),
            origin: Origin::Administrator,
            ended: None,
        };
        let command = CommandId::from_random(bits);
        let header = Header { command, time: now, actor: Actor::Configuration, idempotency: None };
        batch.append(&header, &[Event::AssignmentMade { assignment }], &Detail::default()).expect("appended");
    }
    batch.commit().expect("committed");
    reader
}

fn standings(criterion: &mut Criterion) {
    let reader = reader();
    let parties: Vec<Party> = (0..PEOPLE).map(party).collect();
    let warm = Standings::new(reader.clone(), 100_000).expect("standings");
    for party in &parties {
        warm.of(party).expect("a standing");
    }
    let mut next = parties.iter().cycle();
    criterion.bench_function("standing, warm, 10,000 people", |bencher| {
        bencher.iter(|| warm.of(black_box(next.next().expect("a cycle"))).expect("a standing"));
    });
    // too small for anybody: every look reads the store
    let cold = Standings::new(reader, 0).expect("standings");
    criterion.bench_function("standing, cold, 10,000 people", |bencher| {
        bencher.iter(|| cold.of(black_box(next.next().expect("a cycle"))).expect("a standing"));
    });
    criterion.bench_function("stamp", |bencher| bencher.iter(|| black_box(&warm).stamp()));
}

criterion_group!(benches, standings);
criterion_main!(benches);
