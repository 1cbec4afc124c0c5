//! One core's cache in front of the checks.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use serde_json::json;

use super::forge::{EC, ED, NOW, RSA, World, at, but, claims, jwks};
use crate::domain::time::Span;
use crate::identity::{AuthnError, Identities, IssuerSettings, KeySource, Settings};

fn bearing(token: &str) -> HeaderMap {
    HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).unwrap())])
}

fn lookups(world: &World) -> (u64, u64) {
    let text = world.metrics.encode();
    let count = |result: &str| {
        let start = format!("hallpass_cache_lookups_total{{cache=\"tokens\",result=\"{result}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&start)).unwrap().parse().unwrap()
    };
    (count("hit"), count("miss"))
}

#[tokio::test]
async fn a_token_is_verified_once_and_remembered_until_it_ends() {
    let world = World::new(&[&EC]);
    let core = Identities::new(world.authenticator.clone(), 100);
    let headers = bearing(&EC.token(&claims()));
    let first = core.identify(&headers, at(NOW)).await.unwrap().unwrap();
    let second = core.identify(&headers, at(NOW + 3599)).await.unwrap().unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &second));
    assert_eq!(lookups(&world), (1, 1));
    let after = core.identify(&headers, at(NOW + 3600)).await;
    assert_eq!(after, Err(AuthnError::InvalidToken("expired")));
    assert_eq!(core.identify(&HeaderMap::new(), at(NOW)).await, Ok(None));
    let basic = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Basic YTpi"))]);
    assert_eq!(core.identify(&basic, at(NOW)).await, Err(AuthnError::AmbiguousCredential));
    assert_eq!(world.authenticator.authenticate(&headers, at(NOW)), Ok(Some(first)));
    assert_eq!(world.authenticator.authenticate(&basic, at(NOW)), Err(AuthnError::AmbiguousCredential));
}

#[tokio::test]
async fn bad_tokens_evict_nobody() {
    let world = World::new(&[&ED]);
    let core = Identities::new(world.authenticator.clone(), 1);
    let good = bearing(&ED.token(&claims()));
    core.identify(&good, at(NOW)).await.unwrap();
    for number in 0..200 {
        let token = ED.token(&but(&json!({"jti":number})));
        let broken = format!("{}A{}", token.get(..40).unwrap(), token.get(41..).unwrap());
        assert!(core.identify(&bearing(&broken), at(NOW)).await.is_err());
    }
    core.identify(&good, at(NOW)).await.unwrap();
    assert_eq!(lookups(&world), (1, 201));
}

#[tokio::test]
async fn what_was_remembered_falls_with_the_keys() {
    let mut world = World::new(&[&EC, &RSA]);
    let core = Identities::new(world.authenticator.clone(), 100);
    let headers = bearing(&EC.token(&claims()));
    core.identify(&headers, at(NOW)).await.unwrap();

    world.write_keys(&jwks(&[&RSA]));
    assert!(core.identify(&headers, at(NOW)).await.is_ok(), "the file was not read yet");
    world.refresher.pass().await;
    world.manual.advance(Span::seconds(10));
    world.refresher.pass().await;
    let refused = core.identify(&headers, world.clock.now()).await;
    assert_eq!(refused, Err(AuthnError::InvalidToken("no key of the issuer is the one it names")));
    assert!(core.identify(&bearing(&RSA.token(&claims())), world.clock.now()).await.is_ok());
}

#[tokio::test]
async fn what_was_remembered_falls_with_the_issuers() {
    let world = World::new(&[&EC]);
    let core = Identities::new(world.authenticator.clone(), 100);
    let headers = bearing(&EC.token(&but(&json!({"groups":["dev"],"roles":["ops"]}))));
    let names = |identity: &crate::domain::identity::Identity| {
        identity.groups.iter().map(|group| group.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&core.identify(&headers, at(NOW)).await.unwrap().unwrap()), ["dev"]);

    let before = world.authenticator.generation();
    let mut remapped = world.settings();
    remapped.claims.groups = "roles".into();
    world.authenticator.reload(Settings { issuers: vec![remapped] }).unwrap();
    assert!(before < world.authenticator.generation());
    assert_eq!(names(&core.identify(&headers, at(NOW)).await.unwrap().unwrap()), ["ops"]);

    let other = IssuerSettings { audiences: vec!["other".to_owned()], ..world.settings() };
    world.authenticator.reload(Settings { issuers: vec![other] }).unwrap();
    assert_eq!(core.identify(&headers, at(NOW)).await, Err(AuthnError::InvalidToken("meant for another audience")));

    let broken = IssuerSettings { keys: KeySource::File("/nowhere/keys.json".into()), ..world.settings() };
    let generation = world.authenticator.generation();
    assert!(world.authenticator.reload(Settings { issuers: vec![broken] }).is_err());
    assert_eq!(generation, world.authenticator.generation(), "a reload that fails changes nothing");

    world.authenticator.reload(Settings::default()).unwrap();
    assert!(core.identify(&headers, at(NOW)).await.is_err());
}

#[tokio::test]
async fn many_new_tokens_at_once_all_get_their_turn() {
    let world = World::new(&[&ED]);
    let core = Identities::new(world.authenticator.clone(), 1000);
    let all: Vec<_> = (0..300).map(|number| bearing(&ED.token(&but(&json!({"jti":number}))))).collect();
    let asked = all.iter().map(|headers| core.identify(headers, at(NOW)));
    assert!(futures_util::future::join_all(asked).await.iter().all(Result::is_ok));
}
