//! Ten thousand damaged files: each is refused, or answered with an error, or tells the truth.
//!
//! Files are damaged by flipped bits, overwritten, zeroed, swapped and outdated pages, and by cutting; then opened, read
//! whole, decided on and written to, in processes of their own that may use little memory and are watched for hanging.
//! Half of the cases open a file, whose pages are all checked at the start; the other half open the same bytes unchecked,
//! as happens to a file that is too large for that.
//!
//! `TESTS_DAMAGE_SEED=n` plays the same damages, `TESTS_DAMAGE_CASES=n` sets how many.

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use hallpass::domain::activation::Phase;
use hallpass::domain::standing::Position;
use hallpass::store::{self, Opened, RecordFilter, Settings, StoreError};

use crate::history::{History, Moment, Wrong, goes_on};
use crate::seeds::{seed, setting};
use crate::tape::Tape;
use crate::universe::Chance;

const CASES: u64 = 10_000;
const COMMANDS: usize = 80;
/// What a process may address, in KiB: a store of a few megabytes needs a fraction of it.
const MEMORY_KIB: u64 = 2_000_000;
/// Nothing takes so long but what never ends.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a case ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ended {
    /// It was not opened.
    Refused,
    /// It was opened, and something could not be read or written.
    Failed,
    /// It was opened, and is an older state in one piece: only a head kept elsewhere can tell.
    Older,
    /// It was opened, and all is as it was.
    Truth,
    /// The process ended: redb panicked while it cleaned up after a panic. Only where pages were not checked, which are those
    /// of files longer than can be.
    Died,
}

#[test]
fn a_damaged_file_is_refused_or_fails_or_tells_the_truth() {
    let seed = seed("TESTS_DAMAGE_SEED");
    let cases = setting("TESTS_DAMAGE_CASES").unwrap_or(CASES);
    let processes = std::thread::available_parallelism().map_or(2, usize::from) as u64;
    let share = cases.div_ceil(processes);
    let told: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..processes)
            .map(|process| scope.spawn(move || run_apart(seed, process * share, ((process + 1) * share).min(cases))))
            .collect();
        running.into_iter().map(|running| running.join().expect("told")).collect()
    });
    let lines: Vec<&str> = told.iter().flat_map(|told| told.lines()).filter(|line| line.starts_with("case ")).collect();
    let ended = |how: Ended| lines.iter().filter(|line| line.ends_with(&format!("{how:?}"))).count();
    let counts = [Ended::Refused, Ended::Failed, Ended::Older, Ended::Truth, Ended::Died].map(|how| (how, ended(how)));
    println!("{counts:?}");
    let good: usize = counts.iter().map(|(_, count)| count).sum();
    let bad: Vec<_> = told.iter().flat_map(|told| told.lines()).filter(|line| line.starts_with("BAD")).collect();
    assert!(bad.is_empty(), "seed {seed}, {} of {cases}:\n{}", bad.len(), bad.join("\n"));
    assert_eq!(good as u64, cases, "seed {seed}: every case came to an end");
    assert!(ended(Ended::Refused) > 0 && ended(Ended::Failed) > 0 && ended(Ended::Truth) > 0, "all of it was met");
}

/// Plays the cases in processes of their own, and begins another one after each that died.
fn run_apart(seed: u64, from: u64, until: u64) -> String {
    let mut told = String::new();
    let mut next = from;
    while next < until {
        let program = std::env::current_exe().expect("this program");
        let script =
            format!("ulimit -v {MEMORY_KIB}; exec \"$0\" --exact damage::one_after_the_other --ignored --nocapture");
        let output = Command::new("sh")
            .args(["-c", &script])
            .arg(program)
            .env("TESTS_DAMAGE_SEED", seed.to_string())
            .env("TESTS_DAMAGE_FROM", next.to_string())
            .env("TESTS_DAMAGE_UNTIL", until.to_string())
            .env("RUST_BACKTRACE", "0")
            .stderr(Stdio::piped())
            .output()
            .expect("a process");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let done = said.lines().filter(|line| line.starts_with("case ") && line.contains(": ")).count() as u64;
        told.push_str(&said);
        next += done;
        if !output.status.success() || done == 0 {
            let why = String::from_utf8_lossy(&output.stderr);
            if !is_checked(next) && why.trim_end().ends_with(PANIC_OVER_PANIC) {
                told.push_str(&format!("\ncase {next}: {:?}\n", Ended::Died));
                next += 1;
                continue;
            }
            let last = why.lines().rev().take(6).collect::<Vec<_>>().join(" | ");
            told.push_str(&format!("\nBAD case {next}: the process died: {}: {last}\n", output.status));
            next += 1;
        }
    }
    told
}

/// The cases `TESTS_DAMAGE_FROM` to `TESTS_DAMAGE_UNTIL`; run by the test above.
#[test]
#[ignore = "run by the other test, in a process that may use little memory"]
fn one_after_the_other() {
    let (Some(seed), Some(from), Some(until)) =
        (setting("TESTS_DAMAGE_SEED"), setting("TESTS_DAMAGE_FROM"), setting("TESTS_DAMAGE_UNTIL"))
    else {
        return;
    };
    let mut history = History::play(seed, COMMANDS);
    // what redb says when it panics over damaged pages is of no interest, and there is a lot of it
    std::panic::set_hook(Box::new(|_| {}));
    let told = history.tape.told();
    let images: Vec<Vec<u8>> = [0.5, 0.8, 1.0]
        .map(|part| {
            let mut image = Vec::new();
            let count = (told.len() as f64 * part) as usize;
            told.iter().take(count).for_each(|told| told.apply(&mut image));
            image
        })
        .into();
    let folder = tempfile::tempdir().expect("a folder");
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for case in from..until {
                sender.send((case, None)).expect("heard");
                let ended = play(&history, &images, seed, case, folder.path());
                sender.send((case, Some(ended))).expect("heard");
            }
            drop(sender);
        });
        loop {
            match receiver.recv_timeout(PATIENCE) {
                Ok((_, None)) => {}
                Ok((case, Some(Ok(ended)))) => println!("case {case}: {ended:?}"),
                Ok((case, Some(Err(wrong)))) => println!("BAD case {case}: {wrong}\ncase {case}: {wrong:?}"),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    eprintln!("it hangs");
                    std::process::abort();
                }
            }
            let _ = std::io::stdout().flush();
        }
    });
    history.moments.clear();
}

fn play(history: &History, images: &[Vec<u8>], seed: u64, case: u64, folder: &Path) -> Result<Ended, String> {
    let mut chance = Chance::new(seed ^ (case + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut image = images.last().expect("an image").clone();
    let mut how = Vec::new();
    for _ in 0..=chance.below(3) / 2 {
        how.push(damage(&mut image, images, &mut chance));
    }
    let checked = is_checked(case);
    let how = format!("{}, {}", how.join(", "), if checked { "file" } else { "unchecked" });
    // whoever writes treats a panic as a failed commit; so must this, or a single one would end all cases
    let looked = catch_unwind(AssertUnwindSafe(|| {
        let opened = if checked { open_file(history, &image, folder) } else { history.open(&Tape::holding(image)) };
        look(history, opened, checked)
    }));
    match looked {
        Ok(looked) => looked.map_err(|wrong| format!("{how}: {wrong}")),
        Err(_) => Err(format!("{how}: a panic came through")),
    }
}

/// Whether every page is checked when the file of this case is opened.
fn is_checked(case: u64) -> bool {
    case.is_multiple_of(2)
}

fn look(history: &History, opened: Result<Opened, StoreError>, checked: bool) -> Result<Ended, String> {
    let Ok(opened) = opened else { return Ok(Ended::Refused) };
    let reader = opened.reader.clone();
    let truth = history.moments.last().expect("moments");
    let head = match reader.head() {
        Ok(head) => head,
        Err(_) => return Ok(Ended::Failed),
    };
    let moment = history.moments.iter().find(|moment| moment.head == head);
    let Some(moment) = moment else { return Err(format!("a head that never was: {head:?}")) };
    let older = moment.position() != truth.position();
    if let Some(wrong) = moment.wrong_verdicts(&reader, Wrong::Allowed) {
        return Err(wrong);
    }
    let mut failed = read_everything(&reader, moment, checked)?;
    if let Err(wrong) = judged(moment, &reader) {
        failed = true;
        if moment.wrong_verdicts(&reader, Wrong::Allowed).is_some() {
            return Err(wrong);
        }
    }
    let written = catch_unwind(AssertUnwindSafe(|| goes_on(opened, truth.now)));
    failed |= !matches!(written, Ok(Ok(())));
    Ok(match (failed, older) {
        (true, _) => Ended::Failed,
        (false, true) => Ended::Older,
        (false, false) => Ended::Truth,
    })
}

/// Whether something could not be read; what could be read must be what was written.
fn read_everything(reader: &store::Reader, moment: &Moment, checked: bool) -> Result<bool, String> {
    let mut failed = false;
    match reader.table_digests() {
        Ok(tables) if tables == moment.tables => {}
        // rows that only lists show: nobody is allowed anything by them
        Ok(_) | Err(_) => failed = true,
    }
    match reader.records(&RecordFilter::default(), Position(0), 10_000) {
        Ok(entries) if entries.last().map(|entry| entry.sealed.hash) == Some(moment.head.hash) => {}
        Ok(_) => return Err("another journal".to_owned()),
        Err(_) => failed = true,
    }
    for (id, case) in &moment.oracle.cases {
        let over = matches!(case.state, crate::states::State::Over);
        match reader.activation(*id) {
            Ok(Some(listed)) => {
                if over && matches!(&listed.item.phase, Phase::Active { window, .. } if window.contains(moment.now)) {
                    return Err(format!("{id} is over, and is shown as held"));
                }
            }
            Ok(None) if moment.gone.contains(id) => {}
            // both its row and what tells of it: nobody is allowed anything by a case that is over
            Ok(None) if over && !checked => failed = true,
            Ok(None) => return Err(format!("{id} is gone without an error")),
            Err(_) => failed = true,
        }
    }
    Ok(failed)
}

fn judged(moment: &Moment, reader: &store::Reader) -> Result<(), String> {
    moment.wrong_verdicts(reader, Wrong::Any).map_or(Ok(()), Err)
}

fn open_file(history: &History, image: &[u8], folder: &Path) -> Result<Opened, StoreError> {
    let settings = Settings { path: folder.join("store.redb"), key_path: folder.join("key") };
    if !settings.key_path.exists() {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(&settings.key_path, &history.key).expect("written");
        std::fs::set_permissions(&settings.key_path, std::fs::Permissions::from_mode(0o600)).expect("closed");
    }
    std::fs::write(&settings.path, image).expect("written");
    store::open(&settings, history.moments.last().expect("moments").now)
}

/// Damages `image` and says how.
fn damage(image: &mut Vec<u8>, older: &[Vec<u8>], chance: &mut Chance) -> String {
    if image.len() < 2 * PAGE {
        return "no more".to_owned();
    }
    let used: Vec<usize> = (0..image.len() / PAGE).filter(|page| is_used(image, *page)).collect();
    let page = *chance.pick(&used).unwrap_or(&0);
    let other = *chance.pick(&used).unwrap_or(&0);
    let within = small(chance.below(PAGE as u64));
    let place = page * PAGE + within;
    match chance.below(12) {
        0..=4 => {
            let bit = chance.below(8);
            image[place] ^= 1 << bit;
            format!("bit {bit} of byte {place}")
        }
        5 => {
            // where the trees begin: more depends on it than on anything else
            let (place, bit) = (small(chance.below(512)), chance.below(8));
            image[place] ^= 1 << bit;
            format!("bit {bit} of byte {place} of the header")
        }
        6 => {
            let length = small(1 + chance.below(64)).min(image.len() - place);
            image[place..place + length].iter_mut().for_each(|byte| *byte = (chance.next() & 0xff) as u8);
            format!("{length} random bytes at {place}")
        }
        7 => {
            image[page * PAGE..(page + 1) * PAGE].iter_mut().for_each(|byte| *byte = (chance.next() & 0xff) as u8);
            format!("page {page} overwritten")
        }
        8 => {
            let length = small(1 + chance.below(3 * PAGE as u64)).min(image.len() - place);
            image[place..place + length].fill(0);
            format!("{length} zeros at {place}")
        }
        9 => {
            let length = small(chance.below(image.len() as u64));
            image.truncate(length);
            format!("cut to {length}")
        }
        10 => {
            let kept = image[page * PAGE..(page + 1) * PAGE].to_vec();
            image.copy_within(other * PAGE..(other + 1) * PAGE, page * PAGE);
            image[other * PAGE..(other + 1) * PAGE].copy_from_slice(&kept);
            format!("pages {page} and {other} swapped")
        }
        _ => {
            let from = chance.pick(older).expect("older images");
            if let Some(bytes) = from.get(page * PAGE..(page + 1) * PAGE) {
                image[page * PAGE..(page + 1) * PAGE].copy_from_slice(bytes);
            }
            format!("page {page} as it was earlier")
        }
    }
}

fn is_used(image: &[u8], page: usize) -> bool {
    image[page * PAGE..(page + 1) * PAGE].iter().any(|byte| *byte != 0)
}

fn small(number: u64) -> usize {
    usize::try_from(number).expect("a small number")
}

const PANIC_OVER_PANIC: &str = "thread caused non-unwinding panic. aborting.";
const PAGE: usize = 4096;
