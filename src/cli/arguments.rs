//! The command line as clap reads it.

use clap::{Parser, Subcommand};

use crate::cli::client::Options;
use crate::cli::{
    anchor, audit, backup, configuration, decide, demo, end, erase, explain, healthcheck, key, list, papers, request,
    serve, store,
};

/// Just-in-time privilege in front of any HTTP application
#[derive(Debug, Parser)]
#[command(name = "hallpass", version, about, max_term_width = 100, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 refused or false, 2 usage, 69 unreachable, 70 internal, or a file or store that cannot be used, 78 configuration"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gate and the portal
    Serve(serve::Arguments),
    /// Run everything on this machine, to try it out; gone when it ends
    Demo(demo::Arguments),
    /// Show your own roles and requests, or those you may see
    List(list::Arguments),
    /// Ask to activate a role
    Request(request::Arguments),
    /// Approve a request
    Approve(decide::ApproveArguments),
    /// Deny a request
    Deny(decide::DenyArguments),
    /// Withdraw your own pending request
    Cancel(end::Arguments),
    /// Hand back a role you hold
    Deactivate(end::Arguments),
    /// Ask to hold a role for longer
    Extend(end::ExtendArguments),
    /// Take a role away from its holder, or end a request
    Revoke(end::RevokeArguments),
    /// Say which route a request takes, what it demands, and whether somebody would pass
    Explain(explain::Arguments),
    /// Export, verify, anchor or cut the journal
    Audit(audit::Arguments),
    /// Erase what a person typed and is called from the journal
    Erase(erase::Arguments),
    /// Carry journal and uses away as one file, from a running hallpass or a stopped one
    Backup(backup::Arguments),
    /// Make a store from a backup
    Restore(backup::RestoreArguments),
    /// Check, compact or rebuild the store of a stopped hallpass
    Store(store::Arguments),
    /// Show, rotate or replace the key that signs the journal
    Key(key::Arguments),
    /// Go on with a journal that is not the one its anchor names
    Anchor(anchor::Arguments),
    /// Check or print the configuration
    Config(configuration::Arguments),
    /// Ask a hallpass on this machine whether it is ready
    Healthcheck(healthcheck::Arguments),
    /// Print a completion script
    Completions(papers::CompletionsArguments),
    /// Print the manual page
    Man,
}

impl Command {
    /// Where the portal is, for commands that talk to it.
    #[must_use]
    pub const fn portal(&self) -> Option<&Options> {
        match self {
            Self::List(arguments) => Some(&arguments.portal),
            Self::Request(arguments) => Some(&arguments.portal),
            Self::Approve(arguments) => Some(&arguments.portal),
            Self::Deny(arguments) => Some(&arguments.portal),
            Self::Cancel(arguments) | Self::Deactivate(arguments) => Some(&arguments.portal),
            Self::Extend(arguments) => Some(&arguments.portal),
            Self::Revoke(arguments) => Some(&arguments.portal),
            Self::Explain(arguments) => Some(&arguments.portal),
            Self::Audit(arguments) => arguments.portal(),
            Self::Erase(arguments) => Some(&arguments.portal),
            Self::Backup(arguments) => Some(&arguments.portal),
            Self::Serve(_)
            | Self::Restore(_)
            | Self::Store(_)
            | Self::Demo(_)
            | Self::Config(_)
            | Self::Key(_)
            | Self::Anchor(_)
            | Self::Healthcheck(_)
            | Self::Completions(_)
            | Self::Man => None,
        }
    }
}
