//! Reading recorded uses, and checking that they are those that were recorded. A file whose pages are damaged is an error
//! and never a panic.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use redb::{ReadableTable, ReadableTableMetadata as _};

use super::block::{self, NOTHING};
use super::{BLOCKS, Stretch, UNSEALED, Use, damaged};
use crate::domain::id::ActivationId;
use crate::store::{Handle, StoreError, guarded};

/// Reads recorded uses. Cheap to clone.
#[derive(Clone)]
pub struct UseReader {
    pub(super) handle: Arc<Handle>,
}

impl UseReader {
    pub(super) const fn new(handle: Arc<Handle>) -> Self {
        Self { handle }
    }

    /// Uses of one activation with their numbers, oldest first, after number `after` (0 is all).
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of(
        &self,
        activation: ActivationId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Use<'static>)>, StoreError> {
        self.handle.read(|source| {
            let blocks = source.open_table(BLOCKS)?;
            let id = activation.to_bytes();
            let mut found = Vec::new();
            // the first of these blocks is the one that `after` lies in, or the next
            for row in blocks.range((id, after.saturating_add(1))..=(id, u64::MAX))? {
                let (key, bytes) = row?;
                let last = key.value().1;
                let uses = block::uses_in(bytes.value(), activation).ok_or_else(damaged)?;
                let numbered = uses.into_iter().rev().zip(0..).map(|(used, place)| (last.saturating_sub(place), used));
                let mut numbered: Vec<_> = numbered.take_while(|(number, _)| *number > after).collect();
                numbered.reverse();
                found.extend(numbered);
                if found.len() >= limit {
                    break;
                }
            }
            found.truncate(limit);
            Ok(found)
        })
    }

    /// Whether there are none at all.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        self.handle.read(|source| Ok(source.open_table(BLOCKS)?.is_empty()?))
    }

    /// Counts the uses of an activation again, and computes their digest from what is written; nothing when there are none.
    ///
    /// # Errors
    /// When the file cannot be read, or what it holds is not what was recorded.
    pub fn recount(&self, activation: ActivationId) -> Result<Option<Stretch>, StoreError> {
        self.handle.read(|source| {
            let blocks = source.open_table(BLOCKS)?;
            let id = activation.to_bytes();
            let (mut count, mut digest) = (0, NOTHING);
            for row in blocks.range((id, 0)..=(id, u64::MAX))? {
                let (key, bytes) = row?;
                let uses = block::uses_in(bytes.value(), activation).ok_or_else(damaged)?;
                count += u64::try_from(uses.len()).unwrap_or(u64::MAX);
                if !block::follows(bytes.value(), &digest) || key.value().1 != count {
                    return Err(StoreError::Damaged(format!("the uses of {activation} up to {count} were changed")));
                }
                digest = block::digest_of(bytes.value()).ok_or_else(damaged)?;
            }
            Ok((count > 0).then(|| Stretch { count, digest: HEXLOWER.encode(&digest) }))
        })
    }

    /// Count and digest of each of these, as they are written; those without uses are left out.
    pub(super) fn stretches(&self, activations: &[ActivationId]) -> Result<Vec<(ActivationId, Stretch)>, StoreError> {
        self.handle.read(|source| {
            let blocks = source.open_table(BLOCKS)?;
            let each = activations.iter().map(|id| Ok(stretch(&blocks, *id)?.map(|stretch| (*id, stretch))));
            each.filter_map(Result::transpose).collect()
        })
    }

    /// Forgets that `activation` waits for its seal, unless more than `stretch` was recorded meanwhile; its uses stay.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn sealed(&self, activation: ActivationId, sealed: &Stretch) -> Result<(), StoreError> {
        let transaction = self.handle.write()?;
        guarded(|| {
            {
                let blocks = transaction.open_table(BLOCKS)?;
                if stretch(&blocks, activation)?.as_ref() == Some(sealed) {
                    transaction.open_table(UNSEALED)?.remove(activation.to_bytes())?;
                }
            }
            Ok(transaction.commit()?)
        })
    }
}

fn stretch(
    blocks: &impl ReadableTable<([u8; 16], u64), &'static [u8]>,
    activation: ActivationId,
) -> Result<Option<Stretch>, StoreError> {
    let id = activation.to_bytes();
    let Some((key, block)) = blocks.range((id, 0)..=(id, u64::MAX))?.next_back().transpose()? else {
        return Ok(None);
    };
    let digest = block::digest_of(block.value()).ok_or_else(damaged)?;
    Ok(Some(Stretch { count: key.value().1, digest: HEXLOWER.encode(&digest) }))
}
