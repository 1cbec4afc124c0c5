//! The order of the house: floors, lengths, opening lines, words.

use std::fs;
use std::path::{Path, PathBuf};

/// Which floors each floor may name. Nothing looks up, siblings do not meet.
const FLOORS: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "anchor",
            "app",
            "backup",
            "demo",
            "config",
            "store",
            "journal",
            "clock",
            "domain",
            "fresh_file",
            "telemetry",
            "identity",
            "proxy",
        ],
    ),
    ("demo", &["app", "config", "clock", "domain", "journal", "telemetry"]),
    (
        "app",
        &[
            "admin",
            "backup",
            "anchor",
            "clock",
            "config",
            "domain",
            "identity",
            "journal",
            "portal",
            "proxy",
            "server",
            "standings",
            "store",
            "telemetry",
            "uses",
            "writer",
        ],
    ),
    (
        "config",
        &[
            "admin",
            "anchor",
            "clock",
            "domain",
            "identity",
            "portal",
            "private_file",
            "proxy",
            "server",
            "store",
            "telemetry",
            "writer",
        ],
    ),
    ("admin", &["telemetry", "standings", "clock", "domain"]),
    ("proxy", &["domain", "clock", "identity", "private_file", "standings", "server", "telemetry", "uses"]),
    (
        "portal",
        &[
            "anchor",
            "backup",
            "domain",
            "clock",
            "identity",
            "journal",
            "server",
            "standings",
            "store",
            "telemetry",
            "uses",
            "writer",
        ],
    ),
    ("anchor", &["domain", "clock", "fresh_file", "journal", "private_file", "store", "telemetry"]),
    ("writer", &["domain", "journal", "store", "standings", "clock", "telemetry"]),
    ("backup", &["domain", "clock", "fresh_file", "journal", "store", "uses"]),
    ("uses", &["domain", "fresh_file", "journal", "store", "telemetry", "clock"]),
    ("standings", &["domain", "journal", "store", "telemetry"]),
    ("store", &["domain", "fresh_file", "journal", "private_file"]),
    ("identity", &["domain", "clock", "telemetry"]),
    ("server", &["telemetry", "clock", "domain", "private_file"]),
    ("journal", &["domain", "clock"]),
    ("telemetry", &["domain", "clock"]),
    ("private_file", &["fresh_file"]),
    ("fresh_file", &[]),
    ("clock", &["domain"]),
    ("domain", &[]),
];

/// Crates the innermost floor may name.
const DOMAIN_CRATES: &[&str] = &["std", "serde", "thiserror", "crate", "super", "self"];

const LINES_MAX: usize = 400;

fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "no Rust files below {folder}");
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(path).display().to_string()
}

fn floor_of(path: &Path) -> String {
    let below = relative(path);
    let first = below.trim_start_matches("src/").split('/').next().unwrap_or_default();
    first.trim_end_matches(".rs").to_owned()
}

fn is_test_file(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs") || path.components().any(|part| part.as_os_str() == "tests")
}

/// The part of a file before its test module: tests may look anywhere.
fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

#[test]
fn no_floor_names_what_is_above_or_beside_it() {
    let mut strays = Vec::new();
    for path in rust_files("src") {
        let floor = floor_of(&path);
        if matches!(floor.as_str(), "lib" | "main") || is_test_file(&path) {
            continue;
        }
        let Some((_, allowed)) = FLOORS.iter().find(|(name, _)| *name == floor) else {
            strays.push(format!("{}: floor `{floor}` is not in the plan", relative(&path)));
            continue;
        };
        let text = fs::read_to_string(&path).expect("a readable file");
        for (number, line) in without_tests(&text).lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for rest in line.split("crate::").skip(1) {
                let named: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if !named.is_empty() && named != floor && !allowed.contains(&named.as_str()) {
                    strays.push(format!("{}:{}: `{floor}` names `{named}`", relative(&path), number + 1));
                }
            }
        }
    }
    assert!(strays.is_empty(), "{}", strays.join("\n"));
}

#[test]
fn the_domain_names_no_other_crate() {
    let mut strays = Vec::new();
    for path in rust_files("src/domain") {
        let text = fs::read_to_string(&path).expect("a readable file");
        for line in without_tests(&text).lines().filter_map(|line| line.strip_prefix("use ")) {
            let named = line.split("::").next().unwrap_or_default();
            if !DOMAIN_CRATES.contains(&named) && !is_test_file(&path) {
                strays.push(format!("{}: names `{named}`", relative(&path)));
            }
        }
    }
    assert!(strays.is_empty(), "{}", strays.join("\n"));
}

#[test]
fn files_are_short_and_open_with_a_sentence() {
    let mut strays = Vec::new();
    for path in ["src", "tests", "benches"].into_iter().flat_map(rust_files) {
        let text = fs::read_to_string(&path).expect("a readable file");
        let lines = text.lines().count();
        if lines > LINES_MAX {
            strays.push(format!("{}: {lines} lines", relative(&path)));
        }
        if !text.starts_with("//! ") {
            strays.push(format!("{}: does not open with a sentence", relative(&path)));
        }
    }
    assert!(strays.is_empty(), "{}", strays.join("\n"));
}

#[test]
fn nothing_unfinished_and_no_vague_names() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("to", "do!("),
        concat!("unimpl", "emented!("),
    ];
    let vague = ["Manager", "Helper", "Util", "Handler", "Impl"];
    let mut strays = Vec::new();
    for path in ["src", "tests", "benches"].into_iter().flat_map(rust_files) {
        let text = fs::read_to_string(&path).expect("a readable file");
        for (number, line) in text.lines().enumerate() {
            for mark in marks.iter().filter(|mark| line.contains(**mark)) {
                strays.push(format!("{}:{}: `{mark}`", relative(&path), number + 1));
            }
            let declared = ["struct ", "enum ", "trait "]
                .iter()
                .find_map(|word| line.trim_start_matches("pub ").strip_prefix(word));
            if let Some(name) = declared
                && vague.iter().any(|word| {
                    name.split(|c: char| !c.is_alphanumeric()).next().is_some_and(|name| name.ends_with(word))
                })
            {
                strays.push(format!("{}:{}: vague name in `{line}`", relative(&path), number + 1));
            }
        }
    }
    assert!(strays.is_empty(), "{}", strays.join("\n"));
}

#[test]
fn the_readme_names_commands_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).expect("a README");
    assert!(readme.contains("cargo run --release -- demo"), "the README shows the demo");
    assert!(readme.contains("tests/all"), "the README shows the tests");
    assert!(root.join("tests/all").exists(), "tests/all exists");
}
