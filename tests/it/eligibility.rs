//! Eligible and active assignments, made and ended by administrators.

use hallpass::domain::time::Span;
use serde_json::json;

use crate::support::House;

#[tokio::test]
async fn an_eligible_assignment_opens_the_way_and_its_end_closes_it() {
    let house = House::new().await;
    let (root, vera) = (house.root(), house.vera());
    let ask =
        json!({ "role": "shop/records-editor", "duration": "30m", "justification": "a correction for the audit" });
    assert_eq!(vera.post("/activations", ask.clone()).await.expect(403).problem(), "not_eligible");

    let body = json!({ "role": "shop/records-editor", "principal": "demo:vera", "ends_at": "2026-11-23T10:00:00Z" });
    let assignment = root.post("/eligible-assignments", body).await.expect(201).json();
    let mine = vera.read("/me").await.expect(200).json();
    assert_eq!(mine["eligible"][0]["role"], "shop/records-editor", "{mine}");
    vera.post("/activations", ask.clone()).await.expect(201);
    let delete = || vera.at_gate(reqwest::Method::DELETE, "/records/soup");
    assert_ne!(delete().await.status, 403);

    let path = format!("/eligible-assignments/{}", assignment["id"].as_str().expect("an id"));
    root.delete(&path, json!({})).await.expect(200);
    assert_eq!(delete().await.status, 403, "losing eligibility ends the activation");
    assert_eq!(vera.post("/activations", ask).await.status, 403);
    house.stop().await;
}

#[tokio::test]
async fn an_active_assignment_needs_a_reason_and_an_end() {
    let house = House::new().await;
    let root = house.root();
    let body = json!({ "role": "shop/vault-reader", "principal": "demo:vera" });
    let refused = root.post("/active-assignments", body).await;
    let mut codes = refused.codes();
    codes.sort();
    assert_eq!(codes, ["justification_missing", "permanent_forbidden"], "{}", refused.text);
    let body = json!({ "role": "shop/vault-reader", "principal": "demo:vera", "ends_at": "2026-11-23T08:10:00Z",
        "justification": "the yearly inspection" });
    root.post("/active-assignments", body).await.expect(201);
    assert_eq!(house.vera().get("/vault").await.status, 200);
    house.pass(Span::minutes(10));
    assert_eq!(house.vera().get("/vault").await.status, 403);
    house.stop().await;
}

#[tokio::test]
async fn what_configuration_declares_is_changed_there_alone_and_the_last_administrator_stays() {
    let house = House::new().await;
    let root = house.root();
    let assignments = root.read("/active-assignments").await.expect(200).json();
    let own = assignments["items"]
        .as_array()
        .expect("items")
        .iter()
        .find(|item| item["role"] == "hallpass/administrator" && item["principal"] == "demo:root");
    let path = format!("/active-assignments/{}", own.expect("the first administrator")["id"].as_str().expect("an id"));
    let refused = root.delete(&path, json!({})).await;
    assert_eq!(refused.codes(), ["declared_in_configuration", "last_administrator"], "{}", refused.text);
    let why = json!({ "justification": "by mistake" });
    assert_eq!(root.post("/principals/demo:root/lock", why).await.problem(), "last_administrator");
    house.stop().await;
}
