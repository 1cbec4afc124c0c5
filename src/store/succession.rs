//! A journal that follows another one, whose signing key was lost.
//!
//! It is begun in three steps: the new key, the new store, and the lost key's pin put aside. Whoever is cut off in between
//! gives the same command once more; until then that pin keeps hallpass from starting.

use std::path::Path;

use crate::domain::event::{ChainPoint, Detail, Event};
use crate::domain::time::Timestamp;
use crate::journal::verify::Verifier;
use crate::journal::{PublicKey, SignedCheckpoint};
use crate::store::begin::{Succession, create_file};
use crate::store::key::{load, load_or_make};
use crate::store::{Opened, Pin, Settings, StoreError, open, stopped};

/// A journal began that names the one before.
#[derive(Debug, Clone)]
pub struct Successor {
    /// Its root key.
    pub root: PublicKey,
    /// Its head.
    pub checkpoint: SignedCheckpoint,
}

/// How far the successor of a journal has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// There is none yet.
    No,
    /// Its store is there, and nothing has followed its beginning: it was cut off, or just done.
    Yes(PublicKey),
}

/// Begins a new journal with a new key, whose second record names where the one before, with root key `root`, was verified
/// to end. Neither the store's file nor the key's may exist, save what was made by the same and cut off. The lost key's pin,
/// which must be of that journal, is kept as that of a retired key.
///
/// # Errors
/// [`StoreError`]; nothing that exists is replaced.
pub fn begin_successor(
    settings: &Settings,
    predecessor: ChainPoint,
    root: &PublicKey,
    now: Timestamp,
    detail: Detail,
) -> Result<Successor, StoreError> {
    let Settings { path, key_path } = settings;
    let begun = begun_successor(settings, &predecessor, root)?;
    let mut pin = Pin::beside(key_path)?;
    if let Begun::Yes(own) = begun {
        pin = pin.filter(|pin| pin.key != own);
    } else {
        if path.try_exists().map_err(|error| StoreError::file(path, error))? {
            return Err(taken(path));
        }
        if let Some(key) = load(key_path)?
            && pin.as_ref().is_none_or(|pin| pin.key == *key.public_key())
        {
            return Err(taken(key_path));
        }
    }
    if let Some(pin) = &pin {
        pin.is_of(&predecessor.realm, *root)?;
        pin.is_reached_by(predecessor.sequence)?;
    }
    if begun == Begun::No {
        let key = load_or_make(key_path)?;
        let event = Event::JournalSucceeded { predecessor, public_key: root.to_string() };
        create_file(path, &key, now, Some(Succession { event, detail }))?;
    }
    if let Some(pin) = pin {
        pin.retire(key_path)?;
    }
    let Opened { reader, .. } = open(settings, now)?;
    Ok(Successor { root: reader.public_key(), checkpoint: reader.checkpoint(now)? })
}

/// Whether the store of `settings` is nothing but the beginning, signed by the key of `settings`, of a journal that follows the
/// one with root key `root` that ends at `predecessor`.
///
/// # Errors
/// [`StoreError`] when one of the files cannot be read; [`StoreError::Locked`] while a process runs on the store.
pub fn begun_successor(settings: &Settings, predecessor: &ChainPoint, root: &PublicKey) -> Result<Begun, StoreError> {
    let Settings { path, key_path } = settings;
    if !path.try_exists().map_err(|error| StoreError::reading(path, error))? {
        return Ok(Begun::No);
    }
    let Some(key) = load(key_path)? else { return Ok(Begun::No) };
    let snapshot = stopped::snapshot(path)?;
    if snapshot.head()?.position.0 != BEGINNING {
        return Ok(Begun::No);
    }
    let (mut verifier, mut follows) = (Verifier::new(*key.public_key()), false);
    snapshot.each_record(|record| {
        let checked = verifier.check(record.sequence, &record.sealed, record.note.as_ref());
        follows = checked.is_ok_and(|record| match record.event {
            Event::JournalSucceeded { predecessor: named, public_key } => {
                named == *predecessor && public_key == root.to_string()
            }
            _ => false,
        });
        Ok::<_, StoreError>(())
    })?;
    Ok(if follows { Begun::Yes(*key.public_key()) } else { Begun::No })
}

fn taken(path: &Path) -> StoreError {
    StoreError::file(path, std::io::ErrorKind::AlreadyExists.into())
}

/// The last record of a beginning: the journal is opened, and names the one before.
const BEGINNING: u64 = 2;
