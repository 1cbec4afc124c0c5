//! Approving, denying, extending and ending.

use super::fixture::*;
use crate::domain::activation::{Activation, Choice, Ending, Phase};
use crate::domain::command::{Adjusted, Caller, Command};
use crate::domain::decide::{Case, decide};
use crate::domain::event::Event;
use crate::domain::policy::{ExtensionRule, OwnRequest, RolePolicy};
use crate::domain::principal::Party;
use crate::domain::standing::Standing;
use crate::domain::time::{Span, Timestamp, Window};

fn two_stages() -> RolePolicy {
    let mut policy = policy();
    policy.approval.stages = vec![
        stage(vec![Party::Group(leads())], 2),
        stage(vec![Party::Principal(person("root")), Party::Principal(person("grace"))], 1),
    ];
    policy
}

fn decided(policy: &RolePolicy, activation: &Activation, caller: &Caller, command: &Command) -> Vec<&'static str> {
    codes(decide(&case_of(policy.clone(), activation.clone()), caller, command, now()))
}

#[test]
fn nobody_approves_their_own_request() {
    let pending = activation(&policy(), &[]);
    assert_eq!(decided(&policy(), &pending, &lead("ada"), &approve(1)), ["self_approval"]);
    let mut lax = policy();
    lax.approval.own_request = OwnRequest::Allowed;
    assert_eq!(decided(&lax, &pending, &lead("ada"), &approve(1)), ["self_approval"], "the stricter of old and new");
    let asked_laxly = activation(&lax, &[]);
    assert_eq!(decided(&policy(), &asked_laxly, &lead("ada"), &approve(1)), ["self_approval"]);
    assert_eq!(decided(&lax, &asked_laxly, &lead("ada"), &approve(1)), [""; 0], "by explicit policy only");
}

#[test]
fn a_quorum_needs_distinct_people_stage_by_stage() {
    let policy = two_stages();
    let asked = activation(&policy, &[]);
    assert_eq!(decided(&policy, &asked, &caller("root"), &approve(1)), ["stage_not_open"]);
    let once = activation(&policy, &[(lead("grace"), approve(1))]);
    assert_eq!(decided(&policy, &once, &lead("grace"), &approve(2)), ["already_decided"]);
    let twice = activation(&policy, &[(lead("grace"), approve(1)), (lead("hans"), approve(2))]);
    assert!(matches!(&twice.phase, Phase::Pending(ballot) if ballot.stage == 1));
    assert_eq!(decided(&policy, &twice, &caller("grace"), &approve(3)), ["already_decided"], "nobody counts twice");
    let all =
        activation(&policy, &[(lead("grace"), approve(1)), (lead("hans"), approve(2)), (caller("root"), approve(3))]);
    assert!(matches!(all.phase, Phase::Active { .. }));
}

#[test]
fn an_approval_names_the_revision_it_saw() {
    let pending = activation(&policy(), &[]);
    assert_eq!(decided(&policy(), &pending, &lead("grace"), &approve(7)), ["revision_changed"]);
    assert_eq!(decided(&policy(), &pending, &lead("grace"), &approve(1)), [""; 0]);
}

#[test]
fn outsiders_find_nothing_and_the_ended_stays_ended() {
    let pending = activation(&policy(), &[]);
    for command in [approve(1), Command::Cancel { id: act() }, Command::Deactivate { id: act() }, revoke()] {
        assert_eq!(decided(&policy(), &pending, &caller("eve"), &command), ["unknown"], "{command:?}");
    }
    let ended = activation(&policy(), &[(lead("grace"), word(Choice::Deny, 1))]);
    assert!(matches!(ended.phase, Phase::Ended { ending: Ending::Denied, held: None, .. }));
    for (by, command) in [
        (lead("grace"), approve(ended.revision)),
        (caller("ada"), Command::Cancel { id: act() }),
        (caller("ada"), Command::Deactivate { id: act() }),
        (caller("ada"), extend(60)),
        (lead("grace"), revoke()),
    ] {
        assert_eq!(decided(&policy(), &ended, &by, &command), ["already_ended"], "{command:?}");
    }
}

fn revoke() -> Command {
    Command::Revoke { id: act(), justification: None }
}

fn extend(seconds: u64) -> Command {
    Command::Extend { id: act(), duration: Span::seconds(seconds), justification: Some(WHY.to_owned()) }
}

#[test]
fn an_approver_may_only_shorten_and_only_start_later() {
    let pending = activation(&policy(), &[]);
    let adjusting = |duration: Option<Span>, starts_at: Option<Timestamp>| Command::Decide {
        id: act(),
        choice: Choice::Approve,
        revision: 1,
        adjusted: Some(Adjusted { duration, starts_at }),
        justification: Some(WHY.to_owned()),
    };
    let table: [(Command, &[&str]); 5] = [
        (adjusting(Some(Span::seconds(3601)), None), &["duration_above_maximum"]),
        (adjusting(Some(Span::seconds(1)), None), &["duration_below_minimum"]),
        (adjusting(None, Some(now().minus(Span::seconds(1)))), &["start_in_past"]),
        (adjusting(Some(Span::seconds(600)), None), &[]),
        (adjusting(None, Some(later(600))), &[]),
    ];
    for (command, expected) in table {
        assert_eq!(decided(&policy(), &pending, &lead("grace"), &command), expected, "{command:?}");
    }
    let shortened = activation(&policy(), &[(lead("grace"), adjusting(Some(Span::seconds(600)), Some(later(60))))]);
    assert_eq!(shortened.window(), Some(&Window::new(later(60), later(660))));
    assert_eq!(shortened.requested.duration, Span::hours(1), "what was asked for stays on record");
}

#[test]
fn a_stricter_policy_wins_over_an_older_request() {
    let pending = activation(&policy(), &[]);
    let more_stages = two_stages();
    assert_eq!(decided(&more_stages, &pending, &lead("grace"), &approve(1)), ["policy_changed"]);
    let mut others = policy();
    others.approval.stages = vec![stage(vec![Party::Principal(person("root"))], 1)];
    assert_eq!(decided(&others, &pending, &lead("grace"), &approve(1)), ["not_an_approver"]);
    let mut shorter = policy();
    shorter.activation.max = Span::minutes(10);
    let case = case_of(shorter, pending.clone());
    let started = fold(Some(pending), &decide(&case, &lead("grace"), &approve(1), now()).expect("approved"));
    assert_eq!(started.window(), Some(&Window::new(now(), later(600))));
}

#[test]
fn an_approval_ends_with_the_eligibility_at_the_latest() {
    let pending = activation(&policy(), &[]);
    let mut case = case_of(policy(), pending.clone());
    if let Some(eligibility) = &mut case.assignment {
        eligibility.window.ends_at = Some(later(120));
    }
    let started = fold(Some(pending), &decide(&case, &lead("grace"), &approve(1), now()).expect("approved"));
    assert_eq!(started.window(), Some(&Window::new(now(), later(120))));
    case.assignment = None;
    assert_eq!(codes(decide(&case, &lead("grace"), &approve(1), now())), ["not_eligible"]);
}

#[test]
fn who_may_end_what() {
    let active = activation(&policy(), &[(lead("grace"), approve(1))]);
    let table = [
        (caller("ada"), Command::Deactivate { id: act() }, vec![]),
        (lead("grace"), Command::Deactivate { id: act() }, vec!["not_holder"]),
        (caller("ada"), Command::Cancel { id: act() }, vec!["not_pending"]),
        (lead("grace"), revoke(), vec![]),
        (caller("ada"), revoke(), vec!["not_administrator"]),
    ];
    for (by, command, expected) in table {
        assert_eq!(decided(&policy(), &active, &by, &command), expected, "{by:?} {command:?}");
    }
    let as_administrator = Case { caller: vec![administrator()], ..case_of(policy(), active) };
    assert!(decide(&as_administrator, &caller("root"), &revoke(), now()).is_ok());
}

#[test]
fn extending_asks_the_same_approvers_and_keeps_under_the_cap() {
    let active = activation(&policy(), &[(lead("grace"), approve(1))]);
    let table = [(0, vec!["duration_below_minimum"]), (3600, vec![]), (11 * 3600, vec!["duration_above_maximum"])];
    for (seconds, expected) in table {
        assert_eq!(decided(&policy(), &active, &caller("ada"), &extend(seconds)), expected, "{seconds}");
    }
    let waiting = activation(&policy(), &[(lead("grace"), approve(1)), (caller("ada"), extend(3600))]);
    assert_eq!(decided(&policy(), &waiting, &lead("ada"), &approve(waiting.revision)), ["self_approval"]);
    let longer = activation(
        &policy(),
        &[(lead("grace"), approve(1)), (caller("ada"), extend(3600)), (lead("grace"), approve(waiting.revision))],
    );
    assert_eq!(longer.window(), Some(&Window::new(now(), later(7200))), "no gap, same case");
    let mut never = policy();
    never.extension = ExtensionRule::None;
    assert_eq!(decided(&never, &active, &caller("ada"), &extend(60)), ["extension_forbidden"]);
}

#[test]
fn the_end_is_exclusive_and_settling_is_idempotent() {
    let active = activation(&without_approval(), &[]);
    let case = Case { activation: Some(active.clone()), caller: vec![Standing::default()], ..Case::default() };
    let settle = Command::Settle { overdue: crate::domain::command::Overdue::Activation(act()) };
    assert_eq!(decide(&case, &Caller::Hallpass, &settle, later(3599)), Ok(Vec::new()));
    let events = decide(&case, &Caller::Hallpass, &settle, later(3600)).expect("due");
    assert_eq!(events, [Event::ActivationEnded { activation: act(), ending: Ending::Expired, at: later(3600) }]);
    let ended = Case { activation: Some(fold(Some(active), &events)), ..case };
    assert_eq!(decide(&ended, &Caller::Hallpass, &settle, later(9999)), Ok(Vec::new()));
    assert_eq!(codes(decide(&ended, &caller("ada"), &settle, later(9999))), ["not_administrator"]);
}
