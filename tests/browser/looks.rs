//! Every page, as everybody meets it: pictures in light and dark, on desktop and phone; none too wide; and nothing that a
//! checker of accessibility finds fault with.

use hallpass::demo::issuer::{ADA, GRACE, Person, ROOT};
use serde_json::{Value, json};

use crate::support::{Driver, House, Looks, Setting, Window};

/// A role nobody has asked for yet, which asks for more.
const MORE: &str = r#"
[[route]]
name = "cellar"
path = "/cellar/**"
mode = "role"
role = "shop/cellar-keeper"
upstream = "larder"

[[role]]
name = "shop/cellar-keeper"
description = "Let deliveries into the cellar"
activation = { max = "4h", default = "1h" }
justification = { required = true, min = 10 }
ticket = { required = true }
mfa = true
eligible_assignments = [{ group = "demo:engineers" }]

[role.approval]
stages = [{ groups = ["demo:on-call-leads"], quorum = 1 }, { users = ["demo:root"], quorum = 1 }]
"#;

#[tokio::test]
async fn every_page_can_be_used_by_everybody() {
    let (Some(driver), Some(looks)) = (Driver::start(), Looks::new()) else { return };
    let house = House::new(MORE).await;
    let cases = lived_in(&house).await;
    let mut album = Album { looks, faults: Vec::new(), missing: Vec::new() };
    let (gate, portal) = (house.gate.clone(), house.portal.clone());

    let ada = driver.window(Setting::Ordinary).await;
    album.page(&ada, format!("{portal}/signed-out"), "signed-out").await;
    album.page(&ada, format!("{portal}/callback?state=x&error=access_denied"), "sign-in-over").await;
    album.page(&ada, format!("{gate}/.hallpass/callback?state=x&error=access_denied"), "gate-sign-in-over").await;
    ada.open(&format!("{gate}/account")).await;
    ada.clicks("Sign in as Ada Okafor").await;
    ada.arrives("the gate", |address| address.starts_with(&gate)).await;
    album.page(&ada, format!("{gate}/nowhere"), "gate-forbidden").await;
    album.page(&ada, format!("{gate}/closed%2Fdoor"), "gate-bad-request").await;
    album.page(&ada, format!("{gate}/vault"), "gate-pending").await;
    album.page(&ada, format!("{gate}/cellar"), "gate-needs-role").await;
    album.page(&ada, format!("{gate}/.hallpass/sign-out"), "gate-sign-out").await;
    album.page(&ada, format!("{portal}/"), "home").await;
    album.page(&ada, format!("{portal}/?search=nothing-like-it"), "home-nothing-found").await;
    album.page(&ada, format!("{portal}/activate"), "activate-choose").await;
    album.page(&ada, format!("{portal}/activate?role=shop/cellar-keeper&return_to={gate}/cellar"), "activate").await;
    album.page(&ada, format!("{portal}/activate?role=shop/none"), "activate-not-eligible").await;
    ada.open(&format!("{portal}/activate?role=shop/cellar-keeper")).await;
    ada.writes("justification", "no").await;
    ada.clicks("Other").await;
    ada.writes("duration", "3 weeks").await;
    ada.clicks("Request activation").await;
    ada.sees("For how long").await;
    album.here(&ada, "activate-refused").await;
    for (state, id) in &cases {
        let id = id.as_str().unwrap_or_default();
        // whoever comes from the gate and holds the role is sent back there
        let back = if state == "active" { String::new() } else { format!("?return_to={gate}/vault") };
        album.page(&ada, format!("{portal}/activations/{id}{back}"), &format!("request-{state}")).await;
    }
    album.page(&ada, format!("{portal}/activations/act_00000000000000000000000000"), "request-unknown").await;
    album.page(&ada, format!("{portal}/roles"), "roles").await;
    album.page(&ada, format!("{portal}/roles/shop/vault-reader"), "role").await;
    album.page(&ada, format!("{portal}/history"), "history-own").await;
    album.page(&ada, format!("{portal}/assignments"), "assignments-not-allowed").await;
    album.page(&ada, format!("{portal}/approvals"), "approvals-empty").await;
    album.page(&ada, format!("{portal}/sign-out"), "sign-out").await;
    album.page(&ada, format!("{portal}/nowhere"), "not-found").await;

    let grace = driver.window(Setting::Ordinary).await;
    grace.open(&format!("{portal}/approvals")).await;
    grace.clicks("Sign in as Grace Lindqvist").await;
    album.page(&grace, format!("{portal}/approvals"), "approvals").await;
    album
        .page(
            &grace,
            format!("{portal}/activations/{}", cases["pending"].as_str().unwrap_or_default()),
            "request-to-decide",
        )
        .await;
    grace.open(&format!("{portal}/approvals")).await;
    grace.clicks("Approve chosen").await;
    grace.sees("Choose at least one request").await;
    album.here(&grace, "approvals-none-chosen").await;

    let root = driver.window(Setting::Ordinary).await;
    root.open(&format!("{portal}/assignments")).await;
    root.clicks("Sign in as Ruth Abara").await;
    root.arrives("the assignments", |address| address.contains("/assignments")).await;
    let eligible = house.read(&ROOT, "/eligible-assignments").await;
    let given = eligible["items"].as_array().and_then(|all| all.iter().find(|one| one["principal"] == "demo:ada"));
    let given = given.and_then(|one| one["id"].as_str()).unwrap_or_default().to_owned();
    for (path, name) in [
        ("/assignments".to_owned(), "assignments"),
        ("/assignments?kind=active".to_owned(), "assignments-active"),
        ("/assignments/new?kind=eligible".to_owned(), "assignments-new"),
        (format!("/assignments/{given}"), "assignment"),
        (format!("/assignments/end?chosen={given}"), "assignments-end"),
        ("/assignments/person?who=demo:ada".to_owned(), "person"),
        ("/history".to_owned(), "history"),
        ("/history/records".to_owned(), "history-records"),
        ("/history/journal".to_owned(), "history-journal"),
        (format!("/history/{}", cases["revoked"].as_str().unwrap_or_default()), "history-case"),
        ("/history?role=nonsense".to_owned(), "history-refused"),
    ] {
        album.page(&root, format!("{portal}{path}"), name).await;
    }
    for (name, missing) in &album.missing {
        assert!(name.contains("unknown") || *name == "not-found", "there is no page {name}: {missing}");
    }
    assert!(album.faults.is_empty(), "{} faults:\n{}", album.faults.len(), album.faults.join("\n"));
    for window in [ada, grace, root] {
        window.closes().await;
    }
    house.stop().await;
}

/// Pictures, and what was wrong in them.
struct Album {
    looks: Looks,
    faults: Vec<String>,
    /// Pages that say they are none.
    missing: Vec<(String, String)>,
}

impl Album {
    async fn page(&mut self, window: &Window, url: String, name: &str) {
        window.open(&url).await;
        assert_eq!(window.address().await, url, "{name} leads elsewhere: {}", window.told().await);
        self.here(window, name).await;
    }

    async fn here(&mut self, window: &Window, name: &str) {
        if window.text().await.contains("Code unknown · status 404") {
            self.missing.push((name.to_owned(), window.address().await));
        }
        self.faults.extend(self.looks.over(window, name).await);
    }
}

/// Activations in every state, by the name of the state.
async fn lived_in(house: &House) -> serde_json::Map<String, Value> {
    let mut cases = serde_json::Map::new();
    let decided = json!({ "revision": 1, "justification": "the count is due today" });
    let because = json!({ "justification": "the count is over" });
    for (state, verb, who, body) in [
        ("denied", "deny", &GRACE, &decided),
        ("cancelled", "cancel", &ADA, &json!({})),
        ("revoked", "approve", &GRACE, &decided),
    ] {
        let id = house.asks_for_the_vault(&ADA, "stock count for the cellar, shelves 3 to 7").await;
        house.post(who, &format!("/activations/{id}/{verb}"), body).await;
        if state == "revoked" {
            house.post(&ROOT, &format!("/activations/{id}/revoke"), &because).await;
        }
        cases.insert(state.to_owned(), json!(id));
    }
    let ask = json!({ "role": "shop/records-editor", "duration": "2h", "justification": "a recipe has gone bad", "ticket": "OPS-1204" });
    let held = house.post(&ADA, "/activations", &ask).await;
    cases.insert("active".to_owned(), held["id"].clone());
    let pending = house.asks_for_the_vault(&ADA, "stock count for the cellar, shelves 3 to 7").await;
    cases.insert("pending".to_owned(), json!(pending));
    for (subject, name) in [("linus", "Linus Aalto"), ("mei", "Mei Tanaka")] {
        house
            .asks_for_the_vault(
                &Person { subject, name, ..ADA },
                "the auditors want the keys of the third shelf listed",
            )
            .await;
    }
    let give =
        json!({ "role": "shop/vault-reader", "principal": "demo:ada", "justification": "covers for Mei this week" });
    house.post(&ROOT, "/eligible-assignments", &give).await;
    cases
}
