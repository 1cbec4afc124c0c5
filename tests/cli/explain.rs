//! Stories of asking whether one would pass now, as the portal sees it.

use serde_json::{Value, json};

use crate::hallpass::{Said, ada, said};
use crate::portal::{ID, Portal};

const ASSIGNMENT: &str = "asg_00000000000000000000000002";

fn explain(me: &Value, request: &[&str]) -> Said {
    let portal = Portal::start();
    portal.answers("GET /me", 200, me);
    let mut arguments = vec!["explain", "--config", "tests/cli/fixtures/shop.toml"];
    arguments.extend(request);
    said(&mut ada(&portal, &arguments))
}

fn me(amr: &str) -> Value {
    json!({
        "principal": "corp:ada", "groups": ["corp:engineers"], "locked": false,
        "assurance": {"amr": [amr], "auth_time": "2026-11-23T08:00:00.000Z"},
        "held": [], "pending": [],
        "eligible": [{"role": "shop/vault-reader", "assignment": ASSIGNMENT, "from": "2020-01-01T00:00:00.000Z", "via": "corp:engineers"}],
        "administrator": false, "auditor": false,
    })
}

#[test]
fn the_portal_tells_what_is_true_now() {
    let vault = ["GET", "/vault/7"];
    let eligible = explain(&me("mfa"), &vault);
    assert_eq!(eligible.code, 1, "{eligible:?}");
    assert!(
        eligible.out.contains("as        corp:ada of corp:engineers, as the portal sees it now"),
        "{}",
        eligible.out
    );
    assert!(eligible.out.contains("cure      hallpass request shop/vault-reader"), "{}", eligible.out);

    let weak = explain(&me("pwd"), &vault);
    assert!(weak.code == 1 && weak.out.contains("401, no second factor"), "{}", weak.out);

    let mut waiting = me("mfa");
    waiting["pending"] =
        json!([{"role": "shop/vault-reader", "activation": ID, "lapses_at": "2099-01-01T00:00:00.000Z"}]);
    let waiting = explain(&waiting, &vault);
    assert!(
        waiting.code == 1 && waiting.out.contains(&format!("cure      {ID} waits for approval")),
        "{}",
        waiting.out
    );

    let mut holder = me("mfa");
    holder["held"] = json!([{"role": "shop/vault-reader", "activation": ID, "starts_at": "2020-01-01T00:00:00.000Z", "ends_at": "2099-01-01T00:00:00.000Z", "via": "corp:engineers"}]);
    let passing = explain(&holder, &vault);
    assert!(passing.code == 0 && passing.out.contains("would pass until 2099-01-01 00:00:00Z"), "{passing:?}");

    holder["locked"] = true.into();
    let locked = explain(&holder, &vault);
    assert!(locked.code == 1 && locked.out.contains("403, nothing that may be activated would help"), "{locked:?}");
}

#[test]
fn a_portal_of_another_configuration_is_told() {
    let mut stranger = me("mfa");
    stranger["principal"] = "home:ada".into();
    let other = explain(&stranger, &["GET", "/vault/7"]);
    assert_eq!(other.code, 2);
    assert!(other.err.contains("the portal speaks of `home:ada`"), "{}", other.err);
}
