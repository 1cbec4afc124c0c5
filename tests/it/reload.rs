//! Another configuration comes into force whole, or not at all; and a restart changes nothing.

use crate::support::House;

#[tokio::test]
async fn a_reload_changes_routes_and_eligibility_at_once() {
    let mut house = House::new().await;
    house.ada_holds_the_vault("10m").await;
    house
        .reload(
            r#"name = "closed"
path = "/closed/**"
mode = "deny""#,
            r#"name = "closed"
path = "/closed/**"
mode = "signed_in""#,
        )
        .await
        .expect("a good configuration");
    assert_eq!(house.ada().get("/closed/x").await.status, 200);
    assert_eq!(house.ada().get("/vault").await.status, 200, "what is held stays held");
    house
        .reload(
            r#"mfa = true
eligible_assignments = [{ group = "demo:engineers" }]

[role.approval]
stages = [{ groups = ["demo:on-call-leads"], quorum = 1 }]"#,
            r#"mfa = true

[role.approval]
stages = [{ groups = ["demo:on-call-leads"], quorum = 1 }]"#,
        )
        .await
        .expect("a good configuration");
    assert_eq!(house.ada().get("/vault").await.status, 403, "the eligibility behind it is gone");
    house.stop().await;
}

#[tokio::test]
async fn a_bad_configuration_is_refused_whole_and_the_old_one_stays() {
    let mut house = House::new().await;
    let refused = house.reload(r#"mode = "deny""#, r#"mode = "dney""#).await;
    assert!(refused.is_err());
    assert_eq!(house.ada().get("/closed/x").await.status, 403);
    assert_eq!(house.ada().get("/account").await.status, 200);
    house.stop().await;
}

#[tokio::test]
async fn a_restart_keeps_what_was_answered() {
    let house = House::new().await;
    let activation = house.ada_holds_the_vault("10m").await;
    let house = house.restart().await;
    assert_eq!(house.ada().get("/vault").await.status, 200);
    let story = house.vera().read(&format!("/audit?activation={activation}")).await.expect(200).json();
    let kinds: Vec<_> =
        story["items"].as_array().expect("records").iter().map(|record| record["event"]["type"].clone()).collect();
    assert_eq!(kinds, ["activation_requested", "activation_decided", "activation_started"], "{story}");
    house.stop().await;
}

#[tokio::test]
async fn a_restart_gives_the_locked_nothing_back_and_neither_does_unlocking() {
    let house = House::new().await;
    let why = serde_json::json!({ "justification": "the laptop was stolen" });
    let lock = "/principals/demo:vera/lock";
    house.vera().read("/audit/head").await.expect(200);
    house.root().post(lock, why.clone()).await.expect(200);
    let mut house = house.restart().await;
    assert_eq!(house.vera().read("/audit/head").await.expect(403).problem(), "principal_locked");
    let held = house.root().read("/active-assignments?principal=demo:vera").await.expect(200).json();
    assert_eq!(held["items"], serde_json::json!([]), "what configuration declares waits for the lock to go");
    house.root().delete(lock, why).await.expect(200);
    assert_eq!(house.vera().read("/audit/head").await.expect(403).problem(), "forbidden", "unlocked, and no auditor");
    house.reload(r#"auditors = ["demo:vera"]"#, r#"auditors = ["demo:vera"]"#).await.expect("the same again");
    house.vera().read("/audit/head").await.expect(200);
    house.stop().await;
}

#[tokio::test]
async fn a_role_that_configuration_drops_takes_its_cases_with_it() {
    let mut house = House::new().await;
    let pending = crate::support::id(&house.ada().request("shop/two-stages", "10m").await);
    let given = serde_json::json!({ "role": "shop/two-stages", "principal": "demo:vera" });
    house.root().post("/eligible-assignments", given).await.expect(201);
    let by_administrator = crate::support::id(&house.vera().request("shop/two-stages", "10m").await);
    house.reload("\"shop/two-stages\"", "\"shop/renamed\"").await.expect("a good configuration");
    let ended = house.ada().read(&format!("/activations/{pending}")).await.expect(200).json();
    assert_eq!(ended["ending"], "eligibility_lost", "what was declared with the role is gone with it");
    let refused = house.grace().approve(&by_administrator).await.expect(409);
    assert_eq!(refused.problem(), "policy_changed", "nobody approves a role that is no more");
    let deny = serde_json::json!({ "revision": 1 });
    house.grace().post(&format!("/activations/{by_administrator}/deny"), deny).await.expect(200);
    house.stop().await;
}
