//! Files that take a while: they end with what proved who takes them.

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt as _;
use http::{HeaderMap, Request};
use tower::ServiceExt;

use super::world::{PORTAL, ROOT, World};
use crate::domain::time::Span;
use crate::identity::{Settings, Site};

const FILES: [&str; 3] = ["/api/v1/audit/export", "/api/v1/audit/export?format=csv", "/api/v1/backup"];

/// Begins a file and reads its first piece.
async fn begun(world: &World, path: &str, who: &HeaderMap) -> BodyDataStream {
    let mut request = Request::get(path).body(Body::empty()).unwrap();
    request.headers_mut().extend(who.clone());
    let response = world.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    let mut pieces = response.into_body().into_data_stream();
    assert!(pieces.next().await.unwrap().is_ok(), "{path} has begun");
    pieces
}

/// A portal with more to take than one piece holds.
async fn full() -> World {
    let world = World::with_provider().await;
    let mut records = 0;
    while records < 1200 {
        records += world.ada_has_the_till_for_a_moment().await;
    }
    world
}

#[tokio::test]
async fn a_file_breaks_off_when_the_session_has_ended() {
    let world = full().await;
    let (site, sign_ins) = (Site::portal(PORTAL), &world.portal.shared.parts.sign_ins);
    for path in FILES {
        let who = sign_ins.let_in(&site, ROOT.subject);
        let whole: Vec<_> = begun(&world, path, &who).await.collect().await;
        assert!(!whole.is_empty() && whole.iter().all(Result::is_ok), "{path} comes whole while it holds");
        let mut pieces = begun(&world, path, &who).await;
        sign_ins.sign_out(&site, &who).await.unwrap();
        assert!(pieces.next().await.is_some_and(|piece| piece.is_err()), "{path} breaks off");
        assert!(pieces.next().await.is_none(), "{path} is over");
    }
}

#[tokio::test]
async fn a_file_breaks_off_when_the_token_is_not_accepted_or_over() {
    let world = full().await;
    for path in FILES {
        let token = format!("Bearer {}", world.token(&ROOT));
        let who = HeaderMap::from_iter([(http::header::AUTHORIZATION, token.parse().unwrap())]);
        let mut pieces = begun(&world, path, &who).await;
        world.clock.advance(Span::hours(10));
        assert!(pieces.next().await.is_some_and(|piece| piece.is_err()), "{path}: it is over");
        let token = format!("Bearer {}", world.token(&ROOT));
        let who = HeaderMap::from_iter([(http::header::AUTHORIZATION, token.parse().unwrap())]);
        let mut pieces = begun(&world, path, &who).await;
        let authenticator = &world.portal.shared.parts.authenticator;
        let issuers = world.issuers();
        authenticator.reload(Settings { issuers: Vec::new() }).unwrap();
        assert!(pieces.next().await.is_some_and(|piece| piece.is_err()), "{path}: its issuer is not believed any more");
        authenticator.reload(Settings { issuers }).unwrap();
    }
}
