//! The beginning of a journal: a store with its first record, made as a whole or not at all.

use std::io;
use std::path::Path;
use std::sync::Arc;

use redb::Database;

use crate::domain::event::{Actor, Detail, Event};
use crate::domain::time::Timestamp;
use crate::journal::{SigningKey, Tip};
use crate::store::append::Draft;
use crate::store::build::Fresh;
use crate::store::fold::Folded;
use crate::store::handle::begin_write;
use crate::store::open::{make_tables, write_meta};
use crate::store::random::{random, random_id};
use crate::store::seal::Seals;
use crate::store::{Header, StoreError};

/// A new store under its final name only when its first record is durable.
pub(super) fn create_file(
    path: &Path,
    key: &SigningKey,
    now: Timestamp,
    succession: Option<Succession>,
) -> Result<(), StoreError> {
    let fresh = Fresh::beside(path)?;
    let database = fresh.database()?;
    begin_journal(&database, key, now, succession)?;
    database.close()?;
    match fresh.place() {
        // another process was faster: its store counts, and its lock decides
        Err(StoreError::File { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        placed => placed,
    }
}

/// What a new journal says of the one before it, and in whose words.
pub(super) struct Succession {
    pub(super) event: Event,
    pub(super) detail: Detail,
}

/// Writes the first record, and what makes a store of an empty database.
pub(super) fn begin_journal(
    database: &Database,
    key: &SigningKey,
    now: Timestamp,
    succession: Option<Succession>,
) -> Result<(), StoreError> {
    let realm = data_encoding::HEXLOWER.encode(&random::<16>()?);
    let public_key = key.public_key().to_string();
    let transaction = begin_write(database)?;
    make_tables(&transaction)?;
    write_meta(&transaction, &realm, &public_key)?;
    let header = Header { command: random_id()?, time: now, actor: Actor::Hallpass, idempotency: None };
    let mut draft = Draft::new(Tip::START, Folded::new(Arc::new(Seals::new(key, &realm))));
    let opened = Event::JournalOpened { realm: realm.clone(), public_key };
    draft.append(&transaction, key, &realm, &header, &[opened], &Detail::default())?;
    if let Some(Succession { event, detail }) = succession {
        let header = Header { command: random_id()?, actor: Actor::Operator, ..header };
        draft.append(&transaction, key, &realm, &header, &[event], &detail)?;
    }
    draft.write_head(&transaction)?;
    Ok(transaction.commit()?)
}
