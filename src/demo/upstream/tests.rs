//! The application by itself, without hallpass in front.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::Message as Frame;

use super::*;

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

#[tokio::test]
async fn it_shows_what_arrived() {
    let upstream = Upstream::start().await.unwrap();
    let request = client().patch(format!("{}/some/%7Bpath%7D?q=1", upstream.url())).body("12345");
    let request = request.header("x-hallpass-role", "shop/vault-reader").header("x-forwarded-user", "demo:ada");
    let seen: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(seen["method"], "PATCH");
    assert_eq!(seen["target"], "/some/%7Bpath%7D?q=1");
    assert_eq!(seen["body_bytes"], 5);
    assert_eq!(seen["identity"], json!({ "x-hallpass-role": "shop/vault-reader", "x-forwarded-user": "demo:ada" }));
    assert!(seen["headers"].as_array().unwrap().contains(&json!(["x-forwarded-user", "demo:ada"])));
    assert_eq!(upstream.requests(), 1);

    let vault = format!("{}/vault", upstream.url());
    let json: Value = client().get(&vault).send().await.unwrap().json().await.unwrap();
    assert_eq!(json["keys"], json!(["cellar-door", "truffle-map"]), "programs read JSON");
    let page = client().get(&vault).header("accept", "text/html").header("x-hallpass-role", "<i>shop/vault-reader</i>");
    let page = page.send().await.unwrap().text().await.unwrap();
    assert!(page.contains("The vault is open") && page.contains("&lt;i&gt;shop/vault-reader&lt;/i&gt;"), "{page}");

    let page = client().get(format!("{}/account", upstream.url())).header("x-forwarded-user", "<b>ada</b>");
    let page = page.send().await.unwrap().text().await.unwrap();
    assert!(page.contains("&lt;b&gt;ada&lt;/b&gt;"), "{page}");
}

#[tokio::test]
async fn records_are_kept_and_uploads_are_counted() {
    let upstream = Upstream::start().await.unwrap();
    let at = |path: &str| format!("{}{path}", upstream.url());
    let saved = client().put(at("/records/pesto")).body("basil").send().await.unwrap();
    assert_eq!(saved.status(), 200);
    let read: Value = client().get(at("/records/pesto")).send().await.unwrap().json().await.unwrap();
    assert_eq!(read["text"], "basil");
    assert_eq!(client().delete(at("/records/pesto")).send().await.unwrap().status(), 204);
    assert_eq!(client().get(at("/records/pesto")).send().await.unwrap().status(), 404);
    let large = vec![b'x'; 3_000_000];
    let counted: Value = client().post(at("/uploads")).body(large).send().await.unwrap().json().await.unwrap();
    assert_eq!(counted["bytes"], 3_000_000);
    assert_eq!(client().put(at("/records/big")).body("x".repeat(70_000)).send().await.unwrap().status(), 413);
}

#[tokio::test]
async fn the_feed_ticks_and_sends_back() {
    let upstream = Upstream::start().await.unwrap();
    let url = format!("ws://{}/vault/feed?every_ms=1", upstream.address());
    let (mut feed, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    feed.send(Frame::text("still there?")).await.unwrap();
    let (mut ticks, mut answered) = (0, false);
    while ticks < 3 || !answered {
        let text = feed.next().await.unwrap().unwrap().into_text().unwrap();
        ticks += u32::from(text.contains("tick"));
        answered |= text == "still there?";
    }
    assert_eq!(upstream.streams_open(), 1);
    feed.close(None).await.unwrap();
    while feed.next().await.is_some() {}
    drop(upstream);
}

#[tokio::test]
async fn streams_end_when_wished_or_when_the_application_stops() {
    let upstream = Upstream::start().await.unwrap();
    let at = |path: &str| format!("{}{path}", upstream.url());
    let events = client().get(at("/vault/events?every_ms=1&pieces=2")).send().await.unwrap().text().await.unwrap();
    assert_eq!(events, "id: 1\nevent: tick\ndata: {\"tick\":1}\n\nid: 2\nevent: tick\ndata: {\"tick\":2}\n\n");

    let mut export = client().get(at("/vault/export?every_ms=1")).send().await.unwrap().bytes_stream();
    assert!(export.next().await.unwrap().unwrap().starts_with(b"00000001,vault "));
    assert_eq!(upstream.streams_open(), 1);
    drop(upstream);
    // what was on its way still arrives, then it is over
    while export.next().await.is_some_and(|piece| piece.is_ok()) {}
}
