//! Record of requests made under an elevation: bounded queue, batches, back-pressure.
//!
//! Uses live in a file of their own, so that their commits never wait for a command's, nor a command for theirs. Within an
//! activation they are numbered from 1 and chained (`block`); once the activation has ended no further one is taken
//! (`intake`), and count and digest are sealed in the journal. A full queue makes requests wait; nothing is dropped silently. What was queued but not yet written when
//! the machine dies is lost: at most one batch. While the file cannot be written what was taken is kept, requests under an
//! elevation are refused rather than passed unrecorded, and it is tried again until it can.

mod archived;
mod batches;
mod block;
mod carry;
mod file;
mod health;
mod intake;
mod proof;
mod read;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::thread::Thread;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use redb::TableDefinition;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

use crate::domain::id::ActivationId;
use crate::domain::principal::Principal;
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::telemetry::Metrics;
pub use archived::ArchivedUses;
use batches::Writing;
pub(crate) use carry::block_key;
pub use carry::{UseSnapshot, bring_back, compact, is_row};
use file::{Place, UseFile};
pub use health::{Health, Keeping};
use intake::Intake;
pub use intake::{Closed, Closing};
pub use proof::{Proof, Unproven, WrongUses};
pub use read::UseReader;

/// How uses are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// At most so much longer a use waits in memory for others that are written with it, since a commit costs the same for
    /// one and for hundreds. A full batch, and the end of the recorder, do not wait.
    pub gather_for: Duration,
}

/// A moment, far below what would fill the queue.
impl Default for Settings {
    fn default() -> Self {
        Self { gather_for: Duration::from_millis(50) }
    }
}

/// One request that passed because of an activation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use<'u> {
    /// The activation.
    pub activation: ActivationId,
    /// Who.
    pub principal: Principal,
    /// When the verdict was given.
    pub at: Timestamp,
    /// `X-Request-Id` of the request.
    pub request_id: Cow<'u, str>,
    /// Method, as forwarded.
    pub method: Cow<'u, str>,
    /// Host, as decided on.
    pub host: Cow<'u, str>,
    /// Canonical path without query, as decided on.
    pub path: Cow<'u, str>,
    /// Name of the route.
    pub route: Cow<'u, str>,
}

/// All uses of one activation so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// How many.
    pub count: u64,
    /// Digest of the last block, hexadecimal.
    pub digest: String,
}

/// A use on its way to the recorder's thread, as it will be written.
#[derive(Debug)]
pub struct Queued {
    activation: ActivationId,
    principal: Principal,
    entry: Vec<u8>,
}

/// Takes uses from the data path. Cheap to clone; the recorder's thread stops when all are dropped.
#[derive(Debug, Clone)]
pub struct UseRecorder {
    // before `wake`: who is woken finds the queue closed
    queue: mpsc::Sender<Queued>,
    wake: Wake,
    intake: Arc<Intake>,
    written: watch::Receiver<u64>,
    waiting: Gauge,
    health: Health,
}

/// Wakes the recorder's thread from gathering, also when it is dropped.
#[derive(Debug, Clone)]
struct Wake(Thread);

/// What became of a use that could not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is queued.
    Yes,
    /// The queue is full: it must wait.
    Full,
}

/// The record of uses cannot be kept, or the activation was closed for further uses: the request must not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record of uses cannot be kept")]
pub struct UsesUnavailable;

/// The recorder's thread.
pub struct Running {
    thread: std::thread::JoinHandle<()>,
}

/// Opens or creates the file of uses and starts the thread that writes it.
///
/// # Errors
/// When the file cannot be opened, or no thread can be had.
pub fn start(
    path: &Path,
    settings: Settings,
    metrics: &Metrics,
) -> Result<(UseRecorder, UseReader, Running), StoreError> {
    start_at(Place::File(path.to_owned()), settings, metrics)
}

/// The same on a disk that can be told to fail.
#[cfg(test)]
pub(crate) fn start_on(
    disk: &crate::store::tests::disk::Disk,
    settings: Settings,
    metrics: &Metrics,
) -> (UseRecorder, UseReader, Running) {
    start_at(Place::Disk(disk.clone()), settings, metrics).expect("a recorder")
}

fn start_at(
    place: Place,
    settings: Settings,
    metrics: &Metrics,
) -> Result<(UseRecorder, UseReader, Running), StoreError> {
    let file = UseFile::open(place)?;
    let reader = UseReader::new(Arc::clone(&file.handle));
    let (queue, receiver) = mpsc::channel(QUEUE_LENGTH);
    let (waiting, health) = (Gauge::default(), Health::new(metrics));
    let (progress, written) = watch::channel(0);
    metrics.register(|registry| {
        registry.register("uses_queue", "uses that wait to be written", waiting.clone());
    });
    let writing =
        Writing { file, settings, queue: receiver, progress, waiting: waiting.clone(), health: health.clone() };
    let thread = std::thread::Builder::new()
        .name("hallpass-uses".to_owned())
        .spawn(move || writing.run_to_the_end())
        .map_err(StoreError::Io)?;
    let wake = Wake(thread.thread().clone());
    let recorder = UseRecorder { queue, wake, intake: Arc::default(), written, waiting, health };
    Ok((recorder, reader, Running { thread }))
}

impl Running {
    /// Waits until everything queued is written. Every [`UseRecorder`] must be dropped first.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("the record of uses ended in a panic");
        }
    }
}

impl UseRecorder {
    /// A recorder whose queue holds `length` uses and that nobody writes but who holds the other end.
    #[cfg(test)]
    pub(crate) fn unwritten(length: usize) -> (Self, mpsc::Receiver<Queued>) {
        let (queue, receiver) = mpsc::channel(length);
        let (wake, waiting, health) = (Wake(std::thread::current()), Gauge::default(), Health::unmeasured());
        let (_, written) = watch::channel(0);
        (Self { queue, wake, intake: Arc::default(), written, waiting, health }, receiver)
    }

    /// Whether uses can be written down.
    #[must_use]
    pub const fn health(&self) -> &Health {
        &self.health
    }

    /// Queues one use if there is room.
    ///
    /// # Errors
    /// While uses cannot be written, and when the activation was [closed](Closing).
    pub fn try_record(&self, used: &Use<'_>) -> Result<Taken, UsesUnavailable> {
        if self.health.keeping() == Keeping::Out {
            return Err(UsesUnavailable);
        }
        let queued = Queued::new(used);
        let taken = self.intake.take(used, || match self.queue.try_send(queued) {
            Ok(()) => Ok(Taken::Yes),
            Err(TrySendError::Full(_)) => Ok(Taken::Full),
            Err(TrySendError::Closed(_)) => Err(UsesUnavailable),
        })?;
        if taken == Taken::Yes {
            self.queued();
        }
        Ok(taken)
    }

    /// Queues one use; waits while the queue is full.
    ///
    /// # Errors
    /// While uses cannot be written; also those that wait are told when that begins. When the activation was
    /// [closed](Closing), also while it waited.
    pub async fn record(&self, used: &Use<'_>) -> Result<(), UsesUnavailable> {
        let room = tokio::select! {
            biased;
            () = self.health.becomes(Keeping::Out) => return Err(UsesUnavailable),
            room = self.queue.reserve() => room.map_err(|_| UsesUnavailable)?,
        };
        let queued = Queued::new(used);
        self.intake.take(used, || {
            room.send(queued);
            Ok(Taken::Yes)
        })?;
        self.queued();
        Ok(())
    }

    fn queued(&self) {
        let before = self.waiting.inc();
        // those in its hands and those that are queued
        if usize::try_from(before).is_ok_and(|before| before + 1 >= batches::BATCH_LENGTH) {
            self.wake.0.unpark();
        }
    }
}

#[cfg(test)]
impl Queued {
    /// As it will be read.
    pub(crate) fn read(self) -> Use<'static> {
        let activation = self.activation;
        let block = block::Block::new(&[self], &block::NOTHING);
        block::uses_in(&block.bytes, activation).and_then(|mut uses| uses.pop()).expect("a use")
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        self.0.unpark();
    }
}

pub(crate) fn damaged() -> StoreError {
    StoreError::Damaged("a block of recorded uses is not readable".to_owned())
}

/// Activation and number of the block's last use → the block.
const BLOCKS: TableDefinition<'_, ([u8; 16], u64), &[u8]> = TableDefinition::new("use_blocks");
/// Activations whose count and digest are not sealed in the journal yet.
const UNSEALED: TableDefinition<'_, [u8; 16], ()> = TableDefinition::new("unsealed_activations");
const QUEUE_LENGTH: usize = 16_384;
