//! What a party holds, may activate and awaits, after each kind of event.

use super::*;
use crate::domain::standing::{Basis, Eligible, Held, Lock, Pending, Progress};

#[test]
fn an_eligible_assignment_is_seen_by_its_party_only_and_until_it_ends() {
    let mut house = House::new();
    let ada = Party::from(person("ada"));
    let engineers = Party::from(group("engineers"));
    let committed = house.commit(
        at(1),
        &[
            made(1, AssignmentKind::Eligible, person("ada"), "shop/vault"),
            made(2, AssignmentKind::Eligible, group("engineers"), "shop/till"),
        ],
    );
    assert_eq!(committed.touched, [ada.clone(), engineers.clone()]);
    let standing = house.reader.standing(&ada).unwrap();
    let window = Window::permanent(at(0));
    assert_eq!(standing.eligible, [Eligible { assignment: asg(1), role: role("shop/vault"), window }]);
    assert_eq!(standing.position, committed.head.position);
    assert_eq!(house.reader.standing(&engineers).unwrap().eligible.len(), 1);
    // a person named like a group is another party
    assert!(house.reader.standing(&person("engineers").into()).unwrap().eligible.is_empty());

    let after = Window::new(at(0), at(500));
    house.commit(at(2), &[Event::AssignmentChanged { assignment: asg(1), before: window, after }]);
    assert_eq!(house.reader.standing(&ada).unwrap().eligible[0].window, after);
    assert_eq!(house.reader.next_due().unwrap(), Some(at(500)));

    let committed = house.commit(at(3), &[assignment_ended(1, 3)]);
    assert_eq!(committed.touched, std::slice::from_ref(&ada));
    assert!(house.reader.standing(&ada).unwrap().eligible.is_empty());
    assert_eq!(house.reader.next_due().unwrap(), None);
    assert!(house.reader.assignment(asg(1)).unwrap().unwrap().item.ended.is_some(), "nothing is deleted");
    house.rows_equal_fold();
}

#[test]
fn a_role_assigned_to_a_group_must_be_presented_with_the_group() {
    let mut house = House::new();
    house.commit(
        at(1),
        &[
            made(1, AssignmentKind::Active, person("ada"), "shop/vault"),
            made(2, AssignmentKind::Active, group("engineers"), "shop/vault"),
        ],
    );
    let held = |party: Party| house.reader.standing(&party).unwrap().held;
    let expected = |number, via| Held {
        role: role("shop/vault"),
        window: Window::permanent(at(0)),
        basis: Basis::Assignment(asg(number)),
        via,
    };
    assert_eq!(held(person("ada").into()), [expected(1, None)]);
    assert_eq!(held(group("engineers").into()), [expected(2, Some(group("engineers")))]);
}

#[test]
fn an_activation_is_pending_then_held_then_gone() {
    let mut house = House::new();
    let ada = Party::from(person("ada"));
    let boss = stage(&[person("boss").into()], 1);
    let mut request = requested(1, "ada", "shop/vault", vec![boss], at(100));
    if let Event::ActivationRequested { via, .. } = &mut request {
        *via = Some(group("engineers"));
    }
    let committed = house.commit_by(by("ada"), at(1), &[request], &Detail::default());
    assert_eq!(committed.touched, std::slice::from_ref(&ada));
    let standing = house.reader.standing(&ada).unwrap();
    let pending = Pending {
        activation: act(1),
        role: role("shop/vault"),
        requested_at: at(1),
        progress: Progress { stage: 0, stages: 1, agreed: 0, quorum: 1 },
        lapses_at: at(100),
    };
    assert_eq!((standing.pending, standing.held.len()), (vec![pending], 0));
    assert_eq!(house.reader.counts().unwrap(), (1, 0));

    let events = [decided(1, "boss", 0, Choice::Approve), started(1, 2, 60)];
    let committed = house.commit_by(by("boss"), at(2), &events, &Detail::default());
    assert_eq!(committed.touched, std::slice::from_ref(&ada), "the approver's standing is as before");
    let held = |house: &House| house.reader.standing(&ada).unwrap().held;
    let expected = |until| Held {
        role: role("shop/vault"),
        window: Window::new(at(2), at(until)),
        basis: Basis::Activation(act(1)),
        via: Some(group("engineers")),
    };
    assert_eq!(held(&house), [expected(60)]);
    assert!(house.reader.standing(&ada).unwrap().pending.is_empty());
    assert_eq!(house.reader.counts().unwrap(), (0, 1));

    house.commit(at(3), &[Event::ActivationExtended { activation: act(1), before: at(60), after: at(90) }]);
    assert_eq!(held(&house), [expected(90)]);
    house.commit(at(4), &[Event::ActivationShortened { activation: act(1), before: at(90), after: at(50) }]);
    assert_eq!(held(&house), [expected(50)]);
    let wish = Event::ExtensionRequested { activation: act(1), ends_at: at(80), lapses_at: at(20) };
    house.commit(at(5), &[wish]);
    assert_eq!(held(&house), [expected(50)], "a wish is no holding");
    assert_eq!(house.reader.next_due().unwrap(), Some(at(20)));
    house.commit(at(20), &[Event::ExtensionEnded { activation: act(1), ending: Ending::Lapsed, at: at(20) }]);
    assert_eq!(house.reader.next_due().unwrap(), Some(at(50)));

    house.commit(at(30), &[ended(1, Ending::Revoked, 30)]);
    assert_eq!(held(&house), []);
    assert_eq!(house.reader.counts().unwrap(), (0, 0));
    assert_eq!(house.reader.next_due().unwrap(), None);
    let sealed = Event::UsesSealed { activation: act(1), count: 4, digest: "d".into() };
    house.commit(at(31), &[sealed]);
    assert_eq!(house.reader.activation(act(1)).unwrap().unwrap().position, Position(2));
    house.rows_equal_fold();
}

#[test]
fn a_lock_is_seen_and_goes_only_by_unlocking() {
    let mut house = House::new();
    let lock = Event::PrincipalLocked { principal: person("ada") };
    let unlock = Event::PrincipalUnlocked { principal: person("ada") };
    let state = |house: &House| house.reader.standing(&person("ada").into()).unwrap().lock;
    assert_eq!(house.commit(at(1), std::slice::from_ref(&lock)).touched, [person("ada").into()]);
    assert_eq!(state(&house), Lock::Locked);
    assert!(house.reader.is_locked(&person("ada")).unwrap());
    let mut transaction = house.appender.begin().unwrap();
    let twice = transaction.append(&header(Actor::Hallpass, at(2)), &[lock], &Detail::default());
    assert!(matches!(twice, Err(StoreError::Stray(_))));
    drop(transaction);
    house.commit(at(2), &[unlock]);
    assert_eq!(state(&house), Lock::Open);
    house.rows_equal_fold();
}

#[test]
fn events_that_cannot_follow_are_refused_and_leave_nothing() {
    let mut house = House::new();
    house.commit(at(1), &[made(1, AssignmentKind::Eligible, person("ada"), "shop/vault"), assignment_ended(1, 1)]);
    let head = house.reader.head().unwrap();
    let other = Window::new(at(7), at(8));
    for stray in [
        made(1, AssignmentKind::Eligible, person("ada"), "shop/vault"),
        assignment_ended(1, 2),
        assignment_ended(9, 2),
        Event::AssignmentChanged { assignment: asg(1), before: Window::permanent(at(0)), after: other },
        started(1, 2, 3),
        ended(1, Ending::Expired, 2),
        Event::PrincipalUnlocked { principal: person("ada") },
    ] {
        let mut transaction = house.appender.begin().unwrap();
        let good = made(2, AssignmentKind::Eligible, person("ada"), "shop/till");
        let result = transaction.append(&header(Actor::Hallpass, at(2)), &[good, stray.clone()], &Detail::default());
        assert!(matches!(result, Err(StoreError::Stray(_))), "{stray:?}: {result:?}");
        let again = transaction.append(&header(Actor::Hallpass, at(2)), &[], &Detail::default());
        assert!(matches!(again, Err(StoreError::Poisoned)));
        assert!(matches!(transaction.commit(), Err(StoreError::Poisoned)));
    }
    assert_eq!(house.reader.head().unwrap(), head);
    assert!(house.reader.standing(&person("ada").into()).unwrap().eligible.is_empty());
    house.rows_equal_fold();
}
