//! Records cut by the writer while people go on: planned, archived, overtaken by commands, and never one record lost.

use super::world::*;
use crate::domain::event::{Actor, Detail};
use crate::domain::standing::Position;
use crate::domain::time::Span;
use crate::journal::Digest;
use crate::journal::export::read_json_lines;
use crate::journal::verify::Verifier;
use crate::store::{KEPT, Plan, Planned, Reader, RecordFilter, Wanted};
use crate::writer::CutError;

/// Archives of a writer's journal, and what came of their cuts.
#[derive(Default)]
struct Archives {
    made: Vec<Vec<u8>>,
    overtaken: usize,
}

/// A plan whose archive is written, and the present then.
struct Ready {
    plan: Box<Plan>,
    archive: Vec<u8>,
}

fn ready(world: &World, records_max: u64) -> Option<Ready> {
    let now = world.now.now();
    let wanted = Wanted { records_max, ..Wanted::before(now.minus(KEPT), now) };
    let snapshot = world.reader.snapshot().unwrap();
    let Planned::Cut(plan) = snapshot.plan_cut(&wanted, &mut |_, _| {}).unwrap() else { return None };
    let mut archive = Vec::new();
    snapshot.write_archive(&plan, &mut archive, &mut |_, _| {}).unwrap();
    Some(Ready { plan, archive })
}

fn all_of(reader: &Reader) -> Vec<u8> {
    let (mut lines, mut after) = (Vec::new(), Position(0));
    loop {
        let page = reader.exported(&RecordFilter::default(), after, 1000).unwrap();
        let Some(last) = page.last() else { return lines };
        after = Position(last.sequence);
        page.iter().for_each(|entry| entry.write_json_line(&mut lines).unwrap());
    }
}

impl Archives {
    async fn cut(&mut self, world: &World, Ready { plan, archive }: Ready) -> bool {
        match world.writer.cut(plan, Digest::of(&[&archive]), Detail::default()).await {
            Ok(made) => {
                assert_eq!(world.standings.position(), world.reader.head().unwrap().position, "published");
                let record = world.reader.record(made.position).unwrap().unwrap();
                assert_eq!(record.actor, Actor::Hallpass);
                self.made.push(archive);
                world.reader.check_rows().unwrap();
                true
            }
            Err(CutError::Overtaken) => {
                self.overtaken += 1;
                false
            }
            Err(other) => panic!("{other}"),
        }
    }

    /// All archives and what remains are one chain without a gap, up to the head.
    fn join(&self, reader: &Reader) {
        let rest = all_of(reader);
        let mut verifier = Verifier::of_files(reader.public_key());
        for file in self.made.iter().chain([&rest]) {
            verifier.next_file().unwrap();
            for record in read_json_lines(file.as_slice()) {
                let record = record.unwrap();
                verifier.check(record.sequence, &record.sealed, record.note.as_ref()).unwrap();
            }
        }
        verifier.ended().unwrap();
        assert!(verifier.gone().is_empty(), "a record is in no file");
        assert_eq!(verifier.tip().sequence, reader.head().unwrap().position.0);
    }
}

/// Numbers below a bound, the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

async fn erase(world: &World, who: &str) {
    let mut vera = identity("vera");
    vera.assurance.auth_time = Some(world.now.now());
    let erase = Command::Erase { principal: person(who), justification: Some("letter 12".to_owned()) };
    world.submit_as(Caller::Identity(Arc::new(vera)), erase, None).await.unwrap();
}

#[tokio::test]
async fn no_record_is_lost_whatever_happens_between_plan_and_cut() {
    let (mut made, mut overtaken) = (0, 0);
    for seed in 0..12 {
        println!("seed {seed}");
        let (world, mut chance, mut archives) = (World::new().await, Chance(seed), Archives::default());
        let mut number = 10;
        let mut ended: Vec<u8> = Vec::new();
        let mut pending: Option<Ready> = None;
        for _ in 0..60 {
            match chance.below(8) {
                0 | 1 if number < 250 => {
                    number += 1;
                    let who = ["ada", "ben"][usize::from(number % 2)];
                    if world.submit(who, request(number, WHY)).await.is_ok() {
                        world.submit(who, Command::Deactivate { id: act(number) }).await.unwrap();
                        ended.push(number);
                    }
                }
                2 | 3 => world.clock.advance(Span::hours(6 + chance.below(30))),
                4 if !ended.is_empty() => {
                    let place = usize::try_from(chance.below(ended.len() as u64)).unwrap();
                    let seal =
                        Command::SealUses { id: act(ended.swap_remove(place)), count: 1, digest: "ab".repeat(32) };
                    // a case that was cut is known no more
                    let _ = world.submit_as(Caller::Hallpass, seal, None).await;
                }
                5 if chance.below(3) == 0 => erase(&world, "ada").await,
                6 => pending = pending.or_else(|| ready(&world, 1 + chance.below(30))),
                _ => {
                    let Some(ready) = pending.take() else { continue };
                    number += 1;
                    let lock = lock("eve", None);
                    // in the same queue, before it and behind it
                    let before = world.submit("ada", request(number, WHY));
                    let (before, _, _) =
                        tokio::join!(biased; before, archives.cut(&world, ready), world.submit("ada", lock));
                    if before.is_ok() {
                        world.submit("ada", Command::Deactivate { id: act(number) }).await.unwrap();
                        ended.push(number);
                    }
                }
            }
        }
        archives.join(&world.reader);
        world.reader.check_rows().unwrap();
        made += archives.made.len();
        overtaken += archives.overtaken;
    }
    assert!(made >= 12 && overtaken >= 3, "{made} cuts, {overtaken} plans overtaken");
}

#[tokio::test]
async fn a_plan_that_a_command_touched_is_made_anew() {
    let (world, mut archives) = (World::new().await, Archives::default());
    world.submit("ada", request(1, WHY)).await.unwrap();
    world.submit("ada", Command::Deactivate { id: act(1) }).await.unwrap();
    world.clock.advance(Span::days(3));
    let first = ready(&world, u64::MAX).unwrap();
    assert!(first.plan.cases.contains(&act(1)));
    let seal = Command::SealUses { id: act(1), count: 2, digest: "cd".repeat(32) };
    world.submit_as(Caller::Hallpass, seal, None).await.unwrap();
    assert!(!archives.cut(&world, first).await, "its case went on");
    let second = ready(&world, u64::MAX).unwrap();
    erase(&world, "ada").await;
    assert!(!archives.cut(&world, second).await, "words were erased that its archive holds");
    let (third, same) = (ready(&world, u64::MAX).unwrap(), ready(&world, u64::MAX).unwrap());
    world.submit("ben", request(2, WHY)).await.unwrap();
    assert!(archives.cut(&world, third).await, "what is new does not touch what is old");
    assert!(!archives.cut(&world, same).await, "it is cut already");
    archives.join(&world.reader);
    assert!(world.is_held_by("ben"));
}

#[tokio::test]
async fn nothing_is_cut_while_the_store_is_out_and_a_cut_that_fails_changes_nothing() {
    let (world, mut archives) = (World::new().await, Archives::default());
    world.holds("ada", 1).await;
    world.submit("ada", Command::Deactivate { id: act(1) }).await.unwrap();
    world.clock.advance(Span::days(3));
    world.holds("ben", 2).await;
    let (one, other, last) = (ready(&world, 5).unwrap(), ready(&world, 5).unwrap(), ready(&world, 5).unwrap());
    let before = all_of(&world.reader);
    world.disk.suffer(crate::store::tests::disk::Trouble::Writing);
    let failed = world.writer.cut(one.plan, Digest::of(&[&one.archive]), Detail::default()).await;
    assert!(matches!(failed, Err(CutError::Failed(_))), "{failed:?}");
    assert!(world.is_held_by("ben"), "what is known is enforced");
    let refused = world.writer.cut(other.plan, Digest::of(&[&other.archive]), Detail::default()).await;
    assert!(matches!(refused, Err(CutError::NotNow(_))), "{refused:?}");
    world.mend_the_disk().await;
    assert_eq!(all_of(&world.reader), before);
    assert!(archives.cut(&world, last).await);
    archives.join(&world.reader);
    world.submit("ada", request(3, WHY)).await.unwrap();
}
