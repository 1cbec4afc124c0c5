//! `hallpass audit export`: records as the portal streams them, whole or not at all.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use reqwest::Response;

use crate::cli::client::{Client, Options};
use crate::cli::desk::Desk;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::terminal::{Streams, safe, safe_json};
use crate::cli::when::Moment;
use crate::clock::Clock;
use crate::domain::id::ActivationId;
use crate::domain::role::RoleId;

/// What to export
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// JSON lines hold the exact bytes and can be verified, when no filter is given; CSV is for people
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// Only records of this activation
    #[arg(long, value_name = "ID")]
    activation: Option<ActivationId>,
    /// Only records that concern this principal, written issuer:subject
    #[arg(long, value_name = "PRINCIPAL")]
    principal: Option<String>,
    /// Only records that concern this role
    #[arg(long, value_name = "ROLE")]
    role: Option<RoleId>,
    /// Only events of this type, such as activation_started
    #[arg(long, value_name = "TYPE")]
    event: Option<String>,
    /// Only records not before this instant
    #[arg(long, value_name = "TIME")]
    from: Option<Moment>,
    /// Only records before this instant
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// Write to this file, which appears when the export is whole, and never takes the place of another
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The portal.
    #[command(flatten)]
    pub(super) portal: Options,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Jsonl,
    Csv,
}

pub(super) async fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let desk = Desk::new(&arguments.portal, streams)?;
    let filter = filter(arguments, &desk.clock);
    let query: Vec<(&str, &str)> = filter.iter().map(|(name, value)| (*name, value.as_str())).collect();
    arguments.output.as_deref().map_or(Ok(()), output::is_free)?;
    let response = desk.client.open(PATH, &query, None).await?;
    match &arguments.output {
        Some(path) => {
            let file = output::beside(path)?;
            copy(&desk.client, response, &mut |bytes| file.file().write_all(bytes)).await?;
            output::place(file, path)?;
            Ok(writeln!(desk.streams.err, "exported to {}", safe(&path.display().to_string()))?)
        }
        None if desk.streams.out_is_terminal => {
            let mut line = Vec::new();
            copy(&desk.client, response, &mut |bytes| show(&mut line, bytes, desk.streams.out)).await?;
            let rest = String::from_utf8_lossy(&line).into_owned();
            Ok(write!(desk.streams.out, "{}", safe_json(&rest))?)
        }
        None => copy(&desk.client, response, &mut |bytes| desk.streams.out.write_all(bytes)).await,
    }
}

/// Below the API's base.
pub(super) const PATH: &str = "/audit/export";

/// Hands each piece of a long answer on; fails when it breaks off.
pub(in crate::cli) async fn copy(
    client: &Client,
    mut response: Response,
    take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), Failure> {
    while let Some(bytes) = response.chunk().await.map_err(|error| client.broken_off(&error))? {
        take(&bytes)?;
    }
    Ok(())
}

fn filter(arguments: &Arguments, clock: &Clock) -> Vec<(&'static str, String)> {
    let format = match arguments.format {
        Format::Jsonl => "jsonl",
        Format::Csv => "csv",
    };
    let instant = |moment: Moment| moment.to_rfc3339(clock.now());
    let given = [
        ("activation", arguments.activation.map(|id| id.to_string())),
        ("principal", arguments.principal.clone()),
        ("role", arguments.role.as_ref().map(ToString::to_string)),
        ("event", arguments.event.clone()),
        ("from", arguments.from.map(instant)),
        ("until", arguments.until.map(instant)),
    ];
    let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
    std::iter::once(("format", format.to_owned())).chain(given).collect()
}

/// Whole lines, made safe for a terminal.
fn show(line: &mut Vec<u8>, bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
    for byte in bytes {
        line.push(*byte);
        if *byte == b'\n' {
            write!(out, "{}", safe_json(&String::from_utf8_lossy(line)))?;
            line.clear();
        }
    }
    Ok(())
}
