//! The issuer from outside: what curl sees, and tokens that a stranger can verify.

mod flow;
mod leaving;
mod visitor;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, jwk::JwkSet};

use super::*;
use crate::domain::time::Timestamp;

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// The claims, when the published keys prove them.
fn proven(issuer: &Issuer, token: &str) -> Result<Value, String> {
    let keys: JwkSet = serde_json::from_value(issuer.keys()).unwrap();
    let kid = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    let key = keys.find(&kid).ok_or("no such key")?;
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[issuer.url()]);
    validation.validate_exp = false;
    decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &validation)
        .map(|token| token.claims)
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn curl_gets_a_token_that_the_published_keys_prove() {
    let issuer = Issuer::start(Clock::system()).await.unwrap();
    let form = client().post(format!("{}/token", issuer.url())).body("person=ada&mfa=true");
    let answer = form.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    let claims = proven(&issuer, answer["access_token"].as_str().unwrap()).unwrap();
    assert_eq!(claims["sub"], "ada");
    assert_eq!(claims["groups"], json!(["engineers"]));
    assert_eq!(claims["amr"], json!(["pwd", "otp", "mfa"]));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);

    let found: Value = client()
        .get(format!("{}/.well-known/openid-configuration", issuer.url()))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(found["issuer"], issuer.url());
    assert_eq!(found["authorization_response_iss_parameter_supported"], true);
    let keys: Value = client().get(found["jwks_uri"].as_str().unwrap()).send().await.unwrap().json().await.unwrap();
    assert_eq!(keys, issuer.keys());
    assert_eq!(issuer.keys_served(), 1);
}

#[tokio::test]
async fn strangers_and_foreign_names_get_nothing() {
    let issuer = Issuer::start(Clock::system()).await.unwrap();
    let ask = |body: &'static str, host: Option<&'static str>| {
        let mut request = client().post(format!("{}/token", issuer.url())).body(body);
        request = request.header("content-type", "application/x-www-form-urlencoded");
        if let Some(host) = host {
            request = request.header("host", host);
        }
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(ask("person=ada", None).await, 200);
    assert_eq!(ask("person=mallory", None).await, 400);
    assert_eq!(ask("person=ada&groups=administrators", None).await, 422);
    assert_eq!(ask("person=ada&mfa=perhaps", None).await, 400);
    assert_eq!(ask("person=ada&as=xml", None).await, 400);
    assert_eq!(ask("person=ada&person=root", None).await, 400);
    assert_eq!(ask("person=ada", Some("evil.example:80")).await, 421);
}

#[tokio::test]
async fn a_rotated_key_signs_at_once_and_the_former_proves_until_it_is_forgotten() {
    let (clock, _time) = Clock::manual(Timestamp::from_seconds(1_795_404_600));
    let issuer = Issuer::start(clock).await.unwrap();
    let before = issuer.token(&ADA, &TokenOptions::default()).unwrap();
    issuer.rotate().unwrap();
    let after = issuer.token(&GRACE, &TokenOptions::default()).unwrap();
    assert_eq!(proven(&issuer, &before).unwrap()["iat"], 1_795_404_600);
    assert_eq!(proven(&issuer, &after).unwrap()["sub"], "grace");
    issuer.forget_former_keys();
    assert!(proven(&issuer, &before).is_err());
    assert!(proven(&issuer, &after).is_ok());
}

#[tokio::test]
async fn tests_may_claim_anything() {
    let issuer = Issuer::start(Clock::system()).await.unwrap();
    let mut options = TokenOptions { second_factor: false, ..TokenOptions::default() };
    options.claims.insert("aud".to_owned(), json!(["other", AUDIENCE]));
    options.claims.insert("email".to_owned(), Value::Null);
    options.header.insert("typ".to_owned(), json!("JWT"));
    let token = issuer.token(&VERA, &options).unwrap();
    let claims = proven(&issuer, &token).unwrap();
    assert_eq!(claims["aud"], json!(["other", AUDIENCE]));
    assert_eq!(claims.get("email"), None);
    assert_eq!(claims["amr"], json!(["pwd"]));
    assert_eq!(jsonwebtoken::decode_header(&token).unwrap().typ.as_deref(), Some("JWT"));

    let raw = issuer.sign(br#"{"alg":"none"}"#, b"not json").unwrap();
    assert!(raw.starts_with("eyJhbGciOiJub25lIn0."));
}
