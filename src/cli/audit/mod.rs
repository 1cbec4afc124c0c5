//! `hallpass audit`: the journal carried outside, and held against itself.

mod export;
mod store;
mod verify;

pub(super) use export::copy;

use clap::{Args, Subcommand};

use crate::cli::client::Options;
use crate::cli::failure::Failure;
use crate::cli::terminal::Streams;

/// Export or verify the journal
#[derive(Debug, Args)]
pub struct Arguments {
    /// Which of the two.
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the journal's records as JSON lines or CSV
    Export(export::Arguments),
    /// Check that no record was changed, removed or put in
    Verify(verify::Arguments),
}

impl Arguments {
    pub(super) const fn portal(&self) -> &Options {
        match &self.command {
            Command::Export(arguments) => &arguments.portal,
            Command::Verify(arguments) => &arguments.portal,
        }
    }
}

pub(super) async fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    match &arguments.command {
        Command::Export(arguments) => export::run(arguments, streams).await,
        Command::Verify(arguments) => verify::run(arguments, streams).await,
    }
}
