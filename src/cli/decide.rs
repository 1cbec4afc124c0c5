//! `hallpass approve` and `hallpass deny`: shows what is asked, and decides on exactly what was shown.
//!
//! Approving opens a door, so somebody has to have looked: on a terminal the person is asked, elsewhere `--yes` says that
//! nobody need be, and `--revision` that somebody looked before. Denying opens nothing and asks nothing.

use std::io::Write;

use clap::Args;
use serde_json::{Map, Value};

use crate::cli::activation::{describe, headline};
use crate::cli::client::Options;
use crate::cli::desk::Desk;
use crate::cli::failure::Failure;
use crate::cli::terminal::{Streams, safe};
use crate::cli::when::{Moment, span};
use crate::cli::wire::Activation;
use crate::domain::id::ActivationId;
use crate::domain::time::Span;

/// Approve a request
#[derive(Debug, Args)]
pub struct ApproveArguments {
    /// The request
    pub id: ActivationId,
    /// Why
    #[arg(long = "because", value_name = "TEXT")]
    pub justification: Option<String>,
    /// Grant it for this long instead, at most what was asked
    #[arg(long = "for", value_name = "SPAN", value_parser = span)]
    pub duration: Option<Span>,
    /// Let it start then instead
    #[arg(long = "at", value_name = "TIME")]
    starts_at: Option<Moment>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Approve only if the request is still at this revision; then nothing is asked
    #[arg(long, value_name = "NUMBER")]
    pub revision: Option<u64>,
    /// The portal.
    #[command(flatten)]
    pub portal: Options,
}

/// Deny a request
#[derive(Debug, Args)]
pub struct DenyArguments {
    /// The request
    pub id: ActivationId,
    /// Why
    #[arg(long = "because", value_name = "TEXT")]
    pub justification: Option<String>,
    /// Deny only if the request is still at this revision
    #[arg(long, value_name = "NUMBER")]
    pub revision: Option<u64>,
    /// The portal.
    #[command(flatten)]
    pub portal: Options,
}

pub(super) async fn approve(arguments: &ApproveArguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let mut desk = Desk::new(&arguments.portal, streams)?;
    let asking = !arguments.yes && arguments.revision.is_none();
    if asking && !desk.streams.input_is_terminal {
        return Err(Failure::Usage(
            "nobody is here to be asked: give --yes, or --revision with the number of the request you looked at"
                .to_owned(),
        ));
    }
    let seen = look(&mut desk, arguments.id, arguments.revision).await?;
    if asking && !is_agreed(desk.streams)? {
        return Err(Failure::False("not approved; the request is as it was".to_owned()));
    }
    let mut body = Map::new();
    if let Some(duration) = arguments.duration {
        body.insert("duration".to_owned(), duration.to_string().into());
    }
    if let Some(starts_at) = arguments.starts_at {
        body.insert("starts_at".to_owned(), starts_at.to_rfc3339(desk.now()).into());
    }
    decide(&mut desk, "approve", &seen, arguments.justification.as_deref(), body).await
}

pub(super) async fn deny(arguments: &DenyArguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let mut desk = Desk::new(&arguments.portal, streams)?;
    let seen = look(&mut desk, arguments.id, arguments.revision).await?;
    decide(&mut desk, "deny", &seen, arguments.justification.as_deref(), Map::new()).await
}

/// Shows what is asked. With `--json` the answer owns the output, so people read it beside.
async fn look(desk: &mut Desk<'_, '_>, id: ActivationId, expected: Option<u64>) -> Result<Activation, Failure> {
    let seen: Activation = desk.client.get(&format!("/activations/{id}"), &[]).await?.read()?;
    let now = desk.now();
    let out: &mut dyn Write = if desk.json { desk.streams.err } else { desk.streams.out };
    describe(&seen, now, out)?;
    out.flush()?;
    match expected {
        Some(expected) if expected != seen.revision => Err(Failure::False(format!(
            "the request has changed since you saw it: it is at revision {}, not {expected}",
            seen.revision
        ))),
        _ => Ok(seen),
    }
}

async fn decide(
    desk: &mut Desk<'_, '_>,
    choice: &str,
    seen: &Activation,
    justification: Option<&str>,
    mut body: Map<String, Value>,
) -> Result<(), Failure> {
    body.insert("revision".to_owned(), seen.revision.into());
    if let Some(justification) = justification {
        body.insert("justification".to_owned(), justification.into());
    }
    let answer = desk.client.post(&format!("/activations/{}/{choice}", seen.id), &[], &Value::Object(body)).await?;
    if desk.json {
        return Ok(desk.print_raw(&answer)?);
    }
    let now: Activation = answer.read()?;
    let line = headline(&now, desk.now());
    Ok(writeln!(desk.streams.out, "{}  {line}", safe(&now.id))?)
}

fn is_agreed(streams: &mut Streams<'_>) -> Result<bool, Failure> {
    write!(streams.err, "approve? [y/N] ")?;
    streams.err.flush()?;
    let mut line = String::new();
    streams.input.read_line(&mut line)?;
    Ok(matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        for (typed, agreed) in
            [("y\n", true), ("YES\r\n", true), ("\n", false), ("", false), ("no\n", false), ("yep\n", false)]
        {
            let (mut out, mut err, mut input) = (Vec::new(), Vec::new(), typed.as_bytes());
            let mut streams = Streams {
                out: &mut out,
                err: &mut err,
                input: &mut input,
                out_is_terminal: true,
                input_is_terminal: true,
            };
            assert_eq!(is_agreed(&mut streams).unwrap(), agreed, "{typed:?}");
            assert_eq!(err, b"approve? [y/N] ");
        }
    }
}
