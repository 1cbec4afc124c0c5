//! Bytes as they come from a socket, through hyper, to the verdict on what they are: whatever could be read in two ways is
//! refused by hyper or by the gate, and what passes is forwarded as it was decided on.

#![expect(clippy::unwrap_used, reason = "what a test is given must be there")]

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use hallpass::domain::authorize::Denial;
use hallpass::domain::rule::{Demand, Rule};
use hallpass::domain::time::Timestamp;
use hallpass::proxy::canonical::{CanonicalSettings, canonicalise};
use hallpass::proxy::denial::{Audience, Links, Occasion, Refused, refuse};
use hallpass::proxy::headers::{
    Connection, Exchange, Scheme, TrustedProxies, add_forwarding, fresh_request_id, strip_inbound,
};
use hallpass::proxy::route::{RouteOptions, RouteSettings, Routes};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn routes() -> Routes {
    let route = |name: &str, path: &str, demand| RouteSettings {
        name: name.to_owned(),
        host: None,
        path: path.to_owned(),
        methods: Vec::new(),
        rule: Rule::enforce(demand),
        upstream: "app".to_owned(),
        options: RouteOptions::default(),
    };
    Routes::new(vec![route("open", "/open/**", Demand::Public), route("vault", "/vault/**", Demand::Nobody)]).unwrap()
}

/// Decides like the gate, and answers with what would have been forwarded.
fn decide(routes: &Routes, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (mut parts, _) = request.into_parts();
    let audience = Audience::of(&parts);
    let links = Links { portal_url: "https://portal.test".to_owned(), gate_url: "https://shop.test".to_owned() };
    let settings = CanonicalSettings { spelling: routes.spelling(), ..CanonicalSettings::default() };
    let connection = Connection::new([192, 0, 2, 7].into(), Scheme::Http, &Arc::new(TrustedProxies::default()));
    let decided = canonicalise(&parts, &settings).map_err(Refused::from).and_then(|canonical| {
        let exchange = Exchange::read(&parts.headers, &connection, &canonical)?;
        match routes.find(&canonical)? {
            Some(route) if route.rule.demand == Demand::Public => Ok((canonical, exchange)),
            Some(_) | None => Err(Denial::Forbidden.into()),
        }
    });
    match decided {
        Err(refused) => {
            let request_id = fresh_request_id();
            let now = Timestamp::from_seconds(0);
            let (policies, paces, names) = Default::default();
            let occasion = Occasion {
                audience,
                links: &links,
                canonical: None,
                request_id: &request_id,
                now,
                signs_in: false,
                demand: None,
                policies: &policies,
                paces: &paces,
                names: &names,
            };
            refuse(&refused, &occasion)
        }
        Ok((canonical, exchange)) => {
            strip_inbound(&mut parts.headers);
            add_forwarding(&mut parts.headers, &exchange);
            let mut told = format!("{} {} host={}\n", canonical.method, canonical.target(), canonical.host.name());
            for (name, value) in &parts.headers {
                told.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
            }
            Response::new(Full::new(Bytes::from(told)))
        }
    }
}

/// What the gate answers to these bytes; the connection is closed after them.
async fn answer(bytes: &[u8]) -> String {
    let routes = Arc::new(routes());
    let (mut client, server) = tokio::io::duplex(64 * 1024);
    let service = service_fn(|request| {
        let routes = Arc::clone(&routes);
        async move { Ok::<_, Infallible>(decide(&routes, request)) }
    });
    let serving =
        hyper::server::conn::http1::Builder::new().half_close(true).serve_connection(TokioIo::new(server), service);
    let asking = async {
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    // hyper tells of bad requests by an error, after it has answered
    let (_, answer) = tokio::join!(serving, asking);
    answer
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

async fn status_of(request: &str) -> String {
    let answer = answer(request.replace('\n', "\r\n").as_bytes()).await;
    assert!(
        answer.lines().filter(|line| line.starts_with("HTTP/1.")).count() <= 1,
        "one request, one answer: {request:?} gave {answer}"
    );
    status(&answer).to_owned()
}

#[tokio::test]
async fn ambiguous_bytes_are_refused() {
    for (request, expected) in [
        ("GET /open/k HTTP/1.1\nHost: shop.test\n\n", "200"),
        ("GET http://Shop.Test/open/k HTTP/1.1\nHost: shop.test\n\n", "200"),
        ("POST /open/k HTTP/1.1\nHost: shop.test\nTransfer-Encoding: chunked\n\n0\n\n", "200"),
        ("GET /vault/k HTTP/1.1\nHost: shop.test\n\n", "403"),
        ("GET /nowhere HTTP/1.1\nHost: shop.test\n\n", "403"),
        ("GET /open/../vault/k HTTP/1.1\nHost: shop.test\n\n", "400"),
        ("GET /open/%2E%2E/vault/k HTTP/1.1\nHost: shop.test\n\n", "400"),
        ("GET /open/a%2Fb HTTP/1.1\nHost: shop.test\n\n", "400"),
        ("GET /open/a\\b HTTP/1.1\nHost: shop.test\n\n", "400"),
        ("GET /open//k HTTP/1.1\nHost: shop.test\n\n", "400"),
        ("GET //open/k HTTP/1.1\nHost: shop.test\n\n", "400"),
        ("GET /vault;v=2/k HTTP/1.1\nHost: shop.test\n\n", "400"),
        ("GET /open/% HTTP/1.1\nHost: shop.test\n\n", "400"),
        ("GET /open/\0 HTTP/1.1\nHost: shop.test\n\n", "400"),
        ("GET /a b HTTP/1.1\nHost: shop.test\n\n", "400"),
        ("GET open/ HTTP/1.1\nHost: shop.test\n\n", "400"),
        ("GET * HTTP/1.1\nHost: shop.test\n\n", "400"),
        ("GET shop.test:80 HTTP/1.1\nHost: shop.test\n\n", "400"),
        ("GET http://evil.test/open/ HTTP/1.1\nHost: shop.test\n\n", "400"),
        ("GET /open/ HTTP/1.1\n\n", "400"),
        ("GET /open/ HTTP/1.1\nHost:\n\n", "400"),
        ("GET /open/ HTTP/1.1\nHost: shop.test\nHost: shop.test\n\n", "400"),
        ("GET /open/ HTTP/1.1\nHost: shop.test/x\n\n", "400"),
        ("pOST /open/ HTTP/1.1\nHost: shop.test\n\n", "501"),
        ("TRACE /open/ HTTP/1.1\nHost: shop.test\n\n", "405"),
        ("CONNECT shop.test:443 HTTP/1.1\nHost: shop.test\n\n", "405"),
        ("POST /open/ HTTP/1.1\nHost: shop.test\nContent-Length: 7\nContent-Length: 8\n\n1234567", "400"),
        ("POST /open/ HTTP/1.1\nHost: shop.test\nContent-Length: +7\n\n1234567", "400"),
        ("POST /open/ HTTP/1.1\nHost: shop.test\nContent-Length: 7, 7\n\n1234567", "400"),
        ("POST /open/ HTTP/1.1\nHost: shop.test\nTransfer-Encoding: gzip\n\n", "400"),
        ("POST /open/ HTTP/1.1\nHost: shop.test\nTransfer-Encoding: gzip, chunked\n\n0\n\n", "400"),
        (
            "POST /open/ HTTP/1.1\nHost: shop.test\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked\n\n0\n\n",
            "400",
        ),
        ("POST /open/ HTTP/1.0\nHost: shop.test\nTransfer-Encoding: chunked\n\n0\n\n", "400"),
        ("GET /open/ HTTP/1.1\nHost: shop.test\nX-Any : 1\n\n", "400"),
        ("GET /open/ HTTP/1.1\nHost: shop.test\nX-Any: 1\n folded\n\n", "400"),
        ("GET /open/ HTTP/1.1\nHost: shop.test\n: 1\n\n", "400"),
        ("GET /open/ HTTP/1.1\nHost: shop.test\nX-Any: a\0b\n\n", "400"),
        ("GET /open/ HTTP/1.1\nHost: shop.test\nX_Any: 1\n\n", "400"),
        ("GET /open/ HTTP/1.1\nHost: shop.test\nConnection: X-Hallpass-Role\n\n", "400"),
        ("GET /open/ HTTP/1.1\nHost: shop.test\nAuthorization: Bearer a\nAuthorization: Bearer b\n\n", "400"),
        ("GET /open/ HTTP/1.1\nHost: shop.test\nExpect: 200-ok\n\n", "417"),
    ] {
        assert_eq!(status_of(request).await, expected, "{request:?}");
    }
    let deep = format!("GET {} HTTP/1.1\nHost: shop.test\n\n", "/a".repeat(10_000));
    assert_eq!(status_of(&deep).await, "414");
}

/// hyper keeps the coding and drops the length; then exactly one framing is left, and the connection ends.
#[tokio::test]
async fn two_framings_become_one_and_the_connection_ends() {
    let smuggled = "POST /open/ HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
                    GET /open/smuggled HTTP/1.1\r\nHost: shop.test\r\n\r\n";
    let answer = answer(smuggled.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert!(!answer.contains("smuggled") && !answer.contains("content-length: 6"), "{answer}");
}

#[tokio::test]
async fn what_is_decided_on_is_what_is_forwarded() {
    let request = "PATCH /%6fpen/k%c3%a4?a=/vault/%2e HTTP/1.1\r\nHost: Shop.Test.:80\r\nX-Hallpass-Roles: x\r\n\
                   x-forwarded-user: root\r\nX-HTTP-Method-Override: DELETE\r\nX-Original-URL: /vault/k\r\n\
                   Forwarded: for=1.2.3.4\r\nX-Forwarded-For: 1.2.3.4\r\nConnection: close, X-Once\r\nX-Once: 1\r\n\
                   Upgrade: h2c\r\nTE: trailers\r\nCookie: a=1; __Host-hallpass_session=s\r\nX-App: 1\r\n\r\n";
    let answer = answer(request.as_bytes()).await;
    let (_, told) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> =
        told.lines().filter(|line| !line.starts_with("traceparent") && !line.starts_with("x-request-id")).collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "PATCH /open/k%C3%A4?a=/vault/%2e host=shop.test",
            "cookie: a=1",
            "host: shop.test:80",
            "x-app: 1",
            "x-forwarded-for: 192.0.2.7",
            "x-forwarded-host: shop.test:80",
            "x-forwarded-port: 80",
            "x-forwarded-proto: http",
            "x-real-ip: 192.0.2.7",
        ]
    );
}

#[tokio::test]
async fn outsiders_cannot_tell_an_unknown_path_from_a_denied_one() {
    let mut answers = Vec::new();
    for path in ["/vault/k", "/nowhere"] {
        let answer = answer(format!("GET {path} HTTP/1.1\r\nHost: shop.test\r\n\r\n").as_bytes()).await;
        let id = answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap().to_owned();
        let date = answer.lines().find(|line| line.starts_with("date: ")).unwrap().to_owned();
        answers.push(answer.replace(&id, "ID").replace(&date, "DATE"));
    }
    assert_eq!(answers.first(), answers.last());
}
