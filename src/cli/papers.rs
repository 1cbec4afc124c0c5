//! `hallpass completions` and `hallpass man`: what a package ships beside the program.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::arguments::Cli;
use crate::cli::failure::Failure;
use crate::cli::terminal::Streams;

/// Print a completion script
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// For which shell
    pub shell: Shell,
}

pub(super) fn completions(arguments: &CompletionsArguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    // written to memory first: the generator would panic on a closed pipe
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "hallpass", &mut script);
    Ok(streams.out.write_all(&script)?)
}

/// The manual page, with one section per command.
pub(super) fn man(streams: &mut Streams<'_>) -> Result<(), Failure> {
    let mut cli = Cli::command();
    cli.build();
    clap_mangen::Man::new(cli.clone()).render(streams.out)?;
    for command in commands(&cli) {
        clap_mangen::Man::new(command.clone()).render(streams.out)?;
    }
    Ok(())
}

/// All commands below `of`, each after the one above it. Building has given each its full name.
fn commands(of: &clap::Command) -> Vec<&clap::Command> {
    of.get_subcommands().flat_map(|command| std::iter::once(command).chain(commands(command))).collect()
}
