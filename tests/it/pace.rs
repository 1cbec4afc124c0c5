//! How fast a role is decided on is told to whoever is about to ask for it: at the gate, on Activate, and while they wait.

use hallpass::domain::time::Span;
use serde_json::json;

use crate::support::{Answer, House, id};

const VAULT: &str = "shop/vault-reader";

impl House {
    async fn page(&self, path: &str) -> Answer {
        let request = self.http.get(format!("{}{path}", self.portal())).header("accept", "text/html");
        self.ada().send(request).await.expect(200)
    }

    /// Ada asks, and after `span` Grace decides.
    async fn decides_after(&self, span: Span, verb: &str) {
        let case = id(&self.ada().request(VAULT, "10m").await);
        self.pass(span);
        let body = json!({ "revision": 1, "justification": "go ahead, I am watching" });
        self.grace().post(&format!("/activations/{case}/{verb}"), body).await.expect(200);
        if verb == "approve" {
            self.ada().post(&format!("/activations/{case}/deactivate"), json!({})).await.expect(200);
        }
    }

    /// Lets the table follow; what the gate tells then.
    async fn usual_decision_becomes(&self, expected: &str) {
        let told = async || self.ada().get("/vault/keys").await.expect(403).json()["usual_decision"] == expected;
        self.pass_until(expected, Span::seconds(1), told).await;
    }
}

#[tokio::test]
async fn the_usual_time_to_a_decision_follows_what_people_do_and_outlives_a_restart() {
    let house = House::new().await;
    let unknown = house.page(&format!("/activate?role={VAULT}")).await.text;
    assert!(unknown.contains("Time to a decision") && unknown.contains("not known yet"), "{unknown}");
    assert!(house.ada().get("/vault/keys").await.expect(403).json().get("usual_decision").is_none());

    house.decides_after(Span::minutes(12), "approve").await;
    house.usual_decision_becomes("12m").await;
    let once = house.page(&format!("/activate?role={VAULT}")).await.text;
    assert!(once.contains("about 12 minutes the last time"), "{once}");

    house.decides_after(Span::minutes(3), "deny").await;
    house.decides_after(Span::minutes(4), "approve").await;
    house.usual_decision_becomes("4m").await;
    let thrice = "about 4 minutes, as the last 3 decisions went";
    assert!(house.page(&format!("/activate?role={VAULT}")).await.text.contains(thrice));
    assert!(house.page(&format!("/roles/{VAULT}")).await.text.contains(thrice));
    let waiting = id(&house.ada().request(VAULT, "10m").await);
    assert!(house.page(&format!("/activations/{waiting}")).await.text.contains(thrice), "whoever waits is told too");
    let at_once = house.page("/activate?role=shop%2Frecords-editor").await.text;
    assert!(!at_once.contains("Time to a decision"), "nobody decides on it: {at_once}");

    let house = house.restart().await;
    house.usual_decision_becomes("4m").await;
    house.stop().await;
}
