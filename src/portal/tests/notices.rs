//! Notices of providers come from anybody: however many there are, they take nothing from people who are known.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use axum::body::{Body, Bytes};
use data_encoding::BASE64URL_NOPAD;
use futures_util::stream;
use http::{Request, StatusCode};
use serde_json::json;
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::world::{ADA, ISSUER, NOW, ROOT, TILL, World, id};
use crate::identity::{
    Authenticator, IssuerSettings, KeySource, Patience, Settings, SignInSettings, SignInWorker, SignIns,
};

/// Whoever waits for keys waits until they come, however slow the machine.
pub(super) fn sign_ins(authenticator: &Authenticator, path: PathBuf) -> (SignIns, SignInWorker) {
    let patience = Patience { keys: Duration::from_secs(3600), ..Patience::default() };
    SignIns::with(patience, authenticator.clone(), path).unwrap()
}

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
async fn a_flood_of_notices_keeps_nobody_from_revoking_and_is_told_when_to_come_again() {
    // those wait for keys that nobody reads, and these for a body that does not come in time
    for (body, wait_for_ever) in [(forged as fn(usize) -> Body, true), (|_| stalled(), false)] {
        let world = World::with_provider().await;
        let held = world.requested(&ADA, TILL).await;
        let mut flood = JoinSet::new();
        for number in 0..300 {
            let (router, request) = (world.router.clone(), notice(body(number)));
            flood.spawn(async move { router.oneshot(request).await.unwrap() });
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let path = format!("/activations/{}/revoke", id(&held));
        world.post(&ROOT, &path, &json!({"justification": "not today, not by her"})).await.expect(200);
        // it was revoked while as many as may wait still do
        let mut told = Vec::new();
        while flood.len() > 32 {
            told.push(flood.join_next().await.unwrap().unwrap());
        }
        if wait_for_ever {
            assert!(flood.try_join_next().is_none());
            flood.shutdown().await;
        }
        told.extend(flood.join_all().await);
        let (away, rest): (Vec<_>, Vec<_>) =
            told.iter().partition(|answer| answer.status() == StatusCode::SERVICE_UNAVAILABLE);
        assert!(away.len() >= 150, "{} were sent away at once", away.len());
        assert!(away.iter().all(|answer| answer.headers()["retry-after"] == "5"));
        assert!(rest.iter().all(|answer| answer.status() != StatusCode::OK));
    }
}

#[tokio::test]
async fn a_notice_is_short() {
    let world = World::with_provider().await;
    let long = world.ask_plainly(notice(Body::from(vec![b'a'; 33 * 1024]))).await;
    assert_eq!(long.status, StatusCode::BAD_REQUEST);
    assert!(long.text().contains("32 KiB"), "{}", long.text());
}
