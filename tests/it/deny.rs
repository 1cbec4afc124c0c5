//! What does not pass, and what its answer tells to whom.

use reqwest::Method;

use crate::support::House;
use crate::support::sockets::raw;

#[tokio::test]
async fn nobody_is_challenged_and_an_outsider_learns_nothing() {
    let house = House::new().await;
    let nobody = house.http.get(format!("{}/vault", house.gate())).send().await.expect("an answer");
    assert_eq!(nobody.status(), 401);
    let challenge = nobody.headers()["www-authenticate"].to_str().expect("text").to_owned();
    assert!(challenge.starts_with("Bearer realm=") && !challenge.contains("error"), "{challenge}");

    let vera = house.vera();
    let not_eligible = vera.get("/vault").await.expect(403);
    let no_route = vera.get("/no/such/route").await.expect(403);
    let denied = vera.get("/closed/x").await.expect(403);
    let bare = |answer: &crate::support::Answer| {
        let mut problem = answer.json();
        for member in ["request_id", "instance"] {
            problem.as_object_mut().expect("an object").remove(member);
        }
        problem
    };
    assert_eq!(bare(&not_eligible), bare(&no_route));
    assert_eq!(bare(&not_eligible), bare(&denied));
    assert!(!not_eligible.text.contains("vault-reader"));
    house.stop().await;
}

#[tokio::test]
async fn who_may_activate_is_shown_the_way() {
    let house = House::new().await;
    let ada = house.ada();
    let refused = ada.get("/vault/keys/cellar?x=1").await.expect(403);
    assert_eq!(refused.problem(), "role_not_active");
    assert_eq!(refused.header("cache-control"), "no-store");
    let problem = refused.json();
    assert_eq!(problem["role"], "shop/vault-reader");
    let url = problem["activation_url"].as_str().expect("a link");
    assert!(url.starts_with("http://portal.test/activate?role=shop%2Fvault-reader"), "{url}");
    assert!(url.contains("gate.test"), "the way back: {url}");

    let pending = ada.request("shop/vault-reader", "30m").await;
    let waiting = ada.get("/vault/keys/cellar").await.expect(403).json();
    assert_eq!(waiting["pending"], pending["id"], "the pending request is told instead of a second one");
    house.stop().await;
}

#[tokio::test]
async fn ambiguous_requests_are_refused_and_never_reach_the_application() {
    let house = House::new().await;
    house.ada_holds_the_vault("10m").await;
    let token = house.ada().token;
    let before = house.upstream.requests();
    let targets = [
        "/echo/../vault",
        "/echo/%2e%2e/vault",
        "/echo/%2E%2E%2fvault",
        "/echo//x",
        "/echo/a%2Fb",
        "/echo/a%5Cb",
        "/echo/a;b=c",
        "/echo/%",
        "/echo/%zz",
        "/echo/%00",
        "/echo/%c0%af",
        "/echo/a\\b",
        "http://other.test/echo/x",
        "*",
        "echo",
    ];
    for target in targets {
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: gate.test\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        let answer = raw(&house.gate(), request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{target}: {answer}");
    }
    let heads = [
        "Host: a.test\r\nHost: b.test",
        "Host: gate.test\r\nX_Any: 1",
        "Host: gate.test\r\nConnection: x-hallpass-role",
        "Host: gate.test\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b",
        "Host: gate.test\r\nContent-Length: 1\r\nContent-Length: 2",
        "Host: gate.test\r\nTransfer-Encoding: gzip",
        "Host : gate.test",
        "Host: gate.test\r\n folded: 1",
        "X-None: 1",
    ];
    for head in heads {
        let request = format!("POST /echo/x HTTP/1.1\r\n{head}\r\nConnection: close\r\n\r\n");
        let answer = raw(&house.gate(), request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{head}: {answer}");
    }
    for method in ["CONNECT", "TRACE", "pOST", "BREW"] {
        let request = format!("{method} /echo/x HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n");
        let answer = raw(&house.gate(), request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 501"), "{method}: {answer}");
    }
    assert_eq!(house.upstream.requests(), before);
    house.stop().await;
}

#[tokio::test]
async fn a_refused_upload_is_not_taken_for_the_next_request() {
    let house = House::new().await;
    let smuggled = "GET /vault HTTP/1.1\r\nHost: gate.test\r\n\r\n";
    let body = format!("{smuggled}{}", "x".repeat(1 << 20));
    let refused = house.vera().send(house.http.post(format!("{}/vault/x", house.gate())).body(body)).await;
    assert_eq!(refused.status, 403);
    assert_eq!(house.vera().get("/account").await.status, 200);
    house.stop().await;
}

#[tokio::test]
async fn the_reserved_prefix_is_never_forwarded() {
    let house = House::new().await;
    let ada = house.ada();
    let before = house.upstream.requests();
    assert_eq!(ada.get("/.hallpass/none").await.status, 404);
    let own = ada.get("/.hallpass/status").await.expect(200).json();
    assert_eq!(own["principal"], "demo:ada", "{own}");
    assert_eq!(own["eligible"][0]["via"], "demo:engineers", "what a group brings is told too: {own}");
    let way = ada.get("/.hallpass/activate?role=shop/vault-reader").await;
    assert!((302..=307).contains(&way.status), "{}", way.status);
    assert!(way.header("location").starts_with("http://portal.test/activate"), "{}", way.header("location"));
    assert_eq!(ada.at_gate(Method::GET, "/.hallpass").await.status, 404);
    assert_eq!(house.upstream.requests(), before);
    house.stop().await;
}
