//! Keys that change, checkpoints, and a second verifier: golden records of all that concerns the key, a chain of keys that
//! verifies from its root alone, and two programs that must agree on every export.
//!
//! The second verifier is `tests/verifier/verify.py`. `tests/all` installs what it needs and names its Python in
//! `TESTS_VERIFIER_PYTHON`; without that the comparison says that it was left out.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "what a test is given must be there"
)]

#[path = "keys/archives.rs"]
mod archives;

use std::path::Path;
use std::process::Command;

use hallpass::domain::event::{Actor, ChainPoint, Detail, Event};
use hallpass::domain::id::CommandId;
use hallpass::domain::principal::Principal;
use hallpass::domain::time::Timestamp;
use hallpass::journal::checkpoint::{Checkpoint, verifier_key};
use hallpass::journal::export::read_json_lines;
use hallpass::journal::record::VERSION;
use hallpass::journal::verify::{Fault, KeySpan, Verified, Wrong, verify};
use hallpass::journal::{Exported, Note, PublicKey, Record, SigningKey, Tip, chain};
use signed_note::{Note as ForeignNote, StandardVerifier, VerifierList};

const GOLDEN: &str = include_str!("golden/journal-v1-keys.jsonl");
const GOLDEN_ANCHORS: &str = include_str!("golden/journal-v1-keys.anchors");
/// Written before keys could change.
const GOLDEN_EVENTS: &str = include_str!("golden/journal-v1.jsonl");
const GOLDEN_ROOT: &str = "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c";
const REALM: &str = "00112233445566778899aabbccddeeff";

fn key(seed: u8) -> SigningKey {
    let prefix = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    SigningKey::from_pkcs8(&[&prefix[..], &[seed; 32]].concat()).unwrap()
}

/// A chain whose key may change, and a checkpoint of each of its heads.
struct Journal {
    root: PublicKey,
    key: SigningKey,
    tip: Tip,
    records: Vec<Exported>,
    notes: Vec<String>,
}

impl Journal {
    fn new() -> Self {
        let key = key(7);
        let root = *key.public_key();
        let mut journal = Self { root, key, tip: Tip::START, records: Vec::new(), notes: Vec::new() };
        journal.append(Event::JournalOpened { realm: REALM.into(), public_key: root.to_string() }, "");
        journal
    }

    fn append(&mut self, event: Event, because: &str) {
        let sequence = self.tip.sequence + 1;
        let salt = [u8::try_from(sequence).unwrap(); 32];
        let time = Timestamp::from_millis(1_795_000_000_000 + i64::try_from(sequence).unwrap() * 1001);
        let text = (!because.is_empty()).then(|| because.to_owned());
        let note = Note::new(&Detail { justification: text, ..Detail::default() }, salt).unwrap();
        let record = Record {
            version: VERSION,
            time,
            actor: if note.is_some() { Actor::Operator } else { Actor::Hallpass },
            command: CommandId::from_random(salt[..16].try_into().unwrap()),
            event,
            detail: note.as_ref().map(Note::digest),
            idempotency: None,
        };
        let sealed = chain::seal(&self.key, REALM, sequence, self.tip.hash, record.encode().unwrap());
        self.tip = Tip { sequence, hash: sealed.hash, time };
        self.records.push(Exported::new(sequence, sealed, note, time));
        let said = Checkpoint { realm: REALM.into(), sequence, hash: self.tip.hash, time };
        self.notes.push(said.sign(&self.key).to_string());
    }

    fn rotate(&mut self, seed: u8) {
        let next = key(seed);
        self.append(Event::KeyRotated { public_key: next.public_key().to_string() }, "the laptop was lost");
        self.key = next;
    }

    fn check(&self) -> Result<Verified, Fault> {
        verify(self.records.iter().cloned().map(Ok), &self.root, None)
    }

    fn lines(&self) -> Vec<String> {
        lines(&self.records)
    }
}

fn lines(records: &[Exported]) -> Vec<String> {
    let line = |record: &Exported| {
        let mut line = Vec::new();
        record.write_json_line(&mut line).unwrap();
        String::from_utf8(line).unwrap()
    };
    records.iter().map(line).collect()
}

fn point(sequence: u64) -> ChainPoint {
    ChainPoint { realm: "ffeeddccbbaa99887766554433221100".into(), sequence, hash: "ab".repeat(32) }
}

fn locked() -> Event {
    Event::PrincipalLocked { principal: Principal::new("https://id.example", "ada") }
}

/// One of each event that concerns the key, with two changes of it.
fn golden() -> Journal {
    let mut journal = Journal::new();
    let public_key = key(3).public_key().to_string();
    journal.append(Event::JournalSucceeded { predecessor: point(41), public_key }, "the old key is gone");
    journal.append(locked(), "lost é \u{7f}\u{1f} \"key\"");
    journal.rotate(8);
    journal.append(Event::PrincipalUnlocked { principal: Principal::new("https://id.example", "ada") }, "found");
    journal.append(Event::AnchorConfirmed { expected: Some(point(99)), found: point(7) }, "restored on purpose");
    journal.append(Event::AnchorConfirmed { expected: None, found: point(7) }, "the file was emptied");
    journal.rotate(9);
    journal.append(Event::ConfigurationApplied { digest: "d".into() }, "");
    journal
}

#[test]
fn golden_records_of_keys_still_verify_and_still_are_what_is_written() {
    let root: PublicKey = GOLDEN_ROOT.parse().unwrap();
    let verified = verify(read_json_lines(GOLDEN.as_bytes()), &root, None).unwrap();
    let keys = [(7, 1), (8, 5), (9, 9)].map(|(seed, since)| KeySpan { key: *key(seed).public_key(), since });
    assert_eq!((verified.tip.sequence, verified.keys.as_slice()), (9, &keys[..]));
    let journal = golden();
    assert!(journal.lines().concat() == GOLDEN, "what is written has changed: that is a new version");
    let anchors: String = journal.notes[6..].iter().map(|note| format!("{note}\n")).collect();
    assert!(anchors == GOLDEN_ANCHORS, "checkpoints are written in another way");
}

#[test]
fn only_the_key_in_force_signs() {
    let wrong = |journal: &Journal| {
        let fault = journal.check().unwrap_err();
        (fault.sequence, fault.wrong)
    };
    let mut old = Journal::new();
    old.rotate(8);
    old.key = key(7);
    old.append(locked(), "");
    assert_eq!(wrong(&old), (3, Wrong::Signature), "the former key signs nothing any more");
    let mut early = Journal::new();
    early.key = key(8);
    early.rotate(8);
    assert_eq!(wrong(&early), (2, Wrong::Signature), "a key does not bring itself in");
    let mut none = Journal::new();
    none.append(Event::KeyRotated { public_key: "no key".into() }, "");
    assert_eq!(wrong(&none).0, 2);
    let mut fine = Journal::new();
    fine.rotate(8);
    fine.rotate(7);
    fine.append(locked(), "");
    assert_eq!(fine.check().unwrap().keys.len(), 3, "also back to a former key");
    let other = verify(fine.records.iter().cloned().map(Ok), key(8).public_key(), None).unwrap_err();
    assert_eq!((other.sequence, other.wrong), (1, Wrong::Root), "a later key is no root");
}

#[test]
fn checkpoints_are_read_by_an_implementation_of_others() {
    let journal = golden();
    let known = |seed| {
        let line = verifier_key(REALM, key(seed).public_key());
        VerifierList::new(vec![Box::new(StandardVerifier::new(&line).unwrap())])
    };
    for (number, note) in journal.notes.iter().enumerate() {
        let signer = [7, 7, 7, 7, 8, 8, 8, 8, 9][number];
        let read = ForeignNote::from_bytes(note.as_bytes()).unwrap();
        let (verified, strangers) = read.verify(&known(signer)).unwrap();
        assert_eq!((verified.len(), strangers.len()), (1, 0), "{note}");
        let text = String::from_utf8(read.text().to_vec()).unwrap();
        let told: Vec<&str> = text.lines().collect();
        assert_eq!(told[..2], [format!("hallpass.dev/journal/{REALM}").as_str(), &(number + 1).to_string()]);
        assert!(read.verify(&known(if signer == 7 { 8 } else { 7 })).is_err(), "another key");
        let changed = note.replacen(&format!("\n{}\n", number + 1), "\n99\n", 1);
        assert!(ForeignNote::from_bytes(changed.as_bytes()).unwrap().verify(&known(signer)).is_err(), "changed");
    }
}

/// What a verifier says: whether all is well, and the first bad record when it is not, or the first it does not know.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    Bad { record: u64 },
    Later { record: u64 },
}

fn verdict(command: &mut Command) -> Verdict {
    let output = command.output().unwrap();
    // a verifier that found something beside the chain tells of the chain first
    let said = String::from_utf8([output.stderr, output.stdout].concat()).unwrap();
    let record = || {
        let (_, rest) = said.split_once("record ").unwrap_or_else(|| panic!("no record is named: {said}"));
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    };
    match output.status.code() {
        Some(0) => Verdict::Good,
        Some(1) => Verdict::Bad { record: record() },
        Some(70) => {
            assert!(said.contains("was written by a later hallpass"), "{said}");
            Verdict::Later { record: record() }
        }
        code => panic!("{code:?}: {said}"),
    }
}

#[expect(clippy::disallowed_methods, reason = "a test is told by the environment where Python is")]
fn python() -> Option<String> {
    std::env::var("TESTS_VERIFIER_PYTHON").ok()
}

/// The lines of `journal`, whose last record has other bytes and is rightly signed.
fn ending_with(mut journal: Journal, from: &str, to: &str) -> String {
    let own = journal.records.pop().unwrap();
    let core = String::from_utf8(own.sealed.core).unwrap();
    assert!(core.contains(from), "{core}");
    let core = core.replace(from, to).into_bytes();
    let sealed = chain::seal(&journal.key, REALM, own.sequence, own.sealed.previous, core);
    journal.records.push(Exported::new(own.sequence, sealed, None, journal.tip.time));
    journal.lines().concat()
}

#[test]
fn what_only_a_later_hallpass_knows_is_no_damage_and_not_verified() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("export.jsonl");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verifier/verify.py");
    let ends_locked = || {
        let mut journal = golden();
        journal.append(locked(), "");
        journal
    };
    let (later, version) = (|record| Verdict::Later { record }, ("\"version\":1", "\"version\":9"));
    let event = ("principal_locked", "principal_praised");
    let forged = |(from, to): (&str, &str)| {
        ending_with(ends_locked(), from, to).replacen("\"signature\":\"", "\"signature\":\"0", 1)
    };
    for (what, text, expected) in [
        ("a version", ending_with(ends_locked(), version.0, version.1), later(10)),
        ("an event", ending_with(ends_locked(), event.0, event.1), later(10)),
        ("the first record", ending_with(Journal::new(), version.0, version.1), later(1)),
        ("not signed", forged(version), Verdict::Bad { record: 1 }),
    ] {
        std::fs::write(&file, &text).unwrap();
        let own = &mut Command::new(env!("CARGO_BIN_EXE_hallpass"));
        let own = own.args(["audit", "verify"]).arg(&file).args(["--key", GOLDEN_ROOT]);
        assert_eq!(verdict(own), expected, "{what}");
        if let Some(python) = python() {
            let foreign = verdict(Command::new(python).arg(&script).arg(&file).args(["--key", GOLDEN_ROOT]));
            assert_eq!(foreign, expected, "{what}");
        }
    }
}

/// Exports, each with what is wrong with it and the record at which it shows.
fn exports() -> Vec<(String, String, Verdict)> {
    let mut exports = Vec::new();
    for (name, text) in [("events", GOLDEN_EVENTS), ("keys", GOLDEN)] {
        let whole: Vec<&str> = text.split_inclusive('\n').collect();
        let mut add = |what: &str, lines: Vec<String>, verdict| {
            exports.push((format!("{name}: {what}"), lines.concat(), verdict));
        };
        let own = || whole.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        add("good", own(), Verdict::Good);
        add("empty", Vec::new(), Verdict::Bad { record: 1 });
        for (index, record) in (1..).zip(&whole) {
            let at = usize::try_from(index).unwrap() - 1;
            let bad = |record| Verdict::Bad { record };
            let with = |line: String| {
                let mut lines = own();
                lines[at] = line;
                lines
            };
            let mut without = own();
            without.remove(at);
            let last = at + 1 == whole.len();
            add("removed", without, if last { Verdict::Good } else { bad(index) });
            add("changed", with(record.replacen("\\\"version\\\":1", "\\\"version\\\":2", 1)), bad(index));
            add("spelled otherwise", with(record.replacen("{\"sequence\":", "{ \"sequence\":", 1)), bad(index));
            add("another time shown", with(record.replacen("\"time\":\"20", "\"time\":\"21", 1)), bad(index));
            let (start, signature) = record.split_once("\"signature\":\"").unwrap();
            let swapped = if signature.starts_with('0') { "1" } else { "0" };
            let signed = format!("{start}\"signature\":\"{swapped}{}", &signature[1..]);
            add("signature", with(signed), bad(index));
            if let Some((start, _)) = record.split_once(",\"note\":") {
                // the golden events end with an order that names two of them
                let is_ordered = name == "events" && [6, 9].contains(&index);
                let verdict = if is_ordered { Verdict::Good } else { bad(index) };
                add("note gone", with(format!("{start}}}\n")), verdict);
                add("note changed", with(record.replacen("ation\\\":\\\"", "ation\\\":\\\"!", 1)), bad(index));
            }
            if !last {
                let mut lines = own();
                lines.swap(at, at + 1);
                add("swapped", lines, bad(index));
            }
        }
    }
    exports
}

#[test]
fn a_second_verifier_agrees_on_every_export() {
    let Some(python) = python() else {
        println!("left out: the second verifier needs Python; tests/all installs it");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("export.jsonl");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verifier/verify.py");
    let both = |arguments: &[&str]| {
        let mut own = Command::new(env!("CARGO_BIN_EXE_hallpass"));
        let mut foreign = Command::new(&python);
        let own = verdict(own.args(["audit", "verify"]).arg(&file).args(arguments));
        (own, verdict(foreign.arg(&script).arg(&file).args(arguments)))
    };
    let exports = exports();
    assert!(exports.len() > 150, "only {}", exports.len());
    for (what, text, expected) in exports {
        std::fs::write(&file, text).unwrap();
        let (own, foreign) = both(&["--key", GOLDEN_ROOT]);
        assert_eq!((&own, &foreign), (&expected, &expected), "{what}");
    }

    std::fs::write(&file, GOLDEN).unwrap();
    let anchors = folder.path().join("anchors");
    let path = anchors.to_str().unwrap();
    let journal = golden();
    let (first, last) = (&journal.notes[0], &journal.notes[8]);
    let after = GOLDEN.split_inclusive('\n').take(8).collect::<String>();
    for (what, export, notes, expected) in [
        ("all of them", GOLDEN, GOLDEN_ANCHORS.to_owned(), Verdict::Good),
        ("before a confirmation", GOLDEN, first.replace("\n1\n", "\n5\n"), Verdict::Good),
        ("cut", after.as_str(), GOLDEN_ANCHORS.to_owned(), Verdict::Bad { record: 9 }),
        ("unsigned", GOLDEN, last.replace("\n9\n", "\n8\n"), Verdict::Bad { record: 8 }),
        ("foreign", GOLDEN, last.replace(REALM, &"ab".repeat(16)), Verdict::Bad { record: 9 }),
    ] {
        std::fs::write(&file, export).unwrap();
        std::fs::write(&anchors, notes).unwrap();
        let (own, foreign) = both(&["--key", GOLDEN_ROOT, "--anchor", path]);
        assert_eq!((&own, &foreign), (&expected, &expected), "{what}");
    }
    let stranger = key(3).public_key().to_string();
    assert_eq!(both(&["--key", &stranger]), (Verdict::Bad { record: 1 }, Verdict::Bad { record: 1 }));
}
