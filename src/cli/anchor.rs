//! `hallpass anchor`: go on with a journal that is not the one its newest anchor names.
//!
//! Only whoever has the store's files and the signing key can do it, while hallpass is stopped: who administers is told by
//! the very journal that is in doubt.

use clap::{Args, Subcommand};

use crate::anchor::{AnchorFile, Compared, compare};
use crate::cli::failure::Failure;
use crate::cli::files::Files;
use crate::cli::offline::{agreed, anchor, anchors_can_be_written, because, failed, reason};
use crate::cli::terminal::{Streams, safe};
use crate::clock::Clock;
use crate::store;

/// Go on with a journal that is not the one its anchor names
#[derive(Debug, Args)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Accept the journal as it is now, by a record that says what was expected and what was found; hallpass must be stopped
    Confirm(ConfirmArguments),
}

#[derive(Debug, Args)]
struct ConfirmArguments {
    /// The configuration.
    #[command(flatten)]
    files: Files,
    /// Why this journal is the right one; kept with the record
    #[arg(long = "because", value_name = "TEXT", value_parser = because)]
    because: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let Command::Confirm(ConfirmArguments { files, because, yes }) = &arguments.command;
    let config = files.load()?;
    let Some(path) = &config.anchor.file else {
        return Err(Failure::Usage("the configuration names no `anchor.file`: nothing is compared".to_owned()));
    };
    let now = Clock::system().now();
    let opened = store::open_existing(&config.store, now).map_err(|error| failed(&config.store.path, error))?;
    let mismatch = match compare(&AnchorFile::new(path, &config.store.path), &opened.reader)
        .map_err(|error| Failure::Internal(error.into()))?
    {
        Compared::Holds(_) => {
            return Ok(writeln!(streams.out, "nothing to confirm: the journal holds what its newest anchor names")?);
        }
        Compared::Nothing => return Ok(writeln!(streams.out, "nothing to confirm: there is no anchor yet")?),
        Compared::Mismatch(mismatch) => mismatch,
    };
    writeln!(streams.out, "{}", safe(&mismatch.to_string()))?;
    writeln!(streams.out, "found     {}:{}", mismatch.found.sequence, safe(&mismatch.found.hash))?;
    writeln!(
        streams.out,
        "what the journal does not hold any more did not happen for hallpass: rights given are gone, and rights taken\n\
         away, locks included, may be back"
    )?;
    anchors_can_be_written(&config)?;
    agreed("go on with this journal?", *yes, streams)?;
    let expected = mismatch.expected.map(|expected| expected.point());
    let note = store::confirm_head(opened, expected, now, &reason(because));
    let note = note.map_err(|error| failed(&config.store.path, error))?;
    writeln!(streams.out, "confirmed by record {}", note.checkpoint.sequence)?;
    anchor(&config, &note, streams)
}
