//! Signing out, by a client, here, and by an operator; and who is told.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Form;
use axum::routing::post;

use super::visitor::*;
use super::*;

/// A client's listener for logout tokens.
async fn listening(answer: u16) -> (String, Arc<Mutex<Vec<String>>>, JoinSet<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/backchannel-logout", listener.local_addr().unwrap());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    let take = move |Form(form): Form<Vec<(String, String)>>| async move {
        hears
            .lock()
            .unwrap()
            .extend(form.into_iter().filter(|(name, _)| name == "logout_token").map(|(_, token)| token));
        StatusCode::from_u16(answer).unwrap()
    };
    let mut server = JoinSet::new();
    server.spawn(async move {
        let _ = axum::serve(listener, Router::new().route("/backchannel-logout", post(take))).await;
    });
    (url, heard, server)
}

/// Ada is signed in, and the client heard of it.
async fn signed_in(answer: u16) -> (Visitor, Seen, Arc<Mutex<Vec<String>>>, JoinSet<()>) {
    let (url, heard, server) = listening(answer).await;
    let mut visitor = Visitor::new().await;
    visitor.issuer.register(Client { backchannel_logout_uri: Some(url), ..Client::hallpass("web", GATE, PORTAL) });
    let code = visitor.code().await;
    let tokens = visitor.redeems(&code).await;
    (visitor, tokens, heard, server)
}

async fn leaves(visitor: &mut Visitor, parameters: &[(&str, &str)]) -> Seen {
    let parameters: Vec<_> = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let url = visitor.address(END_SESSION_PATH, &parameters);
    visitor.send(http().get(url)).await
}

fn text(answer: &Seen, which: &str) -> String {
    answer.json()[which].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_client_that_names_the_sign_in_ends_it_and_every_client_is_told() {
    let (mut visitor, tokens, heard, _server) = signed_in(200).await;
    let (hint, refresh) = (text(&tokens, "id_token"), text(&tokens, "refresh_token"));
    let back = "http://portal.test/signed-out";
    let asked = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", back), ("state", "bye")];
    let gone = leaves(&mut visitor, &asked).await;
    assert_eq!((gone.status, gone.target.as_str(), gone.told["state"].as_str()), (303, back, "bye"));
    assert_eq!(visitor.cookie, None);

    let heard = heard.lock().unwrap().clone();
    assert_eq!(heard.len(), 1);
    let claims = visitor.issuer.shared.keys().proven(&heard[0]).unwrap();
    let named = visitor.claims(&tokens, "id_token");
    assert_eq!((&claims["aud"], &claims["sub"], &claims["sid"]), (&json!("web"), &json!("ada"), &named["sid"]));
    assert_eq!(claims["events"], json!({ "http://schemas.openid.net/event/backchannel-logout": {} }));
    assert!(claims.get("nonce").is_none() && claims["jti"].is_string());
    assert_eq!(jsonwebtoken::decode_header(&heard[0]).unwrap().typ.as_deref(), Some("logout+jwt"));

    assert_eq!(visitor.refreshes(&refresh).await.error(), "invalid_grant");
    assert_eq!(visitor.arrives(&[]).await.status, 200, "whoever comes is asked again");
    let again = leaves(&mut visitor, &asked).await;
    assert_eq!((again.status, again.target.as_str()), (303, back), "leaving twice is no error");
}

#[tokio::test]
async fn without_a_name_for_the_sign_in_the_person_is_asked() {
    let (mut visitor, _, heard, _server) = signed_in(200).await;
    let back = "http://gate.test/.hallpass/signed-out";
    let parameters = [("client_id", "web"), ("post_logout_redirect_uri", back)];
    let question = leaves(&mut visitor, &parameters).await;
    assert_eq!(question.status, 200);
    assert!(question.text.contains("Sign out?") && question.text.contains(back) && visitor.cookie.is_some());

    let url = visitor.address(END_SESSION_PATH, &[]);
    let form = format!("client_id=web&post_logout_redirect_uri={back}&confirmed=yes");
    let foreign =
        http().post(&url).header("content-type", FORM).header("origin", "http://evil.test").body(form.clone());
    assert_eq!(visitor.send(foreign).await.status, 200, "only asked once more");
    assert!(heard.lock().unwrap().is_empty() && visitor.cookie.is_some());

    let gone = visitor.send(http().post(&url).header("content-type", FORM).body(form)).await;
    assert_eq!((gone.status, gone.target.as_str()), (303, back));
    assert_eq!(heard.lock().unwrap().len(), 1);
    let nobody = leaves(&mut visitor, &[]).await;
    assert!(nobody.status == 200 && nobody.text.contains("Signed out"));
}

#[tokio::test]
async fn a_client_cannot_send_people_anywhere_when_they_leave() {
    let (mut visitor, tokens, heard, _server) = signed_in(200).await;
    visitor.issuer.register(Client::hallpass("other", "http://other.test", "http://other.test"));
    let hint = text(&tokens, "id_token");
    let forged = format!("{}x", hint);
    for parameters in [
        vec![("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", "http://evil.test/")],
        vec![("id_token_hint", &hint), ("post_logout_redirect_uri", "http://other.test/")],
        vec![("id_token_hint", &hint), ("client_id", "other")],
        vec![("id_token_hint", &forged)],
        vec![("id_token_hint", "not a token")],
        vec![("post_logout_redirect_uri", "http://gate.test/.hallpass/signed-out")],
        vec![("client_id", "unknown"), ("post_logout_redirect_uri", "http://gate.test/.hallpass/signed-out")],
        vec![("client_id", "web"), ("client_id", "web")],
    ] {
        let told = leaves(&mut visitor, &parameters).await;
        assert_eq!((told.status, told.target.as_str()), (400, ""), "{parameters:?}");
    }
    assert!(visitor.cookie.is_some() && heard.lock().unwrap().is_empty());
}

#[tokio::test]
async fn signing_somebody_out_tells_who_understood() {
    let (visitor, _, heard, _server) = signed_in(200).await;
    assert_eq!(visitor.issuer.sign_out("grace").await, 0);
    assert_eq!(visitor.issuer.sign_out("ada").await, 1);
    assert_eq!(visitor.issuer.sign_out("ada").await, 0, "it is over already");
    assert_eq!(heard.lock().unwrap().len(), 1);

    let (mut visitor, tokens, _, _server) = signed_in(400).await;
    assert_eq!(visitor.issuer.sign_out("ada").await, 0, "told, but refused");
    assert_eq!(visitor.refreshes(&text(&tokens, "refresh_token")).await.error(), "invalid_grant");
}

#[tokio::test]
async fn another_person_in_the_same_browser_ends_the_former_one() {
    let (mut visitor, tokens, _, _server) = signed_in(200).await;
    let grace = visitor.chooses("person=grace&second_factor=yes", &[("prompt", "select_account")]).await;
    let grace = visitor.redeems(&grace.told["code"]).await;
    assert_eq!(visitor.claims(&grace, "id_token")["sub"], "grace");
    assert_ne!(visitor.claims(&grace, "id_token")["sid"], visitor.claims(&tokens, "id_token")["sid"]);
    assert_eq!(visitor.refreshes(&text(&tokens, "refresh_token")).await.error(), "invalid_grant");
}

#[tokio::test]
async fn browsers_get_a_page_and_curl_gets_text() {
    let (mut visitor, ..) = signed_in(200).await;
    let root = format!("{}/", visitor.issuer.url());
    assert!(visitor.send(http().get(&root)).await.text.contains("curl -s -d person=ada"));
    let page = visitor.send(http().get(&root).header("accept", "text/html,*/*;q=0.8")).await;
    assert_eq!((page.status, page.target.as_str()), (303, "/oidc"));
    let home = visitor.address("/oidc", &[]);
    let page = visitor.send(http().get(&home)).await;
    assert!(page.text.contains("signed in here as <strong>Ada Okafor"), "{}", page.text);
}
