//! The way to a stronger sign-in from every form that a weak one is refused at: a provider that does not do what was asked
//! leads to a page that says so, never to the same notice again.

use serde_json::json;

use crate::support::visitor::{PORTAL, Visitor};
use crate::support::{Answer, House, id};

const WHY: &str = "justification=the+till+of+shop+4+is+stuck";

/// The way to sign in again that a page shows, which must tell the provider's methods apart.
fn way(page: &Answer) -> String {
    let links = page.text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let mut links = links.filter(|link| link.starts_with("/sign-in?") || link.contains("/sign-in?return_to"));
    let link = links.next().unwrap_or_else(|| panic!("no way to a stronger sign-in: {}", page.text));
    let link = link.replace("&amp;", "&");
    assert!(link.contains("amr=mfa"), "what counts as a second factor is asked for: {link}");
    link
}

impl Visitor<'_> {
    /// Follows the way that a refused form shows, and comes back from the provider without a second factor.
    async fn comes_back_weak(&mut self, person: &str, refused: &Answer) {
        let link = way(refused);
        let address = if link.starts_with('/') { format!("{PORTAL}{link}") } else { link };
        let away = self.opens(&address).await.expect(302);
        let callback = self.says(away.header("location"), &format!("person={person}")).await;
        let told = self.opens(&callback).await.expect(403);
        assert!(told.text.contains("<code>sign_in_fell_short</code>"), "{address}: {}", told.text);
        assert!(told.text.contains("second factor"), "{}", told.text);
    }

    async fn is_refused(&mut self, path: &str, form: &str) -> Answer {
        let refused = self.submits(&format!("{PORTAL}{path}"), form).await;
        assert_eq!(refused.status, 422, "{path}: {}", refused.text);
        refused
    }
}

#[tokio::test]
async fn a_weak_return_is_told_wherever_a_holder_is_refused() {
    let house = House::signing_in().await;
    let held = house.ada_holds_the_vault("10m").await;
    let mut ada = house.visitor();
    ada.signs_in(&format!("{PORTAL}/"), "person=ada").await;
    let form = format!("role=shop%2Frecords-editor&duration=30m&{WHY}");
    let refused = ada.is_refused("/activate", &form).await;
    ada.comes_back_weak("ada", &refused).await;
    let refused = ada.is_refused(&format!("/activations/{held}/extend"), &format!("duration=10m&{WHY}")).await;
    ada.comes_back_weak("ada", &refused).await;
    house.stop().await;
}

#[tokio::test]
async fn a_weak_return_is_told_wherever_an_approver_is_refused() {
    let house = House::signing_in().await;
    let asked = id(&house.ada().request("shop/vault-reader", "10m").await);
    let mut grace = house.visitor();
    grace.signs_in(&format!("{PORTAL}/"), "person=grace").await;
    for verb in ["approve", "deny"] {
        let refused = grace.is_refused(&format!("/activations/{asked}/{verb}"), &format!("revision=1&{WHY}")).await;
        grace.comes_back_weak("grace", &refused).await;
    }
    let form = format!("choice=approve&chosen={asked}%3A1&{WHY}");
    let refused = grace.is_refused("/approvals", &form).await;
    grace.comes_back_weak("grace", &refused).await;
    let still = house.ada().read(&format!("/activations/{asked}")).await.expect(200).json();
    assert_eq!(still["state"], "pending");
    house.stop().await;
}

#[tokio::test]
async fn a_weak_return_is_told_wherever_an_administrator_is_refused() {
    let house = House::signing_in().await;
    let held = house.ada_holds_the_vault("10m").await;
    let body =
        json!({ "role": "shop/vault-reader", "principal": "demo:vera", "justification": "an audit of the vault" });
    let made = house.root().post("/eligible-assignments", body).await.expect(201).json();
    let made = id(&made);
    let mut root = house.visitor();
    root.signs_in(&format!("{PORTAL}/"), "person=root").await;
    let assign = format!("kind=eligible&role=shop%2Fvault-reader&principal=demo%3Aada&group=&{WHY}");
    let places = [
        ("/assignments".to_owned(), assign),
        (format!("/assignments/{made}"), WHY.to_owned()),
        ("/assignments/end".to_owned(), format!("chosen={made}&{WHY}")),
        ("/assignments/lock".to_owned(), format!("who=demo%3Aada&{WHY}")),
        ("/assignments/unlock".to_owned(), format!("who=demo%3Aada&{WHY}")),
    ];
    for (path, form) in places {
        let refused = root.is_refused(&path, &form).await;
        root.comes_back_weak("root", &refused).await;
    }
    // taking a right away never waits for a stronger sign-in
    root.submits(&format!("{PORTAL}/activations/{held}/revoke"), WHY).await.expect(303);
    house.stop().await;
}
