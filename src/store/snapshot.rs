//! One consistent state of the whole journal, to be carried away while the store goes on changing.

use std::collections::BTreeMap;
use std::path::Path;

use redb::{Database, ReadTransaction, ReadableTable};

use crate::domain::standing::Position;
use crate::domain::time::Timestamp;
use crate::journal::backup::Row;
use crate::journal::{Checkpoint, Exported, PublicKey, Sealed, SignedCheckpoint, SigningKey, upcast};
use crate::store::handle::{Handle, guarded};
use crate::store::scratch::Scratch;
use crate::store::tables::{CURSORS, JOURNAL};
use crate::store::{Head, Reader, StoreError, carried, key, rows};

/// The journal at one moment. While it lives the pages it needs are not used again: it should not live for long.
pub struct Snapshot {
    // dropped before the database it reads
    pub(super) source: ReadTransaction,
    pub(super) realm: String,
    pub(super) public_key: PublicKey,
    /// The database, when nobody else keeps it open.
    _own: Option<Handle>,
    /// Where the journal can be folded to look at what comes of it.
    pub(super) scratch: Scratch,
}

impl Reader {
    /// The journal as it is now. Commits go on meanwhile; when the store must be reopened, reading from it fails.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let source = self.shared.handle.begin_read()?;
        let (realm, _) = self.realm()?;
        Ok(Snapshot { source, realm, public_key: self.public_key(), _own: None, scratch: self.shared.scratch.clone() })
    }
}

impl Snapshot {
    /// Of a database that nobody else has open.
    pub(super) fn of(database: Database, scratch: Scratch) -> Result<Self, StoreError> {
        use redb::ReadableDatabase as _;

        let source = database.begin_read()?;
        let text = |name| {
            let bytes = rows::meta(&source, name)?;
            String::from_utf8(bytes).map_err(|_| StoreError::Damaged(format!("`{name}` is no text")))
        };
        let (realm, public_key) = (text("realm")?, text("public_key")?);
        let public_key =
            public_key.parse().map_err(|_| StoreError::Damaged("the public key of the store is none".to_owned()))?;
        Ok(Self { source, realm, public_key, _own: Some(Handle::new(database)), scratch })
    }

    /// The newest record.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn head(&self) -> Result<Head, StoreError> {
        let tip = guarded(|| rows::head(&self.source))?;
        Ok(Head { position: Position(tip.sequence), hash: tip.hash, time: tip.time })
    }

    /// The head, signed at `now` by the key in the file at `path`: the one in force, or nobody believes it.
    ///
    /// # Errors
    /// [`StoreError::KeyMissing`], or what else is wrong with the file or the store.
    pub fn checkpoint_by_file(&self, path: &Path, now: Timestamp) -> Result<SignedCheckpoint, StoreError> {
        let key = key::load(path)?.ok_or_else(|| StoreError::KeyMissing(path.to_owned()))?;
        self.checkpoint_by(&key, now)
    }

    pub(super) fn checkpoint_by(&self, key: &SigningKey, now: Timestamp) -> Result<SignedCheckpoint, StoreError> {
        let Head { position, hash, time } = self.head()?;
        let checkpoint = Checkpoint { realm: self.realm.clone(), sequence: position.0, hash, time: now.max(time) };
        Ok(checkpoint.sign(key))
    }

    /// The chain's name.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The root public key, as the store names it.
    #[must_use]
    pub const fn public_key(&self) -> PublicKey {
        self.public_key
    }

    /// Where those who follow the journal had come to.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn cursors(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        guarded(|| {
            let table = self.source.open_table(CURSORS)?;
            table
                .iter()?
                .map(|entry| {
                    let (name, position) = entry?;
                    Ok((name.value().to_owned(), position.value()))
                })
                .collect()
        })
    }

    /// The rows carried from before what was cut, in order; none when nothing was.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn carried(&self) -> Result<Vec<Row>, StoreError> {
        guarded(|| carried::of_store(&self.source))
    }

    /// Whether this record is here, as it was sealed.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn holds(&self, sequence: u64, sealed: &Sealed) -> Result<bool, StoreError> {
        guarded(|| {
            let row = self.source.open_table(JOURNAL)?.get(sequence)?;
            row.map_or(Ok(false), |row| Ok(rows::sealed_from(row.value())? == *sealed))
        })
    }

    /// Hands every record to `each`, oldest first; its first error ends it.
    ///
    /// # Errors
    /// What `each` says; [`StoreError`] when the store fails or a row is no record.
    pub fn each_record<E: From<StoreError>>(&self, mut each: impl FnMut(Exported) -> Result<(), E>) -> Result<(), E> {
        let mut ended = Ok(());
        guarded(|| {
            for entry in self.source.open_table(JOURNAL)?.iter()? {
                let (sequence, row) = entry?;
                let record = exported(&self.source, sequence.value(), row.value())?;
                ended = each(record);
                if ended.is_err() {
                    return Ok(());
                }
            }
            Ok(())
        })?;
        ended
    }
}

/// A record of `source` as it leaves the store.
pub(super) fn exported(source: &ReadTransaction, sequence: u64, row: &[u8]) -> Result<Exported, StoreError> {
    let sealed = rows::sealed_from(row)?;
    let note = rows::note(source, Position(sequence))?;
    let time = upcast::read(&sealed.core)?.time;
    Ok(Exported::new(sequence, sealed, note, time))
}
