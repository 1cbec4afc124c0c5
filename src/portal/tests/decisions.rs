//! Approving and denying: revisions, preconditions, many at once.

use http::Method;
use serde_json::{Value, json};

use super::world::{ADA, BEN, GRACE, MALLORY, VAULT, World, id};

const SEEN: &str = "go ahead, I am watching";

#[tokio::test]
async fn a_decision_names_the_revision_it_saw() {
    let world = World::new().await;
    let path = format!("/activations/{}/approve", id(&world.requested(&ADA, VAULT).await));
    let with =
        |body: Value, headers: &[(&str, &str)]| world.ask(world.json(&GRACE, Method::POST, &path, &body, headers));
    assert_eq!(with(json!({"justification": SEEN}), &[]).await.problem(428), "revision_missing");
    let changed = with(json!({"justification": SEEN, "revision": 2}), &[]).await;
    assert_eq!(changed.problem(409), "revision_changed");
    assert_eq!(changed.json()["errors"][0]["revision"], 1);
    let failed = with(json!({"justification": SEEN}), &[("if-match", "\"2\"")]).await;
    assert_eq!(failed.problem(412), "revision_changed");
    let torn = with(json!({"justification": SEEN, "revision": 1}), &[("if-match", "\"2\"")]).await;
    assert_eq!(torn.problem(400), "invalid_body");
    for tag in ["*", "1", "W/\"1\""] {
        assert_eq!(with(json!({"justification": SEEN}), &[("if-match", tag)]).await.problem(400), "invalid_header");
    }
    let approved = with(json!({"justification": SEEN}), &[("if-match", "\"1\"")]).await;
    assert_eq!(approved.expect(200)["state"], "active");
}

#[tokio::test]
async fn nobody_decides_on_their_own_and_a_denial_changes_nothing_asked_for() {
    let world = World::new().await;
    let requested = world.requested(&ADA, VAULT).await;
    let path = format!("/activations/{}", id(&requested));
    let body = json!({"revision": 1, "justification": SEEN});
    assert_eq!(world.post(&ADA, &format!("{path}/approve"), &body).await.problem(403), "self_approval");
    let adjusted = json!({"revision": 1, "justification": SEEN, "duration": "10m"});
    let refused = world.post(&GRACE, &format!("{path}/deny"), &adjusted).await;
    assert_eq!(refused.problem(400), "invalid_body");
    assert_eq!(refused.json()["errors"][0]["pointer"], "/duration");
    let denied = world.post(&GRACE, &format!("{path}/deny"), &body).await.expect(200);
    assert_eq!((&denied["state"], &denied["ending"]), (&json!("ended"), &json!("denied")));
}

#[tokio::test]
async fn many_decisions_have_a_result_each_in_the_order_given() {
    let world = World::new().await;
    let (ada, ben) = (world.requested(&ADA, VAULT).await, world.requested(&BEN, VAULT).await);
    let absent = "act_00000000000000000000000001";
    let body = json!({"justification": SEEN, "decisions": [
        {"activation": id(&ada), "choice": "approve", "revision": 1, "duration": "10m"},
        {"activation": absent, "choice": "approve", "revision": 1},
        {"activation": "nonsense", "choice": "deny", "revision": 1},
        {"activation": id(&ben), "choice": "deny", "revision": 1, "justification": "not tonight"},
    ]});
    let ask = || {
        let headers = [("idempotency-key", "many-1")];
        world.ask(world.json(&GRACE, Method::POST, "/activations/decisions", &body, &headers))
    };
    let results = ask().await.expect(200)["results"].clone();
    let statuses: Vec<_> = results.as_array().unwrap().iter().map(|line| line["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 404, 404, 200]);
    assert_eq!(results[0]["activation"], ada["id"]);
    assert_eq!(results[0]["result"]["state"], "active");
    assert_eq!(results[0]["result"]["decisions"][0]["justification"], SEEN);
    assert_eq!(results[1]["problem"], results[2]["problem"], "malformed and absent look the same");
    assert_eq!(results[3]["result"]["ending"], "denied");
    assert_eq!(results[3]["result"]["decisions"][0]["justification"], "not tonight");
    assert_eq!(ask().await.expect(200)["results"], results, "the same key gives the same results");

    let again =
        json!({"justification": SEEN, "decisions": [{"activation": id(&ben), "choice": "approve", "revision": 1}]});
    let results = world.post(&GRACE, "/activations/decisions", &again).await.expect(200);
    assert_eq!(results["results"][0]["status"], 409);
    assert_eq!(results["results"][0]["problem"]["status"], 409);
}

#[tokio::test]
async fn many_decisions_are_not_too_many_and_not_twice_on_one() {
    let world = World::new().await;
    let line = |number: usize| json!({"activation": format!("act_{number:026}"), "choice": "deny", "revision": 1});
    let world = &world;
    let ask = |lines: Vec<Value>| async move {
        world.post(&MALLORY, "/activations/decisions", &json!({"decisions": lines})).await
    };
    let hundred: Vec<_> = (0..100).map(line).collect();
    let results = ask(hundred.clone()).await.expect(200);
    assert!(results["results"].as_array().unwrap().iter().all(|result| result["status"] == 404));
    let over = ask((0..101).map(line).collect()).await;
    assert_eq!(over.problem(400), "invalid_body");
    assert_eq!(over.json()["errors"][0]["pointer"], "/decisions");
    assert_eq!(ask(Vec::new()).await.problem(400), "invalid_body");
    let twice = ask(vec![line(1), line(2), line(1)]).await;
    assert_eq!(twice.problem(400), "invalid_body");
    assert_eq!(twice.json()["errors"][0]["pointer"], "/decisions/2/activation");
}
