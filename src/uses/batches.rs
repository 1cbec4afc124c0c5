//! The recorder's thread: gathers what is queued and writes it, one block for each activation and one commit for all.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use prometheus_client::metrics::gauge::Gauge;
use redb::{Database, ReadableTable};
use tokio::sync::mpsc;

use super::block::{self, Block, Digest, NOTHING};
use super::{BLOCKS, Queued, UNSEALED};
use crate::clock::awake;
use crate::store::StoreError;

/// How far the uses of an activation have come.
#[derive(Debug, Clone, Copy)]
struct Tip {
    count: u64,
    digest: Digest,
}

/// Writes batches until every recorder is gone, or one cannot be written.
pub(super) fn write(database: &Database, mut queue: mpsc::Receiver<Queued>, waiting: &Gauge) {
    let mut batch = Vec::with_capacity(BATCH_LENGTH);
    // this thread alone writes blocks: what it remembers of them stays true
    let mut tips = HashMap::new();
    while queue.blocking_recv_many(&mut batch, BATCH_LENGTH) > 0 {
        gather(&mut queue, &mut batch);
        // uses of one activation lie side by side, and stay in their order
        batch.sort_by_key(|used| used.activation);
        if let Err(error) = write_batch(database, &batch, &mut tips) {
            // leaving drops the receiver: from now on every elevated request is refused rather than passed unrecorded
            tracing::error!(%error, "uses cannot be written; requests under an elevation are refused");
            return;
        }
        waiting.dec_by(i64::try_from(batch.len()).unwrap_or(0));
        batch.clear();
        if tips.len() > TIPS_MAX {
            tips.clear();
        }
    }
}

/// A commit costs the same for one use and for hundreds: those that follow within a moment go with it. Whoever fills a
/// batch, or closes the queue, ends the wait.
fn gather(queue: &mut mpsc::Receiver<Queued>, batch: &mut Vec<Queued>) {
    let until = awake() + GATHER_FOR;
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

fn write_batch(database: &Database, batch: &[Queued], tips: &mut HashMap<[u8; 16], Tip>) -> Result<(), StoreError> {
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    transaction.set_quick_repair(true);
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
        }
    }
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
/// At most so much longer a use waits in memory; far below what would fill the queue.
const GATHER_FOR: std::time::Duration = std::time::Duration::from_millis(50);
const TIPS_MAX: usize = 65_536;
