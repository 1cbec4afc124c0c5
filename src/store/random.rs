//! Chance: ids of commands, names of journals, salts.

use crate::domain::id::CommandId;
use crate::store::StoreError;

/// A fresh id of a command.
///
/// # Errors
/// [`StoreError::Randomness`].
pub(crate) fn random_id() -> Result<CommandId, StoreError> {
    random().map(CommandId::from_random)
}

/// Fresh random bytes.
///
/// # Errors
/// [`StoreError::Randomness`].
pub(super) fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| StoreError::Randomness)?;
    Ok(bytes)
}
