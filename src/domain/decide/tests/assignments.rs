//! Assigning, removing, locking, revoking credentials, reconciling.

use std::sync::Arc;

use super::fixture::*;
use crate::domain::activation::Ending;
use crate::domain::assignment::{Assignment, AssignmentEnding, AssignmentKind, Origin};
use crate::domain::command::{Caller, Command, Declared};
use crate::domain::decide::{Case, decide};
use crate::domain::event::Event;
use crate::domain::identity::Identity;
use crate::domain::principal::Party;
use crate::domain::role::RoleId;
use crate::domain::standing::{Lock, Standing};
use crate::domain::time::{Span, Timestamp, Window};

fn as_administrator() -> Case {
    Case { caller: vec![administrator()], ..case(policy()) }
}

fn assign(kind: AssignmentKind, ends_at: Option<Timestamp>, why: Option<&str>) -> Command {
    Command::Assign {
        id: asg(5),
        kind,
        role: role(),
        party: Party::Principal(person("bob")),
        starts_at: None,
        ends_at,
        justification: why.map(str::to_owned),
    }
}

fn remove() -> Command {
    Command::RemoveAssignment { id: asg(1), justification: None }
}

#[test]
fn only_administrators_assign_and_only_within_policy() {
    use AssignmentKind::{Active, Eligible};
    let year = now().plus(Span::days(366));
    let table: [(Command, &[&str]); 8] = [
        (assign(Eligible, None, None), &[]),
        (assign(Eligible, Some(later(60)), None), &[]),
        (assign(Eligible, Some(year), None), &["duration_above_maximum"]),
        (assign(Eligible, Some(now()), None), &["window_invalid"]),
        (assign(Active, None, Some(WHY)), &["permanent_forbidden"]),
        (assign(Active, Some(later(60)), None), &["justification_missing"]),
        (assign(Active, Some(later(60)), Some(WHY)), &[]),
        (assign(Active, Some(Timestamp::MIN), None), &["window_invalid", "justification_missing"]),
    ];
    for (command, expected) in table {
        assert_eq!(codes(decide(&as_administrator(), &caller("root"), &command, now())), expected, "{command:?}");
        let by_other = decide(&case(policy()), &caller("ada"), &command, now());
        assert_eq!(codes(by_other), ["not_administrator"], "{command:?}");
    }
}

#[test]
fn losing_eligibility_ends_what_stood_on_it() {
    let pending = activation(&policy(), &[]);
    let standing = Case { open: vec![pending], ..as_administrator() };
    let events = decide(&standing, &caller("root"), &remove(), now()).expect("removed");
    assert!(matches!(
        events.as_slice(),
        [
            Event::AssignmentEnded { ending: AssignmentEnding::Removed, .. },
            Event::ActivationEnded { ending: Ending::EligibilityLost, .. }
        ]
    ));
}

#[test]
fn a_shortened_eligibility_shortens_the_activation() {
    let active = activation(&without_approval(), &[]);
    let standing = Case { open: vec![active], ..as_administrator() };
    let window = Window::new(now(), later(600));
    let command = Command::ChangeAssignment { id: asg(1), window, justification: None };
    let events = decide(&standing, &caller("root"), &command, now()).expect("changed");
    let shortened = Event::ActivationShortened { activation: act(), before: later(3600), after: later(600) };
    assert_eq!(events.get(1), Some(&shortened));
}

#[test]
fn the_last_administrator_stays() {
    let own = Assignment { role: RoleId::administrator(), ..assignment(AssignmentKind::Active) };
    let other = Assignment { id: asg(8), party: Party::Principal(person("vera")), ..own.clone() };
    let alone = Case { assignment: Some(own.clone()), standing: vec![own.clone()], ..as_administrator() };
    assert_eq!(codes(decide(&alone, &caller("root"), &remove(), now())), ["last_administrator"]);
    let two = Case { standing: vec![own.clone(), other], ..alone };
    assert_eq!(codes(decide(&two, &caller("root"), &remove(), now())), [""; 0]);
    let lock = Command::Lock { principal: person("ada"), justification: Some(WHY.to_owned()) };
    let locking = Case { standing: vec![own], ..as_administrator() };
    assert_eq!(codes(decide(&locking, &caller("root"), &lock, now())), ["last_administrator"]);
}

#[test]
fn locking_ends_everything_at_once_and_twice_is_once() {
    let held = assignment(AssignmentKind::Active);
    let eligible = Assignment { id: asg(3), ..assignment(AssignmentKind::Eligible) };
    let active = activation(&without_approval(), &[]);
    let case = Case { standing: vec![held, eligible], open: vec![active], ..as_administrator() };
    let lock = Command::Lock { principal: person("ada"), justification: Some(WHY.to_owned()) };
    let events = decide(&case, &caller("root"), &lock, now()).expect("locked");
    assert!(
        matches!(
            events.as_slice(),
            [
                Event::PrincipalLocked { .. },
                Event::AssignmentEnded { ending: AssignmentEnding::Locked, .. },
                Event::ActivationEnded { ending: Ending::Locked, .. }
            ]
        ),
        "the eligible assignment survives: {events:?}"
    );
    let again = Case { subject_lock: Lock::Locked, ..case };
    assert_eq!(decide(&again, &caller("root"), &lock, now()), Ok(Vec::new()));
}

#[test]
fn credentials_are_revoked_by_administrators_and_their_owner_and_then_command_nothing() {
    let revoke = |justification: Option<&str>| Command::RevokeCredentials {
        principal: person("ada"),
        justification: justification.map(str::to_owned),
    };
    let stranger = case(policy());
    assert_eq!(codes(decide(&stranger, &caller("grace"), &revoke(Some(WHY)), now())), ["not_administrator"]);
    assert_eq!(codes(decide(&as_administrator(), &caller("root"), &revoke(None), now())), ["justification_missing"]);
    let event = Event::CredentialsRevoked { principal: person("ada"), issued_before: now() };
    assert_eq!(decide(&as_administrator(), &caller("root"), &revoke(Some(WHY)), now()), Ok(vec![event.clone()]));
    assert_eq!(decide(&stranger, &caller("ada"), &revoke(None), now()), Ok(vec![event.clone()]));
    for (since, moves) in [(Timestamp::from_seconds(NOW - 1), true), (now(), false), (later(1), false)] {
        let case = Case { subject_credentials_since: Some(since), ..case(policy()) };
        let events = if moves { vec![event.clone()] } else { Vec::new() };
        assert_eq!(decide(&case, &caller("ada"), &revoke(None), now()), Ok(events), "never back, from {since:?}");
    }

    let since = Standing { credentials_since: Some(now()), ..Standing::default() };
    let after = Case { caller: vec![since], ..stranger };
    for (issued_at, believed) in
        [(None, false), (Some(Timestamp::from_seconds(NOW - 1)), false), (Some(now()), true), (Some(later(1)), true)]
    {
        let ada = Caller::Identity(Arc::new(Identity { issued_at, ..identity("ada") }));
        let refused = codes(decide(&after, &ada, &revoke(None), now()));
        assert_eq!(refused.is_empty(), believed, "issued at {issued_at:?}: {refused:?}");
        assert!(believed || refused == ["credential_revoked"]);
    }
}

#[test]
fn configuration_is_reconciled_and_its_work_is_its_own() {
    let declared = |party: &str, ends_at| Declared {
        id: asg(7),
        kind: AssignmentKind::Eligible,
        role: role(),
        party: Party::Principal(person(party)),
        starts_at: None,
        ends_at,
    };
    let reconcile = |declared: Vec<Declared>| Command::Reconcile { declared, digest: "d".to_owned() };
    let made = Assignment { origin: Origin::Configuration, ..assignment(AssignmentKind::Eligible) };
    let case = Case { standing: vec![made.clone()], ..case(policy()) };
    let decide = |command: &Command| decide(&case, &Caller::Configuration, command, now()).expect("reconciled");

    assert_eq!(decide(&reconcile(vec![declared("ada", None)])).len(), 1, "nothing but the configuration itself");
    let replaced = decide(&reconcile(vec![declared("bob", None)]));
    assert!(matches!(replaced.as_slice(), [_, Event::AssignmentEnded { .. }, Event::AssignmentMade { .. }]));
    let shortened = decide(&reconcile(vec![declared("ada", Some(later(60)))]));
    assert!(matches!(shortened.as_slice(), [_, Event::AssignmentChanged { .. }]));
    let past = decide(&reconcile(vec![declared("ada", None), declared("bob", Some(now()))]));
    assert_eq!(past.len(), 1, "what is over already is not made");

    let case = Case { assignment: Some(made), ..as_administrator() };
    let refused = super::fixture::codes(crate::domain::decide::decide(&case, &caller("root"), &remove(), now()));
    assert_eq!(refused, ["declared_in_configuration"]);
    let forged = crate::domain::decide::decide(&case, &caller("root"), &reconcile(Vec::new()), now());
    assert_eq!(codes(forged), ["not_administrator"]);
}

#[test]
fn a_locked_administrator_is_nobody_to_rely_on() {
    let own = Assignment { role: RoleId::administrator(), ..assignment(AssignmentKind::Active) };
    let other = Assignment { id: asg(8), party: Party::Principal(person("vera")), ..own.clone() };
    let both = Case {
        assignment: Some(own.clone()),
        standing: vec![own, other],
        locked: vec![person("vera")],
        ..as_administrator()
    };
    assert_eq!(codes(decide(&both, &caller("root"), &remove(), now())), ["last_administrator"]);
    let lock = Command::Lock { principal: person("ada"), justification: Some(WHY.to_owned()) };
    assert_eq!(codes(decide(&both, &caller("root"), &lock, now())), ["last_administrator"]);
}

#[test]
fn configuration_gives_the_locked_nothing_to_hold() {
    let declared = |kind| Declared {
        id: asg(7),
        kind,
        role: role(),
        party: Party::Principal(person("ada")),
        starts_at: None,
        ends_at: None,
    };
    let reconcile = Command::Reconcile {
        declared: vec![declared(AssignmentKind::Active), declared(AssignmentKind::Eligible)],
        digest: "d".to_owned(),
    };
    let locked = Case { locked: vec![person("ada")], ..case(policy()) };
    let events = decide(&locked, &Caller::Configuration, &reconcile, now()).expect("reconciled");
    let [Event::ConfigurationApplied { .. }, Event::AssignmentMade { assignment }] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!(assignment.kind, AssignmentKind::Eligible, "being eligible gives nothing while locked");
}

#[test]
fn what_time_ended_is_not_said_to_be_taken_away() {
    let made = Assignment {
        origin: Origin::Configuration,
        window: Window::new(Timestamp::MIN, now()),
        ..assignment(AssignmentKind::Eligible)
    };
    let case = Case { standing: vec![made], ..case(policy()) };
    let reconcile = Command::Reconcile { declared: Vec::new(), digest: "d".to_owned() };
    let events = decide(&case, &Caller::Configuration, &reconcile, later(60)).expect("reconciled");
    let expired = Event::AssignmentEnded { assignment: asg(1), ending: AssignmentEnding::Expired, at: now() };
    assert_eq!(events.get(1), Some(&expired));
}

#[test]
fn a_role_that_configuration_dropped_takes_its_cases_with_it() {
    let made = Assignment { origin: Origin::Configuration, ..assignment(AssignmentKind::Eligible) };
    let (pending, active) = (activation(&policy(), &[]), activation(&without_approval(), &[]));
    for open in [pending, active] {
        let case = Case { standing: vec![made.clone()], open: vec![open], ..Case::default() };
        let reconcile = Command::Reconcile { declared: Vec::new(), digest: "d".to_owned() };
        let events = decide(&case, &Caller::Configuration, &reconcile, now()).expect("reconciled");
        assert!(
            matches!(
                events.as_slice(),
                [
                    Event::ConfigurationApplied { .. },
                    Event::AssignmentEnded { ending: AssignmentEnding::Removed, .. },
                    Event::ActivationEnded { ending: Ending::EligibilityLost, .. }
                ]
            ),
            "{events:?}"
        );
    }
}
