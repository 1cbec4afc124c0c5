//! Bad files are told what is wrong with them, all of it, in words that help.

use std::fs;
use std::path::Path;

use hallpass::config::{self, Source, Sources};

use crate::{load, shipped};

/// `UPDATE_GOLDEN=1` writes what is told now; look at it before it is committed.
#[test]
fn bad_files_are_told_everything_that_is_wrong() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/problems");
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let sources = Sources { sources: vec![Source::Text { name: name.clone(), text }], environment: vec![] };
        let told = match config::load(&sources) {
            Err(problems) => problems.to_string(),
            Ok(config) => {
                assert!(name.starts_with("warnings"), "{name} was accepted");
                config.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
            }
        };
        let expected = path.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&expected, &told).unwrap();
        }
        assert_eq!(told, fs::read_to_string(&expected).unwrap(), "{name}");
        count += 1;
    }
    assert!(count >= 6, "only {count} bad files");
}

#[test]
fn whatever_line_is_missing_something_sensible_is_said() {
    let reference = fs::read_to_string(shipped("hallpass.toml")).unwrap();
    let lines: Vec<&str> = reference.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let (mut refused, mut accepted) = (0, 0);
    for missing in 0..lines.len() {
        let left: Vec<&str> =
            lines.iter().enumerate().filter(|(index, _)| *index != missing).map(|(_, line)| *line).collect();
        match load(&left.join("\n")) {
            Ok(_) => accepted += 1,
            Err(problems) => {
                refused += 1;
                assert!(problems.iter().all(|problem| !problem.message.is_empty()), "without `{}`", lines[missing]);
                assert!(problems.iter().count() < 20, "without `{}` far too much is said:\n{problems}", lines[missing]);
            }
        }
    }
    assert!(refused > 30 && accepted > 60, "{refused} refused, {accepted} accepted");
}
