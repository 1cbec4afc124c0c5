//! Stories of asking, deciding and ending, told through the program.

use std::io::{BufRead as _, BufReader, Read as _};

use serde_json::json;

use crate::hallpass::{ada, said};
use crate::portal::{ID, Portal, active, ended, pending, problem};

#[test]
fn a_request_tells_its_id_and_how_to_cancel_it() {
    let portal = Portal::start();
    portal.answers("POST /activations", 201, &pending());
    let said = said(&mut ada(
        &portal,
        &["request", "shop/vault-reader", "--for", "90m", "--because", "stock count", "--ticket", "SHOP-17"],
    ));
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.starts_with(&format!("{ID}  shop/vault-reader waits for approval: 0 of 1 given, by demo:grace or anyone of demo:leads; lapses 2099-11-24 08:00:00Z")), "{}", said.out);
    assert_eq!(said.err, format!("to cancel it: hallpass cancel {ID}\n"));
    let [asked] = &portal.seen()[..] else { panic!("one request") };
    assert_eq!(
        asked.json(),
        json!({"role": "shop/vault-reader", "duration": "1h 30m", "justification": "stock count", "ticket": "SHOP-17"})
    );
    assert_eq!(asked.headers["idempotency-key"].len(), 32);
}

#[test]
fn a_refused_request_tells_every_rule_and_what_to_do() {
    let portal = Portal::start();
    let mut refusal = problem("duration_above_maximum", 422, "the request breaks 2 rules");
    refusal["errors"] = json!([
        {"code": "duration_above_maximum", "detail": "the duration is 12h; the longest is 8h", "pointer": "/duration", "limit": "8h", "given": "12h"},
        {"code": "ticket_missing", "detail": "a ticket is required", "pointer": "/ticket"},
    ]);
    portal.answers("POST /activations", 422, &refusal);
    let refused = said(&mut ada(&portal, &["request", "shop/vault-reader", "--for", "12h"]));
    assert_eq!((refused.code, refused.out.as_str()), (1, ""));
    insta::assert_snapshot!(refused.err, @"
    refused: the request breaks 2 rules
      --for     the duration is 12h; the longest is 8h (duration_above_maximum)
      --ticket  a ticket is required (ticket_missing)
    what to do: choose another length with --for
    what to do: name the ticket with --ticket
    ");
    let raw = said(&mut ada(&portal, &["request", "shop/vault-reader", "--for", "12h", "--json"]));
    assert_eq!((raw.code, serde_json::from_str(&raw.out).ok()), (1, Some(refusal)));
}

#[test]
fn a_dry_run_tells_what_would_come_of_it() {
    let portal = Portal::start();
    portal.answers("POST /activations?dry_run=true", 200, &json!({"outcome": "would_be_pending", "errors": []}));
    let fine = said(&mut ada(&portal, &["request", "shop/vault-reader", "--dry-run"]));
    assert_eq!((fine.code, fine.out.as_str()), (0, "would wait for approval; nothing was asked for\n"));

    let portal = Portal::start();
    let errors = json!([{"code": "justification_missing", "detail": "a justification is required", "pointer": "/justification"}]);
    portal.answers("POST /activations?dry_run=true", 200, &json!({"outcome": "refused", "errors": errors}));
    let refused = said(&mut ada(&portal, &["request", "shop/vault-reader", "--dry-run"]));
    assert_eq!(refused.code, 1);
    assert_eq!(refused.out, "would be refused:\n  --because  a justification is required (justification_missing)\n");
}

#[test]
fn waiting_ends_when_an_event_tells_of_the_approval() {
    let portal = Portal::start();
    let case = format!("GET /activations/{ID}");
    portal.answers("POST /activations", 201, &pending());
    portal.answers(&case, 200, &pending());
    let events = portal.streams("GET /events", "text/event-stream");
    events.write(": open\n\n");
    let mut child = ada(&portal, &["request", "shop/vault-reader", "--wait"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("waits for approval"), "the id is told at once");
    // subscribe, then check: once the case was asked for, the stream is open
    portal.wait_for(&case, 1);
    portal.answers(&case, 200, &active());
    events.write("event: activation\nid: 17\ndata: {}\n\n");
    assert!(lines.next().unwrap().unwrap().contains("shop/vault-reader is active until 2099-11-23 09:10:00Z"));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn waiting_ends_with_one_when_the_request_came_to_nothing() {
    let portal = Portal::start();
    portal.answers("POST /activations", 201, &pending());
    portal.answers(&format!("GET /activations/{ID}"), 200, &ended("denied"));
    let denied = said(&mut ada(&portal, &["request", "shop/vault-reader", "--wait"]));
    assert_eq!(denied.code, 1);
    assert!(denied.out.contains("shop/vault-reader is over: denied at 2026-11-23 08:10:00Z"), "{}", denied.out);
    assert!(denied.err.ends_with("error: the request came to nothing: denied\n"), "{}", denied.err);
}

#[test]
fn waiting_outlives_lost_streams_and_goes_on_where_it_was() {
    let portal = Portal::start();
    let case = format!("GET /activations/{ID}");
    portal.answers("POST /activations", 201, &pending());
    for answer in [pending(), pending(), active()] {
        portal.answers(&case, 200, &answer);
    }
    let first = portal.streams("GET /events", "text/event-stream");
    let _second = portal.streams("GET /events", "text/event-stream");
    let mut child = ada(&portal, &["request", "shop/vault-reader", "--wait"]).spawn().unwrap();
    portal.wait_for(&case, 1);
    first.write("id: 41\ndata: {}\n\n");
    portal.wait_for(&case, 2);
    first.tear();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let ids: Vec<_> =
        portal.seen_as("GET /events").iter().map(|seen| seen.headers.get("last-event-id").cloned()).collect();
    assert_eq!(ids, [None, Some("41".parse().unwrap())]);
}

#[test]
fn waiting_works_without_a_stream_and_through_a_restart() {
    let portal = Portal::start();
    let case = format!("GET /activations/{ID}");
    portal.answers("POST /activations", 201, &pending());
    portal.answers(&case, 503, &problem("unavailable", 503, "the store is not ready"));
    portal.answers(&case, 200, &active());
    let done = said(&mut ada(&portal, &["request", "shop/vault-reader", "--wait"]));
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.err.contains("refused: the store is not ready; still waiting"), "{}", done.err);
}

#[test]
fn waiting_no_longer_than_told_leaves_the_request() {
    let portal = Portal::start();
    portal.answers("POST /activations", 201, &pending());
    portal.answers(&format!("GET /activations/{ID}"), 200, &pending());
    let over = said(&mut ada(&portal, &["request", "shop/vault-reader", "--wait", "--timeout", "1s"]));
    assert_eq!(over.code, 1);
    assert!(over.err.contains(&format!("{ID} is not active after 1s; the request stays")), "{}", over.err);
}

#[test]
fn approving_shows_what_is_asked_and_sends_the_revision_seen() {
    let portal = Portal::start();
    portal.answers(&format!("GET /activations/{ID}"), 200, &pending());
    portal.answers(&format!("POST /activations/{ID}/approve"), 200, &active());
    let done = said(&mut ada(&portal, &["approve", ID, "--yes", "--because", "count is due", "--for", "30m"]));
    assert_eq!(done.code, 0, "{done:?}");
    for shown in ["demo:ada (Ada Lovelace), eligible through demo:engineers", "shop/vault-reader", "1h", "SHOP-17"] {
        assert!(done.out.contains(shown), "{shown} in {}", done.out);
    }
    assert!(done.out.contains("stock count \\u{1b}[2J for the \\u{202e}cellar"), "steers nothing: {}", done.out);
    let sent = portal.seen_as(&format!("POST /activations/{ID}/approve"));
    assert_eq!(sent[0].json(), json!({"revision": 1, "justification": "count is due", "duration": "30m"}));
}

#[test]
fn nobody_approves_unseen() {
    let portal = Portal::start();
    portal.answers(&format!("GET /activations/{ID}"), 200, &pending());
    let unseen = said(&mut ada(&portal, &["approve", ID]));
    assert_eq!(unseen.code, 2);
    assert!(unseen.err.contains("nobody is here to be asked"), "{}", unseen.err);
    let changed = said(&mut ada(&portal, &["approve", ID, "--revision", "4"]));
    assert_eq!(changed.code, 1);
    assert!(changed.err.contains("it is at revision 1, not 4"), "{}", changed.err);
    assert!(portal.seen().iter().all(|seen| seen.line.starts_with("GET")), "nothing was commanded");
}

#[test]
fn a_decision_on_something_that_changed_is_refused_with_advice() {
    let portal = Portal::start();
    portal.answers(&format!("GET /activations/{ID}"), 200, &pending());
    let changed = problem("revision_changed", 409, "the request has changed since you saw it; it is at revision 2");
    portal.answers(&format!("POST /activations/{ID}/deny"), 409, &changed);
    let refused = said(&mut ada(&portal, &["deny", ID, "--because", "not today"]));
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("what to do: repeat the command to see what is asked now"), "{}", refused.err);
    let sent = portal.seen_as(&format!("POST /activations/{ID}/deny"));
    assert_eq!(sent[0].json(), json!({"revision": 1, "justification": "not today"}));
}

#[test]
fn what_is_known_can_be_ended_and_extended() {
    for (arguments, line, body, case) in [
        (&["cancel", ID][..], "cancel", json!({}), ended("cancelled")),
        (&["deactivate", ID], "deactivate", json!({}), ended("deactivated")),
        (&["revoke", ID, "--because", "over"], "revoke", json!({"justification": "over"}), ended("revoked")),
        (&["extend", ID, "--for", "30m"], "extend", json!({"duration": "30m"}), active()),
    ] {
        let portal = Portal::start();
        portal.answers(&format!("POST /activations/{ID}/{line}"), 200, &case);
        let done = said(&mut ada(&portal, arguments));
        assert_eq!(done.code, 0, "{line}: {done:?}");
        assert!(done.out.starts_with(&format!("{ID}  shop/vault-reader is ")), "{line}: {}", done.out);
        assert_eq!(portal.seen()[0].json(), body, "{line}");
    }
}

#[test]
fn a_closed_pipe_is_no_crash() {
    let portal = Portal::start();
    portal.answers("GET /me", 200, &json!({"principal": "demo:ada", "groups": ["x".repeat(1 << 20)]}));
    let mut child = ada(&portal, &["list"]).spawn().unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(1), ""));
}
