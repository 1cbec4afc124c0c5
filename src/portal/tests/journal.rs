//! Reading the journal: filters, pages, what is left out for whom, and the file that can be verified.

use axum::body::Body;
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::world::{ADA, BEN, GRACE, ISSUER, MALLORY, OTTO, ROOT, VAULT, WHY, World, id};
use crate::domain::principal::Principal;
use crate::journal::{export, verify};
use crate::uses::Use;

fn types(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|record| record["event"]["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn each_sees_the_records_that_concern_them() {
    let world = World::new().await;
    let held = world.ada_holds_the_vault().await;
    world.requested(&BEN, VAULT).await;
    let all = world.get(&OTTO, "/audit").await.expect(200);
    assert_eq!(types(&all)[..3], ["journal_opened", "configuration_applied", "assignment_made"]);
    assert_eq!(types(&all).iter().filter(|name| **name == "activation_requested").count(), 2);
    let own = world.get(&ADA, "/audit").await.expect(200);
    assert!(own["items"].as_array().unwrap().iter().all(|record| !record.to_string().contains("demo:ben")), "{own}");
    assert!(types(&own).contains(&"activation_started"));
    assert!(types(&world.get(&MALLORY, "/audit").await.expect(200)).is_empty());
    assert!(types(&world.get(&MALLORY, "/audit?principal=demo%3Aada").await.expect(200)).is_empty());

    let path = format!("/audit?activation={}", id(&held));
    let requested = |page: Value| page["items"][0].clone();
    let to_auditor = requested(world.get(&OTTO, &path).await.expect(200));
    assert_eq!(to_auditor["detail"]["mail"], "ada@shop.example");
    assert_eq!(to_auditor["actor"]["assurance"]["amr"], json!(["pwd", "otp"]));
    let to_approver = requested(world.get(&GRACE, &path).await.expect(200));
    assert_eq!(to_approver["detail"]["mail"], Value::Null);
    assert_eq!(to_approver["actor"], json!({"type": "principal", "principal": "demo:ada"}));
    assert_eq!(to_approver["detail"]["justification"], WHY);
}

#[tokio::test]
async fn filters_and_pages() {
    let world = World::new().await;
    world.ada_holds_the_vault().await;
    let started = world.get(&OTTO, "/audit?event=activation_started").await.expect(200);
    assert_eq!(types(&started), ["activation_started"]);
    let role = world.get(&OTTO, "/audit?role=shop%2Fvault-reader&event=assignment_made").await.expect(200);
    assert_eq!(types(&role), ["assignment_made"]);
    let unheard_of = world.get(&OTTO, "/audit?event=unheard_of").await.expect(400);
    assert!(unheard_of["detail"].as_str().unwrap().contains("`activation_started`"), "{unheard_of}");
    assert!(types(&world.get(&OTTO, "/audit?until=2020-01-01T00:00:00Z").await.expect(200)).is_empty());
    let (mut path, mut sequences) = ("/audit?limit=3".to_owned(), Vec::new());
    loop {
        let page = world.get(&OTTO, &path).await.expect(200);
        sequences.extend(page["items"].as_array().unwrap().iter().map(|record| record["sequence"].as_u64().unwrap()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/audit?limit=3&cursor={next}");
    }
    let head = world.get(&OTTO, "/audit/head").await.expect(200);
    assert_eq!(sequences, (1..=head["sequence"].as_u64().unwrap()).collect::<Vec<_>>());
    assert_eq!(world.get(&OTTO, "/audit?from=yesterday").await.problem(400), "invalid_query");
}

#[tokio::test]
async fn the_file_is_for_those_who_see_all_and_verifies() {
    let world = World::new().await;
    world.ada_holds_the_vault().await;
    for path in ["/audit/export", "/audit/export?format=csv", "/audit/head"] {
        assert_eq!(world.get(&ADA, path).await.problem(403), "forbidden", "{path}");
        assert!(world.get(&ROOT, path).await.status.is_success(), "{path}");
    }
    let answer = world.get(&OTTO, "/audit/export").await;
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    assert!(answer.header("content-disposition").starts_with("attachment"));
    let head = world.get(&OTTO, "/audit/head").await.expect(200);
    let root = head["public_key"].as_str().unwrap().parse().unwrap();
    let verified = verify::verify(export::read_json_lines(&answer.bytes[..]), &root, None).unwrap();
    assert_eq!(verified.tip.sequence, head["sequence"].as_u64().unwrap());
    assert_eq!(verified.realm, head["realm"].as_str().unwrap());
    let last: Value = serde_json::from_str(answer.text().lines().last().unwrap()).unwrap();
    assert_eq!(last["hash"], head["hash"]);

    let csv = world.get(&OTTO, "/audit/export?format=csv&event=activation_requested").await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8; header=present");
    assert_eq!(csv.text().lines().count(), 2, "{}", csv.text());
    assert!(csv.text().starts_with("sequence,"));
    assert_eq!(world.get(&OTTO, "/audit/export?format=xml").await.problem(400), "invalid_query");
}

#[tokio::test]
async fn a_long_file_has_one_line_of_headings_and_misses_nothing() {
    let world = World::new().await;
    let mut records = 0;
    while records <= 500 {
        records += world.ada_has_the_till_for_a_moment().await;
    }
    let head = world.get(&OTTO, "/audit/head").await.expect(200)["sequence"].as_u64().unwrap();
    assert!(head > 500, "more than one batch: {head}");
    let csv = world.get(&OTTO, "/audit/export?format=csv").await.text();
    let numbers: Vec<u64> = csv.lines().skip(1).map(|line| line.split(',').next().unwrap().parse().unwrap()).collect();
    assert_eq!(numbers, (1..=head).collect::<Vec<_>>());
}

#[tokio::test]
async fn who_is_erased_while_a_file_is_written_leaves_the_order_in_it() {
    let world = World::new().await;
    let mut records = 0;
    while records <= 500 {
        records += world.ada_has_the_till_for_a_moment().await;
    }
    world.ada_holds_the_vault().await;
    let request = world.request(Some(&OTTO), Method::GET, "/audit/export").body(Body::empty()).unwrap();
    let mut body = world.router.clone().oneshot(request).await.unwrap().into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    let order = json!({"justification": "asked for in a letter"});
    world.post(&ROOT, "/principals/demo%3Aada/erase", &order).await.expect(200);
    world.requested(&BEN, VAULT).await;
    let rest = body.collect().await.unwrap().to_bytes();
    let file = [first, rest].concat();
    let root = world.get(&OTTO, "/audit/head").await.expect(200)["public_key"].as_str().unwrap().parse().unwrap();
    let verified = verify::verify(export::read_json_lines(&file[..]), &root, None).unwrap();
    assert!(verified.erased > 0, "what came behind the first piece has no notes any more");
    assert_eq!(verified.missing, []);
    let text = String::from_utf8(file).unwrap();
    assert!(text.lines().last().unwrap().contains("notes_erased"), "and it ends with the order");
}

#[tokio::test]
async fn uses_are_shown_with_the_case_they_were_made_under() {
    let world = World::new().await;
    let held = world.ada_holds_the_vault().await;
    let used = |number: usize| Use {
        activation: id(&held).parse().unwrap(),
        principal: Principal::new(ISSUER, "ada"),
        at: world.clock.reading(),
        request_id: format!("r{number}").into(),
        method: "GET".into(),
        host: "shop.example".into(),
        path: format!("/vault/{number}").into(),
        route: "vault".into(),
    };
    for number in 1..=3 {
        world.recorder.record(&used(number)).await.unwrap();
    }
    let path = format!("/uses?activation={}&limit=2", id(&held));
    let first = loop {
        // written by a thread of its own, soon
        let page = world.get(&ADA, &path).await.expect(200);
        if page.get("next").is_some() {
            break page;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((&first["items"][0]["number"], &first["items"][0]["path"]), (&json!(1), &json!("/vault/1")));
    let rest = world.get(&GRACE, &format!("{path}&cursor={}", first["next"].as_str().unwrap())).await.expect(200);
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    assert_eq!(rest["items"][0]["request_id"], "r3");
    assert_eq!(rest.get("next"), None);
}
