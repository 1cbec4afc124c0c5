//! The command line: one file per command; `client` talks to the portal, `terminal` to people.
//!
//! What was asked for goes to standard output, everything else to standard error. A token never comes from the command line,
//! and text that others wrote cannot steer the terminal.

mod activation;
pub mod anchor;
pub mod arguments;
pub mod audit;
pub mod backup;
pub mod client;
pub mod configuration;
pub mod decide;
pub mod demo;
mod desk;
pub mod end;
pub mod erase;
pub mod explain;
mod failure;
pub mod files;
pub mod healthcheck;
pub mod key;
pub mod list;
mod offline;
mod output;
pub mod papers;
mod progress;
pub mod request;
mod run;
pub mod serve;
pub mod store;
mod terminal;
mod wait;
mod when;
mod wire;

pub use failure::{Exit, Failure};
pub use run::run;
pub use terminal::Streams;
