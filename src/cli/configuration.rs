//! `hallpass config`: is it right, what does it come to, what may be written.

use clap::{Args, Subcommand};

use crate::cli::desk::print_json;
use crate::cli::failure::Failure;
use crate::cli::files::Files;
use crate::cli::terminal::Streams;
use crate::config;

/// Check or print the configuration
#[derive(Debug, Args)]
pub struct Arguments {
    /// Which of these.
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say whether it can be used, and everything that is wrong with it
    Check(Files),
    /// Print it with every default and everything inherited filled in
    Print(Files),
    /// Print the JSON Schema of what may be written
    Schema,
}

pub(super) fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    match &arguments.command {
        Command::Check(files) => {
            let config = files.load_and_warn(streams)?;
            let (routes, roles) = (config.routes.len(), config.policies.iter().count());
            let warnings = match config.warnings.len() {
                0 => String::new(),
                1 => ", 1 warning".to_owned(),
                many => format!(", {many} warnings"),
            };
            writeln!(streams.out, "the configuration can be used: {routes} routes, {roles} roles{warnings}")?;
            let sites = config.sites();
            if !sites.is_empty() {
                writeln!(streams.out, "register with the issuers that people sign in with:")?;
                for site in &sites {
                    writeln!(streams.out, "  redirect URI           {}", site.callback())?;
                    writeln!(streams.out, "  after signing out      {}", site.signed_out())?;
                }
                writeln!(streams.out, "  back-channel logout    {}/backchannel-logout", config.portal.public_url)?;
            }
            Ok(writeln!(streams.out, "digest {}", config.digest)?)
        }
        Command::Print(files) => {
            let config = files.load()?;
            Ok(write!(streams.out, "{}", config::print(&config))?)
        }
        Command::Schema => {
            let schema = serde_json::to_string_pretty(&config::schema());
            Ok(print_json(streams, &schema.map_err(|error| Failure::Internal(error.into()))?)?)
        }
    }
}
