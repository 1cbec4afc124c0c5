//! A client and a browser in one, for the tests: sends somebody to the provider, and redeems what comes back.

use std::collections::HashMap;

use super::*;
use crate::clock::ManualClock;
use crate::domain::time::Timestamp;

pub(super) struct Visitor {
    pub(super) issuer: Issuer,
    pub(super) time: ManualClock,
    /// The provider's cookie, as the browser keeps it.
    pub(super) cookie: Option<String>,
}

/// An answer of the provider.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) status: u16,
    /// Where it sends the browser, without the query.
    pub(super) target: String,
    /// What it sends along.
    pub(super) told: HashMap<String, String>,
    pub(super) text: String,
    pub(super) headers: reqwest::header::HeaderMap,
}

impl Seen {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(super) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }
}

pub(super) const GATE: &str = "http://gate.test";
pub(super) const PORTAL: &str = "http://portal.test";
pub(super) const CALLBACK: &str = "http://gate.test/.hallpass/callback";
pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// S256 of the verifier: the example of RFC 7636, appendix B.
pub(super) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

impl Visitor {
    pub(super) async fn new() -> Self {
        let (clock, time) = Clock::manual(Timestamp::from_seconds(1_795_420_800));
        let issuer = Issuer::start(clock).await.unwrap();
        issuer.register(Client::hallpass("web", GATE, PORTAL));
        Self { issuer, time, cookie: None }
    }

    /// A good authorization request, with parameters put over it; an empty value takes one out.
    pub(super) fn asking(over: &[(&str, &str)]) -> Vec<(String, String)> {
        let good = [
            ("response_type", "code"),
            ("client_id", "web"),
            ("redirect_uri", CALLBACK),
            ("scope", "openid profile groups"),
            ("state", "st-1"),
            ("nonce", "no-1"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let kept = good.into_iter().filter(|(name, _)| !over.iter().any(|(other, _)| other == name));
        let added = over.iter().copied().filter(|(_, value)| !value.is_empty());
        kept.chain(added).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The same as an address.
    pub(super) fn address(&self, path: &str, query: &[(String, String)]) -> String {
        let query = query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        browser::with_query(&format!("{}{path}", self.issuer.url()), query)
    }

    pub(super) async fn send(&mut self, request: reqwest::RequestBuilder) -> Seen {
        let request = match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        };
        let answer = request.send().await.unwrap();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        if let Some(set) = header("set-cookie") {
            assert!(
                set.contains("; HttpOnly") && set.contains("; Path=/oidc") && set.contains("; SameSite=Lax"),
                "{set}"
            );
            let gone = set.contains("Max-Age=0");
            self.cookie = (!gone).then(|| set.split(';').next().unwrap().to_owned());
        }
        let location = header("location").unwrap_or_default();
        let (target, query) = location.split_once('?').unwrap_or((&location, ""));
        Seen {
            status: answer.status().as_u16(),
            target: target.to_owned(),
            told: form(query).into_iter().collect(),
            headers: answer.headers().clone(),
            text: answer.text().await.unwrap(),
        }
    }

    /// The client sends the browser here.
    pub(super) async fn arrives(&mut self, over: &[(&str, &str)]) -> Seen {
        let url = self.address(AUTHORIZE_PATH, &Self::asking(over));
        self.send(http().get(url)).await
    }

    /// Somebody sends the form of the page.
    pub(super) async fn chooses(&mut self, fields: &str, over: &[(&str, &str)]) -> Seen {
        let url = self.address(AUTHORIZE_PATH, &Self::asking(over));
        self.send(http().post(url).header("content-type", FORM).body(fields.to_owned())).await
    }

    /// Ada signs in with both factors: the code.
    pub(super) async fn code(&mut self) -> String {
        let seen = self.chooses("person=ada&second_factor=yes", &[]).await;
        assert_eq!(seen.status, 303, "{seen:?}");
        seen.told["code"].clone()
    }

    pub(super) async fn token(&mut self, fields: &[(&str, &str)]) -> Seen {
        self.proving(None, fields).await
    }

    /// Asks the token endpoint with this header `Authorization`.
    pub(super) async fn proving(&mut self, authorization: Option<&str>, fields: &[(&str, &str)]) -> Seen {
        let body = browser::with_query("", fields.iter().copied().filter(|(_, value)| !value.is_empty()));
        let url = format!("{}{TOKEN_PATH}", self.issuer.url());
        let mut request = http().post(url).header("content-type", FORM).body(body.trim_start_matches('?').to_owned());
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        self.send(request).await
    }

    /// Redeems a code as it should be done.
    pub(super) async fn redeems(&mut self, code: &str) -> Seen {
        self.token(&redemption(code)).await
    }

    pub(super) async fn refreshes(&mut self, token: &str) -> Seen {
        self.token(&[("grant_type", "refresh_token"), ("client_id", "web"), ("refresh_token", token)]).await
    }

    /// Claims of a token among what was handed out.
    pub(super) fn claims(&self, answer: &Seen, which: &str) -> Value {
        let token = answer.json()[which].as_str().unwrap_or_else(|| panic!("no {which}: {answer:?}")).to_owned();
        self.issuer.shared.keys().proven(&token).expect("a published key proves it")
    }
}

/// A good redemption.
pub(super) fn redemption(code: &str) -> [(&str, &str); 5] {
    [
        ("grant_type", "authorization_code"),
        ("client_id", "web"),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
        ("code", code),
    ]
}

pub(super) fn http() -> reqwest::Client {
    crate::demo::stage::client().unwrap()
}

fn form(query: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.into(), decoded(value)))
        .collect()
}

pub(super) const FORM: &str = "application/x-www-form-urlencoded";
