//! Ends that took effect while the store was out, and that the journal refuses afterwards: they stay, until somebody who may
//! says otherwise.

use std::fs;
use std::path::{Path, PathBuf};

use super::owed::places;
use super::world::*;
use crate::domain::assignment::AssignmentKind;
use crate::domain::identity::Identity;
use crate::domain::standing::Lock;
use crate::domain::time::{Span, Timestamp};
use crate::store::tests::disk::Trouble;

/// root, whose sign-in counted when it was given, gave `command` while the store was out; it counts no more since.
async fn refused(places: &[PathBuf], command: Command) -> World {
    let world = World::keeping(places.to_vec()).await;
    for who in ["root", "vera"] {
        world.standings.of(&person(who).into()).unwrap();
    }
    world.break_the_disk().await;
    world.clock.advance(Span::minutes(1));
    in_memory(&world.submit("root", command).await);
    world.administrators_signed_in_within(Span::seconds(30));
    world.mend_the_disk().await;
    owes(&world, 1);
    world
}

#[track_caller]
fn owes(world: &World, count: u8) {
    let metrics = world.metrics.encode();
    assert!(metrics.contains(&format!("store_owed_ends {count}\n")), "{metrics}");
    assert!(count > 0 || world.aside_is_empty(), "nothing is kept aside any more");
}

fn code(result: Result<Outcome, SubmitError>) -> &'static str {
    match result {
        Err(SubmitError::Refused(refusals)) => refusals.first().code(),
        other => panic!("{other:?}"),
    }
}

async fn by_vera(world: &World, command: Command) -> Result<Outcome, SubmitError> {
    world.submit_as(fresh(world, "vera"), command, None).await
}

/// Whether ben may ask for a role, in the journal and in memory.
async fn is_locked(world: &World) -> bool {
    let locked = world.standings.of(&person("ben").into()).unwrap().lock == Lock::Locked;
    match dry(world, caller("ben"), request(20, WHY)).await {
        Ok(_) => assert!(!locked),
        refused => assert_eq!((code(refused), locked), ("principal_locked", true)),
    }
    locked
}

async fn dry(world: &World, caller: Caller, command: Command) -> Result<Outcome, SubmitError> {
    let submission = Submission { caller, command, idempotency: None, purpose: Purpose::DryRun };
    world.writer.submit(submission).await
}

fn files(places: &[PathBuf]) -> Vec<Vec<u8>> {
    places.iter().map(|place| fs::read(place).unwrap()).collect()
}

fn put_back(places: &[PathBuf], files: &[Vec<u8>]) {
    for (place, bytes) in places.iter().zip(files) {
        fs::write(place, bytes).unwrap();
    }
}

#[tokio::test]
async fn a_refused_lock_stays_until_somebody_who_may_unlocks() {
    let folder = tempfile::tempdir().unwrap();
    let places = places(folder.path());
    for locks_before in [false, true] {
        let world = refused(&places, lock("ben", Some(WHY))).await;
        assert!(is_locked(&world).await && !world.reader.is_locked(&person("ben")).unwrap());
        let world = world.restart().unwrap();
        assert!(is_locked(&world).await, "also after a restart");
        owes(&world, 1);
        let kept = files(&places);
        world.clock.advance(Span::minutes(1));
        if locks_before {
            by_vera(&world, lock("ben", Some(WHY))).await.unwrap();
            owes(&world, 0);
            assert!(is_locked(&world).await && world.reader.is_locked(&person("ben")).unwrap());
        }
        assert_eq!(code(world.submit("root", unlock("ben")).await), "sign_in_too_old");
        assert!(is_locked(&world).await, "not by those who may not");
        by_vera(&world, unlock("ben")).await.unwrap();
        owes(&world, 0);
        assert!(!is_locked(&world).await, "answered is in force");
        let world = world.restart().unwrap();
        assert!(!is_locked(&world).await, "and durable");
        if locks_before {
            put_back(&places, &kept);
            let world = world.restart().unwrap();
            assert!(!is_locked(&world).await, "the journal tells that it was lifted since");
            owes(&world, 0);
        }
    }
}

#[tokio::test]
async fn a_lift_that_nothing_durable_tells_of_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let places = places(folder.path());
    let world = refused(&places, lock("ben", Some(WHY))).await;
    let kept = files(&places);
    fs::remove_file(&places[1]).unwrap();
    fs::create_dir(&places[1]).unwrap();
    let lifted = by_vera(&world, unlock("ben")).await;
    assert!(matches!(lifted, Err(SubmitError::Unavailable)), "{lifted:?}");
    assert!(is_locked(&world).await);
    assert_eq!(fs::read(&places[0]).unwrap(), kept[0], "still kept where it can be");
    fs::remove_dir(&places[1]).unwrap();
    dry(&world, fresh(&world, "vera"), unlock("ben")).await.unwrap();
    assert!(is_locked(&world).await, "a dry run lifts nothing");
    by_vera(&world, unlock("ben")).await.unwrap();
    assert!(!is_locked(&world.restart().unwrap()).await);
}

#[tokio::test]
async fn whoever_lost_a_right_in_memory_commands_nothing_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let world = refused(&places(folder.path()), lock("vera", Some(WHY))).await;
    for command in [unlock("vera"), lock("root", Some(WHY)), revoke_credentials("root")] {
        assert_eq!(code(by_vera(&world, command).await), "not_administrator");
    }
    owes(&world, 1);
    let folder = tempfile::tempdir().unwrap();
    let world = refused(&places(folder.path()), revoke_credentials("vera")).await;
    let stolen = Caller::Identity(std::sync::Arc::new(Identity {
        issued_at: Some(Timestamp::from_seconds(NOW)),
        ..fresh(&world, "vera").identity().unwrap().clone()
    }));
    assert_eq!(code(world.submit_as(stolen, unlock("ben"), None).await), "credential_revoked");
    by_vera(&world, unlock("ben")).await.expect("what was issued since counts");
}

#[tokio::test]
async fn credentials_that_were_revoked_do_not_count_again() {
    let folder = tempfile::tempdir().unwrap();
    let places = places(folder.path());
    let world = World::keeping(places.clone()).await;
    for who in ["root", "vera", "ada"] {
        world.standings.of(&person(who).into()).unwrap();
    }
    let believes = |world: &World, minutes: i64| {
        let issued_at = Some(Timestamp::from_seconds(NOW + 60 * minutes));
        let standing = world.standings.of(&person("ada").into()).unwrap();
        standing.believes(&Identity { issued_at, ..identity("ada") })
    };
    world.break_the_disk().await;
    world.clock.advance(Span::minutes(1));
    in_memory(&world.submit("ada", Command::RevokeCredentials { principal: person("ada"), justification: None }).await);
    world.clock.advance(Span::minutes(2));
    in_memory(&world.submit("root", revoke_credentials("ada")).await);
    world.administrators_signed_in_within(Span::minutes(2));
    world.mend_the_disk().await;
    let since = |world: &World| world.reader.standing(&person("ada").into()).unwrap().credentials_since.unwrap();
    assert_eq!(since(&world), Timestamp::from_seconds(NOW + 60), "the first one is in the journal");
    owes(&world, 1);
    assert!(!believes(&world, 2) && believes(&world, 3), "the second one is in force");
    let world = world.restart().unwrap();
    assert!(!believes(&world, 2) && believes(&world, 3), "also after a restart");

    let kept = files(&places);
    world.clock.advance(Span::minutes(7));
    by_vera(&world, revoke_credentials("ada")).await.unwrap();
    owes(&world, 0);
    assert!(!believes(&world, 9) && believes(&world, 10));
    // as if the files could not be told, and root may again
    put_back(&places, &kept);
    world.administrators_signed_in_within(Span::hours(1));
    let head = world.reader.head().unwrap();
    let world = world.restart().unwrap();
    assert!(!believes(&world, 9) && believes(&world, 10), "the instant never moves back");
    assert_eq!(world.reader.head().unwrap(), head);
    owes(&world, 0);
}

#[tokio::test]
async fn an_end_that_the_journal_has_by_another_command_is_owed_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let remove = Command::RemoveAssignment { id: asg(9), justification: Some(WHY.to_owned()) };
    let places = places(folder.path());
    let world = World::keeping(places.clone()).await;
    let assign = Command::Assign {
        id: asg(9),
        kind: AssignmentKind::Active,
        role: role(),
        party: person("ben").into(),
        starts_at: None,
        ends_at: None,
        justification: Some(WHY.to_owned()),
    };
    world.submit("root", assign).await.unwrap();
    assert!(world.is_held_by("ben"));
    world.standings.of(&person("root").into()).unwrap();
    world.break_the_disk().await;
    world.clock.advance(Span::minutes(1));
    in_memory(&world.submit("root", remove.clone()).await);
    world.administrators_signed_in_within(Span::seconds(30));
    world.mend_the_disk().await;
    owes(&world, 1);
    assert!(!world.is_held_by("ben"));
    by_vera(&world, remove).await.unwrap();
    owes(&world, 0);
    assert!(!world.is_held_by("ben") && !world.restart().unwrap().is_held_by("ben"));
}

#[tokio::test]
async fn what_is_kept_after_all_is_not_told_to_be_lost() {
    let folder = tempfile::tempdir().unwrap();
    let lost = |places: Vec<PathBuf>, appear: Option<&Path>| {
        let appear = appear.map(Path::to_owned);
        async move {
            let world = World::keeping(places).await;
            world.standings.of(&person("root").into()).unwrap();
            world.break_the_disk().await;
            world.clock.advance(Span::minutes(1));
            in_memory(&world.submit("root", lock("ben", Some(WHY))).await);
            world.administrators_signed_in_within(Span::seconds(30));
            if let Some(folder) = appear {
                fs::create_dir(folder).unwrap();
            }
            world.mend_the_disk().await;
            world.disk.suffer(Trouble::Writing);
            let World { writer, running, .. } = world;
            drop(writer);
            running.join().len()
        }
    };
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    assert_eq!(lost(vec![one.join("owed"), two.join("owed")], None).await, 1, "no file took it");
    assert_eq!(lost(Vec::new(), None).await, 1, "there is no file");
    assert_eq!(lost(vec![one.join("owed"), two.join("owed")], Some(&one)).await, 0, "one took it at last");
    assert!(one.join("owed").exists());
}
