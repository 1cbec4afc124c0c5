//! Real volumes, real processes: a disk that fills up, one that may only be read, a second process, and files that others
//! may read or that another version wrote.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hallpass::demo::issuer::{ADA, Person, ROOT};
use redb::TableDefinition;
use serde_json::{Value, json};

use crate::process::Program;

const WORKER: Person = Person { subject: "worker-1", ..ADA };
const OTHER: Person = Person { subject: "worker-2", ..ADA };

/// Lines of the log that could not be written.
pub async fn log_lines_lost(program: &Program) -> u64 {
    let (_, metrics) = program.admin("/metrics").await;
    let lost = metrics.lines().find_map(|line| line.strip_prefix("hallpass_log_lines_lost_total "));
    lost.expect("a metric").parse().expect("a number")
}

/// A small volume of its own, mounted for as long as it lives.
pub struct Volume(PathBuf);

impl Volume {
    /// None where mounting is not allowed; the test then says what it leaves out.
    pub fn mount(folder: &Path, megabytes: u32, left_out: &str) -> Option<Self> {
        let place = folder.join("volume");
        std::fs::create_dir(&place).expect("a folder");
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(&place).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(place));
        }
        println!("LEFT OUT, because nothing may be mounted here: {left_out}");
        None
    }

    /// From its next start on the program's log lies here, too.
    fn takes_the_log_of(&self, program: &Program) {
        program.edit("filter = \"warn\"", "filter = \"info\"");
        std::os::unix::fs::symlink(self.0.join("log"), program.folder().join("log")).expect("a link");
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    fn read_only(&self) {
        let status = Command::new("mount").args(["-o", "remount,ro"]).arg(&self.0).status();
        assert!(status.expect("mount").success(), "mounted for reading only");
    }

    /// Takes all room there is.
    pub fn fill(&self) -> PathBuf {
        let path = (0..).map(|number| self.0.join(format!("filler-{number}"))).find(|path| !path.exists());
        let path = path.expect("a free name");
        let mut file = std::fs::File::create(&path).expect("a file");
        while file.write_all(&[7; 4096]).is_ok() {}
        path
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

async fn ask(program: &Program, who: &Person) -> (u16, Value) {
    let wish = json!({ "role": "shop/records-editor", "justification": "as long as there is room" });
    program.post(&program.token(who), "/activations", &wish).await.expect("an answer")
}

async fn end(program: &Program, who: &Person, id: &str, how: &str) -> (u16, Value) {
    let answer = program.post(&program.token(who), &format!("/activations/{id}/{how}"), &json!({})).await;
    answer.expect("an answer")
}

fn code(problem: &Value) -> &str {
    problem["type"].as_str().and_then(|code| code.rsplit('/').next()).unwrap_or_default()
}

fn id(activation: &Value) -> String {
    activation["id"].as_str().expect("an id").to_owned()
}

async fn state_of(program: &Program, id: &str) -> String {
    let (status, activation) = program.read(&program.token(&ROOT), &format!("/activations/{id}")).await;
    assert_eq!(status, 200, "{activation}");
    activation["state"].as_str().expect("a state").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_rights_end_durably_and_none_are_granted() {
    let mut program = Program::new("http://127.0.0.1:9", "").await;
    let Some(volume) = Volume::mount(program.folder(), 24, "a disk that fills up") else { return };
    program.edit("\"demo.redb\"", "\"volume/demo.redb\"");
    volume.takes_the_log_of(&program);
    program.start(&ROOT).await;
    let (status, first) = ask(&program, &WORKER).await;
    assert_eq!(status, 201, "{first}");
    let (status, second) = ask(&program, &OTHER).await;
    assert_eq!(status, 201, "{second}");
    let (first, second) = (id(&first), id(&second));

    let filler = volume.fill();
    let mut granted = 0;
    let refused = loop {
        let who = format!("crowd-{granted}");
        let person = Person { subject: Box::leak(who.into_boxed_str()), ..ADA };
        let (status, answer) = ask(&program, &person).await;
        if status != 201 {
            break (status, answer);
        }
        granted += 1;
        assert!(granted < 5000, "the disk never was full");
    };
    assert_eq!((refused.0, code(&refused.1)), (503, "disk_full"), "{refused:?}");
    println!("{granted} more were granted before the disk was full");
    let ended = end(&program, &WORKER, &first, "deactivate").await;
    assert_eq!(ended.0, 200, "a right is handed back, durably: {ended:?}");
    let revoked = end(&program, &ROOT, &second, "revoke").await;
    assert_eq!(revoked.0, 200, "and revoked: {revoked:?}");
    let refused = ask(&program, &WORKER).await;
    assert_eq!((refused.0, code(&refused.1)), (503, "disk_full"), "{refused:?}");
    let metrics = program.admin("/metrics").await.1;
    assert!(metrics.contains("hallpass_store_state{state=\"ends_only\"} 1"), "{metrics}");
    assert!(metrics.contains("hallpass_store_failures_total{reason=\"full\"} 1"), "{metrics}");
    eventually("readiness says so", || async {
        let (status, report) = program.admin("/readyz").await;
        status == 503 && report.contains("no room left for the journal")
    })
    .await;

    // what was answered is durable, and a start on a disk without room is a start that grants nothing
    program.kill();
    program.start(&ROOT).await;
    assert_eq!(state_of(&program, &first).await, "ended");
    assert_eq!(state_of(&program, &second).await, "ended");
    let refused = ask(&program, &WORKER).await;
    assert_eq!((refused.0, code(&refused.1)), (503, "disk_full"), "{refused:?}");

    std::fs::remove_file(filler).expect("removed");
    eventually("rights are granted again", || async { ask(&program, &WORKER).await.0 == 201 }).await;
    let metrics = program.admin("/metrics").await.1;
    assert!(metrics.contains("hallpass_store_state{state=\"open\"} 1"), "{metrics}");
    program.kill();
    let store = volume.0.join("demo.redb");
    let (exit, said) = program.run(&["audit", "verify", "--store", store.to_str().expect("a path")]);
    assert_eq!(exit, 0, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ended_while_nothing_at_all_could_be_written_stays_ended_after_a_kill() {
    let mut program = Program::new("http://127.0.0.1:9", "[anchor]\nfile = \"anchors\"\n").await;
    let Some(volume) = Volume::mount(program.folder(), 24, "a disk on which nothing can be written") else { return };
    program.edit("\"demo.redb\"", "\"volume/demo.redb\"");
    volume.takes_the_log_of(&program);
    program.start(&ROOT).await;
    let mut held = Vec::new();
    // more than the room that is left inside the file takes
    for number in 0..500 {
        let person = Person { subject: Box::leak(format!("crowd-{number}").into_boxed_str()), ..ADA };
        let (status, answer) = ask(&program, &person).await;
        assert_eq!(status, 201, "{answer}");
        held.push((person, id(&answer)));
    }
    let mut fillers = vec![volume.fill()];
    let mut ended = None;
    // everybody their own: nobody gives so many commands at once
    for (person, id) in &held {
        let (status, answer) = end(&program, person, id, "deactivate").await;
        match (status, code(&answer)) {
            // the room set aside goes as well
            (200, _) => fillers.push(volume.fill()),
            (503, "not_durable") => {
                ended = Some(id.clone());
                break;
            }
            _ => panic!("{status} {answer}"),
        }
    }
    let ended = ended.expect("a disk on which nothing can be written");
    let aside = program.folder().join("anchors.owed");
    assert_eq!(std::fs::read_to_string(&aside).expect("a file").lines().count(), 1, "{}", program.log());
    for _ in 0..40 {
        // a store that is closed and opened again may give room back
        fillers.push(volume.fill());
        let refused = ask(&program, &OTHER).await;
        assert_eq!(refused.0, 503, "{refused:?}");
    }
    eventually("the log has no room either", || async { log_lines_lost(&program).await > 0 }).await;
    program.kill();
    fillers.iter().for_each(|filler| std::fs::remove_file(filler).expect("removed"));
    program.start(&ROOT).await;
    assert_eq!(state_of(&program, &ended).await, "ended", "{}", program.log());
    assert!(!aside.exists(), "the journal has it");
    program.kill();
    let store = volume.0.join("demo.redb");
    let (exit, said) = program.run(&["audit", "verify", "--store", store.to_str().expect("a path")]);
    assert_eq!(exit, 0, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_may_only_be_read_is_a_clear_refusal_to_start() {
    let mut program = Program::new("http://127.0.0.1:9", "").await;
    let Some(volume) = Volume::mount(program.folder(), 24, "a volume that may only be read") else { return };
    program.edit("\"demo.redb\"", "\"volume/demo.redb\"");
    program.start(&ROOT).await;
    program.kill();
    volume.read_only();
    let config = program.folder().join("hallpass.toml");
    let (exit, said) = program.run(&["serve", "--config", config.to_str().expect("a path")]);
    assert_eq!(exit, 70, "{said}");
    assert!(said.contains("volume/demo.redb` cannot be written; hallpass must be able to write"), "{said}");
    assert!(said.contains("Read-only file system"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_is_told_and_leaves_the_first_alone() {
    let mut program = Program::new("http://127.0.0.1:9", "").await;
    program.start(&ROOT).await;
    let before = std::fs::metadata(program.store()).expect("a store").len();
    let config = program.folder().join("hallpass.toml");
    let (exit, said) = program.run(&["serve", "--config", config.to_str().expect("a path")]);
    assert_eq!(exit, 70, "{said}");
    assert!(said.contains("is open in another process; stop that one first"), "{said}");
    assert_eq!(std::fs::metadata(program.store()).expect("a store").len(), before);
    assert_eq!(ask(&program, &WORKER).await.0, 201, "the first goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_for_their_owner_alone_and_wider_ones_are_told_of() {
    let mut program = Program::new("http://127.0.0.1:9", "").await;
    program.start(&ROOT).await;
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(program.folder()).expect("a folder").map(|entry| entry.expect("an entry")) {
        let name = entry.file_name().into_string().expect("a name");
        if name == "log" || name == "hallpass.toml" {
            continue;
        }
        let mode = entry.metadata().expect("metadata").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
        seen.push(name);
    }
    assert!(seen.iter().any(|name| name == "demo.redb") && seen.len() >= 4, "{seen:?}");
    program.kill();
    let widen = |path: &Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).expect("opened");
    };
    widen(&program.store());
    program.start(&ROOT).await;
    program.expect_logged("demo.redb` has mode 644; it should be 600").await;
    program.expect_logged("chmod 600").await;
    program.kill();
    let key = seen.iter().find(|name| name.ends_with(".key")).expect("a key");
    widen(&program.folder().join(key));
    let config = program.folder().join("hallpass.toml");
    let (exit, said) = program.run(&["serve", "--config", config.to_str().expect("a path")]);
    assert_eq!(exit, 70, "{said}");
    assert!(said.contains("has mode 644; it must be 600"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_finds_no_room_says_where() {
    let mut program = Program::new("http://127.0.0.1:9", "").await;
    let Some(volume) = Volume::mount(program.folder(), 1, "a backup to a volume without room") else { return };
    program.start(&ROOT).await;
    let token = program.folder().join("token");
    std::fs::write(&token, program.token(&ROOT)).expect("written");
    volume.fill();
    let to = volume.path().join("backup");
    let (to, token) = (to.to_str().expect("a path"), token.to_str().expect("a path"));
    let live = program.run(&["backup", "--to", to, "--portal", &program.portal, "--token-file", token]);
    program.kill();
    let stopped = program.run(&["backup", "--to", to, "--store", program.store().to_str().expect("a path")]);
    for (exit, said) in [live, stopped] {
        assert_eq!(exit, 70, "{said}");
        assert!(said.contains(to) && said.contains("No space left"), "{said}");
        assert!(!said.contains("demo.redb"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_a_later_version_is_left_alone() {
    let mut program = Program::new("http://127.0.0.1:9", "").await;
    program.start(&ROOT).await;
    program.kill();
    let meta: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
    {
        let database = redb::Database::open(program.store()).expect("the store");
        let transaction = database.begin_write().expect("a transaction");
        let later = 99_u32.to_be_bytes();
        transaction.open_table(meta).expect("a table").insert("format", later.as_slice()).expect("written");
        transaction.commit().expect("committed");
    }
    let config = program.folder().join("hallpass.toml");
    let (exit, said) = program.run(&["serve", "--config", config.to_str().expect("a path")]);
    assert_eq!(exit, 70, "{said}");
    assert!(said.contains("has format 99") && said.contains("run the version that wrote it"), "{said}");
}

/// Waits for what the process brings about.
pub async fn eventually<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let mut pause = tokio::time::interval(Duration::from_millis(50));
    let patience = tokio::time::timeout(Duration::from_secs(30), async {
        while !holds().await {
            pause.tick().await;
        }
    });
    assert!(patience.await.is_ok(), "never happened: {what}");
}
