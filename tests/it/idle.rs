//! A page of the portal that was left open follows the journal, and keeps nobody signed in.

use std::time::Instant;

use hallpass::clock::awake;
use hallpass::domain::time::Span;
use reqwest::Method;

use crate::support::visitor::{CLIENT, GATE, PORTAL, Visitor};
use crate::support::{House, PATIENCE};

const ADA: &str = "person=ada&second_factor=yes";
/// What the script of a page that looks again by itself sends.
const FOLLOWS: (&str, &str) = ("x-hallpass-follows", "page");

/// A house where sessions idle after four minutes, sooner than the provider is asked again.
async fn idling() -> House {
    let mut house = House::signing_in().await;
    let client = format!("client_id = \"{CLIENT}\"\n");
    house.reload(&client, &format!("{client}session_idle = \"4m\"\n")).await.expect("reloaded");
    house
}

struct Tab(reqwest::Response, Instant);

impl Tab {
    async fn open(house: &House, ada: &Visitor<'_>, origin: &str) -> Self {
        let url = if origin == GATE {
            format!("{}/vault/events", house.gate())
        } else {
            format!("{}/api/v1/events", house.portal())
        };
        let opening = awake();
        let answer = house.http.get(url).header("cookie", ada.cookies(origin)).send().await.expect("a stream");
        assert_eq!(answer.status(), 200);
        let mut tab = Self(answer, opening);
        tab.until(if origin == GATE { "data:" } else { "event: open" }).await;
        tab
    }

    /// Reads past all that the application, which ticks each 200 ms, can have said before now.
    async fn until_it_speaks_again(&mut self) {
        let said = self.1.elapsed().as_millis() / 200 + 1;
        self.until(&format!("{{\"tick\":{}}}", said + 2)).await;
    }

    /// Reads until this is said.
    async fn until(&mut self, said: &str) {
        let mut text = String::new();
        let reads = async {
            while !text.contains(said) {
                match self.0.chunk().await {
                    Ok(Some(bytes)) => text.push_str(&String::from_utf8_lossy(&bytes)),
                    over => panic!("over before `{said}`: {over:?} {text}"),
                }
            }
        };
        assert!(tokio::time::timeout(PATIENCE, reads).await.is_ok(), "never said: {said}");
    }
}

async fn looks(ada: &mut Visitor<'_>, headers: &[(&str, &str)]) -> u16 {
    let all = [&[("accept", "text/html"), ("sec-fetch-site", "same-origin")], headers].concat();
    ada.sends(Method::GET, &format!("{PORTAL}/"), &all, None).await.status
}

#[tokio::test]
async fn a_tab_left_open_follows_and_lets_its_session_idle() {
    let house = idling().await;
    let mut ada = house.visitor();
    ada.signs_in(&format!("{PORTAL}/"), ADA).await;
    let mut tab = Tab::open(&house, &ada, PORTAL).await;
    for _ in 0..2 {
        house.pass(Span::minutes(1));
        // something happens, and the page looks again
        house.ada_holds_the_vault("10s").await;
        tab.until("event: activation").await;
        assert_eq!(looks(&mut ada, &[FOLLOWS]).await, 200);
        house.pass(Span::minutes(1));
    }
    tab.until("event: end").await;
    assert_eq!(looks(&mut ada, &[FOLLOWS]).await, 303, "sent to sign in");
    assert_eq!(looks(&mut ada, &[]).await, 303, "and coming back does not revive it");
    house.stop().await;
}

#[tokio::test]
async fn whoever_does_something_stays_signed_in_and_their_tab_goes_on() {
    let house = idling().await;
    let mut ada = house.visitor();
    ada.signs_in(&format!("{PORTAL}/"), ADA).await;
    let mut tab = Tab::open(&house, &ada, PORTAL).await;
    for round in 1..=3 {
        house.pass(Span::minutes(2));
        let seen = looks(&mut ada, &[]).await;
        assert_eq!(seen, 200, "after {} minutes", 2 * round);
    }
    house.ada_holds_the_vault("10s").await;
    tab.until("event: activation").await;
    house.stop().await;
}

#[tokio::test]
async fn an_open_stream_of_the_application_is_a_use() {
    let house = idling().await;
    let mut ada = house.visitor();
    ada.signs_in(&format!("{GATE}/account"), ADA).await;
    let mut feed = Tab::open(&house, &ada, GATE).await;
    for _ in 0..4 {
        house.pass(Span::minutes(2));
        // the guard of the stream wakes on its own thread; what it lets through shows that it did
        feed.until_it_speaks_again().await;
    }
    ada.opens(&format!("{GATE}/account")).await.expect(200);
    house.stop().await;
}
