//! A store that no hallpass runs on: looked at without changing it, and made anew beside itself.
//!
//! Decided (2026-11): compacting writes a fresh file and puts it in the old one's place, rather than moving pages inside.
//! Only so is it certain that no page of the file holds what was erased, and the old file stays whole until the new one is.

use std::collections::BTreeMap;
use std::path::Path;

use redb::{
    Builder, Database, ReadTransaction, ReadableDatabase as _, ReadableTable, ReadableTableMetadata as _,
    TableDefinition, WriteTransaction,
};
use redb::{Key, Value};

use crate::domain::event::{Event, RecordRun};
use crate::domain::standing::Position;
use crate::journal::{Cut, PublicKey, SealedUses, upcast};
use crate::store::build::{Build, Ended, Fresh, Piece, head_of};
use crate::store::handle::guarded;
use crate::store::overlay::{Alone, Overlay};
use crate::store::rebuild::{Compared, compare};
use crate::store::scratch::Scratch;
use crate::store::seal::Seals;
use crate::store::snapshot::Snapshot;
use crate::store::tables::{CARRIED, CURSORS, JOURNAL, META, NOTES, Rows};
use crate::store::{CACHE_BYTES, Head, Pin, StoreError, rows};

/// Told how many of how many records are done.
pub type Progress<'p> = &'p mut dyn FnMut(u64, u64);

/// What a look at a whole store found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The newest record.
    pub head: Head,
    /// How many records there are.
    pub records: u64,
    /// The root key by which they verify.
    pub public_key: PublicKey,
    /// The key that signs the next one.
    pub signs: PublicKey,
    /// Whether the file was closed in good order.
    pub closing: Closing,
    /// Records whose note is missing although none orders that it be erased.
    pub missing: Vec<RecordRun>,
    /// The uses that its records seal.
    pub sealed: Vec<SealedUses>,
}

/// How a file was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// In good order.
    Clean,
    /// By a crash; the next start mends it.
    Crash,
}

/// What came of making a store anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remade {
    /// The newest record.
    pub head: Head,
    /// How many records there are.
    pub records: u64,
    /// Length of the file before, in bytes.
    pub before: u64,
    /// Length of the file now, in bytes.
    pub after: u64,
}

/// A consistent state of the store at `path`, to be carried away.
///
/// # Errors
/// [`StoreError`]; [`StoreError::Locked`] while a process runs on it.
pub fn snapshot(path: &Path) -> Result<Snapshot, StoreError> {
    guarded(|| Snapshot::of(look(path, Alone::FromWriters)?, Scratch::beside(path)))
}

/// The same of a store whose pages are not what was written, as far as they can be read: nothing vouches for what is not
/// verified by the chain.
///
/// # Errors
/// As [`snapshot`].
pub fn salvage(path: &Path) -> Result<Snapshot, StoreError> {
    guarded(|| Snapshot::of(open(path, Alone::FromWriters, Pages::AsTheyAre)?, Scratch::beside(path)))
}

/// Where the journal ends that is in a damaged store at `path`, if it is whole: then [`rebuild`] makes a sound store of it.
///
/// # Errors
/// [`StoreError::Damaged`] says what of the journal is not whole, or cannot be read.
pub fn can_be_rebuilt(path: &Path, root: Option<PublicKey>, progress: Progress<'_>) -> Result<Ended, StoreError> {
    let snapshot = salvage(path)?;
    guarded(|| {
        let root = root_of(&snapshot, root)?;
        let scratch = snapshot.scratch.database()?;
        let transaction = scratch.begin_write()?;
        let ended = journal_of(&snapshot, &transaction, root, progress)?;
        transaction.abort()?;
        Ok(ended)
    })
}

/// Verifies every page, the whole chain against `root` (what the store names without it), and that every row is what the
/// journal says. The file stays as it is.
///
/// # Errors
/// [`StoreError::Damaged`] says what is wrong first; [`StoreError::Locked`] while a process runs on it.
pub fn check(path: &Path, root: Option<PublicKey>, progress: Progress<'_>) -> Result<Checked, StoreError> {
    guarded(|| {
        let snapshot = snapshot(path)?;
        let closing = match Builder::new().open_read_only(path) {
            Ok(_) => Closing::Clean,
            Err(_) => Closing::Crash,
        };
        let public_key = root_of(&snapshot, root)?;
        let (last, mut sealed) = (snapshot.head()?.position.0, Vec::new());
        let compared = compare(&snapshot.source, public_key, Seals::passing()?, &snapshot.scratch, |taken| {
            progress(taken.sequence, last);
            sealed.extend(SealedUses::stated_by(&taken.record.event));
        })?;
        let records = compared.tip.sequence.saturating_sub(compared.cut.as_ref().map_or(0, Cut::count));
        let head = head_of(&compared.tip);
        let Compared { signs, missing, .. } = compared;
        Ok(Checked { head, records, public_key, signs, closing, missing, sealed })
    })
}

/// Verifies the journal of the store at `path` and folds all its tables anew into a fresh file, which then takes its place.
/// Pages that hold none of the journal may be damaged.
///
/// # Errors
/// [`StoreError`]; then the file is as it was.
pub fn rebuild(path: &Path, root: Option<PublicKey>, progress: Progress<'_>) -> Result<Remade, StoreError> {
    let mut remake = |pages| {
        remake(path, pages, |snapshot, target| {
            let ended = journal_of(snapshot, target, root_of(snapshot, root)?, progress)?;
            Ok((ended.head, ended.records))
        })
    };
    match remake(Pages::Checked) {
        // what is taken over is verified record by record, on whatever page it lies
        Err(StoreError::Damaged(why)) => remake(Pages::AsTheyAre).map_err(|error| match error {
            // said of pages that nothing vouches for
            StoreError::Damaged(_) | StoreError::UnknownVersion { .. } | StoreError::UnknownRecord { .. } => {
                StoreError::Damaged(format!("{why}, and its journal is not whole ({error})"))
            }
            other => other,
        }),
        done => done,
    }
}

/// Makes all tables in `target` of the verified journal in `snapshot`.
fn journal_of(
    snapshot: &Snapshot,
    target: &WriteTransaction,
    root: PublicKey,
    progress: Progress<'_>,
) -> Result<Ended, StoreError> {
    let mut build = Build::begin(target, root)?;
    build.take_all(snapshot, progress)?;
    build.finish(snapshot.realm(), root, &snapshot.cursors()?)
}

/// Copies what the store at `path` holds, and nothing else, into a fresh file, which then takes its place: what was erased is
/// in none of its pages.
///
/// # Errors
/// [`StoreError`]; then the file is as it was.
pub fn compact(path: &Path, progress: Progress<'_>) -> Result<Remade, StoreError> {
    remake(path, Pages::Checked, |snapshot, target| {
        let (source, head) = (&snapshot.source, snapshot.head()?);
        copy(source, target, META, &mut |_| {})?;
        copy(source, target, CURSORS, &mut |_| {})?;
        let all = source.open_table(JOURNAL)?.len()?;
        copy(source, target, JOURNAL, &mut |done| progress(done, all))?;
        copy(source, target, NOTES, &mut |_| {})?;
        copy(source, target, CARRIED, &mut |_| {})?;
        for rows in Rows::ALL {
            copy(source, target, rows.definition(), &mut |_| {})?;
        }
        Ok((head, all))
    })
}

/// A store made of `pieces` in their order, for `path`; it has its name once it is placed.
///
/// # Errors
/// What `pieces` says; [`StoreError::Damaged`] names the first bad record.
pub fn make<E: From<StoreError>>(
    path: &Path,
    root: PublicKey,
    realm: &str,
    cursors: &BTreeMap<String, u64>,
    pieces: impl FnOnce(&mut dyn FnMut(Piece<'_>) -> Result<(), StoreError>) -> Result<(), E>,
) -> Result<(Fresh, Ended), E> {
    let fresh = Fresh::beside(path)?;
    let ended = fresh.fill(|transaction| {
        let mut build = Build::begin(transaction, root)?;
        pieces(&mut |piece| build.take(piece))?;
        Ok::<_, E>(build.finish(realm, root, cursors)?)
    })?;
    Ok((fresh, ended))
}

/// Verifies `pieces` in their order and folds them beside the file at `path`, only to see that it can be done.
///
/// # Errors
/// As [`make`].
pub fn rehearse<E: From<StoreError>>(
    path: &Path,
    root: PublicKey,
    pieces: impl FnOnce(&mut dyn FnMut(Piece<'_>) -> Result<(), StoreError>) -> Result<(), E>,
) -> Result<Ended, E> {
    let scratch = Scratch::beside(path).database()?;
    let transaction = scratch.begin_write().map_err(StoreError::from)?;
    let mut build = Build::begin(&transaction, root)?;
    pieces(&mut |piece| build.take(piece))?;
    let ended = build.finish("", root, &BTreeMap::new())?;
    transaction.abort().map_err(StoreError::from)?;
    Ok(ended)
}

fn remake(
    path: &Path,
    pages: Pages,
    write: impl FnOnce(&Snapshot, &WriteTransaction) -> Result<(Head, u64), StoreError>,
) -> Result<Remade, StoreError> {
    let before = std::fs::metadata(path).map_err(|error| StoreError::reading(path, error))?.len();
    // held until the new file has its place: nobody may start on the old one meanwhile
    let snapshot = guarded(|| Snapshot::of(open(path, Alone::FromAll, pages)?, Scratch::beside(path)))?;
    guarded(|| {
        let fresh = Fresh::beside(path)?;
        let (head, records) = fresh.fill(|target| write(&snapshot, target))?;
        let after = fresh.length()?;
        fresh.replace()?;
        Ok(Remade { head, records, before, after })
    })
}

/// The database in the file at `path`, as if it were opened, while the file stays as it is.
///
/// # Errors
/// [`StoreError::Locked`] while a process runs on it; [`StoreError::Damaged`] when it is no database.
pub fn read_only(path: &Path) -> Result<Database, StoreError> {
    guarded(|| look(path, Alone::FromWriters))
}

/// The same, with nobody else looking at it either.
///
/// # Errors
/// As [`read_only`].
pub fn alone(path: &Path) -> Result<Database, StoreError> {
    guarded(|| look(path, Alone::FromAll))
}

/// Whether the journal in the store at `path`, which was checked, is the one that a key is bound to.
///
/// # Errors
/// [`StoreError::AnotherJournal`]; what else [`check`] says.
pub fn is_pinned(path: &Path, pin: &Pin) -> Result<(), StoreError> {
    guarded(|| crate::store::pin::is_pinned(&look(path, Alone::FromWriters)?.begin_read()?, pin))
}

/// The key to hold it against: the one that was given, which must be the one it was begun with.
fn root_of(snapshot: &Snapshot, given: Option<PublicKey>) -> Result<PublicKey, StoreError> {
    let Some(given) = given else { return Ok(snapshot.public_key()) };
    let first = rows::sealed(&snapshot.source, Position(1))?.and_then(|sealed| upcast::read(&sealed.core).ok());
    match first.map(|record| record.event) {
        Some(Event::JournalOpened { public_key: named, .. }) if named != given.to_string() => {
            Err(StoreError::AnotherRoot { given: given.to_string(), named })
        }
        // what is no beginning of a journal is damage, and found as such
        _ => Ok(given),
    }
}

fn look(path: &Path, alone: Alone) -> Result<Database, StoreError> {
    open(path, alone, Pages::Checked)
}

/// What is known of pages before they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pages {
    /// Each is held against its checksum first: what somebody changed is damage, and nothing to fall over.
    Checked,
    /// Nothing.
    AsTheyAre,
}

fn open(path: &Path, alone: Alone, pages: Pages) -> Result<Database, StoreError> {
    let mut builder = Builder::new();
    builder.set_check_integrity_on_open(pages == Pages::Checked).set_cache_size(CACHE_BYTES);
    builder.create_with_backend(Overlay::open(path, alone)?).map_err(|error| match error {
        redb::DatabaseError::Storage(redb::StorageError::Io(error))
            if error.kind() == std::io::ErrorKind::InvalidData =>
        {
            StoreError::Damaged(format!("`{}` is no hallpass store: {error}", path.display()))
        }
        other => other.into(),
    })
}

fn copy<K: Key + 'static, V: Value + 'static>(
    source: &ReadTransaction,
    target: &WriteTransaction,
    definition: TableDefinition<'_, K, V>,
    copied: &mut dyn FnMut(u64),
) -> Result<(), StoreError> {
    let mut copy = target.open_table(definition)?;
    let mut count = 0;
    let source = match source.open_table(definition) {
        Ok(source) => source,
        // of an older format, which did not have it: the next start makes it
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for entry in source.iter()? {
        let (key, value) = entry?;
        copy.insert(key.value(), value.value())?;
        count += 1;
        copied(count);
    }
    Ok(())
}
