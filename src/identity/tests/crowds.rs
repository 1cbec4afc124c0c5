//! Many at once: what anybody can cause keeps nobody waiting who is signed in, and nobody is kept from signing out.

use serde_json::json;
use tokio::task::JoinSet;

use super::browser::{Browser, Manner, Street};
use super::forge::soon;
use crate::domain::time::Span;
use crate::identity::Presence;

impl Street {
    /// Until the provider was asked so often for tokens.
    async fn was_asked(&self, times: usize) {
        while self.asked().len() < times {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn junk_codes_and_a_provider_that_stalls_keep_no_session_waiting() {
    let street = Street::new().await;
    let (stays, mut leaves) = (street.signed_in().await, Browser::default());
    street.behave(Manner { claims: json!({"sid": "s-2", "sub": "ben"}), ..Manner::default() });
    street.sign_in(&mut leaves, &street.gate, "").await.unwrap();
    let before = street.asked().len();
    street.behave(Manner { stalls: Some(("code", "junk")), ..Manner::default() });
    let mut back = Vec::new();
    for _ in 0..700 {
        let mut browser = Browser::default();
        let sent = street.begin(&mut browser, &street.gate, "").await.unwrap();
        back.push((browser.headers(), street.answer(&sent).replace("code=abc", "code=junk")));
    }
    let mut flood = JoinSet::new();
    for (headers, answer) in back {
        let (sign_ins, gate) = (street.sign_ins.clone(), street.gate.clone());
        flood.spawn(async move { sign_ins.finish(&gate, &headers, &answer).await });
    }
    street.was_asked(before + 32).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    street.pass(Span::minutes(6));
    // the provider never answers those codes, and is waited for: whoever queued behind them would never get through
    let refreshed = soon(street.is_in(&stays, &street.gate)).await;
    assert!(refreshed, "a session is refreshed");
    let out = soon(street.sign_ins.sign_out(&street.gate, &leaves.headers())).await;
    assert!(out.is_ok(), "whoever leaves has left");
    let told = soon(street.tell(&street.notice(&json!({}), &json!({})))).await;
    assert_eq!(told, Ok(1), "a notice is taken");
    let junk = street.asked().iter().filter(|form| form.get("code").is_some_and(|code| code == "junk")).count();
    assert!(junk <= 32, "{junk} codes were on their way to the provider at the same time");
}

#[tokio::test]
async fn many_requests_of_one_stale_session_take_one_place() {
    let street = Street::new().await;
    let ada = street.signed_in().await;
    street.behave(Manner {
        claims: json!({"sub": "ben", "sid": "s-2"}),
        response: json!({"refresh_token": "of-ben"}),
        ..Manner::default()
    });
    let ben = street.signed_in().await;
    let before = street.asked().len();
    street.pass(Span::minutes(6));
    street.behave(Manner {
        stalls: Some(("refresh_token", "refresh-1")),
        claims: json!({"sub": "ben", "sid": "s-2"}),
        ..Manner::default()
    });
    let mut crowd = JoinSet::new();
    for _ in 0..2000 {
        let (sign_ins, gate, headers, now) =
            (street.sign_ins.clone(), street.gate.clone(), ada.headers(), street.now());
        crowd.spawn(async move { sign_ins.identify(&gate, &headers, Presence::Acts, now).await.is_err() });
    }
    street.was_asked(before + 1).await;
    let refreshed = soon(street.is_in(&ben, &street.gate)).await;
    assert!(refreshed, "somebody else's session is refreshed");
    assert_eq!(street.asked().len(), before + 2, "hers was asked about once");
}
