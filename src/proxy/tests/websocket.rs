//! Upgrades: a tunnel only after a correct 101, and only for as long as the right lasts.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::support::{House, Upstream, Way, ada, at, read_head, soon};
use crate::domain::time::Span;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A real WebSocket server that says everything again.
async fn echo() -> Upstream {
    Upstream::raw(|stream, _| async move {
        let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
        while let Some(Ok(message)) = socket.next().await {
            if !message.is_close() && socket.send(message).await.is_err() {
                return;
            }
        }
    })
    .await
}

async fn open(house: &House, path: &str, origin: Option<&str>) -> Result<Socket, u16> {
    let mut request = format!("ws://{}{path}", house.address()).into_client_request().unwrap();
    let token = HeaderValue::from_str(&format!("Bearer {}", house.token("ada"))).unwrap();
    request.headers_mut().insert("authorization", token);
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", HeaderValue::from_str(origin).unwrap());
    }
    match soon(tokio_tungstenite::connect_async(request)).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn says_again(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.unwrap();
    assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::text(text));
}

/// How the socket ends: the code of a close frame, or `None` when it is cut without a word.
async fn end_of(socket: &mut Socket) -> Option<u16> {
    loop {
        match soon(socket.next()).await {
            Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return None,
        }
    }
}

#[tokio::test]
async fn a_websocket_works_both_ways_and_is_cut_with_its_right() {
    let upstream = echo().await;
    let ways = [
        Way::new("revoked", |house| house.remove(1)),
        Way::new("revoked", |house| house.lock(ada())),
        Way::new("expired", |house| house.clock.advance(Span::hours(1))),
    ];
    for Way { reason, end } in ways {
        let house = House::new(&upstream.url);
        assert_eq!(open(&house, "/vault/x", None).await.err(), Some(403));
        house.assign(1, ada(), Some(at(3600)));
        let mut socket = open(&house, "/vault/x", None).await.unwrap();
        for size in [0, 1, 125, 126, 65_535, 65_536, 300_000] {
            says_again(&mut socket, &"x".repeat(size)).await;
        }
        let open_now = "hallpass_tunnels_open 1";
        assert!(house.metrics.encode().contains(open_now));
        end(&house);
        // nothing else would ever end it: time stands still, and both sides would go on
        assert_eq!(end_of(&mut socket).await, Some(CloseCode::Policy.into()));
        let line = &soon(house.lines(2)).await[1];
        assert_eq!((&line["cut"], &line["status"]), (&reason.into(), &101.into()), "{line}");
        let closed = format!("hallpass_tunnels_closed_total{{reason=\"{reason}\"}} 1");
        assert!(house.metrics.encode().contains(&closed), "{closed}");
        assert!(house.metrics.encode().contains("hallpass_tunnels_open 0"));
        assert_eq!(open(&house, "/vault/x", None).await.err().map(|status| status / 100), Some(4));
    }
}

#[tokio::test]
async fn in_the_middle_of_a_frame_there_is_no_close_frame() {
    let upstream = Upstream::raw(|mut stream, _| async move {
        let head = read_head(&mut stream).await.unwrap();
        let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap().to_owned();
        let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        // the head of a frame of 100 bytes, and 3 of them
        stream.write_all(&[0x82, 100, b'a', b'b', b'c']).await.unwrap();
        let _ = stream.read_u8().await;
    })
    .await;
    let house = House::new(&upstream.url);
    house.assign(1, ada(), Some(at(3600)));
    let mut stream = TcpStream::connect(house.address()).await.unwrap();
    let request = format!(
        "GET /vault/x HTTP/1.1\r\nHost: shop.test\r\nAuthorization: Bearer {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        house.token("ada")
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    assert!(soon(read_head(&mut stream)).await.unwrap().starts_with("HTTP/1.1 101"));
    let mut begun = [0; 5];
    soon(stream.read_exact(&mut begun)).await.unwrap();
    house.remove(1);
    let mut rest = Vec::new();
    let _ = soon(stream.read_to_end(&mut rest)).await;
    assert_eq!(rest, b"", "it would be read as payload");
}

#[tokio::test]
async fn a_page_needs_an_origin_that_is_known() {
    let upstream = echo().await;
    let house = House::new(&upstream.url);
    for (origin, opens) in [
        (None, true),
        (Some("http://shop.test"), true),
        (Some("HTTP://SHOP.TEST"), true),
        (Some("https://friend.test"), true),
        (Some("https://shop.test"), false),
        (Some("http://shop.test.evil.test"), false),
        (Some("http://evil.test"), false),
        (Some("null"), false),
        (Some(""), false),
    ] {
        let answer = open(&house, "/open/x", origin).await;
        assert_eq!(answer.as_ref().err(), if opens { None } else { Some(&403) }, "{origin:?}");
    }
}

#[tokio::test]
async fn without_a_correct_101_there_is_no_tunnel() {
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let good = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    let switching = "HTTP/1.1 101 Switching Protocols\r\n";
    for (answer, status) in [
        (format!("{switching}Connection: Upgrade\r\nUpgrade: websocket\r\n{good}\r\n\r\n"), 101),
        (format!("{switching}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), 502),
        (format!("{switching}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: AAAA\r\n\r\n"), 502),
        (format!("{switching}Connection: Upgrade\r\nUpgrade: echo\r\n{good}\r\n\r\n"), 502),
        (format!("{switching}Connection: Upgrade\r\n{good}\r\n\r\n"), 502),
        (format!("{switching}Upgrade: websocket\r\n{good}\r\n\r\n"), 502),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned(), 200),
        ("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n".to_owned(), 426),
    ] {
        let answer: &'static str = answer.leak();
        let (hung_up, mut hangs_up) = tokio::sync::mpsc::channel(1);
        let upstream = Upstream::raw(move |mut stream, _| {
            let hung_up = hung_up.clone();
            async move {
                read_head(&mut stream).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
                let _ = stream.read_u8().await;
                let _ = hung_up.send(()).await;
            }
        })
        .await;
        let house = House::new(&upstream.url);
        let mut stream = TcpStream::connect(house.address()).await.unwrap();
        let request = format!("GET /open/x HTTP/1.1\r\nHost: shop.test\r\n{upgrade}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = soon(read_head(&mut stream)).await.unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answer} gave {head}");
        if status != 101 {
            assert!(!head.to_ascii_lowercase().contains("upgrade:"), "{head}");
            soon(hangs_up.recv()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn another_protocol_of_the_list_is_tunnelled_and_no_other() {
    let upstream = Upstream::raw(|mut stream, _| async move {
        let head = read_head(&mut stream).await.unwrap().to_ascii_lowercase();
        if !head.contains("upgrade: echo") {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno").await.unwrap();
            return;
        }
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
            .await
            .unwrap();
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await.unwrap();
    })
    .await;
    let house = House::new(&upstream.url);
    let mut stream = TcpStream::connect(house.address()).await.unwrap();
    // the first bytes of the new protocol may come with the request
    stream
        .write_all(b"GET /open/x HTTP/1.1\r\nHost: shop.test\r\nConnection: upgrade\r\nUpgrade: Echo\r\n\r\nearly")
        .await
        .unwrap();
    assert!(soon(read_head(&mut stream)).await.unwrap().starts_with("HTTP/1.1 101"));
    let sent = vec![b'z'; 3_000_000];
    let (mut read, mut write) = stream.split();
    let received = async {
        let mut received = Vec::new();
        read.read_to_end(&mut received).await.unwrap();
        received
    };
    let send = async {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let (received, ()) = soon(async { tokio::join!(received, send) }).await;
    assert!(received.starts_with(b"earlyzzz") && received.len() == sent.len() + 5, "half-closed, and all came back");
    let h2c = "GET /open/x HTTP/1.1\r\nHost: shop.test\r\nConnection: close, upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n\r\n";
    let answer = soon(house.raw(h2c)).await;
    assert!(!answer.starts_with("HTTP/1.1 101"), "{answer}");
}

#[tokio::test]
async fn draining_says_that_the_gate_goes_away() {
    let upstream = echo().await;
    let house = House::new(&upstream.url);
    for path in ["/open/x", "/me/x"] {
        let mut socket = open(&house, path, None).await.unwrap();
        says_again(&mut socket, "hello").await;
        if path == "/me/x" {
            house.gate.stop_accepting();
            assert_eq!(end_of(&mut socket).await, Some(CloseCode::Away.into()));
        }
    }
    soon(house.gate.drain(Duration::from_secs(5))).await;
}

/// What the two sides of a tunnel are doing when the right ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// Neither says anything.
    Nothing,
    /// The client has said that it will say no more.
    ClientIsDone,
    /// The application has said so.
    ApplicationIsDone,
    /// The application sends and the client takes nothing.
    ClientIsStuck,
    /// The client sends and the application takes nothing.
    ApplicationIsStuck,
}

#[tokio::test]
async fn a_tunnel_ends_with_its_right_whatever_its_sides_are_doing() {
    for doing in
        [Doing::Nothing, Doing::ClientIsDone, Doing::ApplicationIsDone, Doing::ClientIsStuck, Doing::ApplicationIsStuck]
    {
        let (hung_up, mut hangs_up) = tokio::sync::mpsc::channel(1);
        let (cut, was_cut) = tokio::sync::watch::channel(());
        let upstream = Upstream::raw(move |mut stream, _| {
            let (hung_up, mut was_cut) = (hung_up.clone(), was_cut.clone());
            async move {
                read_head(&mut stream).await.unwrap();
                let switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
                stream.write_all(switched.as_bytes()).await.unwrap();
                match doing {
                    Doing::ApplicationIsDone => stream.shutdown().await.unwrap(),
                    Doing::ClientIsStuck => while stream.write_all(&[b'x'; 65_536]).await.is_ok() {},
                    Doing::ApplicationIsStuck => was_cut.changed().await.unwrap(),
                    Doing::Nothing | Doing::ClientIsDone => {}
                }
                while stream.read(&mut [0; 65_536]).await.is_ok_and(|read| read > 0) {}
                // the end of what the client sends is not yet the end
                while doing == Doing::ClientIsDone && stream.write_all(b"x").await.is_ok() {
                    tokio::task::yield_now().await;
                }
                let _ = hung_up.send(()).await;
            }
        })
        .await;
        let house = House::new(&upstream.url);
        house.assign(1, ada(), Some(at(3600)));
        let mut stream = TcpStream::connect(house.address()).await.unwrap();
        let request = format!(
            "GET /vault/x HTTP/1.1\r\nHost: shop.test\r\nAuthorization: Bearer {}\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
            house.token("ada")
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        assert!(soon(read_head(&mut stream)).await.unwrap().starts_with("HTTP/1.1 101"));
        match doing {
            Doing::ClientIsDone => stream.shutdown().await.unwrap(),
            Doing::ApplicationIsStuck => {
                let block = [b'x'; 65_536];
                while let Ok(sent) = tokio::time::timeout(Duration::from_millis(100), stream.write_all(&block)).await {
                    sent.unwrap();
                }
            }
            Doing::Nothing | Doing::ApplicationIsDone | Doing::ClientIsStuck => {}
        }
        soon(async {
            while !house.metrics.encode().contains("hallpass_tunnels_open 1") {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert!(hangs_up.try_recv().is_err(), "{doing:?}");
        house.remove(1);
        let line = &soon(house.lines(1)).await[0];
        assert_eq!(line["cut"], "revoked", "{doing:?}");
        // only now may they do anything: none of them brought the cut about
        cut.send_replace(());
        soon(hangs_up.recv()).await.unwrap();
        assert!(house.metrics.encode().contains("hallpass_tunnels_open 0"), "{doing:?}");
    }
}
