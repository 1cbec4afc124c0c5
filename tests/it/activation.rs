//! The life of an activation, through the portal, with time standing still until it is moved.

use hallpass::demo::issuer::{ADA, TokenOptions};
use hallpass::domain::time::Span;
use serde_json::json;

use crate::support::{House, Who, id};

const VAULT: &str = "shop/vault-reader";

#[tokio::test]
async fn all_broken_rules_are_told_at_once_and_a_dry_run_stores_nothing() {
    let house = House::new().await;
    let weak = Who::with(&house, &ADA, &TokenOptions { second_factor: false, ..TokenOptions::default() });
    let body = json!({ "role": VAULT, "duration": "9h", "justification": "short" });
    let refused = weak.post("/activations", body.clone()).await;
    let mut codes = refused.codes();
    codes.sort();
    assert_eq!(codes, ["duration_above_maximum", "justification_too_short", "mfa_required"], "{}", refused.text);
    let dry = weak.post("/activations?dry_run=true", body).await.expect(200).json();
    assert_eq!(dry["outcome"], "refused");
    let good = json!({ "role": VAULT, "justification": "the till of shop 4 is stuck" });
    let dry = house.ada().post("/activations?dry_run=true", good).await.expect(200).json();
    assert_eq!(dry["outcome"], "would_be_pending");
    assert_eq!(house.ada().read("/activations").await.expect(200).json()["items"], json!([]));
    house.stop().await;
}

#[tokio::test]
async fn two_rounds_of_approval_by_two_people() {
    let house = House::new().await;
    let ada = house.ada();
    let activation = id(&ada.request("shop/two-stages", "10m").await);
    let early = house.root().approve(&activation).await;
    assert_eq!(early.problem(), "stage_not_open");
    house.grace().approve(&activation).await.expect(200);
    assert_eq!(house.grace().approve(&activation).await.problem(), "already_decided");
    assert_eq!(ada.get("/two/x").await.status, 403, "one round is not enough");
    let started = house.root().approve(&activation).await.expect(200).json();
    assert_eq!(started["state"], "active");
    assert_eq!(ada.get("/two/x").await.status, 200);
    house.stop().await;
}

#[tokio::test]
async fn nobody_approves_their_own_and_the_revision_seen_must_be_the_one_there() {
    let house = House::new().await;
    let activation = id(&house.ada().request(VAULT, "30m").await);
    assert_eq!(house.ada().approve(&activation).await.expect(403).problem(), "self_approval");
    let groups = Some(vec!["engineers".to_owned(), "on-call-leads".to_owned()]);
    let both = Who::with(&house, &ADA, &TokenOptions { groups, ..TokenOptions::default() });
    assert_eq!(both.approve(&activation).await.expect(403).problem(), "self_approval", "group or not");
    let stale = json!({ "revision": 7, "justification": "go ahead, I am watching" });
    let path = format!("/activations/{activation}/approve");
    assert_eq!(house.grace().post(&path, stale).await.expect(409).problem(), "revision_changed");
    house.stop().await;
}

#[tokio::test]
async fn the_end_is_exact_and_what_ended_stays_ended() {
    let house = House::new().await;
    let ada = house.ada();
    let activation = house.ada_holds_the_vault("5m").await;
    house.pass(Span::seconds(299));
    assert_eq!(ada.get("/vault").await.status, 200);
    house.pass(Span::seconds(1));
    assert_eq!(ada.get("/vault").await.status, 403, "the end is exclusive");
    house.clock.set(house.clock.reading().minus(Span::seconds(200)));
    assert_eq!(ada.get("/vault").await.status, 403, "a clock set back revives nothing");
    let ask = json!({ "role": VAULT, "justification": "the till of shop 4 is stuck" });
    assert_eq!(ada.post("/activations", ask).await.expect(503).problem(), "clock_behind", "nor does it grant");
    house.pass(Span::seconds(200));
    for (command, body) in
        [("approve", json!({ "revision": 3, "justification": "go ahead, I am watching" })), ("revoke", json!({}))]
    {
        let again = house.grace().post(&format!("/activations/{activation}/{command}"), body).await;
        assert_eq!(again.expect(409).problem(), "already_ended", "{command}");
    }
    house.stop().await;
}

#[tokio::test]
async fn a_start_in_the_future_takes_effect_then() {
    let house = House::new().await;
    let ada = house.ada();
    let body = json!({ "role": "shop/records-editor", "duration": "10m", "starts_at": "2026-11-23T09:00:00Z",
        "justification": "the nightly correction" });
    let scheduled = ada.post("/activations", body).await.expect(201).json();
    assert_eq!(scheduled["state"], "scheduled", "{scheduled}");
    let delete = || ada.at_gate(reqwest::Method::DELETE, "/records/soup");
    assert_eq!(delete().await.status, 403);
    house.pass(Span::seconds(3599));
    assert_eq!(delete().await.status, 403);
    house.pass(Span::seconds(1));
    assert_ne!(house.ada().at_gate(reqwest::Method::DELETE, "/records/soup").await.status, 403);
    house.stop().await;
}

#[tokio::test]
async fn an_approver_shortens_and_an_extension_asks_the_same_approvers() {
    let house = House::new().await;
    let (ada, grace) = (house.ada(), house.grace());
    let asked = ada.request("shop/two-stages", "30m").await;
    let shorter = json!({ "revision": asked["revision"], "justification": "twenty are enough", "duration": "20m" });
    let activation = id(&asked);
    grace.post(&format!("/activations/{activation}/approve"), shorter).await.expect(200);
    let active = house.root().approve(&activation).await.expect(200).json();
    assert_eq!(active["window"]["ends_at"], "2026-11-23T08:20:00.000Z", "{active}");
    assert_eq!(active["requested"]["duration"], "30m", "what was asked stays on record");

    let more = json!({ "duration": "10m", "justification": "it takes longer than I thought" });
    let waiting = ada.post(&format!("/activations/{activation}/extend"), more).await.expect(200).json();
    assert_eq!(waiting["extension"]["ends_at"], "2026-11-23T08:30:00.000Z", "{waiting}");
    grace.approve(&activation).await.expect(200);
    let longer = house.root().approve(&activation).await.expect(200).json();
    assert_eq!(longer["window"]["ends_at"], "2026-11-23T08:30:00.000Z");
    house.stop().await;
}

#[tokio::test]
async fn pending_requests_lapse_are_cancelled_or_denied() {
    let house = House::new().await;
    let ada = house.ada();
    let first = id(&ada.request(VAULT, "30m").await);
    let again = json!({ "role": VAULT, "justification": "the till of shop 4 is stuck" });
    let refused = ada.post("/activations", again).await.expect(409);
    assert_eq!(refused.problem(), "already_pending");
    assert!(refused.text.contains(&first), "the open one is named");
    ada.post(&format!("/activations/{first}/cancel"), json!({})).await.expect(200);
    let second = id(&ada.request(VAULT, "30m").await);
    let no = json!({ "revision": 1, "justification": "not during the sale" });
    let denied = house.grace().post(&format!("/activations/{second}/deny"), no).await.expect(200).json();
    assert_eq!(denied["ending"], "denied");
    let third = id(&ada.request(VAULT, "30m").await);
    house.pass(Span::days(1));
    house.until_keys_are_there().await;
    let (ada, grace) = (house.ada(), house.grace());
    assert_eq!(grace.approve(&third).await.expect(409).problem(), "already_ended");
    assert_eq!(ada.read(&format!("/activations/{third}")).await.json()["ending"], "lapsed");
    house.stop().await;
}

#[tokio::test]
async fn the_same_key_gives_the_same_answer() {
    let house = House::new().await;
    let ada = house.ada();
    let ask = |why: &str| {
        let body = json!({ "role": VAULT, "justification": why });
        house.http.post(format!("{}/api/v1/activations", house.portal())).header("idempotency-key", "k1").json(&body)
    };
    let first = ada.send(ask("the till of shop 4 is stuck")).await.expect(201);
    let again = ada.send(ask("the till of shop 4 is stuck")).await.expect(201);
    assert_eq!(first.json()["id"], again.json()["id"]);
    let other = ada.send(ask("something else entirely")).await.expect(422);
    assert_eq!(other.problem(), "idempotency_mismatch");
    let of_another = house.grace().send(ask("the till of shop 4 is stuck")).await;
    assert_ne!(of_another.status, 201, "a key is its owner's");
    house.stop().await;
}

#[tokio::test]
async fn of_two_words_at_once_one_has_effect_and_the_other_is_told() {
    let house = House::new().await;
    for _ in 0..8 {
        let asked = id(&house.ada().request(VAULT, "30m").await);
        let yes = json!({ "revision": 1, "justification": "go ahead, I am watching" });
        let (ada, grace) = (house.ada(), house.grace());
        let (approve, cancel) = (format!("/activations/{asked}/approve"), format!("/activations/{asked}/cancel"));
        let (approved, cancelled) = tokio::join!(grace.post(&approve, yes), ada.post(&cancel, json!({})));
        let state = ada.read(&format!("/activations/{asked}")).await.expect(200).json();
        match (approved.status, cancelled.status) {
            (200, 409) => {
                assert_eq!((cancelled.problem().as_str(), &state["state"]), ("not_pending", &json!("active")));
                ada.post(&format!("/activations/{asked}/deactivate"), json!({})).await.expect(200);
            }
            (409, 200) => {
                assert_eq!(approved.json()["errors"][0]["ending"], "cancelled", "{}", approved.text);
                assert_eq!(state["ending"], "cancelled");
            }
            both => panic!("{both:?}: {} {}", approved.text, cancelled.text),
        }
    }
    house.stop().await;
}

#[tokio::test]
async fn a_key_is_used_up_by_what_was_done_and_not_by_a_refusal_or_a_trial() {
    let house = House::new().await;
    let ada = house.ada();
    let ask = |query: &str, why: &str| {
        let body = json!({ "role": VAULT, "justification": why });
        let url = format!("{}/api/v1/activations{query}", house.portal());
        house.http.post(url).header("idempotency-key", "k2").json(&body)
    };
    ada.send(ask("", "short")).await.expect(422);
    let good = "the till of shop 4 is stuck";
    assert_eq!(ada.send(ask("?dry_run=true", good)).await.expect(200).json()["outcome"], "would_be_pending");
    let first = ada.send(ask("", good)).await.expect(201);
    let tried = ada.send(ask("?dry_run=true", good)).await.expect(200).json();
    assert_eq!(tried["outcome"], "refused", "a trial is never answered from memory: {tried}");
    ada.post(&format!("/activations/{}/cancel", id(&first.json())), json!({})).await.expect(200);
    let again = ada.send(ask("", good)).await.expect(201);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.json()["ending"], "cancelled", "the same case, as it is now");
    house.pass(Span::hours(24));
    house.until_keys_are_there().await;
    let next_day = house.ada().send(ask("", good)).await.expect(201);
    assert_ne!(next_day.json()["id"], first.json()["id"]);
    house.stop().await;
}
