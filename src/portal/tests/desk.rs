//! The approver's, the administrator's and the auditor's pages, as each of them sees them.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

use super::world::{ADA, Answer, BEN, GRACE, MALLORY, OTTO, PORTAL, ROOT, TILL, VAULT, WHY, Who, World, id};
use crate::domain::time::Span;

pub(super) const SEEN: &str = "go ahead, I am watching";
pub(super) const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> \u{202e}olleh";

pub(super) async fn look(world: &World, who: &Who, path: &str) -> Answer {
    let request = Request::builder().uri(path).header("accept", "text/html");
    let request = request.header("authorization", format!("Bearer {}", world.token(who)));
    let answer = world.ask_plainly(request.body(Body::empty()).unwrap()).await;
    assert!(answer.header("content-type").starts_with("text/html"), "{path}: {}", answer.text());
    let text = answer.text();
    for forbidden in [" onclick", " style=\"", "javascript:", "<script>", "onerror=alert(1)>"] {
        assert!(!text.contains(forbidden), "{path} holds {forbidden}: {text}");
    }
    answer
}

pub(super) async fn text(world: &World, who: &Who, path: &str) -> String {
    let answer = look(world, who, path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.text()
}

fn form(world: &World, who: &Who, path: &str, pairs: &[(&str, &str)], origin: Option<&str>) -> Request<Body> {
    let body: Vec<String> = pairs
        .iter()
        .map(|(name, value)| {
            let value = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
            format!("{name}={value}")
        })
        .collect();
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("accept", "text/html")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", format!("Bearer {}", world.token(who)));
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    request.body(Body::from(body.join("&"))).unwrap()
}

pub(super) async fn send(world: &World, who: &Who, path: &str, pairs: &[(&str, &str)]) -> Answer {
    world.ask_plainly(form(world, who, path, pairs, Some(PORTAL))).await
}

/// Somebody among many engineers.
fn engineer(number: usize) -> Who {
    Who { subject: Box::leak(format!("engineer-{number:03}").into_boxed_str()), ..BEN }
}

#[tokio::test]
async fn an_approver_sees_all_that_is_needed_to_decide_longest_waiting_first() {
    let world = World::new().await;
    let url = "https://shop.example/vault/k?a=%22%3E%3Cb%3E'&b=1";
    let body = json!({"role": VAULT, "duration": "1h", "justification": HOSTILE, "ticket": HOSTILE,
        "wanted": {"method": "DELETE", "url": url}});
    let first = world.post(&ADA, "/activations", &body).await.expect(201);
    assert_eq!(first["wanted"]["url"], "https://shop.example/vault/k", "its query is nobody's business");
    world.clock.advance(Span::minutes(1));
    let second = world.requested(&BEN, VAULT).await;
    let page = text(&world, &GRACE, "/approvals").await;
    for told in [
        "demo:ada",
        "ADA",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "<b><bdi>DELETE</bdi></b>",
        "https://shop.example/vault/k</bdi>",
        "/vault/**",
        "what shop/vault-reader opens",
        "never held before",
        ">1h<",
        "lapses",
        "One reason for all",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    let place = |request: &Value| page.find(&format!("case-{}", id(request))).unwrap();
    assert!(place(&first) < place(&second), "longest waiting first");
    for who in [&ADA, &MALLORY, &OTTO] {
        let page = text(&world, who, "/approvals").await;
        assert!(page.contains("Nothing waits for you.") && !page.contains(id(&first)), "{page}");
    }

    let approve = format!("/activations/{}/approve", id(&first));
    let words = [("revision", "1"), ("justification", SEEN), ("from", "/approvals")];
    let decided = send(&world, &GRACE, &approve, &words).await;
    let back = format!("/approvals?decided={}", id(&first).replace('_', "%5F"));
    assert_eq!((decided.status.as_u16(), decided.header("location")), (303, back.as_str()));
    let page = text(&world, &GRACE, &back).await;
    assert!(page.contains("Your decision is written down") && page.contains("Active"), "{page}");
    let page = text(&world, &MALLORY, &back).await;
    assert!(!page.contains("Your decision is written down"), "only to whoever may see the case: {page}");
    let elsewhere = [("revision", "1"), ("justification", SEEN), ("from", "//evil.example")];
    let deny = format!("/activations/{}/deny", id(&second));
    let decided = send(&world, &GRACE, &deny, &elsewhere).await;
    assert_eq!(decided.header("location"), format!("/activations/{}", id(&second)));
    world.clock.advance(Span::minutes(1));
    world.post(&ADA, &format!("/activations/{}/deactivate", id(&first)), &json!({})).await.expect(200);
    world.requested(&ADA, VAULT).await;
    let page = text(&world, &GRACE, "/approvals").await;
    assert!(page.contains("held once before"), "{page}");
}

#[tokio::test]
async fn a_denied_request_that_leads_to_no_gate_is_refused() {
    let world = World::new().await;
    for (method, url, pointer) in [
        ("GET", "https://evil.example/", "/wanted/url"),
        ("GET", "javascript:alert(1)", "/wanted/url"),
        ("GET", "https://shop.example/\"><b>", "/wanted/url"),
        ("GET", &format!("https://shop.example/{}", "a".repeat(4096)), "/wanted/url"),
        ("<b>", "https://shop.example/", "/wanted/method"),
        ("", "https://shop.example/", "/wanted/method"),
    ] {
        let body = json!({"role": VAULT, "justification": WHY, "wanted": {"method": method, "url": url}});
        let refused = world.post(&ADA, "/activations", &body).await;
        assert_eq!(refused.problem(400), "invalid_body", "{body}");
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{body}");
    }
}

#[tokio::test]
async fn a_hundred_requests_are_decided_at_once_with_a_result_each() {
    let world = World::new().await;
    let mut requests = Vec::new();
    for number in 0..100 {
        let who = engineer(number);
        requests.push((world.requested(&who, VAULT).await, who));
    }
    let page = text(&world, &GRACE, "/approvals").await;
    assert_eq!(page.matches("name=\"chosen\"").count(), 100, "all on one page");
    for (request, who) in requests.iter().take(3) {
        world.post(who, &format!("/activations/{}/cancel", id(request)), &json!({})).await.expect(200);
    }
    let line = |(index, (request, _)): (usize, &(Value, Who))| {
        let revision = if index == 99 { 7 } else { 1 };
        format!("{}:{revision}", id(request))
    };
    let lines: Vec<String> = requests.iter().enumerate().map(line).collect();
    let mut pairs: Vec<(&str, &str)> = lines.iter().map(|line| ("chosen", line.as_str())).collect();
    pairs.extend([("choice", "approve"), ("once", "0123456789abcdef0123456789abcdef")]);

    // no reason: the role demands one, so none is decided, and all stay chosen
    let refused = send(&world, &GRACE, "/approvals", &pairs).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("0 decided, 100 not."), "{}", refused.text());
    assert!(refused.text().contains("A justification is required."));
    assert_eq!(refused.text().matches(" checked").count(), 97, "what still waits stays chosen");

    pairs.push(("justification", SEEN));
    let answer = send(&world, &GRACE, "/approvals", &pairs).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let told = answer.text();
    assert!(told.contains("96 decided, 4 not."), "{told}");
    assert_eq!(told.matches(">Active</span>").count(), 96);
    assert_eq!(told.matches(">Refused</span>").count(), 4);
    let again = send(&world, &GRACE, "/approvals", &pairs).await.text();
    assert!(again.contains("96 decided, 4 not."), "the same form again gives the same results: {again}");

    let left = text(&world, &GRACE, "/approvals").await;
    assert_eq!(left.matches("class=\"card waiting ask\"").count(), 1, "{left}");
    let many: Vec<String> = (0..101).map(|number| format!("act_{number:026}:1")).collect();
    let mut pairs: Vec<(&str, &str)> = many.iter().map(|line| ("chosen", line.as_str())).collect();
    pairs.push(("choice", "deny"));
    let over = send(&world, &GRACE, "/approvals", &pairs).await;
    assert_eq!(over.status, 422);
    assert!(over.text().contains("decide on at most 100 at once"), "{}", over.text());
    let none = send(&world, &GRACE, "/approvals", &[("choice", "deny")]).await;
    assert!(none.status == 422 && none.text().contains("Choose at least one request"), "{}", none.text());
}

#[tokio::test]
async fn forms_are_taken_from_our_own_pages_only() {
    let world = World::new().await;
    let request = world.requested(&ADA, VAULT).await;
    let line = format!("{}:1", id(&request));
    let seal = "asg_04104104104104104104104104";
    for (who, path, pairs) in [
        (&GRACE, "/approvals", &[("chosen", line.as_str()), ("choice", "approve"), ("justification", SEEN)][..]),
        (&ROOT, "/assignments", &[("kind", "eligible"), ("role", TILL), ("principal", "demo:ben")]),
        (&ROOT, "/assignments/end", &[("chosen", seal), ("justification", WHY)]),
        (&ROOT, "/assignments/lock", &[("who", "demo:ada"), ("justification", WHY)]),
        (&ROOT, "/assignments/unlock", &[("who", "demo:ada"), ("justification", WHY)]),
        (&OTTO, "/history/journal", &[]),
    ] {
        for origin in [None, Some("https://shop.example"), Some("null"), Some("http://pim.example")] {
            let answer = world.ask_plainly(form(&world, who, path, pairs, origin)).await;
            assert_eq!(answer.status, 403, "{path} from {origin:?}: {}", answer.text());
        }
        let stray = [pairs, &[("state", "active")]].concat();
        assert_eq!(send(&world, who, path, &stray).await.status, 400, "{path} with a field it does not have");
    }
    let unchanged = world.get(&GRACE, &format!("/activations/{}", id(&request))).await.expect(200);
    assert_eq!((&unchanged["state"], &unchanged["revision"]), (&json!("pending"), &json!(1)));
    assert_eq!(world.get(&ROOT, "/eligible-assignments?principal=demo:ben").await.expect(200)["items"], json!([]));
    assert_eq!(world.get(&OTTO, "/audit/verification").await.expect(200)["state"], "never");
}

#[tokio::test]
async fn an_administrator_gives_changes_and_ends_and_is_told_what_is_wrong_beside_its_field() {
    let world = World::new().await;
    let wrong = [
        ("kind", "active"),
        ("role", "vault"),
        ("principal", "nobody"),
        ("ends_at", "soon"),
        ("justification", HOSTILE),
    ];
    let refused = send(&world, &ROOT, "/assignments", &wrong).await;
    assert_eq!(refused.status, 422);
    let told = refused.text();
    for fault in ["role-faults", "principal-faults", "ends_at-faults", "&lt;script&gt;"] {
        assert!(told.contains(fault), "{fault}: {told}");
    }
    assert!(!told.contains("<script>"));
    let past = [
        ("kind", "active"),
        ("role", TILL),
        ("principal", "demo:ben"),
        ("starts_at", "2030-01-01T00:00"),
        ("ends_at", "2029-01-01T00:00"),
        ("offset", "+00:00"),
        ("offset", "+00:00"),
    ];
    let refused = send(&world, &ROOT, "/assignments", &past).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("ends_at-faults"), "{}", refused.text());

    let good = [("kind", "eligible"), ("role", TILL), ("principal", "demo:ben"), ("justification", HOSTILE)];
    let made = send(&world, &ROOT, "/assignments", &good).await;
    assert_eq!(made.status, 303, "{}", made.text());
    let place = made.header("location").to_owned();
    assert!(text(&world, &ROOT, &place).await.contains("Another window"));
    let id = place.trim_start_matches("/assignments/");

    // offsets belong to their own field
    let window = [
        ("starts_at", "2026-12-01T00:00"),
        ("ends_at", "2027-07-01T00:00"),
        ("offset", "+01:00"),
        ("offset", "+02:00"),
        ("justification", "for the summer"),
    ];
    let changed = send(&world, &ROOT, &place, &window).await;
    assert_eq!(changed.status, 303, "{}", changed.text());
    let shown = world.get(&ROOT, &format!("/eligible-assignments/{id}")).await.expect(200);
    assert_eq!(
        (&shown["starts_at"], &shown["ends_at"]),
        (&json!("2026-11-30T23:00:00.000Z"), &json!("2027-06-30T22:00:00.000Z"))
    );

    let list = text(&world, &ROOT, "/assignments?principal=demo:ben").await;
    assert!(list.contains(&place) && list.contains("Choose") && list.contains("Assign a role"), "{list}");
    assert!(!text(&world, &ROOT, "/assignments?kind=active&principal=demo:ben").await.contains(&place));
    let bad = look(&world, &ROOT, "/assignments?principal=nobody").await;
    assert!(bad.status == 422 && bad.text().contains("principal-faults"), "{}", bad.text());
    let watched = text(&world, &OTTO, "/assignments").await;
    assert!(watched.contains(&place) && !watched.contains("Assign a role") && !watched.contains("name=\"chosen\""));
    assert!(text(&world, &BEN, "/assignments").await.contains(&place), "one's own");
    assert!(!text(&world, &MALLORY, "/assignments").await.contains("/assignments/asg_"));

    let configured = world.get(&ROOT, "/eligible-assignments?principal=demo:ada").await.expect(200);
    let configured = configured["items"][0]["id"].as_str().unwrap().to_owned();
    let confirm = text(&world, &ROOT, &format!("/assignments/end?chosen={id}&chosen={configured}")).await;
    assert!(confirm.contains("End all 2 now"), "{confirm}");
    let both = [("chosen", id), ("chosen", configured.as_str()), ("justification", "nobody needs them")];
    let ended = send(&world, &ROOT, "/assignments/end", &both).await;
    assert_eq!(ended.status, 200, "{}", ended.text());
    assert!(ended.text().contains("1 ended, 1 not.") && ended.text().contains("onfiguration"), "{}", ended.text());
    assert!(text(&world, &ROOT, &place).await.contains("Removed"));

    let nobody = "/assignments/asg_00000000000000000000000001";
    let (foreign, absent) = (look(&world, &MALLORY, &place).await, look(&world, &MALLORY, nobody).await);
    assert_eq!((foreign.status.as_u16(), foreign.text()), (404, absent.text()));
    for who in [&OTTO, &GRACE, &ADA] {
        let denied = send(&world, who, "/assignments", &good).await;
        assert!(denied.status == 403 && denied.text().contains("dministrator"), "{}", denied.text());
    }
}

#[tokio::test]
async fn a_lock_says_what_it_will_end_and_ends_it() {
    let world = World::new().await;
    let held = world.ada_holds_the_vault().await;
    let page = text(&world, &ROOT, "/assignments/person?who=demo:ada").await;
    assert!(page.contains("1 role held") && page.contains("Lock now") && page.contains(id(&held)), "{page}");
    let unsaid = send(&world, &ROOT, "/assignments/lock", &[("who", "demo:ada"), ("justification", " ")]).await;
    assert!(unsaid.status == 422 && unsaid.text().contains("justification-faults"), "{}", unsaid.text());
    let locked =
        send(&world, &ROOT, "/assignments/lock", &[("who", "demo:ada"), ("justification", "laptop is lost")]).await;
    assert_eq!((locked.status.as_u16(), locked.header("location")), (303, "/assignments/person?who=demo%3Aada"));
    let page = text(&world, &ROOT, "/assignments/person?who=demo:ada").await;
    assert!(page.contains("Locked.") && page.contains(">Unlock</button>") && !page.contains(id(&held)), "{page}");
    assert_eq!(world.get(&ROOT, &format!("/activations/{}", id(&held))).await.expect(200)["ending"], "locked");
    let unlocked =
        send(&world, &ROOT, "/assignments/unlock", &[("who", "demo:ada"), ("justification", "found again")]).await;
    assert_eq!(unlocked.status, 303);
    assert!(text(&world, &ROOT, "/assignments/person?who=demo:ada").await.contains("Lock now"));
    assert!(
        !text(&world, &OTTO, "/assignments/person?who=demo:ada").await.contains("Lock now"),
        "an auditor only looks"
    );
    for short in ["demo:ada", "demo:nobody", "elsewhere:ada", ""] {
        assert_eq!(look(&world, &MALLORY, &format!("/assignments/person?who={short}")).await.status, 404, "{short}");
    }
}
