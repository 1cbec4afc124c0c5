//! What pages of other origins can do in the name of somebody whose browser is signed in: nothing.

use reqwest::Method;

use crate::support::visitor::{GATE, PORTAL};
use crate::support::{House, arrived};

const FRIEND: &str = "http://friend.localhost";
const ADA: &str = "person=ada&second_factor=yes";

/// What a browser says of where a request comes from, and whether it may change something.
const SENDERS: &[(&[(&str, &str)], bool)] = &[
    (&[("sec-fetch-site", "same-origin"), ("origin", GATE)], true),
    // a page with `Referrer-Policy: no-referrer`
    (&[("sec-fetch-site", "same-origin"), ("origin", "null")], true),
    (&[("sec-fetch-site", "none")], true),
    (&[("origin", GATE)], true),
    (&[("sec-fetch-site", "same-site"), ("origin", FRIEND)], true),
    // a program that was given the cookie: no page can make a browser send neither
    (&[], true),
    (&[("sec-fetch-site", "same-site"), ("origin", PORTAL)], false),
    (&[("sec-fetch-site", "same-site")], false),
    (&[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")], false),
    (&[("sec-fetch-site", "cross-site"), ("origin", "null")], false),
    (&[("sec-fetch-site", "cross-site")], false),
    (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], false),
    (&[("sec-fetch-site", "of-tomorrow")], false),
    (&[("origin", "https://evil.example")], false),
    (&[("origin", "null")], false),
    (&[("origin", "http://gate.localhost.evil.example")], false),
];

async fn befriended() -> House {
    House::signing_in_as(|text| {
        let public = format!("public_url = \"{GATE}\"");
        assert!(text.contains(&public), "{text}");
        text.replace(&public, &format!("{public}\ntrusted_origins = [\"{FRIEND}\"]"))
    })
    .await
}

#[tokio::test]
async fn a_session_changes_something_only_from_pages_that_are_known() {
    let house = befriended().await;
    let mut ada = house.visitor();
    let page = format!("{GATE}/echo/x");
    ada.signs_in(&page, ADA).await;
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        for (sender, may) in SENDERS {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let answer = ada.sends(method.clone(), &page, sender, None).await;
            if *may {
                assert_eq!(answer.status, 200, "{method} {sender:?}: {}", answer.text);
            } else {
                assert_eq!(answer.expect(403).problem(), "foreign_origin", "{method} {sender:?}");
            }
        }
    }
    for (sender, _) in SENDERS {
        ada.sends(Method::GET, &page, sender, None).await.expect(200);
    }
    house.stop().await;
}

#[tokio::test]
async fn whom_an_unknown_page_speaks_for_is_counted_and_never_told_to_the_application() {
    let house = befriended().await;
    let mut ada = house.visitor();
    ada.signs_in(&format!("{GATE}/echo/x"), ADA).await;
    let foreign = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")];
    for (sender, name) in [(&foreign[..], None), (&[("origin", GATE)], Some("demo:ada"))] {
        let answer = ada.sends(Method::POST, &format!("{GATE}/shadow/echo"), sender, None).await.expect(200);
        assert_eq!(arrived(&answer.json(), "x-forwarded-user"), name, "a shadow route refuses nobody");
    }
    ada.sends(Method::POST, &format!("{GATE}/echo/x"), &foreign, None).await.expect(403);
    let socket = [foreign[1], ("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")];
    let socket = [&socket[..], &[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")]].concat();
    ada.sends(Method::GET, &format!("{GATE}/echo/socket"), &socket, None).await.expect(403);
    let metrics = house.http.get(format!("{}/metrics", house.admin())).send().await.expect("an answer");
    let metrics = metrics.text().await.expect("a body");
    let denied = metrics.lines().find(|line| line.contains("reason=\"foreign_origin\""));
    assert!(denied.is_some_and(|line| line.ends_with(" 2")), "{denied:?}");
    house.stop().await;
}

#[tokio::test]
async fn a_token_is_given_by_whoever_sends_it_and_needs_no_page() {
    let house = befriended().await;
    let ada = house.ada();
    for (sender, _) in SENDERS {
        let mut request = house.http.post(format!("{}/echo/x", house.gate()));
        for (name, value) in *sender {
            request = request.header(*name, *value);
        }
        assert_eq!(ada.send(request).await.status, 200, "{sender:?}");
    }
    house.stop().await;
}

#[tokio::test]
async fn answers_under_a_session_are_not_for_caches_that_others_share() {
    let house = befriended().await;
    let mut ada = house.visitor();
    let page = format!("{GATE}/echo/x");
    ada.signs_in(&page, ADA).await;
    assert_eq!(ada.opens(&page).await.expect(200).header("cache-control"), "private");
    let known = house.ada().get("/echo/x").await.expect(200);
    assert!(!known.headers.contains_key("cache-control"), "a token says so itself (RFC 9111, section 3.5)");
    house.stop().await;
}
