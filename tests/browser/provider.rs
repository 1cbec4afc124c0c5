//! The demo's provider, as a newcomer meets it.

use hallpass::clock::Clock;
use hallpass::demo::issuer::{Client, Issuer};

use crate::support::{Driver, Looks, Setting};

const ASKS: &str = "/oidc/authorize?response_type=code&client_id=web&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fcallback\
    &scope=openid&state=s&nonce=n&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

#[tokio::test]
async fn its_pages_can_be_used_by_everybody() {
    let (Some(driver), Some(looks)) = (Driver::start(), Looks::new()) else { return };
    let issuer = Issuer::start(Clock::system()).await.expect("an issuer");
    let redirect_uris = vec!["http://127.0.0.1:9/callback".to_owned()];
    issuer.register(Client { redirect_uris, ..Client::hallpass("web", "http://127.0.0.1:9", "http://127.0.0.1:9") });
    let window = driver.window(Setting::Ordinary).await;

    let asks = format!("{}{ASKS}", issuer.url());
    window.open(&asks).await;
    window.sees("stands in for your company's identity provider").await;
    let mut faults = looks.over(&window, "provider-who").await;
    // the application is not there: what counts is that the browser is sent to it
    window.clicks("Sign in as Grace Lindqvist").await;
    window.arrives("the application", |address| address.contains("127.0.0.1:9/callback?code=")).await;

    window.open(&format!("{asks}&acr_values=urn:hallpass:demo:two-factors&prompt=login")).await;
    window.sees("asks for a second factor").await;
    faults.extend(looks.over(&window, "provider-again").await);
    window.open(&format!("{}/", issuer.url())).await;
    window.sees("Grace Lindqvist").await;
    faults.extend(looks.over(&window, "provider-home").await);
    window.open(&format!("{}/oidc/end-session", issuer.url())).await;
    faults.extend(looks.over(&window, "provider-sign-out").await);
    window.clicks("Sign out everywhere").await;
    window.sees("Nobody is signed in here any more").await;
    faults.extend(looks.over(&window, "provider-signed-out").await);
    window.open(&asks.replace("client_id=web", "client_id=stranger")).await;
    window.sees("cannot be used").await;
    faults.extend(looks.over(&window, "provider-stray").await);
    assert!(faults.is_empty(), "{}", faults.join("\n"));

    // who looks does see what is wrong
    window
        .open("data:text/html,<title>x</title><body style='width:2000px'><img src=x><p style='color:%23ccc'>pale")
        .await;
    let faults = looks.over(&window, "known-bad").await.join("\n");
    for known in ["image-alt", "html-has-lang", "wide on a screen"] {
        assert!(faults.contains(known), "{known} was not seen: {faults}");
    }
    window.closes().await;
}
