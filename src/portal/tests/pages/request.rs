//! One case's page: for its requester, its approver and those with authority; and what each sends from it.

use http::{Method, Request};
use serde_json::{Value, json};

use super::super::world::{ADA, BEN, GRACE, OTTO, ROOT, TILL, VAULT, WHY, Who, World, id};
use super::{HOSTILE, encoded, faults};
use crate::domain::time::Span;

const BACK: &str = "https://shop.example/vault";
const GO: &str = "go ahead, I am watching";

fn path(case: &Value) -> String {
    format!("/activations/{}", id(case))
}

fn back(case: &Value) -> String {
    format!("{}?return_to={}", path(case), encoded(BACK))
}

#[tokio::test]
async fn the_requester_waits_and_is_taken_back_with_and_without_script() {
    let world = World::new().await;
    let case = world.requested(&ADA, VAULT).await;
    let text = world.page(&ADA, &back(&case)).await.text();
    for expected in [
        "Pending",
        WHY,
        "anyone in <code><bdi>demo:leads</bdi></code>",
        "you are taken back to",
        "shop.example/vault",
        "data-live=\"\"",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let again = format!("{}&wait=yes", back(&case).replace("shop.example", "shop%2Eexample"));
    let refresh = format!("<noscript><meta http-equiv=\"refresh\" content=\"5; url={}\">", again.replace('&', "&amp;"));
    assert!(text.contains(&refresh), "{refresh}: {text}");
    assert!(!text.contains("data-go"), "{text}");
    assert_eq!(world.page(&ADA, &again).await.status, 200, "still waiting");

    let body = json!({"revision": 1, "justification": GO});
    world.post(&GRACE, &format!("{}/approve", path(&case)), &body).await.expect(200);
    let answer = world.page(&ADA, &again).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, BACK), "without script");
    let text = world.page(&ADA, &back(&case)).await.text();
    assert!(
        text.contains(&format!("href=\"{BACK}\" rel=\"noreferrer\" data-go=\"{}\"", id(&case))),
        "with script: {text}"
    );
    assert!(!text.contains("http-equiv=\"refresh\""), "{text}");
    world.clock.advance(Span::seconds(61));
    let text = world.page(&ADA, &back(&case)).await.text();
    assert!(
        text.contains(&format!("href=\"{BACK}\"")) && !text.contains("data-go"),
        "later it is only offered: {text}"
    );
    for who in [&GRACE, &ROOT] {
        let text = world.page(who, &again).await.text();
        assert!(!text.contains(BACK), "only who asked is taken there: {text}");
    }
    let elsewhere = format!("{}?return_to=https%3A%2F%2Fevil.example%2F&wait=yes", path(&case));
    let answer = world.page(&ADA, &elsewhere).await;
    assert!(answer.status == 200 && !answer.text().contains("evil"), "{}", answer.text());
}

#[tokio::test]
async fn an_approver_decides_from_the_page() {
    let world = World::new().await;
    let case = world.requested(&ADA, VAULT).await;
    let text = world.page(&GRACE, &path(&case)).await.text();
    for expected in ["Waits for your decision.", "formaction=\"", "name=\"revision\" value=\"1\"", "as asked, 1h", WHY]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let refused = world
        .form(
            &GRACE,
            &format!("{}/approve", path(&case)),
            &[("revision", "1"), ("justification", "ok"), ("duration", "15m")],
        )
        .await;
    assert_eq!(refused.status, 422);
    assert_eq!(faults(&refused, &format!("decide-{}-justification", id(&case))).len(), 1, "{}", refused.text());
    assert!(
        refused.text().contains(">\nok</textarea>") && refused.text().contains("value=\"15m\" selected"),
        "{}",
        refused.text()
    );
    let denied = [("revision", "1"), ("justification", GO), ("duration", "15m")];
    assert_eq!(
        world.form(&GRACE, &format!("{}/deny", path(&case)), &denied).await.status,
        422,
        "a denial shortens nothing"
    );
    let stale =
        world.form(&GRACE, &format!("{}/approve", path(&case)), &[("revision", "7"), ("justification", GO)]).await;
    assert_eq!(stale.status, 409);
    assert!(stale.text().contains("The request has changed since you saw it"), "{}", stale.text());

    let fields =
        [("revision", "1"), ("justification", GO), ("duration", "15m"), ("starts_at", ""), ("offset", "+00:00")];
    let done = world.form(&GRACE, &format!("{}/approve", path(&case)), &fields).await;
    assert_eq!((done.status.as_u16(), done.header("location")), (303, path(&case).as_str()));
    let shown = world.get(&ADA, &path(&case)).await.expect(200);
    assert_eq!(shown["decisions"][0]["adjusted"]["duration"], "15m");
    let text = world.page(&GRACE, &path(&case)).await.text();
    assert!(text.contains("Approved, changed to for") || text.contains("changed to"), "{text}");
    assert!(text.contains("GRACE") && text.contains(GO) && !text.contains("formaction"), "{text}");
    let late = world.form(&GRACE, &format!("{}/deny", path(&case)), &[("revision", "3"), ("justification", GO)]).await;
    assert_eq!(late.status, 409);
    assert!(late.text().contains("Nothing is pending here."), "{}", late.text());
}

#[tokio::test]
async fn each_may_try_what_fits_and_nobody_else_sees_it() {
    let world = World::new().await;
    let case = world.requested(&ADA, VAULT).await;
    let acts = ["/cancel\"", "/deactivate\"", "/extend\"", "/revoke\"", "/approve\""];
    let offered = |who: &'static Who| {
        let (world, path) = (&world, path(&case));
        async move {
            let text = world.page(who, &path).await.text();
            acts.map(|act| text.contains(act))
        }
    };
    assert_eq!(offered(&ADA).await, [true, false, false, false, false]);
    assert_eq!(offered(&GRACE).await, [false, false, false, false, true]);
    assert_eq!(offered(&ROOT).await, [false, false, false, true, false]);
    assert_eq!(offered(&OTTO).await, [false; 5], "an auditor changes nothing");
    assert_eq!(world.page(&BEN, &path(&case)).await.status, 404);
    let body = json!({"revision": 1, "justification": GO});
    world.post(&GRACE, &format!("{}/approve", path(&case)), &body).await.expect(200);
    assert_eq!(offered(&ADA).await, [false, true, true, false, false]);
    assert_eq!(offered(&GRACE).await, [false, false, false, true, false]);
    world.clock.advance(Span::hours(2));
    for who in [&ADA, &GRACE, &ROOT, &OTTO] {
        assert_eq!(offered(who).await, [false; 5], "over: {}", who.subject);
    }
}

#[tokio::test]
async fn extending_deactivating_and_revoking_are_told_and_refused_in_place() {
    let world = World::new().await;
    let held = world.requested(&ADA, TILL).await;
    let short = [("duration", "1h"), ("justification", "more")];
    let refused = world.form(&ADA, &format!("{}/extend", path(&held)), &short).await;
    assert_eq!(refused.status, 422);
    assert_eq!(faults(&refused, &format!("extend-{}-justification", id(&held))).len(), 1, "{}", refused.text());
    assert!(refused.text().contains("<details class=\"drawer\" open"), "the drawer stays open: {}", refused.text());
    let once = "0123456789abcdef0123456789abcdef";
    let fields = [("duration", "1h"), ("justification", WHY), ("once", once)];
    for _ in 0..2 {
        assert_eq!(world.form(&ADA, &format!("{}/extend", path(&held)), &fields).await.header("location"), path(&held));
    }
    let shown = world.get(&ADA, &path(&held)).await.expect(200);
    assert_eq!(shown["window"]["ends_at"], "2026-11-23T05:30:00.000Z", "sent twice, extended once");
    assert_eq!(
        world.form(&GRACE, &format!("{}/revoke", path(&held)), &[]).await.status,
        404,
        "she approves another role"
    );
    let revoked = world.form(&ROOT, &format!("{}/revoke", path(&held)), &[("justification", "wrong shop")]).await;
    assert_eq!(revoked.status, 303);
    let text = world.page(&ADA, &back(&held)).await.text();
    for expected in ["Revoked", "It was taken away.", "wrong shop", "ROOT", "Ask again", "Extended until"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let late = world.form(&ADA, &format!("{}/deactivate", path(&held)), &[]).await;
    assert_eq!(late.status, 409);
    assert!(late.text().contains("It has already ended."), "{}", late.text());
}

#[tokio::test]
async fn nothing_that_people_wrote_becomes_markup() {
    let world = World::new().await;
    let body = json!({"role": VAULT, "justification": HOSTILE, "ticket": HOSTILE});
    let case = world.post(&ADA, "/activations", &body).await.expect(201);
    for who in [&ADA, &GRACE, &ROOT, &OTTO] {
        let text = world.page(who, &path(&case)).await.text();
        assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{text}");
    }
    let body = json!({"revision": 1, "justification": HOSTILE});
    world.post(&GRACE, &format!("{}/approve", path(&case)), &body).await.expect(200);
    world.post(&ROOT, &format!("{}/revoke", path(&case)), &json!({"justification": HOSTILE})).await.expect(200);
    for page in ["/".to_owned(), path(&case), back(&case)] {
        let text = world.page(&ADA, &page).await.text();
        assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}: {text}");
    }
    let text = world.page(&ADA, &path(&case)).await.text();
    assert_eq!(
        text.matches("<q class=\"said\" dir=\"auto\">").count(),
        3,
        "turned letters stay in their place: {text}"
    );
}

#[tokio::test]
async fn a_form_of_somebody_unknown_does_nothing() {
    let world = World::new().await;
    let case = world.requested(&ADA, VAULT).await;
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}/cancel", path(&case)))
        .header("origin", super::PORTAL)
        .header("accept", "text/html")
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = world.ask_plainly(request.body(super::sent(&[])).unwrap()).await;
    assert!(
        answer.text().contains("HALLPASS_TOKEN")
            || answer.text().contains("HALLPASS_PORTAL")
            || answer.text().contains("--portal"),
        "{}",
        answer.text()
    );
    assert_eq!(world.get(&ADA, &path(&case)).await.expect(200)["state"], "pending");
}
