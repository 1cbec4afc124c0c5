//! Home: what one holds, asked for, may activate and used before.

use serde_json::json;

use super::super::world::{ADA, BEN, GRACE, MALLORY, OTTO, ROOT, TILL, VAULT, WHY, World, id};
use crate::domain::time::Span;

#[tokio::test]
async fn what_is_held_counts_down_and_can_be_handed_back_or_extended() {
    let world = World::new().await;
    let held = world.ada_holds_the_vault().await;
    let path = format!("/activations/{}", id(&held));
    world.clock.advance(Span::minutes(10));
    let text = world.page(&ADA, "/").await.text();
    for expected in [
        "<h1>Home</h1>",
        "50 min left",
        "title=\"2026-11-23 04:30:00 UTC\"",
        &format!("action=\"{path}/deactivate\""),
        &format!("action=\"{path}/extend\""),
        "<option value=\"8h\">",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    world.clock.advance(Span::minutes(50));
    let text = world.page(&ADA, "/").await.text();
    assert!(text.contains("You hold no role.") && !text.contains("deactivate\""), "over at its end: {text}");
}

#[tokio::test]
async fn what_waits_is_shown_with_who_decides_and_can_be_cancelled() {
    let world = World::new().await;
    let case = world.requested(&ADA, VAULT).await;
    let path = format!("/activations/{}", id(&case));
    let text = world.page(&ADA, "/").await.text();
    for expected in ["You asked for", "demo:leads", ">in 1 d</time>", &format!("action=\"{path}/cancel\"")] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert_eq!(world.form(&ADA, &format!("{path}/cancel"), &[]).await.header("location"), path);
    assert!(!world.page(&ADA, "/").await.text().contains("You asked for"));
}

#[tokio::test]
async fn a_later_start_and_a_direct_assignment_are_told_apart() {
    let world = World::new().await;
    let body = json!({"role": TILL, "starts_at": "2026-11-23T05:30:00Z", "justification": WHY});
    world.post(&ADA, "/activations", &body).await.expect(201);
    let text = world.page(&ADA, "/").await.text();
    assert!(text.contains("Scheduled") && text.contains("begins") && text.contains(">in 2 h<"), "{text}");
    let root = world.page(&ROOT, "/").await.text();
    assert!(root.contains("Assigned directly") && root.contains("without an end"), "{root}");
    assert!(!root.contains("/deactivate\""), "an assignment is not an activation: {root}");
}

#[tokio::test]
async fn the_last_activation_of_a_role_is_repeated_with_all_that_was_filled_in() {
    let world = World::new().await;
    let body = json!({"role": TILL, "duration": "45m", "justification": "count & <b>sort</b>", "ticket": "OPS-7"});
    for round in 0..2 {
        let case = world.post(&ADA, "/activations", &body).await.expect(201);
        world.post(&ADA, &format!("/activations/{}/deactivate", id(&case)), &json!({})).await.expect(200);
        let text = world.page(&ADA, "/").await.text();
        let link = "href=\"/activate?role=shop%2Ftill&amp;duration=45m&amp;justification=count%20%26%20%3Cb%3Esort%3C%2Fb%3E&amp;ticket=OPS%2D7\"";
        assert_eq!(text.matches(link).count(), 1, "once for each role, in round {round}: {text}");
    }
    let form = world
        .page(&ADA, "/activate?role=shop%2Ftill&duration=45m&justification=count%20%26%20%3Cb%3E&ticket=OPS%2D7")
        .await;
    assert!(form.text().contains("count &amp; &lt;b&gt;</textarea>"), "{}", form.text());
    assert!(!world.page(&BEN, "/").await.text().contains("You used before"));
}

#[tokio::test]
async fn the_navigation_holds_what_one_may_see_and_how_much_waits() {
    let world = World::new().await;
    for who in [&ADA, &BEN] {
        world.requested(who, VAULT).await;
    }
    let places = |text: &str| {
        ["/approvals", "/assignments", "/history", "/roles"].map(|place| text.contains(&format!("href=\"{place}\"")))
    };
    for (who, expected, waiting) in [
        (&ADA, [true, false, true, true], None),
        (&GRACE, [true, false, true, true], Some(2)),
        (&ROOT, [true, true, true, true], None),
        (&OTTO, [true, true, true, true], None),
    ] {
        let text = world.page(who, "/").await.text();
        assert_eq!(places(&text), expected, "{}", who.subject);
        let count = waiting.map(|count| format!("<span class=\"count\">{count}<"));
        assert_eq!(text.contains("class=\"count\""), count.is_some(), "{}", who.subject);
        assert!(count.is_none_or(|count| text.contains(&count)), "{text}");
        assert!(text.contains("aria-current=\"page\">Home<"), "{text}");
    }
}

#[tokio::test]
async fn a_locked_principal_is_told_so() {
    let world = World::new().await;
    world.post(&ROOT, "/principals/demo%3Aada/lock", &json!({"justification": WHY})).await.expect(200);
    let answer = world.page(&ADA, "/").await;
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains("The principal is locked."), "{}", answer.text());
}

#[tokio::test]
async fn who_may_nothing_is_told_what_to_do() {
    let world = World::new().await;
    let text = world.page(&MALLORY, "/").await.text();
    assert!(text.contains("You hold no role.") && text.contains("You may not activate any role."), "{text}");
}
