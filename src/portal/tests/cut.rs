//! Where the journal was cut: whoever looks for something old is told where to look, and learns nothing else by it.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

use super::desk::{look, text};
use super::pages::many::ada_asks;
use super::world::{ADA, Answer, MALLORY, NOW, OTTO, TILL, VAULT, WHY, World, id, policies, policy};
use crate::clock::format_rfc3339;
use crate::domain::activation::Ending;
use crate::domain::event::{Actor, Detail, Event};
use crate::domain::id::{ActivationId, CommandId};
use crate::domain::policy::ApprovalRule;
use crate::domain::time::{Span, Timestamp};
use crate::journal::Digest;
use crate::portal::Limits;
use crate::store::{Header, Opened, Planned, Wanted};

const ABSENT: &str = "act_00000000000000000000000001";

/// The case that is gone, and the one of which only the end is left.
fn gone() -> ActivationId {
    ActivationId::from_random([1; 16])
}

fn halved() -> ActivationId {
    ActivationId::from_random([2; 16])
}

fn day(number: u64) -> Timestamp {
    Timestamp::from_seconds(NOW).plus(Span::days(number))
}

/// Ada asked twice and withdrew, once on day 0 and once on day 20; on day 30 all of before day 10 was cut.
fn past(Opened { reader, appender }: &mut Opened) {
    let mut drawn = 0_u8;
    let mut append = |time: Timestamp, event: Event| {
        drawn += 1;
        let command = CommandId::from_random([drawn; 16]);
        let header = Header { command, time, actor: Actor::Hallpass, idempotency: None };
        let mut transaction = appender.begin().unwrap();
        let detail = Detail { justification: Some(WHY.to_owned()), ..Detail::default() };
        transaction.append(&header, &[event], &detail).unwrap();
        transaction.commit().unwrap();
    };
    for activation in [gone(), halved()] {
        let requested = ada_asks(activation, day(30), policy(TILL, ApprovalRule::default()).terms());
        append(day(0), requested);
    }
    append(day(1), Event::ActivationEnded { activation: gone(), ending: Ending::Cancelled, at: day(1) });
    append(day(20), Event::ActivationEnded { activation: halved(), ending: Ending::Cancelled, at: day(20) });
    let wanted = Wanted::before(day(10), day(30));
    let snapshot = reader.snapshot().unwrap();
    let Planned::Cut(plan) = snapshot.plan_cut(&wanted, &mut |_, _| {}).unwrap() else { panic!("nothing to cut") };
    let mut archive = Vec::new();
    snapshot.write_archive(&plan, &mut archive, &mut |_, _| {}).unwrap();
    appender.cut(&plan, Digest::of(&[&archive]), day(30), (Actor::Operator, &Detail::default())).unwrap();
}

async fn world() -> World {
    World::over(Limits::default(), policies([]), past).await
}

/// What everybody is told of that cut.
fn told() -> Value {
    json!({"until": format_rfc3339(day(1)), "at": format_rfc3339(day(30)), "record": 6})
}

#[tokio::test]
async fn unknown_foreign_and_cut_are_one_answer_that_tells_of_the_cut() {
    let world = world().await;
    let foreign = world.requested(&ADA, VAULT).await;
    let unknown = |answer: &Answer| (answer.problem(404), answer.bytes.clone());
    let absent = world.get(&MALLORY, &format!("/activations/{ABSENT}")).await;
    assert_eq!(absent.json()["cut"], told(), "{}", absent.text());
    let absent = unknown(&absent);
    let gone = gone().to_string();
    for name in [gone.as_str(), id(&foreign), "nonsense", "%ff"] {
        for path in ["/activations/", "/uses?activation=", "/audit?activation=", "/active-assignments/"] {
            let path = format!("{path}{name}");
            assert_eq!(unknown(&world.get(&MALLORY, &path).await), absent, "{path}");
        }
        for (command, body) in [
            ("approve", json!({"revision": 1, "justification": "go ahead, I am watching"})),
            ("cancel", json!({})),
            ("revoke", json!({"justification": "it is enough"})),
        ] {
            let path = format!("/activations/{name}/{command}");
            assert_eq!(unknown(&world.post(&MALLORY, &path, &body).await), absent, "{path}");
        }
    }
    let removed = "/eligible-assignments/asg_00000000000000000000000001";
    assert_eq!(unknown(&world.send(&MALLORY, Method::DELETE, removed, &json!({})).await), absent);
    assert_eq!(unknown(&world.get(&ADA, &format!("/activations/{gone}")).await), absent, "her own once");

    // what was never cut says nothing of it, nor is a stranger told
    for path in ["/roles/shop/none", "/nowhere"] {
        assert_eq!(world.get(&OTTO, path).await.expect(404)["cut"], Value::Null, "{path}");
    }
    let nobody = Request::builder().uri(format!("/api/v1/activations/{gone}")).body(Body::empty()).unwrap();
    assert_eq!(world.ask_plainly(nobody).await.expect(401)["cut"], Value::Null);

    let page = look(&world, &MALLORY, &format!("/activations/{ABSENT}")).await;
    for told in ["Is the link an old one?", "24 Nov 2026, 03:30 UTC", "23 Dec 2026, 03:30 UTC", "in the archive only"] {
        assert!(page.text().contains(told), "{told}: {}", page.text());
    }
    for name in [gone.as_str(), id(&foreign), "nonsense"] {
        for noun in ["activations", "history", "assignments"] {
            let answer = look(&world, &MALLORY, &format!("/{noun}/{name}")).await;
            assert_eq!(answer.status, 404);
            assert!(answer.text().contains("Is the link an old one?"), "{noun} {name}: {}", answer.text());
        }
        let answer = look(&world, &MALLORY, &format!("/activations/{name}")).await;
        assert_eq!((answer.status, answer.bytes), (page.status, page.bytes.clone()), "{name}");
    }
}

#[tokio::test]
async fn a_journal_that_was_never_cut_says_nothing_of_cuts() {
    let world = World::new().await;
    let absent = world.get(&MALLORY, &format!("/activations/{ABSENT}")).await;
    assert_eq!(absent.expect(404).get("cut"), None);
    assert!(!look(&world, &MALLORY, &format!("/activations/{ABSENT}")).await.text().contains("archive"));
    for path in ["/activations", "/audit"] {
        assert_eq!(world.get(&OTTO, path).await.expect(200).get("cut"), None, "{path}");
    }
    for path in ["/history", "/history/records"] {
        assert!(!text(&world, &OTTO, path).await.contains("cut from the journal"), "{path}");
    }
}

#[tokio::test]
async fn a_list_says_where_it_ends_that_older_ones_were_cut() {
    let world = world().await;
    world.requested(&ADA, TILL).await;
    let after = format!("from={}", format_rfc3339(day(1).plus(Span::seconds(1))));
    let (until, after) = (format_rfc3339(day(1)), after.as_str());
    for (path, tells) in [
        ("/activations", true),
        ("/activations?limit=1", false),
        ("/activations?state=ended", true),
        ("/activations?state=pending", false),
        ("/activations?waiting_for=me", false),
        (&format!("/activations?from={until}"), true),
        (&format!("/activations?{after}"), false),
        ("/activations?principal=demo%3Aben", true),
        ("/audit", true),
        (&format!("/audit?until={until}"), true),
        (&format!("/audit?{after}"), false),
        (&format!("/audit?activation={}", halved()), true),
        ("/active-assignments", false),
    ] {
        let page = world.get(&OTTO, path).await.expect(200);
        assert_eq!(page["cut"], if tells { told() } else { Value::Null }, "{path}: {page}");
    }
    let mut page = world.get(&OTTO, "/activations?limit=1").await.expect(200);
    let mut listed = 0;
    while let Some(next) = page["next"].as_str() {
        assert_eq!(page.get("cut"), None, "the list goes on: {page}");
        listed += page["items"].as_array().unwrap().len();
        page = world.get(&OTTO, &format!("/activations?limit=1&cursor={next}")).await.expect(200);
    }
    assert_eq!((listed, &page["cut"]), (2, &told()));
    let first = world.get(&OTTO, "/audit?limit=1").await.expect(200);
    assert_eq!((&first["items"][0]["sequence"], &first["cut"]), (&json!(1), &told()));
    let rest = format!("/audit?limit=1&cursor={}", first["next"].as_str().unwrap());
    assert_eq!(world.get(&OTTO, &rest).await.expect(200).get("cut"), None, "said once");

    let says = |path: String, words: &'static str| {
        let world = &world;
        async move {
            let page = text(world, &OTTO, &path).await;
            assert!(!words.is_empty() || !page.contains("cut from the journal"), "{path}: {page}");
            assert!(page.contains(words), "{path}: {page}");
        }
    };
    says("/history".to_owned(), "Older activations were cut from the journal").await;
    says("/history?outcome=denied".to_owned(), "Older activations were cut from the journal").await;
    says("/history?from=2026-11-24T03:30".to_owned(), "Older activations were cut from the journal").await;
    says("/history?from=2026-11-24T03:31".to_owned(), "").await;
    says("/history?outcome=pending".to_owned(), "").await;
    says("/history/records".to_owned(), "were cut from the journal and stand in its archive").await;
    says(format!("/history/{}", halved()), "Its beginning is missing").await;
    says(format!("/activations/{}", halved()), "Its beginning is missing").await;
}
