//! The writer when the disk fails, the clock is wrong or a decision panics: what is granted, what ends, what is owed.

mod cutting;
mod disbelief;
mod owed;
mod refused;
mod world;

use world::*;

use super::outage::ROOM_PAUSE;

use crate::domain::activation::{Ending, Phase};
use crate::domain::assignment::AssignmentKind;
use crate::domain::command::{Caller, Command, Overdue};
use crate::domain::identity::Identity;
use crate::domain::principal::Party;
use crate::domain::time::{Span, Timestamp};
use crate::store::Idempotency;
use crate::store::tests::disk::Trouble;

#[tokio::test]
async fn nothing_is_granted_without_the_disk_and_known_rights_last_until_their_end() {
    let world = World::new().await;
    world.holds("ada", 1).await;
    world.break_the_disk().await;
    out(&world.submit("ben", request(2, WHY)).await);
    out(&world.submit("root", lock("ada", None)).await);
    out(&world.submit("ben", revoke(1)).await);
    out(&world.submit("ben", Command::Deactivate { id: act(1) }).await);
    assert!(world.is_held_by("ada"), "whoever may not end it ends nothing");
    assert!(!world.is_held_by("ben"));
    world.clock.advance(Span::seconds(3599));
    assert!(world.is_held_by("ada"));
    world.clock.advance(Span::seconds(1));
    assert!(!world.is_held_by("ada"), "the end needs no disk");
    world.mend_the_disk().await;
    world.submit("ben", request(2, WHY)).await.unwrap();
    assert!(world.is_held_by("ben"));
}

#[tokio::test]
async fn what_ends_a_right_is_in_force_at_once_and_durable_afterwards() {
    for (number, who, command, ending) in [
        (1, "ada", Command::Deactivate { id: act(1) }, Ending::Deactivated),
        (2, "root", revoke(2), Ending::Revoked),
        (3, "root", lock("ada", Some(WHY)), Ending::Locked),
    ] {
        let world = World::new().await;
        world.holds("ada", number).await;
        world.break_the_disk().await;
        let ended_at = world.now.now();
        in_memory(&world.submit(who, command.clone()).await);
        assert!(!world.is_held_by("ada"), "{command:?}");
        in_memory(&world.submit(who, command.clone()).await);
        world.clock.advance(Span::minutes(1));
        world.mend_the_disk().await;
        assert!(!world.is_held_by("ada"), "{command:?}");
        let phase = world.phase(number);
        let held = matches!(&phase, Phase::Ended { ending: found, at, .. } if *found == ending && *at == ended_at);
        assert!(held, "it ended when it was told to: {phase:?}");
        assert_eq!(world.reader.is_locked(&person("ada")).unwrap(), ending == Ending::Locked);
    }
}

#[tokio::test]
async fn stolen_credentials_count_no_more_at_once_however_often_they_are_stolen() {
    let world = World::new().await;
    world.holds("ada", 1).await;
    world.break_the_disk().await;
    let believes = |who: &str, issued_at| {
        let standing = world.standings.of(&Party::Principal(person(who))).unwrap();
        standing.believes(&Identity { issued_at: Some(issued_at), ..identity(who) })
    };
    let revoke = || revoke_credentials("ada");
    let issued = |minutes: i64| Timestamp::from_seconds(NOW + 60 * minutes);
    assert!(believes("ada", issued(0)));
    out(&world.submit("ben", revoke()).await);
    assert!(believes("ada", issued(0)), "not by anybody else's word");
    world.clock.advance(Span::minutes(1));
    in_memory(&world.submit("root", revoke()).await);
    assert!(!believes("ada", issued(0)) && believes("ada", issued(1)) && believes("ben", issued(0)));
    world.clock.advance(Span::minutes(1));
    in_memory(&world.submit("root", revoke()).await);
    assert!(!believes("ada", issued(1)) && believes("ada", issued(2)), "what was issued since is reached as well");
    out(&world.submit("ada", Command::Cancel { id: act(1) }).await);
    out(&world.submit("ada", Command::Deactivate { id: act(1) }).await);
    assert!(world.is_held_by("ada"), "whoever has them ends nothing by them");
    world.clock.advance(Span::minutes(1));
    world.mend_the_disk().await;
    assert!(!believes("ada", issued(1)) && believes("ada", issued(2)), "as of when it was told");
}

#[tokio::test]
async fn what_is_owed_is_counted_and_paid_as_soon_as_the_disk_is_back() {
    let world = World::new().await;
    world.holds("ada", 1).await;
    world.holds("ben", 2).await;
    world.break_the_disk().await;
    let told = |number: u8| {
        let metrics = world.metrics.encode();
        assert!(metrics.contains(&format!("store_owed_ends {number}\n")), "{metrics}");
    };
    told(0);
    in_memory(&world.submit("ada", Command::Deactivate { id: act(1) }).await);
    in_memory(&world.submit("root", revoke(2)).await);
    told(2);
    let state = world.writer.health().state();
    assert!(state == StoreState::Out && state.explanation().is_some(), "readiness says so: {state:?}");
    world.mend_the_disk().await;
    told(0);
    assert_eq!(world.writer.health().state().explanation(), None);
    let World { writer, running, reader, .. } = world;
    drop(writer);
    assert_eq!(running.join(), [], "nothing is lost");
    for number in [1, 2] {
        assert!(matches!(reader.activation(act(number)).unwrap().unwrap().item.phase, Phase::Ended { .. }));
    }
}

#[tokio::test]
async fn whoever_stops_during_an_outage_is_told_what_is_lost_unless_the_disk_is_back() {
    for trouble in [Trouble::Writing, Trouble::None] {
        let world = World::new().await;
        world.holds("ada", 1).await;
        world.holds("ben", 2).await;
        world.break_the_disk().await;
        let ended_at = world.now.now();
        in_memory(&world.submit("ada", Command::Deactivate { id: act(1) }).await);
        in_memory(&world.submit("root", lock("ben", Some(WHY))).await);
        world.disk.suffer(trouble);
        let World { writer, running, reader, .. } = world;
        drop(writer);
        let lost = running.join();
        if trouble == Trouble::None {
            assert_eq!(lost, [], "the last try found the disk well");
            assert!(reader.is_locked(&person("ben")).unwrap());
            continue;
        }
        let said: Vec<String> = lost.iter().map(ToString::to_string).collect();
        let (ada, root, ben) = (person("ada"), person("root"), person("ben"));
        assert_eq!(said, [format!("deactivate {}, by {ada}", act(1)), format!("lock {ben}, by {root}")]);
        assert!(lost.iter().all(|lost| lost.ended_at == ended_at), "{lost:?}");
        assert!(!said.concat().contains(WHY), "what was typed stays out of the log");
    }
}

#[tokio::test]
async fn a_right_that_was_taken_does_not_come_back_because_the_outage_was_long() {
    let world = World::new().await;
    world.holds("ada", 1).await;
    world.holds("ben", 2).await;
    world.break_the_disk().await;
    in_memory(&world.submit("root", revoke(1)).await);
    in_memory(&world.submit("root", lock("ben", Some(WHY))).await);
    // meanwhile root's sign-in is too old for an administrator, and root is no longer one
    world.clock.advance(Span::minutes(15));
    world.mend_the_disk().await;
    assert!(!world.is_held_by("ada"), "revoked stays revoked");
    assert!(!world.is_held_by("ben"), "locked stays locked");
    assert!(matches!(world.phase(1), Phase::Ended { ending: Ending::Revoked, .. }));
    assert!(matches!(world.phase(2), Phase::Ended { ending: Ending::Locked, .. }));
}

#[tokio::test]
async fn a_repeat_with_the_same_key_is_answered_alike_before_and_after() {
    let world = World::new().await;
    world.holds("ada", 1).await;
    world.break_the_disk().await;
    let key = || Some(Idempotency { key: "k".to_owned(), digest: [7; 32] });
    let command = Command::Deactivate { id: act(1) };
    in_memory(&world.submit_as(caller("ada"), command.clone(), key()).await);
    world.mend_the_disk().await;
    let repeated = world.submit_as(caller("ada"), command.clone(), key()).await.unwrap();
    assert_eq!(repeated.replayed, Replayed::Yes);
    assert!(matches!(repeated.activation.unwrap().phase, Phase::Ended { ending: Ending::Deactivated, .. }));
    let otherwise = Some(Idempotency { key: "k".to_owned(), digest: [8; 32] });
    let other = world.submit_as(caller("ada"), command, otherwise).await;
    assert!(
        matches!(&other, Err(SubmitError::Refused(why)) if why.first().code() == "idempotency_mismatch"),
        "{other:?}"
    );
}

#[tokio::test]
async fn a_panic_while_deciding_is_a_failed_commit_and_no_more() {
    let world = World::new().await;
    world.holds("ada", 1).await;
    let crew = caller_of_crew("crew-1");
    let hold = Submission { caller: crew, command: request(5, HOLD), idempotency: None, purpose: Purpose::DryRun };
    // both wait in the queue when the writer goes on, and so share a commit
    let (_, bad, good, ()) = tokio::join!(
        biased;
        world.writer.submit(hold),
        world.submit("ben", request(3, TRAP)),
        world.submit("ben", request(2, WHY)),
        async { world.lets_go() }
    );
    out(&bad);
    out(&good);
    world.mend_the_disk().await;
    assert!(world.is_held_by("ada"));
    assert!(world.reader.activation(act(2)).unwrap().is_none(), "nothing of the batch was kept");
    assert!(world.reader.activation(act(3)).unwrap().is_none(), "nothing of it was kept");
    world.submit("ben", request(4, WHY)).await.unwrap();
}

#[tokio::test]
async fn a_clock_set_back_revives_nothing_and_grants_nothing() {
    let world = World::new().await;
    world.holds("ada", 1).await;
    world.clock.advance(Span::hours(2));
    world.submit_as(Caller::Hallpass, Command::Settle { overdue: Overdue::Activation(act(1)) }, None).await.unwrap();
    world.clock.set(Timestamp::from_seconds(NOW));
    assert!(!world.is_held_by("ada"), "what ended stays ended");
    let refused = world.submit("ben", request(2, WHY)).await;
    assert!(matches!(refused, Err(SubmitError::ClockBehind)), "{refused:?}");
    world.submit("root", lock("ben", Some(WHY))).await.expect_err("root's hour as administrator is over as well");
    world.clock.set(Timestamp::from_seconds(NOW).plus(Span::hours(2)));
    world.submit("ben", request(2, WHY)).await.unwrap();
    world.reader.check_rows().unwrap();
}

#[tokio::test]
async fn a_journal_in_doubt_takes_only_the_ends_that_somebody_asks_for() {
    let world = World::new().await;
    world.holds("ada", 1).await;
    world.holds("ben", 2).await;
    world.standings.doubt("for a test");
    let before = world.reader.head().unwrap().position;
    world.submit("vera", lock("ada", Some(WHY))).await.unwrap();
    world.submit("vera", revoke_credentials("ben")).await.unwrap();
    assert!(world.reader.head().unwrap().position > before);
    assert!(!world.is_held_by("ada"));

    world.clock.advance(Span::hours(2));
    let head = world.reader.head().unwrap();
    let settle = |number| Command::Settle { overdue: Overdue::Activation(act(number)) };
    let seal = Command::SealUses { id: act(1), count: 1, digest: "00".repeat(32) };
    let reconcile = Command::Reconcile { declared: Vec::new(), digest: "another".to_owned() };
    let erase = Command::Erase { principal: person("ada"), justification: Some(WHY.to_owned()) };
    for (by, command) in [
        (Caller::Hallpass, settle(1)),
        (Caller::Hallpass, seal),
        (Caller::Configuration, reconcile),
        (caller("vera"), erase),
        (caller("vera"), unlock("ada")),
        (caller("ada"), request(3, WHY)),
    ] {
        let refused = world.submit_as(by, command.clone(), None).await;
        assert!(matches!(refused, Err(SubmitError::Doubted(_))), "{command:?}: {refused:?}");
    }
    let stop = tokio_util::sync::CancellationToken::new();
    let (reader, writer) = (world.reader.clone(), world.writer.clone());
    let sweeping = sweep::run(reader, writer, world.standings.clone(), world.now.clone(), stop);
    tokio::time::timeout(PATIENCE, sweeping).await.expect("there is nothing for it to do");
    assert_eq!(world.reader.head().unwrap(), head, "nothing was written");
}

#[tokio::test]
async fn a_sweep_writes_down_everything_that_is_due_and_then_rests() {
    let world = World::new().await;
    let crowd = (0..150_u8)
        .map(|number| world.submit_as(caller_of_crew(&format!("crew-{number}")), request(number, WHY), None));
    for granted in futures_util::future::join_all(crowd).await {
        granted.unwrap();
    }
    assert_eq!(world.reader.counts().unwrap(), (0, 150));
    world.clock.advance(Span::hours(1));
    let stop = tokio_util::sync::CancellationToken::new();
    let mut head = world.standings.watch();
    let sweeping = sweep::run(
        world.reader.clone(),
        world.writer.clone(),
        world.standings.clone(),
        world.now.clone(),
        stop.clone(),
    );
    let watching = async {
        while world.reader.counts().unwrap() != (0, 0) {
            head.changed().await.unwrap();
        }
        let overdue = world.reader.overdue(world.now.now(), 10).unwrap();
        assert!(overdue.is_empty(), "root's ten minutes and all the rest: {overdue:?}");
        stop.cancel();
    };
    let both = async { tokio::join!(sweeping, watching) };
    tokio::time::timeout(PATIENCE, both).await.expect("the sweep comes to an end");
    assert_eq!(world.reader.next_due().unwrap(), None);
    world.reader.check_rows().unwrap();
}

#[tokio::test]
async fn a_failed_sync_is_never_asked_for_again_and_the_store_is_verified_first() {
    let world = World::new().await;
    world.holds("ada", 1).await;
    world.disk.suffer(Trouble::Syncing);
    out(&world.submit("ben", request(2, WHY)).await);
    world.rests().await;
    for tries in 1..4 {
        // one for the commit, and one for each try to reopen the store
        assert_eq!(world.disk.syncs_failed(), 1 + tries);
        assert_eq!(world.writer.health().state(), StoreState::Out);
        world.tries_again().await;
    }
    assert_eq!(world.disk.syncs_repeated(), 0, "it is closed before it is asked anything again");
    assert!(world.is_held_by("ada") && !world.is_held_by("ben"));
    world.mend_the_disk().await;
    assert_eq!(world.writer.health().state(), StoreState::Open);
    world.submit("ben", request(3, WHY)).await.unwrap();
}

#[tokio::test]
async fn on_a_disk_without_room_only_what_ends_a_right_is_taken() {
    let world = World::new().await;
    world.holds("ada", 1).await;
    world.disk.suffer(Trouble::Full);
    let refused = world.submit("ben", request(2, WHY)).await;
    assert!(matches!(refused, Err(SubmitError::DiskFull)), "{refused:?}");
    in_memory(&world.submit("ada", Command::Deactivate { id: act(1) }).await);
    // the room set aside is back: what ends a right is written, and nothing else
    world.mend_the_disk().await;
    assert_eq!(world.writer.health().state(), StoreState::EndsOnly);
    assert!(matches!(world.phase(1), Phase::Ended { ending: Ending::Deactivated, .. }));
    let refused = world.submit("ben", request(2, WHY)).await;
    assert!(matches!(refused, Err(SubmitError::DiskFull)), "{refused:?}");
    world.submit("root", lock("eve", Some(WHY))).await.unwrap();
    assert!(world.reader.is_locked(&person("eve")).unwrap());
    world.clock.rest(Span::seconds(ROOM_PAUSE.as_secs()));
    let found = async {
        while world.writer.health().state() != StoreState::Open {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("there is room again");
    world.submit("ben", request(2, WHY)).await.unwrap();
}

#[tokio::test]
async fn a_disk_that_may_only_be_read_is_an_outage_like_others() {
    let world = World::new().await;
    world.holds("ada", 1).await;
    world.disk.suffer(Trouble::ReadOnly);
    out(&world.submit("ben", request(2, WHY)).await);
    in_memory(&world.submit("root", revoke(1)).await);
    assert!(!world.is_held_by("ada"));
    world.mend_the_disk().await;
    assert!(matches!(world.phase(1), Phase::Ended { ending: Ending::Revoked, .. }));
}

#[tokio::test]
async fn without_the_store_an_approver_revokes_and_an_administrator_removes() {
    let world = World::new().await;
    world.holds_the_safe("ada", 1).await;
    let ada_holds_safe = || {
        let standing = world.standings.of(&person("ada").into()).unwrap();
        standing.holding(&safe(), &identity("ada"), world.now.now()).is_some()
    };
    assert!(ada_holds_safe());
    let assigned = Command::Assign {
        id: asg(9),
        kind: AssignmentKind::Active,
        role: role(),
        party: person("ben").into(),
        starts_at: None,
        ends_at: None,
        justification: Some(WHY.to_owned()),
    };
    world.submit("root", assigned).await.unwrap();
    assert!(world.is_held_by("ben"));
    // whoever was never looked at cannot be known once the store is out
    for who in ["root", "lea", "ada"] {
        world.standings.of(&person(who).into()).unwrap();
    }
    world.break_the_disk().await;
    let remove = |id| Command::RemoveAssignment { id, justification: Some(WHY.to_owned()) };
    out(&world.submit("ada", remove(asg(9))).await);
    out(&world.submit("root", remove(asg(4))).await);
    assert!(world.is_held_by("ben"));
    in_memory(&world.submit("root", remove(asg(9))).await);
    assert!(!world.is_held_by("ben"));
    in_memory(&world.submit("lea", revoke(1)).await);
    assert!(!ada_holds_safe(), "lea approves this role");
    world.mend_the_disk().await;
    assert!(!ada_holds_safe() && !world.is_held_by("ben"));
    assert!(matches!(world.phase(1), Phase::Ended { ending: Ending::Revoked, .. }));
    assert!(world.reader.assignment(asg(9)).unwrap().unwrap().item.ended.is_some());
}
