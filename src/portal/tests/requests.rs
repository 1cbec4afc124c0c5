//! From request to approval to the end, and what refuses it on the way.

use http::Method;
use serde_json::json;

use super::world::{ADA, BEN, GRACE, ROOT, TILL, VAULT, WHY, Who, World, id};
use crate::domain::time::Span;

#[tokio::test]
async fn a_request_is_approved_held_and_written_down() {
    let world = World::new().await;
    let body = json!({"role": VAULT, "duration": "1h", "justification": WHY, "ticket": "OPS-7"});
    let answer = world.post(&ADA, "/activations", &body).await;
    let requested = answer.expect(201);
    let path = format!("/api/v1/activations/{}", id(&requested));
    assert_eq!(answer.header("location"), path);
    assert_eq!(answer.header("etag"), "\"1\"");
    assert_eq!(requested["state"], "pending");
    assert_eq!(requested["principal"], "demo:ada");
    assert_eq!(requested["name"], "ADA");
    assert_eq!(requested["via"], "demo:engineers");
    assert_eq!(requested["justification"], WHY);
    assert_eq!(requested["ticket"], "OPS-7");
    assert_eq!(requested["approval"]["approvers"], json!(["group demo:leads"]));
    assert_eq!((&requested["approval"]["quorum"], &requested["approval"]["approvals"]), (&json!(1), &json!(0)));

    let inbox = world.get(&GRACE, "/activations?waiting_for=me").await.expect(200);
    assert_eq!(inbox["items"], json!([requested]));
    let body = json!({"revision": 1, "justification": "go ahead, I am watching", "duration": "30m"});
    let approved = world.post(&GRACE, &format!("{path}/approve"), &body).await;
    assert_eq!(approved.header("etag"), "\"3\"");
    let approved = approved.expect(200);
    assert_eq!(approved["state"], "active");
    assert_eq!(approved["window"]["ends_at"], "2026-11-23T04:00:00.000Z");
    assert_eq!(approved["decisions"][0]["approver"], "demo:grace");
    assert_eq!(approved["decisions"][0]["name"], "GRACE");
    assert_eq!(approved["decisions"][0]["justification"], "go ahead, I am watching");
    assert_eq!(approved["decisions"][0]["adjusted"]["duration"], "30m");
    assert_eq!(world.get(&ADA, &path).await.expect(200), approved);
    let me = world.get(&ADA, "/me").await.expect(200);
    assert_eq!(me["held"][0]["activation"], requested["id"]);
    assert_eq!(world.get(&GRACE, "/activations?waiting_for=me").await.expect(200)["items"], json!([]));

    let records = world.get(&GRACE, &format!("/audit?activation={}", id(&requested))).await.expect(200);
    let types: Vec<_> = records["items"].as_array().unwrap().iter().map(|record| &record["event"]["type"]).collect();
    assert_eq!(types, ["activation_requested", "activation_decided", "activation_started"]);
    assert_eq!(records["items"][0]["detail"]["justification"], WHY);

    let ended = world.post(&ADA, &format!("{path}/deactivate"), &json!({})).await.expect(200);
    assert_eq!((&ended["state"], &ended["ending"]), (&json!("ended"), &json!("deactivated")));
    let again = world.post(&GRACE, &format!("{path}/revoke"), &json!({})).await;
    assert_eq!(again.problem(409), "already_ended");
    assert_eq!(again.json()["errors"][0]["ending"], "deactivated", "who comes too late is told how it ended");
}

#[tokio::test]
async fn every_broken_rule_is_told_with_its_place_and_a_dry_run_tells_the_same() {
    let world = World::new().await;
    let weak = Who { amr: &["pwd"], ..ADA };
    let body = json!({"role": VAULT, "duration": "9h", "justification": "short"});
    let refused = world.post(&weak, "/activations", &body).await.expect(422);
    let errors = refused["errors"].as_array().unwrap();
    let pointers: Vec<_> = errors.iter().map(|error| (error["code"].as_str().unwrap(), &error["pointer"])).collect();
    assert_eq!(errors.len(), 3, "{pointers:?}");
    assert!(pointers.contains(&("duration_above_maximum", &json!("/duration"))));
    assert!(pointers.contains(&("justification_too_short", &json!("/justification"))));
    assert!(pointers.contains(&("mfa_required", &json!(null))));
    let dry = world.post(&weak, "/activations?dry_run=true", &body).await.expect(200);
    assert_eq!(dry["outcome"], "refused");
    assert_eq!(dry["errors"], refused["errors"]);

    for (role, outcome) in [(VAULT, "would_be_pending"), (TILL, "would_be_active")] {
        let dry = world.post(&ADA, "/activations?dry_run=true", &json!({"role": role, "justification": WHY})).await;
        assert_eq!(dry.expect(200), json!({"outcome": outcome, "errors": []}));
    }
    assert_eq!(world.get(&ADA, "/activations").await.expect(200)["items"], json!([]), "a dry run leaves nothing");
}

#[tokio::test]
async fn a_weak_sign_in_is_asked_to_step_up() {
    let world = World::new().await;
    let weak = Who { amr: &["pwd"], ..ADA };
    let answer = world.post(&weak, "/activations", &json!({"role": TILL, "justification": WHY})).await;
    assert_eq!(answer.problem(401), "mfa_required");
    assert!(answer.header("www-authenticate").contains("error=\"insufficient_user_authentication\""));
}

#[tokio::test]
async fn the_same_key_gives_the_same_answer_and_another_body_none() {
    let world = World::new().await;
    let body = json!({"role": VAULT, "duration": "1h", "justification": WHY});
    let ask = |body: &serde_json::Value, who: &Who| {
        world.ask(world.json(who, Method::POST, "/activations", body, &[("idempotency-key", "k-1")]))
    };
    let first = ask(&body, &ADA).await;
    assert_eq!(first.header("idempotent-replayed"), "");
    let again = ask(&json!({"justification": WHY, "duration": "1h", "role": VAULT}), &ADA).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(first.expect(201), again.expect(201));
    assert_eq!(again.header("location"), first.header("location"));
    let other = json!({"role": VAULT, "duration": "2h", "justification": WHY});
    assert_eq!(ask(&other, &ADA).await.problem(422), "idempotency_mismatch");
    let bens = ask(&body, &BEN).await.expect(201);
    assert_ne!(bens["id"], first.json()["id"], "a key belongs to one principal");
    let without = world.post(&ADA, "/activations", &body).await;
    assert_eq!(without.problem(409), "already_pending");
    assert_eq!(without.json()["errors"][0]["activation"], first.json()["id"]);
    for wrong in ["", "a b", &"k".repeat(256)] {
        let request = world.json(&ADA, Method::POST, "/activations", &body, &[("idempotency-key", wrong)]);
        assert_eq!(world.ask(request).await.problem(400), "invalid_header", "{wrong:?}");
    }
    // what was typed is gone, and with it whatever could tell that this is the same
    world.post(&ROOT, "/principals/demo%3Aada/erase", &json!({"justification": "a letter"})).await.expect(200);
    assert_eq!(ask(&body, &ADA).await.problem(422), "idempotency_mismatch");
    assert_eq!(ask(&body, &BEN).await.header("idempotent-replayed"), "true", "nobody else is concerned");
}

#[tokio::test]
async fn what_time_has_ended_is_shown_as_ended_before_anybody_wrote_it_down() {
    let world = World::new().await;
    let held = world.ada_holds_the_vault().await;
    let path = format!("/activations/{}", id(&held));
    world.clock.advance(Span::minutes(60));
    let ended = world.get(&ADA, &path).await.expect(200);
    assert_eq!((&ended["state"], &ended["ending"]), (&json!("ended"), &json!("expired")));
    assert_eq!(ended["ended_at"], held["window"]["ends_at"]);
    assert_eq!(world.get(&ADA, "/activations?state=active").await.expect(200)["items"], json!([]));
    assert_eq!(world.get(&ADA, "/me").await.expect(200)["held"], json!([]));
}

#[tokio::test]
async fn a_later_start_is_scheduled_and_counts_as_active_in_lists() {
    let world = World::new().await;
    let body = json!({"role": TILL, "starts_at": "2026-11-23T06:30:00+01:00", "justification": WHY});
    let scheduled = world.post(&ADA, "/activations", &body).await.expect(201);
    assert_eq!(scheduled["state"], "scheduled");
    assert_eq!(
        scheduled["window"],
        json!({"starts_at": "2026-11-23T05:30:00.000Z", "ends_at": "2026-11-23T06:30:00.000Z"})
    );
    for (state, count) in [("scheduled", 1), ("active", 1), ("pending", 0), ("ended", 0)] {
        let listed = world.get(&ADA, &format!("/activations?state={state}")).await.expect(200);
        assert_eq!(listed["items"].as_array().unwrap().len(), count, "{state}");
    }
}

#[tokio::test]
async fn cancel_extend_and_revoke_are_told_like_everything_else() {
    let world = World::new().await;
    let pending = world.requested(&ADA, VAULT).await;
    let cancelled = world.post(&ADA, &format!("/activations/{}/cancel", id(&pending)), &json!({})).await.expect(200);
    assert_eq!(cancelled["ending"], "cancelled");
    let held = world.requested(&ADA, TILL).await;
    let path = format!("/activations/{}", id(&held));
    let extended = world.post(&ADA, &format!("{path}/extend"), &json!({"duration": "1h", "justification": WHY})).await;
    assert_eq!(extended.expect(200)["window"]["ends_at"], "2026-11-23T05:30:00.000Z");
    let request = world.json(&ADA, Method::POST, &format!("{path}/deactivate"), &json!({}), &[("if-match", "\"1\"")]);
    assert_eq!(world.ask(request).await.problem(400), "invalid_header", "a precondition nobody keeps is refused");
    let revoked =
        world.post(&ROOT, &format!("{path}/revoke"), &json!({"justification": "wrong shop"})).await.expect(200);
    assert_eq!(revoked["ending"], "revoked");
}
