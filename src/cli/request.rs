//! `hallpass request`: asks for a role, and waits for it when told to.

use clap::Args;
use serde_json::{Map, Value};

use crate::cli::activation::headline;
use crate::cli::client::Options;
use crate::cli::client::problem::tell_broken;
use crate::cli::desk::Desk;
use crate::cli::failure::Failure;
use crate::cli::terminal::{Streams, safe};
use crate::cli::wait::{self, Wait};
use crate::cli::when::{Moment, span};
use crate::cli::wire::{Activation, DryRun};
use crate::domain::role::RoleId;
use crate::domain::time::Span;

/// Ask to activate a role
#[derive(Debug, Args)]
pub struct Arguments {
    /// The role, written app/role
    pub role: RoleId,
    /// For how long, such as 1h or 30m; the role's default otherwise
    #[arg(long = "for", value_name = "SPAN", value_parser = span)]
    pub duration: Option<Span>,
    /// From when on: 2026-11-23T08:30:00Z, or +2h from now; at once otherwise
    #[arg(long = "at", value_name = "TIME")]
    starts_at: Option<Moment>,
    /// Why
    #[arg(long = "because", value_name = "TEXT")]
    pub justification: Option<String>,
    /// The ticket it is for
    #[arg(long, value_name = "TICKET")]
    pub ticket: Option<String>,
    /// Stay until the role is active (exit 0) or the request has come to nothing (exit 1)
    #[arg(long, conflicts_with = "dry_run")]
    pub wait: bool,
    /// Wait no longer than this; the request stays
    #[arg(long, value_name = "SPAN", value_parser = span, requires = "wait")]
    pub timeout: Option<Span>,
    /// Only say what would come of it
    #[arg(long)]
    pub dry_run: bool,
    /// The portal.
    #[command(flatten)]
    pub portal: Options,
}

pub(super) async fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let mut desk = Desk::new(&arguments.portal, streams)?;
    let body = body(arguments, &desk);
    if arguments.dry_run {
        return dry_run(&mut desk, &body).await;
    }
    let answer = desk.client.post("/activations", &[], &body).await?;
    let activation: Activation = answer.read()?;
    if desk.json {
        desk.print_raw(&answer)?;
    } else {
        let now = desk.now();
        writeln!(desk.streams.out, "{}  {}", safe(&activation.id), headline(&activation, now))?;
        let (what, command) =
            if activation.state == "pending" { ("cancel it", "cancel") } else { ("end it early", "deactivate") };
        desk.streams.out.flush()?;
        writeln!(desk.streams.err, "to {what}: hallpass {command} {}", safe(&activation.id))?;
    }
    desk.streams.out.flush()?;
    if arguments.wait {
        let wait = Wait { timeout: arguments.timeout, ..Wait::default() };
        return wait::until_active(&mut desk, activation, &wait).await;
    }
    Ok(())
}

async fn dry_run(desk: &mut Desk<'_, '_>, body: &Value) -> Result<(), Failure> {
    let answer = desk.client.post("/activations", &[("dry_run", "true")], body).await?;
    let outcome: DryRun = answer.read()?;
    if desk.json {
        desk.print_raw(&answer)?;
    }
    let refused = !matches!(outcome.outcome.as_str(), "would_be_active" | "would_be_pending");
    if !desk.json {
        match outcome.outcome.as_str() {
            "would_be_active" => writeln!(desk.streams.out, "would be active at once; nothing was asked for")?,
            "would_be_pending" => writeln!(desk.streams.out, "would wait for approval; nothing was asked for")?,
            other => {
                writeln!(desk.streams.out, "would be {}:", safe(other))?;
                tell_broken(&outcome.errors, "", desk.streams.out)?;
            }
        }
    }
    if refused { Err(Failure::False("the request would be refused".to_owned())) } else { Ok(()) }
}

fn body(arguments: &Arguments, desk: &Desk<'_, '_>) -> Value {
    let mut body = Map::new();
    body.insert("role".to_owned(), arguments.role.as_str().into());
    let mut give = |member: &str, value: Option<String>| {
        if let Some(value) = value {
            body.insert(member.to_owned(), value.into());
        }
    };
    give("duration", arguments.duration.map(|span| span.to_string()));
    give("starts_at", arguments.starts_at.map(|at| at.to_rfc3339(desk.now())));
    give("justification", arguments.justification.clone());
    give("ticket", arguments.ticket.clone());
    Value::Object(body)
}
