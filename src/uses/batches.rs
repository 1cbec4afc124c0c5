//! The recorder's thread: gathers what is queued and writes it, one block for each activation and one commit for all.
//!
//! A batch that cannot be written is kept, and so is what is queued; nothing more is taken until the file was opened again
//! and the batch is in it. Whether a commit that failed reached the disk all the same is seen then: a batch is one
//! transaction, and its last block is there or it is not.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use redb::ReadableTable;
use tokio::sync::{mpsc, watch};

use super::block::{self, Block, Digest, NOTHING};
use super::file::UseFile;
use super::health::{Health, Keeping};
use super::{BLOCKS, Queued, Settings, UNSEALED};
use crate::clock::awake;
use crate::store::{StoreError, guarded};

/// How far the uses of an activation have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tip {
    count: u64,
    digest: Digest,
}

/// The last block of a batch, and whose it is.
type Last = ([u8; 16], Tip);

/// Writes what is queued.
pub(super) struct Writing {
    pub(super) file: UseFile,
    pub(super) settings: Settings,
    pub(super) queue: mpsc::Receiver<Queued>,
    /// How many uses were written, ever.
    pub(super) progress: watch::Sender<u64>,
    pub(super) waiting: Gauge,
    pub(super) health: Health,
}

impl Writing {
    /// Writes batches until every recorder is gone. After a panic nobody knows what was written: no use is taken any more, and
    /// readiness says so.
    pub(super) fn run_to_the_end(self) {
        let health = self.health.clone();
        if catch_unwind(AssertUnwindSafe(|| self.run())).is_err() {
            health.failed();
            health.set(Keeping::Out);
            tracing::error!("the record of uses ended in a panic; restart hallpass");
        }
    }

    fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH_LENGTH);
        // this thread alone adds blocks; others only take out those of cases that were cut from the journal, long after they
        // ended, and of which no further use is taken: what it remembers of all others stays true
        let mut tips = HashMap::new();
        while self.queue.blocking_recv_many(&mut batch, BATCH_LENGTH) > 0 {
            gather(&mut self.queue, &mut batch, self.settings.gather_for);
            // uses of one activation lie side by side, and stay in their order
            batch.sort_by_key(|used| used.activation);
            if let Err(error) = self.write(&batch, &mut tips) {
                tips.clear();
                if !self.recover(&batch, error) {
                    let lost = batch.len() + self.queue.len();
                    self.health.lost(lost);
                    tracing::error!(lost, "stopped before uses could be written; they are lost");
                    return;
                }
            }
            self.waiting.dec_by(i64::try_from(batch.len()).unwrap_or(0));
            // uses are written in the order in which they were queued: so many are, from the first on
            self.progress.send_modify(|written| *written += u64::try_from(batch.len()).unwrap_or(0));
            batch.clear();
            if tips.len() > TIPS_MAX {
                tips.clear();
            }
        }
    }

    /// Tries until the batch is written. `false` when every recorder is gone and it could still not be.
    fn recover(&mut self, batch: &[Queued], error: Failed) -> bool {
        tracing::error!(
            error = &error.error as &dyn std::error::Error,
            "uses cannot be written; requests under an elevation are refused until they can"
        );
        self.health.failed();
        self.health.set(Keeping::Out);
        let (mut pause, mut last) = (FIRST_PAUSE, error.last);
        loop {
            // whoever stops hallpass does not wait for the pause, but for one more try
            let stopping = self.queue.is_closed();
            if !stopping {
                self.rest(pause);
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            match self.write_again(batch, &mut last) {
                Ok(()) => {
                    tracing::info!("uses are written again");
                    self.health.set(Keeping::Kept);
                    return true;
                }
                Err(error) => {
                    self.health.failed();
                    tracing::warn!(error = &error as &dyn std::error::Error, "uses could still not be written");
                }
            }
            if stopping {
                return false;
            }
        }
    }

    fn rest(&self, pause: Duration) {
        let until = awake() + pause;
        while !self.queue.is_closed() {
            let left = until.saturating_duration_since(awake());
            if left.is_zero() {
                break;
            }
            std::thread::park_timeout(left);
        }
    }

    /// Opens the file again; writes the batch unless it is there, which is so when its last block is.
    fn write_again(&self, batch: &[Queued], last: &mut Option<Last>) -> Result<(), StoreError> {
        self.file.reopen()?;
        if let Some((id, expected)) = *last {
            let is_there = self.file.handle.read(|source| {
                let tip = tip_of(&source.open_table(BLOCKS)?, id)?;
                Ok(tip == expected)
            })?;
            if is_there {
                return Ok(());
            }
        }
        self.write(batch, &mut HashMap::new()).map_err(|failed| {
            *last = failed.last;
            failed.error
        })
    }

    fn write(&self, batch: &[Queued], tips: &mut HashMap<[u8; 16], Tip>) -> Result<(), Failed> {
        let mut last = None;
        guarded(|| write_batch(&self.file, batch, tips, &mut last)).map_err(|error| Failed { error, last })
    }
}

/// A batch that could not be written.
struct Failed {
    error: StoreError,
    /// Its last block, if it came so far that it may have reached the disk.
    last: Option<Last>,
}

/// A commit costs the same for one use and for hundreds: those that follow within a moment go with it. Whoever fills a
/// batch, or closes the queue, ends the wait.
fn gather(queue: &mut mpsc::Receiver<Queued>, batch: &mut Vec<Queued>, gather_for: Duration) {
    let until = awake() + gather_for;
    while batch.len() + queue.len() < BATCH_LENGTH && !queue.is_closed() {
        let left = until.saturating_duration_since(awake());
        if left.is_zero() {
            break;
        }
        std::thread::park_timeout(left);
    }
    while batch.len() < BATCH_LENGTH
        && let Ok(used) = queue.try_recv()
    {
        batch.push(used);
    }
}

fn write_batch(
    file: &UseFile,
    batch: &[Queued],
    tips: &mut HashMap<[u8; 16], Tip>,
    last: &mut Option<Last>,
) -> Result<(), StoreError> {
    let transaction = file.handle.write()?;
    let mut written = None;
    {
        let mut blocks = transaction.open_table(BLOCKS)?;
        let mut unsealed = transaction.open_table(UNSEALED)?;
        let alike =
            |one: &Queued, other: &Queued| one.activation == other.activation && one.principal == other.principal;
        for uses in batch.chunk_by(alike).flat_map(|uses| uses.chunks(BLOCK_LENGTH)) {
            let Some(first) = uses.first() else { continue };
            let id = first.activation.to_bytes();
            let tip = match tips.entry(id) {
                Entry::Occupied(tip) => tip.into_mut(),
                Entry::Vacant(tip) => tip.insert(tip_of(&blocks, id)?),
            };
            let block = Block::new(uses, &tip.digest);
            if tip.count == 0 {
                unsealed.insert(id, ())?;
            }
            tip.count = tip.count.saturating_add(block.count);
            tip.digest = block::digest_of(&block.bytes).unwrap_or(NOTHING);
            blocks.insert((id, tip.count), block.bytes.as_slice())?;
            written = Some((id, *tip));
        }
    }
    *last = written;
    transaction.commit()?;
    Ok(())
}

fn tip_of(blocks: &impl ReadableTable<([u8; 16], u64), &'static [u8]>, id: [u8; 16]) -> Result<Tip, StoreError> {
    let Some((key, block)) = blocks.range((id, 0)..=(id, u64::MAX))?.next_back().transpose()? else {
        return Ok(Tip { count: 0, digest: NOTHING });
    };
    let digest = block::digest_of(block.value()).ok_or_else(super::damaged)?;
    Ok(Tip { count: key.value().1, digest })
}

/// So many uses fill a batch.
pub(super) const BATCH_LENGTH: usize = 4_096;
/// A page of uses reads whole blocks: none is much longer than a page.
const BLOCK_LENGTH: usize = 256;
/// Between tries to write again, at first.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// And at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const TIPS_MAX: usize = 65_536;
