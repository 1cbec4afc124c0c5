//! The portal beyond the life of one activation: what is seen by whom, bulk, audit, health.

use serde_json::json;

use crate::support::{House, id, until};

#[tokio::test]
async fn what_may_not_be_seen_is_answered_like_what_is_not_there() {
    let house = House::new().await;
    let activation = id(&house.ada().request("shop/two-stages", "10m").await);
    let body = json!({ "role": "shop/records-editor", "principal": "demo:stranger" });
    house.root().post("/eligible-assignments", body).await.expect(201);
    let stranger = crate::support::Who::with(
        &house,
        &hallpass::demo::issuer::Person { subject: "stranger", groups: &[], ..hallpass::demo::issuer::VERA },
        &hallpass::demo::issuer::TokenOptions::default(),
    );
    let hidden = stranger.read(&format!("/activations/{activation}")).await.expect(404);
    let absent = stranger.read("/activations/act_00000000000000000000000000").await.expect(404);
    assert_eq!(hidden.problem(), absent.problem());
    assert!(!stranger.read("/audit").await.expect(200).text.contains(&activation), "only what concerns oneself");
    assert_eq!(house.vera().read(&format!("/activations/{activation}")).await.status, 200, "an auditor sees it");
    house.stop().await;
}

#[tokio::test]
async fn many_are_decided_at_once_with_a_result_for_each() {
    let house = House::new().await;
    let person = hallpass::demo::issuer::Person { subject: "alan", ..hallpass::demo::issuer::ADA };
    let other = crate::support::Who::new(&house, &person);
    let first = house.ada().request("shop/vault-reader", "10m").await;
    let second = house.ada().request("shop/two-stages", "10m").await;
    let third = other.request("shop/vault-reader", "10m").await;
    let waiting = house.grace().read("/activations?waiting_for=me").await.expect(200).json();
    assert_eq!(waiting["items"].as_array().map(Vec::len), Some(3), "{waiting}");
    let decisions = json!({ "justification": "all of them, for the release", "decisions": [
        { "activation": first["id"], "choice": "approve", "revision": 1 },
        { "activation": second["id"], "choice": "deny", "revision": 1 },
        { "activation": third["id"], "choice": "approve", "revision": 9 },
        { "activation": "act_00000000000000000000000000", "choice": "approve", "revision": 1 },
    ] });
    let results = house.grace().post("/activations/decisions", decisions).await.expect(200).json();
    let statuses: Vec<_> =
        results["results"].as_array().expect("results").iter().map(|result| result["status"].clone()).collect();
    assert_eq!(statuses, [200, 200, 409, 404], "{results}");
    house.stop().await;
}

#[tokio::test]
async fn an_export_verifies_and_a_tampered_one_does_not() {
    let house = House::new().await;
    house.ada_holds_the_vault("10m").await;
    let vera = house.vera();
    let head = vera.read("/audit/head").await.expect(200).json();
    let export = vera.read("/audit/export?format=jsonl").await.expect(200);
    let lines = export.text.lines().count() as u64;
    assert_eq!(Some(lines), head["sequence"].as_u64());
    let verify = |text: &str| {
        let file = house.folder().join("export.jsonl");
        std::fs::write(&file, text).expect("written");
        let key = head["public_key"].as_str().expect("a key").to_owned();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_hallpass"))
            .args(["audit", "verify", file.to_str().expect("a path"), "--public-key", &key])
            .output()
            .expect("a process");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    assert_eq!(verify(&export.text).0, Some(0));
    let tampered = export.text.replace("shop/vault-reader", "shop/vault-writer");
    let (code, said) = verify(&tampered);
    assert_eq!(code, Some(1), "{said}");
    house.stop().await;
}

#[tokio::test]
async fn free_text_is_harmless_in_the_spreadsheet() {
    let house = House::new().await;
    let body = json!({ "role": "shop/vault-reader", "justification": "=HYPERLINK(\"http://evil.test\")" });
    house.ada().post("/activations", body).await.expect(201);
    let csv = house.vera().read("/audit/export?format=csv").await.expect(200).text;
    assert!(csv.contains("HYPERLINK"), "the text is there");
    assert!(!csv.contains(",=HYPERLINK") && !csv.contains(",\"=HYPERLINK"), "{csv}");
    house.stop().await;
}

#[tokio::test]
async fn health_and_metrics_are_told_on_their_own_listener() {
    let house = House::new().await;
    for path in ["/livez", "/startupz"] {
        let answer = house.http.get(format!("{}{path}", house.admin())).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
    }
    let ready =
        || async { house.http.get(format!("{}/readyz", house.admin())).send().await.expect("an answer").status() };
    until("it is ready: the keys of the issuer are there", async || ready().await == 200).await;
    house.ada_holds_the_vault("10m").await;
    house.ada().get("/vault").await.expect(200);
    let metrics = house.http.get(format!("{}/metrics", house.admin())).send().await.expect("an answer");
    let text = metrics.text().await.expect("text");
    for name in ["hallpass_build_info", "hallpass_journal_head", "hallpass_decisions_total", "hallpass_activations"] {
        assert!(text.contains(name), "{name} is missing:\n{text}");
    }
    let families: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let mut unique = families.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(families.len(), unique.len(), "every family is told once");
    assert!(!text.contains("ada"), "no person in a label");
    house.stop().await;
}
