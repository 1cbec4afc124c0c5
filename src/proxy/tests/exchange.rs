//! One request and its answer: verdicts, what is passed on, what is logged and counted, drain and reload.

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::support::{House, Upstream, ada, at, engineers, read_head, route, soon};
use crate::domain::rule::{Demand, Rule};
use crate::domain::time::Span;

/// Answers with the headers and target it was asked with.
fn mirror() -> Router {
    Router::new().fallback(any(|request: Request| async move {
        let headers: Vec<(String, String)> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        axum::Json(
            json!({ "target": request.uri().to_string(), "method": request.method().as_str(), "headers": headers }),
        )
    }))
}

fn seen<'v>(answer: &'v Value, name: &str) -> Vec<&'v str> {
    let headers = answer["headers"].as_array().unwrap();
    headers.iter().filter(|pair| pair[0] == name).map(|pair| pair[1].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_verdict_follows_the_journal_with_the_same_token() {
    let upstream = Upstream::app(mirror()).await;
    let house = House::new(&upstream.url);
    let client = reqwest::Client::new();
    let token = house.token("ada");
    let ask =
        async |path: &str| client.get(house.url(path)).bearer_auth(&token).send().await.unwrap().status().as_u16();
    assert_eq!(ask("/me/x").await, 200);
    assert_eq!(ask("/vault/x").await, 403);
    assert_eq!(ask("/shut/x").await, 403);
    assert_eq!(ask("/nowhere").await, 403);
    assert_eq!(ask("/shadow/x").await, 200, "a shadow rule only records");
    house.assign(1, ada(), Some(at(3600)));
    assert_eq!(ask("/vault/x").await, 200);
    house.clock.set(at(3599));
    assert_eq!(ask("/vault/x").await, 200);
    house.clock.set(at(3600));
    assert_eq!(ask("/vault/x").await, 403, "the end is exclusive");
    house.assign(2, ada(), None);
    assert_eq!(ask("/vault/x").await, 200);
    house.remove(2);
    assert_eq!(ask("/vault/x").await, 403, "the very next request");
    house.lock(ada());
    assert_eq!(ask("/me/x").await, 403, "who is locked holds nothing");
    house.clock.advance(Span::hours(2));
    assert_eq!(ask("/me/x").await, 401, "the token has ended");
    assert_eq!(client.get(house.url("/me/x")).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_group_counts_while_it_is_carried() {
    let upstream = Upstream::app(mirror()).await;
    let house = House::new(&upstream.url);
    house.assign(1, engineers(), None);
    let client = reqwest::Client::new();
    let ask = async |token: String| client.get(house.url("/vault/x")).bearer_auth(token).send().await.unwrap().status();
    assert_eq!(ask(house.token_with("ada", &json!({ "groups": ["engineers"] }))).await, 200);
    assert_eq!(ask(house.token_with("ada", &json!({ "groups": ["others"] }))).await, 403);
    house.remove(1);
    assert_eq!(ask(house.token_with("ada", &json!({ "groups": ["engineers"] }))).await, 403);
}

#[tokio::test]
async fn the_application_sees_the_truth_and_no_credential() {
    let upstream = Upstream::app(mirror()).await;
    let house = House::new(&upstream.url);
    house.assign(1, ada(), Some(at(3600)));
    let client = reqwest::Client::new();
    for path in ["/vault/k?a=1", "/me/k?a=1", "/open/k?a=1"] {
        let asked = client
            .post(house.url(path))
            .bearer_auth(house.token("ada"))
            .header("host", "Shop.Test")
            .header("x-hallpass-role", "shop/root")
            .header("x-forwarded-user", "demo:root")
            .header("x-forwarded-for", "10.0.0.1")
            .header("connection", "x-private")
            .header("x-private", "1")
            .header("keep-alive", "timeout=5")
            .header("te", "trailers")
            .body("hello");
        let answer: Value = asked.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["target"], path, "decided on and forwarded are one");
        assert_eq!(seen(&answer, "host"), ["shop.test"]);
        assert_eq!(seen(&answer, "content-length"), ["5"]);
        assert_eq!(seen(&answer, "x-forwarded-for"), ["127.0.0.1"]);
        assert_eq!(seen(&answer, "x-forwarded-host"), ["shop.test"]);
        for gone in ["authorization", "x-private", "keep-alive", "te", "transfer-encoding", "connection"] {
            assert!(seen(&answer, gone).is_empty(), "{gone} at {path}: {answer}");
        }
        let public = path.starts_with("/open");
        let user: &[&str] = if public { &[] } else { &["demo:ada"] };
        let role: &[&str] = if path.starts_with("/vault") { &["shop/vault"] } else { &[] };
        assert_eq!(seen(&answer, "x-forwarded-user"), user, "{path}");
        assert_eq!(seen(&answer, "x-hallpass-role"), role, "{path}");
    }
}

#[tokio::test]
async fn an_upstream_may_ask_for_the_credential() {
    let upstream = Upstream::app(mirror()).await;
    let mut settings = super::support::settings(&upstream.url);
    settings.upstreams[0].forward_authorization = true;
    let house = House::with(settings);
    let token = house.token("ada");
    let answer = reqwest::Client::new().get(house.url("/me/x")).bearer_auth(&token).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(seen(&answer, "authorization"), [format!("Bearer {token}")]);
}

#[tokio::test]
async fn a_bad_token_is_ignored_where_nobody_need_be_known_and_refused_elsewhere() {
    let upstream = Upstream::app(mirror()).await;
    let house = House::new(&upstream.url);
    let client = reqwest::Client::new();
    for (path, status) in [("/open/x", 200), ("/me/x", 401), ("/vault/x", 401), ("/shadow/x", 200), ("/shut/x", 403)] {
        let answer = client.get(house.url(path)).bearer_auth("nonsense").send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
    }
}

#[tokio::test]
async fn the_reserved_prefix_never_reaches_the_application() {
    let upstream = Upstream::app(mirror()).await;
    let mut settings = super::support::settings(&upstream.url);
    settings.routes = vec![route("all", "/**", Rule::enforce(Demand::Public))];
    let house = House::with(settings);
    house.assign(1, ada(), Some(at(3600)));
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    for path in [
        "/.hallpass",
        "/.hallpass/",
        "/.hallpass/x",
        "/.hallpass/status/x",
        "/.hallpass/callback",
        "/.hallpass/sign-in",
    ] {
        assert_eq!(client.get(house.url(path)).send().await.unwrap().status(), 404, "{path}");
    }
    assert_eq!(client.get(house.url("/.hallpass/status")).send().await.unwrap().status(), 401);
    assert_eq!(client.post(house.url("/.hallpass/status")).send().await.unwrap().status(), 405);
    let status = client.get(house.url("/.hallpass/status")).bearer_auth(house.token("ada")).send().await.unwrap();
    assert_eq!(status.headers()["cache-control"], "no-store");
    let status: Value = status.json().await.unwrap();
    assert_eq!(status["principal"], "demo:ada");
    assert_eq!(status["held"][0]["role"], "shop/vault");
    let form = client.get(house.url("/.hallpass/activate?role=shop/vault&return_to=/vault/k")).send().await.unwrap();
    assert_eq!(form.status(), 303);
    let back = "https://pass.test/activate?role=shop%2Fvault&return_to=http%3A%2F%2Fshop.test%2Fvault%2Fk";
    assert_eq!(form.headers()["location"], back);
}

#[tokio::test]
async fn each_exchange_is_one_line_and_is_counted() {
    let upstream = Upstream::app(mirror()).await;
    let house = House::new(&upstream.url);
    house.assign(1, ada(), None);
    let client = reqwest::Client::new();
    let token = house.token("ada");
    let secret = "/vault/%E2%80%AEk?password=hunter2";
    client.get(house.url(secret)).bearer_auth(&token).send().await.unwrap().bytes().await.unwrap();
    client.get(house.url("/shut/x")).send().await.unwrap().bytes().await.unwrap();
    let lines = soon(house.lines(2)).await;
    assert_eq!(lines.len(), 2);
    let line = &lines[0];
    for (name, value) in [
        ("target", json!("hallpass::access")),
        ("time", json!("2026-11-18T11:06:40.000Z")),
        ("method", json!("GET")),
        ("path", json!("/vault/%E2%80%AEk")),
        ("status", json!(200)),
        ("route", json!("vault")),
        ("upstream", json!("app")),
        ("principal", json!("demo:ada")),
        ("role", json!("shop/vault")),
        ("verdict", json!("allow")),
        ("reason", json!("role")),
        ("mode", json!("enforce")),
        ("client_ip", json!("127.0.0.1")),
    ] {
        assert_eq!(line[name], value, "{name} in {line}");
    }
    assert!(line["bytes"].as_u64().unwrap() > 0);
    assert_eq!(lines[1]["verdict"], "deny");
    assert_eq!(lines[1]["status"], 403);
    let text = format!("{lines:?}");
    assert!(!text.contains("hunter2") && !text.contains(&token), "no query, no token");
    let metrics = house.metrics.encode();
    for wanted in [
        "hallpass_http_requests_total{listener=\"127.0.0.1:0\",route=\"vault\",method=\"GET\",code=\"200\"} 1",
        "hallpass_decisions_total{route=\"vault\",outcome=\"allow\",reason=\"role\",mode=\"enforce\"} 1",
        "hallpass_decisions_total{route=\"shut\",outcome=\"deny\",reason=\"forbidden\",mode=\"enforce\"} 1",
        "hallpass_http_request_duration_seconds_count{listener=\"127.0.0.1:0\",route=\"vault\"} 1",
        "hallpass_decision_duration_seconds_count 2",
    ] {
        assert!(metrics.contains(wanted), "{wanted} in\n{metrics}");
    }
    assert!(!metrics.contains("ada"), "no label names a person");
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let upstream = Upstream::raw(|mut stream, number| async move {
        while read_head(&mut stream).await.is_some() {
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    let house = House::new(&upstream.url);
    let mut client = TcpStream::connect(house.address()).await.unwrap();
    for _ in 0..50 {
        client.write_all(b"GET /open/x HTTP/1.1\r\nHost: shop.test\r\n\r\n").await.unwrap();
        let head = soon(read_head(&mut client)).await.unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(!head.to_ascii_lowercase().contains("connection: close"));
        let body = tokio::io::AsyncReadExt::read_u8(&mut client).await.unwrap();
        assert_eq!(body, b'0', "always the first connection");
    }
}

#[tokio::test]
async fn a_reload_is_whole_or_nothing() {
    let upstream = Upstream::app(mirror()).await;
    let house = House::new(&upstream.url);
    let client = reqwest::Client::new();
    let ask = async || client.get(house.url("/open/x")).send().await.unwrap().status();
    assert_eq!(ask().await, 200);
    let mut broken = house.settings.clone();
    broken.routes = vec![route("open", "/open/**", Rule::enforce(Demand::Nobody))];
    broken.routes[0].upstream = "nobody".to_owned();
    assert!(house.gate.prepare(&broken).is_err());
    let mut moved = house.settings.clone();
    moved.listeners[0].bind = "127.0.0.1:1".parse().unwrap();
    assert!(house.gate.prepare(&moved).is_err());
    assert_eq!(ask().await, 200, "the present settings stay");
    let mut closed = house.settings.clone();
    closed.routes = vec![route("open", "/open/**", Rule::enforce(Demand::Nobody))];
    house.gate.take(house.gate.prepare(&closed).unwrap());
    assert_eq!(ask().await, 403);
}

#[tokio::test]
async fn a_drain_lets_work_finish_and_takes_no_more() {
    let (arrived, mut arrival) = tokio::sync::mpsc::channel(1);
    let (release, released) = tokio::sync::watch::channel(());
    let upstream = Upstream::raw(move |mut stream, _| {
        let (arrived, mut released) = (arrived.clone(), released.clone());
        async move {
            read_head(&mut stream).await.unwrap();
            arrived.send(()).await.unwrap();
            released.changed().await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").await.unwrap();
        }
    })
    .await;
    let house = House::new(&upstream.url);
    let (address, idle) = (house.address(), TcpStream::connect(house.address()).await.unwrap());
    let request = "GET /open/x HTTP/1.1\r\nHost: shop.test\r\n\r\n";
    let slow = house.raw(request);
    let drained = async {
        soon(arrival.recv()).await.unwrap();
        let House { gate, .. } = &house;
        let _ = gate;
    };
    let (answer, ()) = tokio::join!(slow, async {
        drained.await;
        house.gate.stop_accepting();
        soon(async { while TcpStream::connect(address).await.is_ok() {} }).await;
        release.send_replace(());
    });
    assert!(answer.ends_with("done"), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
    drop(idle);
    soon(house.gate.drain(Duration::from_secs(5))).await;
}

#[tokio::test]
async fn what_passes_by_an_activation_is_recorded_with_it() {
    let upstream = Upstream::app(mirror()).await;
    let house = House::new(&upstream.url);
    let activation = house.activate(7, at(3600));
    let client = reqwest::Client::new();
    let ask = async |path: &str| client.get(house.url(path)).bearer_auth(house.token("ada")).send().await.unwrap();
    let passed = ask("/vault/k?a=1").await;
    assert_eq!(passed.status(), 200);
    assert_eq!(passed.headers()["x-hallpass-expires"], "2026-11-18T12:06:40.000Z");
    let request_id = passed.headers()["x-request-id"].to_str().unwrap().to_owned();
    let answer: Value = passed.json().await.unwrap();
    assert_eq!(seen(&answer, "x-hallpass-activation"), [activation.to_string()]);
    assert_eq!(seen(&answer, "x-request-id"), [&*request_id]);
    ask("/me/x").await;
    house.clock.set(at(3600));
    assert_eq!(ask("/vault/late").await.status(), 403);
    let uses = soon(async {
        loop {
            let uses = house.used.of(activation, 0, 10).unwrap();
            if !uses.is_empty() {
                return uses;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let [(1, used)] = &uses[..] else { panic!("{uses:?}") };
    assert_eq!(
        (&*used.path, &*used.method, &*used.route, &*used.host),
        ("/vault/k", "GET", "vault", &*house.address().to_string())
    );
    assert_eq!((used.at, &used.principal, &*used.request_id), (at(0), &ada(), &*request_id));
    assert_eq!(soon(house.lines(1)).await[0]["activation"], activation.to_string());
}

#[tokio::test]
async fn a_client_that_leaves_frees_the_application() {
    let (arrived, mut arrival) = tokio::sync::mpsc::channel(1);
    let (hung_up, mut hangs_up) = tokio::sync::mpsc::channel(1);
    let upstream = Upstream::raw(move |mut stream, _| {
        let (arrived, hung_up) = (arrived.clone(), hung_up.clone());
        async move {
            read_head(&mut stream).await.unwrap();
            arrived.send(()).await.unwrap();
            let _ = tokio::io::AsyncReadExt::read_u8(&mut stream).await;
            hung_up.send(()).await.unwrap();
        }
    })
    .await;
    let house = House::new(&upstream.url);
    let mut client = TcpStream::connect(house.address()).await.unwrap();
    client.write_all(b"GET /open/x HTTP/1.1\r\nHost: shop.test\r\n\r\n").await.unwrap();
    soon(arrival.recv()).await.unwrap();
    drop(client);
    soon(hangs_up.recv()).await.unwrap();
    assert_eq!(soon(house.lines(1)).await[0]["status"], 499);
}

#[tokio::test]
async fn all_cores_know_the_same() {
    let upstream = Upstream::app(mirror()).await;
    let mut settings = super::support::settings(&upstream.url);
    settings.cores = 4;
    let house = House::with(settings);
    let token = house.token("ada");
    for round in 0..20_u8 {
        let wanted = if round % 2 == 0 {
            house.assign(round, ada(), None);
            200
        } else {
            house.remove(round - 1);
            403
        };
        for _ in 0..8 {
            // each on a connection of its own, wherever the kernel puts it
            let request = format!(
                "GET /vault/x HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
            );
            let answer = house.raw(&request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {wanted} ")), "round {round}: {answer}");
        }
    }
}
