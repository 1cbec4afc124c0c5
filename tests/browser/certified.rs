//! A provider that others wrote and certified: sign-in, step-up, refresh, sign-out over both channels, other keys.

use std::time::Duration;

use serde_json::json;

use crate::support::{Driver, House, Manner, Provider, STRONG, Setting, Window, eventually, within};

/// More than the demo has: a stream that takes a role without approval, and a role that wants a fresh sign-in.
const MORE: &str = r#"
[[route]]
name = "events"
path = "/vault/events"
mode = "role"
role = "shop/records-editor"
upstream = "larder"

[[role]]
name = "shop/fresh"
description = "For whoever signed in just now"
activation = { max = "1h", default = "10m" }
justification = { required = true, min = 10 }
max_age = "5s"
eligible_assignments = [{ group = "demo:engineers" }]
"#;

async fn stage(manner: Manner) -> Option<(Driver, House)> {
    let driver = Driver::start()?;
    let house = House::start(Provider::Certified(manner), MORE).await?;
    Some((driver, house))
}

const LASTING: Manner = Manner { heeds_acr: true, lifetime: 600 };

#[tokio::test]
async fn a_stronger_sign_in_is_asked_for_and_the_filled_form_comes_back() {
    let Some((driver, house)) = stage(LASTING).await else { return };
    let ada = driver.window(Setting::Ordinary).await;
    ada.open(&format!("{}/account?tab=2", house.gate)).await;
    ada.signs_in("ada", Factors::One).await;
    ada.arrives("the very page", |address| address == format!("{}/account?tab=2", house.gate)).await;
    ada.sees("x-forwarded-user").await;

    ada.open(&format!("{}/activate?role=shop/vault-reader", house.portal)).await;
    ada.sees("asks for a stronger or fresher sign-in").await;
    ada.writes("justification", "stock count for the cellar").await;
    ada.writes("ticket", "OPS-7").await;
    ada.clicks("1h").await;
    ada.clicks("Request activation").await;
    ada.clicks("Sign in with a second factor").await;
    ada.sees("acr_values").await;
    ada.signs_in("ada", Factors::Two).await;
    ada.arrives("the form", |address| address.starts_with(&format!("{}/activate?", house.portal))).await;
    let filled = "return ['justification', 'ticket'].map((name) => document.querySelector(`[name=${name}]`).value)\
        .concat(document.querySelector('[name=preset]:checked').value)";
    assert_eq!(ada.script(filled).await, json!(["stock count for the cellar", "OPS-7", "1h"]));
    ada.clicks("Request activation").await;
    ada.sees("Nothing passes before it is approved.").await;
    ada.closes().await;
    house.stop().await;
}

#[tokio::test]
async fn a_sign_in_that_is_too_old_is_made_anew() {
    let Some((driver, house)) = stage(LASTING).await else { return };
    let ada = driver.window(Setting::Ordinary).await;
    let form = format!("{}/activate?role=shop/fresh", house.portal);
    ada.open(&form).await;
    ada.signs_in("ada", Factors::Two).await;
    ada.sees("Justification").await;
    let aged = eventually(async || {
        ada.open(&form).await;
        ada.text().await.contains("stronger or fresher").then_some(())
    });
    assert!(aged.await.is_some(), "the sign-in never was too old: {}", ada.told().await);
    // the provider counts in whole seconds: it may think for one more that its sign-in is fresh enough
    let asked = eventually(async || {
        if ada.has("input[name=account]").await {
            return Some(());
        }
        ada.clicks("Sign in again").await;
        None
    });
    assert!(asked.await.is_some(), "the provider knows her and never asked again: {}", ada.told().await);
    ada.signs_in("ada", Factors::Two).await;
    ada.arrives("the form", |address| address.starts_with(&format!("{}/activate?", house.portal))).await;
    ada.sees("Justification").await;
    assert!(!ada.text().await.contains("stronger or fresher"), "{}", ada.told().await);
    ada.closes().await;
    house.stop().await;
}

#[tokio::test]
async fn a_provider_that_ignores_what_was_asked_leads_to_a_clear_page() {
    let Some((driver, house)) = stage(Manner { heeds_acr: false, ..LASTING }).await else { return };
    let ada = driver.window(Setting::Ordinary).await;
    ada.open(&format!("{}/activate?role=shop/vault-reader", house.portal)).await;
    ada.signs_in("ada", Factors::One).await;
    ada.clicks("Sign in with a second factor").await;
    ada.sees("A stronger sign-in was needed").await;
    assert!(ada.address().await.starts_with(&format!("{}/callback", house.portal)), "it stays where it is");
    // once more, with everything entered anew, and again too weak: still no loop
    ada.clicks("Sign in again").await;
    ada.signs_in("ada", Factors::One).await;
    ada.sees("A stronger sign-in was needed").await;
    // what she may do with the sign-in she has is left to her
    ada.open(&format!("{}/", house.portal)).await;
    ada.sees("You may activate").await;
    ada.closes().await;
    house.stop().await;
}

#[tokio::test]
async fn a_session_is_renewed_while_the_provider_agrees_and_over_when_it_does_not() {
    let Some((driver, mut house)) = stage(Manner { lifetime: 2, ..LASTING }).await else { return };
    let ada = driver.window(Setting::Ordinary).await;
    let account = format!("{}/account", house.gate);
    ada.open(&account).await;
    ada.signs_in("ada", Factors::Two).await;
    ada.sees("x-forwarded-user").await;
    let renewed = eventually(async || {
        ada.open(&account).await;
        ada.sees("x-forwarded-user").await;
        let provider = house.certified.as_ref().expect("a provider");
        (provider.refreshed() >= 2).then_some(())
    });
    assert!(renewed.await.is_some(), "never renewed");

    // other keys, and no memory of her refresh token
    house.certified.as_mut().expect("a provider").restart();
    let over = eventually(async || {
        ada.open(&account).await;
        ada.has("input[name=account]").await.then_some(())
    });
    assert!(over.await.is_some(), "still signed in: {}", ada.told().await);
    // keys are asked for again once in half a minute at most, however many tokens name unknown ones
    let believed = within(Duration::from_secs(45), async || {
        ada.open(&account).await;
        if ada.has("input[name=account]").await {
            ada.signs_in("ada", Factors::Two).await;
        }
        ada.text().await.contains("x-forwarded-user").then_some(())
    });
    assert!(believed.await.is_some(), "the new keys are never believed: {}", ada.told().await);
    ada.closes().await;
    house.stop().await;
}

#[tokio::test]
async fn signing_out_at_the_portal_ends_the_gates_session_and_cuts_its_stream() {
    let Some((driver, house)) = stage(LASTING).await else { return };
    let ada = driver.window(Setting::Ordinary).await;
    ada.open(&format!("{}/activate?role=shop/records-editor", house.portal)).await;
    ada.signs_in("ada", Factors::Two).await;
    ada.writes("justification", "stock count for the cellar").await;
    ada.finds("main form button[type=submit]").await.click().await.expect("clicked");
    ada.sees("You hold this role.").await;

    ada.open(&format!("{}/account", house.gate)).await;
    ada.sees("x-forwarded-user").await;
    let streams = "window.events = 0; window.over = null;
        fetch('/vault/events?every_ms=20').then(async (answer) => {
            const reader = answer.body.getReader();
            for (;;) { const { done } = await reader.read(); if (done) break; window.events += 1; }
            window.over = 'ended';
        }).catch((error) => { window.over = String(error); });";
    ada.script(streams).await;
    let flows =
        eventually(async || ada.script("return window.events").await.as_u64().filter(|events| *events > 2)).await;
    assert!(flows.is_some(), "the stream never began: {}", ada.script("return window.over").await);
    assert_eq!(ada.script("return window.over").await, json!(null));

    let gate = ada.client.window().await.expect("a window");
    let portal = ada.client.new_window(true).await.expect("another tab").handle;
    ada.client.switch_to_window(portal).await.expect("the other tab");
    ada.open(&format!("{}/", house.portal)).await;
    ada.clicks("Sign out").await;
    // the provider asks, and then tells every client
    ada.finds("button[name=logout]").await.click().await.expect("clicked");
    ada.arrives("the last page", |address| address == format!("{}/signed-out", house.portal)).await;

    ada.client.switch_to_window(gate).await.expect("the first tab");
    let cut = eventually(async || ada.script("return window.over").await.as_str().map(str::to_owned)).await;
    assert!(cut.is_some(), "the stream goes on");
    ada.open(&format!("{}/account", house.gate)).await;
    assert!(ada.has("input[name=account]").await, "still signed in at the gate: {}", ada.told().await);
    ada.closes().await;
    house.stop().await;
}

/// With what somebody signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Factors {
    One,
    Two,
}

impl Window {
    /// Fills in the provider's form.
    async fn signs_in(&self, account: &str, factors: Factors) {
        self.writes("account", account).await;
        if factors == Factors::Two {
            self.finds("[name=strong]").await.click().await.expect("ticked");
        }
        self.finds("form button").await.click().await.expect("sent");
        self.arrives("hallpass again", |address| !address.contains("/interaction/") && !address.contains("/auth"))
            .await;
    }
}

#[test]
fn the_level_is_one_the_provider_knows() {
    let server = include_str!("../provider/server.mjs");
    assert!(server.contains(STRONG));
}
