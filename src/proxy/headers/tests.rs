//! What is removed, what is believed of whom, and what is added.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{COOKIE, HeaderName, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Request};
use proptest::prelude::*;

use super::*;
use crate::proxy::canonical::{BadRequest, Canonical, CanonicalSettings, canonicalise};

fn map(lines: &[(&str, &str)]) -> HeaderMap {
    lines
        .iter()
        .map(|(name, value)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        })
        .collect()
}

fn lines(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<_> =
        headers.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))).collect();
    lines.sort();
    lines
}

fn canonical() -> Canonical {
    let request = Request::get("/vault/k").header("host", "Shop.test:8443").body(()).unwrap();
    canonicalise(&request.into_parts().0, &CanonicalSettings::default()).unwrap()
}

fn exchange(peer: &str, headers: &HeaderMap) -> Result<Exchange, BadRequest> {
    let trusted = Arc::new(TrustedProxies(vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]));
    Exchange::read(headers, &Connection::new(peer.parse().unwrap(), Scheme::Http, &trusted), &canonical())
}

const MANAGED: [&str; 45] = [
    "x-hallpass-role",
    "x-hallpass-roles",
    "x-hallpass-activation",
    "x-hallpass-expires",
    "x-hallpass-assertion",
    "x-hallpass-anything",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-client-cert",
    "x-forwarded",
    "forwarded",
    "forwarded-for",
    "x-real-ip",
    "x-original-url",
    "x-original-uri",
    "x-original-method",
    "x-rewrite-url",
    "x-override-url",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-auth-request-user",
    "x-auth-request-access-token",
    "remote-user",
    "remote-groups",
    "x-remote-user",
    "x-remote-extra-scopes",
    "x-webauth-user",
    "x-amzn-oidc-identity",
    "x-goog-iap-jwt-assertion",
    "cf-access-jwt-assertion",
    "x-pomerium-jwt-assertion",
    "true-client-ip",
    "cf-connecting-ip",
    "x-client-ip",
    "x-request-id",
    "x-host",
    "proxy",
];

#[test]
fn everything_that_speaks_for_hallpass_is_removed_and_the_rest_stays() {
    let kept = [
        ("accept", "*/*"),
        ("authorization", "Bearer x"),
        ("content-length", "3"),
        ("content-type", "text/plain"),
        ("host", "shop.test"),
        ("x-app-own", "1"),
        ("x-csrf-token", "1"),
        ("x-realm", "1"),
        ("x-requested-with", "fetch"),
        ("user-agent", "test"),
        ("remotely", "1"),
    ];
    let hop = [
        ("connection", "keep-alive, x-mine"),
        ("keep-alive", "timeout=5"),
        ("proxy-authorization", "Basic x"),
        ("proxy-connection", "keep-alive"),
        ("te", "gzip"),
        ("trailer", "x-late"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMA"),
        ("expect", "100-continue"),
        ("x-mine", "1"),
        ("some_name", "1"),
    ];
    let mut headers = map(&kept);
    headers.extend(map(&hop));
    headers.extend(map(&MANAGED.map(|name| (name, "forged"))));
    strip_inbound(&mut headers);
    assert_eq!(lines(&headers), lines(&map(&kept)));
}

#[test]
fn own_cookies_pass_in_neither_direction() {
    for (sent, kept) in [
        ("a=1; __Host-hallpass_session=x; b=2", Some("a=1; b=2")),
        ("__Host-hallpass_session=x", None),
        ("__HOST-HallPass=x;a=1", Some("a=1")),
        ("a=1; =__Host-hallpass_session=x", Some("a=1")),
        ("a=__Host-hallpass; b", Some("a=__Host-hallpass; b")),
        ("a=\u{e4}; __Host-hallpass_session=\u{e4}", Some("a=\u{e4}")),
    ] {
        let mut headers = map(&[("cookie", sent)]);
        strip_inbound(&mut headers);
        assert_eq!(headers.get(COOKIE).map(HeaderValue::as_bytes), kept.map(str::as_bytes), "{sent}");
    }
    let mut headers = map(&[
        ("set-cookie", "a=1; Path=/"),
        ("set-cookie", "__Host-hallpass_session=evil; Secure; Path=/"),
        ("set-cookie", " =__host-hallpass_session=evil"),
        ("set-cookie", "b=__Host-hallpass"),
        ("x-hallpass-expires", "never"),
        ("x-forwarded-user", "root"),
        ("connection", "close, x-mine"),
        ("x-mine", "1"),
        ("content-type", "text/plain"),
    ]);
    strip_outbound(&mut headers);
    let cookies: Vec<_> = headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(cookies, ["a=1; Path=/", "b=__Host-hallpass"]);
    assert_eq!(headers.len(), 3, "{headers:?}");
}

#[test]
fn a_stranger_says_nothing_about_itself() {
    let forged = map(&[
        ("x-forwarded-for", "1.2.3.4"),
        ("forwarded", "for=1.2.3.4;proto=https;host=evil.test"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.test"),
        ("x-request-id", "mine"),
    ]);
    let exchange = exchange("192.0.2.7", &forged).unwrap();
    let mut headers = forged;
    strip_inbound(&mut headers);
    add_forwarding(&mut headers, &exchange);
    assert_eq!(exchange.client, "192.0.2.7".parse::<IpAddr>().unwrap());
    assert_eq!(exchange.request_id().len(), 32);
    assert_eq!(headers["host"], "shop.test:8443");
    assert!(lines(&headers)[1].starts_with("traceparent: 00-"));
    assert_eq!(
        lines(&headers)[2..7],
        [
            "x-forwarded-for: 192.0.2.7",
            "x-forwarded-host: shop.test:8443",
            "x-forwarded-port: 8443",
            "x-forwarded-proto: http",
            "x-real-ip: 192.0.2.7",
        ]
    );
}

#[test]
fn trusted_proxies_are_believed_from_right_to_left() {
    for (headers, client, chain) in [
        (&[][..], "10.0.0.1", "10.0.0.1"),
        (&[("x-forwarded-for", "192.0.2.7")], "192.0.2.7", "192.0.2.7, 10.0.0.1"),
        (&[("x-forwarded-for", "6.6.6.6, 192.0.2.7")], "192.0.2.7", "192.0.2.7, 10.0.0.1"),
        (&[("x-forwarded-for", "6.6.6.6, 192.0.2.7, 10.0.0.2")], "192.0.2.7", "192.0.2.7, 10.0.0.2, 10.0.0.1"),
        (
            &[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.7:4711,10.0.0.2")],
            "192.0.2.7",
            "192.0.2.7, 10.0.0.2, 10.0.0.1",
        ),
        (&[("x-forwarded-for", "10.9.9.9, 10.0.0.2")], "10.9.9.9", "10.9.9.9, 10.0.0.2, 10.0.0.1"),
        (&[("x-forwarded-for", "::ffff:10.0.0.2")], "10.0.0.2", "10.0.0.2, 10.0.0.1"),
        (&[("forwarded", "for=\"[2001:db8::1]:4711\";proto=https")], "2001:db8::1", "2001:db8::1, 10.0.0.1"),
        (
            &[("forwarded", "for=6.6.6.6, For=\"192.0.2.7\" , for=10.0.0.2")],
            "192.0.2.7",
            "192.0.2.7, 10.0.0.2, 10.0.0.1",
        ),
        (&[("forwarded", "for=192.0.2.7, for=unknown, for=10.0.0.2")], "10.0.0.2", "10.0.0.2, 10.0.0.1"),
        (&[("forwarded", "for=_hidden;by=\"a,b;c\"")], "10.0.0.1", "10.0.0.1"),
        (&[("forwarded", "for=192.0.2.7"), ("x-forwarded-for", "192.0.2.7")], "192.0.2.7", "192.0.2.7, 10.0.0.1"),
    ] {
        let read = exchange("10.0.0.1", &map(headers)).unwrap();
        let mut added = HeaderMap::new();
        add_forwarding(&mut added, &read);
        assert_eq!(
            (read.client.to_string().as_str(), added["x-forwarded-for"].to_str().unwrap()),
            (client, chain),
            "{headers:?}"
        );
        assert_eq!(added["x-real-ip"], client);
    }
    let all = map(&[("x-forwarded-proto", "HTTPS"), ("x-forwarded-host", "Front.test."), ("x-forwarded-port", "444")]);
    let read = exchange("::ffff:10.0.0.1", &all).unwrap();
    let mut added = HeaderMap::new();
    add_forwarding(&mut added, &read);
    assert_eq!(read.scheme, Scheme::Https);
    assert_eq!(
        (&added["x-forwarded-host"], &added["x-forwarded-port"]),
        (&"front.test".parse().unwrap(), &"444".parse().unwrap())
    );
}

#[test]
fn trusted_proxies_that_contradict_each_other_or_speak_nonsense_are_refused() {
    for headers in [
        &[("forwarded", "for=192.0.2.7"), ("x-forwarded-for", "192.0.2.8")][..],
        &[("forwarded", "for=192.0.2.7;proto=http"), ("x-forwarded-proto", "https")],
        &[("forwarded", "host=a.test"), ("x-forwarded-host", "b.test")],
        &[("x-forwarded-proto", "http, https")],
        &[("x-forwarded-host", "a.test"), ("x-forwarded-host", "b.test")],
        &[("x-forwarded-for", "192.0.2.7, nonsense")],
        &[("x-forwarded-for", "")],
        &[("x-forwarded-for", "unknown")],
        &[("x-forwarded-for", "192.0.2.7,,10.0.0.2")],
        &[("x-forwarded-for", "192.0.2")],
        &[("x-forwarded-for", "192.0.2.7\u{e4}")],
        &[("x-forwarded-proto", "gopher")],
        &[("x-forwarded-host", "a.test/vault")],
        &[("x-forwarded-port", "0")],
        &[("x-forwarded-port", "+80")],
        &[("forwarded", "for")],
        &[("forwarded", "for=\"192.0.2.7")],
        &[("forwarded", "for=192.0.2.7;for=192.0.2.8")],
        &[("forwarded", "for=a\"b\"")],
        &[("forwarded", "")],
    ] {
        assert_eq!(exchange("10.0.0.1", &map(headers)).unwrap_err(), BadRequest::Forwarding, "{headers:?}");
        assert!(exchange("192.0.2.7", &map(headers)).is_ok(), "nobody asked a stranger: {headers:?}");
    }
}

#[test]
fn ids_are_kept_only_when_they_are_whole() {
    let id = |peer, value: &str| exchange(peer, &map(&[("x-request-id", value)])).unwrap().request_id().to_owned();
    assert_eq!(id("10.0.0.1", "a-1_b.c"), "a-1_b.c");
    for (peer, value) in [("192.0.2.7", "a-1"), ("10.0.0.1", ""), ("10.0.0.1", "a b"), ("10.0.0.1", &"a".repeat(129))] {
        assert_eq!(id(peer, value).len(), 32, "{value}");
    }
    assert_ne!(fresh_request_id(), fresh_request_id());

    let trace = "0af7651916cd43dd8448eb211c80319c";
    let good = format!("00-{trace}-b7ad6b7169203331-01");
    let forward = |headers: &HeaderMap| {
        let read = exchange("192.0.2.7", headers).unwrap();
        let mut added = HeaderMap::new();
        add_forwarding(&mut added, &read);
        assert_eq!(added["traceparent"].to_str().unwrap().split('-').nth(1).unwrap(), read.trace_id());
        added
    };
    let kept = forward(&map(&[("traceparent", &good), ("tracestate", "a=1, b=2"), ("tracestate", "c=3")]));
    assert_eq!((&kept["traceparent"], &kept["tracestate"]), (&good.parse().unwrap(), &"a=1,b=2,c=3".parse().unwrap()));
    for bad in [
        String::new(),
        good.to_uppercase(),
        format!("ff-{trace}-b7ad6b7169203331-01"),
        format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
        format!("00-{trace}-{}-01", "0".repeat(16)),
        format!("{good}-x"),
        format!("00-{trace}-b7ad6b7169203331"),
        format!("00-{trace}-b7ad6b716920333g-01"),
    ] {
        let fresh = forward(&map(&[("traceparent", &bad), ("tracestate", "a=1")]));
        assert!(!fresh.contains_key("tracestate"), "{bad}");
        assert!(fresh["traceparent"].to_str().unwrap().ends_with("-00"), "{bad}");
    }
    let long = vec!["a=1"; 33].join(",");
    assert!(!forward(&map(&[("traceparent", &good), ("tracestate", &long)])).contains_key("tracestate"));
    let twice = forward(&map(&[("traceparent", &good), ("traceparent", &good)]));
    assert_ne!(twice["traceparent"].to_str().unwrap(), good);
}

#[test]
fn upgrades_are_asked_for_anew() {
    let mut headers = map(&[("connection", "upgrade"), ("upgrade", "WebSocket"), ("sec-websocket-key", "k")]);
    strip_inbound(&mut headers);
    assert_eq!(lines(&headers), ["sec-websocket-key: k"]);
    add_upgrade(&mut headers, &Upgrade::WebSocket);
    assert_eq!(
        (&headers["connection"], &headers["upgrade"]),
        (&"upgrade".parse().unwrap(), &"websocket".parse().unwrap())
    );
    add_upgrade(&mut headers, &Upgrade::Other("spdy/3.1".into()));
    assert_eq!(headers["upgrade"], "spdy/3.1");
}

proptest! {
    #[test]
    fn no_spelling_of_a_managed_name_survives(
        name in prop::sample::select(MANAGED.to_vec()),
        tail in "(-[a-z]{1,4})?",
        signs in prop::collection::vec(prop::sample::select(b"-_.!#$%&'*+^`|~".to_vec()), 16),
        capitals in prop::collection::vec(any::<bool>(), 48),
        value in "[ -~]{0,8}",
    ) {
        let whole = !["x-hallpass", "x-forwarded", "x-original", "x-remote", "x-auth-request"].iter().any(|start| name.starts_with(start));
        let mut signs = signs.into_iter().cycle();
        let spelled: Vec<u8> = format!("{name}{}", if whole { "" } else { &tail }).bytes().zip(capitals.into_iter().cycle())
            .map(|(byte, capital)| match byte {
                b'-' => signs.next().unwrap(),
                _ if capital => byte.to_ascii_uppercase(),
                _ => byte,
            })
            .collect();
        let name = HeaderName::from_bytes(&spelled).unwrap();
        let mut headers = HeaderMap::new();
        headers.append(name.clone(), HeaderValue::from_str(&value).unwrap());
        headers.append(name.clone(), HeaderValue::from_static("again"));
        strip_inbound(&mut headers);
        prop_assert!(headers.is_empty(), "{name} survived");
    }
}
