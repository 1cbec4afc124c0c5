//! Opening and creating: what is there is checked before anybody relies on it, and never replaced.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Builder, Database, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata};
use redb::{StorageBackend, WriteTransaction};

use crate::domain::event::Event;
use crate::domain::standing::Position;
use crate::domain::time::Timestamp;
use crate::journal::upcast;
use crate::journal::verify::{Fault, Verifier, Wrong};
use crate::journal::{Cut, PublicKey, SigningKey, Tip};
use crate::store::append::{write_head, write_seal};
use crate::store::begin::{begin_journal, create_file};
use crate::store::handle::{begin_write, by_name_alone, guarded};
use crate::store::key::{clear_unfinished, load, load_or_make, next_key, retired_suffix, take_next, tell_who_may_read};
use crate::store::lent::Lent;
use crate::store::pin::{Found, Pin, bind, is_pinned};
use crate::store::rebuild::{compare, is_head, refold};
use crate::store::scratch::Scratch;
use crate::store::seal::{Seals, Sums};
use crate::store::tables::{CARRIED, CURSORS, FORMAT, JOURNAL, META, NOTES, Rows, Source};
use crate::store::{CACHE_BYTES, Settings, StoreError, rows};

/// Where a database comes from, again and again.
pub(super) enum Place {
    /// A file.
    File(PathBuf),
    /// Storage handed in.
    Backend(Arc<dyn StorageBackend>),
}

/// A database that was opened and checked.
pub(super) struct Checked {
    /// It.
    pub(super) database: Database,
    /// What its chain hangs on.
    pub(super) chain: Chain,
    /// The seals of its rows.
    pub(super) sums: Sums,
}

/// What a database must agree with.
pub(super) struct Trust {
    /// Signs the next record.
    pub(super) key: SigningKey,
    /// What the chain hangs on.
    pub(super) chain: Chain,
    /// What binds the key to the chain; storage that was handed in has none.
    pub(super) pin: Option<Pin>,
}

/// What every record of one journal has in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    /// The chain's name.
    pub(super) realm: String,
    /// The key named by the first record.
    pub(super) root: PublicKey,
}

/// The key and the database of `settings`, both made at first start, and bound to each other.
pub(super) fn open_files(settings: &Settings, now: Timestamp) -> Result<(Place, Checked, Trust), StoreError> {
    let Settings { path, key_path } = settings;
    let place = Place::File(path.clone());
    let pin = Pin::beside(key_path)?;
    let is_there = path.try_exists().map_err(|error| StoreError::file(path, error))?;
    let key = match (is_there, &pin) {
        (true, _) => load(key_path)?.ok_or_else(|| StoreError::KeyMissing(key_path.clone()))?,
        (false, Some(pin)) => return Err(pin.gone(settings)),
        (false, None) => {
            let key = load_or_make(key_path)?;
            create_file(path, &key, now, None)?;
            key
        }
    };
    let (key, checked, pin) = match place.open_checked(&key, pin.as_ref()) {
        Ok(checked) => (key, checked, pin),
        // a rotation that was cut off between its record and its file is finished now
        Err(StoreError::Foreign(why)) => match next_key(key_path)? {
            Some(next) => {
                let checked = place.open_checked(&next, pin.as_ref()).map_err(|error| match error {
                    // not that key's either: then what counts is the one in its place
                    StoreError::Foreign(_) => StoreError::Foreign(why),
                    other => other,
                })?;
                let found = checked.pin(key_path)?;
                take_into_use(key_path, key.public_key(), pin.as_ref(), &found)?;
                (next, checked, Some(found))
            }
            None => return Err(StoreError::Foreign(why)),
        },
        Err(error) => return Err(error),
    };
    let chain = checked.chain.clone();
    if !is_there {
        let root_key = chain.root;
        tracing::warn!(realm = chain.realm, %root_key, store = %path.display(), "a new journal was begun");
    }
    let pin = match pin {
        Some(pin) => pin,
        None => {
            let found = checked.pin(key_path)?;
            bind(&found, key_path, if is_there { Found::Store } else { Found::Nothing })?;
            found
        }
    };
    pin.is_of_key(key.public_key(), key_path)?;
    // whoever has the store open has its keys to themselves
    clear_unfinished(key_path)?;
    Ok((place, checked, Trust { key, chain, pin: Some(pin) }))
}

/// Makes the next key the one in use, when the record that names it is durable: `former` and its pin stay beside it.
pub(super) fn take_into_use(
    key_path: &Path,
    former: &PublicKey,
    pin: Option<&Pin>,
    next: &Pin,
) -> Result<PathBuf, StoreError> {
    // cut off behind this, the pin is that of the next key already, and the former one's was kept
    if let Some(pin) = pin.filter(|pin| pin.key == *former) {
        pin.keep(key_path)?;
    }
    next.write(key_path)?;
    take_next(key_path, former)
}

/// The database in `backend`, begun when it holds nothing at all.
pub(super) fn open_storage(
    backend: Arc<dyn StorageBackend>,
    key: SigningKey,
    now: Timestamp,
) -> Result<(Place, Checked, Trust), StoreError> {
    let place = Place::Backend(backend);
    let checked = guarded(|| {
        let database = place.open()?;
        if database.begin_read()?.list_tables()?.next().is_none() {
            begin_journal(&database, &key, now, None)?;
        }
        bring_up(&database, &key)?;
        check(database, &key, &place.scratch())
    })?;
    let chain = checked.chain.clone();
    Ok((place, checked, Trust { key, chain, pin: None }))
}

impl Checked {
    /// The pin of the key in force, for the key at `key_path`.
    fn pin(&self, key_path: &Path) -> Result<Pin, StoreError> {
        Pin::found_in(&self.database.begin_read()?, &self.chain, key_path)
    }
}

impl Place {
    /// Opens what is there and checks it; returns what its chain hangs on with it.
    pub(super) fn open_checked(&self, key: &SigningKey, pin: Option<&Pin>) -> Result<Checked, StoreError> {
        // the guard also covers closing what turns out to be damaged
        guarded(|| {
            let database = self.open()?;
            // before anything is written: another's journal stays as it is
            if let Some(pin) = pin {
                is_pinned(&database.begin_read()?, pin)?;
            }
            bring_up(&database, key)?;
            check(database, key, &self.scratch())
        })
    }

    /// Where its journal can be folded to look at what comes of it.
    pub(super) fn scratch(&self) -> Scratch {
        match self {
            Self::File(path) => Scratch::beside(path),
            Self::Backend(_) => Scratch::Memory,
        }
    }

    fn open(&self) -> Result<Database, StoreError> {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        match self {
            Self::File(path) => {
                let length = fs::metadata(path).map_err(|error| StoreError::file(path, error))?.len();
                if length == 0 {
                    return Err(StoreError::Damaged(format!("`{}` is empty", path.display())));
                }
                builder.set_check_integrity_on_open(length <= CHECKED_BYTES_MAX);
                tell_who_may_read(path);
                by_name_alone(path, || {
                    builder.open(path).map_err(|error| match error {
                        redb::DatabaseError::Storage(redb::StorageError::Io(error)) => match error.kind() {
                            io::ErrorKind::InvalidData => {
                                StoreError::Damaged(format!("`{}` is no hallpass store: {error}", path.display()))
                            }
                            _ => StoreError::file(path, error),
                        },
                        other => other.into(),
                    })
                })
            }
            Self::Backend(backend) => Ok(builder.create_with_backend(Lent(Arc::clone(backend)))?),
        }
    }
}

/// Makes every table, so that readers find them.
pub(super) fn make_tables(transaction: &WriteTransaction) -> Result<(), StoreError> {
    transaction.open_table(META)?;
    transaction.open_table(JOURNAL)?;
    transaction.open_table(NOTES)?;
    transaction.open_table(CURSORS)?;
    transaction.open_table(CARRIED)?;
    for rows in Rows::ALL {
        transaction.open_table(rows.definition())?;
    }
    Ok(())
}

/// Writes what the whole store is about.
pub(super) fn write_meta(transaction: &WriteTransaction, realm: &str, public_key: &str) -> Result<(), StoreError> {
    let mut meta = transaction.open_table(META)?;
    meta.insert("format", FORMAT.to_be_bytes().as_slice())?;
    meta.insert("realm", realm.as_bytes())?;
    meta.insert("public_key", public_key.as_bytes())?;
    Ok(())
}

/// Folds the tables of an older format anew from the journal; what is of this format, or unknown, is left as it is.
fn bring_up(database: &Database, key: &SigningKey) -> Result<(), StoreError> {
    let found = format(&database.begin_read()?)?;
    if !(1..FORMAT).contains(&found) {
        return Ok(());
    }
    let Chain { realm, root } = about(&database.begin_read()?)?;
    tracing::info!(store.format = found, "the tables are of an older format and are made anew from the journal");
    let transaction = begin_write(database)?;
    for table in Rows::ALL {
        transaction.delete_table(table.definition())?;
    }
    make_tables(&transaction)?;
    let (tip, folded) = refold(&transaction, root, Seals::new(key, &realm))?;
    // a cut tail must not vanish with the old tables
    is_head(&transaction, &tip)?;
    is_in_force(key, &transaction, root, tip.sequence)?;
    write_meta(&transaction, &realm, &root.to_string())?;
    write_head(&transaction, &tip)?;
    write_seal(&transaction, &tip, &folded)?;
    Ok(transaction.commit()?)
}

pub(super) fn format(source: &ReadTransaction) -> Result<u32, StoreError> {
    Ok(u32::from_be_bytes(crate::store::tables::fixed(&rows::meta(source, "format")?)?))
}

/// What the store says its chain hangs on.
pub(super) fn about(source: &ReadTransaction) -> Result<Chain, StoreError> {
    let text = |name| {
        String::from_utf8(rows::meta(source, name)?).map_err(|_| StoreError::Damaged(format!("`{name}` is no text")))
    };
    let (realm, public_key) = (text("realm")?, text("public_key")?);
    let root = public_key.parse().map_err(|_| StoreError::Damaged("the root public key is none".to_owned()))?;
    Ok(Chain { realm, root })
}

/// The key of this hallpass must be the one in force.
fn is_in_force(key: &SigningKey, source: &impl Source, root: PublicKey, last: u64) -> Result<(), StoreError> {
    let in_force = rows::key_after(source, root, Position(last))?;
    if in_force == *key.public_key() {
        Ok(())
    } else {
        let kept = retired_suffix(&in_force);
        Err(StoreError::Foreign(format!(
            "it is signed with the public key {in_force}; if that key was retired it is kept as `…{kept}` beside the one that \
             took its place, and if it is lost for good, see `hallpass key lost --help`"
        )))
    }
}

/// Checks format, key, head, the last thousand records, and that the rows that grant are those that were written.
fn check(database: Database, key: &SigningKey, scratch: &Scratch) -> Result<Checked, StoreError> {
    let source = database.begin_read()?;
    let (chain, head) = check_journal(&source, key)?;
    let seals = Seals::new(key, &chain.realm);
    let sums = seals.sums_of(&source)?;
    let seal = source.open_table(META)?.get("seal")?.map(|seal| seal.value().to_vec());
    if seal.is_some_and(|seal| seals.vouches_for(&head, &sums, &seal)) {
        drop(source);
        return Ok(Checked { database, chain, sums });
    }
    // made anew without the key, or sealed by a former one: the journal itself has the last word
    tracing::warn!("the rows of the store are not sealed by this key; comparing all of them with the journal");
    let folded = compare(&source, chain.root, seals, scratch, |_| {})?.folded;
    drop(source);
    let transaction = begin_write(&database)?;
    write_seal(&transaction, &head, &folded)?;
    transaction.commit()?;
    Ok(Checked { database, chain, sums })
}

fn check_journal(source: &ReadTransaction, key: &SigningKey) -> Result<(Chain, Tip), StoreError> {
    let found = format(source)?;
    if found != FORMAT {
        return Err(StoreError::UnknownVersion { found, known: FORMAT });
    }
    let chain = about(source)?;
    let head = rows::head(source)?;
    is_in_force(key, source, chain.root, head.sequence)?;
    let applied = u64::from_be_bytes(crate::store::tables::fixed(&rows::meta(source, "applied")?)?);
    if applied != head.sequence {
        return Err(StoreError::Damaged(format!("rows are folded up to {applied}, the head is {}", head.sequence)));
    }
    let journal = source.open_table(JOURNAL)?;
    let last = journal.last()?.map_or(0, |(sequence, _)| sequence.value());
    let cut = signed_cut(source, &chain)?;
    let gone = cut.as_ref().map_or(0, Cut::count);
    if last != head.sequence || journal.len()?.saturating_add(gone) != head.sequence {
        let there = journal.len()?;
        let told = format!("the head is {}, the last record {last}, {there} are there, {gone} were cut", head.sequence);
        return Err(StoreError::Damaged(told));
    }
    let tip = verify_tail(source, &chain, cut.as_ref(), head.sequence)?;
    if tip != head {
        return Err(StoreError::Damaged("the head is not that of the last record".to_owned()));
    }
    Ok((chain, head))
}

/// What was cut, as the newest record of a cut states it, when the key in force signed that.
fn signed_cut(source: &ReadTransaction, Chain { realm, root }: &Chain) -> Result<Option<Cut>, StoreError> {
    let Some(cut) = rows::cut(source)? else { return Ok(None) };
    let before = Position(cut.by.saturating_sub(1));
    let sealed = rows::existing(rows::sealed(source, Position(cut.by))?)?;
    let in_force = rows::key_after(source, *root, before)?;
    let note = rows::note(source, Position(cut.by))?;
    let tip = Tip { sequence: before.0, hash: sealed.previous, time: Timestamp::MIN };
    Verifier::after(in_force, realm.clone(), tip)
        .check(cut.by, &sealed, note.as_ref())
        .map_err(|fault| not_verified(&sealed.core, &fault))?;
    Ok(Some(cut))
}

fn verify_tail(
    source: &ReadTransaction,
    Chain { realm, root }: &Chain,
    cut: Option<&Cut>,
    last: u64,
) -> Result<Tip, StoreError> {
    let newest = last.saturating_sub(VERIFIED_AT_OPEN).saturating_add(1).max(1);
    let first = cut.map_or(newest, |cut| newest.max(cut.last().saturating_add(1)));
    let mut verifier = if first == 1 {
        Verifier::new(*root)
    } else {
        let before = Position(first.saturating_sub(1));
        let tip = match cut {
            Some(cut) if cut.last() == before.0 => Tip { sequence: before.0, hash: cut.hash, time: cut.until },
            Some(_) | None => {
                let sealed = rows::existing(rows::sealed(source, before)?)?;
                let time = upcast::read(&sealed.core)?.time;
                Tip { sequence: before.0, hash: sealed.hash, time }
            }
        };
        Verifier::after(rows::key_after(source, *root, before)?, realm.clone(), tip)
    };
    for entry in source.open_table(JOURNAL)?.range(first..)? {
        let (sequence, row) = entry?;
        let sequence = sequence.value();
        let note = rows::note(source, Position(sequence))?;
        let sealed = rows::sealed_from(row.value())?;
        let record =
            verifier.check(sequence, &sealed, note.as_ref()).map_err(|fault| not_verified(&sealed.core, &fault))?;
        if let Event::JournalOpened { realm: begun, .. } = record.event
            && begun != *realm
        {
            return Err(StoreError::Foreign(format!("its journal is that of realm {begun}")));
        }
    }
    Ok(*verifier.tip())
}

/// What a fault of a record means: one that is authentic but of a later version is no damage.
fn not_verified(core: &[u8], fault: &Fault) -> StoreError {
    match (&fault.wrong, upcast::read(core)) {
        (Wrong::Later(_), Err(why)) => StoreError::UnknownRecord { sequence: fault.sequence, why },
        _ => StoreError::Damaged(fault.to_string()),
    }
}

/// Up to this size every page's checksum is verified at every start, at one to three seconds for each GiB; beyond it that
/// would take longer than a start may. Without it redb trusts pages, and may panic over those that somebody changed.
const CHECKED_BYTES_MAX: u64 = 4 << 30;
/// So many records are verified at every start.
const VERIFIED_AT_OPEN: u64 = 1000;
