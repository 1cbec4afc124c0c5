//! The life of a session: where it counts, what ends it, and what the file gives away.

use std::sync::Arc;

use serde_json::json;

use super::browser::{Browser, Manner, Street};
use super::forge::{RSA, but};
use crate::domain::time::Span;
use crate::identity::{AuthnError, Identities, Presence, Site};

#[tokio::test]
async fn a_session_of_one_origin_is_worth_nothing_at_another() {
    let street = Street::new().await;
    let browser = street.signed_in().await;
    let (_, secret) = browser.session().unwrap();
    for site in [street.portal.clone(), Site::gate("https://shop.test:8443"), Site::portal("https://shop.test:444")] {
        assert!(!street.is_in(&browser, &site).await, "the cookie has another name");
        // whoever gives it the right name gets no further
        let mut thief = Browser::default();
        street.begin(&mut thief, &site, "").await.unwrap();
        let mut other = Browser::default();
        street.sign_in(&mut other, &site, "").await.unwrap();
        let (name, _) = other.session().unwrap();
        other.set(&name, &secret);
        assert!(!street.is_in(&other, &site).await, "{site:?}");
    }
    assert!(street.is_in(&browser, &street.gate).await);
}

#[tokio::test]
async fn every_sign_in_is_a_new_session_and_ends_the_one_before() {
    let street = Street::new().await;
    let mut browser = street.signed_in().await;
    let former = browser.clone();
    street.sign_in(&mut browser, &street.gate, "").await.unwrap();
    assert_ne!(browser.session(), former.session());
    assert!(street.is_in(&browser, &street.gate).await);
    assert!(!street.is_in(&former, &street.gate).await);
    // somebody else's cookie, planted before the sign-in, is not what the session is known by
    let mut planted = Browser::default();
    let (name, _) = browser.session().unwrap();
    planted.set(&name, &"A".repeat(43));
    street.sign_in(&mut planted, &street.gate, "").await.unwrap();
    assert_ne!(planted.session().unwrap().1, "A".repeat(43));
}

#[tokio::test]
async fn a_cookie_that_is_damaged_unknown_or_doubled_is_nobody_and_is_taken_back() {
    let street = Street::new().await;
    let browser = street.signed_in().await;
    let (name, secret) = browser.session().unwrap();
    let long = "a".repeat(10_000);
    for value in [
        "",
        "x",
        secret.get(1..).unwrap(),
        &format!("{secret}a"),
        &secret.to_lowercase(),
        &"A".repeat(43),
        "\"x\"",
        &long,
    ] {
        let mut bent = Browser::default();
        bent.set(&name, value);
        assert!(!street.is_in(&bent, &street.gate).await, "{value:.60}");
        let begun = street.sign_ins.begin(&street.gate, &bent.headers(), "").await.unwrap();
        let crate::identity::Begun::Onward { cookies, .. } = begun else { panic!() };
        assert!(cookies.contains(&street.gate.clear_session()), "{value:.60}");
    }
    let mut twice = browser.headers();
    twice.append(http::header::COOKIE, format!("{name}={secret}").parse().unwrap());
    assert!(street.sign_ins.identify(&street.gate, &twice, Presence::Acts, street.now()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_and_at_its_longest() {
    let street = Street::with(|settings| {
        settings.session_idle = Span::minutes(30);
        settings.session_max = Span::hours(2);
    })
    .await;
    let browser = street.signed_in().await;
    for _ in 0..4 {
        street.pass(Span::minutes(29));
        assert!(street.is_in(&browser, &street.gate).await);
    }
    street.pass(Span::minutes(4));
    assert!(!street.is_in(&browser, &street.gate).await, "two hours have passed, use or no use");
    let browser = street.signed_in().await;
    street.pass(Span::minutes(30));
    assert!(!street.is_in(&browser, &street.gate).await, "nobody did anything for half an hour");
}

#[tokio::test]
async fn without_a_refresh_token_a_sign_in_is_believed_for_a_stated_time() {
    let street = Street::with(|settings| {
        settings.session_unrefreshed_max = Span::minutes(45);
        settings.session_idle = Span::hours(8);
    })
    .await;
    street.behave(Manner { response: json!({"refresh_token": null}), ..Manner::default() });
    let browser = street.signed_in().await;
    let ends_at = street.who(&browser, &street.gate).await.unwrap().identity().ends_at;
    assert_eq!(ends_at, street.now().plus(Span::minutes(45)));
    street.pass(Span::minutes(44));
    assert!(street.is_in(&browser, &street.gate).await);
    street.pass(Span::minutes(1));
    assert!(!street.is_in(&browser, &street.gate).await);
    assert_eq!(street.asked().len(), 1, "there was nothing to ask with");
}

#[tokio::test]
async fn the_provider_is_asked_again_and_what_it_says_counts() {
    let street = Street::new().await;
    let browser = street.signed_in().await;
    street.behave(Manner {
        claims: json!({"groups": ["ops"], "nonce": null, "amr": null, "auth_time": null}),
        response: json!({"refresh_token": "refresh-2"}),
        ..Manner::default()
    });
    // its word has ended: whoever asks waits for the new one
    street.pass(Span::minutes(6));
    let session = street.who(&browser, &street.gate).await.unwrap();
    assert_eq!(street.asked()[1]["refresh_token"], "refresh-1");
    let identity = session.identity();
    assert_eq!(identity.groups.iter().map(|group| &*group.name).collect::<Vec<_>>(), ["ops"]);
    assert_eq!(identity.assurance.amr, ["pwd"], "how somebody signed in does not change");
    assert_eq!(identity.ends_at, street.now().plus(Span::minutes(5)));
    street.pass(Span::minutes(6));
    assert!(street.is_in(&browser, &street.gate).await);
    assert_eq!(street.asked()[2]["refresh_token"], "refresh-2", "the newest token is used");
    // it ends a session as well
    street.behave(Manner { fails: Some((400, json!({"error": "invalid_grant"}))), ..Manner::default() });
    street.pass(Span::minutes(6));
    assert!(!street.is_in(&browser, &street.gate).await);
    street.behave(Manner::default());
    assert!(!street.is_in(&browser, &street.gate).await, "for good");
}

#[tokio::test]
async fn while_its_word_holds_the_provider_is_asked_beside_and_once() {
    let street = Street::new().await;
    let browser = street.signed_in().await;
    street.pass(Span::seconds(241));
    let session = street.who(&browser, &street.gate).await.unwrap();
    for _ in 0..20 {
        assert!(street.is_in(&browser, &street.gate).await);
    }
    session.moved().await;
    assert_eq!(street.asked().len(), 2);
    let again = street.who(&browser, &street.gate).await.unwrap();
    assert_eq!(again.identity().ends_at, street.now().plus(Span::minutes(5)));
}

#[tokio::test]
async fn a_provider_that_is_down_ends_nothing_before_its_word_does() {
    let street = Street::new().await;
    let browser = street.signed_in().await;
    street.behave(Manner { fails: Some((503, json!("down"))), ..Manner::default() });
    street.pass(Span::seconds(290));
    assert!(street.is_in(&browser, &street.gate).await);
    street.pass(Span::seconds(20));
    let unknown = street.sign_ins.identify(&street.gate, &browser.headers(), Presence::Acts, street.now()).await;
    assert_eq!(unknown, Err(AuthnError::SessionUnavailable), "nobody can tell, so nobody passes");
    street.behave(Manner::default());
    street.pass(Span::seconds(6));
    assert!(street.is_in(&browser, &street.gate).await, "and it is not over either");
}

#[tokio::test]
async fn a_refresh_that_answers_for_somebody_else_ends_the_session() {
    let street = Street::new().await;
    for claims in [json!({"sub": "mallory"}), json!({"aud": "other"}), json!({"iss": "https://evil.test"})] {
        street.behave(Manner::default());
        let browser = street.signed_in().await;
        street.behave(Manner { claims: claims.clone(), ..Manner::default() });
        street.pass(Span::minutes(6));
        assert!(!street.is_in(&browser, &street.gate).await, "{claims}");
    }
}

#[tokio::test]
async fn signing_out_ends_the_session_and_says_where_to_go_on() {
    let street = Street::new().await;
    let mut browser = street.signed_in().await;
    let mut portal = Browser::default();
    street.sign_in(&mut portal, &street.portal, "").await.unwrap();
    let kept = browser.clone();
    let out = street.sign_ins.sign_out(&street.gate, &browser.headers()).await.unwrap();
    browser.keep(&out.cookies);
    assert!(browser.session().is_none());
    assert!(!street.is_in(&kept, &street.gate).await, "also for whoever kept the cookie");
    assert!(!street.is_in(&portal, &street.portal).await, "the same session at the provider");
    let onward = reqwest::Url::parse(&out.onward.unwrap()).unwrap();
    let told: std::collections::HashMap<_, _> = onward.query_pairs().collect();
    assert_eq!(onward.path(), "/end");
    assert_eq!(told["post_logout_redirect_uri"], "https://shop.test/.hallpass/signed-out");
    assert!(told["id_token_hint"].split('.').count() == 3 && told["client_id"] == "web");
    let out = street.sign_ins.sign_out(&street.gate, &browser.headers()).await.unwrap();
    assert_eq!(out.onward, None, "whoever is nobody has nowhere to go");
}

#[tokio::test]
async fn sessions_survive_a_restart_and_their_ends_do_too() {
    let street = Street::new().await;
    let (stays, goes) = (street.signed_in().await, street.signed_in().await);
    let mut elsewhere = Browser::default();
    street.behave(Manner { claims: json!({"sid": "s-2"}), ..Manner::default() });
    street.sign_in(&mut elsewhere, &street.gate, "").await.unwrap();
    street.sign_ins.sign_out(&street.gate, &elsewhere.headers()).await.unwrap();
    street.pass(Span::minutes(4));
    assert!(street.is_in(&stays, &street.gate).await);
    let street = street.restarted().await;
    assert!(!street.is_in(&elsewhere, &street.gate).await);
    street.pass(Span::minutes(58));
    assert!(street.is_in(&stays, &street.gate).await, "when it was last used was written down");
    assert!(!street.is_in(&goes, &street.gate).await, "this one was idle for an hour");
}

#[tokio::test]
async fn the_file_alone_yields_nothing() {
    let street = Street::new().await;
    street.behave(Manner {
        response: json!({"refresh_token": "a-refresh-token-to-be-found"}),
        claims: json!({"name": "Ada Somebody"}),
        ..Manner::default()
    });
    let browser = street.signed_in().await;
    let (_, secret) = browser.session().unwrap();
    let file = street.file();
    let holds = |text: &[u8]| file.windows(text.len()).any(|window| window == text);
    let bits = data_encoding::BASE64URL_NOPAD.decode(secret.as_bytes()).unwrap();
    for text in
        [b"a-refresh-token-to-be-found".as_slice(), b"Ada Somebody", b"engineers", secret.as_bytes(), &bits, b"eyJ"]
    {
        assert!(!holds(text), "{}", String::from_utf8_lossy(text));
    }
    let key = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bits);
    assert!(holds(key.as_ref()), "this is the file it would stand in");
}

#[tokio::test]
async fn new_settings_reach_sessions_that_are_open() {
    let street = Street::new().await;
    let browser = street.signed_in().await;
    street.pass(Span::minutes(3));
    let session = street.who(&browser, &street.gate).await.unwrap();
    street.reload(|issuer| issuer.sign_in.as_mut().unwrap().session_max = Span::minutes(2));
    assert!(session.has_moved());
    assert!(!street.is_in(&browser, &street.gate).await, "longer ago than is allowed now");
    street.reload(|_| {});
    assert!(street.is_in(&browser, &street.gate).await);
    street.reload(|issuer| issuer.sign_in.as_mut().unwrap().client_id = "another".to_owned());
    assert!(!street.is_in(&browser, &street.gate).await, "made as another client");
}

#[tokio::test]
async fn a_core_remembers_a_session_for_as_long_as_it_stands_still() {
    let street = Street::new().await;
    let browser = street.signed_in().await;
    let core = Identities::new(street.world.authenticator.clone(), 10).with_sign_ins(street.sign_ins.clone(), 10);
    let other = Identities::new(street.world.authenticator.clone(), 10).with_sign_ins(street.sign_ins.clone(), 10);
    let headers = browser.headers();
    let proven = core.prove(&headers, &street.gate, street.now()).await.unwrap().unwrap();
    assert_eq!(proven.identity.principal.subject.as_ref(), "ada");
    let again = core.prove(&headers, &street.gate, street.now()).await.unwrap().unwrap();
    assert!(Arc::ptr_eq(&proven.identity, &again.identity));
    assert!(other.prove(&headers, &street.gate, street.now()).await.unwrap().is_some());
    let session = proven.session.unwrap();
    street.sign_ins.sign_out(&street.gate, &headers).await.unwrap();
    session.moved().await;
    for core in [&core, &other] {
        assert_eq!(core.prove(&headers, &street.gate, street.now()).await, Ok(None), "at every core at once");
    }
}

#[tokio::test]
async fn a_token_beside_a_session_is_one_credential_too_many() {
    let street = Street::new().await;
    let browser = street.signed_in().await;
    let core = Identities::new(street.world.authenticator.clone(), 10).with_sign_ins(street.sign_ins.clone(), 10);
    let token = RSA.token(&but(&json!({"iss": street.issuer()})));
    let mut headers = browser.headers();
    headers.insert(http::header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    let both = core.prove(&headers, &street.gate, street.now()).await;
    assert_eq!(both, Err(AuthnError::AmbiguousCredential));
    headers.remove(http::header::COOKIE);
    let proven = core.prove(&headers, &street.gate, street.now()).await.unwrap().unwrap();
    assert!(proven.session.is_none());
    let session = street.who(&browser, &street.gate).await.unwrap();
    assert_eq!(proven.identity.principal, session.identity().principal, "the same person either way");
    // without sign-in a cookie of that name is nobody's business
    street.reload(|issuer| issuer.sign_in = None);
    let mut headers = browser.headers();
    headers.insert(http::header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    assert!(core.prove(&headers, &street.gate, street.now()).await.unwrap().is_some());
}

#[tokio::test]
async fn an_id_token_lets_nobody_in_as_bearer_token() {
    let street = Street::new().await;
    let now = street.now().as_seconds();
    let id_token = but(&json!({
        "iss": street.issuer(), "aud": ["hallpass", "web"], "azp": "web", "nonce": "n", "exp": now + 300, "iat": now,
    }));
    let refused = street.world.authenticator.verify(&RSA.token(&id_token), street.now());
    assert!(matches!(refused, Err(AuthnError::InvalidToken(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn whoever_looks_while_a_session_ends_brings_nothing_back() {
    let street = Street::new().await;
    for round in 0..30 {
        let browser = street.signed_in().await;
        // out of memory, so that those who look read the file
        street.sign_ins.reconsider();
        let mut looking = tokio::task::JoinSet::new();
        for _ in 0..2 {
            let (sign_ins, site, headers, now) =
                (street.sign_ins.clone(), street.gate.clone(), browser.headers(), street.now());
            looking.spawn(async move {
                while sign_ins.identify(&site, &headers, Presence::Acts, now).await.unwrap().is_some() {
                    tokio::task::yield_now().await;
                }
            });
        }
        street.sign_ins.sign_out(&street.gate, &browser.headers()).await.unwrap();
        assert!(!street.is_in(&browser, &street.gate).await, "round {round}");
        while looking.join_next().await.is_some() {}
        assert!(!street.is_in(&browser, &street.gate).await, "round {round}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_signs_nobody_out_and_takes_no_cookie_back() {
    let world = super::forge::World::new(&[&RSA]);
    let nowhere = tempfile::tempdir().unwrap().path().join("gone").join("sessions");
    let (sign_ins, _worker) = crate::identity::SignIns::new(world.authenticator.clone(), nowhere).unwrap();
    let mut issuer = world.settings();
    issuer.sign_in = Some(crate::identity::settings::SignInSettings::new("web"));
    world.authenticator.reload(crate::identity::Settings { issuers: vec![issuer] }).unwrap();
    sign_ins.reconsider();
    let gate = Site::gate("https://shop.test");
    let mut browser = Browser::default();
    let cookie = gate.set_session(&"A".repeat(43), 60);
    browser.keep(&[cookie]);
    let out = sign_ins.sign_out(&gate, &browser.headers()).await;
    assert_eq!(out, Err(crate::identity::SignInError::NotSignedOut));
    let begun = sign_ins.begin(&gate, &browser.headers(), "").await;
    assert_eq!(begun, Err(crate::identity::SignInError::Unavailable), "the cookie may be good");
}
