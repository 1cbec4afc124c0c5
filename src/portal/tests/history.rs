//! The auditor's pages, and what the roles' pages show to whom.

use serde_json::json;

use super::desk::{HOSTILE, SEEN, look, send, text};
use super::world::{ADA, BEN, GRACE, ISSUER, MALLORY, OTTO, ROOT, TILL, VAULT, WHY, World, id};
use crate::domain::id::ActivationId;
use crate::domain::principal::Principal;
use crate::uses::Use;

#[tokio::test]
async fn an_auditor_finds_activations_by_everything_and_reads_the_whole_story() {
    let world = World::new().await;
    let held = world.ada_holds_the_vault().await;
    let denied = world.requested(&BEN, VAULT).await;
    let no = json!({"revision": 1, "justification": HOSTILE});
    world.post(&GRACE, &format!("/activations/{}/deny", id(&denied)), &no).await.expect(200);
    let till = world.requested(&ADA, TILL).await;
    let activation: ActivationId = id(&held).parse().unwrap();
    for number in 0..60 {
        let used = Use {
            activation,
            principal: Principal::new(ISSUER, "ada"),
            at: world.clock.reading(),
            request_id: format!("request-{number}").into(),
            method: "GET".into(),
            host: "shop.example".into(),
            path: "/vault/<b>".into(),
            route: "vault".into(),
        };
        world.recorder.record(&used).await.unwrap();
    }
    let found = |page: &str| -> Vec<bool> {
        [&held, &denied, &till].into_iter().map(|case| page.contains(&format!("/history/{}", id(case)))).collect()
    };
    for (query, expected) in [
        ("", [true, true, true]),
        ("outcome=denied", [false, true, false]),
        ("outcome=active", [true, false, true]),
        ("outcome=expired", [false, false, false]),
        ("principal=demo:ada", [true, false, true]),
        ("role=shop/till", [false, false, true]),
        ("app=shop&outcome=denied", [false, true, false]),
        ("app=desk", [false, false, false]),
        ("until=2020-01-01T00:00", [false, false, false]),
        ("from=2020-01-01T00:00&principal=demo:ben", [false, true, false]),
    ] {
        for who in [&OTTO, &ROOT] {
            let page = text(&world, who, &format!("/history?{query}")).await;
            assert_eq!(found(&page), expected, "{query}: {page}");
        }
    }
    assert_eq!(found(&text(&world, &ADA, "/history").await), [true, false, true], "one's own");
    assert_eq!(found(&text(&world, &MALLORY, "/history").await), [false; 3]);
    assert_eq!(found(&text(&world, &MALLORY, "/history?role=shop/vault-reader").await), [false; 3]);
    let downloads = text(&world, &OTTO, "/history?principal=demo:ben&outcome=denied").await;
    let export = "/api/v1/audit/export?format=csv&amp;principal=demo%3Aben&amp;ending=denied";
    assert!(downloads.contains(export), "{downloads}");
    assert!(!text(&world, &ADA, "/history").await.contains("audit/export"));
    let file = world.get(&OTTO, "/audit/export?format=jsonl&principal=demo:ben&ending=denied").await;
    assert_eq!(file.text().lines().count(), 3, "asked, decided, ended: {}", file.text());
    for wrong in ["principal=nobody", "role=vault", "from=soon"] {
        assert_eq!(look(&world, &OTTO, &format!("/history?{wrong}")).await.status, 422, "{wrong}");
    }

    // uses are written in batches, a moment later
    let story = loop {
        let story = text(&world, &OTTO, &format!("/history/{}", id(&held))).await;
        if story.contains("rel=\"next\"") {
            break story;
        }
        tokio::task::yield_now().await;
    };
    assert!(story.contains("request-49<") && !story.contains("request-50<") && story.contains("/vault/&lt;b&gt;"));
    for told in [
        "Activation requested",
        "Activation decided",
        "Activation started",
        SEEN,
        WHY,
        "record 7",
        "signed in by pwd, otp",
        "/audit/export?format=csv&amp;activation=",
    ] {
        assert!(story.contains(told), "{told}: {story}");
    }
    let story = text(&world, &ADA, &format!("/history/{}", id(&held))).await;
    assert!(story.contains("demo:grace") && !story.contains("audit/export"), "{story}");
    assert!(text(&world, &GRACE, &format!("/history/{}", id(&denied))).await.contains("&lt;script&gt;"));
    let absent = look(&world, &MALLORY, "/history/act_00000000000000000000000001").await;
    let foreign = look(&world, &MALLORY, &format!("/history/{}", id(&held))).await;
    assert_eq!((foreign.status.as_u16(), foreign.text()), (404, absent.text()));
}

#[tokio::test]
async fn uses_and_records_come_page_by_page() {
    let limits = crate::portal::Limits::default();
    let world = World::with(limits).await;
    for _ in 0..30 {
        world.ada_has_the_till_for_a_moment().await;
    }
    let mut path = "/history/records".to_owned();
    let mut records = 0;
    for _ in 0..10 {
        let page = text(&world, &OTTO, &path).await;
        records += page.matches("class=\"card record\"").count();
        let next = page.split("rel=\"next\"").next().filter(|before| before.len() < page.len());
        let Some(before) = next else { break };
        path = before.rsplit_once("href=\"").unwrap().1.trim_end_matches(['"', ' ']).replace("&amp;", "&");
    }
    let all = world.get(&OTTO, "/audit/head").await.expect(200)["sequence"].as_u64().unwrap();
    assert_eq!(u64::try_from(records).unwrap(), all, "each once");
    let own = text(&world, &MALLORY, "/history/records").await;
    assert!(own.contains("No record matches."), "{own}");
    let of_kind = text(&world, &OTTO, "/history/records?event=activation_requested&role=shop/till").await;
    assert_eq!(of_kind.matches("class=\"card record\"").count(), 30);
}

#[tokio::test]
async fn the_journal_is_verified_beside_everything_else_by_those_who_may_see_it() {
    let world = World::new().await;
    world.ada_holds_the_vault().await;
    for who in [&ADA, &GRACE, &MALLORY] {
        assert_eq!(look(&world, who, "/history/journal").await.status, 403);
        assert_eq!(send(&world, who, "/history/journal", &[]).await.status, 403);
        assert_eq!(world.get(who, "/audit/verification").await.problem(403), "forbidden");
    }
    let head = world.get(&OTTO, "/audit/head").await.expect(200);
    let page = text(&world, &OTTO, "/history/journal").await;
    for told in [head["hash"].as_str().unwrap(), head["public_key"].as_str().unwrap(), "Not verified since"] {
        assert!(page.contains(told), "{told}: {page}");
    }
    let begun = send(&world, &OTTO, "/history/journal", &[]).await;
    assert_eq!((begun.status.as_u16(), begun.header("location")), (303, "/history/journal"));
    let outcome = loop {
        let state = world.get(&OTTO, "/audit/verification").await.expect(200);
        if state["state"] != "running" {
            break state;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((&outcome["state"], &outcome["hash"]), (&json!("whole"), &head["hash"]), "{outcome}");
    assert!(text(&world, &OTTO, "/history/journal").await.contains("Whole."));
    let again = world.post(&OTTO, "/audit/verification", &json!({})).await.expect(200);
    assert_ne!(again["state"], "never");
}

#[tokio::test]
async fn roles_are_shown_to_those_they_concern() {
    let world = World::new().await;
    let names = |page: &str| [VAULT, TILL].map(|role| page.contains(&format!("href=\"/roles/{role}\"")));
    assert_eq!(names(&text(&world, &ADA, "/roles").await), [true, true]);
    assert_eq!(names(&text(&world, &GRACE, "/roles").await), [true, false]);
    assert_eq!(names(&text(&world, &OTTO, "/roles?search=VAULT").await), [true, false]);
    assert_eq!(names(&text(&world, &MALLORY, "/roles").await), [false, false]);
    assert!(text(&world, &MALLORY, "/roles").await.contains("No role concerns you."));
    let page = text(&world, &ADA, &format!("/roles/{VAULT}")).await;
    for told in [
        "/vault/**",
        "demo:leads",
        "what shop/vault-reader opens",
        "required, 10 to 1000 characters",
        "not known yet",
        "/activate?role=",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert!(!page.contains("demo:engineers"), "who else is eligible is not for everybody: {page}");
    assert!(text(&world, &OTTO, &format!("/roles/{VAULT}")).await.contains("demo:engineers"));
    let (foreign, absent) =
        (look(&world, &MALLORY, &format!("/roles/{VAULT}")).await, look(&world, &MALLORY, "/roles/a/b").await);
    assert_eq!((foreign.status.as_u16(), foreign.text()), (404, absent.text()));
}
