//! Everything has a limit, and each is reached here.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Served, locally, soon, until_closed};
use crate::server::{Limits, bind};

const CLOSE: &str = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn heads_beyond_the_limit_are_431() {
    locally(async {
        let limits = Limits { header_bytes_max: 1000, header_fields_max: 10, ..Limits::default() };
        let served = Served::new(limits, None);
        for (fields, value, status) in [(5, 10, 200), (8, 10, 200), (11, 1, 431), (2, 600, 431), (1, 100_000, 431)] {
            let fields: String = (0..fields).map(|n| format!("X-{n}: {}\r\n", "v".repeat(value))).collect();
            let request = format!("GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n");
            let answer = served.raw(request.as_bytes()).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{value}: {answer}");
        }
        let endless = served.raw(&vec![b'x'; 200_000]).await;
        assert!(!endless.contains(" 200 "), "{endless}");
        assert_eq!(served.gauges.malformed.get(), 4, "what hyper answers by itself is counted");
    })
    .await;
}

#[tokio::test]
async fn malformed_heads_are_400_and_end_the_connection() {
    locally(async {
        let served = Served::new(Limits::default(), None);
        for bad in [
            "Host : a",
            "Host: a\r\n folded: b",
            ": empty",
            "X\0Y: a",
            "X: a\0b",
            "X: a\rb",
            "Host: a\r\nContent-Length: 1\r\nContent-Length: 2",
            "Host: a\r\nContent-Length: +1",
            "Host: a\r\nContent-Length: ",
            "Host: a\r\nTransfer-Encoding: gzip",
        ] {
            let request = format!("POST /a HTTP/1.1\r\n{bad}\r\n\r\n{CLOSE}");
            let answer = served.raw(request.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{bad:?} gave {answer}");
            assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{bad:?}: what follows is no request");
        }
        assert_eq!(served.gauges.malformed.get(), 10);
    })
    .await;
}

/// Longer than any test waits: what ends a connection is never this.
const NEVER: Duration = Duration::from_secs(3600);
const A_MOMENT: Duration = Duration::from_millis(100);

/// Asks once and reads the whole answer; the connection stays.
async fn asks(stream: &mut TcpStream) {
    stream.write_all(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"/a 0 false") {
        answer.push(soon(stream.read_u8()).await.unwrap());
    }
}

#[tokio::test]
async fn slow_heads_are_given_up_and_who_has_asked_may_take_longer() {
    locally(async {
        let limits = Limits { header_timeout: A_MOMENT, idle_timeout: NEVER, ..Limits::default() };
        let served = Served::new(limits, None);
        // a head that takes too long for a busy machine is given up as well: another connection, then
        let mut kept = loop {
            let mut stream = served.connect().await;
            stream.write_all(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"/a 0 false")
                && soon(stream.read_buf(&mut answer)).await.is_ok_and(|read| read > 0)
            {}
            if answer.ends_with(b"/a 0 false") {
                break stream;
            }
        };
        let mut silent = served.connect().await;
        assert_eq!(until_closed(&mut silent).await, "", "nothing at all");

        // one byte now and then never ends the head
        let (mut answer, mut slow) = served.connect().await.into_split();
        let dripping = async {
            let mut pulse = tokio::time::interval(Duration::from_millis(10));
            for byte in CLOSE.bytes().filter(|byte| *byte != b'\n').cycle() {
                pulse.tick().await;
                if slow.write_all(&[byte]).await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = until_closed(&mut answer) => {}
            () = dripping => {}
        }
        // both have taken longer than a head may, and this one has said nothing all that time
        assert!(
            kept.try_read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock),
            "still open"
        );
        kept.write_all(CLOSE.as_bytes()).await.unwrap();
        assert!(until_closed(&mut kept).await.contains("/a 0 false"));
    })
    .await;
}

#[tokio::test]
async fn idle_connections_are_given_up() {
    locally(async {
        let limits = Limits { header_timeout: NEVER, idle_timeout: A_MOMENT, ..Limits::default() };
        let served = Served::new(limits, None);
        let mut idle = served.connect().await;
        asks(&mut idle).await;
        assert_eq!(until_closed(&mut idle).await, "", "nothing else would end it");
    })
    .await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up() {
    locally(async {
        let limits = Limits { write_timeout: Duration::from_millis(100), ..Limits::default() };
        let served = Served::new(limits, None);
        let mut stream = served.connect().await;
        stream.write_all(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        // the answer has begun: draining waits for its end, which nothing but the limit brings
        soon(stream.read_u8()).await.unwrap();
        served.ended().await;
        assert!(until_closed(&mut stream).await.len() < 50_000_000);
    })
    .await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_others_unharmed() {
    locally(async {
        let served = Served::new(Limits { connections_max: 3, ..Limits::default() }, None);
        let mut kept = Vec::new();
        for _ in 0..3 {
            let mut stream = served.connect().await;
            stream.write_all(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            soon(stream.read_u8()).await.unwrap();
            kept.push(stream);
        }
        for _ in 0..5 {
            assert_eq!(until_closed(&mut served.connect().await).await, "");
        }
        assert_eq!((served.gauges.open.get(), served.gauges.refused.get()), (3, 5));
        for stream in &mut kept {
            stream.write_all(CLOSE.as_bytes()).await.unwrap();
            assert!(until_closed(stream).await.contains("/a 0 false"));
        }
        drop(kept);
        soon(async {
            while served.gauges.open.get() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert!(served.raw(CLOSE.as_bytes()).await.starts_with("HTTP/1.1 200"), "places are given back");
    })
    .await;
}

#[tokio::test]
async fn a_panic_ends_its_request_with_500_and_nothing_else() {
    locally(async {
        let served = Served::new(Limits::default(), None);
        let answer = served.raw(b"GET /panic HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
        assert!(served.raw(CLOSE.as_bytes()).await.starts_with("HTTP/1.1 200"));
    })
    .await;
}

#[tokio::test]
async fn draining_closes_what_is_idle_and_takes_no_more() {
    locally(async {
        let served = Served::new(Limits::default(), None);
        let (mut fresh, mut used) = (served.connect().await, served.connect().await);
        used.write_all(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        soon(used.read_u8()).await.unwrap();
        served.ended().await;
        until_closed(&mut used).await;
        assert_eq!(until_closed(&mut fresh).await, "");
        assert!(TcpStream::connect(served.address).await.is_err());
    })
    .await;
}

#[test]
fn cores_share_one_port_and_a_stale_unix_socket_is_no_obstacle() {
    let (address, sockets) = bind(&"127.0.0.1:0".parse().unwrap(), 4).unwrap();
    assert_eq!(sockets.len(), 4);
    assert_ne!(address.tcp().unwrap().port(), 0);

    let folder = tempfile::tempdir().unwrap();
    let place = format!("unix://{}", folder.path().join("gate.sock").display()).parse().unwrap();
    let (_, sockets) = bind(&place, 2).unwrap();
    assert!(bind(&place, 1).is_err(), "in use");
    drop(sockets);
    assert!(bind(&place, 1).is_ok(), "left behind");
    for text in ["", "8080", "localhost:80", "unix://relative", "127.0.0.1:99999"] {
        assert!(text.parse::<crate::server::Bind>().is_err(), "{text}");
    }
}
