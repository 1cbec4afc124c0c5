//! What stays open ends with the right. Nothing else would end it, for the clock stands still; how long a cut takes is for
//! `benches/revoke.rs` to say.

use futures_util::{SinkExt as _, StreamExt as _};
use hallpass::domain::time::Span;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::sockets::{open, until_cut, until_over};
use crate::support::{House, PATIENCE, eventually, until};

async fn revoke(house: &House, activation: &str) {
    house.root().post(&format!("/activations/{activation}/revoke"), json!({})).await.expect(200);
}

#[tokio::test]
async fn revocation_cuts_an_open_websocket() {
    let house = House::new().await;
    let ada = house.ada();
    assert_eq!(open(&house.gate(), "/vault/feed", &ada).await.err(), Some(403));
    let activation = house.ada_holds_the_vault("10m").await;
    let mut socket = open(&house.gate(), "/vault/feed", &ada).await.expect("a feed");
    socket.send(Message::text("hello")).await.expect("sent");
    assert!(matches!(socket.next().await, Some(Ok(_))), "the feed speaks");
    revoke(&house, &activation).await;
    let code = until_cut(&mut socket).await;
    assert!(code.is_none_or(|code| code == 1008), "policy violation: {code:?}");
    eventually("the application sees it end too", || house.upstream.streams_open() == 0).await;
    assert_eq!(open(&house.gate(), "/vault/feed", &ada).await.err(), Some(403));
    house.stop().await;
}

#[tokio::test]
async fn expiry_deactivation_and_a_lock_cut_as_well() {
    let house = House::new().await;
    let ada = house.ada();
    for end in ["expire", "deactivate", "lock"] {
        let activation = house.ada_holds_the_vault("10m").await;
        let mut socket = open(&house.gate(), "/vault/feed", &ada).await.expect("a feed");
        match end {
            "expire" => house.pass(Span::minutes(10)),
            "deactivate" => {
                let path = format!("/activations/{activation}/deactivate");
                ada.post(&path, json!({})).await.expect(200);
            }
            _ => {
                let why = json!({ "justification": "the laptop was stolen" });
                house.root().post("/principals/demo:ada/lock", why).await.expect(200);
            }
        }
        until_cut(&mut socket).await;
    }
    house.stop().await;
}

#[tokio::test]
async fn an_event_stream_and_a_download_end_with_the_right() {
    let house = House::new().await;
    for path in ["/vault/events", "/vault/export"] {
        let activation = house.ada_holds_the_vault("10m").await;
        let request = house.http.get(format!("{}{path}", house.gate())).bearer_auth(house.ada().token);
        let mut response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{path}");
        assert!(response.chunk().await.expect("bytes").is_some(), "{path} has begun");
        revoke(&house, &activation).await;
        until_over(&mut response).await;
        eventually("the application sees it end too", || house.upstream.streams_open() == 0).await;
    }
    house.stop().await;
}

#[tokio::test]
async fn a_stream_of_somebody_else_goes_on() {
    let house = House::new().await;
    let root = house.root();
    let body = json!({ "role": "shop/vault-reader", "principal": "demo:vera", "ends_at": "2026-11-23T09:00:00Z",
        "justification": "the yearly inspection" });
    root.post("/active-assignments", body).await.expect(201);
    let mut watched = open(&house.gate(), "/vault/feed", &house.vera()).await.expect("a feed");
    for _ in 0..5 {
        let activation = house.ada_holds_the_vault("10m").await;
        let mut socket = open(&house.gate(), "/vault/feed", &house.ada()).await.expect("a feed");
        revoke(&house, &activation).await;
        until_cut(&mut socket).await;
    }
    watched.send(Message::text("still there?")).await.expect("sent");
    let spoke = tokio::time::timeout(PATIENCE, async {
        while let Some(Ok(message)) = watched.next().await {
            if message.to_text().is_ok_and(|text| text.contains("still there?")) {
                return true;
            }
        }
        false
    });
    assert_eq!(spoke.await, Ok(true));
    house.stop().await;
}

#[tokio::test]
async fn losing_the_group_or_the_route_cuts_too() {
    let mut house = House::new().await;
    house.ada_holds_the_vault("10m").await;
    let mut socket = open(&house.gate(), "/vault/feed", &house.ada()).await.expect("a feed");
    let closed = "path = \"/vault/**\"\nmode = \"deny\"";
    house
        .reload("path = \"/vault/**\"\nmode = \"role\"\nrole = \"shop/vault-reader\"", closed)
        .await
        .expect("a good configuration");
    until_cut(&mut socket).await;
    house.stop().await;
}

#[tokio::test]
async fn uses_name_the_activation_and_are_sealed_after_its_end() {
    let house = House::new().await;
    let ada = house.ada();
    let activation = house.ada_holds_the_vault("10m").await;
    for _ in 0..3 {
        ada.get("/vault").await.expect(200);
    }
    let read = || async { house.vera().read(&format!("/uses?activation={activation}")).await.expect(200).json() };
    until("her uses are there", async || read().await["items"].as_array().map(Vec::len) == Some(3)).await;
    assert_eq!(read().await["items"][0]["path"], "/vault");
    house.pass(Span::minutes(10));
    house.pass(Span::seconds(30));
    let path = format!("/audit?activation={activation}&event=uses_sealed");
    let mut sealed = serde_json::Value::Null;
    house
        .pass_until("they are sealed", Span::seconds(6), async || {
            // with a token of this moment
            sealed = house.vera().read(&path).await.expect(200).json()["items"][0].clone();
            !sealed.is_null()
        })
        .await;
    assert_eq!(sealed["event"]["count"], 3, "{sealed}");
    house.stop().await;
}

#[tokio::test]
async fn one_revocation_cuts_ten_thousand_streams() {
    let house = House::new().await;
    let ada = house.ada();
    let activation = house.ada_holds_the_vault("10m").await;
    // each stream takes four files of this one process: client, both sides of the gate, application
    let count = 10_000.min(files_max().saturating_sub(300) / 4);
    let address = house.gate().replace("http://", "");
    let head = format!(
        "GET /vault/events?every_ms=60000 HTTP/1.1\r\nhost: gate.test\r\nauthorization: Bearer {}\r\n\r\n",
        ada.token
    );
    let mut streams = Vec::with_capacity(count);
    while streams.len() < count {
        let more = (0..(count - streams.len()).min(64)).map(|_| begun(&address, &head));
        streams.extend(futures_util::future::join_all(more).await);
    }
    assert_eq!(house.upstream.streams_open(), count);
    revoke(&house, &activation).await;
    let cut = futures_util::future::join_all(streams.iter_mut().map(until_hung_up));
    println!("{count} streams (of 10,000: the limit of open files is {})", files_max());
    assert!(tokio::time::timeout(PATIENCE, cut).await.is_ok(), "some were never cut");
    assert_eq!(ada.get("/vault").await.status, 403);
    drop(streams);
    house.stop().await;
}

/// A stream of events whose first event has come.
async fn begun(address: &str, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = Vec::with_capacity(1024);
    while !answer.ends_with(b"\n\n\r\n") {
        assert_ne!(stream.read_buf(&mut answer).await.expect("an answer"), 0, "hung up");
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    stream
}

async fn until_hung_up(stream: &mut TcpStream) {
    let mut rest = [0; 64];
    while stream.read(&mut rest).await.is_ok_and(|length| length > 0) {}
}

/// The soft limit of open files.
fn files_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let open = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    open.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(1024)
}
