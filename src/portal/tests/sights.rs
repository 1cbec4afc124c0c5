//! What one may not see is answered like what is not there.

use http::Method;
use serde_json::{Value, json};

use super::world::{ADA, BEN, GRACE, MALLORY, OTTO, ROOT, TILL, VAULT, Who, World, id};

const ABSENT: &str = "act_00000000000000000000000001";

#[tokio::test]
async fn absent_forbidden_and_malformed_are_one_answer() {
    let world = World::new().await;
    let there = world.requested(&ADA, VAULT).await;
    let bytes = |answer: &super::world::Answer| (answer.problem(404), answer.bytes.clone());
    let absent = bytes(&world.get(&MALLORY, &format!("/activations/{ABSENT}")).await);
    for name in [id(&there), "nonsense", "act_", "asg_00000000000000000000000001", "%ff", "act_%2e%2e"] {
        assert_eq!(bytes(&world.get(&MALLORY, &format!("/activations/{name}")).await), absent, "{name}");
        assert_eq!(bytes(&world.get(&MALLORY, &format!("/uses?activation={name}")).await), absent, "{name}");
        assert_eq!(bytes(&world.get(&MALLORY, &format!("/audit?activation={name}")).await), absent, "{name}");
    }
    assert_eq!(bytes(&world.get(&MALLORY, "/nowhere").await), absent, "also where no route is");
    let body = json!({"revision": 1, "justification": "go ahead, I am watching"});
    for command in ["approve", "deny", "cancel", "deactivate", "revoke"] {
        let body = if matches!(command, "approve" | "deny") { body.clone() } else { json!({}) };
        for name in [id(&there), ABSENT, "nonsense"] {
            let answer = world.post(&MALLORY, &format!("/activations/{name}/{command}"), &body).await;
            assert_eq!(bytes(&answer), absent, "{command} {name}");
        }
    }
    let extend = json!({"duration": "1h", "justification": "the till of shop 4 is stuck"});
    for name in [id(&there), ABSENT] {
        assert_eq!(bytes(&world.post(&MALLORY, &format!("/activations/{name}/extend"), &extend).await), absent);
    }
    for name in ["asg_0g2081040g2081040g20810400", "asg_00000000000000000000000001", "nonsense"] {
        let path = format!("/eligible-assignments/{name}");
        assert_eq!(bytes(&world.get(&MALLORY, &path).await), absent, "{name}");
        let patch = world.send(&MALLORY, Method::PATCH, &path, &json!({"ends_at": null})).await;
        assert_eq!(bytes(&patch), absent, "{name}");
        assert_eq!(bytes(&world.send(&MALLORY, Method::DELETE, &path, &json!({})).await), absent, "{name}");
    }
}

#[tokio::test]
async fn holder_approver_administrator_and_auditor_see_a_case_and_nobody_else() {
    let world = World::new().await;
    let path = format!("/activations/{}", id(&world.requested(&ADA, VAULT).await));
    for (who, sees) in [(&ADA, true), (&GRACE, true), (&ROOT, true), (&OTTO, true), (&BEN, false), (&MALLORY, false)] {
        assert_eq!(world.get(who, &path).await.status.is_success(), sees, "{}", who.subject);
    }
    let ungrouped = Who { groups: &[], ..GRACE };
    assert_eq!(world.get(&ungrouped, &path).await.problem(404), "unknown", "rights come with the groups presented");
    let till = format!("/activations/{}", id(&world.requested(&ADA, TILL).await));
    assert_eq!(world.get(&GRACE, &till).await.problem(404), "unknown", "she approves another role");
}

#[tokio::test]
async fn lists_hold_the_same_as_single_looks() {
    let world = World::new().await;
    let (ada, ben) = (world.requested(&ADA, VAULT).await, world.requested(&BEN, VAULT).await);
    let ids = |page: Value| -> Vec<Value> {
        page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect()
    };
    let list = |who: &'static Who, query: &'static str| {
        let world = &world;
        async move { world.get(who, &format!("/activations{query}")).await.expect(200) }
    };
    let both = vec![ben["id"].clone(), ada["id"].clone()];
    assert_eq!(ids(list(&ADA, "").await), [ada["id"].clone()]);
    assert_eq!(ids(list(&OTTO, "").await), both);
    assert_eq!(ids(list(&GRACE, "").await), Vec::<Value>::new(), "her own: none");
    assert_eq!(ids(list(&GRACE, "?role=shop/vault-reader").await), both);
    assert_eq!(ids(list(&GRACE, "?waiting_for=me").await), both);
    assert_eq!(ids(list(&GRACE, "?waiting_for=me&principal=demo%3Aben").await), [ben["id"].clone()]);
    assert_eq!(ids(list(&BEN, "?principal=demo%3Aada").await), Vec::<Value>::new());
    assert_eq!(ids(list(&BEN, "?role=shop/vault-reader").await), [ben["id"].clone()]);
    let first = list(&OTTO, "?limit=1").await;
    assert_eq!(ids(first.clone()), [ben["id"].clone()]);
    let next = format!("/activations?limit=1&cursor={}", first["next"].as_str().unwrap());
    assert_eq!(ids(world.get(&OTTO, &next).await.expect(200)), [ada["id"].clone()]);
    for wrong in ["?limit=0", "?limit=201", "?limit=x", "?state=open", "?colour=red", "?principal=ada", "?role=vault"] {
        assert_eq!(world.get(&ADA, &format!("/activations{wrong}")).await.problem(400), "invalid_query", "{wrong}");
    }
    assert_eq!(world.get(&ADA, "/activations?cursor=AAAA").await.problem(400), "invalid_cursor");
}
