//! Record of requests made under an elevation: bounded queue, batches, back-pressure.
//!
//! Uses live in a file of their own, so that their commits never wait for a command's, nor a command for theirs. Within an
//! activation they are numbered from 1 and chained by a running SHA-256; once the activation has ended, count and digest
//! are sealed in the journal. A full queue makes requests wait; nothing is dropped silently. What was queued but not yet
//! written when the machine dies is lost: at most one batch.

mod carry;

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::HEXLOWER;
use prometheus_client::metrics::gauge::Gauge;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::domain::id::ActivationId;
use crate::domain::principal::Principal;
use crate::domain::time::Timestamp;
use crate::store::{StoreError, tell_who_may_read};
use crate::telemetry::Metrics;

pub use carry::{UseSnapshot, bring_back, compact};

/// One request that passed because of an activation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// The activation.
    pub activation: ActivationId,
    /// Who.
    pub principal: Principal,
    /// When the verdict was given.
    pub at: Timestamp,
    /// `X-Request-Id` of the request.
    pub request_id: String,
    /// Method, as forwarded.
    pub method: String,
    /// Host, as decided on.
    pub host: String,
    /// Canonical path without query, as decided on.
    pub path: String,
    /// Name of the route.
    pub route: String,
}

/// All uses of one activation so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// How many.
    pub count: u64,
    /// Running SHA-256, hexadecimal; empty before the first.
    pub digest: String,
}

/// Takes uses from the data path. Cheap to clone; the recorder's thread stops when all are dropped.
#[derive(Debug, Clone)]
pub struct UseRecorder {
    queue: mpsc::Sender<Use>,
    waiting: Gauge,
}

/// The record of uses cannot be kept: the request must not pass.
#[derive(Debug, thiserror::Error)]
#[error("the record of uses cannot be kept")]
pub struct UsesUnavailable;

/// Reads recorded uses. Cheap to clone.
#[derive(Clone)]
pub struct UseReader {
    database: Arc<Database>,
}

/// The recorder's thread.
pub struct Running {
    thread: std::thread::JoinHandle<()>,
}

/// Opens or creates the file of uses and starts the thread that writes it.
///
/// # Errors
/// When the file cannot be opened, or no thread can be had.
pub fn start(path: &Path, metrics: &Metrics) -> Result<(UseRecorder, UseReader, Running), StoreError> {
    let database = Arc::new(open(path)?);
    let reader = UseReader { database: Arc::clone(&database) };
    let (queue, receiver) = mpsc::channel(QUEUE_LENGTH);
    let waiting = Gauge::default();
    metrics.register(|registry| {
        registry.register("uses_queue", "uses that wait to be written", waiting.clone());
    });
    let recorder = UseRecorder { queue, waiting: waiting.clone() };
    let thread = std::thread::Builder::new()
        .name("hallpass-uses".to_owned())
        .spawn(move || write_batches(&database, receiver, &waiting))
        .map_err(StoreError::Io)?;
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
    pub(crate) fn unwritten(length: usize) -> (Self, mpsc::Receiver<Use>) {
        let (queue, receiver) = mpsc::channel(length);
        (Self { queue, waiting: Gauge::default() }, receiver)
    }

    /// Queues one use; waits while the queue is full.
    ///
    /// # Errors
    /// When uses cannot be written any more.
    pub async fn record(&self, used: Use) -> Result<(), UsesUnavailable> {
        self.queue.send(used).await.map_err(|_| UsesUnavailable)?;
        self.waiting.inc();
        Ok(())
    }
}

impl UseReader {
    /// Uses of one activation with their numbers, oldest first, after number `after` (0 is all).
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of(&self, activation: ActivationId, after: u64, limit: usize) -> Result<Vec<(u64, Use)>, StoreError> {
        let table = self.database.begin_read()?.open_table(USES)?;
        let id = activation.to_bytes();
        let rows = table.range((id, after.saturating_add(1))..=(id, u64::MAX))?;
        rows.take(limit)
            .map(|row| {
                let (key, value) = row?;
                Ok((key.value().1, serde_json::from_slice(value.value()).map_err(damaged)?))
            })
            .collect()
    }

    /// Activations that were used and whose uses are not sealed yet.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn unsealed(&self) -> Result<Vec<(ActivationId, Stretch)>, StoreError> {
        let table = self.database.begin_read()?.open_table(UNSEALED)?;
        table
            .iter()?
            .map(|row| {
                let (key, value) = row?;
                let stretch = serde_json::from_slice(value.value()).map_err(damaged)?;
                Ok((ActivationId::from_random(key.value()), stretch))
            })
            .collect()
    }

    /// Forgets that `activation` waits for its seal, unless more than `stretch` was recorded meanwhile; its uses stay.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn sealed(&self, activation: ActivationId, stretch: &Stretch) -> Result<(), StoreError> {
        let transaction = self.database.begin_write()?;
        {
            let mut unsealed = transaction.open_table(UNSEALED)?;
            let found = unsealed.get(activation.to_bytes())?.map(|row| serde_json::from_slice::<Stretch>(row.value()));
            if found.transpose().map_err(damaged)?.as_ref() == Some(stretch) {
                unsealed.remove(activation.to_bytes())?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

fn open(path: &Path) -> Result<Database, StoreError> {
    tell_who_may_read(path);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(|source| StoreError::file(path, source))?;
    let database = redb::Builder::new()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(redb::backends::FileBackend::new(file)?)?;
    let transaction = database.begin_write()?;
    transaction.open_table(USES)?;
    transaction.open_table(UNSEALED)?;
    transaction.commit()?;
    Ok(database)
}

fn write_batches(database: &Database, mut queue: mpsc::Receiver<Use>, waiting: &Gauge) {
    let mut batch = Vec::with_capacity(BATCH_LENGTH);
    while queue.blocking_recv_many(&mut batch, BATCH_LENGTH) > 0 {
        // a commit costs the same for one use and for hundreds: those that follow within a moment go with it
        std::thread::sleep(GATHER_FOR);
        while batch.len() < BATCH_LENGTH
            && let Ok(used) = queue.try_recv()
        {
            batch.push(used);
        }
        // uses of one activation lie side by side, and stay in their order
        batch.sort_by_key(|used| used.activation);
        if let Err(error) = write_batch(database, &batch) {
            // leaving drops the receiver: from now on every elevated request is refused rather than passed unrecorded
            tracing::error!(%error, "uses cannot be written; requests under an elevation are refused");
            return;
        }
        waiting.dec_by(i64::try_from(batch.len()).unwrap_or(0));
        batch.clear();
    }
}

fn write_batch(database: &Database, batch: &[Use]) -> Result<(), StoreError> {
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    transaction.set_quick_repair(true);
    {
        let mut uses = transaction.open_table(USES)?;
        let mut unsealed = transaction.open_table(UNSEALED)?;
        let mut stretches: HashMap<ActivationId, Stretch> = HashMap::new();
        for used in batch {
            let id = used.activation.to_bytes();
            let stretch = match stretches.remove(&used.activation) {
                Some(stretch) => stretch,
                None => stretch_so_far(&uses, &unsealed, id)?,
            };
            let bytes = serde_json::to_vec(used).map_err(damaged)?;
            let stretch = stretch.with(&bytes);
            uses.insert((id, stretch.count), bytes.as_slice())?;
            stretches.insert(used.activation, stretch);
        }
        for (activation, stretch) in stretches {
            let bytes = serde_json::to_vec(&stretch).map_err(damaged)?;
            unsealed.insert(activation.to_bytes(), bytes.as_slice())?;
        }
    }
    transaction.commit()?;
    Ok(())
}

fn stretch_so_far(
    uses: &impl ReadableTable<([u8; 16], u64), &'static [u8]>,
    unsealed: &impl ReadableTable<[u8; 16], &'static [u8]>,
    id: [u8; 16],
) -> Result<Stretch, StoreError> {
    if let Some(row) = unsealed.get(id)? {
        return serde_json::from_slice(row.value()).map_err(damaged);
    }
    // a use that comes after the seal continues the numbers, so that it overwrites nothing
    let count = uses.range((id, 0)..=(id, u64::MAX))?.next_back().transpose()?.map_or(0, |(key, _)| key.value().1);
    Ok(Stretch { count, digest: String::new() })
}

impl Stretch {
    fn with(&self, use_bytes: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(self.digest.as_bytes());
        context.update(use_bytes);
        Self { count: self.count.saturating_add(1), digest: HEXLOWER.encode(context.finish().as_ref()) }
    }
}

fn damaged(error: serde_json::Error) -> StoreError {
    StoreError::Damaged(format!("a recorded use is not readable: {error}"))
}

/// Activation and number of the use → the use as JSON.
const USES: TableDefinition<'_, ([u8; 16], u64), &[u8]> = TableDefinition::new("uses");
/// Activation → count and digest so far, until they are sealed in the journal.
const UNSEALED: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("unsealed");
const CACHE_BYTES: usize = 16 << 20;
const QUEUE_LENGTH: usize = 16_384;
const BATCH_LENGTH: usize = 4_096;
/// At most so much longer a use waits in memory; far below what would fill the queue.
const GATHER_FOR: std::time::Duration = std::time::Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    fn used(activation: ActivationId, number: i64) -> Use {
        Use {
            activation,
            principal: Principal::new("https://id.test", "ada"),
            at: Timestamp::from_seconds(number),
            request_id: number.to_string(),
            method: "GET".to_owned(),
            host: "shop.test".to_owned(),
            path: "/vault".to_owned(),
            route: "vault".to_owned(),
        }
    }

    #[tokio::test]
    async fn uses_are_numbered_chained_and_kept_over_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("uses.redb");
        let (first, second) = (ActivationId::from_random([1; 16]), ActivationId::from_random([2; 16]));
        let mut digests = Vec::new();
        for round in 0..2 {
            let (recorder, reader, running) = start(&path, &Metrics::default()).expect("a recorder");
            for number in 0..3 {
                recorder.record(used(first, round * 3 + number)).await.expect("recorded");
            }
            recorder.record(used(second, round)).await.expect("recorded");
            drop(recorder);
            running.join();
            let count = |id| reader.of(id, 0, 100).expect("uses").len();
            let rounds = usize::try_from(round + 1).expect("small");
            assert_eq!((count(first), count(second)), (rounds * 3, rounds));
            let (_, last) = reader.of(first, 0, 100).expect("uses").pop().expect("a last use");
            assert_eq!(last.at, Timestamp::from_seconds(round * 3 + 2), "oldest first");
            digests.push(reader.unsealed().expect("stretches"));
        }
        assert_ne!(digests[0], digests[1], "every use moves the digest");

        let (recorder, reader, running) = start(&path, &Metrics::default()).expect("a recorder");
        let stretch = |id| reader.unsealed().expect("stretches").into_iter().find(|(found, _)| *found == id);
        let (_, last) = stretch(first).expect("uses of the first");
        reader.sealed(first, &Stretch { count: last.count - 1, ..last.clone() }).expect("looked at");
        assert!(stretch(first).is_some(), "a seal over less forgets nothing");
        reader.sealed(first, &last).expect("sealed");
        assert!(stretch(first).is_none());
        recorder.record(used(first, 99)).await.expect("recorded");
        drop(recorder);
        running.join();
        let numbers: Vec<_> = reader.of(first, 0, 100).expect("uses").into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7], "a late use overwrites nothing");
    }
}
