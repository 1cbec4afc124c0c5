//! `hallpass audit`: the journal carried outside, and held against itself.

mod checkpoint;
mod cut;
mod elsewhere;
mod export;
mod found;
mod source;
mod verify;

pub(super) use export::copy;

use clap::{Args, Subcommand};

use crate::cli::client::Options;
use crate::cli::failure::Failure;
use crate::cli::terminal::Streams;

/// Export, verify, anchor or cut the journal
#[derive(Debug, Args)]
pub struct Arguments {
    /// Which of them.
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the journal's records as JSON lines or CSV
    Export(export::Arguments),
    /// Check that no record was changed, removed or put in
    Verify(verify::Arguments),
    /// Print the head as a signed note, to be kept elsewhere
    Checkpoint(checkpoint::Arguments),
    /// Publish the head now, to every place that is configured
    Anchor(checkpoint::Arguments),
    /// Take old records out of the journal of a stopped hallpass, once an archive holds them
    Cut(cut::Arguments),
}

impl Arguments {
    pub(super) const fn portal(&self) -> Option<&Options> {
        match &self.command {
            Command::Export(arguments) => Some(&arguments.portal),
            Command::Verify(arguments) => Some(&arguments.portal),
            Command::Checkpoint(arguments) | Command::Anchor(arguments) => Some(&arguments.portal),
            Command::Cut(_) => None,
        }
    }
}

pub(super) async fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    match &arguments.command {
        Command::Export(arguments) => export::run(arguments, streams).await,
        Command::Verify(arguments) => verify::run(arguments, streams).await,
        Command::Checkpoint(arguments) => checkpoint::print(arguments, streams).await,
        Command::Anchor(arguments) => checkpoint::publish(arguments, streams).await,
        Command::Cut(arguments) => cut::run(arguments, streams),
    }
}
