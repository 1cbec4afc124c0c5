//! Bytes in both directions, written and read by hand: what an application answers is told once, in one framing, and without
//! a word in the name of hallpass; what a client sends is in the log and in the metrics without harm.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::support::{House, Upstream, ada, at, read_head, settings, soon};

const GET: &str = "GET /open/x HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n";

/// What an application answers with on a new connection each, and what the client gets.
async fn through(answer: &'static str, request: &str) -> String {
    let upstream = Upstream::raw(move |mut stream, _| async move {
        read_head(&mut stream).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        let _ = stream.read_u8().await;
    })
    .await;
    soon(House::new(&upstream.url).raw(request)).await
}

#[tokio::test]
async fn an_application_says_nothing_in_the_name_of_hallpass() {
    let answer = through(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Hallpass-Expires: never\r\nx-hallpass-role: shop/root\r\n\
         X.Hallpass.Role: shop/root\r\nX_Hallpass_Role: shop/root\r\nX-Forwarded-User: root\r\nX-Request-Id: forged\r\n\
         Set-Cookie: __Host-hallpass_session=stolen; Path=/; Secure\r\nSet-Cookie: theme=dark\r\n\
         Set-Cookie: =__Host-hallpass_session=stolen\r\nSet-Cookie: __secure-HALLPASS=stolen\r\n\
         Connection: keep-alive, X-Once\r\nX-Once: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\n\
         Upgrade: h2c\r\nTrailer: x\r\nX-App: 1\r\n\r\nok",
        GET,
    )
    .await
    .to_ascii_lowercase();
    for gone in
        ["never", "shop/root", "forged", "stolen", "root", "x-once", "keep-alive", "proxy-", "upgrade", "trailer"]
    {
        assert!(!answer.contains(gone), "{gone} in {answer}");
    }
    for kept in ["set-cookie: theme=dark\r\n", "x-app: 1\r\n", "x-request-id: ", "connection: close\r\n", "\r\n\r\nok"]
    {
        assert!(answer.contains(kept), "{kept} in {answer}");
    }
}

/// (status line and fields, body as sent, method) and what is left of the body.
#[tokio::test]
async fn an_answer_has_one_framing_and_one_end() {
    let rest = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen";
    for (head, body, method, expected) in [
        ("200 OK\r\nContent-Length: 2", "ok", "GET", "ok"),
        ("200 OK\r\nContent-Length: 2\r\nContent-Length: 2", "ok", "GET", "ok"),
        (
            "200 OK\r\nTransfer-Encoding: chunked",
            "2;a=\"b\"\r\nok\r\n0\r\nX-T: 1\r\n\r\n",
            "GET",
            "2\r\nok\r\n0\r\n\r\n",
        ),
        ("200 OK\r\nContent-Length: 2", "", "HEAD", ""),
        ("200 OK\r\nTransfer-Encoding: chunked", "", "HEAD", ""),
        ("204 No Content", "", "GET", ""),
        ("204 No Content\r\nContent-Length: 2", "", "GET", ""),
        ("204 No Content\r\nTransfer-Encoding: chunked", "", "GET", ""),
        ("304 Not Modified\r\nContent-Length: 2\r\nETag: \"a\"", "", "GET", ""),
        ("205 Reset Content\r\nContent-Length: 0", "", "GET", ""),
    ] {
        // what follows the end belongs to nobody, and must reach neither this client nor the next
        let upstream = Upstream::raw(move |mut stream, _| async move {
            while read_head(&mut stream).await.is_some() {
                let answer = format!("HTTP/1.1 {head}\r\n\r\n{body}{rest}");
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        })
        .await;
        let house = House::new(&upstream.url);
        let mut stream = TcpStream::connect(house.address()).await.unwrap();
        for turn in 0..3 {
            let close = if turn == 2 { "Connection: close\r\n" } else { "" };
            let request = format!("{method} /open/x HTTP/1.1\r\nHost: shop.test\r\n{close}\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let told = soon(read_head(&mut stream)).await.unwrap().to_ascii_lowercase();
            let lengths = told.matches("content-length:").count() + told.matches("transfer-encoding:").count();
            assert!(lengths <= 1, "{head} gave {told}");
            if head.starts_with("204") {
                assert_eq!(lengths, 0, "{head} gave {told}");
            }
            let mut body = vec![0; expected.len()];
            let read = soon(stream.read_exact(&mut body)).await;
            assert!(read.is_ok(), "{method} {head}, turn {turn}: {told}{}", String::from_utf8_lossy(&body));
            assert_eq!(String::from_utf8_lossy(&body), expected, "{method} {head}");
        }
        let mut left = String::new();
        soon(stream.read_to_string(&mut left)).await.unwrap();
        assert_eq!(left, "", "{method} {head}");
    }
}

#[tokio::test]
async fn informational_answers_end_nothing_and_go_no_further() {
    let final_answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    for before in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Hallpass-Expires: never\r\n\r\n",
    ] {
        let answer: &'static str = format!("{before}{final_answer}").leak();
        for request in [GET, "HEAD /open/x HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"] {
            let told = through(answer, request).await;
            assert!(told.starts_with("HTTP/1.1 200 OK\r\n"), "{before:?} gave {told}");
            assert_eq!(told.matches("HTTP/1.1").count(), 1, "{told}");
            assert!(!told.contains("never"), "{told}");
        }
    }
}

#[tokio::test]
async fn connection_takes_away_neither_what_hallpass_adds_nor_what_the_request_means() {
    let (tell, mut told) = mpsc::channel(100);
    let upstream = Upstream::raw(move |mut stream, _| {
        let tell = tell.clone();
        async move {
            while let Some(head) = read_head(&mut stream).await {
                tell.send(head).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            }
        }
    })
    .await;
    let house = House::new(&upstream.url);
    house.assign(1, ada(), Some(at(3600)));
    let token = house.token("ada");
    let ask = async |connection: &str| {
        let request = format!(
            "GET /vault/x HTTP/1.1\r\nHost: shop.test\r\nAuthorization: Bearer {token}\r\nX-Free: 1\r\n{connection}\r\n\r\n"
        );
        soon(house.raw(&request)).await
    };
    for name in [
        "X-Hallpass-Role",
        "x-forwarded-user",
        "X-Forwarded-For",
        "X.Forwarded.User",
        "X-Real-IP",
        "X-Request-Id",
        "traceparent",
        "Forwarded",
        "Host",
        "Authorization",
        "Cookie",
        "Content-Length",
    ] {
        for line in [format!("Connection: close, {name}"), format!("Connection: close\r\nConnection: x-free ,\t{name}")]
        {
            let answer = ask(&line).await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{line} gave {answer}");
        }
    }
    assert!(told.try_recv().is_err(), "none of them reached the application");
    assert!(ask("Connection: close, x-free").await.starts_with("HTTP/1.1 200"));
    let head = told.try_recv().unwrap().to_ascii_lowercase();
    assert!(!head.contains("x-free") && !head.contains("bearer"), "{head}");
    for kept in ["x-hallpass-role: shop/vault", "x-forwarded-user: demo:ada", "x-forwarded-for: 127.0.0.1"] {
        assert!(head.contains(kept), "{kept} in {head}");
    }
}

#[tokio::test]
async fn what_strangers_send_is_one_line_and_no_label() {
    let upstream = Upstream::says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let mut settings = settings(&upstream.url);
    settings.trusted_proxies = crate::proxy::headers::TrustedProxies(vec!["127.0.0.0/8".parse().unwrap()]);
    let house = House::with(settings);
    let mut asked = 0;
    let methods = ["GET", "get", "EVIL", "A\"B", "PRI", "OPTIONS", "M-SEARCH"];
    let targets =
        ["/open/%0a%22", "/open/%22,%22verdict%22:%22allow", "/open/%C2%85x", "/{}/x", "/..", "/open/\"{", "/shut/x"];
    let hosts = ["shop.test", "evil-{}.test", "a\"b", "a\\nb", "[::1]"];
    let mores = [
        "",
        "X-Request-Id: a\",\"verdict\":\"allow\r\n",
        "X-Forwarded-For: 192.0.2.1\",\"x\":\"\r\n",
        "traceparent: 00-\"-\"-01\r\n",
        "User-Agent: \u{1b}[2J\u{202e}\r\n",
        "Authorization: Bearer \"},{\"\r\n",
    ];
    for (number, (method, target)) in
        methods.iter().flat_map(|method| targets.map(|target| (method, target))).enumerate()
    {
        let host = hosts[number % hosts.len()].replace("{}", &number.to_string());
        let target = target.replace("{}", &number.to_string());
        let more = mores[number % mores.len()];
        let request = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n");
        let answer = soon(house.raw(&request)).await;
        assert!(answer.starts_with("HTTP/1.1 "), "{request:?} gave {answer:?}");
        assert!(!answer.starts_with("HTTP/1.1 5") || answer.starts_with("HTTP/1.1 501"), "{request:?} gave {answer}");
        asked += 1;
    }
    // reading the lines already proves that each is one JSON object
    let malformed = house.metrics.encode();
    let refused_by_hyper: usize = malformed
        .lines()
        .find_map(|line| line.strip_prefix("hallpass_connections_malformed_total{listener=\"127.0.0.1:0\"} "))
        .map_or(0, |count| count.parse().unwrap());
    let lines = soon(house.lines(asked - refused_by_hyper)).await;
    assert_eq!(lines.len(), asked - refused_by_hyper);
    for line in &lines {
        let known = ["time", "target", "request_id", "trace_id", "client_ip", "method", "host", "path", "listener"];
        let known =
            known.into_iter().chain(["status", "bytes", "duration_ms", "route", "upstream", "verdict", "reason"]);
        let known: Vec<_> = known.chain(["mode", "cut", "failure"]).collect();
        for name in line.as_object().unwrap().keys() {
            assert!(known.contains(&name.as_str()), "{name} in {line}");
        }
        let plain =
            |value: &Value| value.as_str().is_none_or(|text| text.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        assert!(line.as_object().unwrap().values().all(plain), "{line}");
    }
    let metrics = house.metrics.encode();
    for word in ["evil", "EVIL", "SEARCH", "shop.test", "%22", "192.0.2.1", "\\\""] {
        assert!(!metrics.contains(word), "{word} in\n{metrics}");
    }
    let series = metrics.lines().filter(|line| line.starts_with("hallpass_http_requests_total")).count();
    assert!(series <= 16, "{series} in\n{metrics}");
}
