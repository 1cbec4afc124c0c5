//! Everything of the vault that stays open: a WebSocket, server-sent events, and an export that comes slowly.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::{Larder, identity};

/// How a stream is wished.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// Milliseconds between two pieces.
    every_ms: Option<u64>,
    /// Pieces until it ends by itself; without it, it does not.
    pieces: Option<u64>,
}

impl Wish {
    fn interval(&self, default_ms: u64) -> Interval {
        let every = Duration::from_millis(self.every_ms.unwrap_or(default_ms).clamp(1, 60_000));
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }

    fn is_over(&self, sent: u64) -> bool {
        self.pieces.is_some_and(|pieces| pieces <= sent)
    }
}

/// Counts a stream while it is open.
struct Open(Arc<Larder>);

impl Open {
    fn count(larder: Arc<Larder>) -> Self {
        larder.streams_open.fetch_add(1, Ordering::AcqRel);
        Self(larder)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.streams_open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The live feed: says who opened it, ticks, and sends back what it is sent.
pub(super) async fn feed(
    State(larder): State<Arc<Larder>>,
    Query(wish): Query<Wish>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let greeting = json!({ "opened_by": identity(&headers) }).to_string();
    upgrade.on_upgrade(move |socket| async move {
        // the other side hanging up is how a feed usually ends
        let _ = ticking(socket, &Open::count(larder), &wish, greeting).await;
    })
}

async fn ticking(mut socket: WebSocket, open: &Open, wish: &Wish, greeting: String) -> Result<(), axum::Error> {
    socket.send(Message::Text(greeting.into())).await?;
    let mut ticks = wish.interval(200);
    let mut sent = 0;
    while !wish.is_over(sent) {
        tokio::select! {
            () = open.0.stop.cancelled() => break,
            _ = ticks.tick() => {
                sent += 1;
                socket.send(Message::Text(json!({ "tick": sent }).to_string().into())).await?;
            }
            received = socket.recv() => match received.transpose()? {
                Some(message @ (Message::Text(_) | Message::Binary(_))) => socket.send(message).await?,
                // answered by the library
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                Some(Message::Close(_)) | None => return Ok(()),
            },
        }
    }
    socket.send(Message::Close(None)).await
}

/// The same ticks as server-sent events.
pub(super) async fn events(State(larder): State<Arc<Larder>>, Query(wish): Query<Wish>) -> Response {
    let ticks = wish.interval(200);
    let body = pieces(larder, wish, ticks, |n| format!("id: {n}\nevent: tick\ndata: {{\"tick\":{n}}}\n\n"));
    ([(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")], body).into_response()
}

/// An export of the whole vault, 8 KiB at a time and without an end unless one is wished.
pub(super) async fn export(State(larder): State<Arc<Larder>>, Query(wish): Query<Wish>) -> Response {
    let ticks = wish.interval(50);
    let body = pieces(larder, wish, ticks, |n| format!("{n:08},{}\n", "vault ".repeat(1364)));
    ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], body).into_response()
}

fn pieces(larder: Arc<Larder>, wish: Wish, ticks: Interval, piece: fn(u64) -> String) -> Body {
    let start = (Open::count(larder), wish, ticks, 0_u64);
    Body::from_stream(stream::unfold(start, move |(open, wish, mut ticks, sent)| async move {
        if wish.is_over(sent) {
            return None;
        }
        tokio::select! {
            () = open.0.stop.cancelled() => None,
            _ = ticks.tick() => {
                let next = sent + 1;
                Some((Ok::<_, std::convert::Infallible>(Bytes::from(piece(next))), (open, wish, ticks, next)))
            }
        }
    }))
}
