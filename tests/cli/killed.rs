//! What is left when a command is killed while it writes: nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use hallpass::domain::event::{Actor, Detail, Event};
use hallpass::domain::id::CommandId;
use hallpass::domain::time::Timestamp;
use hallpass::store::{self, Header, Opened, Settings};

use crate::hallpass::{names_in, program, said, unnamed_files};

/// Enough that making a file of them takes long enough to be killed.
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

/// Kills it while it has a file open that has no name yet; none when it was done before.
fn killed_while_it_writes(mut child: Child) -> Option<()> {
    while unnamed_files(child.id()) == 0 {
        if child.try_wait().unwrap().is_some() {
            return None;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap().code().is_none().then_some(())
}

#[test]
fn a_kill_leaves_neither_an_unfinished_file_nor_a_changed_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = written(folder.path());
    let backup = folder.path().join("backup");
    assert_eq!(said(backed_up(&mut program(), &store, &backup)).code, 0);
    let (before, names) = (fs::read(&store).unwrap(), names_in(folder.path()));
    let again = |name: &str| folder.path().join(name);
    let mut restore = program();
    restore.args(["restore", "--from"]).arg(&backup).arg("--to").arg(again("restored.redb"));
    for (what, command) in [
        ("compact", program().args(["store", "compact"]).arg(&store)),
        ("rebuild", program().args(["store", "rebuild"]).arg(&store)),
        ("check", program().args(["store", "check"]).arg(&store)),
        ("backup", backed_up(&mut program(), &store, &again("backup-2"))),
        ("restore", &mut restore),
    ] {
        killed_while_it_writes(command.spawn().unwrap())
            .unwrap_or_else(|| panic!("{what} was done before it was killed"));
        assert_eq!(names_in(folder.path()), names, "{what}");
        assert_eq!(fs::read(&store).unwrap(), before, "{what}");
    }
    assert_eq!(said(program().args(["store", "check"]).arg(&store)).code, 0);
}
