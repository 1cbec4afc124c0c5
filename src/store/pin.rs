//! The pin beside a signing key: which journal the key signs.
//!
//! The root key that a store names is the store's own word, and a public key is no secret. So whoever can write the store,
//! without any key, could put a journal there that begins with a root key and rights of their own and ends with a rotation to
//! ours; and a store that is gone would look like a first start. The pin lies where the key does, out of that reach, and
//! says the realm, the root key, and which record put the key in force: its hash covers all that came before, so not even a
//! former key can change that any more. What the key itself signs from there on nobody else can.
//!
//! A key without a pin is bound to the journal it is first found with. Rejected (2026-11): a pin in the configuration, because
//! nobody would copy it there; the root key alone, because a retired key could still write another history behind it.

use std::fmt;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use redb::ReadTransaction;
use serde::{Deserialize, Serialize};

use crate::domain::event::ChainPoint;
use crate::domain::standing::Position;
use crate::journal::verify::{Fault, Wrong};
use crate::journal::{PublicKey, Sealed, chain};
use crate::private_file::{self, PrivateFileError};
use crate::store::key::{PIN, beside, retired_path};
use crate::store::open::{Chain, about, format};
use crate::store::tables::{FORMAT, Source};
use crate::store::{Settings, StoreError, rows};

/// Which journal a key signs, as the file beside the key says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The record that put the key in force.
    pub since: ChainPoint,
    /// The journal's root key.
    pub root: PublicKey,
    /// The public half of the key that is pinned.
    pub key: PublicKey,
    /// Where this is said.
    path: PathBuf,
}

impl Pin {
    /// The pin of the key at `key_path`; none when there is no such file.
    ///
    /// # Errors
    /// [`StoreError::Pin`] when it says nothing that can be read, or others may write it.
    pub fn beside(key_path: &Path) -> Result<Option<Self>, StoreError> {
        let path = path_beside(key_path);
        let read = private_file::read(&path, PIN_BYTES_MAX).map_err(|error| match error {
            PrivateFileError::Io { path, source } => StoreError::File { path, source },
            other => unreadable(&path, &other),
        })?;
        let Some(bytes) = read else { return Ok(None) };
        let written: Written = serde_json::from_slice(&bytes).map_err(|error| unreadable(&path, &error))?;
        let Written { version, realm, root_key, signing_key, sequence, hash } = written;
        if version != VERSION {
            return Err(unreadable(&path, &format!("version {version} is not known; run the hallpass that wrote it")));
        }
        let key = |text: &str| text.parse::<PublicKey>().map_err(|error| unreadable(&path, &error));
        let (root, key) = (key(&root_key)?, key(&signing_key)?);
        Ok(Some(Self { since: ChainPoint { realm, sequence, hash }, root, key, path }))
    }

    /// What a pin of the key in force in this journal says, for the key at `key_path`.
    pub(super) fn found_in(source: &impl Source, chain: &Chain, key_path: &Path) -> Result<Self, StoreError> {
        let in_force = rows::keys(source, chain.root)?.pop();
        let (key, since) = in_force.map_or((chain.root, 1), |span| (span.key, span.since));
        // the record before the first that it signs named it; the root key named itself
        let sequence = since.saturating_sub(1).max(1);
        let sealed = rows::existing(rows::sealed(source, Position(sequence))?)?;
        if hash_of(&chain.realm, sequence, &sealed) != sealed.hash {
            return Err(not_its_hash(sequence));
        }
        let since = ChainPoint { realm: chain.realm.clone(), sequence, hash: HEXLOWER.encode(&sealed.hash) };
        Ok(Self { since, root: chain.root, key, path: path_beside(key_path) })
    }

    /// Puts it beside the key at `key_path`, for whoever has the key, in the place of another one. Durable when this returns.
    pub(super) fn write(&self, key_path: &Path) -> Result<(), StoreError> {
        self.write_for(key_path, key_path)
    }

    /// The same for the key at `key_path`, as whoever has the one at `like`.
    fn write_for(&self, key_path: &Path, like: &Path) -> Result<(), StoreError> {
        let ChainPoint { realm, sequence, hash } = &self.since;
        let written = Written {
            version: VERSION,
            realm: realm.clone(),
            root_key: self.root.to_string(),
            signing_key: self.key.to_string(),
            sequence: *sequence,
            hash: hash.clone(),
        };
        let path = path_beside(key_path);
        let mut text = serde_json::to_vec_pretty(&written).map_err(|error| unreadable(&path, &error))?;
        text.push(b'\n');
        private_file::replace_like(&path, &text, like).map_err(|error| StoreError::file(&path, error))
    }

    /// Whether the journal of this realm and root key is the one.
    ///
    /// # Errors
    /// [`StoreError::AnotherJournal`].
    pub fn is_of(&self, realm: &str, root: PublicKey) -> Result<(), StoreError> {
        let pinned = &self.since.realm;
        if realm != pinned {
            return Err(self.another(format!("it is that of realm {realm}, and the key signs that of realm {pinned}")));
        }
        if root != self.root {
            return Err(
                self.another(format!("it names the root key {root}, and the key's journal began with {}", self.root))
            );
        }
        Ok(())
    }

    /// Whether a journal that ends at record `head` can be the one.
    ///
    /// # Errors
    /// [`StoreError::AnotherJournal`].
    pub fn is_reached_by(&self, head: u64) -> Result<(), StoreError> {
        let sequence = self.since.sequence;
        if head < sequence {
            return Err(self.another(format!(
                "it ends with record {head}, before record {sequence} put this key in force: an older copy, which goes on \
                 only with the key that signed then, kept as `….retired-…` with a pin of its own"
            )));
        }
        Ok(())
    }

    /// Whether this record of the journal, if it is the one that put the key in force, is as it was then.
    ///
    /// # Errors
    /// [`StoreError::AnotherJournal`]; [`StoreError::Damaged`] when it is that one, but its hash is not that of its content.
    pub fn knows(&self, sequence: u64, sealed: &Sealed) -> Result<(), StoreError> {
        if sequence != self.since.sequence {
            return Ok(());
        }
        let made = HEXLOWER.encode(&hash_of(&self.since.realm, sequence, sealed));
        let named = HEXLOWER.encode(&sealed.hash);
        match (made == self.since.hash, named == self.since.hash) {
            (true, true) => Ok(()),
            (true, false) | (false, true) => Err(not_its_hash(sequence)),
            (false, false) => Err(self.another(format!(
                "its record {sequence} is not the one that put the key in force: what came before was written anew"
            ))),
        }
    }

    /// Whether the journal in `source` is the one.
    pub(super) fn holds(&self, source: &impl Source, chain: &Chain) -> Result<(), StoreError> {
        self.is_of(&chain.realm, chain.root)?;
        self.is_reached_by(rows::head(source)?.sequence)?;
        let sequence = self.since.sequence;
        match rows::sealed(source, Position(sequence))? {
            Some(sealed) => self.knows(sequence, &sealed),
            None => Err(StoreError::Damaged(Fault { sequence, wrong: Wrong::Missing { found: None } }.to_string())),
        }
    }

    /// It must be that of `key`, which is in force.
    pub(super) fn is_of_key(&self, key: &PublicKey, key_path: &Path) -> Result<(), StoreError> {
        if self.key == *key {
            return Ok(());
        }
        let key_path = key_path.display();
        let told = format!(
            "it is of the key {}, and that in `{key_path}` is {key}: put the pin there that belongs to it",
            self.key
        );
        Err(unreadable(&self.path, &told))
    }

    /// There is no store where `settings` say.
    pub(super) fn gone(&self, settings: &Settings) -> StoreError {
        StoreError::JournalGone {
            realm: self.since.realm.as_str().into(),
            path: settings.path.as_path().into(),
            pin: self.path.as_path().into(),
        }
    }

    /// Keeps it beside the retired key as well.
    pub(super) fn keep(&self, key_path: &Path) -> Result<(), StoreError> {
        self.write_for(&retired_path(key_path, &self.key), key_path)
    }

    /// Keeps it as if its key were retired, and frees its own name.
    pub(super) fn retire(&self, key_path: &Path) -> Result<(), StoreError> {
        self.keep(key_path)?;
        private_file::remove(&self.path).map_err(|error| StoreError::file(&self.path, error))
    }

    fn another(&self, why: String) -> StoreError {
        StoreError::AnotherJournal { why, pin: self.path.clone() }
    }
}

/// What a key without a pin is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A store that was there.
    Store,
    /// A journal that was begun just now.
    Nothing,
}

/// Binds a key that has no pin to the journal it was found with. Where nothing may be written beside the key, as where a
/// platform mounts it, that is told and changes nothing else: the pin can be put there as the key was.
pub(super) fn bind(pin: &Pin, key_path: &Path, found: Found) -> Result<(), StoreError> {
    let (file, realm, root_key) = (pin.path.display(), &pin.since.realm, &pin.root);
    match pin.write(key_path) {
        Ok(()) if found == Found::Store => tracing::warn!(
            %file,
            realm,
            %root_key,
            "the signing key had no pin, and is bound to the journal that was found from now on. So it is after a restore, or \
             after an update from a version without pins; otherwise somebody took the pin away, and may have changed the \
             journal: hold it against its root key and its anchors with `hallpass audit verify`"
        ),
        Ok(()) => tracing::info!(%file, realm, %root_key, "the signing key is bound to this journal from now on"),
        Err(error @ (StoreError::ReadOnly { .. } | StoreError::Full(_))) => tracing::error!(
            %file,
            realm,
            %root_key,
            signing_key = %pin.key,
            sequence = pin.since.sequence,
            hash = pin.since.hash,
            %error,
            "the pin that binds the signing key to this journal cannot be written: whoever can write the store can put another \
             journal in its place. Let the folder be written, or put the pin there yourself"
        ),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    realm: String,
    root_key: String,
    signing_key: String,
    sequence: u64,
    hash: String,
}

fn path_beside(key_path: &Path) -> PathBuf {
    beside(key_path, PIN)
}

fn hash_of(realm: &str, sequence: u64, sealed: &Sealed) -> [u8; 32] {
    chain::hash(realm, sequence, &sealed.previous, &sealed.core)
}

fn not_its_hash(sequence: u64) -> StoreError {
    StoreError::Damaged(Fault { sequence, wrong: Wrong::Hash }.to_string())
}

fn unreadable(path: &Path, why: &dyn fmt::Display) -> StoreError {
    StoreError::Pin { path: path.to_owned(), why: why.to_string() }
}

/// The journal must be the one that the key is bound to.
pub(super) fn is_pinned(source: &ReadTransaction, pin: &Pin) -> Result<(), StoreError> {
    // a later version may keep it otherwise, and is refused for that
    if format(source)? <= FORMAT { pin.holds(source, &about(source)?) } else { Ok(()) }
}

const VERSION: u32 = 1;
/// Many times what one takes.
const PIN_BYTES_MAX: usize = 4096;
