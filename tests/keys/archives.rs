//! Archives: golden ones that verify alone and join, and two programs that must agree on every change of them.

use std::path::Path;
use std::process::Command;

use data_encoding::HEXLOWER;
use hallpass::domain::event::{Event, RecordRun};
use hallpass::domain::time::Timestamp;
use hallpass::journal::export::read_json_lines;
use hallpass::journal::verify::{Fault, Verifier, Wrong, verify};
use hallpass::journal::{Cut, Digest, Exported};

use crate::{GOLDEN_ROOT, Journal, Verdict, lines, locked, python, verdict};

/// Two archives of one journal, oldest first, and what remained of it.
const GOLDEN_CUT: [&str; 3] = [
    include_str!("../golden/journal-v1-archive-1.jsonl"),
    include_str!("../golden/journal-v1-archive-2.jsonl"),
    include_str!("../golden/journal-v1-rest.jsonl"),
];

/// A journal that was cut twice, with a key changed before and between: its archives, and what remained.
fn cut_twice() -> [String; 3] {
    let mut journal = Journal::new();
    journal.append(locked(), "one");
    journal.rotate(8);
    for because in ["two", "three", "four", "five"] {
        journal.append(locked(), because);
    }
    let of = |journal: &Journal, sequences: &[usize]| {
        let records: Vec<Exported> = sequences.iter().map(|sequence| journal.records[sequence - 1].clone()).collect();
        lines(&records).concat()
    };
    let run = |(first, last)| RecordRun { first, last };
    let cut = |journal: &mut Journal, runs: &[(u64, u64)], archive: &str| {
        let last = &journal.records[usize::try_from(runs[runs.len() - 1].1).unwrap() - 1];
        let (hash, until) = (HEXLOWER.encode(&last.sealed.hash), Timestamp::from_millis(1_795_000_000_000));
        let archive = Digest::of(&[archive.as_bytes()]).to_string();
        let carried = Digest::of(&[]).to_string();
        let records = runs.iter().copied().map(run).collect();
        journal.append(Event::JournalCut { records, hash, until, archive, carried }, "kept long enough");
    };
    let first = of(&journal, &[1, 2, 3, 4]);
    cut(&mut journal, &[(2, 2), (4, 4)], &first);
    journal.append(locked(), "six");
    journal.rotate(9);
    let second = of(&journal, &[1, 3, 5, 6, 8]);
    cut(&mut journal, &[(2, 2), (4, 6)], &second);
    journal.append(locked(), "seven");
    [first, second, of(&journal, &[1, 3, 7, 8, 9, 10, 11, 12])]
}

#[test]
fn golden_archives_still_verify_alone_and_join_and_still_are_what_is_written() {
    assert!(cut_twice() == GOLDEN_CUT, "what is written has changed: that is a new version");
    let verified = |files: &[&str]| {
        let mut verifier = Verifier::of_files(GOLDEN_ROOT.parse().unwrap());
        for file in files {
            verifier.next_file()?;
            for record in read_json_lines(file.as_bytes()).map(Result::unwrap) {
                verifier.check(record.sequence, &record.sealed, record.note.as_ref())?;
            }
        }
        let gone = verifier.ended()?.map_or(0, Cut::count);
        Ok::<_, Fault>((verifier.tip().sequence, gone))
    };
    let [first, second, rest] = GOLDEN_CUT;
    assert_eq!(verified(&[first]), Ok((4, 0)));
    assert_eq!(verified(&[second]), Ok((6, 2)));
    assert_eq!(verified(&[rest]), Ok((12, 4)));
    assert_eq!(verified(&[first, second, rest]), Ok((12, 0)));
    assert_eq!(verified(&[second, rest]), Ok((12, 2)));
    assert!(verified(&[first, rest]).is_err() && verified(&[rest, second]).is_err());
    // what remained is a whole journal too, and an archive is none
    let root = GOLDEN_ROOT.parse().unwrap();
    let alone = |file: &str| verify(read_json_lines(file.as_bytes()), &root, None);
    assert_eq!(alone(rest).unwrap().cut.unwrap().by, 11);
    assert_eq!(alone(second).unwrap_err().sequence, 7, "the record of its cut does not follow its end");
    // without the record that states it nothing may be gone, and none states more than was cut
    let lines: Vec<&str> = rest.split_inclusive('\n').collect();
    let missing = |files: &[&str], sequence| {
        let fault = verified(files).unwrap_err();
        assert_eq!((fault.sequence, matches!(fault.wrong, Wrong::Missing { .. })), (sequence, true), "{fault}");
    };
    missing(&[&lines[..6].concat()], 2);
    missing(&[&[&lines[..2], &lines[4..]].concat().concat()], 2);
    missing(&[&[lines[0], lines[2]].concat()], 2);
}

#[test]
fn a_second_verifier_agrees_on_every_archive_and_what_joins_it() {
    let Some(python) = python() else {
        println!("left out: the second verifier needs Python; tests/all installs it");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verifier/verify.py");
    for files in [&[1][..], &[2], &[1, 2], &[0, 1, 2]] {
        let whole: String = files.iter().map(|file: &usize| GOLDEN_CUT[*file]).collect();
        let all: Vec<&str> = whole.split_inclusive('\n').collect();
        let ends: Vec<usize> = files.iter().map(|file| GOLDEN_CUT[*file].lines().count()).collect();
        let (mut bad, mut told) = (0, Vec::new());
        for (changed, line) in all.iter().enumerate() {
            let (start, signature) = line.split_once("\"signature\":\"").unwrap();
            let swapped = if signature.starts_with('0') { "1" } else { "0" };
            for other in [
                String::new(),
                line.replacen("locked", "lacked", 1).replacen("\\\"first\\\":2", "\\\"first\\\":3", 1),
                line.replacen("\"time\":\"20", "\"time\":\"21", 1),
                format!("{start}\"signature\":\"{swapped}{}", &signature[1..]),
                format!("{line}{line}"),
            ] {
                let mut lines = all.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
                let is_other = lines[changed] != other;
                lines[changed] = other;
                let mut lines = lines.into_iter();
                let mut paths = Vec::new();
                for (number, length) in ends.iter().enumerate() {
                    let path = folder.path().join(format!("{number}.jsonl"));
                    std::fs::write(&path, lines.by_ref().take(*length).collect::<String>()).unwrap();
                    paths.push(path);
                }
                let mut own = Command::new(env!("CARGO_BIN_EXE_hallpass"));
                let own = verdict(own.args(["audit", "verify", "--key", GOLDEN_ROOT]).args(&paths));
                let mut foreign = Command::new(&python);
                let foreign = verdict(foreign.arg(&script).args(["--key", GOLDEN_ROOT]).args(&paths));
                assert_eq!(own, foreign, "line {changed} of {files:?}: {:?}", lines.len());
                assert!(is_other || own == Verdict::Good, "line {changed} of {files:?}");
                bad += u32::from(own != Verdict::Good);
                told.extend((is_other && own == Verdict::Good).then_some(changed));
            }
        }
        let lines = u32::try_from(all.len()).unwrap();
        assert!(bad > 3 * lines, "{files:?}: {bad} of {lines} lines, good all the same: {told:?}");
    }
}
