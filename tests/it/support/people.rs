//! People who act: each has one token for the whole story.

use hallpass::demo::issuer::{Person, TokenOptions};
use reqwest::Method;
use serde_json::{Value, json};

use super::house::House;

/// Somebody with a token.
#[derive(Clone)]
pub struct Who<'h> {
    pub house: &'h House,
    pub token: String,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON ({}): {}", self.status, self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The last part of the problem's type.
    pub fn problem(&self) -> String {
        let problem = self.json();
        problem["type"].as_str().and_then(|kind| kind.rsplit('/').next()).unwrap_or_default().to_owned()
    }

    /// The codes of all broken rules.
    pub fn codes(&self) -> Vec<String> {
        let errors = self.json();
        let errors = errors["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().filter_map(|error| error["code"].as_str().map(str::to_owned)).collect()
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

impl<'h> Who<'h> {
    pub fn new(house: &'h House, person: &Person) -> Self {
        Self::with(house, person, &TokenOptions::default())
    }

    pub fn with(house: &'h House, person: &Person, options: &TokenOptions) -> Self {
        Self { house, token: house.issuer.token(person, options).expect("a token") }
    }

    /// At the gate.
    pub async fn get(&self, path: &str) -> Answer {
        self.at_gate(Method::GET, path).await
    }

    pub async fn at_gate(&self, method: Method, path: &str) -> Answer {
        self.send(self.house.http.request(method, format!("{}{path}", self.house.gate()))).await
    }

    /// At the portal.
    pub async fn read(&self, path: &str) -> Answer {
        self.send(self.house.http.get(format!("{}/api/v1{path}", self.house.portal()))).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.house.http.post(format!("{}/api/v1{path}", self.house.portal())).json(&body)).await
    }

    pub async fn delete(&self, path: &str, body: Value) -> Answer {
        self.send(self.house.http.delete(format!("{}/api/v1{path}", self.house.portal())).json(&body)).await
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.bearer_auth(&self.token).send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.expect("a body") }
    }

    /// Asks for a role; the activation.
    pub async fn request(&self, role: &str, duration: &str) -> Value {
        let body = json!({ "role": role, "duration": duration, "justification": "the till of shop 4 is stuck" });
        self.post("/activations", body).await.expect(201).json()
    }

    /// Approves what is asked, at the revision it is now.
    pub async fn approve(&self, id: &str) -> Answer {
        let activation = self.read(&format!("/activations/{id}")).await.expect(200).json();
        let body = json!({ "revision": activation["revision"], "justification": "go ahead, I am watching" });
        self.post(&format!("/activations/{id}/approve"), body).await
    }
}

/// The id of an activation.
pub fn id(activation: &Value) -> String {
    activation["id"].as_str().expect("an id").to_owned()
}

impl House {
    /// Ada holds the vault, approved by Grace; the id of the activation.
    pub async fn ada_holds_the_vault(&self, duration: &str) -> String {
        let id = id(&self.ada().request("shop/vault-reader", duration).await);
        self.grace().approve(&id).await.expect(200);
        id
    }
}

/// The value of a header as the application got it, by its echo of the request.
pub fn arrived<'s>(echo: &'s Value, name: &str) -> Option<&'s str> {
    let headers = echo["headers"].as_array().expect("headers");
    let mut values = headers.iter().filter(|pair| pair[0] == name).map(|pair| pair[1].as_str().expect("text"));
    let value = values.next();
    assert_eq!(values.next(), None, "{name} came once");
    value
}
