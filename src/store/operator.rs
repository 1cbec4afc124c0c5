//! What the operator does to a store while no hallpass runs on it: each is a record of its own, by the operator.

use std::path::{Path, PathBuf};

use crate::domain::event::{Actor, ChainPoint, Detail, Event};
use crate::domain::id::CommandId;
use crate::domain::time::Timestamp;
use crate::journal::{PublicKey, SignedCheckpoint};
use crate::store::begin::{Succession, create_file};
use crate::store::key::{self, load, load_or_make, make_next};
use crate::store::open::{Trust, random, take_into_use};
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

/// A journal began that names the one before.
#[derive(Debug, Clone)]
pub struct Successor {
    /// Its root key.
    pub root: PublicKey,
    /// Its head.
    pub checkpoint: SignedCheckpoint,
}

/// Begins a new journal with a new key, whose second record names where the one before, with root key `root`, was verified
/// to end. Neither the store's file nor the key's may exist, save a key that was made for this and not used yet. The lost
/// key's pin, which must be of that journal, is kept as that of a retired key.
///
/// # Errors
/// [`StoreError`]; nothing that exists is replaced. Cut off on the way, the pin of the lost key keeps hallpass from starting.
pub fn begin_successor(
    settings: &Settings,
    predecessor: ChainPoint,
    root: &PublicKey,
    now: Timestamp,
    detail: Detail,
) -> Result<Successor, StoreError> {
    let Settings { path, key_path } = settings;
    let taken = |path| Err(StoreError::file(path, std::io::ErrorKind::AlreadyExists.into()));
    if path.try_exists().map_err(|error| StoreError::file(path, error))? {
        return taken(path);
    }
    let pin = Pin::beside(key_path)?;
    if let Some(key) = load(key_path)?
        && pin.as_ref().is_none_or(|pin| pin.key == *key.public_key())
    {
        return taken(key_path);
    }
    if let Some(pin) = &pin {
        pin.is_of(&predecessor.realm, *root)?;
        pin.is_reached_by(predecessor.sequence)?;
    }
    key::folder_of(key_path)?;
    let key = load_or_make(key_path)?;
    let event = Event::JournalSucceeded { predecessor, public_key: root.to_string() };
    create_file(path, &key, now, Some(Succession { event, detail }))?;
    if let Some(pin) = pin {
        pin.retire(key_path)?;
    }
    let Opened { reader, .. } = open(settings, now)?;
    Ok(Successor { root: reader.public_key(), checkpoint: reader.checkpoint(now)? })
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
    let header = Header { command: CommandId::from_random(random()?), time, actor: Actor::Operator, idempotency: None };
    transaction.append(&header, &[event], detail)?;
    transaction.commit()
}
