//! `hallpass erase`: what a person typed and is called, gone for good.

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use crate::cli::client::Options;
use crate::cli::desk::Desk;
use crate::cli::failure::Failure;
use crate::cli::terminal::{Streams, safe};

/// Whose words to erase
#[derive(Debug, Args)]
pub struct Arguments {
    /// The person, written issuer:subject
    #[arg(value_name = "PRINCIPAL")]
    pub principal: String,
    /// Why; stays in the journal, so name the request and not the person
    #[arg(long = "because", value_name = "TEXT", value_parser = crate::cli::offline::because)]
    pub justification: Option<String>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// The portal.
    #[command(flatten)]
    pub portal: Options,
}

#[derive(Deserialize)]
struct Erasure {
    notes: u64,
    sequence: u64,
}

pub(super) async fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let Arguments { principal, justification, yes, portal } = arguments;
    let mut desk = Desk::new(portal, streams)?;
    if !yes && !desk.streams.input_is_terminal {
        return Err(Failure::Usage("nobody is here to be asked: give --yes".to_owned()));
    }
    if !yes && !is_agreed(principal, desk.streams)? {
        return Err(Failure::False("not erased; everything is as it was".to_owned()));
    }
    let body = justification.as_ref().map_or_else(|| json!({}), |why| json!({ "justification": why }));
    let answer = desk.client.post(&format!("/principals/{principal}/erase"), &[], &body).await?;
    if desk.json {
        return Ok(desk.print_raw(&answer)?);
    }
    let Erasure { notes, sequence } = answer.read()?;
    let (principal, out, err) = (safe(principal), &mut desk.streams.out, &mut desk.streams.err);
    if notes == 0 {
        return Ok(writeln!(out, "{principal}  nothing left to erase")?);
    }
    writeln!(out, "{principal}  {notes} notes erased, record {sequence}")?;
    let told = "nobody can read them any more; the file's own bytes are rid of them after `hallpass store compact`, and \
                backups, exports and logs made before still hold them";
    Ok(writeln!(err, "note: {told}")?)
}

fn is_agreed(principal: &str, streams: &mut Streams<'_>) -> Result<bool, Failure> {
    write!(
        streams.err,
        "erase all that {} typed or is called, and what was written about them, for good? [y/N] ",
        safe(principal)
    )?;
    streams.err.flush()?;
    let mut line = String::new();
    streams.input.read_line(&mut line)?;
    Ok(matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
