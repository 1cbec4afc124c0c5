//! Commands that are killed before each step that changes a name or makes something durable, one after the other: what is left
//! has a name that somebody takes over, and the same command, or the next start, goes on from there.
//!
//! `strace` counts the steps and kills. Without it this says that it was left out.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use hallpass::journal::SigningKey;

use crate::bound::House;
use crate::hallpass::Said;
use crate::years::CONFIGURATION;

/// How a command ended that was to be killed.
#[derive(Debug)]
enum Ended {
    Killed,
    /// It was done before.
    Done(Said),
}

/// Runs hallpass in the house and kills it before it makes one of these calls for the time of this number.
fn killed_at(house: &House, (calls, time): (&str, usize), arguments: &[&str]) -> Ended {
    let mut command = Command::new("strace");
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").stdin(Stdio::null());
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("inject={calls}:signal=KILL:when={time}")]);
    command.arg(env!("CARGO_BIN_EXE_hallpass")).args(arguments).current_dir(house.folder.path());
    let output = command.output().unwrap();
    match output.status.code() {
        None => Ended::Killed,
        Some(_) => Ended::Done(output.into()),
    }
}

/// Whether this machine lets a process count the steps of another one.
fn can_kill() -> bool {
    let traced = Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "true"]).output();
    traced.is_ok_and(|output| output.status.success())
}

/// Does it again and again, each time from the same files and killed one step later; `then` looks at what was
/// left. How many steps there were.
fn kill_at_each_step(house: &House, arguments: &[&str], then: &mut dyn FnMut(&str)) -> usize {
    let before = house.files();
    let mut steps = 0;
    for calls in STEPS {
        for time in 1.. {
            assert!(time < STEPS_MAX, "still not done");
            house.put_back(&before);
            let ended = killed_at(house, (calls, time), arguments);
            let step = format!("killed before {calls} number {time}");
            for (name, bytes) in house.files() {
                assert!(is_known(&name), "{name}, {step}");
                let is_key = SigningKey::from_pkcs8(&bytes).is_ok();
                assert!(!is_key || is_name_of_key(&name), "a key in {name}, {step}");
            }
            then(&step);
            if let Ended::Done(said) = ended {
                assert_eq!(said.code, 0, "{said:?}");
                break;
            }
            steps += 1;
        }
    }
    assert!(steps >= STEPS_MIN, "they are not seen");
    steps
}

/// A name that hallpass or the operator gave, or the one that a file has for a moment before.
fn is_known(name: &str) -> bool {
    let name = name.strip_suffix(".unfinished").unwrap_or(name);
    let of_key = name.strip_suffix(".journal").unwrap_or(name);
    is_name_of_key(of_key)
        || name.starts_with("anchors.of-")
        || ["journal.redb", "journal.redb.anchored", "journal.uses", "anchors", "old.redb", "backup"].contains(&name)
}

fn is_name_of_key(name: &str) -> bool {
    let name = name.strip_suffix(".unfinished").unwrap_or(name);
    match name.strip_prefix("signing.key").map(|rest| rest.strip_prefix(".retired-").ok_or(rest)) {
        Some(Ok(short)) => short.len() == 16 && short.chars().all(|digit| digit.is_ascii_hexdigit()),
        Some(Err(rest)) => ["", ".next"].contains(&rest),
        None => false,
    }
}

/// The names in the house for which `is` holds.
fn names(house: &House, is: impl Fn(&str) -> bool) -> Vec<String> {
    house.files().into_iter().map(|(name, _)| name).filter(|name| is(name)).collect()
}

fn is_unfinished(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end == "unfinished")
}

/// With an anchor that names its head.
fn anchored() -> House {
    let house = House::new();
    fs::write(house.path("hallpass.toml"), CONFIGURATION).unwrap();
    rotated(&house);
    house
}

fn rotated(house: &House) {
    let done = house.run(&ROTATE);
    assert_eq!(done.code, 0, "{done:?}");
}

#[test]
fn a_rotation_killed_before_any_step_leaves_no_key_that_nobody_takes_away() {
    if !can_kill() {
        return println!("{LEFT_OUT}");
    }
    let house = anchored();
    let steps = kill_at_each_step(&house, &ROTATE, &mut |step| {
        let shown = house.run(&["key", "show", "--config", "hallpass.toml"]);
        assert_eq!(shown.code, 0, "{step}: {shown:?}");
        let left = names(&house, |name| is_unfinished(name) && name.starts_with("signing.key"));
        assert!(left.is_empty(), "{step}: {left:?}");
        rotated(&house);
        assert_eq!(house.pin().key.to_string(), house.key(), "{step}");
        let left = names(&house, |name| is_unfinished(name) || name.ends_with(".next"));
        assert!(left.is_empty(), "{step}: {left:?}");
    });
    println!("killed before each of {steps} steps");
}

#[test]
fn a_new_beginning_killed_before_any_step_goes_on_when_it_is_given_once_more() {
    if !can_kill() {
        return println!("{LEFT_OUT}");
    }
    let house = anchored();
    let lost_key = house.key();
    fs::rename(house.path("journal.redb"), house.path("old.redb")).unwrap();
    fs::remove_file(house.path("signing.key")).unwrap();
    let lost = ["key", "lost", "--config", "hallpass.toml", "--old-store", "old.redb", "--yes"];
    let lost = [&lost[..], &["--because", "the disk burnt", "--key", &house.root]].concat();
    let steps = kill_at_each_step(&house, &lost, &mut |step| {
        let began = house.path("journal.redb").exists().then(|| fs::read(house.path("signing.key")).unwrap());
        let done = house.run(&lost);
        assert_eq!(done.code, 0, "{step}: {done:?}");
        if let Some(key) = began {
            assert_eq!(fs::read(house.path("signing.key")).unwrap(), key, "{step}");
        }
        assert!(names(&house, is_unfinished).is_empty(), "{step}: {:?}", names(&house, |_| true));
        let pin = house.pin();
        assert_eq!((pin.root, pin.key.to_string()), (pin.key, house.key()), "{step}");
        assert!(house.path(&format!("signing.key{}.journal", House::retired(&lost_key))).exists());
        let own = fs::read_to_string(house.path("anchors")).unwrap();
        assert!(own.contains(&pin.since.realm) && !own.contains(&house.realm), "{step}: {own}");
        // it can be worked with, and is beyond doubt
        rotated(&house);
        let again = house.run(&lost);
        assert!(again.code == 2 && again.err.contains("journal.redb"), "a journal that went on: {again:?}");
    });
    println!("killed before each of {steps} steps");
}

#[test]
fn a_restore_killed_before_any_step_is_told_by_the_next_one() {
    if !can_kill() {
        return println!("{LEFT_OUT}");
    }
    let house = House::new();
    let backup = house.run(&["backup", "--store", "journal.redb", "--key", "signing.key", "--to", "backup"]);
    assert_eq!(backup.code, 0, "{backup:?}");
    fs::remove_file(house.path("journal.redb")).unwrap();
    let restore = ["restore", "--from", "backup", "--to", "journal.redb", "--key", "signing.key"];
    let mut orphaned = 0;
    let steps = kill_at_each_step(&house, &restore, &mut |step| {
        if house.path("journal.redb").exists() {
            assert!(house.path("journal.uses").exists(), "{step}");
        } else {
            if house.path("journal.uses").exists() {
                let refused = house.run(&restore);
                assert!(refused.code == 2 && refused.err.contains("a restore that was cut off"), "{refused:?}");
                fs::remove_file(house.path("journal.uses")).unwrap();
                orphaned += 1;
            }
            let done = house.run(&restore);
            assert_eq!(done.code, 0, "{step}: {done:?}");
        }
        let check = house.run(&["store", "check", "journal.redb", "--key", "signing.key"]);
        assert_eq!(check.code, 0, "{step}: {check:?}");
        assert!(names(&house, is_unfinished).is_empty(), "{step}");
    });
    println!("killed before each of {steps} steps");
    assert!(orphaned > 0, "none was cut off between the two files");
}

const LEFT_OUT: &str = "LEFT OUT, because there is no strace, or it may not trace: kills before each step";
const ROTATE: [&str; 7] = ["key", "rotate", "--yes", "--config", "hallpass.toml", "--because", "somebody left"];
/// What makes durable, gives names and takes them, under the names of all machines; the steps inside the database are
/// `tests/crash`'s. They are counted one by one, for so does `strace`.
const STEPS: [&str; 5] =
    ["fsync", "?link,?linkat", "?rename,?renameat,?renameat2", "?unlink,?unlinkat", "?mkdir,?mkdirat"];
/// Fewer would mean that they are not seen.
const STEPS_MIN: usize = 6;
const STEPS_MAX: usize = 200;
