//! What is left when a command is killed while it writes: nothing.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hallpass::domain::event::{Actor, Detail, Event};
use hallpass::domain::id::CommandId;
use hallpass::domain::time::Timestamp;
use hallpass::store::{self, Header, Opened, Settings};

use crate::hallpass::{names_in, program, said};

/// Enough that a file of them takes many writes.
const RECORDS: u32 = 3000;

/// A store with many records, closed.
fn written(folder: &Path) -> PathBuf {
    let settings = Settings { path: folder.join("journal.redb"), key_path: folder.join("signing.key") };
    let time = Timestamp::from_seconds(1_795_000_000);
    let Opened { mut appender, .. } = store::open(&settings, time).unwrap();
    let mut transaction = appender.begin().unwrap();
    for number in 1..RECORDS {
        let header =
            Header { command: CommandId::from_random([0; 16]), time, actor: Actor::Configuration, idempotency: None };
        let detail = Detail { justification: Some("words".repeat(40)), ..Detail::default() };
        let event = Event::ConfigurationApplied { digest: format!("{number:064x}") };
        transaction.append(&header, &[event], &detail).unwrap();
    }
    transaction.commit().unwrap();
    settings.path
}

fn backed_up<'c>(command: &'c mut Command, store: &Path, to: &Path) -> &'c mut Command {
    command.args(["backup", "--store"]).arg(store).arg("--to").arg(to)
}

/// Runs it where no file may grow beyond `blocks` of half a KiB: in the middle of the write that would go further, and before
/// that write is done, the system kills it, however fast or slow anybody is.
fn killed_while_it_writes(command: &Command, blocks: u64) -> bool {
    let limited = Command::new("/bin/sh")
        .env_clear()
        .args(["-c", "ulimit -c 0 && ulimit -f \"$0\" && exec \"$@\"", &blocks.to_string()])
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    limited.unwrap().signal() == Some(FILE_TOO_LARGE)
}

/// `SIGXFSZ`.
const FILE_TOO_LARGE: i32 = 25;

#[test]
fn a_kill_leaves_neither_an_unfinished_file_nor_a_changed_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = written(folder.path());
    let backup = folder.path().join("backup");
    assert_eq!(said(backed_up(&mut program(), &store, &backup)).code, 0);
    let (before, names) = (fs::read(&store).unwrap(), names_in(folder.path()));
    let again = |name: &str| folder.path().join(name);
    let mut restore = program();
    restore.args(["restore", "--from"]).arg(&backup).arg("--to").arg(again("restored.redb")).arg("--unsigned-end");
    for (what, command) in [
        ("compact", program().args(["store", "compact"]).arg(&store)),
        ("rebuild", program().args(["store", "rebuild"]).arg(&store)),
        ("check", program().args(["store", "check"]).arg(&store)),
        ("backup", backed_up(&mut program(), &store, &again("backup-2"))),
        ("restore", &mut restore),
    ] {
        // from the first write on
        for blocks in [1, 16, 128] {
            assert!(killed_while_it_writes(command, blocks), "{what} came to its end in {blocks} blocks");
            assert_eq!(names_in(folder.path()), names, "{what} in {blocks} blocks");
            assert_eq!(fs::read(&store).unwrap(), before, "{what} in {blocks} blocks");
        }
    }
    assert_eq!(said(program().args(["store", "check"]).arg(&store)).code, 0);
}
