//! Upstreams that are down, slow, or talk nonsense, and clients that send what nobody reads.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::support::{House, Upstream, ada, read_head, settings, soon};

const GET: &str = "GET /open/x HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn an_upstream_that_is_down_is_a_502() {
    // a port that is taken, so that nobody else can listen there
    let deaf = tokio::net::TcpSocket::new_v4().unwrap();
    deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let house = House::new(&format!("http://{}", deaf.local_addr().unwrap()));
    assert!(house.raw(GET).await.starts_with("HTTP/1.1 502"));
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_is_a_504() {
    let upstream = Upstream::says("").await;
    let mut settings = settings(&upstream.url);
    settings.upstreams[0].response_timeout = Duration::from_millis(50);
    let house = House::with(settings);
    assert!(house.raw(GET).await.starts_with("HTTP/1.1 504"));
}

#[tokio::test]
async fn broken_answers_are_a_502() {
    for broken in [
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nName : value\r\n\r\n",
        "HTTP/1.1 999999 OK\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
        "\u{1}\u{2}\u{3}\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ] {
        let upstream = Upstream::says(broken).await;
        let house = House::new(&upstream.url);
        let answer = soon(house.raw(GET)).await;
        assert!(answer.starts_with("HTTP/1.1 502"), "{broken:?} gave {answer}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_never_taken_for_whole() {
    for (head, body) in [("Content-Length: 10", "short"), ("Transfer-Encoding: chunked", "5\r\nshort\r\n")] {
        let upstream = Upstream::raw(move |mut stream, _| async move {
            read_head(&mut stream).await.unwrap();
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}").as_bytes()).await.unwrap();
        })
        .await;
        let house = House::new(&upstream.url);
        let answer = reqwest::get(house.url("/open/x")).await.unwrap();
        assert!(answer.bytes().await.is_err(), "{head}");
        assert_eq!(soon(house.lines(1)).await[0]["failure"], "upstream_broke_off");
    }
}

#[tokio::test]
async fn what_follows_an_answer_is_never_the_next_answer() {
    // more body than stated: the rest must not be read as the answer to somebody else's request
    let upstream = Upstream::raw(|mut stream, number| async move {
        while read_head(&mut stream).await.is_some() {
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    let house = House::new(&upstream.url);
    let client = reqwest::Client::new();
    for number in 0..10 {
        let answer = client.get(house.url("/open/x")).send().await.unwrap().text().await.unwrap();
        assert_eq!(answer, number.to_string(), "each on a new connection");
    }
}

/// Answers the first request of each connection and hangs up at the second, telling what it was.
async fn forgetful(tell: mpsc::Sender<String>) -> Upstream {
    Upstream::raw(move |mut stream, _| {
        let tell = tell.clone();
        async move {
            read_head(&mut stream).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            if let Some(head) = read_head(&mut stream).await {
                tell.send(head).await.unwrap();
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_kept_connection_that_dies_costs_a_repeatable_request_nothing() {
    let (tell, mut told) = mpsc::channel(100);
    let upstream = forgetful(tell).await;
    let house = House::new(&upstream.url);
    let client = reqwest::Client::new();
    for _ in 0..4 {
        let answer = client.get(house.url("/open/x")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.bytes().await.unwrap();
    }
    assert!(told.try_recv().is_ok(), "at least one was sent again");
}

#[tokio::test]
async fn what_may_not_be_repeated_is_never_sent_twice() {
    let (tell, mut told) = mpsc::channel(100);
    let upstream = forgetful(tell).await;
    let house = House::new(&upstream.url);
    let client = reqwest::Client::new();
    client.get(house.url("/open/x")).send().await.unwrap().bytes().await.unwrap();
    let answer = client.post(house.url("/open/x")).body("pay").send().await.unwrap();
    assert_eq!(answer.status(), 502);
    assert!(soon(told.recv()).await.unwrap().starts_with("POST"));
    assert!(told.try_recv().is_err(), "once");
}

#[tokio::test]
async fn a_refusal_leaves_no_body_to_be_read_as_a_request() {
    let upstream = Upstream::says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let house = House::new(&upstream.url);
    let smuggled = "GET /open/stolen HTTP/1.1\r\nHost: shop.test\r\n\r\n";
    for size in [10, 100_000, 1_048_576] {
        let body = smuggled.repeat(size / smuggled.len() + 1);
        let mut stream = TcpStream::connect(house.address()).await.unwrap();
        let head = format!("POST /shut/x HTTP/1.1\r\nHost: shop.test\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        stream.write_all(b"GET /open/x HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answers = String::new();
        soon(stream.read_to_string(&mut answers)).await.unwrap();
        assert!(answers.starts_with("HTTP/1.1 403"), "{answers}");
        assert_eq!(answers.matches("HTTP/1.1 200").count(), 1, "only the honest second request: {answers}");
    }
    let lines = soon(house.lines(6)).await;
    assert!(lines.iter().all(|line| line["path"] != "/open/stolen"));
}

#[tokio::test]
async fn a_body_without_end_is_not_read_for_ever() {
    let upstream = Upstream::says("").await;
    let house = House::new(&upstream.url);
    let mut stream = TcpStream::connect(house.address()).await.unwrap();
    stream.write_all(b"POST /shut/x HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    let block = format!("10000\r\n{}\r\n", "x".repeat(65_536));
    let sent = async {
        let mut sent = 0_u64;
        while stream.write_all(block.as_bytes()).await.is_ok() {
            sent += 65_536;
        }
        sent
    };
    let sent = soon(sent).await;
    assert!(sent < 100_000_000, "{sent}");
}

#[tokio::test]
async fn only_who_may_pass_is_told_to_go_on() {
    let upstream = Upstream::raw(|mut stream, _| async move {
        let head = read_head(&mut stream).await.unwrap();
        assert!(!head.to_ascii_lowercase().contains("expect"), "{head}");
        let mut body = [0; 5];
        stream.read_exact(&mut body).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    })
    .await;
    let house = House::new(&upstream.url);
    let head = |path: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    };
    let refused = soon(house.raw(&head("/shut/x"))).await;
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    let mut stream = TcpStream::connect(house.address()).await.unwrap();
    stream.write_all(head("/open/x").as_bytes()).await.unwrap();
    assert!(soon(read_head(&mut stream)).await.unwrap().starts_with("HTTP/1.1 100"));
    stream.write_all(b"hello").await.unwrap();
    assert!(soon(read_head(&mut stream)).await.unwrap().starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_client_that_stalls_in_its_body_is_given_up() {
    let upstream = Upstream::says("").await;
    let mut settings = settings(&upstream.url);
    settings.body_timeout = Duration::from_millis(50);
    let house = House::with(settings);
    let answer = soon(house.raw("POST /open/x HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 5\r\n\r\nhel")).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

/// A short body goes on under the permit it began with, so it must not go on for ever.
#[tokio::test]
async fn a_client_that_sends_a_short_body_byte_by_byte_is_given_up() {
    let upstream = Upstream::says("").await;
    let mut settings = settings(&upstream.url);
    settings.body_timeout = Duration::from_millis(200);
    let house = House::with(settings);
    let mut stream = TcpStream::connect(house.address()).await.unwrap();
    stream.write_all(b"POST /open/x HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 60000\r\n\r\n").await.unwrap();
    let (mut read, mut write) = stream.split();
    let drip = async {
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        loop {
            pause.tick().await;
            if write.write_all(b"x").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        head = soon(read_head(&mut read)) => assert!(head.unwrap().starts_with("HTTP/1.1 408")),
        () = drip => {}
    }
}

#[tokio::test]
async fn junk_between_chunks_is_the_clients_fault_and_ends_the_connection() {
    let upstream = Upstream::raw(|mut stream, _| async move {
        let mut body = Vec::new();
        let _ = stream.read_to_end(&mut body).await;
    })
    .await;
    let house = House::new(&upstream.url);
    for junk in ["zz\r\n", "ffffffffffffffffffff\r\n", "5;\n\r\nhello", "-1\r\n", "5\r\nhello!!"] {
        let request =
            format!("POST /open/x HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n{junk}\r\n");
        let answer = soon(house.raw(&request)).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{junk:?} gave {answer}");
    }
}

#[tokio::test]
async fn trailers_never_become_headers() {
    let (tell, mut told) = mpsc::channel(1);
    let upstream = Upstream::raw(move |mut stream, _| {
        let tell = tell.clone();
        async move {
            let head = read_head(&mut stream).await.unwrap();
            let body = read_head(&mut stream).await.unwrap_or_default();
            tell.send(format!("{head}{body}")).await.unwrap();
            let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-hallpass-expires\r\n\r\n\
                          2\r\nok\r\n0\r\nX-Hallpass-Expires: never\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    let house = House::new(&upstream.url);
    let request = "POST /open/x HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\
                   Trailer: X-Hallpass-Role\r\n\r\n5\r\nhello\r\n0\r\nX-Hallpass-Role: shop/root\r\n\r\n";
    let answer = soon(house.raw(request)).await.to_ascii_lowercase();
    let seen = soon(told.recv()).await.unwrap().to_ascii_lowercase();
    assert!(seen.contains("hello") && !seen.contains("shop/root"), "{seen}");
    assert!(answer.contains("ok") && !answer.contains("never"), "{answer}");
}

#[tokio::test]
async fn a_head_request_keeps_the_length_and_the_connection() {
    let upstream = Upstream::says("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await;
    let house = House::new(&upstream.url);
    house.assign(1, ada(), None);
    let mut stream = TcpStream::connect(house.address()).await.unwrap();
    for _ in 0..3 {
        stream.write_all(b"HEAD /open/x HTTP/1.1\r\nHost: shop.test\r\n\r\n").await.unwrap();
        let head = soon(read_head(&mut stream)).await.unwrap().to_ascii_lowercase();
        assert!(head.contains("content-length: 1000"), "{head}");
    }
}

#[tokio::test]
async fn an_upstream_may_be_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        while read_head(&mut stream).await.is_some() {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        }
    });
    let house = House::new(&format!("unix://{}", path.display()));
    assert!(soon(house.raw(GET)).await.ends_with("ok"));
}

#[tokio::test]
async fn an_early_answer_arrives_though_the_body_is_not_read() {
    let upstream = Upstream::raw(|mut stream, _| async move {
        read_head(&mut stream).await.unwrap();
        let answer = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nmuch";
        stream.write_all(answer).await.unwrap();
        stream.shutdown().await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let house = House::new(&upstream.url);
    let mut stream = TcpStream::connect(house.address()).await.unwrap();
    stream.write_all(b"POST /open/x HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 1048576\r\n\r\n").await.unwrap();
    // the answer comes before the body is even sent
    assert!(soon(read_head(&mut stream)).await.unwrap().starts_with("HTTP/1.1 413"));
    let mut body = [0; 4];
    soon(stream.read_exact(&mut body)).await.unwrap();
    assert_eq!(&body, b"much");
}

#[tokio::test]
async fn an_upstream_over_tls_must_be_who_it_claims_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let authority = folder.path().join("authority.crt");
    std::fs::write(&authority, made.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config =
        rustls::ServerConfig::builder_with_provider(std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let upstream = Upstream::raw(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            while read_head(&mut stream).await.is_some() {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            }
        }
    })
    .await;
    let port = upstream.url.rsplit(':').next().unwrap().to_owned();
    for (host, trusted, status) in [("localhost", true, 200), ("localhost", false, 502), ("127.0.0.1", true, 502)] {
        let mut settings = settings(&format!("https://{host}:{port}"));
        settings.upstreams[0].authorities_file = trusted.then(|| authority.clone());
        let house = House::with(settings);
        let answer = soon(house.raw(GET)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{host}, trusted {trusted}: {answer}");
    }
}
