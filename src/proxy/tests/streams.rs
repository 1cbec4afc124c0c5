//! Bodies: streamed and not collected, kept whole or visibly broken, and cut when the right they were begun under ends.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::routing::{any, get};
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::support::{House, Upstream, Way, ada, at, engineers, read_head, soon};
use crate::domain::time::Span;

/// An endless stream: what the test sends is what comes; `/feed` says what it is.
fn fed() -> (Router, mpsc::Sender<&'static str>) {
    let (feed, fed) = mpsc::channel::<&'static str>(16);
    let fed = std::sync::Arc::new(tokio::sync::Mutex::new(fed));
    let router = Router::new().fallback(get(move || {
        let fed = std::sync::Arc::clone(&fed);
        async move {
            let stream = futures_util::stream::unfold(fed, |fed| async move {
                let next = fed.lock().await.recv().await?;
                Some((Ok::<_, Infallible>(Bytes::from(next)), fed))
            });
            ([("content-type", "text/event-stream")], Body::from_stream(stream))
        }
    }));
    (router, feed)
}

/// An answer that has begun and never ends by itself; one connection for each.
async fn endless() -> Upstream {
    Upstream::raw(|mut stream, _| async move {
        if read_head(&mut stream).await.is_none() {
            return;
        }
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(b"5\r\nhello\r\n").await.unwrap();
        // until the gate hangs up
        let _ = stream.read_u8().await;
    })
    .await
}

/// Opens a stream and returns once its first bytes are there.
async fn open(house: &House, path: &str, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(house.address()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: shop.test\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = soon(read_head(&mut stream)).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let mut first = [0; 10];
    soon(stream.read_exact(&mut first)).await.unwrap();
    assert_eq!(&first, b"5\r\nhello\r\n");
    stream
}

/// What still comes until the end.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let _ = soon(stream.read_to_end(&mut rest)).await;
    rest
}

#[tokio::test]
async fn the_first_piece_arrives_before_the_last_is_sent() {
    let (router, feed) = fed();
    let upstream = Upstream::app(router).await;
    let house = House::new(&upstream.url);
    let mut answer = reqwest::get(house.url("/open/x")).await.unwrap().bytes_stream();
    for piece in ["one", "two", "three"] {
        feed.send(piece).await.unwrap();
        assert_eq!(soon(answer.next()).await.unwrap().unwrap(), piece);
    }
    drop(feed);
    assert!(soon(answer.next()).await.is_none());
}

#[tokio::test]
async fn an_upload_reaches_the_application_while_it_is_sent() {
    let upstream = Upstream::app(Router::new().fallback(any(|request: Request| async move {
        // answers each piece at once
        Body::from_stream(request.into_body().into_data_stream())
    })))
    .await;
    let house = House::new(&upstream.url);
    let (send, receive) = mpsc::channel::<Result<&'static str, Infallible>>(1);
    let body = reqwest::Body::wrap_stream(tokio_stream::wrappers::ReceiverStream::new(receive));
    let mut answer = reqwest::Client::new().post(house.url("/open/x")).body(body).send().await.unwrap().bytes_stream();
    for piece in ["one", "two", "three"] {
        send.send(Ok(piece)).await.unwrap();
        assert_eq!(soon(answer.next()).await.unwrap().unwrap(), piece);
    }
    drop(send);
    assert!(soon(answer.next()).await.is_none());
}

#[tokio::test]
async fn a_mebibyte_goes_both_ways_unchanged() {
    let upstream = Upstream::app(
        Router::new()
            .fallback(any(|body: Bytes| async move { body }))
            .layer(axum::extract::DefaultBodyLimit::disable()),
    )
    .await;
    let house = House::new(&upstream.url);
    house.assign(1, ada(), None);
    let sent: Vec<u8> = (0..1_048_576_u32).map(|number| number.to_le_bytes()[0] ^ number.to_le_bytes()[1]).collect();
    let client = reqwest::Client::new();
    for path in ["/open/x", "/vault/x"] {
        let answer =
            client.post(house.url(path)).bearer_auth(house.token("ada")).body(sent.clone()).send().await.unwrap();
        assert_eq!(answer.bytes().await.unwrap(), sent, "{path}");
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_right_though_no_byte_moves() {
    let upstream = endless().await;
    let house = House::new(&upstream.url);
    let ways = [
        Way::new("revoked", |house| house.remove(1)),
        Way::new("revoked", |house| house.lock(ada())),
        Way::new("expired", |house| house.clock.advance(Span::hours(1))),
        Way::new("rule_changed", |house| {
            let mut settings = house.settings.clone();
            settings.routes.retain(|route| route.name != "vault");
            house.gate.take(house.gate.prepare(&settings).unwrap());
        }),
    ];
    for Way { reason, end } in ways {
        let house = House::with(house.settings.clone());
        house.assign(1, ada(), Some(at(3600)));
        let mut stream = open(&house, "/vault/x", &house.token("ada")).await;
        end(&house);
        // nothing else would ever end it: time stands still, and the application says no more
        assert_eq!(rest(&mut stream).await, b"", "no last chunk: the client sees that it was cut ({reason})");
        assert_eq!(soon(house.lines(1)).await[0]["cut"], reason);
    }
}

#[tokio::test]
async fn a_stream_ends_with_the_token_it_was_opened_with() {
    let upstream = endless().await;
    let house = House::new(&upstream.url);
    let mut stream = open(&house, "/me/x", &house.token("ada")).await;
    house.clock.advance(Span::hours(2));
    assert_eq!(rest(&mut stream).await, b"");
}

#[tokio::test]
async fn a_stream_stays_while_anything_still_gives_the_right() {
    let upstream = endless().await;
    let house = House::new(&upstream.url);
    house.assign(1, ada(), Some(at(600)));
    house.assign(2, engineers(), Some(at(1200)));
    let token = house.token_with("ada", &serde_json::json!({ "groups": ["engineers"] }));
    let mut stream = open(&house, "/vault/x", &token).await;
    let mut others = open(&house, "/me/x", &house.token("eve")).await;
    house.assign(3, crate::domain::principal::Principal::new(super::support::ISSUER, "eve"), None);
    house.clock.set(at(700));
    house.remove(3);
    house.clock.set(at(1199));
    // both still open: a read finds nothing to read and no end
    for stream in [&mut stream, &mut others] {
        let read = tokio::time::timeout(Duration::from_millis(50), stream.read_u8()).await;
        assert!(read.is_err(), "{read:?}");
    }
    house.clock.set(at(1200));
    assert_eq!(rest(&mut stream).await, b"");
}

#[tokio::test]
async fn nobody_can_read_on_by_not_reading() {
    // more than all buffers on the way hold, and a client that takes none of it
    let upstream = Upstream::raw(|mut stream, _| async move {
        read_head(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n").await.unwrap();
        let block = vec![b'x'; 65_536];
        while stream.write_all(&block).await.is_ok() {}
    })
    .await;
    let house = House::new(&upstream.url);
    house.assign(1, ada(), Some(at(3600)));
    let mut stream = TcpStream::connect(house.address()).await.unwrap();
    let request =
        format!("GET /vault/x HTTP/1.1\r\nHost: shop.test\r\nAuthorization: Bearer {}\r\n\r\n", house.token("ada"));
    stream.write_all(request.as_bytes()).await.unwrap();
    soon(read_head(&mut stream)).await.unwrap();
    house.remove(1);
    assert_eq!(soon(house.lines(1)).await[0]["cut"], "revoked", "though the client still reads nothing");
    let rest = rest(&mut stream).await;
    assert!(rest.len() < 100_000_000, "what was under way at most: {}", rest.len());
}

#[tokio::test]
async fn an_upload_ends_with_its_right_and_is_never_taken_for_whole() {
    let (tell, mut told) = mpsc::channel(1);
    let upstream = Upstream::raw(move |mut stream, _| {
        let tell = tell.clone();
        async move {
            read_head(&mut stream).await.unwrap();
            let mut body = Vec::new();
            let _ = stream.read_to_end(&mut body).await;
            let _ = tell.send(body).await;
        }
    })
    .await;
    let house = House::new(&upstream.url);
    house.assign(1, ada(), Some(at(3600)));
    let mut stream = TcpStream::connect(house.address()).await.unwrap();
    let head = format!(
        "POST /vault/x HTTP/1.1\r\nHost: shop.test\r\nAuthorization: Bearer {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        house.token("ada")
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(b"5\r\nhello\r\n").await.unwrap();
    // the request is through once its use shows in the metrics; there is no other sign before an answer
    soon(async {
        while !house.metrics.encode().contains("outcome=\"allow\"") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    house.remove(1);
    assert_eq!(rest(&mut stream).await, b"");
    let body = String::from_utf8(soon(told.recv()).await.unwrap()).unwrap();
    assert!(!body.contains("0\r\n\r\n"), "the application sees that the body broke off: {body:?}");
}

#[tokio::test]
async fn of_many_streams_those_without_the_right_are_cut_and_no_others() {
    const STREAMS: usize = 400;
    let upstream = endless().await;
    let mut settings = super::support::settings(&upstream.url);
    settings.cores = 2;
    let house = House::with(settings);
    house.assign(1, ada(), None);
    house.assign(2, engineers(), None);
    let keeps = house.token_with("eve", &serde_json::json!({ "groups": ["engineers"] }));
    let loses = house.token("ada");
    let mut streams = Vec::new();
    for number in 0..STREAMS {
        streams.push((number, open(&house, "/vault/x", if number % 2 == 0 { &loses } else { &keeps }).await));
    }
    house.remove(1);
    let mut ended = JoinSet::new();
    let mut kept = Vec::new();
    for (number, mut stream) in streams {
        if number % 2 == 0 {
            ended.spawn(async move { stream.read_to_end(&mut Vec::new()).await });
        } else {
            kept.push(stream);
        }
    }
    soon(async { while ended.join_next().await.is_some() {} }).await;
    for stream in &kept {
        assert!(stream.try_read(&mut [0]).is_err(), "those that keep the right keep the stream");
    }
}

#[tokio::test]
async fn a_journal_in_doubt_ends_what_rests_on_a_role_and_nothing_else() {
    let upstream = endless().await;
    let house = House::new(&upstream.url);
    house.assign(1, ada(), None);
    let mut held = open(&house, "/vault/x", &house.token("ada")).await;
    let signed_in = open(&house, "/me/x", &house.token("ada")).await;
    house.standings.doubt("for a test");
    assert_eq!(rest(&mut held).await, b"");
    assert_eq!(soon(house.lines(1)).await[0]["cut"], "unknown");
    assert!(signed_in.try_read(&mut [0]).is_err(), "still open");
}

#[tokio::test]
async fn a_short_answer_finishes_under_the_permit_it_began_with() {
    let (arrived, mut arrival) = mpsc::channel(1);
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
    house.assign(1, ada(), Some(at(3600)));
    let answer = reqwest::Client::new().get(house.url("/vault/x")).bearer_auth(house.token("ada")).send();
    let (answer, ()) = tokio::join!(answer, async {
        soon(arrival.recv()).await.unwrap();
        house.remove(1);
        release.send_replace(());
    });
    assert_eq!(answer.unwrap().text().await.unwrap(), "done");
}

#[tokio::test]
async fn draining_ends_streams_of_events() {
    let upstream = endless().await;
    let house = House::new(&upstream.url);
    let mut streams = Vec::new();
    for path in ["/open/x", "/shadow/x", "/me/x"] {
        streams.push(open(&house, path, &house.token("ada")).await);
    }
    house.gate.stop_accepting();
    for stream in &mut streams {
        assert_eq!(rest(stream).await, b"");
    }
    soon(house.gate.drain(Duration::from_secs(5))).await;
}

#[tokio::test]
async fn a_drain_deadline_cuts_what_is_left() {
    // a download, which may finish until the deadline
    let upstream = Upstream::says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    let house = House::new(&upstream.url);
    let mut stream = open(&house, "/open/x", "none").await;
    // it would go on for ever
    soon(house.gate.drain(Duration::from_millis(50))).await;
    assert_eq!(rest(&mut stream).await, b"");
}
