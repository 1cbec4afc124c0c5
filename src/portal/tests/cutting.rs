//! Files and verifications that run while old records are cut.

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt as _;
use http::Request;
use tower::ServiceExt;

use super::world::{ROOT, World};
use crate::domain::event::Detail;
use crate::domain::time::Span;
use crate::journal::{Digest, export, verify};
use crate::portal::verification::{State, Verification};
use crate::store::{KEPT, Planned, Wanted};

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

/// Cuts so many records; whether there were any to cut.
async fn cut(world: &World, records_max: u64) -> bool {
    let (reader, now) = (&world.portal.shared.parts.reader, world.portal.shared.parts.clock.now());
    let wanted = Wanted { records_max, ..Wanted::before(now.minus(KEPT), now) };
    let snapshot = reader.snapshot().unwrap();
    let Planned::Cut(plan) = snapshot.plan_cut(&wanted, &mut |_, _| {}).unwrap() else { return false };
    world.writer.cut(plan, Digest::of(&[]), Detail::default()).await.unwrap();
    true
}

#[tokio::test]
async fn an_export_that_lacks_what_was_cut_meanwhile_breaks_off_and_a_backup_does_not() {
    let world = old().await;
    for path in ["/api/v1/audit/export", "/api/v1/audit/export?format=csv", "/api/v1/audit/export?principal=demo:ada"] {
        let mut pieces = begun(&world, path).await;
        assert!(pieces.next().await.unwrap().is_ok(), "{path} has begun");
        // what has gone out already may go
        assert!(cut(&world, 100).await);
        assert!(pieces.next().await.unwrap().is_ok(), "{path} has what was cut");
    }
    let mut backup = begun(&world, "/api/v1/backup").await;
    assert!(backup.next().await.unwrap().is_ok());
    let mut pieces = begun(&world, "/api/v1/audit/export").await;
    assert!(pieces.next().await.unwrap().is_ok());
    assert!(cut(&world, u64::MAX).await);
    assert!(pieces.next().await.is_some_and(|piece| piece.is_err()), "there would be a gap in it");
    assert!(pieces.next().await.is_none());
    let rest: Vec<_> = backup.collect().await;
    assert!(!rest.is_empty() && rest.iter().all(Result::is_ok), "it is of one moment");

    let again = begun(&world, "/api/v1/audit/export").await.map(Result::unwrap).collect::<Vec<_>>().await.concat();
    let root = world.portal.shared.parts.reader.public_key();
    let verified = verify::verify(export::read_json_lines(&again[..]), &root, None).unwrap();
    assert_eq!(verified.tip.sequence, world.portal.shared.parts.reader.head().unwrap().position.0);
}

#[tokio::test]
async fn a_journal_that_is_cut_while_it_is_verified_is_whole() {
    let world = old().await;
    let parts = &world.portal.shared.parts;
    let verification = Verification::new();
    let mut rounds = 0;
    loop {
        verification.begin(parts.reader.clone(), parts.clock.clone(), world.stop.clone()).unwrap();
        let goes_on = cut(&world, 70).await;
        let ended = loop {
            match verification.state() {
                State::Running { .. } => tokio::task::yield_now().await,
                ended => break ended,
            }
        };
        assert!(matches!(ended, State::Whole { .. }), "{ended:?}");
        rounds += 1;
        if !goes_on {
            break;
        }
    }
    assert!(rounds > 10, "{rounds} rounds");
}
