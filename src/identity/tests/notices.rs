//! Notices of providers that somebody signed out: which are believed, and what they end.

use futures_util::FutureExt as _;
use serde_json::{Value, json};

use super::browser::{Browser, CLIENT, Manner, Street};
use super::forge::{EC, RSA, Signer, jwks, soon, with};
use crate::domain::time::Span;
use crate::identity::{NoticeError, Patience, Presence, SignIns};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

impl Street {
    /// A logout token that holds but for these members; `null` removes one.
    pub(super) fn notice(&self, header: &Value, changes: &Value) -> String {
        self.signed_notice(&RSA, header, changes)
    }

    fn signed_notice(&self, signer: &Signer, header: &Value, changes: &Value) -> String {
        let now = self.now().as_seconds();
        let honest = json!({
            "iss": self.issuer(), "aud": CLIENT, "sub": "ada", "sid": "s-1", "iat": now, "exp": now + 120,
            "jti": "j-1", "events": {EVENT: {}},
        });
        let header = with(with(signer.header(), &json!({"typ": "logout+jwt"})), header);
        signer.raw(&header.to_string(), &with(honest, changes).to_string())
    }

    pub(super) async fn tell(&self, token: &str) -> Result<usize, NoticeError> {
        self.sign_ins.notice(format!("logout_token={token}").as_bytes()).await
    }
}

#[tokio::test]
async fn a_notice_ends_the_sessions_it_means_and_is_taken_once() {
    let street = Street::new().await;
    let (at_gate, mut at_portal) = (street.signed_in().await, Browser::default());
    street.sign_in(&mut at_portal, &street.portal, "").await.unwrap();
    street.behave(Manner { claims: json!({"sid": "s-2"}), ..Manner::default() });
    let other_sign_in = street.signed_in().await;
    street.behave(Manner { claims: json!({"sub": "grace", "sid": "s-3"}), ..Manner::default() });
    let grace = street.signed_in().await;
    let open = street.who(&at_gate, &street.gate).await.unwrap();

    let token = street.notice(&json!({}), &json!({}));
    assert_eq!(street.tell(&token).await, Ok(2));
    open.moved().await;
    assert!(!street.is_in(&at_gate, &street.gate).await && !street.is_in(&at_portal, &street.portal).await);
    assert!(street.is_in(&other_sign_in, &street.gate).await && street.is_in(&grace, &street.gate).await);
    assert!(matches!(street.tell(&token).await, Err(NoticeError::Refused(_))), "once only");

    let whole = street.notice(&json!({}), &json!({"sid": null, "jti": "j-2"}));
    assert_eq!(street.tell(&whole).await, Ok(1), "all that are left of her");
    assert!(!street.is_in(&other_sign_in, &street.gate).await && street.is_in(&grace, &street.gate).await);
    let nobody = street.notice(&json!({}), &json!({"sub": "nobody", "sid": null, "jti": "j-3"}));
    assert_eq!(street.tell(&nobody).await, Ok(0));
}

#[tokio::test]
async fn an_end_is_an_end_also_after_a_restart() {
    let street = Street::new().await;
    let browser = street.signed_in().await;
    assert_eq!(street.tell(&street.notice(&json!({}), &json!({}))).await, Ok(1));
    let street = street.restarted().await;
    assert!(!street.is_in(&browser, &street.gate).await);
}

#[tokio::test]
async fn only_a_logout_token_is_a_notice() {
    let street = Street::new().await;
    let browser = street.signed_in().await;
    let now = street.now().as_seconds();
    let table = [
        ("plain type", json!({"typ": "JWT"}), json!({}), true),
        ("only sub", json!({}), json!({"sid": null}), true),
        ("only sid", json!({}), json!({"sub": null}), true),
        ("list of audiences", json!({}), json!({"aud": [CLIENT]}), true),
        ("an ID token", json!({"typ": "JWT"}), json!({"events": null, "nonce": "n"}), false),
        ("an access token", json!({"typ": "at+jwt"}), json!({"events": null}), false),
        ("an access token with an event", json!({"typ": "at+jwt"}), json!({}), false),
        ("a security event", json!({"typ": "secevent+jwt"}), json!({}), false),
        ("no event", json!({}), json!({"events": null}), false),
        ("another event", json!({}), json!({"events": {"x": {}}}), false),
        ("an event that is no object", json!({}), json!({"events": {EVENT: true}}), false),
        ("nonce", json!({}), json!({"nonce": "n"}), false),
        ("neither sub nor sid", json!({}), json!({"sub": null, "sid": null}), false),
        ("odd sub", json!({}), json!({"sub": 1}), false),
        ("no jti", json!({}), json!({"jti": null}), false),
        ("no iat", json!({}), json!({"iat": null}), false),
        ("no exp", json!({}), json!({"exp": null}), false),
        ("expired", json!({}), json!({"exp": now}), false),
        ("from the future", json!({}), json!({"iat": now + 120}), false),
        ("good for a year", json!({}), json!({"exp": now + 31_536_000}), false),
        ("another audience", json!({}), json!({"aud": "hallpass"}), false),
        ("another issuer", json!({}), json!({"iss": "https://evil.test"}), false),
        ("issuer as list", json!({}), json!({"iss": [street.issuer()]}), false),
        ("an extension", json!({"crit": ["x"]}), json!({}), false),
    ];
    for (number, (name, header, changes, good)) in table.into_iter().enumerate() {
        let mut all = json!({"jti": format!("j-{number}"), "sid": "nobody", "sub": "nobody"});
        for (member, value) in changes.as_object().unwrap() {
            all[member] = value.clone();
        }
        let told = street.tell(&street.notice(&header, &all)).await;
        assert_eq!(told.is_ok(), good, "{name}: {told:?}");
    }
    let stranger = EC.token(&json!({"iss": street.issuer()}));
    for token in ["", "x", "a.b.c", stranger.as_str()] {
        assert!(street.tell(token).await.is_err(), "{token}");
    }
    for form in [b"".as_slice(), b"logout_token", b"logout_token=a&logout_token=b", b"\xff"] {
        assert!(street.sign_ins.notice(form).await.is_err(), "{form:?}");
    }
    assert!(street.is_in(&browser, &street.gate).await, "none of them ended anything");
}

#[tokio::test]
async fn a_refresh_under_way_brings_nothing_back() {
    let street = Street::new().await;
    let browser = street.signed_in().await;
    street.pass(Span::minutes(6));
    let headers = browser.headers();
    let asking = street.sign_ins.identify(&street.gate, &headers, Presence::Acts, street.now());
    let token = street.notice(&json!({}), &json!({}));
    let (_, told) = tokio::join!(asking, street.tell(&token));
    assert_eq!(told, Ok(1));
    assert!(!street.is_in(&browser, &street.gate).await);
}

#[tokio::test]
async fn a_notice_by_a_new_key_waits_for_the_keys_and_no_longer() {
    let mut street = Street::new().await;
    let _browser = street.signed_in().await;
    let new = Signer::ed("new");
    let token = street.signed_notice(&new, &json!({}), &json!({}));
    street.world.write_keys(&jwks(&[&RSA, &new]));
    let (sign_ins, form) = (street.sign_ins.clone(), format!("logout_token={token}"));
    let mut told = tokio::task::JoinSet::new();
    told.spawn(async move { sign_ins.notice(form.as_bytes()).await });
    tokio::task::yield_now().await;
    assert!(told.try_join_next().is_none(), "newer keys may have it");
    street.world.refresher.pass().await;
    assert_eq!(told.join_all().await, [Ok(1)]);

    // keys were read a moment ago: there is nothing to wait for
    let unknown = street.signed_notice(&Signer::ed("newer"), &json!({}), &json!({"jti": "j-2"}));
    assert_eq!(street.tell(&unknown).now_or_never(), Some(Err(NoticeError::Unavailable)), "at once");
}

#[tokio::test]
async fn few_wait_for_keys_and_a_notice_that_holds_passes_them_all() {
    let mut street = Street::new().await;
    let browser = street.signed_in().await;
    let mut flood = tokio::task::JoinSet::new();
    let stranger = Signer::ed("stranger");
    for number in 0..400 {
        let token = street.signed_notice(&stranger, &json!({}), &json!({"jti": format!("f-{number}")}));
        let sign_ins = street.sign_ins.clone();
        flood.spawn(async move { sign_ins.notice(format!("logout_token={token}").as_bytes()).await });
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let honest = street.notice(&json!({}), &json!({}));
    assert_eq!(soon(street.tell(&honest)).await, Ok(1));
    assert!(!street.is_in(&browser, &street.gate).await);
    let mut turned_away = 0;
    while let Some(told) = flood.try_join_next() {
        assert_eq!(told.unwrap(), Err(NoticeError::Unavailable));
        turned_away += 1;
    }
    assert_eq!((turned_away, flood.len()), (400 - 32, 32), "it passed those who still wait");
    street.world.refresher.pass().await;
    assert!(soon(flood.join_all()).await.iter().all(|told| *told == Err(NoticeError::Unavailable)));
}

#[tokio::test]
async fn keys_that_do_not_come_are_not_waited_for_for_ever() {
    let street = Street::new().await;
    let patience = Patience { keys: std::time::Duration::from_millis(50), ..Patience::default() };
    let file = tempfile::tempdir().unwrap();
    let (hasty, _worker) =
        SignIns::with(patience, street.world.authenticator.clone(), file.path().join("sessions")).unwrap();
    let token = street.signed_notice(&Signer::ed("stranger"), &json!({}), &json!({}));
    let told = soon(hasty.notice(format!("logout_token={token}").as_bytes())).await;
    assert_eq!(told, Err(NoticeError::Unavailable));
}
