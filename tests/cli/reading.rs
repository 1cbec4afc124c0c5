//! Stories of looking: lists, whose token is shown, portals that are not there or not what they should be.

use std::net::SocketAddr;

use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::hallpass::{ada, program, said};
use crate::portal::{ADA_TOKEN, ID, Portal, active, pending};

#[test]
fn the_own_picture_in_one_list() {
    let portal = Portal::start();
    portal.answers(
        "GET /me",
        200,
        &json!({
            "principal": "demo:ada", "name": "Ada \u{9b}31mLovelace", "groups": ["demo:engineers"], "locked": false,
            "assurance": {"amr": ["mfa"]},
            "held": [{"role": "shop/till", "assignment": "asg_00000000000000000000000005", "starts_at": "2026-01-01T00:00:00.000Z"}],
            "pending": [{"role": "shop/vault-reader", "activation": ID, "lapses_at": "tonight \r"}],
            "eligible": [{"role": "shop/vault-reader", "assignment": "asg_00000000000000000000000002", "from": "2026-01-01T00:00:00.000Z", "via": "demo:engineers"}],
            "administrator": false, "auditor": false,
        }),
    );
    portal.answers("GET /activations?waiting_for=me", 200, &json!({"items": [pending()]}));
    let list = said(&mut ada(&portal, &["list"]));
    assert_eq!(list.code, 0, "{list:?}");
    insta::assert_snapshot!(list.out, @r"
    demo:ada (Ada \u{9b}31mLovelace)
    groups: demo:engineers
    ROLE               STATE     UNTIL           THROUGH         ID
    shop/till          held      without an end                  asg_00000000000000000000000005
    shop/vault-reader  pending   tonight \r                      act_00000000000000000000000001
    shop/vault-reader  eligible  without an end  demo:engineers
    1 request waits for your decision: hallpass list --waiting
    ");
}

#[test]
fn lists_follow_their_pages() {
    let portal = Portal::start();
    portal.answers("GET /activations?state=pending", 200, &json!({"items": [pending()], "next": "p2"}));
    portal.answers("GET /activations?state=pending&cursor=p2", 200, &json!({"items": [active()]}));
    let list = said(&mut ada(&portal, &["list", "--pending"]));
    assert_eq!((list.code, list.out.lines().count()), (0, 3), "{}", list.out);
    let raw = said(&mut ada(&portal, &["list", "--pending", "--json"]));
    let raw: serde_json::Value = serde_json::from_str(&raw.out).unwrap();
    assert_eq!(raw, json!({"items": [pending(), active()]}));
}

#[test]
fn what_waits_and_what_may_be_asked_for() {
    let portal = Portal::start();
    portal.answers("GET /activations?waiting_for=me", 200, &json!({"items": []}));
    assert_eq!(said(&mut ada(&portal, &["list", "--waiting"])).out, "nothing waits for you\n");
    let role = json!({
        "role": "shop/vault-reader", "description": "read the vault",
        "activation": {"min": "1s", "max": "8h", "default": "1h", "total_max": "1d", "start_ahead_max": "7d"},
        "approval": {"stages": [], "self": "forbidden"},
    });
    portal.answers("GET /roles", 200, &json!({"items": [role]}));
    insta::assert_snapshot!(said(&mut ada(&portal, &["list", "--roles"])).out, @"
    ROLE               DEFAULT  LONGEST  APPROVAL  WHAT IT OPENS
    shop/vault-reader  1h       8h       needed    read the vault
    ");
}

#[test]
fn the_token_comes_from_the_environment_or_a_file_only() {
    let portal = Portal::start();
    portal.answers("GET /me", 200, &json!({"principal": "demo:ada"}));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{ADA_TOKEN}\n")).unwrap();
    let list = || {
        let mut command = program();
        command.args(["list", "--portal", &portal.url]);
        command
    };
    assert_eq!(said(list().env("HALLPASS_TOKEN_FILE", &file)).code, 0);
    assert_eq!(said(list().arg("--token-file").arg(&file).env("HALLPASS_TOKEN", "another")).code, 0, "the option wins");
    let asked = portal.seen().len();
    for (command, why) in [
        (&mut list(), "no token"),
        (list().env("HALLPASS_TOKEN", ADA_TOKEN).env("HALLPASS_TOKEN_FILE", &file), "unset one"),
        (list().env("HALLPASS_TOKEN", "two words"), "does not hold a token"),
        (list().env("HALLPASS_TOKEN_FILE", folder.path().join("absent")), "cannot read the token file"),
        (list().args(["--token", ADA_TOKEN]), "unexpected argument"),
    ] {
        let refused = said(command);
        assert_eq!(refused.code, 2, "{why}");
        assert!(refused.err.contains(why), "{why} in {}", refused.err);
    }
    assert_eq!(portal.seen().len(), asked, "nobody was asked without a token");
}

#[test]
fn a_token_that_proves_nobody_is_refused_with_advice() {
    let portal = Portal::start();
    let refused = said(ada(&portal, &["list"]).env("HALLPASS_TOKEN", "expired"));
    assert_eq!(refused.code, 1);
    insta::assert_snapshot!(refused.err, @"
    refused: the token is not valid
    what to do: take a new token and put it into HALLPASS_TOKEN or HALLPASS_TOKEN_FILE
    ");
}

/// An address where nobody listens, and nobody else can while the socket is kept.
fn deaf() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

#[test]
fn a_portal_that_is_not_there_is_unreachable() {
    let (_held, free) = deaf();
    let mut command = program();
    let gone = said(command.env("HALLPASS_TOKEN", ADA_TOKEN).args(["list", "--portal", &format!("http://{free}")]));
    assert_eq!(gone.code, 69);
    assert!(gone.err.starts_with(&format!("error: cannot reach http://{free}/: ")), "{}", gone.err);
}

#[test]
fn something_else_at_the_address_is_told() {
    let portal = Portal::start();
    portal.answers_text("GET /me", 200, "text/html", "<html>hello</html>");
    let strange = said(&mut ada(&portal, &["list"]));
    assert_eq!(strange.code, 69);
    assert!(strange.err.contains("not that of a hallpass portal"), "{}", strange.err);

    let portal = Portal::start();
    portal.answers_text("GET /me", 302, "text/html", "");
    let elsewhere = said(&mut ada(&portal, &["list"]));
    assert_eq!(elsewhere.code, 69);
    assert!(elsewhere.err.contains("redirects are not followed with a token"), "{}", elsewhere.err);
}

#[test]
fn health_is_asked_of_the_admin_listener() {
    let portal = Portal::start();
    // this listener asks for a token as the portal does, so it refuses: what counts is who is asked what
    let address = portal.url.strip_prefix("http://").unwrap();
    let unhealthy = said(program().args(["healthcheck", "--admin", address]));
    assert_eq!(unhealthy.code, 1);
    assert!(unhealthy.err.starts_with("error: not healthy (401)"), "{}", unhealthy.err);
    said(program().args(["healthcheck", "--live", "--admin", address]));
    let lines: Vec<String> = portal.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(lines, ["GET /readyz", "GET /livez"]);

    let (_held, free) = deaf();
    assert_eq!(said(program().args(["healthcheck", "--admin", &free.to_string()])).code, 69);
    assert_eq!(said(program().args(["healthcheck", "--admin", "not an address"])).code, 2);
}
