//! Sessions: one per origin and worth nothing elsewhere, renewed at sign-in, over at sign-out.

use std::collections::BTreeMap;

use serde_json::json;

use crate::support::{Driver, House, Setting, Window};

/// Ada has signed in at the gate, and looks at her account.
struct Stage {
    house: House,
    ada: Window,
    /// Windows close with it.
    _driver: Driver,
}

async fn at_the_gate() -> Option<Stage> {
    let driver = Driver::start()?;
    let house = House::new("").await;
    let ada = driver.window(Setting::Ordinary).await;
    ada.open(&format!("{}/account", house.gate)).await;
    ada.clicks("Sign in as Ada Okafor").await;
    ada.sees("Your account").await;
    Some(Stage { house, ada, _driver: driver })
}

#[tokio::test]
async fn a_session_of_one_origin_is_worthless_at_the_other() {
    let Some(Stage { house, ada, _driver }) = at_the_gate().await else { return };
    let at_gate = ada.session(&house).await;
    assert_eq!(at_gate.len(), 1, "{:?}", at_gate.keys());
    ada.open(&format!("{}/", house.portal)).await;
    ada.sees("You may activate").await;
    let both = ada.session(&house).await;
    assert_eq!(both.len(), 2, "{:?}", both.keys());
    let (gate_name, gate_value) = at_gate.first_key_value().expect("a session at the gate");
    let (portal_name, portal_value) =
        both.iter().find(|(name, _)| *name != gate_name).expect("a session at the portal");
    assert_ne!(gate_value, portal_value);

    let asks = async |url: &str, name: &str, value: &str| {
        let answer = house.http.get(url).header("cookie", format!("{name}={value}")).send().await.expect("an answer");
        answer.status().as_u16()
    };
    let (me, account) = (format!("{}/api/v1/me", house.portal), format!("{}/account", house.gate));
    assert_eq!(asks(&me, portal_name, portal_value).await, 200);
    assert_eq!(asks(&account, gate_name, gate_value).await, 200);
    for (name, value) in [(gate_name, gate_value), (portal_name, gate_value), (gate_name, portal_value)] {
        assert_eq!(asks(&me, name, value).await, 401, "{name} at the portal");
    }
    for (name, value) in [(portal_name, portal_value), (gate_name, portal_value), (portal_name, gate_value)] {
        assert_eq!(asks(&account, name, value).await, 401, "{name} at the gate");
    }
    // the application gets neither of them
    ada.open(&format!("{}/echo/cookies", house.gate)).await;
    let shown = ada.text().await;
    assert!(
        shown.contains("/echo/cookies")
            && !shown.contains(gate_value.as_str())
            && !shown.contains(portal_value.as_str())
    );
    ada.closes().await;
    house.stop().await;
}

#[tokio::test]
async fn signing_out_ends_it_here_and_at_the_provider() {
    let Some(Stage { house, ada, _driver }) = at_the_gate().await else { return };
    ada.open(&format!("{}/", house.portal)).await;
    ada.sees("You may activate").await;
    let before = ada.session(&house).await;
    ada.clicks("Sign out").await;
    ada.arrives("the last page", |address| address == format!("{}/signed-out", house.portal)).await;
    ada.sees("You are signed out.").await;
    assert!(ada.session(&house).await.len() < before.len(), "the cookie is gone");
    for (name, value) in &before {
        for url in [format!("{}/api/v1/me", house.portal), format!("{}/account", house.gate)] {
            let answer =
                house.http.get(&url).header("cookie", format!("{name}={value}")).send().await.expect("an answer");
            assert_eq!(answer.status(), 401, "an old cookie is worth something at {url}");
        }
    }
    for url in [format!("{}/", house.portal), format!("{}/account", house.gate)] {
        ada.open(&url).await;
        ada.sees("Who are you?").await;
    }
    ada.closes().await;
    house.stop().await;
}

#[tokio::test]
async fn signing_out_at_the_gate_takes_a_click_of_ones_own() {
    let Some(Stage { house, ada, _driver }) = at_the_gate().await else { return };
    let before = ada.session(&house).await;
    ada.open(&format!("{}/.hallpass/sign-out", house.gate)).await;
    ada.sees("Sign out?").await;
    assert_eq!(ada.session(&house).await, before, "a link alone signs nobody out");
    ada.clicks("Sign out").await;
    ada.sees("You are signed out").await;
    ada.open(&format!("{}/account", house.gate)).await;
    ada.sees("Who are you?").await;
    ada.closes().await;
    house.stop().await;
}

#[tokio::test]
async fn somebody_who_does_not_want_to_sign_in_is_told_so_and_nothing_loops() {
    let Some(driver) = Driver::start() else { return };
    let house = House::new("").await;
    let ada = driver.window(Setting::Ordinary).await;
    for url in [format!("{}/account", house.gate), format!("{}/", house.portal)] {
        ada.open(&url).await;
        ada.clicks("Do not sign in").await;
        ada.sees("You were not signed in").await;
        assert!(ada.session(&house).await.is_empty());
    }
    ada.closes().await;
    house.stop().await;
}

impl Window {
    /// The sessions this browser holds, by the names of their cookies.
    async fn session(&self, house: &House) -> BTreeMap<String, String> {
        let cookies = self.devtools("Network.getCookies", json!({ "urls": [house.gate, house.portal] })).await;
        let all = cookies["cookies"].as_array().expect("cookies");
        for cookie in all {
            assert_eq!(cookie["httpOnly"], true, "scripts can read {cookie}");
            assert!(matches!(cookie["sameSite"].as_str(), Some("Lax" | "Strict")), "{cookie}");
        }
        let text = |cookie: &serde_json::Value, member: &str| cookie[member].as_str().unwrap_or_default().to_owned();
        let ours = all.iter().filter(|cookie| {
            let name = text(cookie, "name");
            name.starts_with("hallpass_") && !name.ends_with("_browser")
        });
        ours.map(|cookie| (text(cookie, "name"), text(cookie, "value"))).collect()
    }
}
