//! Ends by somebody's word: revoke, lock, losing eligibility, losing a group.

use hallpass::demo::issuer::{ADA, TokenOptions};
use serde_json::json;

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
