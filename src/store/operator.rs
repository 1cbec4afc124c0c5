//! What the operator does to a store while no hallpass runs on it: each is a record of its own, by the operator.

use std::path::{Path, PathBuf};

use crate::domain::event::{Actor, ChainPoint, Detail, Event};
use crate::domain::time::Timestamp;
use crate::journal::{PublicKey, SignedCheckpoint};
use crate::store::key::{load, make_next};
use crate::store::open::{Trust, take_into_use};
use crate::store::random::random_id;
use crate::store::{Appender, Committed, Header, Opened, Pin, Settings, StoreError, open};

/// A key was rotated.
#[derive(Debug, Clone)]
pub struct Rotated {
    /// The key that signed until now.
    pub former: PublicKey,
    /// The key that signs from now on.
    pub current: PublicKey,
    /// The first record it signs.
    pub since: u64,
    /// Where the former key is kept.
    pub kept: PathBuf,
    /// The new head, signed by the new key.
    pub checkpoint: SignedCheckpoint,
}

/// Lets another key, made now, sign from the next record on. The record that says so is signed by the key in force; the
/// key's file is replaced when that record is durable.
///
/// # Errors
/// As [`open_existing`]; then the key in force is still the one it was.
pub fn rotate_key(settings: &Settings, now: Timestamp, detail: &Detail) -> Result<Rotated, StoreError> {
    let Opened { reader, mut appender } = open_existing(settings, now)?;
    let former = reader.signing_key();
    let next = make_next(&settings.key_path)?;
    let current = *next.public_key();
    let event = Event::KeyRotated { public_key: current.to_string() };
    let committed = append(&mut appender, event, now, detail)?;
    appender.seal_for(&next)?;
    let Trust { chain, pin, .. } = &reader.shared.trust;
    let found = reader.read(|source| Pin::found_in(source, chain, &settings.key_path))?;
    let kept = take_into_use(&settings.key_path, &former, pin.as_ref(), &found)?;
    let checkpoint = reader.checkpoint_by(&next, now)?;
    Ok(Rotated { former, current, since: committed.head.position.next().0, kept, checkpoint })
}

/// Opens a store that is there: nothing is made when it is not.
///
/// # Errors
/// As [`open`]; [`StoreError::Unreadable`] when there is none.
pub fn open_existing(settings: &Settings, now: Timestamp) -> Result<Opened, StoreError> {
    if let Err(error) = std::fs::metadata(&settings.path) {
        // whoever knows which journal should be there says so
        let pin = Pin::beside(&settings.key_path)?;
        return Err(pin.map_or_else(|| StoreError::reading(&settings.path, error), |pin| pin.gone(settings)));
    }
    open(settings, now)
}

/// Records that the operator goes on with this journal although the newest anchor names `expected`, and returns the
/// checkpoint of its new head.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn confirm_head(
    opened: Opened,
    expected: Option<ChainPoint>,
    now: Timestamp,
    detail: &Detail,
) -> Result<SignedCheckpoint, StoreError> {
    let Opened { reader, mut appender } = opened;
    let found = reader.checkpoint(now)?.checkpoint.point();
    append(&mut appender, Event::AnchorConfirmed { expected, found }, now, detail)?;
    reader.checkpoint(now)
}

/// The public half of the key in the file at `path`; none when there is no file.
///
/// # Errors
/// [`StoreError::KeyPermissions`], [`StoreError::Key`], [`StoreError::File`].
pub fn public_key_in_file(path: &Path) -> Result<Option<PublicKey>, StoreError> {
    Ok(load(path)?.map(|key| *key.public_key()))
}

/// The public half of the key in the file at `path`, and the pin beside it.
///
/// # Errors
/// As [`public_key_in_file`]; [`StoreError::Pin`] when the pin is that of another key.
pub fn bound_key_in_file(path: &Path) -> Result<Option<(PublicKey, Option<Pin>)>, StoreError> {
    let Some(key) = public_key_in_file(path)? else { return Ok(None) };
    let pin = Pin::beside(path)?;
    pin.as_ref().map_or(Ok(()), |pin| pin.is_of_key(&key, path))?;
    Ok(Some((key, pin)))
}

fn append(appender: &mut Appender, event: Event, now: Timestamp, detail: &Detail) -> Result<Committed, StoreError> {
    let mut transaction = appender.begin()?;
    // a clock that was set back must not keep the operator from working
    let time = now.max(transaction.head().time);
    let header = Header { command: random_id()?, time, actor: Actor::Operator, idempotency: None };
    transaction.append(&header, &[event], detail)?;
    transaction.commit()
}
