//! Whatever people type is text: script in every field a person can fill, looked at on every page that shows it.

use serde_json::json;

use crate::support::{Driver, House, Setting, Window};

/// Breaks out of text, of attributes, of scripts and of comments, and would leave a mark or open a dialog.
const HOSTILE: &str = r#"'"></textarea></title></script><img src=x onerror="window.marked=1;alert(1)"><svg onload=alert(2)>--><script>window.marked=1</script>{{7*7}}"#;

#[tokio::test]
async fn script_in_every_field_is_shown_as_text() {
    let Some(driver) = Driver::start() else { return };
    let house = House::new("").await;
    let named = json!({ "name": HOSTILE, "email": HOSTILE });
    house.issuer.change("ada", named.as_object().expect("claims").clone());

    let ada = driver.window(Setting::Ordinary).await;
    ada.open(&format!("{}/vault?q={}", house.gate, encoded(HOSTILE))).await;
    ada.clicks("Sign in as Ada Okafor").await;
    ada.sees("vault-reader").await;
    ada.clicks("Activate shop/vault-reader").await;
    ada.sees("For how long").await;
    ada.shows_it_harmlessly("the form with her name").await;
    ada.writes("justification", HOSTILE).await;
    // as long as a ticket may be
    ada.writes("ticket", r#"'"><img src=x onerror="window.marked=1"><script>window.marked=1</script>"#).await;
    // wrong, so that the form comes back with what was typed
    ada.clicks("Other").await;
    ada.writes("duration", HOSTILE).await;
    ada.clicks("Request activation").await;
    ada.sees("For how long").await;
    ada.shows_it_harmlessly("the form again").await;
    assert_eq!(ada.script("return document.querySelector('[name=justification]').value").await, HOSTILE);
    ada.writes("duration", "30m").await;
    ada.clicks("Request activation").await;
    let case = ada.arrives("her request", |address| address.contains("/activations/act_")).await;
    ada.shows_it_harmlessly("her request").await;
    ada.open(&format!("{}/", house.portal)).await;
    ada.shows_it_harmlessly("home").await;

    let id = case.split("/activations/").nth(1).and_then(|rest| rest.split('?').next()).unwrap_or_default().to_owned();
    let hostile = encoded(HOSTILE);
    for path in [
        format!("/?search={hostile}"),
        format!("/activate?role={hostile}"),
        format!("/activate?search={hostile}"),
        format!(
            "/activate?role=shop/records-editor&justification={hostile}&ticket={hostile}&duration={hostile}&return_to={hostile}"
        ),
        "/activate?role=shop/records-editor&return_to=javascript:alert(3)".to_owned(),
        format!("/activations/{id}?return_to={hostile}"),
        format!("/activations/{id}?return_to=javascript:alert(4)"),
        format!("/activations/{hostile}"),
        format!("/roles?search={hostile}"),
        format!("/roles/{hostile}/{hostile}"),
        format!("/sign-in?return_to={hostile}&issuer={hostile}"),
        format!("/callback?state={hostile}&error={hostile}&error_description={hostile}"),
        format!("/{hostile}"),
    ] {
        ada.open(&format!("{}{path}", house.portal)).await;
        ada.is_unmarked(&path).await;
    }
    for path in [
        format!("/.hallpass/callback?state={hostile}&error={hostile}&error_description={hostile}"),
        format!("/.hallpass/sign-in?issuer={hostile}&return_to={hostile}"),
        format!("/.hallpass/activate?role={hostile}&return_to={hostile}"),
        format!("/vault/{hostile}?{hostile}"),
    ] {
        ada.open(&format!("{}{path}", house.gate)).await;
        ada.is_unmarked(&path).await;
    }

    let grace = driver.window(Setting::Ordinary).await;
    grace.open(&format!("{}/approvals", house.portal)).await;
    grace.clicks("Sign in as Grace Lindqvist").await;
    grace.sees("wait").await;
    grace.shows_it_harmlessly("approvals").await;
    grace.finds("textarea[name=justification]").await.send_keys(HOSTILE).await.expect("written");
    grace.clicks("Deny").await;
    grace.sees("Your decision is written down").await;
    grace.shows_it_harmlessly("what became of it").await;
    grace.open(&format!("{}/activations/{id}", house.portal)).await;
    grace.sees("The request was refused").await;
    grace.shows_it_harmlessly("the decided case").await;

    let root = driver.window(Setting::Ordinary).await;
    root.open(&format!("{}/history/{id}", house.portal)).await;
    root.clicks("Sign in as Ruth Abara").await;
    root.arrives("the history", |address| address.contains("/history/")).await;
    root.shows_it_harmlessly("the case's history").await;
    for path in ["/history", "/history/records", "/history/journal", "/assignments", "/assignments?kind=active"] {
        root.open(&format!("{}{path}", house.portal)).await;
        root.is_unmarked(path).await;
    }
    for path in [
        format!(
            "/history?principal={hostile}&role={hostile}&app={hostile}&outcome={hostile}&from={hostile}&until={hostile}"
        ),
        format!("/history/records?principal={hostile}&role={hostile}&kind={hostile}"),
        format!("/assignments?role={hostile}&principal={hostile}&group={hostile}"),
        format!("/assignments/new?kind=eligible&role={hostile}&principal={hostile}&group={hostile}"),
        format!("/assignments/person?who={hostile}"),
        format!("/assignments/end?chosen={hostile}"),
    ] {
        root.open(&format!("{}{path}", house.portal)).await;
        root.is_unmarked(&path).await;
    }
    for window in [ada, grace, root] {
        window.closes().await;
    }
    house.stop().await;
}

impl Window {
    /// The text is there to be read, and did nothing.
    async fn shows_it_harmlessly(&self, place: &str) {
        let text = self.script("return document.body.innerText + [...document.querySelectorAll('input, textarea')].map((field) => field.value)").await;
        assert!(
            text.as_str().is_some_and(|text| text.contains("onerror=\"window.marked=1")),
            "{place}: {}",
            self.told().await
        );
        self.is_unmarked(place).await;
    }

    /// Nothing ran: no mark, no dialog, no element that nobody wrote into the page.
    async fn is_unmarked(&self, place: &str) {
        let marks = "return [window.marked === undefined, document.querySelectorAll('img[src=x], svg[onload], [onerror]').length, \
            document.querySelectorAll('a[href^=\"javascript:\" i], form[action^=\"javascript:\" i]').length]";
        assert_eq!(self.script(marks).await, json!([true, 0, 0]), "something ran at {place}");
        assert!(self.client.get_alert_text().await.is_err(), "a dialog opened at {place}");
    }
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
