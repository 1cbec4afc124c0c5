//! What commands share that work on the store of a hallpass that was stopped.

use std::path::Path;

use crate::anchor::{AnchorFile, Compared, compare};
use crate::cli::failure::Failure;
use crate::cli::terminal::{Streams, safe};
use crate::config::Config;
use crate::domain::event::Detail;
use crate::store::{Reader, StoreError};

/// A store that cannot be worked on, and what to do about it.
pub(super) fn failed(path: &Path, error: StoreError) -> Failure {
    if matches!(error, StoreError::Locked) {
        return Failure::Unusable(format!(
            "a hallpass runs on the store `{}`: stop that hallpass first",
            path.display()
        ));
    }
    let place = if error.names_its_file() { String::new() } else { format!(" `{}`", path.display()) };
    let why = anyhow::Error::new(error);
    Failure::Unusable(format!("cannot work on the store{place}: {why:#}"))
}

/// Asks before something that cannot be taken back; `yes` answers for whoever is not there.
pub(super) fn agreed(question: &str, yes: bool, streams: &mut Streams<'_>) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !streams.input_is_terminal {
        return Err(Failure::Usage("nobody is here to be asked: give --yes when you are sure".to_owned()));
    }
    write!(streams.err, "{question} [y/N] ")?;
    streams.err.flush()?;
    let mut line = String::new();
    streams.input.read_line(&mut line)?;
    if matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        Ok(())
    } else {
        Err(Failure::False("nothing was done".to_owned()))
    }
}

/// A reason that says something.
pub(super) fn because(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("say why: it is kept with the record, for whoever asks one day".to_owned());
    }
    Ok(text.to_owned())
}

/// What the operator gave as the reason, kept beside the record.
pub(super) fn reason(because: &str) -> Detail {
    Detail { justification: Some(because.to_owned()), ..Detail::default() }
}

/// Makes sure that [`anchor`] will be able to, before the record is written that is to be anchored.
pub(super) fn anchors_can_be_written(config: &Config) -> Result<(), Failure> {
    let Some(path) = &config.anchor.file else { return Ok(()) };
    AnchorFile::new(path, &config.store.path).prepare().map_err(|error| {
        let told = format!("nothing was done: the file of anchors `{}` cannot be written", path.display());
        Failure::Internal(anyhow::Error::new(error).context(told))
    })
}

/// A journal that is not the one its anchor names must not lose what could tell the two apart, nor become the anchored one
/// by what is done to it. `what` is what is not done then.
pub(super) fn is_beyond_doubt(config: &Config, reader: &Reader, what: &str) -> Result<(), Failure> {
    let Some(path) = &config.anchor.file else { return Ok(()) };
    match compare(&AnchorFile::new(path, &config.store.path), reader)
        .map_err(|error| Failure::Internal(error.into()))?
    {
        Compared::Holds(_) | Compared::Nothing => Ok(()),
        Compared::Mismatch(mismatch) => {
            Err(Failure::False(format!("{what} a journal in doubt: {mismatch}; see `hallpass anchor confirm --help`")))
        }
    }
}

/// Appends `note` to the file of anchors, when there is one, so that the next start finds the head it tells.
pub(super) fn anchor(
    config: &Config,
    note: &crate::journal::SignedCheckpoint,
    streams: &mut Streams<'_>,
) -> Result<(), Failure> {
    let Some(path) = &config.anchor.file else { return Ok(()) };
    AnchorFile::new(path, &config.store.path)
        .append(note)
        .map_err(|error| Failure::Internal(anyhow::Error::new(error).context(format!("`{}`", path.display()))))?;
    let (shown, sequence) = (path.display().to_string(), note.checkpoint.sequence);
    Ok(writeln!(streams.out, "anchored  record {sequence} in {}", safe(&shown))?)
}
