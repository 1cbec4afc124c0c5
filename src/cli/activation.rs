//! One case, told to people.

use std::io::{self, Write};

use crate::cli::terminal::safe;
use crate::cli::when::show;
use crate::cli::wire::{Activation, Approval, Decision, Extension};
use crate::domain::time::Timestamp;

/// Where a case stands, in one line.
pub(super) fn headline(activation: &Activation, now: Timestamp) -> String {
    let role = safe(&activation.role);
    let end = activation.window.as_ref().map(|window| match &window.ends_at {
        Some(end) => format!("until {}", show(end, now)),
        None => "without an end".to_owned(),
    });
    match (activation.state.as_str(), activation.window.as_ref()) {
        ("active", _) => {
            let longer = activation.extension.as_ref().map(|extension| extended(extension, now)).unwrap_or_default();
            format!("{}{longer}", format!("{role} is active {}", end.unwrap_or_default()).trim_end())
        }
        ("scheduled", Some(window)) => {
            format!("{role} will be active from {}, {}", show(&window.starts_at, now), end.unwrap_or_default())
        }
        ("pending", _) => match &activation.approval {
            Some(approval) => format!("{role} waits for approval: {}", ballot(approval, now)),
            None => format!("{role} waits for approval"),
        },
        ("ended", _) => {
            let ending = safe(activation.ending.as_deref().unwrap_or("ended"));
            let at = activation.ended_at.as_deref().map(|at| format!(" at {}", show(at, now))).unwrap_or_default();
            format!("{role} is over: {ending}{at}")
        }
        (other, _) => format!("{role} is {}", safe(other)),
    }
}

/// A wish that has not come true: the end above still holds.
fn extended(extension: &Extension, now: Timestamp) -> String {
    let votes = extension.approval.as_ref().map(|open| format!(": {}", ballot(open, now))).unwrap_or_default();
    format!("; until {} is asked for and waits for approval{votes}", show(&extension.ends_at, now))
}

/// All an approver should see before deciding.
pub(super) fn describe(activation: &Activation, now: Timestamp, out: &mut dyn Write) -> io::Result<()> {
    let mut line = |label: &str, value: &str| writeln!(out, "  {label:<11}{value}");
    line("id", &safe(&activation.id))?;
    line("role", &safe(&activation.role))?;
    let who = match &activation.name {
        Some(name) => format!("{} ({})", safe(&activation.principal), safe(name)),
        None => safe(&activation.principal).into_owned(),
    };
    let via = activation.via.as_deref().map(|group| format!(", eligible through {}", safe(group))).unwrap_or_default();
    line("who", &format!("{who}{via}"))?;
    let from = activation.requested.starts_at.as_deref();
    let from = from.map(|at| format!(", from {}", show(at, now))).unwrap_or_default();
    line("how long", &format!("{}{from}", safe(&activation.requested.duration)))?;
    line("why", &activation.justification.as_deref().map_or("(nothing said)".into(), safe))?;
    if let Some(ticket) = &activation.ticket {
        line("ticket", &safe(ticket))?;
    }
    line("asked", &show(&activation.requested_at, now))?;
    line("state", &headline(activation, now))?;
    if let Some(extension) = &activation.extension {
        let why = extension.justification.as_deref().map(|why| format!(": {}", safe(why))).unwrap_or_default();
        line("extension", &format!("until {}{why}", show(&extension.ends_at, now)))?;
    }
    for decision in &activation.decisions {
        line("decided", &vote(decision, now))?;
    }
    Ok(())
}

fn vote(decision: &Decision, now: Timestamp) -> String {
    let name = decision.name.as_deref().map(|name| format!(" ({})", safe(name))).unwrap_or_default();
    let adjusted =
        decision.adjusted.as_ref().map(|to| format!(", changed to {}", safe(&to.duration))).unwrap_or_default();
    let why = decision.justification.as_deref().map(|why| format!(": {}", safe(why))).unwrap_or_default();
    let (approver, choice) = (safe(&decision.approver), safe(&decision.choice));
    format!("{choice} by {approver}{name}{adjusted}, {}{why}", show(&decision.at, now))
}

fn party(name: &str) -> String {
    match name.strip_prefix("group ") {
        Some(group) => format!("anyone of {}", safe(group)),
        None => safe(name).into_owned(),
    }
}

fn ballot(approval: &Approval, now: Timestamp) -> String {
    let mut text = format!("{} of {} given", approval.approvals, approval.quorum);
    if approval.stages > 1 {
        text = format!("stage {} of {}, {text}", approval.stage.saturating_add(1), approval.stages);
    }
    if !approval.approvers.is_empty() {
        let names: Vec<_> = approval.approvers.iter().map(|name| party(name)).collect();
        text = format!("{text}, by {}", names.join(" or "));
    }
    match &approval.lapses_at {
        Some(at) => format!("{text}; lapses {}", show(at, now)),
        None => text,
    }
}
