//! Keeping the journal of a running service: backups while it works, and words that must be gone.

use std::path::{Path, PathBuf};

use hallpass::demo::issuer::{ADA, GRACE, Person, ROOT, VERA};
use serde_json::{Value, json};

use crate::support::process::Program;

/// What Ada typed, what Grace wrote about it, and what the administrator did.
const WORDS: [&str; 3] = ["my daughter Byron is ill", "poor Ada of the third floor", "Ada lost her laptop again"];

/// A command of the program, as `person`.
fn run(program: &Program, person: &Person, arguments: &[&str]) -> (i32, String) {
    let file = program.folder().join(format!("token-{}", person.subject));
    std::fs::write(&file, program.token(person)).expect("written");
    let portal = ["--portal", &program.portal, "--token-file", file.to_str().expect("a path")];
    program.run(&[arguments, &portal].concat())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path")
}

/// Ada asks, Grace approves, the administrator locks and unlocks; each with words.
async fn with_words(program: &Program) -> String {
    let [asked, approved, locked] = WORDS;
    let (ada, grace, root) = (program.token(&ADA), program.token(&GRACE), program.token(&ROOT));
    let ask = json!({ "role": "shop/vault-reader", "justification": asked });
    let (status, activation) = program.post(&ada, "/activations", &ask).await.expect("an answer");
    assert_eq!(status, 201, "{activation}");
    let id = activation["id"].as_str().expect("an id").to_owned();
    let approve = json!({ "revision": activation["revision"], "justification": approved });
    let (status, _) = program.post(&grace, &format!("/activations/{id}/approve"), &approve).await.expect("an answer");
    assert_eq!(status, 200);
    let because = json!({ "justification": locked });
    let (status, _) = program.post(&root, "/principals/demo:ada/lock", &because).await.expect("an answer");
    assert_eq!(status, 200);
    id
}

fn holds(file: &Path, words: &str) -> bool {
    let bytes = std::fs::read(file).expect("a file");
    bytes.windows(words.len()).any(|window| window == words.as_bytes())
}

fn records(answer: &Value) -> &Vec<Value> {
    answer["items"].as_array().expect("records")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_that_were_erased_are_gone_from_answers_exports_and_the_file() {
    let mut program = Program::new("http://127.0.0.1:9", "").await;
    program.start(&ROOT).await;
    let id = with_words(&program).await;
    let (vera, root) = (program.token(&VERA), program.token(&ROOT));
    let backup = program.folder().join("before");
    let (code, said) = run(&program, &ROOT, &["backup", "--to", text(&backup)]);
    assert_eq!(code, 0, "{said}");
    assert!(WORDS.iter().all(|words| holds(&backup, words)), "a backup holds what was typed until then");

    assert!(WORDS.iter().all(|words| holds(&program.store(), words)), "and so does the store's file");

    let (code, said) = run(&program, &VERA, &["erase", "demo:ada", "--because", "asked for", "--yes"]);
    assert!(code == 1 && said.contains("administrator"), "an auditor may not: {said}");
    let (code, said) = run(&program, &ROOT, &["erase", "demo:ada", "--because", "asked for in letter 12", "--yes"]);
    assert!(code == 0 && said.contains("3 notes erased"), "{said}");
    let (code, said) = run(&program, &ROOT, &["erase", "demo:ada", "--because", "once more", "--yes"]);
    assert!(code == 0 && said.contains("nothing left to erase"), "{said}");

    let (_, case) = program.read(&root, &format!("/activations/{id}")).await;
    assert_eq!((&case["erased"], &case["decisions"][0]["erased"]), (&json!(true), &json!(true)), "{case}");
    assert!(case.get("justification").is_none() && case.get("name").is_none(), "{case}");
    let (_, told) = program.read(&vera, "/audit?event=notes_erased").await;
    let [order] = records(&told).as_slice() else { panic!("one order: {told}") };
    assert_eq!(order["event"]["count"], 3, "{order}");
    assert_eq!(order["actor"]["principal"], "demo:root", "{order}");
    assert_eq!(order["detail"]["justification"], "asked for in letter 12", "{order}");
    let (_, of_ada) = program.read(&vera, "/audit?principal=demo:ada").await;
    assert_eq!(records(&of_ada).iter().filter(|record| record["erased"] == true).count(), 3, "{of_ada}");
    let csv = program.folder().join("audit.csv");
    let (code, said) = run(&program, &VERA, &["audit", "export", "--format", "csv", "--output", text(&csv)]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(std::fs::read_to_string(&csv).expect("a file").matches(",erased,").count(), 4, "three and a heading");
    assert!(!WORDS.iter().any(|words| holds(&csv, words)));
    let (code, said) = run(&program, &VERA, &["audit", "verify"]);
    assert!(code == 0 && said.contains("3 notes"), "{said}");
    program.kill();

    let store = program.store();
    let (code, said) = program.run(&["store", "compact", text(&store)]);
    assert_eq!(code, 0, "{said}");
    for command in ["check", "rebuild", "check"] {
        let (code, said) = program.run(&["store", command, text(&store)]);
        assert_eq!(code, 0, "{command}: {said}");
        assert!(
            !WORDS.iter().any(|words| holds(&store, words)),
            "after compacting, no byte tells, nor after {command}"
        );
    }
    program.start(&ROOT).await;
    let (_, case) = program.read(&root, &format!("/activations/{id}")).await;
    assert_eq!((&case["erased"], &case["state"], &case["ending"]), (&json!(true), &json!("ended"), &json!("locked")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_taken_while_people_work_becomes_a_store_that_starts() {
    let mut program = Program::new("http://127.0.0.1:9", "").await;
    program.start(&ROOT).await;
    let worker = Person { subject: "worker", ..ADA };
    let token = program.token(&worker);
    let mut before = 0;
    let work = async || {
        let ask = json!({ "role": "shop/records-editor", "justification": "while a backup is taken" });
        let (_, activation) = program.post(&token, "/activations", &ask).await.expect("an answer");
        let id = activation["id"].as_str().expect("an id").to_owned();
        program.post(&token, &format!("/activations/{id}/deactivate"), &json!({})).await.expect("an answer");
    };
    while before < 20 {
        work().await;
        before += 1;
    }
    let (_, head) = program.read(&program.token(&ROOT), "/audit/head").await;
    let file = program.folder().join("token");
    std::fs::write(&file, program.token(&ROOT)).expect("written");
    let backup: PathBuf = program.folder().join("backup");
    let mut taking = std::process::Command::new(env!("CARGO_BIN_EXE_hallpass"))
        .args(["backup", "--json", "--to", text(&backup), "--portal", &program.portal, "--token-file", text(&file)])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("a process");
    loop {
        work().await;
        if taking.try_wait().expect("a state").is_some() {
            break;
        }
    }
    let output = taking.wait_with_output().expect("ended");
    assert!(output.status.success(), "{output:?}");
    let taken: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(taken["records"].as_u64() >= head["sequence"].as_u64(), "all that was answered before: {taken}, {head}");
    assert_eq!(taken["signed"], true, "a portal signs where it ends: {taken}");
    let (code, said) = run(&program, &VERA, &["backup", "--to", text(&program.folder().join("by-an-auditor"))]);
    assert!(code == 1 && said.contains("administrators"), "{said}");
    program.kill();

    let store = program.store();
    for file in [store.clone(), store.with_extension("uses")] {
        std::fs::rename(&file, file.with_extension("lost")).expect("moved away");
    }
    let (code, said) = program.run(&["restore", "--from", text(&backup), "--to", text(&store)]);
    assert!(code == 0 && said.contains("restored"), "{said}");
    let (code, said) = program.run(&["store", "check", text(&store)]);
    assert_eq!(code, 0, "{said}");
    program.start(&ROOT).await;
    let (status, held) = program.read(&token, "/me").await;
    assert_eq!(status, 200, "{held}");
    let (_, again) = program.read(&program.token(&ROOT), "/audit/head").await;
    assert_eq!(again["realm"], head["realm"]);
    assert!(again["sequence"].as_u64() > taken["records"].as_u64(), "it goes on where the backup ends");
}
