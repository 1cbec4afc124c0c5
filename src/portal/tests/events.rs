//! The event stream: what comes, in which order, for whom, and how it ends.

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt;
use http::Method;
use serde_json::{Value, json};

use super::world::{ADA, BEN, GRACE, MALLORY, OTTO, ROOT, TILL, VAULT, WHY, Who, World, id};
use crate::domain::time::Span;
use crate::portal::Limits;
use tower::ServiceExt;

/// One open stream, read event by event.
struct Stream {
    body: BodyDataStream,
    text: String,
}

#[derive(Debug, PartialEq)]
struct Event {
    name: String,
    id: Option<u64>,
    data: Value,
}

impl Stream {
    async fn open(world: &World, who: &Who, last: Option<&str>) -> Self {
        let mut request = world.request(Some(who), Method::GET, "/events");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = world.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        let mut stream = Self { body: response.into_body().into_data_stream(), text: String::new() };
        assert_eq!(stream.next().await.unwrap().name, "open");
        stream
    }

    /// The next event; nothing when the stream is over.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let event = parse(block);
                self.text = rest.to_owned();
                return Some(event);
            }
            let chunk = self.body.next().await?.unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn kind(&mut self) -> String {
        let event = self.next().await.unwrap();
        event.data["event"]["type"].as_str().unwrap_or(&event.name).to_owned()
    }
}

fn parse(block: &str) -> Event {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    Event {
        name: field("event").unwrap_or_default().to_owned(),
        id: field("id").map(|id| id.parse().unwrap()),
        data: field("data").map_or(Value::Null, |data| serde_json::from_str(data).unwrap()),
    }
}

#[tokio::test]
async fn records_come_in_order_to_those_they_concern() {
    let world = World::new().await;
    let mut ada = Stream::open(&world, &ADA, None).await;
    let mut grace = Stream::open(&world, &GRACE, None).await;
    let mut ben = Stream::open(&world, &BEN, None).await;
    let mut otto = Stream::open(&world, &OTTO, None).await;
    let held = world.ada_holds_the_vault().await;
    world.requested(&ADA, TILL).await;
    world.requested(&BEN, VAULT).await;
    let story = ["activation_requested", "activation_decided", "activation_started"];
    let mut last = 0;
    for expected in story {
        let event = ada.next().await.unwrap();
        assert_eq!((event.name.as_str(), &event.data["event"]["type"]), ("activation", &json!(expected)));
        assert_eq!(event.data["event"]["activation"], held["id"]);
        assert_eq!(event.data["sequence"], event.id.unwrap());
        assert!(event.id.unwrap() > last, "in order");
        last = event.id.unwrap();
        assert_eq!(grace.kind().await, expected);
        assert_eq!(otto.kind().await, expected);
    }
    assert_eq!(ada.kind().await, "activation_requested", "her own till");
    let next = grace.next().await.unwrap().data;
    assert_eq!(next["event"]["principal"], "demo:ben", "the till is not hers to approve");
    assert_eq!(ben.next().await.unwrap().data["event"]["principal"], "demo:ben", "nothing of Ada's");
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was_left() {
    let world = World::new().await;
    let mut first = Stream::open(&world, &ADA, None).await;
    let held = world.ada_holds_the_vault().await;
    let left_at = first.next().await.unwrap().id.unwrap();
    drop(first);
    let mut again = Stream::open(&world, &ADA, Some(&left_at.to_string())).await;
    assert_eq!(again.kind().await, "activation_decided");
    assert_eq!(again.kind().await, "activation_started");
    let path = format!("/activations/{}/deactivate", id(&held));
    world.post(&ADA, &path, &json!({})).await.expect(200);
    assert_eq!(again.kind().await, "activation_ended");
    let mut ahead = Stream::open(&world, &ADA, Some("999999")).await;
    world.requested(&ADA, TILL).await;
    assert_eq!(ahead.kind().await, "activation_requested", "a place that is not there yet is now");
    let wrong = world.request(Some(&ADA), Method::GET, "/events").header("last-event-id", "x").body(Body::empty());
    assert_eq!(world.ask(wrong.unwrap()).await.problem(400), "invalid_header");
}

#[tokio::test]
async fn a_stream_ends_with_the_proof_the_lock_and_the_process() {
    let world = World::new().await;
    let mut locked = Stream::open(&world, &BEN, None).await;
    world.post(&ROOT, "/principals/demo%3Aben/lock", &json!({"justification": WHY})).await.expect(200);
    let end = locked.next().await.unwrap();
    assert_eq!((end.name.as_str(), &end.data), ("end", &json!({"reason": "refused"})));
    assert_eq!(locked.next().await, None);

    let mut expired = Stream::open(&world, &ADA, None).await;
    world.clock.advance(Span::hours(10));
    assert_eq!(expired.next().await.unwrap().data, json!({"reason": "identity_ended"}));
    assert_eq!(expired.next().await, None);

    let mut drained = Stream::open(&world, &ADA, None).await;
    world.stop.cancel();
    assert_eq!(drained.next().await.unwrap().data, json!({"reason": "drain"}));
    assert_eq!(drained.next().await, None);
}

#[tokio::test]
async fn streams_are_counted_and_their_places_given_back() {
    let world = World::with(Limits { streams_per_principal_max: 1, ..Limits::default() }).await;
    let first = Stream::open(&world, &ADA, None).await;
    assert_eq!(world.get(&ADA, "/events").await.problem(429), "too_many_streams");
    let other = Stream::open(&world, &MALLORY, None).await;
    assert!(world.metrics.encode().contains("hallpass_event_streams_open 2"));
    drop((first, other));
    assert!(world.metrics.encode().contains("hallpass_event_streams_open 0"));
    Stream::open(&world, &ADA, None).await;
}

#[tokio::test]
async fn silence_is_broken_by_a_heartbeat() {
    let heartbeat_after = std::time::Duration::from_millis(10);
    let world = World::with(Limits { heartbeat_after, ..Limits::default() }).await;
    let mut stream = Stream::open(&world, &ADA, None).await;
    let chunk = stream.body.next().await.unwrap().unwrap();
    assert_eq!(&chunk[..], b": heartbeat\n\n");
}
