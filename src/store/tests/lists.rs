//! Lists, filters, cursors, the inbox, what is due, records, and what a decision may read.

use std::sync::Arc;

use super::*;
use crate::domain::command::{Caller, Command, Declared, Overdue};
use crate::domain::decide::Case;
use crate::domain::policy::Policies;
use crate::domain::standing::Lock;

/// Twelve activations of two people for two roles, in all phases; the begin positions are their numbers + 2.
fn twelve() -> House {
    let mut house = House::new();
    for number in 0..12_u8 {
        let who = if number % 2 == 0 { "ada" } else { "bob" };
        let what = if number % 3 == 0 { "shop/vault" } else { "shop/till" };
        let boss = stage(&[person("boss").into()], 1);
        house.commit(at(i64::from(number)), &[requested(number, who, what, vec![boss], at(1000))]);
    }
    for number in 0..12_u8 {
        let time = at(100 + i64::from(number));
        match number % 4 {
            0 => {}
            1 => drop(house.commit(time, &[started(number, 200, 900)])),
            _ => drop(house.commit(time, &[ended(number, Ending::Cancelled, 100)])),
        }
    }
    house
}

#[test]
fn activations_are_found_by_every_filter_and_page_by_page() {
    let house = twelve();
    let phases = [None, Some(PhaseName::Pending), Some(PhaseName::Active), Some(PhaseName::Ended)];
    for phase in phases {
        for principal in [None, Some(person("ada")), Some(person("bob")), Some(person("eve"))] {
            for role in [None, Some(role("shop/vault")), Some(role("shop/till"))] {
                let filter =
                    ActivationFilter { principal: principal.clone(), role: role.clone(), phase, ..Default::default() };
                let expected: Vec<u8> = (0..12_u8)
                    .rev()
                    .filter(|number| {
                        let item = house.reader.activation(act(*number)).unwrap().unwrap().item;
                        phase.is_none_or(|phase| phase == PhaseName::of(&item))
                            && principal.as_ref().is_none_or(|principal| *principal == item.principal)
                            && role.as_ref().is_none_or(|role| *role == item.role)
                    })
                    .collect();
                let mut found = Vec::new();
                let mut before = None;
                loop {
                    let page = house.reader.activations(&filter, before, 2).unwrap();
                    let Some(last) = page.last() else { break };
                    before = Some(last.position);
                    found.extend(page.iter().map(|listed| listed.item.id.to_bytes()[0]));
                }
                assert_eq!(found, expected, "{filter:?}");
            }
        }
    }
    assert_eq!(house.reader.counts().unwrap(), (3, 3));
    house.rows_equal_fold();
}

#[test]
fn what_is_looked_for_in_several_lists_stands_in_all_of_them() {
    let mut house = twelve();
    house.commit(at(200), &[requested(12, "ada", "desk/till", vec![], at(1000)), ended(12, Ending::Denied, 200)]);
    house.commit(at(201), &[ended(0, Ending::Denied, 201)]);
    let ids = |filter: &ActivationFilter| -> Vec<u8> {
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let look = house.reader.find_activations(filter, before, 1).unwrap();
            found.extend(look.items.iter().map(|listed| listed.item.id.to_bytes()[0]));
            before = look.next;
            if before.is_none() {
                let whole = house.reader.activations(filter, None, 100).unwrap();
                assert_eq!(found, whole.iter().map(|listed| listed.item.id.to_bytes()[0]).collect::<Vec<_>>());
                return found;
            }
        }
    };
    let all = ActivationFilter::default();
    let of_shop = ActivationFilter { app: Some("shop".into()), ..all.clone() };
    assert_eq!(ids(&of_shop), (0..12).rev().collect::<Vec<u8>>());
    let denied = ActivationFilter { ending: Some(Ending::Denied), ..all.clone() };
    assert_eq!(ids(&denied), [12, 0]);
    assert_eq!(ids(&ActivationFilter { ending: Some(Ending::Denied), ..of_shop.clone() }), [0]);
    let cancelled = ActivationFilter { ending: Some(Ending::Cancelled), ..of_shop.clone() };
    assert_eq!(ids(&cancelled), [11, 10, 7, 6, 3, 2]);
    assert_eq!(ids(&ActivationFilter { principal: Some(person("ada")), ..cancelled.clone() }), [10, 6, 2]);
    assert_eq!(ids(&ActivationFilter { role: Some(role("shop/vault")), ..cancelled.clone() }), [6, 3]);
    assert_eq!(ids(&ActivationFilter { role: Some(role("desk/till")), ..of_shop.clone() }), [0_u8; 0]);
    assert_eq!(ids(&ActivationFilter { phase: Some(PhaseName::Pending), ..denied.clone() }), [0_u8; 0]);
    let span = ActivationFilter { from: Some(at(3)), until: Some(at(8)), ..all.clone() };
    assert_eq!(ids(&span), [7, 6, 5, 4, 3]);
    assert_eq!(ids(&ActivationFilter { principal: Some(person("bob")), ..span }), [7, 5, 3]);
    assert_eq!(ids(&ActivationFilter { until: Some(at(-5)), ..all.clone() }), [0_u8; 0]);
    assert_eq!(ids(&ActivationFilter { from: Some(at(9999)), ..all }), [0_u8; 0]);

    let positions = |ending, app: Option<&str>| -> Vec<u64> {
        let filter = RecordFilter { ending, app: app.map(Into::into), ..RecordFilter::default() };
        house.reader.records(&filter, Position(0), 100).unwrap().iter().map(|entry| entry.position.0).collect()
    };
    let newest = house.reader.head().unwrap().position.0;
    assert_eq!(positions(Some(Ending::Denied), None), [2, newest - 2, newest - 1, newest], "whole cases");
    assert_eq!(positions(Some(Ending::Denied), Some("desk")), [newest - 2, newest - 1]);
    house.rows_equal_fold();
}

#[test]
fn assignments_are_found_by_every_filter_until_they_end() {
    let mut house = House::new();
    let (ada, ops) = (Party::from(person("ada")), Party::from(group("ops")));
    let events = [
        made(1, AssignmentKind::Eligible, ada.clone(), "shop/vault"),
        made(2, AssignmentKind::Active, ada.clone(), "shop/vault"),
        made(3, AssignmentKind::Eligible, ops.clone(), "shop/vault"),
        made(4, AssignmentKind::Active, ops.clone(), "shop/till"),
        made(5, AssignmentKind::Active, ada.clone(), "shop/till"),
    ];
    house.commit(at(1), &events);
    house.commit(at(2), &[assignment_ended(5, 2)]);
    let found = |kind, party: Option<&Party>, role: Option<&str>, before| -> Vec<u8> {
        let role = role.map(|name| name.parse().unwrap());
        let filter = AssignmentFilter { kind, party: party.cloned(), role };
        let page = house.reader.assignments(&filter, before, 10).unwrap();
        page.iter().map(|listed| listed.item.id.to_bytes()[0]).collect()
    };
    assert_eq!(found(None, None, None, None), [4, 3, 2, 1]);
    assert_eq!(found(Some(AssignmentKind::Active), None, None, None), [4, 2]);
    assert_eq!(found(None, Some(&ada), None, None), [2, 1]);
    assert_eq!(found(None, None, Some("shop/vault"), None), [3, 2, 1]);
    assert_eq!(found(Some(AssignmentKind::Eligible), Some(&ops), Some("shop/vault"), None), [3]);
    assert_eq!(found(None, None, None, Some(Position(4))), [2, 1]);
    house.rows_equal_fold();
}

#[test]
fn the_inbox_holds_what_waits_for_somebody_and_nothing_else() {
    let mut house = House::new();
    let first = stage(&[group("leads").into(), person("boss").into()], 2);
    let second = stage(&[person("chief").into()], 1);
    house.commit(at(1), &[requested(1, "ada", "shop/vault", vec![first.clone(), second], at(500))]);
    house.commit(at(2), &[requested(2, "boss", "shop/vault", vec![first.clone()], at(500))]);
    house.commit(at(3), &[requested(3, "bob", "shop/vault", vec![first], at(500))]);
    let inbox = |house: &House, name: &str, groups: &[&str]| -> Vec<u8> {
        let listed = house.reader.inbox(&identity(name, groups), None, 10).unwrap();
        listed.iter().map(|listed| listed.item.id.to_bytes()[0]).collect()
    };
    assert_eq!(inbox(&house, "lena", &["leads", "cooks"]), [3, 2, 1]);
    assert_eq!(inbox(&house, "boss", &["leads"]), [3, 1], "never the own, and each once");
    assert_eq!(inbox(&house, "chief", &[]), [0_u8; 0], "its stage is not open");
    assert_eq!(inbox(&house, "lena", &[]), [0_u8; 0]);
    let second_page = house.reader.inbox(&identity("lena", &["leads"]), Some(Position(4)), 1).unwrap();
    assert_eq!(second_page[0].item.id, act(2));
    let lena = identity("lena", &["leads"]);
    assert_eq!(house.reader.inbox(&lena, None, 2).unwrap().len(), 2);
    let oldest = |after, limit| -> Vec<u64> {
        let listed = house.reader.inbox_in(&lena, Order::OldestFirst, after, limit).unwrap();
        listed.iter().map(|listed| listed.position.0).collect()
    };
    assert_eq!((oldest(None, 10), oldest(None, 1)), (vec![2, 3, 4], vec![2]));
    assert_eq!((oldest(Some(Position(2)), 1), oldest(Some(Position(3)), 9)), (vec![3], vec![4]));

    house.commit_by(by("lena"), at(4), &[decided(1, "lena", 0, Choice::Approve)], &Detail::default());
    assert_eq!(inbox(&house, "lena", &["leads"]), [3, 2], "who has voted waits no more");
    assert_eq!(inbox(&house, "lars", &["leads"]), [3, 2, 1]);
    house.commit_by(by("lars"), at(5), &[decided(1, "lars", 0, Choice::Approve)], &Detail::default());
    assert_eq!(inbox(&house, "boss", &["leads"]), [3]);
    assert_eq!(inbox(&house, "chief", &[]), [1]);
    house.commit_by(
        by("chief"),
        at(6),
        &[decided(1, "chief", 1, Choice::Approve), started(1, 6, 90)],
        &Detail::default(),
    );
    assert_eq!(inbox(&house, "chief", &[]), [0_u8; 0]);
    let wish = Event::ExtensionRequested { activation: act(1), ends_at: at(120), lapses_at: at(80) };
    house.commit(at(7), &[wish]);
    assert_eq!(inbox(&house, "boss", &[]), [3, 1], "an extension is voted on from the first stage");
    house.commit(at(8), &[ended(1, Ending::Deactivated, 8), ended(3, Ending::Lapsed, 8)]);
    assert_eq!(inbox(&house, "boss", &["leads"]), [0_u8; 0]);
    house.rows_equal_fold();
}

#[test]
fn what_is_due_comes_earliest_first_and_from_its_very_instant() {
    let mut house = House::new();
    let mut short = made(1, AssignmentKind::Active, person("ada"), "shop/vault");
    if let Event::AssignmentMade { assignment } = &mut short {
        assignment.window = Window::new(at(0), at(30));
    }
    house.commit(at(1), &[short, requested(1, "ada", "shop/till", vec![], at(20)), started(1, 1, 20)]);
    house.commit(at(2), &[requested(2, "bob", "shop/till", vec![], at(40))]);
    assert_eq!(house.reader.next_due().unwrap(), Some(at(20)));
    assert_eq!(house.reader.overdue(at(19), 10).unwrap(), []);
    assert_eq!(house.reader.overdue(at(20), 10).unwrap(), [Overdue::Activation(act(1))]);
    let all = [Overdue::Activation(act(1)), Overdue::Assignment(asg(1)), Overdue::Activation(act(2))];
    assert_eq!(house.reader.overdue(at(40), 10).unwrap(), all);
    assert_eq!(house.reader.overdue(at(40), 2).unwrap(), all[..2]);
}

#[test]
fn records_are_found_by_what_they_concern() {
    let mut house = twelve();
    house.commit_by(by("carl"), at(300), &[ended(0, Ending::Revoked, 300)], &Detail::default());
    let all = house.reader.records(&RecordFilter::default(), Position(0), 1000).unwrap();
    assert_eq!(all.len(), 23);
    assert!(all.iter().zip(1..).all(|(entry, sequence)| entry.position == Position(sequence)));
    let positions = |filter: &RecordFilter, after, limit| -> Vec<u64> {
        house.reader.records(filter, Position(after), limit).unwrap().iter().map(|entry| entry.position.0).collect()
    };
    let of = RecordFilter { activation: Some(act(0)), ..RecordFilter::default() };
    assert_eq!(positions(&of, 0, 10), [2, 23]);
    assert_eq!(positions(&of, 2, 10), [23]);
    assert_eq!(positions(&of, 0, 1), [2]);
    let ada = RecordFilter { principal: Some(person("ada")), ..RecordFilter::default() };
    let role = RecordFilter { role: Some(role("shop/vault")), ..ada.clone() };
    let both = positions(&role, 0, 100);
    assert_eq!(
        both,
        positions(&ada, 0, 100).into_iter().filter(|p| positions_of_vault(&house).contains(p)).collect::<Vec<_>>()
    );
    assert!(both.contains(&23), "a record concerns its holder");
    let carl = RecordFilter { principal: Some(person("carl")), ..RecordFilter::default() };
    assert_eq!(positions(&carl, 0, 10), [23], "and its actor");
    let started = RecordFilter { event: Some("activation_started".into()), ..RecordFilter::default() };
    assert_eq!(positions(&started, 0, 10).len(), 3);
    let nothing = RecordFilter { event: Some("activation_started".into()), ..of.clone() };
    assert_eq!(positions(&nothing, 0, 10), [0_u64; 0]);
    let span = RecordFilter { from: Some(at(5)), until: Some(at(8)), ..RecordFilter::default() };
    assert_eq!(positions(&span, 0, 100), [7, 8, 9]);
    let late = RecordFilter { from: Some(at(9999)), ..RecordFilter::default() };
    assert_eq!(positions(&late, 0, 100), [0_u64; 0]);
}

fn positions_of_vault(house: &House) -> Vec<u64> {
    let filter = RecordFilter { role: Some(role("shop/vault")), ..RecordFilter::default() };
    house.reader.records(&filter, Position(0), 100).unwrap().iter().map(|entry| entry.position.0).collect()
}

fn case(house: &mut House, caller: &Caller, command: &Command) -> Case {
    house.appender.begin().unwrap().case(caller, command, &Arc::new(Policies::default())).unwrap()
}

#[test]
fn a_case_holds_what_its_command_may_read() {
    let mut house = House::new();
    let configured = |number, kind, party: Party, role| {
        let mut event = made(number, kind, party, role);
        if let Event::AssignmentMade { assignment } = &mut event {
            assignment.origin = Origin::Configuration;
        }
        event
    };
    let admin = "hallpass/administrator";
    house.commit(
        at(1),
        &[
            configured(1, AssignmentKind::Eligible, person("ada").into(), "shop/vault"),
            configured(2, AssignmentKind::Active, person("root").into(), admin),
            made(3, AssignmentKind::Active, person("ada"), admin),
            made(4, AssignmentKind::Eligible, group("ops"), "shop/till"),
            made(5, AssignmentKind::Eligible, person("ada"), "shop/till"),
            requested(1, "ada", "shop/vault", vec![], at(500)),
            requested(2, "ada", "shop/till", vec![], at(500)),
            started(2, 1, 400),
            requested(3, "bob", "shop/vault", vec![], at(500)),
            requested(4, "ada", "shop/vault", vec![], at(500)),
            ended(4, Ending::Cancelled, 1),
            made(6, AssignmentKind::Active, person("bob"), admin),
            Event::PrincipalLocked { principal: person("bob") },
        ],
    );
    let ids = |case: &Case| -> (Vec<u8>, Vec<u8>) {
        let mut open: Vec<u8> = case.open.iter().map(|open| open.id.to_bytes()[0]).collect();
        let mut standing: Vec<u8> = case.standing.iter().map(|standing| standing.id.to_bytes()[0]).collect();
        open.sort_unstable();
        standing.sort_unstable();
        (open, standing)
    };
    let ada = Caller::Identity(Arc::new(identity("ada", &["cooks", "ops"])));
    let request = Command::RequestActivation {
        id: act(9),
        role: role("shop/vault"),
        duration: None,
        starts_at: None,
        justification: None,
        ticket: None,
        wanted: None,
    };
    let found = case(&mut house, &ada, &request);
    assert_eq!(ids(&found), (vec![1], vec![]));
    assert!(found.assignment.is_none() && found.activation.is_none());
    assert_eq!(found.caller.len(), 3, "own, cooks, ops");
    assert_eq!(found.caller[2].eligible[0].assignment, asg(4));
    let counts = (found.pending.of_principal, found.pending.of_role, found.pending.total);
    assert_eq!(counts, (1, 2, 2));
    assert_eq!(found.subject_lock, Lock::Open);
    let bob = Caller::Identity(Arc::new(identity("bob", &[])));
    assert_eq!(case(&mut house, &bob, &request).subject_lock, Lock::Locked);

    let found = case(&mut house, &ada, &Command::Deactivate { id: act(2) });
    assert_eq!(found.activation.unwrap().id, act(2));
    assert_eq!(found.assignment.unwrap().id, asg(1), "the eligibility behind it");

    let remove = Command::RemoveAssignment { id: asg(1), justification: None };
    let found = case(&mut house, &ada, &remove);
    assert_eq!(found.assignment.as_ref().unwrap().id, asg(1));
    assert_eq!(ids(&found), (vec![1, 2, 3], vec![2, 3, 6]));
    assert_eq!(found.locked, [person("bob")], "an administrator nobody can rely on");

    let lock = |name| Command::Lock { principal: person(name), justification: None };
    let found = case(&mut house, &ada, &lock("ada"));
    assert_eq!(ids(&found), (vec![1, 2], vec![1, 2, 3, 5, 6]));
    assert_eq!((found.subject_lock, found.locked), (Lock::Open, vec![person("bob")]));
    assert_eq!(case(&mut house, &ada, &lock("bob")).subject_lock, Lock::Locked);

    let declared = |name: &str| Declared {
        id: asg(7),
        kind: AssignmentKind::Active,
        role: role(admin),
        party: person(name).into(),
        starts_at: None,
        ends_at: None,
    };
    let reconcile = Command::Reconcile { declared: vec![declared("bob"), declared("eve")], digest: String::new() };
    let found = case(&mut house, &Caller::Configuration, &reconcile);
    assert_eq!(ids(&found), (vec![1, 2, 3], vec![1, 2]));
    assert!(found.caller.is_empty());
    assert_eq!(found.locked, [person("bob")]);

    let settle = Command::Settle { overdue: Overdue::Assignment(asg(1)) };
    let found = case(&mut house, &Caller::Hallpass, &settle);
    assert_eq!((found.assignment.as_ref().map(|found| found.id), ids(&found).0), (Some(asg(1)), vec![1, 2, 3]));
    let settle = Command::Settle { overdue: Overdue::Activation(act(2)) };
    assert_eq!(case(&mut house, &Caller::Hallpass, &settle).activation.unwrap().id, act(2));
    house.rows_equal_fold();
}
