//! Stories of old records that hallpass cuts by itself, while it goes on with everything else.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use data_encoding::HEXLOWER;
use hallpass::domain::id::ActivationId;
use hallpass::domain::time::Span;
use hallpass::journal::checkpoint::read_all;
use serde_json::{Value, json};
use tempfile::TempDir;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{House, id, until};

/// A house that keeps records for ten days.
async fn house(archives: &TempDir) -> House {
    let archive = archives.path().display();
    House::with(&format!("[anchor]\nfile = \"anchors\"\n[retention]\nkeep = \"10d\"\narchive = \"{archive}\"\n")).await
}

/// Ada asks for the vault, uses it, and its hour passes; the activation.
async fn ada_was_in_the_vault(house: &House) -> String {
    let activation = house.ada_holds_the_vault("1h").await;
    for _ in 0..3 {
        house.ada().get("/vault").await.expect(200);
    }
    // written, so that they can be sealed
    until("her uses are there", async || uses(house, &activation).await == 3).await;
    house.pass(Span::hours(2));
    house.pass_until("they are sealed", Span::seconds(10), async || is_sealed(house, &activation).await).await;
    activation
}

async fn is_sealed(house: &House, activation: &str) -> bool {
    records(house, "uses_sealed").await.iter().any(|record| record["event"]["activation"] == json!(activation))
}

/// Waits until all that time has brought about is written down and anchored; then lets a day pass, so that old records are
/// looked for.
async fn a_day_passes(house: &House, used: Option<&str>) {
    house
        .pass_until("it is written down, and anchored", Span::minutes(6), async || {
            let head = house.vera().read("/audit/head").await.expect(200).json();
            let anchors = fs::read_to_string(house.folder().join("anchors")).expect("anchors");
            let anchored = read_all(&anchors).pop().map(|note| note.checkpoint.sequence);
            let is_sealed = match used {
                Some(used) => is_sealed(house, used).await,
                None => true,
            };
            is_sealed && anchored == head["sequence"].as_u64()
        })
        .await;
    house.pass(Span::hours(36));
    house.until_keys_are_there().await;
}

/// How many uses the portal shows.
async fn uses(house: &House, activation: &str) -> usize {
    let answer = house.vera().read(&format!("/uses?activation={activation}")).await.expect(200);
    answer.json()["items"].as_array().map_or(0, Vec::len)
}

/// Whether uses of this activation are kept, whoever may see them.
async fn are_kept(house: &House, activation: &str) -> bool {
    let id: ActivationId = activation.parse().expect("an id");
    let row = format!("{{\"row\":{{\"table\":\"use_blocks\",\"key\":\"{}", HEXLOWER.encode(&id.to_bytes()));
    house.root().read("/backup").await.expect(200).text.contains(&row)
}

async fn records(house: &House, event: &str) -> Vec<Value> {
    let page = house.vera().read(&format!("/audit?event={event}&limit=100")).await.expect(200).json();
    page["items"].as_array().expect("records").clone()
}

async fn metric(house: &House, name: &str) -> f64 {
    let metrics = house.http.get(format!("{}/metrics", house.admin())).send().await.expect("an answer");
    let metrics = metrics.text().await.expect("text");
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().expect("a number")
}

async fn is_ready(house: &House) -> bool {
    house.http.get(format!("{}/readyz", house.admin())).send().await.expect("an answer").status() == 200
}

/// The archives of records, as they sort.
fn archives(folder: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut archives: Vec<PathBuf> = names.filter(|path| path.extension().is_some_and(|end| end == "jsonl")).collect();
    archives.sort();
    archives
}

/// Both verifiers hold all archives and what remains for one whole journal.
async fn join(house: &House, folder: &Path) {
    let rest = house.folder().join("rest");
    fs::write(&rest, house.vera().read("/audit/export").await.expect(200).text).expect("written");
    let root = house.vera().read("/audit/head").await.expect(200).json();
    let root = root["public_key"].as_str().expect("a key").to_owned();
    let mut files = archives(folder);
    let verified = |mut command: Command, files: &[PathBuf]| {
        let said = command.args(files).args(["--key", &root]).output().expect("a process");
        assert!(said.status.success(), "{files:?}: {said:?}");
    };
    let program = || {
        let mut program = Command::new(env!("CARGO_BIN_EXE_hallpass"));
        program.args(["audit", "verify"]);
        program
    };
    for archive in &files {
        verified(program(), std::slice::from_ref(archive));
    }
    verified(program(), std::slice::from_ref(&rest));
    files.push(rest);
    verified(program(), &files);
    if let Some(python) = python() {
        let mut again = Command::new(python);
        again.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verifier/verify.py"));
        verified(again, &files);
    }
}

#[expect(clippy::disallowed_methods, reason = "a test is told by the environment where Python is")]
fn python() -> Option<String> {
    std::env::var("TESTS_VERIFIER_PYTHON").ok()
}

#[tokio::test]
async fn what_is_old_goes_by_itself_and_all_that_holds_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = house(&folder).await;
    let always = json!({ "role": "shop/vault-reader", "principal": "demo:vera", "ends_at": "2027-03-01T00:00:00Z",
        "justification": "the yearly inspection" });
    house.root().post("/active-assignments", always).await.expect(201);
    let locked = json!({ "justification": "left the shop" });
    house.root().post("/principals/demo:mallory/lock", locked).await.expect(200);
    let old = ada_was_in_the_vault(&house).await;
    assert!(are_kept(&house, &old).await);
    assert!(archives(folder.path()).is_empty(), "nothing is old enough");

    house.pass(Span::days(6));
    house.until_keys_are_there().await;
    let younger = ada_was_in_the_vault(&house).await;
    house.pass(Span::days(4));
    house.until_keys_are_there().await;
    a_day_passes(&house, None).await;
    let waiting = id(&house.ada().request("shop/vault-reader", "30m").await);
    // requests pass meanwhile
    until("the first cut", async || {
        house.ada().get("/account").await.expect(200);
        records(&house, "journal_cut").await.len() == 1
    })
    .await;
    until("its uses are gone", async || !are_kept(&house, &old).await).await;
    let first = archives(folder.path());
    assert_eq!(first.len(), 1);
    assert!(
        first[0]
            .file_name()
            .is_some_and(|name| name.to_str().is_some_and(|name| name.starts_with("journal-000000000002-0000000000")))
    );
    for file in [first[0].clone(), first[0].with_extension("jsonl.uses")] {
        assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600, "{file:?}");
    }
    let cut = &records(&house, "journal_cut").await[0];
    assert_eq!(cut["actor"]["type"], "hallpass", "{cut}");
    assert_eq!(cut["detail"]["justification"], "retention: older than 10d", "{cut}");
    assert!(metric(&house, "hallpass_retention_records_total").await > 5.0);
    assert!(fs::read_to_string(first[0].with_extension("jsonl.uses")).expect("uses").contains("use_blocks"));
    join(&house, folder.path()).await;
    // the old case is known no more; what holds, holds
    assert_eq!(house.vera().read(&format!("/activations/{old}")).await.status, 404);
    assert_eq!(uses(&house, &younger).await, 3);
    house.vera().get("/vault").await.expect(200);
    house.grace().approve(&waiting).await.expect(200);
    house.ada().get("/vault").await.expect(200);

    house.pass(Span::days(6));
    house.until_keys_are_there().await;
    a_day_passes(&house, Some(&waiting)).await;
    until("the second cut", async || records(&house, "journal_cut").await.len() == 2).await;
    until("its uses are gone", async || !are_kept(&house, &younger).await).await;
    assert_eq!(archives(folder.path()).len(), 2);
    join(&house, folder.path()).await;
    let seen = metric(&house, "hallpass_retention_last_success_seconds").await;
    assert!(seen > 1_795_420_800.0 + 16.0 * 86_400.0, "{seen}");
    assert_eq!(metric(&house, "hallpass_retention_failures_total").await, 0.0);

    let house = house.restart().await;
    join(&house, folder.path()).await;
    house.vera().get("/vault").await.expect(200);
    let unlocked = json!({ "justification": "she came back" });
    house.root().delete("/principals/demo:mallory/lock", unlocked).await.expect(200);
    assert_eq!(archives(folder.path()).len(), 2, "nothing is cut for less than a sixteenth of what is kept");
    house.stop().await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_told_and_shuts_nothing() {
    let log = Log::default();
    let _told = log.listens();
    let folder = tempfile::tempdir().expect("a folder");
    let house = house(&folder).await;
    ada_was_in_the_vault(&house).await;
    let held = house.ada_holds_the_vault("1h").await;
    until("the first look", async || metric(&house, "hallpass_retention_last_success_seconds").await > 0.0).await;
    let elsewhere = folder.path().with_extension("elsewhere");
    fs::rename(folder.path(), &elsewhere).expect("moved");
    house.ada().get("/vault").await.expect(200);
    house.pass(Span::days(12));
    house.until_keys_are_there().await;
    a_day_passes(&house, Some(&held)).await;
    until("it fails", async || metric(&house, "hallpass_retention_failures_total").await > 0.0).await;
    until("the log says so", async || {
        log.holds("old records could not be cut, and stay until they can: nothing can be written to the folder")
    })
    .await;
    // keys are fetched anew after so long; a folder is no reason to shut the gate
    until("it is ready", async || is_ready(&house).await).await;
    house.ada().get("/account").await.expect(200);
    let third = house.ada_holds_the_vault("1h").await;
    house.ada().get("/vault").await.expect(200);
    assert!(records(&house, "journal_cut").await.is_empty());
    assert_eq!(house.vera().read(&format!("/activations/{held}")).await.status, 200);

    // it comes back, with something left over in it: archives of cuts that did not come to be, and a file that was not finished
    fs::rename(&elsewhere, folder.path()).expect("moved");
    let left = house.vera().read("/audit/export").await.expect(200).text;
    let lines: Vec<&str> = left.split_inclusive('\n').collect();
    for (name, count) in
        [("journal-000000000002-000000000005.jsonl", 5), ("journal-000000000002-000000000009.jsonl", 9)]
    {
        fs::write(folder.path().join(name), lines[..count].concat()).expect("written");
        fs::write(folder.path().join(format!("{name}.uses")), "").expect("written");
    }
    fs::write(folder.path().join("journal-000000000002-000000000004.jsonl.unfinished"), "half").expect("written");
    fs::write(folder.path().join("journal-000000000002-000000000007.jsonl.uses"), "").expect("written");
    a_day_passes(&house, Some(&third)).await;
    until("it is cut", async || records(&house, "journal_cut").await.len() == 1).await;
    until("the log tells it", async || log.holds("old records were cut out of the journal")).await;
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 2, "{:?}", archives(folder.path()));
    join(&house, folder.path()).await;

    // what is not of this journal is never removed
    let strange = folder.path().join("journal-000000000900-000000000999.jsonl");
    fs::write(&strange, lines[1].replacen("\"hash\":\"", "\"hash\":\"00", 1)).expect("written");
    let failures = metric(&house, "hallpass_retention_failures_total").await;
    house.pass(Span::days(14));
    house.until_keys_are_there().await;
    a_day_passes(&house, None).await;
    until("it fails", async || metric(&house, "hallpass_retention_failures_total").await > failures).await;
    assert!(strange.exists() && log.holds("holds what the journal does not"), "{}", log.text());
    house.stop().await;
}

#[tokio::test]
async fn a_reload_switches_it_on_and_off() {
    const ON: &str = "\n[retention]\nkeep = \"3d\"\narchive = \"archive\"\n";
    const OFF: &str = "# kept for good\n";
    let mut house = House::with(OFF).await;
    let archive = house.folder().join("archive");
    ada_was_in_the_vault(&house).await;
    house.pass(Span::days(5));
    house.until_keys_are_there().await;
    assert!(house.reload(OFF, ON).await.is_err(), "there is no such folder");
    fs::create_dir(&archive).expect("a folder");
    fs::set_permissions(&archive, fs::Permissions::from_mode(0o700)).expect("its owner's");
    assert!(records(&house, "journal_cut").await.is_empty());
    house.reload(OFF, ON).await.expect("a good configuration");
    until("it is cut", async || records(&house, "journal_cut").await.len() == 1).await;
    join(&house, &archive).await;
    house.reload(ON, OFF).await.expect("a good configuration");
    let metrics = async || {
        let answer = house.http.get(format!("{}/metrics", house.admin())).send().await.expect("an answer");
        answer.text().await.expect("text")
    };
    until("it is off", async || !metrics().await.contains("hallpass_retention_last_success_seconds")).await;
    ada_was_in_the_vault(&house).await;
    house.pass(Span::days(9));
    house.until_keys_are_there().await;
    // commands that take longer than a look would
    for _ in 0..3 {
        house.pass(Span::days(1));
        house.until_keys_are_there().await;
        ada_was_in_the_vault(&house).await;
    }
    assert_eq!(records(&house, "journal_cut").await.len(), 1);
    house.stop().await;
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Takes what is logged on this thread.
    fn listens(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt().with_writer(self.clone()).with_ansi(false).finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("a log")).into_owned()
    }

    fn holds(&self, text: &str) -> bool {
        self.text().contains(text)
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("a log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
