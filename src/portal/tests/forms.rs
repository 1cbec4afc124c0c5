//! The form of requests: what is refused before anybody asks what it means, and what every answer carries.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

use super::world::{ADA, GRACE, PORTAL, TILL, VAULT, WHY, World, id};
use crate::portal::Limits;

#[tokio::test]
async fn unknown_members_and_wrong_ones_are_refused_with_their_place() {
    let world = World::new().await;
    let good = json!({"role": VAULT, "justification": WHY});
    for (member, value, pointer) in [
        ("state", json!("active"), "/state"),
        ("principal", json!("demo:ben"), "/principal"),
        ("duration", json!(3600), "/duration"),
        ("duration", json!("-1h"), "/duration"),
        ("duration", json!("1.5s"), "/duration"),
        ("starts_at", json!("2026-11-23T08:30:00"), "/starts_at"),
        ("role", json!("vault"), "/role"),
        ("role", json!(["shop/vault"]), "/role"),
    ] {
        let mut body = good.clone();
        body[member] = value;
        let refused = world.post(&ADA, "/activations", &body).await;
        assert_eq!(refused.problem(400), "invalid_body", "{body}");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{body}");
    }
    let requested = world.requested(&ADA, VAULT).await;
    let path = format!("/activations/{}", id(&requested));
    let stray = json!({"revision": 1, "state": "active"});
    for command in ["approve", "deny", "cancel", "deactivate", "extend", "revoke"] {
        let refused = world.post(&GRACE, &format!("{path}/{command}"), &stray).await;
        assert_eq!(refused.problem(400), "invalid_body", "{command}");
    }
}

#[tokio::test]
async fn bodies_are_json_and_not_too_long() {
    let world = World::new().await;
    let raw = |content_type: Option<&str>, body: String| {
        let mut request = world.request(Some(&ADA), Method::POST, "/activations");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        world.ask(request.body(Body::from(body)).unwrap())
    };
    let good = json!({"role": TILL, "justification": WHY}).to_string();
    for wrong in
        [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/json; charset=latin1")]
    {
        assert_eq!(raw(wrong, good.clone()).await.problem(415), "unsupported_media_type", "{wrong:?}");
    }
    let json = Some("application/json");
    for torn in ["", "{", "[]", "null", "{} {}", "\u{feff}{}", "{\"role\":\"a/b\",\"role\":\"a/b\"}"] {
        assert_eq!(raw(json, torn.to_owned()).await.problem(400), "invalid_body", "{torn:?}");
    }
    let deep = format!("{{\"role\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000));
    assert_eq!(raw(json, deep).await.problem(400), "invalid_body");
    let long = json!({"role": TILL, "justification": "x".repeat(64 * 1024)}).to_string();
    assert_eq!(raw(json, long).await.problem(413), "body_too_large");
    raw(Some("Application/JSON; charset=UTF-8"), good).await.expect(201);
}

#[tokio::test]
async fn without_a_good_token_there_is_nothing() {
    let world = World::new().await;
    let with = |headers: &[(&str, String)]| {
        let mut request = Request::builder().uri("/api/v1/me");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        world.ask(request.body(Body::empty()).unwrap())
    };
    let token = world.token(&ADA);
    let none = with(&[]).await;
    assert_eq!(none.problem(401), "not_signed_in");
    assert_eq!(none.header("www-authenticate"), "Bearer realm=\"hallpass\"");
    assert_eq!(
        with(&[("cookie", format!("token={token}"))]).await.problem(401),
        "not_signed_in",
        "cookies are ignored"
    );
    let forged = with(&[("authorization", format!("Bearer {token}x"))]).await;
    assert_eq!(forged.problem(401), "invalid_token");
    assert!(forged.header("www-authenticate").contains("error=\"invalid_token\""));
    let bearer = format!("bearer {token}");
    assert_eq!(
        with(&[("authorization", bearer.clone()), ("authorization", bearer.clone())]).await.problem(400),
        "ambiguous_credential"
    );
    assert_eq!(with(&[("authorization", "Basic YTpi".to_owned())]).await.problem(400), "ambiguous_credential");
    assert_eq!(with(&[("authorization", bearer)]).await.expect(200)["principal"], "demo:ada");
    let me: Value = world.get(&ADA, "/me").await.json();
    assert_eq!(me["assurance"]["amr"], json!(["pwd", "otp"]));
    assert_eq!((&me["administrator"], &me["auditor"]), (&json!(false), &json!(false)));
}

#[tokio::test]
async fn other_sites_change_nothing() {
    let world = World::new().await;
    let body = json!({"role": TILL, "justification": WHY});
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://shop.example"),
        ("origin", "null"),
    ] {
        let refused = world.ask(world.json(&ADA, Method::POST, "/activations", &body, &[(name, value)])).await;
        assert_eq!(refused.problem(403), "cross_site", "{name}: {value}");
    }
    let preflight = world.request(None, Method::OPTIONS, "/activations").header("origin", "https://shop.example");
    let preflight = world.ask(preflight.body(Body::empty()).unwrap()).await;
    assert!(!preflight.headers.keys().any(|name| name.as_str().starts_with("access-control")), "no CORS");
    assert_eq!(preflight.problem(405), "method_not_allowed");
    assert_eq!(preflight.header("allow"), "GET,HEAD,POST");
    let own = [("origin", PORTAL), ("sec-fetch-site", "same-origin")];
    world.ask(world.json(&ADA, Method::POST, "/activations", &body, &own)).await.expect(201);
}

#[tokio::test]
async fn every_answer_is_guarded() {
    let world = World::new().await;
    for path in ["/api/v1/me", "/api/v1/nowhere", "/api/openapi.json", "/", "/activate?role=a/b", "/nowhere"] {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let answer = world.ask_plainly(request).await;
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("strict-transport-security", "max-age=63072000"),
        ] {
            assert_eq!(answer.header(name), value, "{path}");
        }
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"), "{path}");
        assert_eq!(answer.header("x-request-id").len(), 32, "{path}");
    }
}

#[tokio::test]
async fn who_commands_too_fast_waits_and_others_do_not() {
    let one = std::num::NonZeroU32::MIN;
    let limits = Limits { commands_per_second: one, commands_burst: one.saturating_add(2), ..Limits::default() };
    let world = World::with(limits).await;
    let body = json!({"role": "shop/none", "justification": WHY});
    // on a machine that stalls more of them are let through meanwhile, and never fewer
    let mut passed = 0;
    let refused = loop {
        let answer = world.post(&ADA, "/activations?dry_run=true", &body).await;
        if answer.status == 429 {
            break answer;
        }
        passed += 1;
        assert!(passed < 1000, "none is too many");
    };
    assert!(passed >= 3, "{passed} are not too many");
    assert_eq!(refused.problem(429), "rate_limited");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(world.post(&GRACE, "/activations?dry_run=true", &body).await.status, 200);
    assert_eq!(world.get(&ADA, "/me").await.status, 200, "reading goes on");
}

#[tokio::test]
async fn beyond_the_place_there_is_the_door() {
    let world = World::with(Limits { requests_max: 0, ..Limits::default() }).await;
    let answer = world.get(&ADA, "/me").await;
    assert_eq!(answer.problem(503), "overloaded");
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn a_body_that_never_ends_is_not_waited_for() {
    let timeout = std::time::Duration::from_millis(20);
    let world = World::with(Limits { request_timeout: timeout, ..Limits::default() }).await;
    let endless = futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
    let request = world.request(Some(&ADA), Method::POST, "/activations").header("content-type", "application/json");
    let answer = world.ask(request.body(Body::from_stream(endless)).unwrap()).await;
    assert_eq!(answer.problem(503), "timeout");
}

#[tokio::test]
async fn requests_are_counted_without_naming_anybody() {
    let world = World::new().await;
    world.get(&ADA, "/activations/act_00000000000000000000000001").await.problem(404);
    world.ask(world.request(None, Method::from_bytes(b"BREW").unwrap(), "/me").body(Body::empty()).unwrap()).await;
    let text = world.metrics.encode();
    let line = "hallpass_http_requests_total{listener=\"portal\",route=\"/api/v1/activations/{id}\",method=\"GET\",code=\"404\"} 1";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("method=\"other\",code=\"405\""), "{text}");
    assert!(!text.contains("ada") && !text.contains("act_"), "{text}");
}

#[tokio::test]
async fn a_panic_ends_its_request_and_nothing_else() {
    let world = World::new().await;
    let broken = axum::Router::new().route("/broken", axum::routing::get(panic));
    let router = crate::portal::shield::around(broken, world.portal.clone());
    for _ in 0..2 {
        let request = Request::builder().uri("/broken").body(Body::empty()).unwrap();
        let response = tower::ServiceExt::oneshot(router.clone(), request).await.unwrap();
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
}

async fn panic() {
    panic!("as it happens");
}
