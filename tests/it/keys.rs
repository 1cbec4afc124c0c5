//! Stories of the signing key: rotated, cut off while it was, and lost.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use hallpass::demo::issuer::{ADA, ROOT};
use serde_json::{Value, json};

use crate::support::process::Program;

const ANCHORED: &str = "[anchor]\nfile = \"anchors\"\n";

async fn program() -> Program {
    let mut program = Program::new("http://127.0.0.1:9", ANCHORED).await;
    run_for_a_while(&mut program).await;
    program
}

/// Starts, writes a record, and is killed.
async fn run_for_a_while(program: &mut Program) {
    program.start(&ROOT).await;
    let body = json!({ "justification": "only to write a record" });
    let root = program.token(&ROOT);
    let (status, told) = program.post(&root, "/principals/demo:nobody/lock", &body).await.expect("an answer");
    assert!(status < 300, "{told}");
    program.kill();
}

fn shown(program: &Program) -> Value {
    let (code, told) = program.run(&["key", "show", "--json", "--config", &program.config()]);
    assert_eq!(code, 0, "{told}");
    serde_json::from_str(told.lines().next().unwrap_or_default()).expect("JSON")
}

#[tokio::test]
async fn a_rotated_key_signs_on_and_the_root_still_verifies_everything() {
    let mut program = program().await;
    assert!(program.log().contains("a new journal was begun"), "a first start is told: {}", program.log());
    let before = shown(&program);
    assert_eq!(before["root_key"], before["signing_key"]);
    let root = before["root_key"].as_str().expect("a key").to_owned();
    for _ in 0..2 {
        let rotate = ["key", "rotate", "--yes", "--because", "somebody left", "--config", &program.config()];
        let (code, told) = program.run(&rotate);
        assert!(code == 0 && told.contains("from now on"), "{code}: {told}");
        run_for_a_while(&mut program).await;
        assert!(!program.log().contains("a new journal was begun"), "{}", program.log());
    }
    let after = shown(&program);
    assert_eq!((&after["root_key"], after["keys"].as_array().map(Vec::len)), (&before["root_key"], Some(3)));
    assert_ne!(after["signing_key"], before["signing_key"]);
    let files: Vec<_> = fs::read_dir(program.folder()).expect("a folder").flatten().collect();
    let keys: Vec<_> = files.iter().filter(|file| file.file_name().to_string_lossy().starts_with("demo.key")).collect();
    assert_eq!(keys.len(), 6, "the one in force and two retired, each with its pin: {keys:?}");
    for key in keys {
        assert_eq!(key.metadata().expect("a file").permissions().mode() & 0o777, 0o600, "{key:?}");
    }
    let (store, anchors) =
        (program.store().display().to_string(), program.folder().join("anchors").display().to_string());
    let (code, told) = program.run(&["audit", "verify", &store, "--key", &root, "--anchor", &anchors]);
    assert!(code == 0 && told.matches("rotated to").count() == 2, "{code}: {told}");
    let later = after["signing_key"].as_str().expect("a key");
    assert_eq!(program.run(&["audit", "verify", &store, "--key", later]).0, 1, "a later key is no root");

    // while it runs nothing can be rotated, and the key in force is still told
    program.start(&ADA).await;
    let (code, told) = program.run(&["key", "rotate", "--yes", "--because", "now", "--config", &program.config()]);
    assert!(code == 70 && told.contains("stop that hallpass first"), "{code}: {told}");
    for told in ["signing_key", "root_key", "realm"] {
        assert_eq!(shown(&program)[told], after[told], "{told}");
    }
    let (_, head) = program.read(&program.token(&ROOT), "/audit/head").await;
    assert_eq!((&head["public_key"], &head["signing_key"]), (&after["root_key"], &after["signing_key"]));
}

#[tokio::test]
async fn a_rotation_cut_off_before_the_key_was_replaced_is_finished_at_the_next_start() {
    let mut program = program().await;
    let key = program.folder().join("demo.key");
    let former = fs::read(&key).expect("a key");
    let (code, told) =
        program.run(&["key", "rotate", "--yes", "--because", "somebody left", "--config", &program.config()]);
    assert_eq!(code, 0, "{told}");
    // as if the machine had stopped between the record and the file
    fs::rename(&key, program.folder().join("demo.key.next")).expect("moved");
    fs::write(&key, &former).expect("written");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("for its owner");
    run_for_a_while(&mut program).await;
    assert!(!program.folder().join("demo.key.next").exists());
    assert_ne!(fs::read(&key).expect("a key"), former);
    // a next key that no record names changes nothing
    fs::write(program.folder().join("demo.key.next"), &former).expect("written");
    fs::set_permissions(program.folder().join("demo.key.next"), fs::Permissions::from_mode(0o600))
        .expect("for its owner");
    run_for_a_while(&mut program).await;
    assert_ne!(fs::read(&key).expect("a key"), former);
}

#[tokio::test]
async fn a_lost_key_means_a_new_journal_that_names_the_old_one() {
    let mut program = program().await;
    let root = shown(&program)["root_key"].as_str().expect("a key").to_owned();
    fs::remove_file(program.folder().join("demo.key")).expect("lost");
    let config = program.config();
    let (code, told) = program.run(&["serve", "--config", &config]);
    assert!(code == 70 && told.contains("is missing, and the store was signed with it"), "{code}: {told}");
    let aside = program.folder().join("old.redb").display().to_string();
    let lost = |key: &str| {
        let begin = [
            "key",
            "lost",
            "--config",
            &config,
            "--old-store",
            &aside,
            "--because",
            "the disk burnt",
            "--yes",
            "--key",
        ];
        program.run(&[&begin[..], &[key]].concat())
    };
    fs::copy(program.store(), &aside).expect("copied");
    let (code, told) = lost(&root);
    assert!(code == 2 && told.contains("demo.redb"), "the old store stands in the way: {code}: {told}");
    fs::remove_file(program.store()).expect("moved aside");
    let (code, told) = lost(&root);
    assert!(code == 2 && told.contains("demo.uses"), "and so do its uses: {code}: {told}");
    fs::rename(program.store().with_extension("uses"), program.folder().join("old.uses")).expect("moved aside");
    let (code, told) = lost(&"ab".repeat(32));
    assert!(code == 1 && told.contains("not as it was written"), "{code}: {told}");
    let (code, told) = lost(&root);
    assert!(code == 0 && told.contains("new root key"), "{code}: {told}");

    program.start(&ROOT).await;
    let (_, page) = program.read(&program.token(&ROOT), "/audit?event=journal_succeeded").await;
    let record = &page["items"][0];
    assert_eq!((&record["sequence"], &record["event"]["public_key"]), (&json!(2), &json!(root)), "{page}");
    let (code, verified) = program.run(&["audit", "verify", "--json", &aside, "--key", &root]);
    let verified: Value = serde_json::from_str(verified.lines().next().unwrap_or_default()).expect("JSON");
    assert_eq!((code, &verified["head"]["hash"]), (0, &record["event"]["predecessor"]["hash"]));
    let metrics = program.http.get(format!("{}/metrics", program.admin)).send().await.expect("an answer");
    let metrics = metrics.text().await.expect("a body");
    assert!(metrics.contains("hallpass_journal_doubted 0\n"), "its anchor is the new journal's: {}", program.log());
}
