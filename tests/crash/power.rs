//! The power fails at every write and every sync of a history, and again while the store is opened afterwards.
//!
//! Between two syncs a disk may keep any of the writes it was given, in any order: after each cut none of them, all of
//! them, all but one, and random choices are tried, and the last write torn in the middle. Whatever was acknowledged must
//! be there, whole; what was under way is whole or absent; nothing else may have changed.
//!
//! `TESTS_CRASH_SEED=n` plays one history, `TESTS_CRASH_CUTS=n` cuts only at every nth choice.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::history::{History, KINDS, goes_on};
use crate::seeds::{seed, setting};
use crate::tape::{Half, Tape, Told};
use crate::universe::Chance;

const COMMANDS: usize = 220;
/// Random choices of unsynced writes, for each sync.
const CHOICES: u64 = 6;
/// One image in so many is opened twice: the power fails again while it is being opened, at each write.
const TWICE: u64 = 40;
/// One image in so many is written to afterwards.
const WRITTEN: u64 = 10;

/// What was tried.
#[derive(Default)]
struct Tally {
    images: AtomicU64,
    second: AtomicU64,
    in_flight_kept: AtomicU64,
    in_flight_lost: AtomicU64,
    written_to: AtomicU64,
}

#[test]
fn a_power_cut_at_any_moment_loses_nothing_that_was_acknowledged() {
    let seed = seed("TESTS_CRASH_SEED");
    let every = setting("TESTS_CRASH_CUTS").unwrap_or(EVERY);
    println!("TESTS_CRASH_CUTS={every}");
    let mut history = History::play(seed, COMMANDS);
    let told = history.tape.told();
    let stretches = stretches(&told, history.moments[0].told);
    let tally = Tally::default();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                let mut durable = Vec::new();
                let mut applied = 0;
                loop {
                    let mine = next.fetch_add(1, Ordering::Relaxed);
                    let Some(&(from, until)) = stretches.get(mine) else { return };
                    told[applied..from].iter().for_each(|told| told.apply(&mut durable));
                    applied = from;
                    let mut cutter = Cutter { history: &history, tally: &tally, seed, every, count: mine as u64 * 3 };
                    cutter.cut(&durable, &told, from, until);
                }
            });
        }
    });
    let syncs = told.iter().filter(|told| matches!(told, Told::Sync)).count();
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "{} commands of {} kinds in {} transactions, {} writes, {} syncs: {} images after a cut, {} after a second cut while \
         opening; what was under way was there {} times and absent {} times; {} were written to afterwards",
        history.commands,
        history.kinds.len(),
        history.moments.len() - 1,
        told.len() - syncs,
        syncs,
        count(&tally.images),
        count(&tally.second),
        count(&tally.in_flight_kept),
        count(&tally.in_flight_lost),
        count(&tally.written_to),
    );
    assert!(history.commands >= 200 && history.kinds.len() >= KINDS, "{:?}", history.kinds);
    assert!(count(&tally.images) >= told.len() as u64 / every, "every write and every sync was cut at");
    assert!(count(&tally.second) > 0 && count(&tally.written_to) > 0);
    assert!(count(&tally.in_flight_kept) > 0 && count(&tally.in_flight_lost) > 0, "the cuts meet commits under way");
    history.moments.clear();
}

/// From one sync to the next: what may have reached the disk or not. Begins where the store was made.
fn stretches(told: &[Told], first: usize) -> Vec<(usize, usize)> {
    let mut from = first;
    let mut found = Vec::new();
    for (index, one) in told.iter().enumerate().skip(first) {
        if matches!(one, Told::Sync) {
            found.push((from, index));
            from = index + 1;
        }
    }
    found.push((from, told.len()));
    found
}

struct Cutter<'h> {
    history: &'h History,
    tally: &'h Tally,
    seed: u64,
    every: u64,
    count: u64,
}

impl Cutter<'_> {
    /// All cuts between two syncs.
    fn cut(&mut self, durable: &[u8], told: &[Told], from: usize, until: usize) {
        let unsynced = &told[from..until];
        let mut chance = Chance::new(self.seed ^ from as u64);
        let mut prefix = durable.to_vec();
        self.look(|| prefix.clone(), from, "none");
        for (index, one) in unsynced.iter().enumerate() {
            if one.sectors() > 0 {
                let half = if chance.one_in(2) { Half::First } else { Half::Last };
                let sectors = to_usize(chance.below(one.sectors() as u64 + 1));
                let torn = || {
                    let mut torn = prefix.clone();
                    one.tear(&mut torn, sectors, half);
                    torn
                };
                self.look(torn, from + index, "torn");
            }
            one.apply(&mut prefix);
            self.look(|| prefix.clone(), from + index + 1, "all up to here");
            let all_but_one = || {
                let mut image = durable.to_vec();
                unsynced.iter().enumerate().filter(|(other, _)| *other != index).for_each(|(_, told)| {
                    told.apply(&mut image);
                });
                image
            };
            self.look(all_but_one, until, "all but one");
        }
        for _ in 0..CHOICES {
            let chosen: Vec<&Told> = unsynced.iter().filter(|_| chance.one_in(2)).collect();
            let choice = || {
                let mut image = durable.to_vec();
                chosen.iter().for_each(|told| told.apply(&mut image));
                image
            };
            self.look(choice, until, "a random choice");
        }
    }

    /// Opens what was left after a cut when the disk had been told so much.
    fn look(&mut self, image: impl FnOnce() -> Vec<u8>, told: usize, how: &str) {
        self.count += 1;
        if !self.count.is_multiple_of(self.every) {
            return;
        }
        let number = self.tally.images.fetch_add(1, Ordering::Relaxed);
        let image = image();
        let place = format!("seed {}, cut at {told}, {how}", self.seed);
        let tape = Tape::holding(image.clone());
        let now = self.history.moments.last().expect("moments").now;
        let opened = self.expect_whole(&tape, told, &place);
        // told while it was opened: what is written afterwards is another history
        let opening = tape.told();
        if number.is_multiple_of(WRITTEN) {
            goes_on(opened, now).unwrap_or_else(|error| panic!("{place}: it does not go on: {error}"));
            let again = self.history.open(&tape).unwrap_or_else(|error| panic!("{place}: not opened again: {error}"));
            again.reader.check_rows().unwrap_or_else(|error| panic!("{place}: {error}"));
            self.tally.written_to.fetch_add(1, Ordering::Relaxed);
        } else {
            drop(opened);
        }
        if number.is_multiple_of(TWICE) {
            self.cut_again(&image, &opening, told, &place);
        }
    }

    /// The power fails again, at each thing the disk was told while the store was opened.
    fn cut_again(&self, image: &[u8], told: &[Told], first_cut: usize, place: &str) {
        let mut durable = image.to_vec();
        let mut kept = image.to_vec();
        for (index, one) in told.iter().enumerate() {
            for (image, how) in [(&durable, "none"), (&kept, "all")] {
                self.tally.second.fetch_add(1, Ordering::Relaxed);
                let place = format!("{place}; cut again at {index}, {how}");
                drop(self.expect_whole(&Tape::holding(image.clone()), first_cut, &place));
            }
            one.apply(&mut kept);
            if matches!(one, Told::Sync) {
                durable.clone_from(&kept);
            }
        }
    }

    fn expect_whole(&self, tape: &Tape, told: usize, place: &str) -> hallpass::store::Opened {
        let opened = self.history.open(tape).unwrap_or_else(|error| panic!("{place}: not opened: {error}"));
        let acknowledged = self.history.acknowledged(told);
        let head = opened.reader.head().unwrap_or_else(|error| panic!("{place}: {error}")).position;
        let moments = &self.history.moments;
        let under_way = moments.get(acknowledged + 1).filter(|moment| moment.position() == head);
        let moment = match under_way {
            Some(moment) => {
                self.tally.in_flight_kept.fetch_add(1, Ordering::Relaxed);
                moment
            }
            None => {
                self.tally.in_flight_lost.fetch_add(1, Ordering::Relaxed);
                &moments[acknowledged]
            }
        };
        if let Some(contradiction) = moment.contradiction(&opened.reader) {
            panic!("{place}: {contradiction}");
        }
        opened
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).expect("a small number")
}

/// All choices take some minutes (`tests/crash/full`); these take one.
const EVERY: u64 = 8;
