//! Asking for a role: each rule, and all broken rules at once.

use std::sync::Arc;

use super::fixture::*;
use crate::domain::activation::{Activation, Phase};
use crate::domain::command::{Caller, Command};
use crate::domain::decide::{Case, PendingCounts, decide};
use crate::domain::event::Event;
use crate::domain::id::ActivationId;
use crate::domain::identity::{Assurance, Identity};
use crate::domain::policy::{AssuranceRule, RolePolicy};
use crate::domain::standing::{Eligible, Lock, Standing};
use crate::domain::time::{Span, Timestamp, Window};

struct Ask {
    duration: Option<Span>,
    starts_at: Option<Timestamp>,
    justification: Option<&'static str>,
    ticket: Option<&'static str>,
}

const GOOD: Ask = Ask { duration: None, starts_at: None, justification: Some(WHY), ticket: None };

impl Ask {
    fn command(&self) -> Command {
        Command::RequestActivation {
            id: act(),
            role: role(),
            duration: self.duration,
            starts_at: self.starts_at,
            justification: self.justification.map(str::to_owned),
            ticket: self.ticket.map(str::to_owned),
            wanted: None,
        }
    }
}

#[test]
fn each_broken_rule_has_its_code() {
    let table: Vec<(Ask, &[&str])> = vec![
        (GOOD, &[]),
        (Ask { duration: Some(Span::ZERO), ..GOOD }, &["duration_below_minimum"]),
        (Ask { duration: Some(Span::seconds(59)), ..GOOD }, &["duration_below_minimum"]),
        (Ask { duration: Some(Span::seconds(60)), ..GOOD }, &[]),
        (Ask { duration: Some(Span::hours(8)), ..GOOD }, &[]),
        (Ask { duration: Some(Span::seconds(8 * 3600 + 1)), ..GOOD }, &["duration_above_maximum"]),
        (Ask { duration: Some(Span::seconds(u64::MAX)), ..GOOD }, &["duration_above_maximum"]),
        (Ask { starts_at: Some(now().minus(Span::seconds(61))), ..GOOD }, &["start_in_past"]),
        (Ask { starts_at: Some(now().minus(Span::seconds(59))), ..GOOD }, &[]),
        (Ask { starts_at: Some(later(7 * 86_400)), ..GOOD }, &[]),
        (Ask { starts_at: Some(later(7 * 86_400 + 1)), ..GOOD }, &["start_too_far"]),
        (Ask { justification: None, ..GOOD }, &["justification_missing"]),
        (Ask { justification: Some("   \t "), ..GOOD }, &["justification_missing"]),
        (Ask { justification: Some("  short  "), ..GOOD }, &["justification_too_short"]),
        (Ask { ticket: Some("CHG-1"), ..GOOD }, &["ticket_pattern"]),
        (Ask { ticket: Some("INC-1"), ..GOOD }, &[]),
        (
            Ask { duration: Some(Span::ZERO), starts_at: Some(Timestamp::MIN), justification: None, ticket: Some("x") },
            &["duration_below_minimum", "start_in_past", "justification_missing", "ticket_pattern"],
        ),
    ];
    for (ask, expected) in table {
        let command = ask.command();
        assert_eq!(codes(decide(&case(policy()), &caller("ada"), &command, now())), expected, "{command:?}");
    }
}

#[test]
fn a_weak_or_old_sign_in_is_refused() {
    let weak = |assurance: Assurance| Caller::Identity(Arc::new(Identity { assurance, ..identity("ada") }));
    let rule = AssuranceRule {
        mfa_amr: vec!["otp".to_owned()],
        acr: vec!["gold".to_owned()],
        max_age: Some(Span::minutes(5)),
    };
    let strict = || case(RolePolicy { assurance: rule.clone(), ..policy() });
    let table = [
        (Assurance::default(), vec!["mfa_required", "acr_required", "sign_in_too_old"]),
        (
            Assurance { amr: vec!["otp".into()], acr: Some("silver".into()), auth_time: Some(now()) },
            vec!["acr_required"],
        ),
        (
            Assurance { amr: Vec::new(), acr: Some("gold".into()), auth_time: Some(now().minus(Span::seconds(300))) },
            vec!["sign_in_too_old"],
        ),
        (
            Assurance { amr: Vec::new(), acr: Some("gold".into()), auth_time: Some(now().minus(Span::seconds(299))) },
            vec![],
        ),
    ];
    for (assurance, expected) in table {
        assert_eq!(codes(decide(&strict(), &weak(assurance.clone()), &request(), now())), expected, "{assurance:?}");
    }
}

#[test]
fn who_is_not_eligible_learns_nothing_of_the_role() {
    let stranger = Case { caller: vec![Standing::default()], ..case(policy()) };
    let terrible = Ask { duration: Some(Span::ZERO), justification: None, ..GOOD }.command();
    assert_eq!(codes(decide(&stranger, &caller("eve"), &terrible, now())), ["not_eligible"]);
    let mut unknown = terrible;
    if let Command::RequestActivation { role, .. } = &mut unknown {
        *role = "shop/none".parse().expect("a role");
    }
    assert_eq!(codes(decide(&case(policy()), &caller("ada"), &unknown, now())), ["not_eligible"]);
}

#[test]
fn eligibility_must_stand_now_and_cover_the_whole_window() {
    let with = |window| Case { caller: vec![eligible(window)], ..case(policy()) };
    let hour = Span::hours(1);
    let table = [
        (Window::new(now(), now().plus(hour)), true),
        (Window::new(now(), later(3599)), false),
        (Window::new(later(1), later(90_000)), false),
        (Window::new(Timestamp::MIN, now()), false),
        (Window::permanent(now()), true),
    ];
    for (window, enough) in table {
        let decided = decide(&with(window), &caller("ada"), &request(), now());
        assert_eq!(decided.is_ok(), enough, "{window:?}");
    }
}

#[test]
fn the_locked_and_the_impatient_are_refused() {
    let locked = Standing { lock: Lock::Locked, ..eligible(Window::permanent(Timestamp::MIN)) };
    let case_locked = Case { caller: vec![locked], ..case(policy()) };
    assert_eq!(codes(decide(&case_locked, &caller("ada"), &request(), now())), ["principal_locked"]);

    let pending = activation(&policy(), &[]);
    let again = Case { open: vec![pending], ..case(policy()) };
    assert_eq!(codes(decide(&again, &caller("ada"), &request(), now())), ["already_pending"]);

    let crowd = PendingCounts { of_principal: 0, of_role: 1000, total: 1000 };
    let full = Case { pending: crowd, ..case(policy()) };
    assert_eq!(codes(decide(&full, &caller("ada"), &request(), now())), ["too_many_pending"]);
    let unasked = Case { pending: crowd, ..case(without_approval()) };
    assert_eq!(codes(decide(&unasked, &caller("ada"), &request(), now())), [""; 0], "nobody waits for an approver");
}

#[test]
fn a_request_for_a_held_role_begins_where_the_holding_ends() {
    let held = activation(&without_approval(), &[]);
    let end = held.window().and_then(|window| window.ends_at).expect("an end");
    let again = Case { open: vec![held], ..case(without_approval()) };
    let next = fold(None, &decide(&again, &caller("ada"), &request(), now()).expect("granted"));
    assert_eq!(next.window().map(|window| window.starts_at), Some(end), "no overlap, no gap");
}

#[test]
fn what_time_has_ended_is_written_down_before_the_new_request() {
    let pending = activation(&policy(), &[]);
    let long_after = later(86_400);
    let again = Case { open: vec![pending], ..case(policy()) };
    let command = Command::RequestActivation {
        id: ActivationId::from_random([2; 16]),
        role: role(),
        duration: None,
        starts_at: None,
        justification: Some(WHY.to_owned()),
        ticket: None,
        wanted: None,
    };
    let fresh = Caller::Identity(Arc::new(Identity { ends_at: Timestamp::MAX, ..identity("ada") }));
    let events = decide(&again, &fresh, &command, long_after).expect("the old request has lapsed");
    assert!(
        matches!(events.as_slice(), [Event::ActivationEnded { .. }, Event::ActivationRequested { .. }]),
        "{events:?}"
    );
}

#[test]
fn without_approvers_one_request_activates() {
    let active = activation(&without_approval(), &[]);
    assert!(matches!(active.phase, Phase::Active { window, .. } if window == Window::new(now(), later(3600))));
}

/// An activation of the role that is held in this window.
fn held_in(seed: u8, window: Window) -> Activation {
    let id = ActivationId::from_random([seed; 16]);
    let events = decide(&case(without_approval()), &caller("ada"), &request(), now()).expect("granted");
    let mut held = fold(None, &events);
    held.id = id;
    held.phase = Phase::Active { window, extension: None };
    held
}

#[test]
fn requests_for_a_held_role_cannot_be_lined_up_beyond_the_limit_ahead() {
    let mut policy = without_approval();
    policy.activation.start_ahead_max = Span::minutes(30);
    let running = held_in(7, Window::new(now(), later(3600)));
    let next = held_in(8, Window::new(later(3600), later(7200)));
    let with = |open: Vec<Activation>| Case { open, ..case(policy.clone()) };
    let table = [
        (vec![], GOOD, vec![]),
        (vec![running.clone()], GOOD, vec![]),
        (vec![running.clone(), next.clone()], GOOD, vec!["start_too_far"]),
        (vec![next.clone(), running.clone()], GOOD, vec!["start_too_far"]),
        (vec![running.clone()], Ask { starts_at: Some(later(3600)), ..GOOD }, vec![]),
        (vec![running], Ask { starts_at: Some(later(3601)), ..GOOD }, vec!["start_too_far"]),
        (vec![next], Ask { starts_at: Some(later(1)), ..GOOD }, vec!["start_too_far"]),
    ];
    for (open, ask, expected) in table {
        let decided = decide(&with(open.clone()), &caller("ada"), &ask.command(), now());
        assert_eq!(codes(decided), expected, "{open:?}");
    }
}

#[test]
fn only_so_many_activations_wait_for_their_start() {
    let scheduled = |count: u8| -> Vec<Activation> {
        let starts_at = |number: u8| later(u64::from(number) * 7200 + 7200);
        (0..count).map(|n| held_in(n, Window::new(starts_at(n), starts_at(n).plus(Span::minutes(1))))).collect()
    };
    for (count, expected) in [(19, vec![]), (20, vec!["too_many_pending"])] {
        let crowded = Case { open: scheduled(count), ..case(without_approval()) };
        assert_eq!(codes(decide(&crowded, &caller("ada"), &request(), now())), expected, "{count}");
    }
}

#[test]
fn every_count_of_waiting_requests_has_its_limit() {
    let counts = |of_principal, of_role, total| PendingCounts { of_principal, of_role, total };
    let table = [
        (counts(19, 999, 9_999), vec![]),
        (counts(20, 0, 0), vec!["too_many_pending"]),
        (counts(0, 1_000, 0), vec!["too_many_pending"]),
        (counts(0, 0, 10_000), vec!["too_many_pending"]),
    ];
    for (pending, expected) in table {
        let crowded = Case { pending, ..case(policy()) };
        assert_eq!(codes(decide(&crowded, &caller("ada"), &request(), now())), expected, "{pending:?}");
    }
}

#[test]
fn a_group_makes_eligible_only_whom_presents_it_and_the_own_assignment_comes_first() {
    let permanent = Window::permanent(Timestamp::MIN);
    let by_group = Standing {
        eligible: vec![Eligible { assignment: asg(2), role: role(), window: permanent }],
        ..Standing::default()
    };
    let via = |own: Standing| {
        let case = Case { caller: vec![own, by_group.clone()], ..case(policy()) };
        let asked = fold(None, &decide(&case, &lead("ada"), &request(), now()).expect("asked"));
        (asked.eligibility, asked.via)
    };
    assert_eq!(via(Standing::default()), (asg(2), Some(leads())));
    assert_eq!(via(eligible(permanent)), (asg(1), None));
    assert_eq!(via(eligible(Window::new(now(), later(60)))), (asg(2), Some(leads())), "the own one is too short");
}

#[test]
fn time_at_its_edges_overflows_nowhere() {
    for at in [Timestamp::MIN, Timestamp::MAX] {
        let ask = Ask { duration: Some(Span::seconds(u64::MAX)), starts_at: Some(at), ..GOOD };
        let refused = codes(decide(&case(policy()), &caller("ada"), &ask.command(), Timestamp::MAX));
        assert!(refused.contains(&"duration_above_maximum"), "{refused:?}");
    }
    let mut last = identity("ada");
    last.assurance.auth_time = Some(Timestamp::MAX);
    let asked = decide(&case(without_approval()), &Caller::Identity(Arc::new(last)), &request(), Timestamp::MAX);
    assert!(
        asked.is_ok_and(|events| events.iter().all(|event| match event {
            Event::ActivationStarted { window, .. } => !window.contains(Timestamp::MAX),
            _ => true,
        })),
        "nothing is held after the end of time"
    );
}
