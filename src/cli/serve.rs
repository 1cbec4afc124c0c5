//! `hallpass serve`: runs until it is told to stop, and takes up a changed configuration without stopping.
//!
//! SIGTERM and SIGINT drain; a second one no longer waits. SIGHUP and a change of the files reload: a configuration that
//! cannot be used changes nothing, and the log says why.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::MissedTickBehavior;

use crate::app::App;
use crate::cli::failure::Failure;
use crate::cli::files::Files;
use crate::clock::Clock;
use crate::telemetry::logs;

/// Run the gate and the portal
#[derive(Debug, Args)]
pub struct Arguments {
    /// The configuration.
    #[command(flatten)]
    pub files: Files,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let failed = |error: anyhow::Error| Failure::Internal(error);
    // before anything is started, so that an early signal stops it in good order too
    let (mut stop, mut hangup) = (Stop::listen()?, listen(SignalKind::hangup())?);
    let mut seen = Fingerprint::of(&arguments.files.paths);
    let config = arguments.files.load()?;
    let _log = logs::start(&config.log).map_err(|error| failed(error.into()))?;
    let app = App::start(config, Clock::system()).await.map_err(failed)?;
    let mut ticks = tokio::time::interval(LOOK_AFTER);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut changing = None;
    loop {
        tokio::select! {
            () = stop.asked() => break,
            _ = hangup.recv() => {
                seen = Fingerprint::of(&arguments.files.paths);
                reload(&app, &arguments.files).await;
            }
            _ = ticks.tick() => {
                let current = Fingerprint::of(&arguments.files.paths);
                // somebody may still be writing: only what two looks agree on is read
                if current != seen && changing.as_ref() == Some(&current) {
                    seen = current;
                    reload(&app, &arguments.files).await;
                    changing = None;
                } else {
                    changing = (current != seen).then_some(current);
                }
            }
        }
    }
    tokio::select! {
        () = app.shutdown() => Ok(()),
        () = stop.asked() => Err(Failure::False("stopped by a second signal, before everything was finished".to_owned())),
    }
}

async fn reload(app: &App, files: &Files) {
    let done = match files.load() {
        Ok(config) => app.reload(config).await.map_err(Failure::Internal),
        Err(failure) => {
            app.reload_failed();
            Err(failure)
        }
    };
    match done {
        // told where it came into force
        Ok(()) => {}
        Err(failure) => {
            tracing::error!(error = %failure, "the configuration was not reloaded: the last good one stays")
        }
    }
}

/// How often the files are looked at.
const LOOK_AFTER: Duration = Duration::from_secs(2);

/// Both ways of asking it to stop.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn listen() -> Result<Self, Failure> {
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::Internal(error.into()))
}

/// When the files were last written, and how long they are: enough to see that somebody changed them.
#[derive(Debug, PartialEq, Eq)]
struct Fingerprint(Vec<(PathBuf, Option<(SystemTime, u64)>)>);

impl Fingerprint {
    fn of(paths: &[PathBuf]) -> Self {
        let mut files: Vec<PathBuf> = paths.iter().flat_map(|path| within(path)).collect();
        files.sort();
        let looked = files.into_iter().map(|file| {
            let about = fs::metadata(&file).ok();
            let about = about.and_then(|about| Some((about.modified().ok()?, about.len())));
            (file, about)
        });
        Self(looked.collect())
    }
}

/// The files of a folder, or the file itself.
fn within(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else { return vec![path.to_owned()] };
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    files.filter(|file| file.extension().is_some_and(|extension| extension == "toml")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_an_added_and_a_removed_file_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [folder.path().to_owned()];
        let (first, second) = (folder.path().join("a.toml"), folder.path().join("b.toml"));
        fs::write(&first, "x = 1").unwrap();
        let before = Fingerprint::of(&paths);
        assert_eq!(before, Fingerprint::of(&paths));
        fs::write(folder.path().join("notes.txt"), "no configuration").unwrap();
        assert_eq!(before, Fingerprint::of(&paths));
        fs::write(&first, "x = 10").unwrap();
        let changed = Fingerprint::of(&paths);
        assert_ne!(before, changed);
        fs::write(&second, "y = 1").unwrap();
        assert_ne!(changed, Fingerprint::of(&paths));
        fs::remove_file(&second).unwrap();
        assert_eq!(changed, Fingerprint::of(&paths));
        assert_ne!(Fingerprint::of(&[first]), Fingerprint::of(&[second]), "an absent file is one too");
    }
}
