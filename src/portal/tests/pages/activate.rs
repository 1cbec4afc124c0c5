//! Asking for a role in the browser.

use serde_json::json;

use super::super::world::{ADA, BEN, GRACE, MALLORY, TILL, VAULT, WHY, Who, World, id};
use super::{HOSTILE, encoded, faults};
use crate::domain::time::Span;

const BACK: &str = "https://shop.example/vault?a=1&b";

#[tokio::test]
async fn the_link_of_a_denial_fills_the_form_and_tells_the_rules() {
    let world = World::new().await;
    let link = format!(
        "/activate?role={VAULT}&return_to={}&duration=45m&justification=the+till&ticket=OPS-7&utm=x",
        encoded(BACK)
    );
    let answer = world.page(&ADA, &link).await;
    assert_eq!(answer.status, 200);
    let text = answer.text();
    for expected in [
        "<h1>Activate shop/vault-reader</h1>",
        "what shop/vault-reader opens",
        "anyone in <code><bdi>demo:leads</bdi></code>",
        "<code><bdi>/vault/**</bdi></code>",
        "name=\"return_to\" value=\"https://shop.example/vault?a=1&amp;b\"",
        "name=\"preset\" value=\"other\" checked",
        "name=\"duration\" value=\"45m\"",
        ">\nthe till</textarea>",
        "name=\"ticket\" value=\"OPS-7\"",
        "From 5m to 8h.",
        "with a second factor",
        "ADA",
        ">Request activation<",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let preset = world.page(&ADA, &format!("/activate?role={VAULT}&duration=120m")).await.text();
    assert!(preset.contains("name=\"preset\" value=\"2h\" checked"), "{preset}");
    let plain = world.page(&ADA, &format!("/activate?role={TILL}")).await.text();
    assert!(plain.contains("name=\"preset\" value=\"1h\" checked"), "the role's default: {plain}");
    assert!(plain.contains("nobody; the role is held at once") && plain.contains(">Activate</button>"), "{plain}");
}

#[tokio::test]
async fn a_request_leads_to_its_own_page_and_keeps_the_way_back() {
    let world = World::new().await;
    let fields = [
        ("role", VAULT),
        ("return_to", BACK),
        ("preset", "30m"),
        ("duration", ""),
        ("justification", WHY),
        ("ticket", "OPS-7"),
        ("starts_at", ""),
        ("offset", "+00:00"),
        ("once", "0123456789abcdef0123456789abcdef"),
    ];
    let answer = world.form(&ADA, "/activate", &fields).await;
    assert_eq!(answer.status, 303);
    let case = world.get(&ADA, "/activations").await.expect(200)["items"][0].clone();
    assert_eq!((&case["requested"]["duration"], &case["ticket"]), (&json!("30m"), &json!("OPS-7")));
    let location = answer.header("location");
    let back = "return_to=https%3A%2F%2Fshop%2Eexample%2Fvault%3Fa%3D1%26b";
    assert_eq!(location, format!("/activations/{}?{back}", id(&case)));
    assert_eq!(world.form(&ADA, "/activate", &fields).await.header("location"), location, "sent twice, asked once");

    let elsewhere =
        fields.map(|(name, value)| if name == "return_to" { (name, "https://evil.example/") } else { (name, value) });
    let ben = world.form(&BEN, "/activate", &elsewhere).await;
    assert!(ben.status == 303 && !ben.header("location").contains("evil"), "{}", ben.header("location"));
}

#[tokio::test]
async fn every_broken_rule_stands_beside_its_field_and_nothing_filled_in_is_lost() {
    let world = World::new().await;
    let weak = Who { amr: &["pwd"], ..ADA };
    let fields = [
        ("role", VAULT),
        ("preset", "other"),
        ("duration", "9h"),
        ("justification", "short"),
        ("ticket", "T-1"),
        ("starts_at", "2026-12-24T18:00"),
        ("offset", "+01:00"),
    ];
    let answer = world.form(&weak, "/activate", &fields).await;
    assert_eq!(answer.status, 422);
    assert_eq!(faults(&answer, "duration"), ["The duration is 9h; the longest is 8h."]);
    assert_eq!(faults(&answer, "justification"), ["The justification is 5 long; at least 10 characters are required."]);
    assert_eq!(faults(&answer, "starts_at"), ["The start lies more than 7d ahead."]);
    let text = answer.text();
    assert!(text.contains("A sign-in with a second factor is required."), "{text}");
    assert!(text.contains("3 things below need another look."), "{text}");
    for kept in ["value=\"9h\"", ">\nshort</textarea>", "value=\"T-1\"", "value=\"2026-12-24T17:00\""] {
        assert!(text.contains(kept), "{kept}: {text}");
    }

    // what cannot be read is told together with the rules that were broken
    let unreadable =
        [("role", VAULT), ("preset", "other"), ("duration", "soon"), ("starts_at", "never"), ("justification", "no")];
    let answer = world.form(&ADA, "/activate", &unreadable).await;
    assert_eq!(answer.status, 422);
    for (field, count) in [("duration", 1), ("starts_at", 1), ("justification", 1)] {
        assert_eq!(faults(&answer, field).len(), count, "{field}: {}", answer.text());
    }
    let both = [("role", VAULT), ("preset", "30m"), ("duration", "45m"), ("justification", WHY)];
    let answer = world.form(&ADA, "/activate", &both).await;
    assert_eq!(
        faults(&answer, "duration"),
        ["<code>30m</code> is chosen and <code>45m</code> is written; which one is meant?"]
    );
    let neither = [("role", VAULT), ("preset", "other"), ("duration", " "), ("justification", WHY)];
    assert_eq!(faults(&world.form(&ADA, "/activate", &neither).await, "duration").len(), 1);
    assert_eq!(world.get(&ADA, "/activations").await.expect(200)["items"], json!([]), "nothing was asked for");
}

#[tokio::test]
async fn a_weak_sign_in_is_told_before_anything_is_filled_in() {
    let world = World::new().await;
    let weak = Who { amr: &["pwd"], ..ADA };
    let text = world.page(&weak, &format!("/activate?role={VAULT}")).await.text();
    assert!(text.contains("stronger or fresher sign-in"), "{text}");
    assert!(!text.contains("/sign-in"), "no link where browsers cannot sign in: {text}");
    let strong = world.page(&ADA, &format!("/activate?role={VAULT}")).await.text();
    assert!(!strong.contains("stronger or fresher sign-in"), "{strong}");
}

#[tokio::test]
async fn who_may_not_activate_a_role_learns_nothing_of_it() {
    let world = World::new().await;
    let text = |who, role: &'static str| {
        let world = &world;
        async move {
            let answer = world.page(who, &format!("/activate?role={role}")).await;
            assert_eq!(answer.status, 403, "{role}");
            answer.text().replace(role, "ROLE")
        }
    };
    let absent = text(&MALLORY, "shop/nothing").await;
    assert_eq!(text(&MALLORY, VAULT).await, absent);
    assert!(text(&GRACE, VAULT).await.contains("You may not activate"), "an approver is no requester");
    let sent = world.form(&MALLORY, "/activate", &[("role", VAULT), ("preset", "1h"), ("justification", WHY)]).await;
    assert_eq!(sent.status, 403);
    assert!(!sent.text().contains("what shop/vault-reader opens"), "{}", sent.text());
    let malformed = world.page(&ADA, "/activate?role=%3Cb%3E").await;
    assert_eq!(malformed.status, 403);
}

#[tokio::test]
async fn what_stands_in_the_way_is_linked() {
    let world = World::new().await;
    let case = world.requested(&ADA, VAULT).await;
    let path = format!("/activations/{}", id(&case));
    let text = world.page(&ADA, &format!("/activate?role={VAULT}")).await.text();
    assert!(text.contains(&format!("href=\"{path}\"")), "{text}");
    let again = world.form(&ADA, "/activate", &[("role", VAULT), ("preset", "1h"), ("justification", WHY)]).await;
    assert_eq!(again.status, 409);
    assert!(again.text().contains("A request for this role is already pending.") && again.text().contains(&path));

    world.form(&ADA, "/activate", &[("role", TILL), ("preset", "1h"), ("justification", WHY)]).await;
    let held = world.page(&ADA, &format!("/activate?role={TILL}")).await.text();
    assert!(held.contains("You hold this role until"), "{held}");
}

#[tokio::test]
async fn nothing_that_is_filled_in_becomes_markup() {
    let world = World::new().await;
    let hostile = encoded(HOSTILE);
    let names = ["return_to", "duration", "starts_at", "justification", "ticket", "preset", "cursor", "search"];
    let query: Vec<String> = names.iter().map(|name| format!("{name}={hostile}")).collect();
    let answer = world.page(&ADA, &format!("/activate?role={VAULT}&{}", query.join("&"))).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{}", answer.text());
    assert_eq!(world.page(&ADA, &format!("/activate?role={hostile}")).await.status, 403);
    assert_eq!(world.page(&ADA, &format!("/activate?search={hostile}")).await.status, 200);
    let fields = ["return_to", "preset", "duration", "starts_at", "offset", "justification", "ticket"];
    let fields: Vec<_> = fields.iter().map(|name| (*name, HOSTILE)).chain([("role", VAULT)]).collect();
    assert_eq!(world.form(&ADA, "/activate", &fields).await.status, 422);
}

#[tokio::test]
async fn without_a_role_the_page_offers_those_one_may_activate() {
    let world = World::new().await;
    let text = world.page(&ADA, "/activate").await.text();
    assert!(
        text.contains("href=\"/activate?role=shop%2Ftill\"")
            && text.contains("href=\"/activate?role=shop%2Fvault%2Dreader\""),
        "{text}"
    );
    let found = world.page(&ADA, "/activate?search=VAULT").await.text();
    assert!(found.contains("role=shop%2Fvault") && !found.contains("role=shop%2Ftill"), "{found}");
    assert!(world.page(&ADA, "/activate?search=none").await.text().contains("No role matches."));
    assert!(world.page(&MALLORY, "/activate").await.text().contains("You may not activate any role."));
    world.clock.advance(Span::seconds(1));
    assert_eq!(world.page(&ADA, "/activate?cursor=AAAA").await.status, 200, "a stale cursor begins again");
}
