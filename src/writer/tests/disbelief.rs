//! A store that is reopened and is not what it was: no role opens anything.

use super::world::*;
use crate::domain::event::Detail;
use crate::domain::time::Span;
use crate::journal::Digest;
use crate::store::tests::disk::{Disk, Trouble};
use crate::store::tests::garbled::{list, rewrite};
use crate::store::{KEPT, Planned, Wanted};

/// ada's case was cut, and ben holds the role; the disk is broken. And the record of the cut.
async fn cut_and_broken() -> (World, u64) {
    let world = World::new().await;
    world.submit("ada", request(1, WHY)).await.unwrap();
    world.submit("ada", Command::Deactivate { id: act(1) }).await.unwrap();
    world.clock.advance(Span::days(3));
    let (snapshot, now) = (world.reader.snapshot().unwrap(), world.now.now());
    let wanted = Wanted::before(now.minus(KEPT), now);
    let Planned::Cut(plan) = snapshot.plan_cut(&wanted, &mut |_, _| {}).unwrap() else { panic!("nothing to cut") };
    let mut archive = Vec::new();
    snapshot.write_archive(&plan, &mut archive, &mut |_, _| {}).unwrap();
    let cut = world.writer.cut(plan, Digest::of(&[&archive]), Detail::default()).await.unwrap();
    world.holds("ben", 2).await;
    world.break_the_disk().await;
    world.rests().await;
    assert!(world.is_held_by("ben"), "what is known is enforced");
    (world, cut.position.0)
}

type Heal = Box<dyn FnOnce(&Disk)>;
type Harm<'h> = &'h dyn Fn(&Disk, u64) -> Heal;

#[tokio::test]
async fn what_is_damaged_when_it_is_reopened_opens_nothing_until_it_is_itself_again() {
    let garbage = b"no record at all";
    let garble = |sequence: u64| {
        move |disk: &Disk| -> Heal {
            let said = rewrite(disk, sequence, garbage);
            Box::new(move |disk| drop(rewrite(disk, sequence, &said)))
        }
    };
    let cases: [(&str, Harm<'_>); 4] = [
        ("the record of a cut", &|disk, cut| garble(cut)(disk)),
        ("the newest record but one", &|disk, cut| garble(cut + 1)(disk)),
        ("a record of another kind among the keys", &|disk, cut| {
            list(disk, cut, "key_rotated", true);
            Box::new(move |disk| list(disk, cut, "key_rotated", false))
        }),
        ("a garbled record among the keys", &|disk, cut| {
            list(disk, cut + 1, "key_rotated", true);
            let heal = garble(cut + 1)(disk);
            Box::new(move |disk| {
                heal(disk);
                list(disk, cut + 1, "key_rotated", false);
            })
        }),
    ];
    for (what, harm) in cases {
        let (world, cut) = cut_and_broken().await;
        let heal = harm(&world.disk, cut);
        world.disk.suffer(Trouble::None);
        world.tries_again().await;
        assert_eq!(world.writer.health().state(), StoreState::Damaged, "{what}");
        assert!(!world.passes("ben").unwrap_or(false), "{what}");
        assert!(world.metrics.encode().contains("store_state{state=\"damaged\"} 1\n"), "{what}");
        out(&world.submit("ada", request(3, WHY)).await);
        heal(&world.disk);
        world.mend_the_disk().await;
        assert!(world.is_held_by("ben"), "{what}: it is itself again");
    }
}

#[tokio::test]
async fn what_is_out_of_reach_when_it_is_reopened_is_no_damage() {
    for trouble in [Trouble::Writing, Trouble::Syncing, Trouble::ReadOnly, Trouble::Full, Trouble::NoGrowth] {
        let world = World::new().await;
        world.holds("ada", 1).await;
        world.break_the_disk().await;
        for _ in 0..3 {
            world.disk.suffer(trouble);
            world.tries_again().await;
            assert_ne!(world.writer.health().state(), StoreState::Damaged, "{trouble:?}");
            assert!(world.is_held_by("ada"), "{trouble:?}");
        }
    }
}
