//! A person before a browser: cookies for each origin, no redirect followed unless the story says so.

use std::collections::HashMap;

use hallpass::demo::issuer::Client;
use reqwest::{Method, Url};

use super::house::House;
use super::people::Answer;

/// Where browsers find the gate and the portal of a house that people sign in to.
pub const GATE: &str = "http://gate.localhost";
pub const PORTAL: &str = "http://portal.localhost";
pub const CLIENT: &str = "browser";
const LIVE: &str = r#"
[[route]]
name = "live"
path = "/vault/events"
mode = "signed_in"
upstream = "larder"
"#;

/// Somebody's browser.
pub struct Visitor<'h> {
    house: &'h House,
    cookies: HashMap<(String, String), String>,
}

impl House {
    /// A house that people sign in to with a browser, with a stream at `/vault/events` for everybody who is signed in.
    pub async fn signing_in() -> Self {
        Self::signing_in_as(|text| text).await
    }

    /// The same, with a configuration that is changed once more.
    pub async fn signing_in_as(change: impl FnOnce(String) -> String) -> Self {
        let house = Self::written_as(|text, issuer| {
            issuer.register(Client::hallpass(CLIENT, GATE, PORTAL));
            let keys = format!("jwks_url = \"{}\"", issuer.keys_url());
            let sign_in = format!(
                "{keys}\n[issuer.sign_in]\nclient_id = \"{CLIENT}\"\nscopes = [\"openid\", \"profile\", \"email\", \"groups\"]\n"
            );
            let text = text.replace("http://gate.test", GATE).replace("http://portal.test", PORTAL);
            assert!(text.contains(&keys), "the configuration names the keys");
            change(format!("{}\n{LIVE}", text.replace(&keys, &sign_in)))
        })
        .await;
        // where it really listens is known only now
        let mut client = Client::hallpass(CLIENT, GATE, PORTAL);
        client.backchannel_logout_uri = Some(format!("{}/backchannel-logout", house.portal()));
        house.issuer.register(client);
        house
    }

    pub fn visitor(&self) -> Visitor<'_> {
        Visitor { house: self, cookies: HashMap::new() }
    }
}

impl<'h> Visitor<'h> {
    /// The same browser at the same house after it was restarted.
    pub fn keep(self) -> HashMap<(String, String), String> {
        self.cookies
    }

    pub fn back(house: &'h House, cookies: HashMap<(String, String), String>) -> Self {
        Self { house, cookies }
    }

    /// The cookies of an origin, as a header carries them.
    pub fn cookies(&self, origin: &str) -> String {
        let own = self.cookies.iter().filter(|((of, _), _)| of == origin);
        own.map(|((_, name), value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// Goes to an address as browsers do when somebody follows a link.
    pub async fn opens(&mut self, url: &str) -> Answer {
        self.sends(Method::GET, url, &[("sec-fetch-mode", "navigate")], None).await
    }

    /// Sends a form of a page of the same origin.
    pub async fn submits(&mut self, url: &str, form: &str) -> Answer {
        let origin = origin_of(url);
        let headers = [("sec-fetch-mode", "navigate"), ("sec-fetch-site", "same-origin"), ("origin", origin.as_str())];
        self.sends(Method::POST, url, &headers, Some(form)).await
    }

    /// Sends anything.
    pub async fn sends(&mut self, method: Method, url: &str, headers: &[(&str, &str)], form: Option<&str>) -> Answer {
        let origin = origin_of(url);
        let real = match origin.as_str() {
            GATE => url.replacen(GATE, &self.house.gate(), 1),
            PORTAL => url.replacen(PORTAL, &self.house.portal(), 1),
            _ => url.to_owned(),
        };
        let mut request = self.house.http.request(method, real);
        let cookies = self.cookies(&origin);
        if !cookies.is_empty() {
            request = request.header("cookie", cookies);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(form) = form {
            request = request.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned());
        }
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        for set in headers.get_all("set-cookie") {
            let text = set.to_str().expect("text");
            let (name, value) = text.split(';').next().and_then(|pair| pair.split_once('=')).expect("a pair");
            let key = (origin.clone(), name.to_owned());
            if text.contains("Max-Age=0") {
                self.cookies.remove(&key);
            } else {
                self.cookies.insert(key, value.to_owned());
            }
        }
        Answer { status, headers, text: response.text().await.expect("a body") }
    }

    /// Opens a page that needs somebody, and is sent to the provider: the address there.
    pub async fn sent_away(&mut self, url: &str) -> String {
        let sent = self.opens(url).await;
        let sign_in =
            if sent.status == 302 || sent.status == 303 { sent.header("location").to_owned() } else { next(&sent) };
        assert!(sign_in.contains("sign-in?"), "{sign_in} {}", sent.text);
        let sign_in = Url::parse(&origin_of(url)).expect("an origin").join(&sign_in).expect("an address");
        let away = self.opens(sign_in.as_str()).await.expect(302);
        away.header("location").to_owned()
    }

    /// Says at the provider who it is: the address the provider sends the browser back to.
    pub async fn says(&mut self, provider: &str, fields: &str) -> String {
        let page = self.opens(provider).await;
        let answered = if page.status == 200 { self.submits(provider, fields).await } else { page };
        assert!((302..=303).contains(&answered.status), "{} {}", answered.status, answered.text);
        answered.header("location").to_owned()
    }

    /// Comes back from the provider: where the person is then.
    pub async fn comes_back(&mut self, callback: &str) -> String {
        let answer = self.opens(callback).await;
        match answer.status {
            303 => answer.header("location").to_owned(),
            200 => next(&answer),
            status => panic!("{status} {}", answer.text),
        }
    }

    /// The whole way, from a page that needs somebody to where they are afterwards.
    pub async fn signs_in(&mut self, url: &str, fields: &str) -> String {
        let provider = self.sent_away(url).await;
        let callback = self.says(&provider, fields).await;
        self.comes_back(&callback).await
    }
}

/// Where a page goes on to by itself.
pub fn next(answer: &Answer) -> String {
    let at = answer.text.split("content=\"0; url=").nth(1).unwrap_or_else(|| panic!("no way on: {}", answer.text));
    at.split('"').next().unwrap_or_default().replace("&amp;", "&")
}

fn origin_of(url: &str) -> String {
    Url::parse(url).expect("an address").origin().ascii_serialization()
}
