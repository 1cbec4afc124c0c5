//! `hallpass audit checkpoint` and `hallpass audit anchor`: the head, signed, for keeping it elsewhere.

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use crate::cli::client::Options;
use crate::cli::desk::{Desk, print_json};
use crate::cli::failure::Failure;
use crate::cli::terminal::{Streams, safe, safe_json};
use crate::journal::SignedCheckpoint;

/// Where the portal is
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The portal.
    #[command(flatten)]
    pub(super) portal: Options,
}

/// An anchor as it was published.
#[derive(Deserialize)]
struct Anchored {
    sequence: u64,
    hash: String,
    reached: Vec<String>,
    missed: Vec<Missed>,
}

#[derive(Deserialize)]
struct Missed {
    target: String,
    detail: String,
}

pub(super) async fn print(arguments: &Arguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let desk = Desk::new(&arguments.portal, streams)?;
    let note = desk.client.get("/audit/checkpoint", &[]).await?.text();
    let read: SignedCheckpoint = note
        .parse()
        .map_err(|error| Failure::Unreachable(format!("what the portal answers is {error}; is --portal right?")))?;
    if desk.json {
        let point = read.checkpoint.point();
        let told = json!({ "sequence": point.sequence, "hash": point.hash, "realm": point.realm, "checkpoint": note });
        return Ok(print_json(desk.streams, &told.to_string())?);
    }
    Ok(write!(desk.streams.out, "{}", safe_json(&note))?)
}

pub(super) async fn publish(arguments: &Arguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let mut desk = Desk::new(&arguments.portal, streams)?;
    let answer = desk.client.post("/audit/anchors", &[], &json!({})).await?;
    if desk.json {
        return Ok(desk.print_raw(&answer)?);
    }
    let Anchored { sequence, hash, reached, missed } = answer.read()?;
    writeln!(desk.streams.out, "{sequence}:{}", safe(&hash))?;
    writeln!(desk.streams.out, "reached  {}", safe(&reached.join(", ")))?;
    for Missed { target, detail } in &missed {
        writeln!(desk.streams.err, "missed   {}: {}", safe(target), safe(detail))?;
    }
    if missed.is_empty() { Ok(()) } else { Err(Failure::False("not every place was reached".to_owned())) }
}
