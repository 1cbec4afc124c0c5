//! Checks a chain with nothing but its root public key, and names the first record that is wrong.

use crate::domain::event::Event;
use crate::journal::chain::{self, Sealed, Tip};
use crate::journal::export::{Exported, ReadError};
use crate::journal::record::{Note, Record};
use crate::journal::sign::{PublicKey, ReadyKey};
use crate::journal::upcast;

/// The first record that is wrong, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {sequence}: {wrong}")]
pub struct Fault {
    /// The sequence number at which the chain breaks.
    pub sequence: u64,
    /// What is wrong.
    pub wrong: Wrong,
}

/// What can be wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It is not there: another one follows, or none.
    #[error("it is missing{}", .found.map_or_else(String::new, |found| format!("; record {found} stands in its place")))]
    Missing {
        /// The sequence number found in its place.
        found: Option<u64>,
    },
    /// It does not follow the record before.
    #[error("it does not follow the record before")]
    Link,
    /// Its hash is not that of its content.
    #[error("its hash is not that of its content")]
    Hash,
    /// Its signature is not by the key that was in force.
    #[error("its signature is not by the key that was in force")]
    Signature,
    /// Its bytes are no record.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// Its time lies before that of the record before.
    #[error("its time lies before that of the record before")]
    TimeBackwards,
    /// The time shown beside it is not its time.
    #[error("the time shown beside it is not its time")]
    ShownTime,
    /// Its note is not the one it was written with.
    #[error("its note is not the one it was written with")]
    Note,
    /// It does not begin a chain, or begins one in the middle, or begins that of another key.
    #[error("it does not begin the journal of this root key")]
    Root,
    /// A head kept elsewhere names another hash for it.
    #[error("the head kept elsewhere names another hash")]
    Head,
    /// An anchor was given that tells of another journal.
    #[error("the anchor is one of another journal")]
    ForeignAnchor,
    /// An anchor was given that nobody signed who signed this journal.
    #[error("no key of this journal signed the anchor")]
    UnsignedAnchor,
}

/// A head kept elsewhere: the chain must hold this record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// Its sequence number.
    pub sequence: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// A chain without fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The chain's name.
    pub realm: String,
    /// Its end.
    pub tip: Tip,
    /// Records whose note was erased.
    pub erased: u64,
    /// The keys that signed it, oldest first.
    pub keys: Vec<KeySpan>,
}

/// A key, and from which record on it signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySpan {
    /// The key.
    pub key: PublicKey,
    /// The first record it signs.
    pub since: u64,
}

/// Checks records one after the other. A chain of keys leads from the root key to each later one: every change is a record
/// signed by the key before.
#[derive(Debug)]
pub struct Verifier {
    in_force: ReadyKey,
    keys: Vec<KeySpan>,
    realm: Option<String>,
    tip: Tip,
    erased: u64,
}

impl Verifier {
    /// Checks a chain from its first record.
    #[must_use]
    pub fn new(root: PublicKey) -> Self {
        Self::starting(root, None, Tip::START)
    }

    /// Checks what follows `tip`, which is taken as good; `in_force` is the key that signs the next record.
    #[must_use]
    pub fn after(in_force: PublicKey, realm: String, tip: Tip) -> Self {
        Self::starting(in_force, Some(realm), tip)
    }

    fn starting(key: PublicKey, realm: Option<String>, tip: Tip) -> Self {
        let since = tip.sequence.saturating_add(1);
        Self { in_force: ReadyKey::new(key), keys: vec![KeySpan { key, since }], realm, tip, erased: 0 }
    }

    /// The keys that signed what was checked, oldest first; the last one signs the next record.
    #[must_use]
    pub fn keys(&self) -> &[KeySpan] {
        &self.keys
    }

    /// The key that signs the next record.
    #[must_use]
    pub const fn in_force(&self) -> PublicKey {
        self.in_force.key
    }

    /// The chain's name, once a record told it.
    #[must_use]
    pub fn realm(&self) -> Option<&str> {
        self.realm.as_deref()
    }

    /// How many checked records lack the note they were written with.
    #[must_use]
    pub const fn erased(&self) -> u64 {
        self.erased
    }

    /// The end of what was checked.
    #[must_use]
    pub const fn tip(&self) -> &Tip {
        &self.tip
    }

    /// Checks the next record.
    ///
    /// # Errors
    /// [`Fault`], with the sequence number that had to come.
    pub fn check(&mut self, sequence: u64, sealed: &Sealed, note: Option<&Note>) -> Result<Record, Fault> {
        let expected = self.tip.sequence.saturating_add(1);
        self.judge(expected, sequence, sealed, note).map_err(|wrong| Fault { sequence: expected, wrong })
    }

    fn judge(&mut self, expected: u64, found: u64, sealed: &Sealed, note: Option<&Note>) -> Result<Record, Wrong> {
        if found != expected {
            return Err(Wrong::Missing { found: Some(found) });
        }
        if sealed.previous != self.tip.hash {
            return Err(Wrong::Link);
        }
        // the realm of a whole chain is told by its first record, whose own hash then proves it
        let (told, early) = match &self.realm {
            Some(_) => (None, None),
            None => {
                let record = read(&sealed.core)?;
                (Some(self.root_of(&record)?), Some(record))
            }
        };
        let realm = self.realm.as_deref().or(told.as_deref()).unwrap_or_default();
        if chain::hash(realm, expected, &sealed.previous, &sealed.core) != sealed.hash {
            return Err(Wrong::Hash);
        }
        if !self.in_force.verifies(&sealed.hash, &sealed.signature) {
            return Err(Wrong::Signature);
        }
        let record = match early {
            Some(record) => record,
            None => read(&sealed.core)?,
        };
        if expected > 1 && matches!(record.event, Event::JournalOpened { .. }) {
            return Err(Wrong::Root);
        }
        if record.time < self.tip.time {
            return Err(Wrong::TimeBackwards);
        }
        match (record.detail, note) {
            (Some(digest), Some(note)) if note.digest() == digest && note.detail().is_ok() => {}
            (Some(_), None) => self.erased = self.erased.saturating_add(1),
            (None, None) => {}
            (Some(_) | None, Some(_)) => return Err(Wrong::Note),
        }
        if let Event::KeyRotated { public_key } = &record.event {
            let key = public_key.parse().map_err(|error| Wrong::Unreadable(format!("{error}")))?;
            self.in_force = ReadyKey::new(key);
            self.keys.push(KeySpan { key, since: expected.saturating_add(1) });
        }
        self.realm = self.realm.take().or(told);
        self.tip = Tip { sequence: expected, hash: sealed.hash, time: record.time };
        Ok(record)
    }

    fn root_of(&self, record: &Record) -> Result<String, Wrong> {
        if let Event::JournalOpened { realm, public_key } = &record.event
            && *public_key == self.in_force.key.to_string()
        {
            return Ok(realm.clone());
        }
        Err(Wrong::Root)
    }
}

/// Checks a whole chain, and that it holds the head kept elsewhere, when there is one.
///
/// # Errors
/// The first [`Fault`]. A cut tail shows only against `anchor`.
pub fn verify(
    records: impl IntoIterator<Item = Result<Exported, ReadError>>,
    root: &PublicKey,
    anchor: Option<&Anchor>,
) -> Result<Verified, Fault> {
    let mut verifier = Verifier::new(*root);
    for exported in records {
        let expected = verifier.tip.sequence.saturating_add(1);
        let fault = |wrong| Fault { sequence: expected, wrong };
        let exported = exported.map_err(|error| fault(Wrong::Unreadable(error.to_string())))?;
        let record = verifier.check(exported.sequence, &exported.sealed, exported.note.as_ref())?;
        if !exported.shows(record.time) {
            return Err(fault(Wrong::ShownTime));
        }
        if anchor.is_some_and(|anchor| anchor.sequence == expected && anchor.hash != exported.sealed.hash) {
            return Err(fault(Wrong::Head));
        }
    }
    let Verifier { realm, tip, erased, keys, .. } = verifier;
    let missing = Fault { sequence: tip.sequence.saturating_add(1), wrong: Wrong::Missing { found: None } };
    match realm {
        Some(realm) if anchor.is_none_or(|anchor| anchor.sequence <= tip.sequence) => {
            Ok(Verified { realm, tip, erased, keys })
        }
        Some(_) | None => Err(missing),
    }
}

fn read(core: &[u8]) -> Result<Record, Wrong> {
    upcast::read(core).map_err(|unreadable| Wrong::Unreadable(unreadable.to_string()))
}
