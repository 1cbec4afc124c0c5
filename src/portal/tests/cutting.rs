//! Files and verifications that run while old records are cut.

use std::sync::MutexGuard;

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt as _;
use http::Request;
use tower::ServiceExt;

use super::world::{ROOT, World};
use crate::domain::event::Detail;
use crate::domain::time::Span;
use crate::journal::{Digest, export, verify};
use crate::portal::verification::{State, Verification};
use crate::store::{KEPT, Plan, Planned, Wanted};

/// A portal with more old records than two pieces of a file hold, and the present days later.
async fn old() -> World {
    let world = World::new().await;
    let mut records = 0;
    while records < 1600 {
        records += world.ada_has_the_till_for_a_moment().await;
    }
    world.clock.advance(Span::days(3));
    world
}

async fn begun(world: &World, path: &str) -> BodyDataStream {
    let request = world.request(Some(&ROOT), http::Method::GET, path).body(Body::empty()).unwrap();
    let response = world.router.clone().oneshot(request as Request<Body>).await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    response.into_body().into_data_stream()
}

/// So many of the old records, when there are any.
fn planned(world: &World, records_max: u64) -> Option<Box<Plan>> {
    let (reader, now) = (&world.portal.shared.parts.reader, world.portal.shared.parts.clock.now());
    let wanted = Wanted { records_max, ..Wanted::before(now.minus(KEPT), now) };
    let snapshot = reader.snapshot().unwrap();
    match snapshot.plan_cut(&wanted, &mut |_, _| {}).unwrap() {
        Planned::Cut(plan) => Some(plan),
        Planned::Nothing(_) => None,
    }
}

async fn cut(world: &World, records_max: u64) {
    let plan = planned(world, records_max).unwrap();
    world.writer.cut(plan, Digest::of(&[]), Detail::default()).await.unwrap();
}

#[tokio::test]
async fn an_export_that_lacks_what_was_cut_meanwhile_breaks_off_and_a_backup_does_not() {
    let world = old().await;
    for path in ["/api/v1/audit/export", "/api/v1/audit/export?format=csv", "/api/v1/audit/export?principal=demo:ada"] {
        let mut pieces = begun(&world, path).await;
        assert!(pieces.next().await.unwrap().is_ok(), "{path} has begun");
        // what has gone out already may go
        cut(&world, 100).await;
        assert!(pieces.next().await.unwrap().is_ok(), "{path} has what was cut");
    }
    let mut backup = begun(&world, "/api/v1/backup").await;
    assert!(backup.next().await.unwrap().is_ok());
    let mut pieces = begun(&world, "/api/v1/audit/export").await;
    assert!(pieces.next().await.unwrap().is_ok());
    cut(&world, u64::MAX).await;
    assert!(pieces.next().await.is_some_and(|piece| piece.is_err()), "there would be a gap in it");
    assert!(pieces.next().await.is_none());
    let rest: Vec<_> = backup.collect().await;
    assert!(!rest.is_empty() && rest.iter().all(Result::is_ok), "it is of one moment");

    let again = begun(&world, "/api/v1/audit/export").await.map(Result::unwrap).collect::<Vec<_>>().await.concat();
    let root = world.portal.shared.parts.reader.public_key();
    let verified = verify::verify(export::read_json_lines(&again[..]), &root, None).unwrap();
    assert_eq!(verified.tip.sequence, world.portal.shared.parts.reader.head().unwrap().position.0);
}

/// Begins a verification and holds it while there is much left to verify; begins anew when it was too fast for that.
fn begun_and_held<'v>(world: &World, verification: &'v Verification) -> MutexGuard<'v, State> {
    let parts = &world.portal.shared.parts;
    for _ in 0..100 {
        verification.begin(parts.reader.clone(), parts.clock.clone(), world.stop.clone()).unwrap();
        let held = verification.hold();
        if matches!(*held, State::Running { checked, .. } if checked < 1600) {
            return held;
        }
        drop(held);
        while matches!(verification.state(), State::Running { .. }) {
            std::thread::yield_now();
        }
    }
    panic!("it was never held in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_is_cut_while_it_is_verified_is_whole() {
    let world = old().await;
    let parts = &world.portal.shared.parts;
    let (plan, verification) = (planned(&world, u64::MAX).unwrap(), Verification::new());
    let cut = {
        // it is no further than a few hundred records, and all are cut
        let _held = begun_and_held(&world, &verification);
        let writer = world.writer.clone();
        tokio::task::block_in_place(|| {
            let cut = writer.cut(plan, Digest::of(&[]), Detail::default());
            tokio::runtime::Handle::current().block_on(cut)
        })
    };
    assert!(cut.is_ok(), "{cut:?}");
    let ended = loop {
        match verification.state() {
            State::Running { .. } => tokio::task::yield_now().await,
            ended => break ended,
        }
    };
    let State::Whole { head, .. } = ended else { panic!("{ended:?}") };
    assert_eq!(head.position, parts.reader.head().unwrap().position, "the record of the cut among them");
}
