//! Coming back from a provider: what is believed, and everything that is not.

use serde_json::{Value, json};

use super::browser::{Browser, CLIENT, Manner, Street};
use super::forge::b64;
use crate::domain::time::Span;
use crate::identity::{Begun, Fault, SignInError, Site};

#[tokio::test]
async fn a_person_signs_in_and_is_back_where_the_link_was() {
    let street = Street::new().await;
    let mut browser = Browser::default();
    assert!(!street.is_in(&browser, &street.gate).await);
    let sent = street.begin(&mut browser, &street.gate, "return_to=%2Fvault%3Fa%3D1").await.unwrap();
    assert_eq!(sent["response_type"], "code");
    assert_eq!(sent["client_id"], CLIENT);
    assert_eq!(sent["redirect_uri"], "https://shop.test/.hallpass/callback");
    assert_eq!(sent["code_challenge_method"], "S256");
    assert!(sent["scope"].split(' ').any(|scope| scope == "openid"));
    assert!(sent["state"].len() == 43 && sent["nonce"].len() == 43 && sent["state"] != sent["nonce"]);
    assert!(!sent.contains_key("prompt") && !sent.contains_key("acr_values"));
    let finished = street.finish(&mut browser, &street.gate, &street.answer(&sent)).await.unwrap();
    assert_eq!(finished.return_to, "https://shop.test/vault?a=1");
    let session = street.who(&browser, &street.gate).await.unwrap();
    let identity = session.identity();
    assert_eq!((&*identity.principal.issuer, &*identity.principal.subject), (street.issuer(), "ada"));
    assert_eq!(identity.groups[0].name.as_ref(), "engineers");
    assert_eq!(identity.ends_at, street.now().plus(Span::seconds(300)));
    let asked = street.asked();
    assert_eq!(asked[0]["grant_type"], "authorization_code");
    let challenge =
        b64(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, asked[0]["code_verifier"].as_bytes()).as_ref());
    assert_eq!(challenge, sent["code_challenge"], "the code is bound to this very sign-in");
    assert_eq!(asked[0]["redirect_uri"], sent["redirect_uri"]);
}

#[tokio::test]
async fn a_state_that_is_forged_used_old_or_of_another_browser_or_site_is_worth_nothing() {
    let street = Street::new().await;
    let (mut own, mut other) = (Browser::default(), Browser::default());
    street.begin(&mut other, &street.gate, "").await.unwrap();
    let sent = street.begin(&mut own, &street.gate, "").await.unwrap();
    let answer = street.answer(&sent);
    let forged = answer.replace(&sent["state"], &"a".repeat(43));
    assert_eq!(street.finish(&mut own, &street.gate, &forged).await, Err(SignInError::NotPending));
    let nobody = &mut Browser::default();
    assert_eq!(street.finish(nobody, &street.gate, &answer).await, Err(SignInError::Elsewhere));
    assert_eq!(street.finish(&mut other, &street.gate, &answer).await, Err(SignInError::Elsewhere));
    let cookies = own.clone();
    assert_eq!(street.finish(&mut own.clone(), &street.portal, &answer).await, Err(SignInError::Elsewhere));
    let mut twice = cookies.clone();
    assert!(street.finish(&mut twice, &street.gate, &answer).await.is_ok());
    assert_eq!(street.finish(&mut own, &street.gate, &answer).await, Err(SignInError::NotPending), "once only");
    let sent = street.begin(&mut own, &street.gate, "").await.unwrap();
    street.pass(Span::minutes(10));
    assert_eq!(street.finish(&mut own, &street.gate, &street.answer(&sent)).await, Err(SignInError::NotPending));
    assert!(!street.is_in(&own, &street.gate).await);
}

#[tokio::test]
async fn answers_that_can_be_read_in_two_ways_are_not_read() {
    let street = Street::new().await;
    for bend in [
        |answer: &str| answer.replace("state=", "stat="),
        |answer: &str| format!("{answer}&state=x"),
        |answer: &str| format!("{answer}&code=x"),
        |answer: &str| format!("{answer}&iss=https%3A%2F%2Fevil.test"),
        |answer: &str| format!("{answer}&error=access_denied"),
        |answer: &str| answer.replace("code=abc", "code="),
        |answer: &str| answer.replace("code=abc", &format!("code={}", "a".repeat(5000))),
        |answer: &str| answer.replace("code=abc&", ""),
    ] {
        let mut browser = Browser::default();
        let sent = street.begin(&mut browser, &street.gate, "").await.unwrap();
        let answer = bend(&street.answer(&sent));
        let refused = street.finish(&mut browser, &street.gate, &answer).await.unwrap_err();
        assert_eq!(refused, SignInError::Malformed, "{answer:.200}");
        assert!(!street.is_in(&browser, &street.gate).await);
    }
    assert!(street.asked().is_empty(), "no code was redeemed");
}

#[tokio::test]
async fn another_issuer_cannot_answer_and_one_that_names_itself_must() {
    let street = Street::new().await;
    let mut browser = Browser::default();
    for iss in ["&iss=https://evil.test", ""] {
        let sent = street.begin(&mut browser, &street.gate, "").await.unwrap();
        let answer = format!("code=abc&state={}{iss}", sent["state"]);
        let refused = street.finish(&mut browser, &street.gate, &answer).await.unwrap_err();
        assert_eq!(refused.fault(), Fault::Request, "{refused}");
        assert!(matches!(refused, SignInError::Untrusted { .. }), "{refused}");
    }
    assert!(street.asked().is_empty(), "no code was sent to anybody");
    // read anew after a while
    street.behave(Manner {
        metadata: json!({"authorization_response_iss_parameter_supported": false}),
        ..Manner::default()
    });
    street.pass(Span::hours(2));
    let sent = street.begin(&mut browser, &street.gate, "").await.unwrap();
    let answer = format!("code=abc&state={}", sent["state"]);
    assert!(street.finish(&mut browser, &street.gate, &answer).await.is_ok(), "who never names itself need not");
    let sent = street.begin(&mut browser, &street.gate, "").await.unwrap();
    let answer = format!("code=abc&state={}&iss=https://evil.test", sent["state"]);
    assert!(street.finish(&mut browser, &street.gate, &answer).await.is_err(), "but no other may");
}

#[tokio::test]
async fn an_id_token_is_held_to_all_its_rules() {
    let street = Street::new().await;
    let now = street.now().as_seconds();
    let hash = b64(&aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"access").as_ref()[..16]);
    let table: Vec<(&str, Value, Value, bool)> = vec![
        ("honest", json!({}), json!({}), true),
        ("at_hash", json!({}), json!({"at_hash": hash}), true),
        ("azp", json!({}), json!({"azp": CLIENT}), true),
        ("several audiences with azp", json!({}), json!({"aud": [CLIENT, "other"], "azp": CLIENT}), true),
        ("no type", json!({"typ": null}), json!({}), true),
        ("wrong nonce", json!({}), json!({"nonce": "x"}), false),
        ("no nonce", json!({}), json!({"nonce": null}), false),
        ("another audience", json!({}), json!({"aud": "hallpass"}), false),
        ("another client", json!({}), json!({"azp": "other"}), false),
        ("several audiences", json!({}), json!({"aud": [CLIENT, "other"]}), false),
        ("another issuer", json!({}), json!({"iss": "https://evil.test"}), false),
        ("issuer as list", json!({}), json!({"iss": [street.issuer()]}), false),
        ("expired", json!({}), json!({"exp": now}), false),
        ("from the future", json!({}), json!({"iat": now + 120, "exp": now + 300}), false),
        ("no iat", json!({}), json!({"iat": null}), false),
        ("no sub", json!({}), json!({"sub": null}), false),
        ("wrong at_hash", json!({}), json!({"at_hash": b64(b"0123456789abcdef")}), false),
        ("odd at_hash", json!({}), json!({"at_hash": 1}), false),
        ("an access token", json!({"typ": "at+jwt"}), json!({}), false),
        ("a logout token", json!({"typ": "logout+jwt"}), json!({}), false),
        ("says it grants access", json!({}), json!({"token_use": "access"}), false),
        ("says it is a bearer token", json!({}), json!({"typ": "Bearer"}), false),
        ("an event", json!({}), json!({"events": {}}), false),
        ("unsigned", json!({"alg": "none"}), json!({}), false),
        ("odd sid", json!({}), json!({"sid": 1}), false),
    ];
    for (name, header, claims, good) in table {
        street.behave(Manner { header, claims, ..Manner::default() });
        let mut browser = Browser::default();
        let outcome = street.sign_in(&mut browser, &street.gate, "").await;
        assert_eq!(outcome.is_ok(), good, "{name}: {outcome:?}");
        assert_eq!(street.is_in(&browser, &street.gate).await, good, "{name}");
    }
    street.behave(Manner { response: json!({"id_token": null}), ..Manner::default() });
    assert!(matches!(
        street.sign_in(&mut Browser::default(), &street.gate, "").await,
        Err(SignInError::Untrusted { .. })
    ));
}

#[tokio::test]
async fn the_providers_no_is_told_as_it_was_said_and_harmless() {
    let street = Street::new().await;
    let mut browser = Browser::default();
    let sent = street.begin(&mut browser, &street.gate, "").await.unwrap();
    let answer = format!(
        "error=access_denied&error_description=not%20today%0a%E2%80%AE%60x&state={}&iss={}",
        sent["state"],
        street.issuer()
    );
    let refused = street.finish(&mut browser, &street.gate, &answer).await.unwrap_err();
    let SignInError::Refused { code, description, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!((code.as_str(), description.as_deref()), ("access_denied", Some("not todayx")));
    assert_eq!(refused.fault(), Fault::Person);
    // by somebody who is not the provider: the state is nobody's
    let forged = "error=access_denied&error_description=call+0900-1234&state=x";
    let refused = street.finish(&mut browser, &street.gate, forged).await.unwrap_err();
    assert!(!refused.sentences().join(" ").contains("0900"), "{refused:?}");
}

#[tokio::test]
async fn a_token_endpoint_in_trouble_signs_nobody_in() {
    let street = Street::new().await;
    for (status, body, fault) in [
        (400, json!({"error": "invalid_grant"}), Fault::Person),
        (401, json!({"error": "invalid_client"}), Fault::Provider),
        (503, json!({"error": "temporarily_unavailable"}), Fault::Moment),
        (500, json!("oops"), Fault::Moment),
        (200, json!({"token_type": "Bearer"}), Fault::Moment),
        (302, json!({}), Fault::Moment),
    ] {
        street.behave(Manner { fails: Some((status, body.clone())), ..Manner::default() });
        let mut browser = Browser::default();
        let refused = street.sign_in(&mut browser, &street.gate, "").await.unwrap_err();
        assert_eq!(refused.fault(), fault, "{status} {body}: {refused}");
        assert!(!street.is_in(&browser, &street.gate).await);
    }
}

#[tokio::test]
async fn a_stronger_sign_in_is_asked_for_and_what_came_is_looked_at() {
    let street = Street::with(|settings| settings.mfa_acr = vec!["two".to_owned()]).await;
    let mut browser = street.signed_in().await;
    let sent = street.begin(&mut browser, &street.gate, "acr_values=gold%20silver&max_age=300").await.unwrap();
    assert_eq!((sent["acr_values"].as_str(), sent["max_age"].as_str()), ("gold silver", "300"));
    assert!(!sent.contains_key("prompt"));
    let former = browser.clone();
    let short = street.finish(&mut browser, &street.gate, &street.answer(&sent)).await.unwrap_err();
    let SignInError::FellShort(told) = &short else { panic!("{short:?}") };
    assert!(told.asked.contains("gold") && told.asked.contains("5m"), "{told:?}");
    assert!(told.came.contains("no level") && told.came.contains("pwd"), "{told:?}");
    assert!(told.again.as_ref().unwrap().contains("prompt=login"), "{told:?}");
    assert!(street.is_in(&former, &street.gate).await, "whoever was signed in stays so");

    street.behave(Manner { claims: json!({"acr": "silver"}), ..Manner::default() });
    let again = told.again.clone().unwrap();
    let sent = street.begin(&mut browser, &street.gate, &again).await.unwrap();
    assert_eq!(sent["prompt"], "login");
    street.finish(&mut browser, &street.gate, &street.answer(&sent)).await.unwrap();
    let session = street.who(&browser, &street.gate).await.unwrap();
    assert_eq!(session.identity().assurance.acr.as_deref(), Some("silver"));
    assert!(!street.is_in(&former, &street.gate).await, "the session of before has ended");

    let sent = street.begin(&mut browser, &street.gate, "amr=mfa").await.unwrap();
    assert_eq!(sent["acr_values"], "two", "what the operators say proves a second factor");
    let short = street.finish(&mut browser, &street.gate, &street.answer(&sent)).await.unwrap_err();
    assert!(matches!(short, SignInError::FellShort(_)));
    let old = json!({"auth_time": street.now().as_seconds() - 600});
    street.behave(Manner { claims: old, ..Manner::default() });
    let short = street.sign_in(&mut browser, &street.gate, "max_age=300").await.unwrap_err();
    assert!(matches!(short, SignInError::FellShort(_)), "a provider that ignores it leads to a page, not to a loop");
}

#[tokio::test]
async fn nothing_known_to_ask_for_has_everything_entered_anew() {
    let street = Street::new().await;
    for (query, prompt) in [
        ("second_factor=yes", true),
        ("amr=mfa", true),
        ("max_age=0", true),
        ("max_age=60", false),
        ("acr_values=gold&amr=mfa", false),
        ("", false),
    ] {
        let sent = street.begin(&mut Browser::default(), &street.gate, query).await.unwrap();
        assert_eq!(sent.get("prompt").is_some_and(|prompt| prompt == "login"), prompt, "{query}");
    }
}

#[tokio::test]
async fn with_several_providers_somebody_chooses_and_nobody_answers_for_another() {
    let (one, two) = (Street::new().await, Street::new().await);
    let mut issuers: Vec<_> =
        [&one, &two].iter().map(|street| (*street.world.authenticator.settings()[0]).clone()).collect();
    issuers[1].name = "second".into();
    one.world.authenticator.reload(crate::identity::Settings { issuers }).unwrap();
    one.sign_ins.reconsider();
    let headers = http::HeaderMap::new();
    let begun = one.sign_ins.begin(&one.gate, &headers, "return_to=/vault&acr_values=a").await.unwrap();
    let Begun::Choose(offers) = begun else { panic!("{begun:?}") };
    let names: Vec<&str> = offers.iter().map(|offer| offer.name.as_str()).collect();
    assert_eq!(names, ["demo", "second"]);
    let mut browser = Browser::default();
    let sent = one.begin(&mut browser, &one.gate, &offers[1].query).await.unwrap();
    assert_eq!(sent["acr_values"], "a");
    // the first provider answers to what was asked of the second
    let mixed = format!("code=stolen&state={}&iss={}", sent["state"], one.issuer());
    let refused = one.finish(&mut browser, &one.gate, &mixed).await.unwrap_err();
    assert!(matches!(refused, SignInError::Untrusted { .. }), "{refused:?}");
    assert!(one.asked().is_empty() && two.asked().is_empty(), "the code went to neither");
    let unknown = one.sign_ins.begin(&one.gate, &headers, "issuer=third").await;
    assert_eq!(unknown, Err(SignInError::UnknownProvider));
}

#[tokio::test]
async fn without_a_provider_nothing_is_begun_and_no_cookie_read() {
    let street = Street::new().await;
    let browser = street.signed_in().await;
    assert!(street.is_in(&browser, &street.gate).await);
    street.reload(|issuer| issuer.sign_in = None);
    assert!(!street.sign_ins.is_offered());
    assert!(!street.is_in(&browser, &street.gate).await);
    let begun = street.sign_ins.begin(&Site::gate("https://shop.test"), &browser.headers(), "").await;
    assert_eq!(begun, Err(SignInError::NotOffered));
}
