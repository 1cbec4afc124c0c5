//! Assignments, roles and locks.

use http::Method;
use serde_json::json;

use super::world::{ADA, BEN, GRACE, MALLORY, OTTO, ROOT, TILL, VAULT, WHY, World, id};

#[tokio::test]
async fn an_administrator_makes_changes_and_ends_an_assignment() {
    let world = World::new().await;
    let body = json!({"role": TILL, "principal": "demo:ben", "ends_at": "2026-12-01T00:00:00Z", "justification": WHY});
    let answer = world.post(&ROOT, "/eligible-assignments", &body).await;
    let made = answer.expect(201);
    let path = format!("/eligible-assignments/{}", id(&made));
    assert_eq!(answer.header("location"), format!("/api/v1{path}"));
    assert_eq!(made["principal"], "demo:ben");
    assert_eq!((&made["kind"], &made["origin"]), (&json!("eligible"), &json!("administrator")));
    assert_eq!(world.get(&BEN, &path).await.expect(200), made);
    let wrong_kind = format!("/active-assignments/{}", id(&made));
    assert_eq!(world.get(&ROOT, &wrong_kind).await.problem(404), "unknown");

    let silent = world.send(&ROOT, Method::PATCH, &path, &json!({"justification": WHY})).await;
    assert_eq!(silent.problem(400), "invalid_body", "leaving the end out must not make it permanent");
    let permanent = world.send(&ROOT, Method::PATCH, &path, &json!({"ends_at": null, "justification": WHY})).await;
    let permanent = permanent.expect(200);
    assert_eq!(permanent.get("ends_at"), None);
    assert_eq!(permanent["starts_at"], made["starts_at"]);
    assert_eq!(world.get(&BEN, "/me").await.expect(200)["eligible"][1]["role"], VAULT);

    let refused = world.send(&BEN, Method::DELETE, &path, &json!({})).await;
    assert_eq!(refused.problem(403), "not_administrator");
    let removed = world.send(&ROOT, Method::DELETE, &path, &json!({"justification": WHY})).await.expect(200);
    assert_eq!(removed["ended"]["ending"], "removed");
    let absent = "/eligible-assignments/asg_00000000000000000000000001";
    assert_eq!(world.send(&ROOT, Method::DELETE, absent, &json!({})).await.problem(404), "unknown");
}

#[tokio::test]
async fn an_assignment_is_for_one_party_with_a_known_issuer() {
    let world = World::new().await;
    for (party, pointer) in [
        (json!({"role": TILL}), "/principal"),
        (json!({"role": TILL, "principal": "demo:ben", "group": "demo:leads"}), "/principal"),
        (json!({"role": TILL, "principal": "ben"}), "/principal"),
        (json!({"role": TILL, "group": "elsewhere:leads"}), "/group"),
        (json!({"role": "till", "principal": "demo:ben"}), "/role"),
        (json!({"role": TILL, "principal": "demo:ben", "starts_at": "tomorrow"}), "/starts_at"),
    ] {
        let refused = world.post(&ROOT, "/eligible-assignments", &party).await;
        assert_eq!(refused.problem(400), "invalid_body", "{party}");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{party}");
    }
    let body = json!({"role": TILL, "group": "demo:leads", "justification": WHY});
    assert_eq!(world.post(&ADA, "/active-assignments", &body).await.problem(403), "not_administrator");
    let made = world.post(&ROOT, "/active-assignments", &body).await.expect(201);
    assert_eq!(made["group"], "demo:leads");
    let held = world.get(&GRACE, "/me").await.expect(200)["held"].clone();
    assert_eq!((&held[0]["assignment"], &held[0]["via"]), (&made["id"], &json!("demo:leads")));
}

#[tokio::test]
async fn lists_show_what_is_ones_own_and_everything_to_those_who_watch() {
    let world = World::new().await;
    let roles = |page: serde_json::Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|item| item["role"].as_str().unwrap().to_owned()).collect()
    };
    let eligible = "/eligible-assignments";
    assert_eq!(roles(world.get(&ADA, eligible).await.expect(200)), [TILL, VAULT]);
    assert_eq!(roles(world.get(&BEN, eligible).await.expect(200)), [VAULT]);
    assert!(roles(world.get(&MALLORY, eligible).await.expect(200)).is_empty());
    assert_eq!(roles(world.get(&OTTO, eligible).await.expect(200)), [TILL, VAULT]);
    assert_eq!(roles(world.get(&OTTO, "/active-assignments").await.expect(200)).len(), 2);
    assert!(roles(world.get(&BEN, "/eligible-assignments?principal=demo%3Aada").await.expect(200)).is_empty());
    assert_eq!(roles(world.get(&BEN, "/eligible-assignments?group=demo%3Aengineers").await.expect(200)), [VAULT]);
    assert_eq!(world.get(&BEN, "/eligible-assignments?group=x").await.problem(400), "invalid_query");

    let first = world.get(&ADA, "/eligible-assignments?limit=1").await.expect(200);
    assert_eq!(roles(first.clone()), [TILL]);
    let cursor = first["next"].as_str().unwrap();
    let second = world.get(&ADA, &format!("/eligible-assignments?limit=1&cursor={cursor}")).await.expect(200);
    assert_eq!(roles(second.clone()), [VAULT]);
    assert_eq!(second.get("next"), None);
    let foreign = world.get(&ADA, &format!("/active-assignments?limit=1&cursor={cursor}")).await;
    assert_eq!(foreign.problem(400), "invalid_cursor");
}

#[tokio::test]
async fn roles_are_shown_to_whom_they_concern() {
    let world = World::new().await;
    let names = |page: serde_json::Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|item| item["role"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(world.get(&ADA, "/roles").await.expect(200)), [TILL, VAULT]);
    assert_eq!(names(world.get(&GRACE, "/roles").await.expect(200)), [VAULT], "she approves it");
    assert!(names(world.get(&MALLORY, "/roles").await.expect(200)).is_empty());
    assert_eq!(names(world.get(&OTTO, "/roles").await.expect(200)).len(), 4);
    assert_eq!(names(world.get(&OTTO, "/roles?search=VAULT").await.expect(200)), [VAULT]);
    let first = world.get(&OTTO, "/roles?limit=3").await.expect(200);
    let rest = format!("/roles?limit=3&cursor={}", first["next"].as_str().unwrap());
    assert_eq!(names(world.get(&OTTO, &rest).await.expect(200)), [VAULT]);

    let vault = world.get(&ADA, "/roles/shop/vault-reader").await.expect(200);
    assert_eq!(vault["opens"], json!(["/vault/**"]));
    assert_eq!(vault["activation"]["max"], "8h");
    assert_eq!(vault["mfa"], json!(["otp"]));
    assert_eq!(vault["approval"]["self"], "forbidden");
    assert_eq!(vault["approval"]["stages"][0]["approvers"], json!(["group demo:leads"]));
    let hidden = world.get(&MALLORY, "/roles/shop/vault-reader").await;
    let absent = world.get(&MALLORY, "/roles/shop/nothing").await;
    assert_eq!((hidden.problem(404), &hidden.bytes), (absent.problem(404), &absent.bytes));
}

#[tokio::test]
async fn a_lock_ends_everything_and_leaves_only_the_own_status() {
    let world = World::new().await;
    let held = world.ada_holds_the_vault().await;
    let path = "/principals/demo%3Aada/lock";
    assert_eq!(world.post(&GRACE, path, &json!({"justification": WHY})).await.problem(403), "not_administrator");
    let locked = world.post(&ROOT, path, &json!({"justification": WHY})).await.expect(200);
    assert_eq!(locked, json!({"principal": "demo:ada", "locked": true}));
    let me = world.get(&ADA, "/me").await.expect(200);
    assert_eq!((&me["locked"], &me["held"]), (&json!(true), &json!([])));
    for path in ["/activations", "/roles", "/audit", "/eligible-assignments", "/events"] {
        assert_eq!(world.get(&ADA, path).await.problem(403), "principal_locked", "{path}");
    }
    let ended = world.get(&ROOT, &format!("/activations/{}", id(&held))).await.expect(200);
    assert_eq!(ended["ending"], "locked");
    let body = json!({"role": TILL, "justification": WHY});
    assert_eq!(world.post(&ADA, "/activations", &body).await.problem(403), "principal_locked");
    let open = world.send(&ROOT, Method::DELETE, path, &json!({"justification": WHY})).await.expect(200);
    assert_eq!(open["locked"], false);
    world.post(&ADA, "/activations", &body).await.expect(201);
    for unknown in ["/principals/ada/lock", "/principals/nobody%3Aada/lock"] {
        assert_eq!(world.post(&ROOT, unknown, &json!({"justification": WHY})).await.problem(404), "unknown");
    }
}
