//! Keys that come, change, age and stay away.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::forge::{EC, ED, ISSUER, NEVER, NOW, RSA, Signer, World, at, but, claims, jwks, soon};
use super::server::{Manner, Server};
use crate::domain::time::{Span, Timestamp};
use crate::identity::{AuthnError, IssuerSettings, KeySource, Settings};

fn from_url(server: &Server) -> World {
    let keys = KeySource::Url(server.keys_url());
    let issuer = IssuerSettings::new("demo", ISSUER, vec!["hallpass".to_owned()], keys);
    World::of(Settings { issuers: vec![issuer] }, tempfile::tempdir().unwrap())
}

fn living_until(end: i64, signer: &Signer) -> String {
    signer.token(&but(&json!({"exp":end,"iat":end - 3600})))
}

#[tokio::test]
async fn keys_come_in_the_background_and_are_renewed_at_half_life() {
    let server = Server::start(Manner::FreshFor(7200, jwks(&[&EC]))).await;
    let mut world = from_url(&server);
    assert_eq!(world.verify(&EC.token(&claims())), Err(AuthnError::KeysUnavailable));
    world.refuses(&EC.token(&but(&json!({"aud":"other"}))), "audience");

    assert_eq!(world.refresher.pass().await, at(NOW + 3600));
    assert!(world.verify(&EC.token(&claims())).is_ok());
    world.manual.set(at(NOW + 3599));
    world.refresher.pass().await;
    assert_eq!(server.asked(), 1);

    let generation = world.authenticator.generation();
    world.manual.set(at(NOW + 3600));
    server.behave(Manner::FreshFor(1, jwks(&[&EC])));
    assert_eq!(world.refresher.pass().await, at(NOW + 3600 + 150), "five minutes is the least");
    assert_eq!((server.asked(), world.authenticator.generation()), (2, generation), "the same keys change nothing");

    server.behave(Manner::FreshFor(9_999_999, jwks(&[&RSA])));
    world.manual.set(at(NOW + 4000));
    assert_eq!(world.refresher.pass().await, at(NOW + 4000 + 12 * 3600), "a day is the most");
    assert!(generation < world.authenticator.generation());
    world.refuses(&living_until(NOW + 5000, &EC), "no key");
    assert!(world.verify(&living_until(NOW + 5000, &RSA)).is_ok());
    let text = world.metrics.encode();
    assert!(text.contains(r#"hallpass_jwks_refresh_total{issuer="demo",result="ok"} 3"#), "{text}");
    world.manual.advance(Span::seconds(42));
    let text = world.metrics.encode();
    assert!(text.contains(r#"hallpass_jwks_age_seconds{issuer="demo"} 42.0"#), "{text}");
}

#[tokio::test]
async fn a_flood_of_unknown_keys_gives_one_refresh_in_thirty_seconds() {
    let server = Server::start(Manner::Answers(jwks(&[&EC]))).await;
    let mut world = from_url(&server);
    world.refresher.pass().await;
    let stranger = Signer::ed("stranger");
    for second in 1..=60 {
        world.manual.set(at(NOW + second));
        for number in 0..20 {
            world.refuses(&stranger.token(&but(&json!({"jti":number}))), "no key");
        }
        let next = world.refresher.pass().await;
        assert!(next <= world.clock.now().plus(Span::minutes(30)), "wishes put nothing off");
        let expected = 1 + usize::from(30 <= second) + usize::from(60 <= second);
        assert_eq!(server.asked(), expected, "after {second} s");
    }
    for second in 61..=120 {
        world.manual.set(at(NOW + second));
        world.refresher.pass().await;
    }
    assert_eq!(server.asked(), 3, "a wish is granted once");
    // and brings the new key
    server.behave(Manner::Answers(jwks(&[&EC, &stranger])));
    world.refuses(&stranger.token(&claims()), "no key");
    world.refresher.pass().await;
    assert!(world.verify(&stranger.token(&claims())).is_ok());
}

#[tokio::test]
async fn the_last_good_keys_serve_until_they_are_too_old() {
    let server = Server::start(Manner::Answers(jwks(&[&EC]))).await;
    let mut world = from_url(&server);
    world.refresher.pass().await;
    let core = crate::identity::Identities::new(world.authenticator.clone(), 10);
    let day = 24 * 3600;
    for (number, (manner, result)) in [
        (Manner::NeverAnswers, "timeout"),
        (Manner::NeverEnds, "timeout"),
        (Manner::SendsTooMuch, "too_large"),
        (Manner::Redirects, "status"),
        (Manner::Fails, "status"),
        (Manner::Answers(String::new()), "keys"),
        (Manner::Answers(r#"{"keys":[]}"#.to_owned()), "keys"),
        (Manner::Answers("<html>".to_owned()), "keys"),
    ]
    .into_iter()
    .enumerate()
    {
        let second = NOW + 3600 * (i64::try_from(number).unwrap() + 1);
        world.manual.set(at(second));
        server.behave(manner.clone());
        // only those who would never answer are given up
        world.refresher.fetcher.timeout = if result == "timeout" { Duration::from_millis(100) } else { NEVER };
        let next = world.refresher.pass().await;
        assert!(next <= at(second + 30), "{manner:?} is tried again soon");
        assert!(world.verify(&living_until(second + 60, &EC)).is_ok(), "{manner:?}");
        let line = format!("hallpass_jwks_refresh_total{{issuer=\"demo\",result=\"{result}\"}}");
        assert!(world.metrics.encode().contains(&line), "{manner:?}");
    }
    assert!(server.asked() < 100, "redirects are not followed");
    server.stop().await;
    world.manual.set(at(NOW + day - 1));
    world.refresher.pass().await;
    let headers = http::HeaderMap::from_iter([(
        http::header::AUTHORIZATION,
        http::HeaderValue::from_str(&format!("Bearer {}", living_until(NOW + day + 60, &EC))).unwrap(),
    )]);
    assert!(core.identify(&headers, world.clock.now()).await.is_ok());
    assert!(world.metrics.encode().contains(r#"result="unreachable""#));

    world.manual.set(at(NOW + day));
    assert_eq!(world.verify(&living_until(NOW + day + 60, &EC)), Err(AuthnError::KeysUnavailable));
    let remembered = core.identify(&headers, world.clock.now()).await;
    assert_eq!(remembered, Err(AuthnError::KeysUnavailable), "also what was remembered");
}

#[tokio::test]
async fn a_file_is_read_again_and_ages_only_once_it_is_bad() {
    let mut world = World::new(&[&EC]);
    world.refresher.pass().await;
    world.manual.set(at(NOW + 400 * 24 * 3600));
    let end = NOW + 400 * 24 * 3600 + 60;
    assert!(world.verify(&living_until(end, &EC)).is_ok(), "a good file does not age");
    world.refresher.pass().await;

    world.remove_keys();
    world.manual.advance(Span::seconds(10));
    world.refresher.pass().await;
    assert!(world.verify(&living_until(end, &EC)).is_ok());
    world.manual.advance(Span::hours(24));
    world.refresher.pass().await;
    assert_eq!(world.verify(&living_until(end + 86_400, &EC)), Err(AuthnError::KeysUnavailable));

    world.write_keys(&jwks(&[&ED]));
    world.manual.advance(Span::seconds(30));
    world.refresher.pass().await;
    assert!(world.verify(&living_until(end + 86_400, &ED)).is_ok());
    world.refuses(&living_until(end + 86_400, &EC), "no key");
}

#[tokio::test]
async fn discovery_leads_to_the_keys_of_its_own_issuer() {
    let server = Server::start(Manner::Answers(jwks(&[&EC]))).await;
    let issuer = server.origin.clone();
    let settings = IssuerSettings::new("demo", &issuer, vec!["hallpass".to_owned()], KeySource::Discovery);
    let mut world = World::of(Settings { issuers: vec![settings] }, tempfile::tempdir().unwrap());
    let token = EC.token(&but(&json!({"iss":issuer})));
    for document in [
        String::new(),
        json!({"issuer":"https://evil.example","jwks_uri":server.keys_url()}).to_string(),
        json!({"issuer":issuer,"jwks_uri":"http://keys.example/"}).to_string(),
        json!({"issuer":issuer}).to_string(),
    ] {
        server.discovery(document.clone());
        world.manual.advance(Span::seconds(30));
        world.refresher.pass().await;
        assert_eq!(world.verify(&token), Err(AuthnError::KeysUnavailable), "{document}");
    }
    assert_eq!(server.asked(), 0);
    server.discovery(json!({"issuer":issuer,"jwks_uri":server.keys_url()}).to_string());
    world.manual.advance(Span::seconds(30));
    world.refresher.pass().await;
    assert!(world.verify(&token).is_ok());
}

#[tokio::test]
async fn a_reload_keeps_fetched_keys_where_their_source_stays() {
    let server = Server::start(Manner::Answers(jwks(&[&EC]))).await;
    let mut world = from_url(&server);
    world.refresher.pass().await;
    let keys = KeySource::Url(server.keys_url());
    let mut settings = IssuerSettings::new("renamed", ISSUER, vec!["hallpass".to_owned()], keys);
    world.authenticator.reload(Settings { issuers: vec![settings.clone()] }).unwrap();
    assert!(world.verify(&EC.token(&claims())).is_ok());
    settings.keys = KeySource::Url(format!("{}?moved", server.keys_url()));
    world.authenticator.reload(Settings { issuers: vec![settings] }).unwrap();
    assert_eq!(world.verify(&EC.token(&claims())), Err(AuthnError::KeysUnavailable));
    world.refresher.pass().await;
    assert!(world.verify(&EC.token(&claims())).is_ok());
}

#[tokio::test]
async fn the_task_fetches_grants_wishes_follows_reloads_and_stops() {
    let server = Server::start(Manner::Answers(jwks(&[&EC]))).await;
    let World { authenticator, refresher, manual, clock, .. } = from_url(&server);
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    tasks.spawn(refresher.run(stop.clone()));
    let holds = async |token: &str| {
        soon(async {
            loop {
                if let Ok(identity) = authenticator.verify(token, clock.now()) {
                    return identity.ends_at;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    };
    server.was_asked(1).await;
    let end: Timestamp = at(NOW + 3600);
    assert_eq!(holds(&EC.token(&claims())).await, end);

    // a wish alone wakes the task, once its thirty seconds are over
    server.behave(Manner::Answers(jwks(&[&EC, &ED])));
    manual.set(at(NOW + 30));
    assert_eq!(holds(&ED.token(&claims())).await, end);
    assert_eq!(server.asked(), 2);

    // a new source is fetched at once
    let keys = KeySource::Url(format!("{}?moved", server.keys_url()));
    let settings = IssuerSettings::new("demo", ISSUER, vec!["hallpass".to_owned()], keys);
    authenticator.reload(Settings { issuers: vec![settings] }).unwrap();
    assert_eq!(holds(&ED.token(&claims())).await, end);
    assert_eq!(server.asked(), 3);

    stop.cancel();
    tasks.join_next().await.unwrap().unwrap();
}
