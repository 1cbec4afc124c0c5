//! Ends by somebody's word: revoke, lock, losing eligibility, losing a group.

use hallpass::demo::issuer::{ADA, TokenOptions};
use hallpass::domain::time::Span;
use serde_json::json;

use crate::support::sockets::{open, until_cut, until_over};
use crate::support::visitor::{GATE, PORTAL};
use crate::support::{House, Who, id};

#[tokio::test]
async fn a_revocation_is_in_force_with_its_answer() {
    let house = House::new().await;
    let ada = house.ada();
    for _ in 0..20 {
        let activation = house.ada_holds_the_vault("10m").await;
        assert_eq!(ada.get("/vault").await.status, 200);
        house.root().post(&format!("/activations/{activation}/revoke"), json!({})).await.expect(200);
        assert_eq!(ada.get("/vault").await.status, 403);
    }
    house.stop().await;
}

#[tokio::test]
async fn a_lock_ends_everything_and_refuses_everything() {
    let house = House::new().await;
    let ada = house.ada();
    house.ada_holds_the_vault("10m").await;
    ada.request("shop/two-stages", "10m").await;
    let why = json!({ "justification": "the laptop was stolen" });
    assert_eq!(house.grace().post("/principals/demo:ada/lock", why.clone()).await.status, 403);
    house.root().post("/principals/demo:ada/lock", why.clone()).await.expect(200);
    assert_eq!(ada.get("/vault").await.status, 403);
    assert_eq!(ada.get("/account").await.status, 403, "also what only asks for a sign-in");
    let ask = json!({ "role": "shop/vault-reader", "justification": "the till of shop 4 is stuck" });
    assert_eq!(ada.post("/activations", ask).await.expect(403).problem(), "principal_locked");
    house.root().delete("/principals/demo:ada/lock", why).await.expect(200);
    assert_eq!(ada.get("/account").await.status, 200);
    assert_eq!(ada.get("/vault").await.status, 403, "what ended stays ended");
    house.stop().await;
}

#[tokio::test]
async fn what_was_issued_before_counts_no_more_and_what_is_held_stays_held() {
    let house = House::new().await;
    let (stolen, admin) = (house.ada(), house.root());
    house.ada_holds_the_vault("10m").await;
    let mut feed = open(&house.gate(), "/vault/feed", &stolen).await.expect("a feed");
    house.pass(Span::seconds(1));
    let path = "/principals/demo:ada/revoke-credentials";
    let why = json!({ "justification": "her laptop was stolen" });
    assert_eq!(house.grace().post(path, why.clone()).await.expect(403).problem(), "not_administrator");
    assert_eq!(admin.post(path, json!({})).await.expect(422).problem(), "justification_missing");
    assert_eq!(stolen.get("/vault").await.status, 200, "nothing was revoked yet");
    let answer = admin.post(path, why).await.expect(200).json();
    assert_eq!(answer["issued_before"], "2026-11-23T08:00:01.000Z");
    until_cut(&mut feed).await;
    for path in ["/vault", "/account", "/.hallpass/status"] {
        let refused = stolen.get(path).await.expect(401);
        assert_eq!(refused.problem(), "credential_revoked", "{path}");
        assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"hallpass\", error=\"invalid_token\"");
    }
    for path in ["/me", "/activations", "/audit"] {
        assert_eq!(stolen.read(path).await.expect(401).problem(), "credential_revoked", "{path}");
    }
    assert_eq!(stolen.post(path, json!({})).await.expect(401).problem(), "credential_revoked");
    assert_eq!(house.ada().get("/vault").await.status, 200, "a new token passes, and the role is still held");
    let token = stolen.token;
    let house = house.restart().await;
    let stolen = Who { house: &house, token };
    assert_eq!(stolen.get("/account").await.status, 401, "also after a restart");
    house.stop().await;
}

#[tokio::test]
async fn everybody_may_revoke_their_own_credentials_and_no_one_elses() {
    let house = House::new().await;
    let lost = house.ada();
    house.pass(Span::seconds(5));
    let refused =
        lost.post("/principals/demo:grace/revoke-credentials", json!({ "justification": "just because" })).await;
    assert_eq!(refused.expect(403).problem(), "not_administrator");
    let revoked = lost.post("/principals/demo:ada/revoke-credentials", json!({})).await.expect(200).json();
    let again = json!({ "justification": "in the same instant" });
    let again = house.root().post("/principals/demo:ada/revoke-credentials", again).await.expect(200).json();
    assert_eq!(again, revoked, "it is so already");
    assert_eq!(lost.get("/account").await.expect(401).problem(), "credential_revoked");
    assert_eq!(house.ada().get("/account").await.status, 200);
    house.stop().await;
}

#[tokio::test]
async fn a_role_that_came_through_a_group_counts_only_with_the_group() {
    let house = House::new().await;
    house.ada_holds_the_vault("10m").await;
    assert_eq!(house.ada().get("/vault").await.status, 200);
    let options = TokenOptions { groups: Some(Vec::new()), ..TokenOptions::default() };
    let left = Who::with(&house, &ADA, &options);
    assert_eq!(left.get("/vault").await.status, 403);
    assert!(!left.get("/vault").await.text.contains("vault-reader"), "nothing is requestable any more");
    house.stop().await;
}

#[tokio::test]
async fn revoking_a_pending_request_ends_it_and_only_those_in_authority_may() {
    let house = House::new().await;
    let pending = id(&house.ada().request("shop/vault-reader", "10m").await);
    let path = format!("/activations/{pending}/revoke");
    assert_eq!(house.vera().post(&path, json!({})).await.expect(403).problem(), "not_administrator");
    let revoked = house.grace().post(&path, json!({ "justification": "not today" })).await.expect(200).json();
    assert_eq!(revoked["ending"], "revoked");
    house.stop().await;
}

#[tokio::test]
async fn sessions_and_the_streams_they_opened_end_with_the_credentials_and_with_the_lock() {
    let why = json!({ "justification": "her laptop was stolen" });
    // the gate tells whoever is locked nothing more
    let ends = [("revoke-credentials", ["credential_revoked"; 2]), ("lock", ["forbidden", "principal_locked"])];
    for (end, told) in ends {
        let house = House::signing_in().await;
        let mut ada = house.visitor();
        let (account, portal) = (format!("{GATE}/account"), format!("{PORTAL}/"));
        for page in [&account, &portal] {
            ada.signs_in(page, "person=ada&second_factor=yes").await;
        }
        let at_gate = house.http.get(format!("{}/vault/events", house.gate())).header("cookie", ada.cookies(GATE));
        let events = format!("{}/api/v1/events", house.portal());
        let at_portal = house.http.get(events).header("cookie", ada.cookies(PORTAL));
        let mut streams = [at_gate.send().await.expect("a stream"), at_portal.send().await.expect("a stream")];
        for stream in &mut streams {
            assert_eq!(stream.status(), 200);
            assert!(stream.chunk().await.expect("bytes").is_some(), "it has begun");
        }
        house.pass(Span::seconds(1));
        house.root().post(&format!("/principals/demo:ada/{end}"), why.clone()).await.expect(200);
        for stream in &mut streams {
            until_over(stream).await;
        }
        let json = [("accept", "application/json")];
        let gate = ada.sends(reqwest::Method::GET, &account, &json, None).await;
        let list = ada.sends(reqwest::Method::GET, &format!("{PORTAL}/api/v1/activations"), &json, None).await;
        assert_eq!([gate.problem(), list.problem()], told, "{end}");
        house.stop().await;
    }
}
