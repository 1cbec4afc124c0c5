//! Notices of providers come from anybody: however many there are, they take nothing from people who are known.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use data_encoding::BASE64URL_NOPAD;
use futures_util::stream;
use http::{Request, StatusCode};
use serde_json::json;
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::world::{ADA, ISSUER, NOW, ROOT, TILL, World, id};
use crate::identity::{IssuerSettings, KeySource, Settings, SignInSettings};

impl World {
    /// With a provider that nobody reads keys from.
    pub(super) async fn with_provider() -> Self {
        let world = Self::new().await;
        let (settings, parts) = (Settings { issuers: world.issuers() }, &world.portal.shared.parts);
        parts.sign_ins.prepare(&settings).unwrap();
        parts.authenticator.reload(settings).unwrap();
        parts.sign_ins.reconsider();
        world
    }

    /// Those that [`with_provider`](Self::with_provider) believes.
    pub(super) fn issuers(&self) -> Vec<IssuerSettings> {
        let path = self.folder.path().join("jwks.json");
        let mut issuer = IssuerSettings::new("demo", ISSUER, vec!["hallpass".to_owned()], KeySource::File(path));
        issuer.sign_in = Some(SignInSettings::new("web"));
        vec![issuer]
    }
}

/// Well-formed in everything but the signature, by a key that nobody knows.
fn forged(number: usize) -> Body {
    let header = json!({"alg": "EdDSA", "kid": format!("nobody-{number}"), "typ": "logout+jwt"});
    let claims = json!({
        "iss": ISSUER, "aud": "web", "sub": "ada", "iat": NOW, "exp": NOW + 120, "jti": number.to_string(),
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    });
    let part = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let signature = BASE64URL_NOPAD.encode(&[1; 64]);
    Body::from(format!("logout_token={}.{}.{signature}", part(&header.to_string()), part(&claims.to_string())))
}

/// A few bytes, and then nothing for ever.
fn stalled() -> Body {
    let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"logout_token="))]);
    Body::from_stream(futures_util::StreamExt::chain(first, stream::pending()))
}

fn notice(body: Body) -> Request<Body> {
    let request = Request::post("/backchannel-logout").header("content-type", "application/x-www-form-urlencoded");
    request.body(body).unwrap()
}

#[tokio::test]
async fn a_flood_of_notices_keeps_nobody_from_revoking() {
    let bodies: [fn(usize) -> Body; 2] = [forged, |_| stalled()];
    for body in bodies {
        let world = World::with_provider().await;
        let held = world.requested(&ADA, TILL).await;
        let mut flood = JoinSet::new();
        for number in 0..300 {
            let (router, request) = (world.router.clone(), notice(body(number)));
            flood.spawn(async move { router.oneshot(request).await.unwrap().status() });
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let path = format!("/activations/{}/revoke", id(&held));
        let began = crate::clock::awake();
        world.post(&ROOT, &path, &json!({"justification": "not today, not by her"})).await.expect(200);
        assert!(began.elapsed().as_millis() < 1500, "revoked after {:?}", began.elapsed());
        let told = flood.join_all().await;
        let turned_away = told.iter().filter(|status| **status == StatusCode::SERVICE_UNAVAILABLE).count();
        assert!(turned_away >= 250, "{turned_away} were sent away at once");
        assert!(!told.contains(&StatusCode::OK));
    }
}

#[tokio::test]
async fn a_notice_is_short_and_who_is_sent_away_is_told_when_to_come_again() {
    let world = World::with_provider().await;
    let long = world.ask_plainly(notice(Body::from(vec![b'a'; 33 * 1024]))).await;
    assert_eq!(long.status, StatusCode::BAD_REQUEST);
    assert!(long.text().contains("32 KiB"), "{}", long.text());
    let unknown = world.ask_plainly(notice(forged(0))).await;
    assert_eq!((unknown.status, unknown.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "5"));
}
