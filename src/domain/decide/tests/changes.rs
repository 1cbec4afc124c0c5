//! What changes under an open case: its policy, its eligibility, its holder, while people vote on it.

use std::sync::Arc;

use super::fixture::*;
use crate::domain::activation::{Activation, Choice, Ending, Phase};
use crate::domain::assignment::{AssignmentEnd, AssignmentEnding, AssignmentKind};
use crate::domain::command::{Caller, Command};
use crate::domain::decide::{Case, decide};
use crate::domain::event::Event;
use crate::domain::identity::{Assurance, Identity};
use crate::domain::policy::{ExtensionRule, PendingLimits, Policies, RolePolicy};
use crate::domain::principal::Party;
use crate::domain::standing::{Lock, Standing};
use crate::domain::time::{Span, Timestamp, Window};

fn extend(seconds: u64) -> Command {
    Command::Extend { id: act(), duration: Span::seconds(seconds), justification: Some(WHY.to_owned()) }
}

/// Held for an hour, and an extension by an hour waits.
fn extending(policy: &RolePolicy) -> Activation {
    activation(policy, &[(lead("grace"), approve(1)), (caller("ada"), extend(3600))])
}

fn decided(policy: &RolePolicy, activation: &Activation, caller: &Caller, command: &Command) -> Vec<&'static str> {
    codes(decide(&case_of(policy.clone(), activation.clone()), caller, command, now()))
}

/// The window of the eligible assignment behind `open` becomes `window`.
fn change_eligibility(open: &Activation, window: Window) -> Activation {
    let command = Command::ChangeAssignment { id: asg(1), window, justification: None };
    let administered = Case { caller: vec![administrator()], open: vec![open.clone()], ..case(policy()) };
    let events = decide(&administered, &caller("root"), &command, now()).expect("changed");
    fold(Some(open.clone()), &events)
}

#[test]
fn each_way_in_which_a_policy_became_stricter_wins_over_a_pending_request() {
    let pending = activation(&policy(), &[]);
    let stricter = |change: &dyn Fn(&mut RolePolicy)| {
        let mut policy = policy();
        change(&mut policy);
        decided(&policy, &pending, &lead("grace"), &approve(1))
    };
    let more_factors = |policy: &mut RolePolicy| policy.assurance.acr = vec!["gold".to_owned()];
    assert_eq!(stricter(&|policy| policy.approval.stages[0].quorum = 2), ["policy_changed"]);
    assert_eq!(stricter(&more_factors), ["policy_changed"], "the requester never proved as much");
    assert_eq!(stricter(&|policy| policy.approval.assurance.acr = vec!["platinum".to_owned()]), ["acr_required"]);
    assert_eq!(
        stricter(&|policy| policy.approval.justification.characters_min = 1000),
        ["justification_too_short"],
        "what the approver writes is judged by today's rule"
    );
    assert_eq!(stricter(&|policy| policy.approval.stages.clear()), [""; 0], "laxer: the frozen stage still decides");
    let gone = Case { policies: Arc::new(Policies::new([], PendingLimits::default())), ..case_of(policy(), pending) };
    assert_eq!(codes(decide(&gone, &lead("grace"), &approve(1), now())), ["policy_changed"], "the role is gone");
    assert_eq!(codes(decide(&gone, &lead("grace"), &word(Choice::Deny, 1), now())), [""; 0]);
}

#[test]
fn a_laxer_policy_never_flows_into_an_older_request() {
    let mut two = policy();
    two.approval.stages[0].quorum = 2;
    let asked_strictly = activation(&two, &[]);
    let events = decide(&case_of(policy(), asked_strictly.clone()), &lead("grace"), &approve(1), now());
    let once = fold(Some(asked_strictly), &events.expect("counted"));
    assert!(matches!(once.phase, Phase::Pending(_)), "its own quorum of two decides");
    let mut longer = policy();
    longer.activation.max = Span::hours(24);
    longer.approval.stages[0].approvers.push(Party::Principal(person("eve")));
    let pending = activation(&policy(), &[]);
    assert_eq!(decided(&longer, &pending, &caller("eve"), &approve(1)), ["not_an_approver"], "nobody new decides");
}

#[test]
fn the_lower_of_two_thresholds_denies() {
    let mut patient = policy();
    patient.approval.stages[0].quorum = 2;
    patient.approval.stages[0].deny_threshold = 2;
    let mut strict = patient.clone();
    strict.approval.stages[0].deny_threshold = 1;
    for (asked_under, today, ends) in
        [(&patient, &patient, false), (&patient, &strict, true), (&strict, &patient, true)]
    {
        let pending = activation(asked_under, &[]);
        let events = decide(&case_of(today.clone(), pending.clone()), &lead("grace"), &word(Choice::Deny, 1), now());
        let after = fold(Some(pending), &events.expect("counted"));
        assert_eq!(after.is_ended(), ends);
    }
}

#[test]
fn an_extension_has_its_own_ballot_in_which_the_same_people_vote_again() {
    let waiting = extending(&policy());
    let revision = waiting.revision;
    assert_eq!(
        decided(&policy(), &waiting, &lead("grace"), &approve(revision)),
        [""; 0],
        "a vote of the request is spent"
    );
    assert_eq!(decided(&policy(), &waiting, &lead("grace"), &approve(revision - 1)), ["revision_changed"]);
    assert_eq!(decided(&policy(), &waiting, &caller("ada"), &extend(60)), ["already_pending"]);
    let denied = activation(
        &policy(),
        &[(lead("grace"), approve(1)), (caller("ada"), extend(3600)), (lead("hans"), word(Choice::Deny, revision))],
    );
    assert!(
        matches!(&denied.phase, Phase::Active { window, extension: None } if *window == Window::new(now(), later(3600)))
    );
    let mut never = policy();
    never.extension = ExtensionRule::None;
    assert_eq!(decided(&never, &waiting, &lead("grace"), &approve(revision)), ["extension_forbidden"]);
    assert_eq!(decided(&never, &waiting, &lead("grace"), &word(Choice::Deny, revision)), [""; 0]);
}

#[test]
fn an_extension_stays_under_todays_cap_and_inside_the_eligibility() {
    let waiting = extending(&policy());
    let carried = |policy: RolePolicy, until: Option<Timestamp>| {
        let mut case = case_of(policy, waiting.clone());
        if let Some(eligibility) = &mut case.assignment {
            eligibility.window.ends_at = until;
        }
        let events = decide(&case, &lead("grace"), &approve(waiting.revision), now())?;
        Ok::<_, crate::domain::refusal::Refusals>(fold(Some(waiting.clone()), &events).window().and_then(|w| w.ends_at))
    };
    assert_eq!(carried(policy(), None), Ok(Some(later(7200))));
    assert_eq!(carried(policy(), Some(later(5000))), Ok(Some(later(5000))));
    let mut capped = policy();
    capped.activation.total_max = Span::seconds(4000);
    assert_eq!(carried(capped.clone(), None), Ok(Some(later(4000))));
    capped.activation.total_max = Span::hours(1);
    assert!(carried(capped, None).is_err(), "there is nothing left to give");
}

#[test]
fn a_shortened_eligibility_shortens_below_a_waiting_extension_and_a_lock_ends_both() {
    let waiting = extending(&policy());
    let shortened = change_eligibility(&waiting, Window::new(now(), later(600)));
    assert_eq!(shortened.window(), Some(&Window::new(now(), later(600))));
    assert_eq!(shortened.due_at(), Some(later(600)), "the wish does not outlive the role");
    assert_eq!(decided(&policy(), &shortened, &lead("grace"), &approve(waiting.revision)), ["revision_changed"]);
    let settle = Command::Settle { overdue: crate::domain::command::Overdue::Activation(act()) };
    let events = decide(&case_of(policy(), shortened.clone()), &Caller::Hallpass, &settle, later(600)).expect("due");
    assert!(matches!(
        events.as_slice(),
        [Event::ExtensionEnded { ending: Ending::Lapsed, .. }, Event::ActivationEnded { ending: Ending::Expired, .. }]
    ));
    let lock = Command::Lock { principal: person("ada"), justification: Some(WHY.to_owned()) };
    let locking = Case { caller: vec![administrator()], open: vec![shortened.clone()], ..case(policy()) };
    let events = decide(&locking, &caller("root"), &lock, now()).expect("locked");
    assert!(matches!(fold(Some(shortened), &events).phase, Phase::Ended { ending: Ending::Locked, .. }));
}

#[test]
fn an_eligibility_that_no_longer_holds_now_ends_everything_behind_it() {
    let active = activation(&policy(), &[(lead("grace"), approve(1))]);
    let pending = activation(&policy(), &[]);
    for open in [active, pending] {
        let after = change_eligibility(&open, Window::new(later(60), later(86_400)));
        assert!(matches!(after.phase, Phase::Ended { ending: Ending::EligibilityLost, .. }), "{after:?}");
    }
}

#[test]
fn an_approval_needs_an_eligibility_that_stands() {
    let pending = activation(&policy(), &[]);
    let gone = [
        None,
        Some(AssignmentEnd { ending: AssignmentEnding::Removed, at: now() }),
        Some(AssignmentEnd { ending: AssignmentEnding::Expired, at: now() }),
    ];
    for ended in gone {
        let eligibility = ended.map(|ended| {
            let mut eligibility = assignment(AssignmentKind::Eligible);
            eligibility.ended = Some(ended);
            eligibility
        });
        let case = Case { assignment: eligibility, ..case_of(policy(), pending.clone()) };
        assert_eq!(codes(decide(&case, &lead("grace"), &approve(1), now())), ["not_eligible"]);
    }
    let waiting = extending(&policy());
    let case = Case { assignment: None, ..case_of(policy(), waiting.clone()) };
    assert_eq!(codes(decide(&case, &lead("grace"), &approve(waiting.revision), now())), ["not_eligible"]);
    assert_eq!(codes(decide(&case, &caller("ada"), &extend(60), now())), ["already_pending", "not_eligible"]);
}

#[test]
fn an_approver_proves_who_they_are_at_the_moment_of_the_decision() {
    let pending = activation(&policy(), &[]);
    let weak = Identity { assurance: Assurance::default(), groups: vec![leads()], ..identity("grace") };
    let weak = Caller::Identity(Arc::new(weak));
    assert_eq!(decided(&policy(), &pending, &weak, &approve(1)), ["mfa_required"]);
    assert_eq!(decided(&policy(), &pending, &weak, &word(Choice::Deny, 1)), ["mfa_required"]);
    assert_eq!(decided(&policy(), &pending, &caller("grace"), &approve(1)), ["unknown"], "no longer one of the leads");
    let locked = Standing { lock: Lock::Locked, ..Standing::default() };
    let case = Case { caller: vec![locked, Standing::default()], ..case_of(policy(), pending) };
    assert_eq!(codes(decide(&case, &lead("grace"), &approve(1), now())), ["principal_locked"]);
}

#[test]
fn what_lapsed_a_moment_ago_cannot_be_decided_any_more() {
    let pending = activation(&policy(), &[]);
    let fresh = |who: &str| {
        let mut identity = Identity { groups: vec![leads()], ends_at: Timestamp::MAX, ..identity(who) };
        identity.assurance.auth_time = None;
        Caller::Identity(Arc::new(identity))
    };
    let lapses = now().plus(Span::hours(24));
    let case = case_of(policy(), pending);
    assert!(decide(&case, &fresh("grace"), &approve(1), lapses.minus(Span::seconds(1))).is_ok());
    assert_eq!(codes(decide(&case, &fresh("grace"), &approve(1), lapses)), ["already_ended"]);
    assert_eq!(codes(decide(&case, &fresh("ada"), &Command::Cancel { id: act() }, lapses)), ["already_ended"]);
}
