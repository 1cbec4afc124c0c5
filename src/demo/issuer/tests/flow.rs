//! The code flow as it should go, and every way in which it is refused.

use super::visitor::*;
use super::*;
use crate::domain::time::Span;

#[tokio::test]
async fn a_person_chooses_who_to_be_and_the_client_gets_tokens_once() {
    let mut visitor = Visitor::new().await;
    let page = visitor.arrives(&[]).await;
    assert_eq!(page.status, 200);
    for word in ["http://gate.test", "Ada Okafor", "Grace Lindqvist", "Vera Castellanos", "Ruth Abara", "stands in for"]
    {
        assert!(page.text.contains(word), "no {word}: {}", page.text);
    }
    assert!(page.text.contains(r#"name="second_factor" value="yes" checked"#), "the second factor is the rule");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("form-action 'self' http://gate.test") && !policy.contains("script-src"), "{policy}");

    let chosen = visitor.chooses("person=ada&second_factor=yes", &[]).await;
    assert_eq!((chosen.status, chosen.target.as_str()), (303, CALLBACK));
    assert_eq!(chosen.told["state"], "st-1");
    assert_eq!(chosen.told["iss"], visitor.issuer.url());

    let answer = visitor.redeems(&chosen.told["code"]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.headers["cache-control"], "no-store");
    let claims = visitor.claims(&answer, "id_token");
    let expected = json!({
        "iss": visitor.issuer.url(), "aud": "web", "sub": "ada", "nonce": "no-1", "acr": TWO_FACTORS,
        "amr": ["pwd", "otp", "mfa"], "auth_time": 1_795_420_800, "name": "Ada Okafor", "groups": ["engineers"],
        "email": "ada@larder.example", "email_verified": true, "iat": 1_795_420_800, "exp": 1_795_421_400,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(claims.get(name), Some(value), "{name}");
    }
    assert!(claims["sid"].is_string() && claims.get("client_id").is_none());
    let access = visitor.claims(&answer, "access_token");
    assert_eq!(
        (&access["aud"], &access["client_id"], &access["sid"]),
        (&json!(AUDIENCE), &json!("web"), &claims["sid"])
    );
    assert!(access.get("nonce").is_none());
}

#[tokio::test]
async fn who_is_signed_in_is_remembered_until_more_is_asked_for() {
    let mut visitor = Visitor::new().await;
    assert_eq!(visitor.arrives(&[("prompt", "none")]).await.told["error"], "login_required");
    let first = visitor.chooses("person=ada", &[]).await;
    let first = visitor.redeems(&first.told["code"]).await;
    assert_eq!(visitor.claims(&first, "id_token")["acr"], PASSWORD);

    visitor.time.advance(Span::minutes(5));
    let portal = [("redirect_uri", "http://portal.test/callback")];
    let again = visitor.arrives(&portal).await;
    assert_eq!((again.status, again.target.as_str()), (303, "http://portal.test/callback"));
    assert!(visitor.arrives(&[("max_age", "300")]).await.told.contains_key("code"));
    assert!(visitor.arrives(&[("acr_values", &format!("unheard-of {PASSWORD}"))]).await.told.contains_key("code"));
    assert!(visitor.arrives(&[("acr_values", "unheard-of")]).await.told.contains_key("code"), "asked in vain");
    assert!(visitor.arrives(&[("prompt", "none")]).await.told.contains_key("code"));

    let asks = [
        ("max_age", "299"),
        ("max_age", "0"),
        ("acr_values", TWO_FACTORS),
        ("prompt", "login"),
        ("prompt", "select_account"),
    ];
    for (name, value) in asks {
        assert_eq!(visitor.arrives(&[(name, value)]).await.status, 200, "{name}={value}");
    }
    let never = [("prompt", "none"), ("max_age", "10")];
    assert_eq!(visitor.arrives(&never).await.told["error"], "login_required");

    let former = visitor.cookie.clone();
    let stronger = visitor.chooses("person=ada&second_factor=yes", &[("acr_values", TWO_FACTORS)]).await;
    assert_ne!(visitor.cookie, former, "a new sign-in, a new cookie");
    let stronger = visitor.redeems(&stronger.told["code"]).await;
    let (before, after) = (visitor.claims(&first, "id_token"), visitor.claims(&stronger, "id_token"));
    assert_eq!((&after["acr"], &after["auth_time"]), (&json!(TWO_FACTORS), &json!(1_795_421_100)));
    assert_eq!(before["sid"], after["sid"], "the same person goes on");

    visitor.cookie = former;
    assert_eq!(visitor.arrives(&[]).await.status, 200, "the former cookie is worth nothing");
}

#[tokio::test]
async fn what_cannot_be_answered_to_the_client_is_told_to_the_person() {
    let mut visitor = Visitor::new().await;
    let strays: [&[(&str, &str)]; 7] = [
        &[("client_id", "")],
        &[("client_id", "another")],
        &[("client_id", "web"), ("client_id", "web")],
        &[("redirect_uri", "")],
        &[("redirect_uri", "http://gate.test/.hallpass/callback/")],
        &[("redirect_uri", "http://evil.test/")],
        &[("redirect_uri", CALLBACK), ("redirect_uri", "http://portal.test/callback")],
    ];
    for over in strays {
        let told = visitor.arrives(over).await;
        assert_eq!((told.status, told.target.as_str()), (400, ""), "{over:?}");
        assert!(told.text.contains("cannot be used"));
        let told = visitor.chooses("person=ada", over).await;
        assert_eq!((told.status, told.target.as_str()), (400, ""), "{over:?}");
    }
    assert_eq!(visitor.cookie, None, "and nobody is signed in");
}

#[tokio::test]
async fn what_else_is_wrong_is_told_to_the_client() {
    let mut visitor = Visitor::new().await;
    let wrongs: [(&[(&str, &str)], &str); 18] = [
        (&[("response_type", "")], "invalid_request"),
        (&[("response_type", "token")], "unsupported_response_type"),
        (&[("response_type", "code id_token")], "unsupported_response_type"),
        (&[("response_mode", "fragment")], "invalid_request"),
        (&[("request", "eyJhbGciOiJub25lIn0")], "request_not_supported"),
        (&[("request_uri", "https://evil.test/")], "request_uri_not_supported"),
        (&[("scope", "")], "invalid_request"),
        (&[("scope", "profile")], "invalid_scope"),
        (&[("nonce", "")], "invalid_request"),
        (&[("nonce", "a"), ("nonce", "b")], "invalid_request"),
        (&[("state", "")], "invalid_request"),
        (&[("code_challenge", "")], "invalid_request"),
        (&[("code_challenge", VERIFIER), ("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge_method", "")], "invalid_request"),
        (&[("code_challenge", "short")], "invalid_request"),
        (&[("max_age", "soon")], "invalid_request"),
        (&[("max_age", "-1")], "invalid_request"),
        (&[("prompt", "none login")], "invalid_request"),
    ];
    for (over, error) in wrongs {
        let told = visitor.arrives(over).await;
        assert_eq!((told.status, told.target.as_str()), (303, CALLBACK), "{over:?}");
        assert_eq!(told.told.get("error").map(String::as_str), Some(error), "{over:?}");
        assert_eq!(told.told["iss"], visitor.issuer.url());
        let state = over.iter().all(|(name, _)| *name != "state").then_some("st-1");
        assert_eq!(told.told.get("state").map(String::as_str), state, "{over:?}");
        assert!(!told.told.contains_key("code"));
    }
    assert_eq!(visitor.chooses("decline=yes", &[]).await.told["error"], "access_denied");
    assert_eq!(visitor.chooses("person=mallory", &[]).await.status, 400);
    assert_eq!(visitor.chooses("person=ada&person=root", &[]).await.status, 400);
    assert_eq!(visitor.cookie, None);
}

#[tokio::test]
async fn a_form_of_another_origin_signs_nobody_in() {
    let mut visitor = Visitor::new().await;
    let url = visitor.address(AUTHORIZE_PATH, &Visitor::asking(&[]));
    for origin in ["http://evil.test", "null", "http://gate.test"] {
        let form = http().post(&url).header("content-type", FORM).header("origin", origin).body("person=ada");
        assert_eq!(visitor.send(form).await.status, 403, "{origin}");
    }
    assert_eq!(visitor.cookie, None);
    let own = visitor.issuer.url().to_owned();
    let form = http().post(&url).header("content-type", FORM).header("origin", own).body("person=ada");
    assert_eq!(visitor.send(form).await.status, 303);
}

#[tokio::test]
async fn a_code_is_bound_to_client_address_verifier_and_minute() {
    let mut visitor = Visitor::new().await;
    visitor.issuer.register(Client::hallpass("other", GATE, PORTAL));
    let wrongs = [
        ("code", "never made", "invalid_grant"),
        ("code", "", "invalid_request"),
        ("client_id", "other", "invalid_grant"),
        ("client_id", "unknown", "invalid_client"),
        ("client_id", "", "invalid_request"),
        ("redirect_uri", "http://portal.test/callback", "invalid_grant"),
        ("redirect_uri", "", "invalid_request"),
        ("code_verifier", CHALLENGE, "invalid_grant"),
        ("code_verifier", "", "invalid_request"),
        ("grant_type", "password", "unsupported_grant_type"),
        ("client_secret", "guessed", "invalid_client"),
    ];
    for (name, value, error) in wrongs {
        let code = visitor.code().await;
        let mut fields: Vec<_> = redemption(&code).into_iter().filter(|(other, _)| *other != name).collect();
        fields.push((name, value));
        let refused = visitor.token(&fields).await;
        assert_eq!(refused.error(), error, "{name}={value}");
        assert_eq!(refused.status, if error == "invalid_client" { 401 } else { 400 }, "{name}={value}");
    }
    let code = visitor.code().await;
    let mut twice = redemption(&code).to_vec();
    twice.push(("code", &code));
    assert_eq!(visitor.token(&twice).await.error(), "invalid_request");
    visitor.time.advance(Span::minutes(1));
    assert_eq!(visitor.redeems(&code).await.error(), "invalid_grant", "too old");
}

#[tokio::test]
async fn a_code_used_twice_takes_its_tokens_with_it() {
    let mut visitor = Visitor::new().await;
    let code = visitor.code().await;
    let first = visitor.redeems(&code).await;
    assert_eq!(visitor.redeems(&code).await.error(), "invalid_grant");
    let refresh = first.json()["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(visitor.refreshes(&refresh).await.error(), "invalid_grant");
}

#[tokio::test]
async fn refresh_tokens_rotate_and_one_used_twice_ends_all() {
    let mut visitor = Visitor::new().await;
    visitor.issuer.register(Client::hallpass("other", GATE, PORTAL));
    let code = visitor.code().await;
    let mut answer = visitor.redeems(&code).await;
    let first = visitor.claims(&answer, "id_token");
    let mut used = Vec::new();
    for _ in 0..3 {
        visitor.time.advance(Span::minutes(8));
        let refresh = answer.json()["refresh_token"].as_str().unwrap().to_owned();
        answer = visitor.refreshes(&refresh).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        used.push(refresh);
    }
    let last = visitor.claims(&answer, "id_token");
    for same in ["iss", "sub", "aud", "sid", "auth_time", "acr"] {
        assert_eq!(first[same], last[same], "{same}");
    }
    assert_eq!(last["iat"].as_i64().unwrap() - first["iat"].as_i64().unwrap(), 24 * 60);
    assert!(last.get("nonce").is_none());

    let current = answer.json()["refresh_token"].as_str().unwrap().to_owned();
    let foreign = [("grant_type", "refresh_token"), ("client_id", "other"), ("refresh_token", &current)];
    assert_eq!(visitor.token(&foreign).await.error(), "invalid_grant");
    assert_eq!(visitor.refreshes("").await.error(), "invalid_request");
    assert_eq!(visitor.refreshes(&used[0]).await.error(), "invalid_grant");
    assert_eq!(visitor.refreshes(&current).await.error(), "invalid_grant", "somebody has a copy: all of it ends");
}

#[tokio::test]
async fn changed_claims_show_at_the_next_refresh() {
    let mut visitor = Visitor::new().await;
    let code = visitor.code().await;
    let answer = visitor.redeems(&code).await;
    visitor.issuer.change("ada", json!({ "groups": ["visitors"], "name": null }).as_object().unwrap().clone());
    let refresh = answer.json()["refresh_token"].as_str().unwrap().to_owned();
    let answer = visitor.refreshes(&refresh).await;
    let claims = visitor.claims(&answer, "id_token");
    assert_eq!((&claims["groups"], claims.get("name")), (&json!(["visitors"]), None));
}

#[tokio::test]
async fn a_client_with_a_secret_proves_it_by_header_or_body_but_not_both() {
    let mut visitor = Visitor::new().await;
    let secret = Some("s3:cr et".to_owned());
    visitor.issuer.register(Client { secret, ..Client::hallpass("web", GATE, PORTAL) });
    let basic = |text: &str| format!("Basic {}", data_encoding::BASE64.encode(text.as_bytes()));
    let good = basic("web:s3%3Acr+et");

    let code = visitor.code().await;
    let fields = redemption(&code).to_vec();
    let without: Vec<_> = fields.iter().copied().filter(|(name, _)| *name != "client_id").collect();
    let with_secret: Vec<_> = fields.iter().copied().chain([("client_secret", "s3:cr et")]).collect();
    let unproven = visitor.token(&fields).await;
    assert_eq!((unproven.status, unproven.error().as_str()), (401, "invalid_client"));
    assert!(unproven.headers.contains_key("www-authenticate"));
    for (header, error) in [
        (basic("web:wrong"), "invalid_client"),
        (basic("web"), "invalid_request"),
        ("Basic !".to_owned(), "invalid_request"),
        ("Bearer abc".to_owned(), "invalid_request"),
        (basic("other:s3%3Acr+et"), "invalid_request"),
    ] {
        assert_eq!(visitor.proving(Some(&header), &fields).await.error(), error, "{header}");
    }
    assert_eq!(visitor.proving(Some(&good), &with_secret).await.error(), "invalid_request");
    assert_eq!(visitor.proving(Some(&good), &without).await.status, 200);
    let code = visitor.code().await;
    let again: Vec<_> = redemption(&code).into_iter().chain([("client_secret", "s3:cr et")]).collect();
    assert_eq!(visitor.token(&again).await.status, 200);
    let named = format!("{:?}", visitor.issuer.shared.memory().clients);
    assert!(!named.contains("s3:"), "secrets are not shown: {named}");
}
