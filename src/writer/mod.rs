//! The only mutator: one thread, one appender, one queue.
//!
//! Commands that arrive together are decided one after another inside one write transaction and share its commit. The
//! answer leaves after the commit is durable and the standings it touched are published, never before.

mod batch;
mod cut;
mod health;
mod lost;
mod outage;
mod owed;
pub mod sweep;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::domain::activation::Activation;
use crate::domain::assignment::Assignment;
use crate::domain::command::{Caller, Command};
use crate::domain::event::Event;
use crate::domain::policy::Policies;
use crate::domain::refusal::Refusals;
use crate::domain::standing::Position;
use crate::standings::Standings;
use crate::store::{Appender, Idempotency, StoreError};
use crate::telemetry::Metrics;

pub use cut::{CutError, CutMade};
pub use health::{Health, StoreState};
pub use lost::LostEnd;

/// Submits commands. Cheap to clone; the writer stops when all are dropped.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<Work>,
    health: Health,
}

/// One command on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Submission {
    /// Who gives it.
    pub caller: Caller,
    /// What is to be done.
    pub command: Command,
    /// Key under which the same answer is given again.
    pub idempotency: Option<Idempotency>,
    /// For real, or only to see what would happen.
    pub purpose: Purpose,
}

/// For real, or only to see what would happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// Decide, store, publish.
    Commit,
    /// Decide, and forget.
    DryRun,
}

/// What came of a command: durable and in force when it arrives.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The newest record of the command; the head when it caused none.
    pub position: Position,
    /// What happened, oldest first.
    pub events: Vec<Event>,
    /// The case, as it is now, when the command was about one.
    pub activation: Option<Activation>,
    /// The assignment, as it is now, when the command was about one.
    pub assignment: Option<Assignment>,
    /// Whether this answers a repeated command.
    pub replayed: Replayed,
}

/// Whether an outcome answers a repeated command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    /// It was done just now.
    No,
    /// It had been done before, under the same idempotency key.
    Yes,
}

/// Why a command came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The domain says no.
    #[error("refused: {}", .0.first())]
    Refused(Refusals),
    /// Too many commands wait; try again.
    #[error("too many commands are waiting")]
    Busy,
    /// The store takes no commands at present.
    #[error("the journal takes no commands at present")]
    Unavailable,
    /// The disk is full: what ends a right is still written, in room set aside for that, and nothing else.
    #[error("there is no room left for the journal; rights can be ended, and nothing new is granted")]
    DiskFull,
    /// The clock was set back; nothing new is granted until it has caught up.
    #[error("the clock lies behind the journal")]
    ClockBehind,
    /// The journal is not the one that was anchored: until the operator confirmed or restored it nothing is written but the
    /// ends that somebody asks for.
    #[error(
        "rights can be ended, and nothing else is written until the operator has confirmed or restored the journal: {0}"
    )]
    Doubted(Arc<str>),
    /// What ends a right took effect in memory, but is not durable: the journal takes no commands at present.
    #[error("in force on this machine, but not yet durable")]
    NotDurable,
}

/// What the writer works with.
pub struct Settings {
    /// Settings of all roles; swapped on reload.
    pub policies: Arc<ArcSwap<Policies>>,
    /// How far the machine's clock may lie behind what was already told before nothing new is granted.
    pub clock_behind_max: Duration,
    /// Files for what must not be lost while the store takes nothing, best on volumes that do not fail together.
    pub aside: Vec<PathBuf>,
}

/// What the writer is asked for.
enum Work {
    /// To carry a command out.
    Command(Queued),
    /// To take old records out.
    Cut(cut::Wanted),
}

struct Queued {
    submission: Submission,
    reply: oneshot::Sender<Result<Outcome, SubmitError>>,
}

/// The writer's thread; joined when everything else has stopped.
pub struct Running {
    thread: std::thread::JoinHandle<Vec<LostEnd>>,
}

impl Running {
    /// Waits until the last command is answered and the store is closed. Every [`Writer`] must be dropped first. What ended
    /// in memory only, because the store took nothing to the last, is in the log and is returned.
    pub fn join(self) -> Vec<LostEnd> {
        self.thread.join().unwrap_or_else(|_| {
            tracing::error!("the writer ended in a panic");
            Vec::new()
        })
    }
}

/// Starts the writer on a thread of its own. What ended while the store was out, before hallpass stopped, is in force when
/// this returns.
///
/// # Errors
/// When that cannot be read, or no thread can be had.
pub fn start(
    appender: Appender,
    standings: Standings,
    clock: Clock,
    settings: Settings,
    metrics: &Metrics,
) -> Result<(Writer, Running), StoreError> {
    let (sender, queue) = mpsc::channel(QUEUE_LENGTH);
    let health = Health::new(metrics);
    let mut batches = batch::Batches::new(appender, standings, clock, settings, health.clone(), metrics);
    batches.take_up_what_is_owed()?;
    let thread =
        std::thread::Builder::new().name("hallpass-writer".to_owned()).spawn(move || batches.run_to_the_end(queue));
    let thread = thread.map_err(StoreError::Io)?;
    Ok((Writer { queue: sender, health }, Running { thread }))
}

impl Writer {
    /// Decides, makes durable, publishes, answers.
    ///
    /// # Errors
    /// See [`SubmitError`]. An error other than `NotDurable` means that nothing changed, or, for `Unavailable`, that
    /// nobody can tell yet: asking again with the same idempotency key is safe.
    pub async fn submit(&self, submission: Submission) -> Result<Outcome, SubmitError> {
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(Work::Command(Queued { submission, reply })).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SubmitError::Busy,
            mpsc::error::TrySendError::Closed(_) => SubmitError::Unavailable,
        })?;
        answer.await.unwrap_or(Err(SubmitError::Unavailable))
    }

    /// Whether the journal takes commands.
    #[must_use]
    pub const fn health(&self) -> &Health {
        &self.health
    }
}

const QUEUE_LENGTH: usize = 1024;
