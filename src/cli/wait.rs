//! Waits until a case is active or over, telling each change.
//!
//! The event stream wakes, the case itself is asked; when the stream is lost or not to be had, the case is asked at every try
//! to connect again. What time alone brings about is asked for when it is due: no event may tell of it.

use std::time::Duration;

use crate::cli::activation::headline;
use crate::cli::client::Answer;
use crate::cli::client::events::{Events, Patience};
use crate::cli::desk::Desk;
use crate::cli::failure::Failure;
use crate::cli::terminal::safe;
use crate::cli::wire::Activation;
use crate::clock::parse_rfc3339;
use crate::domain::time::{Span, Timestamp};

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wait {
    /// Wait no longer than this.
    pub(super) timeout: Option<Span>,
    /// Ask again even when nothing wakes.
    pub(super) look_again_after: Duration,
    /// With the event stream.
    pub(super) patience: Patience,
}

impl Default for Wait {
    fn default() -> Self {
        Self { timeout: None, look_again_after: Duration::from_secs(30), patience: Patience::default() }
    }
}

/// Returns when `activation` is active.
///
/// # Errors
/// [`Failure::False`] when it has come to nothing, or the time to wait is over.
pub(super) async fn until_active(desk: &mut Desk<'_, '_>, activation: Activation, wait: &Wait) -> Result<(), Failure> {
    let id = safe(&activation.id).into_owned();
    let Some(timeout) = wait.timeout else {
        return follow(desk, activation, wait).await;
    };
    match tokio::time::timeout(Duration::from_secs(timeout.as_seconds()), follow(desk, activation, wait)).await {
        Ok(result) => result,
        Err(_) => {
            Err(Failure::False(format!("{id} is not active after {timeout}; the request stays: see hallpass list")))
        }
    }
}

async fn follow(desk: &mut Desk<'_, '_>, mut known: Activation, wait: &Wait) -> Result<(), Failure> {
    let path = format!("/activations/{}", known.id);
    let mut connected = Contact::Kept;
    // the stream borrows a client of its own, so that the desk stays free to print
    let client = desk.client.clone();
    let mut events = Events::new(&client, wait.patience);
    loop {
        if let Some(end) = verdict(&known) {
            return end;
        }
        events.connect().await;
        // subscribe, then check: what happened in between is seen here
        match desk.client.get(&path, &[]).await {
            Ok(answer) => {
                let current: Activation = answer.read()?;
                if (current.revision, &current.state) != (known.revision, &known.state) {
                    tell(desk, &current, &answer)?;
                }
                known = current;
                connected = Contact::Kept;
            }
            Err(failure) if is_passing(&failure) => {
                if connected == Contact::Kept {
                    writeln!(desk.streams.err, "{}; still waiting", safe(&failure.to_string()))?;
                }
                connected = Contact::Lost;
            }
            Err(failure) => return Err(failure),
        }
        if verdict(&known).is_none() {
            let nap = until_due(&known, desk.now()).map_or(wait.look_again_after, |due| due.min(wait.look_again_after));
            let _ = tokio::time::timeout(nap, events.wake()).await;
        }
    }
}

/// Whether the portal answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contact {
    Kept,
    Lost,
}

fn verdict(activation: &Activation) -> Option<Result<(), Failure>> {
    match activation.state.as_str() {
        "active" => Some(Ok(())),
        "ended" => {
            let ending = safe(activation.ending.as_deref().unwrap_or("ended"));
            Some(Err(Failure::False(format!("the request came to nothing: {ending}"))))
        }
        _ => None,
    }
}

fn tell(desk: &mut Desk<'_, '_>, activation: &Activation, answer: &Answer) -> Result<(), Failure> {
    if desk.json {
        desk.print_raw(answer)?;
    } else {
        let now = desk.now();
        writeln!(desk.streams.out, "{}  {}", safe(&activation.id), headline(activation, now))?;
    }
    Ok(desk.streams.out.flush()?)
}

/// A portal that restarts or is out of reach for a while does not end the wait.
fn is_passing(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable(_) => true,
        Failure::Refused { problem, .. } => problem.status >= 500 || problem.status == 429,
        Failure::Usage(_)
        | Failure::False(_)
        | Failure::Configuration(_)
        | Failure::Unusable(_)
        | Failure::Internal(_)
        | Failure::Output(_) => false,
    }
}

/// How long until time alone changes the case: it starts, or it lapses.
fn until_due(activation: &Activation, now: Timestamp) -> Option<Duration> {
    let starts_at = activation.window.as_ref().map(|window| window.starts_at.as_str());
    let lapses_at = activation.approval.as_ref().and_then(|approval| approval.lapses_at.as_deref());
    [starts_at, lapses_at]
        .into_iter()
        .flatten()
        .filter_map(|instant| parse_rfc3339(instant).ok())
        .filter(|at| *at > now)
        .map(|at| Duration::from_millis(at.millis_since(now)))
        .min()
}
