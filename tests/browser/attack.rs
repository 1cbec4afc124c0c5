//! Other pages in the approver's browser try to approve for her.

use hallpass::demo::issuer::{ADA, GRACE};
use serde_json::{Value, json};

use crate::support::{Driver, House, Setting, Window, eventually};

#[tokio::test]
async fn no_other_page_approves_for_her() {
    let Some(driver) = Driver::start() else { return };
    let house = House::new("").await;
    let id = house.asks_for_the_vault(&ADA, "stock count for the cellar").await;
    let path = format!("/activations/{id}");
    let grace = driver.window(Setting::Ordinary).await;
    grace.open(&format!("{}{path}", house.portal)).await;
    grace.clicks("Sign in as Grace Lindqvist").await;
    grace.sees("Waits for your decision.").await;

    let port = house.upstream.address().port();
    let origins = [
        ("the application's own origin", format!("{}/", house.gate)),
        ("the same host, another port", format!("http://127.0.0.1:{port}/")),
        ("another site", format!("http://localhost:{port}/")),
    ];
    for (place, origin) in origins {
        grace.open(&origin).await;
        grace.sees("Larder").await;
        grace
            .posts_a_form(&house, &format!("{path}/approve"), &[("revision", "1"), ("justification", "sent by nobody")])
            .await;
        house.still_waits(&id, place).await;
        grace.open(&origin).await;
        let chosen = format!("{id}:1");
        let bulk = [("chosen", chosen.as_str()), ("choice", "approve"), ("justification", "sent by nobody")];
        grace.posts_a_form(&house, "/approvals", &bulk).await;
        house.still_waits(&id, place).await;

        // the same by script, with the cookies if the browser gives them
        grace.open(&origin).await;
        let body = json!({ "revision": 1, "justification": "sent by nobody" }).to_string();
        for (kind, mode) in
            [("application/json", "cors"), ("text/plain", "no-cors"), ("application/x-www-form-urlencoded", "no-cors")]
        {
            let url = format!("{}/api/v1{path}/approve", house.portal);
            let sent = format!(
                "const done = arguments[arguments.length - 1];
                 fetch({url:?}, {{ method: 'POST', mode: '{mode}', credentials: 'include', headers: {{ 'content-type': '{kind}' }}, body: {body:?} }})
                   .then((answer) => done(answer.type), (error) => done(String(error)));"
            );
            grace.client.execute_async(&sent, vec![]).await.expect("sent");
            house.still_waits(&id, place).await;
        }

        // a frame shows nothing to click on
        let framed = format!(
            "const done = arguments[arguments.length - 1]; const frame = document.createElement('iframe');
             frame.src = '{}{path}'; frame.onload = () => done('loaded'); document.body.append(frame);",
            house.portal
        );
        grace.client.execute_async(&framed, vec![]).await.expect("framed");
        grace.client.enter_frame(0).await.expect("a frame");
        assert!(!grace.text().await.contains("Approve"), "{place}: the page can be framed: {}", grace.told().await);
        assert!(!grace.has("form").await, "{place}: the page can be framed");
        grace.client.enter_parent_frame().await.expect("out again");
        house.still_waits(&id, place).await;
    }

    // a link or an image approves nothing either
    for verb in ["approve", "deny", "revoke", "cancel"] {
        grace.open(&format!("{}{path}/{verb}", house.portal)).await;
        house.still_waits(&id, "a link").await;
    }
    grace.open(&format!("{}{path}", house.portal)).await;
    grace.finds("textarea[name=justification]").await.send_keys("by her own hand").await.expect("written");
    grace.clicks("Approve").await;
    grace.sees("The role is held.").await;
    grace.closes().await;
    house.stop().await;
}

impl Window {
    /// Sends a form to the portal as any page can, and waits until the browser has the answer.
    async fn posts_a_form(&self, house: &House, path: &str, fields: &[(&str, &str)]) {
        let fields: Value = fields.iter().map(|(name, value)| json!([name, value])).collect();
        let script = format!(
            "const form = document.createElement('form'); form.method = 'post'; form.action = '{}{path}';
             for (const [name, value] of {fields}) {{ const field = document.createElement('input'); field.name = name; field.value = value; form.append(field); }}
             document.body.append(form); form.submit();",
            house.portal
        );
        self.script(&script).await;
        let answered = eventually(async || {
            let address = self.client.current_url().await.ok()?.to_string();
            (address.starts_with(&house.portal) || address.contains("/oidc/")).then_some(())
        });
        assert!(answered.await.is_some(), "no answer: {}", self.told().await);
        let text = self.text().await;
        assert!(!text.contains("The role is held") && !text.contains("decided."), "it worked: {text}");
    }
}

impl House {
    async fn still_waits(&self, id: &str, place: &str) {
        let case = self.read(&GRACE, &format!("/activations/{id}")).await;
        assert_eq!((&case["state"], &case["revision"]), (&json!("pending"), &json!(1)), "changed from {place}");
    }
}
