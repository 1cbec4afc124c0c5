//! What ended while the store was out, and the process ended before it was back.

use std::fs;
use std::path::{Path, PathBuf};

use super::world::*;
use crate::domain::activation::{Ending, Phase};
use crate::domain::command::Command;
use crate::domain::identity::Identity;
use crate::domain::time::{Span, Timestamp};
use crate::store::tests::disk::Trouble;

/// Two files in folders of their own.
pub(super) fn places(folder: &Path) -> Vec<PathBuf> {
    let place = |name: &str| {
        fs::create_dir_all(folder.join(name)).unwrap();
        folder.join(name).join("owed")
    };
    vec![place("one"), place("two")]
}

/// ada's role was revoked, ben locked, and vera's credentials revoked, and the store took none of it.
async fn owing(places: Vec<PathBuf>) -> World {
    let world = World::keeping(places).await;
    world.holds("ada", 1).await;
    world.holds("ben", 2).await;
    world.break_the_disk().await;
    world.clock.advance(Span::minutes(1));
    in_memory(&world.submit("root", revoke(1)).await);
    in_memory(&world.submit("root", lock("ben", Some(WHY))).await);
    let principal = person("vera");
    in_memory(&world.submit("vera", Command::RevokeCredentials { principal, justification: None }).await);
    world
}

fn believes_vera(world: &World, issued_at: Timestamp) -> bool {
    let standing = world.standings.of(&person("vera").into()).unwrap();
    standing.believes(&Identity { issued_at: Some(issued_at), ..identity("vera") })
}

/// All of it is in force, whatever the journal says.
fn all_ended(world: &World) {
    assert!(!world.is_held_by("ada") && !world.is_held_by("ben"));
    assert!(!believes_vera(world, Timestamp::from_seconds(NOW)));
}

#[tokio::test]
async fn what_ended_stays_ended_though_the_process_ended_before_the_store_was_back() {
    let folder = tempfile::tempdir().unwrap();
    let places = places(folder.path());
    let world = owing(places.clone()).await;
    let ended_at = world.now.now();
    assert!(places.iter().all(|place| fs::read_to_string(place).unwrap().lines().count() == 3));
    world.clock.advance(Span::minutes(15));
    world.disk.suffer(Trouble::None);
    let world = world.restart().unwrap();
    all_ended(&world);
    let phase = world.phase(1);
    let revoked = matches!(&phase, Phase::Ended { ending: Ending::Revoked, at, .. } if *at == ended_at);
    assert!(revoked, "the journal tells when it ended: {phase:?}");
    assert!(world.reader.is_locked(&person("ben")).unwrap());
    assert!(believes_vera(&world, ended_at));
    assert!(places.iter().all(|place| !place.exists()), "nothing is owed any more");
    assert!(world.metrics.encode().contains("store_owed_ends 0\n"));
    world.submit("root", revoke(1)).await.expect_err("it has ended");
    world.reader.check_rows().unwrap();
}

#[tokio::test]
async fn one_file_that_can_be_written_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    for lacking in ["one", "two"] {
        let places = places(folder.path());
        fs::remove_dir(folder.path().join(lacking)).unwrap();
        let world = owing(places.clone()).await;
        world.disk.suffer(Trouble::None);
        let world = world.restart().unwrap();
        all_ended(&world);
        assert!(matches!(world.phase(1), Phase::Ended { ending: Ending::Revoked, .. }));
    }
}

#[tokio::test]
async fn it_is_in_force_also_when_the_store_is_out_again_after_the_start() {
    for trouble in [Trouble::Writing, Trouble::Syncing, Trouble::NoGrowth] {
        let folder = tempfile::tempdir().unwrap();
        let places = places(folder.path());
        let mut world = owing(places.clone()).await;
        for _ in 0..3 {
            world.disk.suffer(trouble);
            world = world.restart().unwrap();
            for who in ["ada", "ben"] {
                assert!(!world.passes(who).unwrap_or(false), "{trouble:?}");
            }
        }
        world.mend_the_disk().await;
        all_ended(&world);
        assert!(matches!(world.phase(1), Phase::Ended { ending: Ending::Revoked, .. }));
        assert!(places.iter().all(|place| !place.exists()), "{trouble:?}");
    }
}

#[tokio::test]
async fn what_the_journal_refuses_stays_ended_until_somebody_ends_it_who_may() {
    let folder = tempfile::tempdir().unwrap();
    let places = places(folder.path());
    let world = World::keeping(places.clone()).await;
    world.holds_the_safe("ada", 1).await;
    let holds = |world: &World| {
        let standing = world.standings.of(&person("ada").into()).unwrap();
        standing.holding(&safe(), &identity("ada"), world.now.now()).is_some()
    };
    assert!(holds(&world));
    world.approver_is("zoe");
    for who in ["ada", "zoe"] {
        world.standings.of(&person(who).into()).unwrap();
    }
    world.break_the_disk().await;
    in_memory(&world.submit("zoe", revoke(1)).await);
    // a reload: to zoe the case does not even exist any more
    world.approver_is("lea");
    world.mend_the_disk().await;
    let owes = |world: &World, count: u8| world.metrics.encode().contains(&format!("store_owed_ends {count}\n"));
    assert!(matches!(world.phase(1), Phase::Active { .. }), "{:?}", world.phase(1));
    assert!(!holds(&world) && owes(&world, 1));
    let world = world.restart().unwrap();
    assert!(!holds(&world) && owes(&world, 1), "also after a restart");
    world.submit("root", revoke(1)).await.unwrap();
    let world = world.restart().unwrap();
    assert!(!holds(&world) && owes(&world, 0));
    assert!(places.iter().all(|place| !place.exists()));
}

#[tokio::test]
async fn what_the_journal_has_is_not_done_again_though_the_files_are_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let places = places(folder.path());
    let world = owing(places.clone()).await;
    let kept: Vec<_> = places.iter().map(|place| fs::read(place).unwrap()).collect();
    world.mend_the_disk().await;
    assert!(places.iter().all(|place| !place.exists()));
    world.clock.advance(Span::minutes(1));
    world.submit("root", unlock("ben")).await.unwrap();
    for (place, bytes) in places.iter().zip(kept) {
        fs::write(place, bytes).unwrap();
    }
    let head = world.reader.head().unwrap();
    let world = world.restart().unwrap();
    assert!(!world.reader.is_locked(&person("ben")).unwrap());
    assert_eq!(world.reader.head().unwrap(), head, "nothing was written");
    world.submit("ben", request(4, WHY)).await.expect("ben is not locked any more");
    assert!(places.iter().all(|place| !place.exists()));
}

#[tokio::test]
async fn a_line_that_nobody_here_kept_is_a_clear_refusal_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let (places, elsewhere) = (places(folder.path()), folder.path().join("elsewhere"));
    drop(owing(vec![elsewhere.clone()]).await);
    let foreign = fs::read_to_string(elsewhere).unwrap();
    let changes: [&dyn Fn(&str) -> String; 6] = [
        &|kept| kept.replacen("ben", "eve", 1),
        &|kept| kept.replacen('{', " {", 1),
        &|kept| kept.get(1..).unwrap().to_owned(),
        &|kept| format!("{kept}\n"),
        &|kept| format!("junk\n{kept}"),
        &|_| foreign.clone(),
    ];
    for change in changes {
        let world = owing(places.clone()).await;
        let kept = fs::read_to_string(&places[0]).unwrap();
        fs::write(&places[0], change(&kept)).unwrap();
        world.disk.suffer(Trouble::None);
        let Err(error) = world.restart() else { panic!("{} was taken", change(&kept)) };
        let said = error.to_string();
        assert!(said.contains("one/owed` holds a line that was changed, or is of another journal"), "{said}");
        places.iter().for_each(|place| fs::remove_file(place).unwrap());
    }
}

#[tokio::test]
async fn a_line_that_was_torn_off_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let places = places(folder.path());
    for cut in [1, 50, 129, 130, 300] {
        let world = owing(places.clone()).await;
        fs::remove_file(&places[1]).unwrap();
        let kept = fs::read_to_string(&places[0]).unwrap();
        let last = kept.trim_end().lines().last().unwrap().len();
        fs::write(&places[0], kept.get(..kept.len() - 1 - last + cut).unwrap()).unwrap();
        world.disk.suffer(Trouble::None);
        let world = world.restart().unwrap();
        assert!(!world.is_held_by("ada") && !world.is_held_by("ben"), "the whole ones count");
        assert!(believes_vera(&world, Timestamp::from_seconds(NOW)), "the torn one was never answered");
    }
}

#[tokio::test]
async fn nothing_is_kept_behind_what_was_torn_off() {
    let folder = tempfile::tempdir().unwrap();
    let places = places(folder.path());
    for place in &places {
        // the middle of a letter
        fs::write(place, b"0123 {\"why\":\"\xc3").unwrap();
    }
    let world = owing(places).await;
    world.disk.suffer(Trouble::None);
    all_ended(&world.restart().unwrap());
}
