//! `hallpass audit`: the journal carried outside, and held against itself.

mod checkpoint;
mod export;
mod found;
mod source;
mod verify;

pub(super) use export::copy;

use clap::{Args, Subcommand};

use crate::cli::client::Options;
use crate::cli::failure::Failure;
use crate::cli::terminal::Streams;

/// Export, verify or anchor the journal
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
}

impl Arguments {
    pub(super) const fn portal(&self) -> &Options {
        match &self.command {
            Command::Export(arguments) => &arguments.portal,
            Command::Verify(arguments) => &arguments.portal,
            Command::Checkpoint(arguments) | Command::Anchor(arguments) => &arguments.portal,
        }
    }
}

pub(super) async fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    match &arguments.command {
        Command::Export(arguments) => export::run(arguments, streams).await,
        Command::Verify(arguments) => verify::run(arguments, streams).await,
        Command::Checkpoint(arguments) => checkpoint::print(arguments, streams).await,
        Command::Anchor(arguments) => checkpoint::publish(arguments, streams).await,
    }
}
