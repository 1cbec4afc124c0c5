//! What is sealed is all there is, whatever fails meanwhile.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use super::*;
use crate::clock::ManualClock;
use crate::domain::activation::{Ending, Requested};
use crate::domain::assignment::{Assignment, AssignmentKind, Origin};
use crate::domain::event::{Actor, Detail, Event};
use crate::domain::id::{AssignmentId, CommandId};
use crate::domain::principal::Principal;
use crate::domain::role::RoleId;
use crate::domain::standing::Position;
use crate::domain::time::{Timestamp, Window};
use crate::journal::SigningKey;
use crate::standings::Standings;
use crate::store::tests::disk::{Disk, Trouble};
use crate::store::{Header, Opened, RecordFilter, open_backend};
use crate::telemetry::Metrics;
use crate::uses::{self, Taken, Use, UseRecorder, UsesUnavailable};
use crate::writer;

/// A journal in which ada's activation has ended, uses on a disk that can be told to fail, and who seals them.
struct World {
    sealing: Sealing,
    recorder: UseRecorder,
    disk: Disk,
    journal: Disk,
    clock: ManualClock,
    _threads: (uses::Running, writer::Running),
}

impl World {
    fn new() -> Self {
        let (clock, manual) = Clock::manual(at(0));
        let journal = Disk::new();
        let key = SigningKey::generate().unwrap().0;
        let Opened { reader, mut appender } = open_backend(journal.clone(), key, at(0)).unwrap();
        let role: RoleId = "shop/vault".parse().unwrap();
        let eligible = Assignment {
            id: AssignmentId::from_random([1; 16]),
            kind: AssignmentKind::Eligible,
            role: role.clone(),
            party: ada().into(),
            window: Window::permanent(at(0)),
            origin: Origin::Administrator,
            ended: None,
        };
        let requested = Event::ActivationRequested {
            activation: id(),
            principal: ada(),
            role,
            eligibility: eligible.id,
            via: None,
            requested: Requested { starts_at: None, duration: Span::minutes(1) },
            lapses_at: at(3600),
            terms: Box::new(crate::store::tests::terms(Vec::new())),
        };
        let started = Event::ActivationStarted { activation: id(), window: Window::new(at(1), at(61)) };
        let ended = Event::ActivationEnded { activation: id(), ending: Ending::Expired, at: at(61) };
        for (time, event) in [
            (at(1), Event::AssignmentMade { assignment: eligible }),
            (at(1), requested),
            (at(1), started),
            (at(61), ended),
        ] {
            let command = CommandId::from_random([0; 16]);
            let header = Header { command, time, actor: Actor::Hallpass, idempotency: None };
            let mut transaction = appender.begin().unwrap();
            transaction.append(&header, &[event], &Detail::default()).unwrap();
            transaction.commit().unwrap();
        }
        manual.set(at(61));
        let metrics = Metrics::default();
        let standings = Standings::new(reader.clone(), 100).unwrap();
        let settings =
            writer::Settings { policies: Arc::default(), clock_behind_max: Duration::from_secs(5), aside: Vec::new() };
        let (writer, writing) = writer::start(appender, standings, clock.clone(), settings, &metrics).unwrap();
        let disk = Disk::new();
        let at_once = uses::Settings { gather_for: Duration::ZERO };
        let (recorder, uses, recording) = uses::start_on(&disk, at_once, &metrics);
        let sealing = Sealing { uses, closing: recorder.closing(), reader, writer, clock };
        Self { sealing, recorder, disk, journal, clock: manual, _threads: (recording, writing) }
    }

    fn take(&self) -> Result<Taken, UsesUnavailable> {
        self.recorder.try_record(&Use {
            activation: id(),
            principal: ada(),
            at: at(60),
            request_id: "r".into(),
            method: "GET".into(),
            host: "shop.example".into(),
            path: "/vault".into(),
            route: "vault".into(),
        })
    }

    /// What the journal says of how often it was used.
    fn sealed(&self) -> Vec<u64> {
        let records = self.sealing.reader.records(&RecordFilter::default(), Position(0), 100).unwrap();
        let count = |event: &Event| match event {
            Event::UsesSealed { count, .. } => Some(*count),
            _ => None,
        };
        records.iter().filter_map(|record| count(&record.event)).collect()
    }

    /// Everything there is was sealed, as it is.
    fn is_whole(&self, count: u64) {
        assert_eq!(self.sealed(), [count]);
        let all = self.sealing.uses.recount(id()).unwrap().unwrap();
        assert_eq!(all.count, count, "what a check of the store compares");
        assert_eq!(self.sealing.uses.snapshot().unwrap().unsealed().unwrap(), []);
        assert_eq!(self.take(), Err(UsesUnavailable), "and there will be no more");
    }
}

#[tokio::test]
async fn nothing_is_sealed_while_uses_cannot_be_written_and_all_of_it_afterwards() {
    let world = World::new();
    assert_eq!(world.take(), Ok(Taken::Yes));
    world.recorder.closing().close(Vec::new(), at(61)).await.unwrap();
    world.clock.set(at(66));
    {
        let _held = world.disk.hold();
        assert_eq!(world.take(), Ok(Taken::Yes), "let pass just before the end");
        world.disk.suffer(Trouble::Full);
    }
    world.recorder.health().becomes(Keeping::Out).await;
    world.sealing.look().await.unwrap();
    assert!(world.sealed().is_empty());
    world.disk.suffer(Trouble::None);
    world.recorder.health().becomes(Keeping::Kept).await;
    world.sealing.look().await.unwrap();
    world.is_whole(2);
    world.sealing.look().await.unwrap();
    world.is_whole(2);
}

#[tokio::test]
async fn a_seal_waits_for_what_was_taken_before() {
    let world = World::new();
    assert_eq!(world.take(), Ok(Taken::Yes));
    world.recorder.closing().close(Vec::new(), at(61)).await.unwrap();
    world.clock.set(at(65));
    world.sealing.look().await.unwrap();
    assert!(world.sealed().is_empty(), "not at once");
    world.clock.set(at(66));
    assert_eq!(world.sealing.ended().unwrap(), [id()]);
    let held = world.disk.hold();
    assert_eq!(world.take(), Ok(Taken::Yes));
    let closing = world.sealing.closing.clone();
    let mut close = pin!(closing.close(vec![id()], at(66)));
    assert!(close.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(held);
    world.sealing.look().await.unwrap();
    world.is_whole(2);
}

#[tokio::test]
async fn a_look_that_fails_is_followed_by_the_next() {
    let world = World::new();
    assert_eq!(world.take(), Ok(Taken::Yes));
    // it is written, or the first look would find nothing to fail with
    world.recorder.closing().close(Vec::new(), at(61)).await.unwrap();
    world.clock.set(at(66));
    world.journal.suffer(Trouble::Writing);
    let health = world.sealing.writer.health().clone();
    let story = async {
        while health.takes_commands() {
            tokio::task::yield_now().await;
        }
        world.journal.suffer(Trouble::None);
        while !health.takes_commands() {
            // until the store is tried again
            world.clock.rest(Span::minutes(1));
            tokio::task::yield_now().await;
        }
        assert!(world.sealed().is_empty());
        while world.sealed().is_empty() {
            world.clock.advance(SEAL_AFTER);
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = world.sealing.clone().run(CancellationToken::new()) => {}
        () = story => {}
    }
    assert_eq!(world.sealed(), [1]);
}

#[tokio::test]
async fn what_panics_is_an_error() {
    let panics = beside(|| -> Result<(), StoreError> { panic!("over damaged pages") }).await;
    assert_eq!(panics.unwrap_err().to_string(), "it ended in a panic");
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_795_000_000 + seconds)
}

fn id() -> ActivationId {
    ActivationId::from_random([7; 16])
}

fn ada() -> Principal {
    Principal::new("https://id.example", "ada")
}
