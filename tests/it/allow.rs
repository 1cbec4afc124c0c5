//! What passes, and what the application then knows.

use hallpass::demo::issuer::{ADA, TokenOptions};
use reqwest::Method;

use crate::support::{House, Who, arrived};

#[tokio::test]
async fn everybody_reaches_what_is_public_and_the_application_learns_nothing_of_them() {
    let house = House::new().await;
    let forged = house.http.get(format!("{}/", house.gate())).header("x-hallpass-role", "shop/vault-reader");
    let answer = forged.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let forged = house.http.get(format!("{}/echo/x", house.gate())).header("x-hallpass-role", "shop/vault-reader");
    let seen = house.ada().send(forged).await.expect(200).json();
    assert_eq!(arrived(&seen, "x-hallpass-role"), None, "{seen}");
    house.stop().await;
}

#[tokio::test]
async fn who_is_signed_in_is_named_to_the_application_and_the_token_stays_here() {
    let house = House::new().await;
    let request = house
        .http
        .get(format!("{}/echo/me", house.gate()))
        .header("x-forwarded-user", "root")
        .header("x-forwarded-for", "203.0.113.9")
        .header("x-original-url", "/vault");
    let seen = house.ada().send(request).await.expect(200).json();
    assert_eq!(arrived(&seen, "x-forwarded-user"), Some("demo:ada"));
    assert_eq!(arrived(&seen, "x-forwarded-for"), Some("127.0.0.1"), "the client's own word is not repeated");
    assert_eq!(arrived(&seen, "authorization"), None, "the token is not the application's");
    assert_eq!(arrived(&seen, "x-original-url"), None);
    assert!(arrived(&seen, "x-request-id").is_some());
    house.stop().await;
}

#[tokio::test]
async fn the_same_token_is_refused_then_passes_then_is_refused() {
    let house = House::new().await;
    let ada = house.ada();
    assert_eq!(ada.get("/vault").await.status, 403);
    let activation = house.ada_holds_the_vault("30m").await;
    let answer = ada.get("/vault").await.expect(200);
    assert!(!answer.header("x-hallpass-expires").is_empty(), "the end is told");
    let (other, before) = (house.grace(), house.upstream.requests());
    assert_eq!(other.get("/vault").await.status, 403, "approving is not holding");
    assert_eq!(house.upstream.requests(), before, "what is refused never reaches the application");
    ada.post(&format!("/activations/{activation}/deactivate"), serde_json::json!({})).await.expect(200);
    assert_eq!(ada.get("/vault").await.status, 403);
    house.stop().await;
}

#[tokio::test]
async fn methods_are_told_apart() {
    let house = House::new().await;
    let ada = house.ada();
    assert_eq!(ada.at_gate(Method::GET, "/records").await.status, 200);
    assert_eq!(ada.at_gate(Method::DELETE, "/records/soup").await.status, 403);
    assert_eq!(ada.at_gate(Method::POST, "/records/soup").await.status, 403, "no route names it");
    ada.request("shop/records-editor", "10m").await;
    assert!(ada.at_gate(Method::DELETE, "/records/soup").await.status < 500);
    assert_ne!(ada.at_gate(Method::DELETE, "/records/soup").await.status, 403);
    house.stop().await;
}

#[tokio::test]
async fn all_of_several_roles_means_all() {
    let house = House::new().await;
    let ada = house.ada();
    let refused = ada.get("/both/x").await.expect(403).json();
    assert_eq!(refused["roles"].as_array().map(Vec::len), Some(2), "{refused}");
    ada.request("shop/records-editor", "10m").await;
    assert_eq!(ada.get("/both/x").await.status, 403);
    house.ada_holds_the_vault("10m").await;
    assert_eq!(ada.get("/both/x").await.status, 200);
    house.stop().await;
}

#[tokio::test]
async fn shadow_lets_pass_and_a_denial_beats_every_role() {
    let house = House::new().await;
    let ada = house.ada();
    assert_eq!(ada.get("/shadow/x").await.status, 200);
    house.ada_holds_the_vault("10m").await;
    assert_eq!(ada.get("/closed/x").await.status, 403);
    house.stop().await;
}

#[tokio::test]
async fn a_fresh_sign_in_may_be_demanded_of_a_route() {
    let house = House::new().await;
    assert_eq!(house.ada().get("/fresh/x").await.status, 200);
    let options = TokenOptions { signed_in_ago: hallpass::domain::time::Span::minutes(6), ..TokenOptions::default() };
    let stale = Who::with(&house, &ADA, &options);
    let answer = stale.get("/fresh/x").await.expect(401);
    let challenge = answer.header("www-authenticate");
    assert!(challenge.contains(r#"error="insufficient_user_authentication""#), "{challenge}");
    assert!(challenge.contains("max_age=300") || challenge.contains(r#"max_age="300""#), "{challenge}");
    house.stop().await;
}
