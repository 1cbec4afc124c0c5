//! One person's browser window, in the words of who looks at it.

use fantoccini::elements::Element;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, Locator};
use http::Method;
use reqwest::Url;
use serde_json::{Value, json};

use super::eventually;

/// A browser window.
pub struct Window {
    pub client: Client,
}

impl Window {
    pub(super) const fn over(client: Client) -> Self {
        Self { client }
    }

    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap_or_else(|error| panic!("{url} does not load: {error}"));
    }

    pub async fn address(&self) -> String {
        self.client.current_url().await.expect("an address").to_string()
    }

    /// Waits until the window is where `is_there` wants it.
    pub async fn arrives(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let arrived = eventually(async || Some(self.address().await).filter(|address| is_there(address))).await;
        match arrived {
            Some(address) => address,
            None => panic!("never at {what}: {}", self.told().await),
        }
    }

    /// What stands on the page.
    pub async fn text(&self) -> String {
        match self.client.find(Locator::Css("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// Waits until the page says `words`.
    pub async fn sees(&self, words: &str) {
        if eventually(async || self.text().await.contains(words).then_some(())).await.is_none() {
            panic!("never saw `{words}`: {}", self.told().await);
        }
    }

    /// Waits until there is such an element.
    pub async fn finds(&self, css: &str) -> Element {
        match eventually(async || self.client.find(Locator::Css(css)).await.ok()).await {
            Some(element) => element,
            None => panic!("there is no `{css}`: {}", self.told().await),
        }
    }

    pub async fn all(&self, css: &str) -> Vec<Element> {
        self.client.find_all(Locator::Css(css)).await.expect("a page")
    }

    pub async fn has(&self, css: &str) -> bool {
        !self.all(css).await.is_empty()
    }

    /// Clicks what bears these words: a link, a button, what unfolds, or what names a field.
    pub async fn clicks(&self, words: &str) {
        let path = format!(
            "//*[self::a or self::button or self::summary or self::label][contains(normalize-space(.), \"{words}\")]"
        );
        let clicked = eventually(async || {
            for element in self.client.find_all(Locator::XPath(&path)).await.ok()? {
                if element.is_displayed().await.is_ok_and(|displayed| displayed) {
                    // a part of the page may be replaced just now: then there is another one to click
                    return element.click().await.ok();
                }
            }
            None
        });
        if clicked.await.is_none() {
            panic!("nothing that says `{words}` can be clicked: {}", self.told().await);
        }
    }

    /// Writes into the field of this name, over what it holds.
    pub async fn writes(&self, name: &str, text: &str) {
        let field = self.finds(&format!("[name=\"{name}\"]")).await;
        field.clear().await.expect("an empty field");
        field.send_keys(text).await.expect("written");
    }

    /// The value of a script.
    pub async fn script(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.unwrap_or_else(|error| panic!("`{script}`: {error}"))
    }

    /// A command of the browser's own protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters }).to_string();
        self.client.issue_cmd(Devtools { body }).await.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Where the window is and what it shows, for whoever reads why a story failed.
    pub async fn told(&self) -> String {
        format!("{}\n---\n{}\n---", self.address().await, self.text().await)
    }

    pub async fn closes(self) {
        let _ = self.client.close().await;
    }
}

/// chromedriver's way to the protocol of Chromium's developer tools.
#[derive(Debug)]
struct Devtools {
    body: String,
}

impl WebDriverCompatibleCommand for Devtools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as std::str::FromStr>::Err> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.clone()))
    }
}
