//! People before a browser: signed in by the demo's provider, through sockets, at gate and portal.

use hallpass::domain::time::Span;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::House;
use crate::support::eventually;
use crate::support::sockets::until_over;
use crate::support::visitor::{CLIENT, GATE, PORTAL, Visitor, next};

const ADA: &str = "person=ada&second_factor=yes";

fn at(origin: &str, path: &str) -> String {
    format!("{origin}{path}")
}

#[tokio::test]
async fn a_browser_signs_in_and_is_back_at_the_very_page() {
    let house = House::signing_in().await;
    let mut ada = house.visitor();
    let page = at(GATE, "/account?tab=2&q=%2Fx");
    let sent = ada.opens(&page).await.expect(302);
    assert_eq!(
        sent.header("location"),
        "http://gate.localhost/.hallpass/sign-in?return_to=%2Faccount%3Ftab%3D2%26q%3D%252Fx"
    );
    assert_eq!(sent.header("cache-control"), "no-store");
    assert_eq!(ada.signs_in(&page, ADA).await, page);
    ada.opens(&page).await.expect(200);
    let echo = ada.opens(&at(GATE, "/echo/x")).await.expect(200);
    assert!(
        echo.text.contains("demo:ada") || echo.text.contains("ada@"),
        "the application is told who it is: {}",
        echo.text
    );
    assert!(!echo.text.contains("hallpass_"), "and sees no cookie of ours: {}", echo.text);
    let status = ada.opens(&at(GATE, "/.hallpass/status")).await.expect(200).json();
    assert_eq!(status["principal"], "demo:ada");
    house.stop().await;
}

#[tokio::test]
async fn programs_are_never_redirected_and_forms_are_not_repeated() {
    let house = House::signing_in().await;
    let mut ada = house.visitor();
    for headers in [
        &[("accept", "application/json")][..],
        &[("sec-fetch-mode", "cors"), ("accept", "text/html")],
        &[("accept", "*/*")],
        &[("authorization", "Bearer x"), ("accept", "text/html")],
    ] {
        let answer = ada.sends(Method::GET, &at(GATE, "/account"), headers, None).await.expect(401);
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{headers:?}");
    }
    let form = ada.submits(&at(GATE, "/account"), "a=1").await.expect(303);
    assert_eq!(form.header("location"), "http://gate.localhost/.hallpass/sign-in?return_to=%2Faccount");
    assert_eq!(ada.opens(&at(PORTAL, "/api/v1/me")).await.expect(401).problem(), "not_signed_in");
    house.stop().await;
}

#[tokio::test]
async fn without_sign_in_everything_stays_as_it_was() {
    let house = House::new().await;
    let mut ada = house.visitor();
    let page = ada.opens(&format!("{}/account", house.gate())).await.expect(401);
    assert!(page.text.contains("no sign-in page"), "{}", page.text);
    for path in ["sign-in", "callback", "sign-out", "signed-out"] {
        assert_eq!(ada.opens(&format!("{}/.hallpass/{path}", house.gate())).await.status, 404, "{path}");
        assert_eq!(ada.opens(&format!("{}/{path}", house.portal())).await.status, 404, "{path}");
    }
    house.stop().await;
}

#[tokio::test]
async fn a_session_of_the_gate_is_nobody_at_the_portal() {
    let house = House::signing_in().await;
    let mut ada = house.visitor();
    ada.signs_in(&at(GATE, "/account"), ADA).await;
    // ports do not isolate cookies: the browser may send them along
    let stolen = ada.cookies(GATE);
    let headers = [("cookie", stolen.as_str())];
    ada.sends(Method::GET, &at(PORTAL, "/api/v1/me"), &headers, None).await.expect(401);
    let renamed = stolen.replace(&name_of(&stolen), &portal_cookie(&house).await);
    let headers = [("cookie", renamed.as_str())];
    ada.sends(Method::GET, &at(PORTAL, "/api/v1/me"), &headers, None).await.expect(401);
    ada.sends(Method::GET, &at(GATE, "/account"), &[], None).await.expect(200);
    house.stop().await;
}

/// The name of the session's cookie among these.
fn name_of(cookies: &str) -> String {
    let session = cookies.split("; ").find(|pair| !pair.contains("_browser=")).expect("a session");
    session.split('=').next().expect("a name").to_owned()
}

async fn portal_cookie(house: &House) -> String {
    let mut grace = house.visitor();
    grace.signs_in(&at(PORTAL, "/"), "person=grace&second_factor=yes").await;
    name_of(&grace.cookies(PORTAL))
}

#[tokio::test]
async fn at_the_portal_a_session_reads_and_commands_from_its_own_pages_only() {
    let house = House::signing_in().await;
    let mut ada = house.visitor();
    assert_eq!(
        ada.signs_in(&at(PORTAL, "/activate?role=shop%2Fvault-reader"), ADA).await,
        at(PORTAL, "/activate?role=shop%2Fvault-reader")
    );
    let me = ada.opens(&at(PORTAL, "/api/v1/me")).await.expect(200).json();
    assert_eq!(me["principal"], "demo:ada");
    ada.opens(&at(PORTAL, "/activate?role=shop%2Fvault-reader")).await.expect(200);
    let body = json!({"role": "shop/vault-reader", "justification": "the till of shop 4 is stuck"}).to_string();
    let post = async |ada: &mut Visitor<'_>, headers: &[(&str, &str)]| {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        let url = format!("{}/api/v1/activations", house.portal());
        let mut request = house.http.post(url).header("cookie", ada.cookies(PORTAL)).body(body.clone());
        for (name, value) in all {
            request = request.header(name, value);
        }
        request.send().await.expect("an answer").status().as_u16()
    };
    for foreign in [
        &[][..],
        &[("origin", GATE)],
        &[("origin", "null")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("origin", PORTAL), ("sec-fetch-site", "cross-site")],
    ] {
        assert_eq!(post(&mut ada, foreign).await, 403, "{foreign:?}");
    }
    assert_eq!(post(&mut ada, &[("origin", PORTAL), ("sec-fetch-site", "same-origin")]).await, 201);
    house.stop().await;
}

#[tokio::test]
async fn a_link_from_elsewhere_finds_people_signed_in_at_the_portal() {
    let house = House::signing_in().await;
    let mut ada = house.visitor();
    ada.signs_in(&at(PORTAL, "/"), ADA).await;
    let kept = ada.keep();
    // the strict cookie does not come along
    let mut ada = house.visitor();
    let headers = [("sec-fetch-mode", "navigate"), ("sec-fetch-site", "cross-site")];
    let page = ada.sends(Method::GET, &at(PORTAL, "/activate?role=a/b"), &headers, None).await.expect(200);
    assert_eq!(next(&page), "/activate?role=a/b", "the page asks again from here");
    let mut ada = Visitor::back(&house, kept);
    let headers = [("sec-fetch-mode", "navigate"), ("sec-fetch-site", "same-origin")];
    let page = ada.sends(Method::GET, &at(PORTAL, "/"), &headers, None).await.expect(200);
    assert!(!page.text.contains("http-equiv"), "{}", page.text);
    house.stop().await;
}

#[tokio::test]
async fn a_form_sent_after_the_session_ended_leads_back_to_its_page() {
    let house = House::signing_in().await;
    let mut ada = house.visitor();
    ada.signs_in(&at(PORTAL, "/"), ADA).await;
    house.pass(Span::hours(2));
    let page = ada.submits(&at(PORTAL, "/activate"), "role=shop%2Fvault-reader").await.expect(401);
    assert_eq!(next(&page), "/sign-in?return_to=%2Factivate");
    house.stop().await;
}

#[tokio::test]
async fn signing_out_needs_a_button_and_cuts_what_is_open() {
    let house = House::signing_in().await;
    let mut ada = house.visitor();
    ada.signs_in(&at(GATE, "/account"), ADA).await;
    let asked = ada.opens(&at(GATE, "/.hallpass/sign-out")).await.expect(200);
    assert!(asked.text.contains("method=\"post\""), "{}", asked.text);
    ada.opens(&at(GATE, "/account")).await.expect(200);
    let own = at(GATE, "/.hallpass/sign-out");
    for foreign in [&[][..], &[("origin", PORTAL)], &[("origin", "null")], &[("sec-fetch-site", "cross-site")]] {
        ada.sends(Method::POST, &own, foreign, None).await.expect(403);
    }
    ada.opens(&at(GATE, "/account")).await.expect(200);

    let request = house.http.get(format!("{}/vault/events", house.gate())).header("cookie", ada.cookies(GATE));
    let mut stream = request.send().await.expect("an answer");
    assert_eq!(stream.status(), 200);
    assert!(stream.chunk().await.expect("bytes").is_some(), "it has begun");
    let kept = ada.cookies(GATE);
    let out = ada.submits(&own, "").await.expect(200);
    until_over(&mut stream).await;
    let headers = [("sec-fetch-mode", "navigate"), ("cookie", kept.as_str())];
    ada.sends(Method::GET, &at(GATE, "/account"), &headers, None).await.expect(302);
    // and on to the provider, which sends the browser back
    let there = next(&out);
    assert!(there.starts_with(house.issuer.url()) && there.contains("id_token_hint="), "{there}");
    let back = ada.opens(&there).await;
    assert!([200, 303].contains(&back.status), "{} {}", back.status, back.text);
    let back = if back.status == 200 { back } else { ada.opens(back.header("location")).await };
    assert_eq!(back.status, 200, "{}", back.text);
    let provider = ada.sent_away(&at(GATE, "/account")).await;
    assert!(ada.opens(&provider).await.text.contains("Who are you?"), "signed out at the provider as well");
    house.stop().await;
}

#[tokio::test]
async fn a_provider_that_signs_somebody_out_ends_every_session_and_stream() {
    let house = House::signing_in().await;
    let mut ada = house.visitor();
    ada.signs_in(&at(GATE, "/account"), ADA).await;
    ada.signs_in(&at(PORTAL, "/"), ADA).await;
    let mut grace = house.visitor();
    grace.signs_in(&at(GATE, "/account"), "person=grace").await;
    let at_gate = house.http.get(format!("{}/vault/events", house.gate())).header("cookie", ada.cookies(GATE));
    let at_portal = house.http.get(format!("{}/api/v1/events", house.portal())).header("cookie", ada.cookies(PORTAL));
    let mut streams = [at_gate.send().await.expect("a stream"), at_portal.send().await.expect("a stream")];
    for stream in &mut streams {
        assert_eq!(stream.status(), 200);
        assert!(stream.chunk().await.expect("bytes").is_some(), "it has begun");
    }
    assert!(house.issuer.sign_out("ada").await > 0, "hallpass understood");
    for stream in &mut streams {
        until_over(stream).await;
    }
    ada.opens(&at(GATE, "/account")).await.expect(302);
    ada.sends(Method::GET, &at(PORTAL, "/api/v1/me"), &[], None).await.expect(401);
    grace.opens(&at(GATE, "/account")).await.expect(200);
    house.stop().await;
}

#[tokio::test]
async fn a_notice_that_is_none_is_answered_400() {
    let house = House::signing_in().await;
    let token = house.ada().token;
    for form in ["", "logout_token=x", "logout_token=a&logout_token=b", &format!("logout_token={token}")] {
        let url = format!("{}/backchannel-logout", house.portal());
        let request = house.http.post(url).header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(form.to_owned()).send().await.expect("an answer");
        assert_eq!(answer.status(), 400, "{form:.40}");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let told: Value = answer.json().await.expect("JSON");
        assert_eq!(told["error"], "invalid_request");
    }
    house.stop().await;
}

#[tokio::test]
async fn a_weak_sign_in_is_stepped_up_and_comes_back() {
    let house = House::signing_in().await;
    let mut ada = house.visitor();
    ada.signs_in(&at(PORTAL, "/"), "person=ada").await;
    let form = "role=shop%2Fvault-reader&duration=30m&justification=the+till+of+shop+4+is+stuck";
    let refused = ada.submits(&at(PORTAL, "/activate"), form).await.expect(422);
    let link = refused.text.split("href=\"").find(|rest| rest.starts_with("/sign-in?")).expect("the way to step up");
    let link = link.split('"').next().expect("a link").replace("&amp;", "&");
    assert!(link.contains("amr=mfa"), "what the role counts as a second factor is asked for: {link}");
    let former = ada.cookies(PORTAL);
    let away = ada.opens(&at(PORTAL, &link)).await.expect(302);
    let callback = ada.says(away.header("location"), ADA).await;
    let back = ada.comes_back(&callback).await;
    assert!(back.starts_with(&at(PORTAL, "/activate")), "{back}");
    assert_ne!(ada.cookies(PORTAL), former, "a new session");
    ada.submits(&at(PORTAL, "/activate"), form).await.expect(303);
    let headers = [("cookie", former.as_str())];
    ada.sends(Method::GET, &at(PORTAL, "/api/v1/me"), &headers, None).await.expect(401);
    house.stop().await;
}

#[tokio::test]
async fn a_route_that_wants_a_fresh_sign_in_sends_the_browser_for_one() {
    let house = House::signing_in().await;
    let mut ada = house.visitor();
    ada.signs_in(&at(GATE, "/account"), ADA).await;
    ada.opens(&at(GATE, "/fresh/x")).await.expect(200);
    house.pass(Span::minutes(6));
    let sent = ada.opens(&at(GATE, "/fresh/x")).await.expect(302);
    assert!(sent.header("location").ends_with("sign-in?return_to=%2Ffresh%2Fx&max_age=300"), "{:?}", sent.headers);
    let api = ada.sends(Method::GET, &at(GATE, "/fresh/x"), &[("accept", "application/json")], None).await.expect(401);
    assert!(api.header("www-authenticate").contains("insufficient_user_authentication"));
    assert_eq!(ada.signs_in(&at(GATE, "/fresh/x"), ADA).await, at(GATE, "/fresh/x"));
    ada.opens(&at(GATE, "/fresh/x")).await.expect(200);
    house.stop().await;
}

#[tokio::test]
async fn people_who_say_no_get_a_page_and_no_session() {
    let house = House::signing_in().await;
    let mut ada = house.visitor();
    let provider = ada.sent_away(&at(GATE, "/account")).await;
    let callback = ada.says(&provider, "decline=yes").await;
    let page = ada.opens(&callback).await.expect(403);
    assert!(page.text.contains("access_denied") && page.text.contains("Sign in again"), "{}", page.text);
    ada.opens(&at(GATE, "/account")).await.expect(302);
    let replayed = ada.opens(&callback).await.expect(400);
    assert!(replayed.text.contains("This sign-in is over"), "{}", replayed.text);
    house.stop().await;
}

#[tokio::test]
async fn a_callback_in_another_browser_signs_nobody_in() {
    let house = House::signing_in().await;
    let (mut mallory, mut victim) = (house.visitor(), house.visitor());
    let provider = mallory.sent_away(&at(GATE, "/account")).await;
    let callback = mallory.says(&provider, "person=vera").await;
    let page = victim.opens(&callback).await.expect(400);
    assert!(page.text.contains("another browser"), "{}", page.text);
    victim.opens(&at(GATE, "/account")).await.expect(302);
    house.stop().await;
}

#[tokio::test]
async fn a_restart_signs_nobody_out_and_nobody_in_again() {
    let house = House::signing_in().await;
    let (mut ada, mut grace) = (house.visitor(), house.visitor());
    ada.signs_in(&at(GATE, "/account"), ADA).await;
    grace.signs_in(&at(GATE, "/account"), "person=grace").await;
    let gone = grace.cookies(GATE);
    grace.submits(&at(GATE, "/.hallpass/sign-out"), "").await.expect(200);
    let kept = ada.keep();
    let house = house.restart().await;
    let mut ada = Visitor::back(&house, kept);
    ada.opens(&at(GATE, "/account")).await.expect(200);
    let headers = [("sec-fetch-mode", "navigate"), ("cookie", gone.as_str())];
    house.visitor().sends(Method::GET, &at(GATE, "/account"), &headers, None).await.expect(302);
    house.stop().await;
}

#[tokio::test]
async fn the_provider_is_asked_again_and_its_word_reaches_the_gate() {
    let house = House::signing_in().await;
    let mut ada = house.visitor();
    ada.signs_in(&at(GATE, "/account"), ADA).await;
    let before = ada.opens(&at(GATE, "/.hallpass/status")).await.expect(200).json();
    assert!(!before["eligible"].as_array().expect("a list").is_empty(), "{before}");
    house.issuer.change("ada", json!({"groups": []}).as_object().cloned().expect("an object"));
    // one use now and then, so that the session is not idle
    for _ in 0..4 {
        house.pass(Span::minutes(20));
        ada.opens(&at(GATE, "/account")).await.expect(200);
    }
    let after = ada.opens(&at(GATE, "/.hallpass/status")).await.expect(200).json();
    assert_eq!(after["eligible"].as_array().map(Vec::len), Some(0), "{after}");
    house.stop().await;
}

#[tokio::test]
async fn a_reload_without_sign_in_cuts_sessions_and_shows_the_old_page() {
    let mut house = House::signing_in().await;
    let mut ada = house.visitor();
    ada.signs_in(&at(GATE, "/account"), ADA).await;
    let request = house.http.get(format!("{}/vault/events", house.gate())).header("cookie", ada.cookies(GATE));
    let mut stream = request.send().await.expect("a stream");
    assert!(stream.chunk().await.expect("bytes").is_some());
    let kept = ada.keep();
    let sign_in = format!("[issuer.sign_in]\nclient_id = \"{CLIENT}\"\n");
    house
        .reload(&format!("{sign_in}scopes = [\"openid\", \"profile\", \"email\", \"groups\"]\n"), "")
        .await
        .expect("reloaded");
    until_over(&mut stream).await;
    let mut ada = Visitor::back(&house, kept);
    ada.opens(&at(GATE, "/account")).await.expect(401);
    eventually("streams end at the application too", || house.upstream.streams_open() == 0).await;
    house.stop().await;
}
