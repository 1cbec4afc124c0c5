//! Signed assertions through a whole gate: what the application gets, by what it verifies it, and what is no credential.

use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};

use super::support::{House, Upstream, at, settings};
use crate::domain::time::Span;

/// Answers with all assertions it was sent.
fn mirror() -> Router {
    Router::new().fallback(any(|request: Request| async move {
        let values = request.headers().iter().filter(|(name, _)| name.as_str().contains("assertion"));
        let values: Vec<_> = values.map(|(_, value)| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
        axum::Json(values)
    }))
}

struct Seen {
    client: reqwest::Client,
    house: House,
    _folder: tempfile::TempDir,
    _upstream: Upstream,
}

impl Seen {
    async fn new(audience: Option<&str>) -> Self {
        let upstream = Upstream::app(mirror()).await;
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(&upstream.url);
        settings.assertion_key_file = folder.path().join("assertion.key");
        settings.upstreams[0].assertion_audience = audience.map(str::to_owned);
        let house = House::with(settings);
        Self { client: reqwest::Client::new(), house, _folder: folder, _upstream: upstream }
    }

    /// The assertions of one request, to which the client adds one of its own making.
    async fn by(&self, path: &str, token: &str) -> Vec<String> {
        let request = self.client.get(self.house.url(path)).header("X-Hallpass-Assertion", "forged").bearer_auth(token);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    async fn keys(&self) -> (u16, String) {
        let answer = self.client.get(self.house.url("/.hallpass/assertion-keys")).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn claims(&self, assertion: &str) -> Value {
        let set: JwkSet = serde_json::from_str(&self.keys().await.1).unwrap();
        let id = decode_header(assertion).unwrap().kid.unwrap();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&["vault-app"]);
        validation.set_issuer(&["http://shop.test"]);
        // the clock of the test is not the verifier's
        validation.validate_exp = false;
        decode(assertion, &DecodingKey::from_jwk(set.find(&id).unwrap()).unwrap(), &validation).unwrap().claims
    }
}

#[tokio::test]
async fn the_application_can_check_who_asks_and_by_what_right() {
    let seen = Seen::new(Some("vault-app")).await;
    let token = seen.house.token_with("ada", &json!({ "email": "ada@shop.test", "groups": ["engineers"] }));
    let activation = seen.house.activate(1, at(45));
    let [assertion] = <[String; 1]>::try_from(seen.by("/vault/x", &token).await).unwrap();
    let claims = seen.claims(&assertion).await;
    assert_eq!(
        claims,
        json!({
            "iss": "http://shop.test", "aud": "vault-app", "sub": "demo:ada", "email": "ada@shop.test",
            "groups": ["demo:engineers"], "roles": ["shop/vault"],
            "activations": [{ "id": activation.to_string(), "role": "shop/vault",
                              "ends_at": crate::clock::format_rfc3339(at(45)) }],
            "iat": at(0).as_seconds(), "exp": at(45).as_seconds(),
        })
    );
    let [signed_in] = <[String; 1]>::try_from(seen.by("/me/x", &token).await).unwrap();
    let claims = seen.claims(&signed_in).await;
    assert_eq!((&claims["roles"], &claims["exp"]), (&json!([]), &json!(at(60).as_seconds())));
    assert_eq!(seen.by("/vault/x", &token).await, [assertion.as_str()], "made once for two rights that alternate");
    assert_eq!(seen.by("/me/x", &token).await, [signed_in.as_str()]);
    assert_eq!(
        seen.by("/open/x", &token).await,
        [""; 0],
        "where nobody is known nothing is said, least of all by the client"
    );

    seen.house.clock.advance(Span::seconds(30));
    let [renewed] = <[String; 1]>::try_from(seen.by("/me/x", &token).await).unwrap();
    assert_eq!(seen.claims(&renewed).await["exp"], json!(at(90).as_seconds()));
    assert_eq!(seen.by("/vault/x", &token).await, [assertion.as_str()], "a new one would end no later");

    for assertion in [assertion, signed_in] {
        let request = seen.client.get(seen.house.url("/me/x")).bearer_auth(assertion);
        assert_eq!(request.send().await.unwrap().status(), 401, "an assertion is no credential");
    }
}

#[tokio::test]
async fn without_it_there_is_neither_a_header_nor_a_key() {
    let seen = Seen::new(None).await;
    assert_eq!(seen.by("/me/x", &seen.house.token("ada")).await, [""; 0], "and the client's own is taken away");
    assert_eq!(seen.keys().await.0, 404);
    assert!(!seen.house.settings.assertion_key_file.exists());
}
