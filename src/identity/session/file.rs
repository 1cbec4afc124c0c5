//! The file of sessions: sealed rows, their times, and two ways to find them when a provider ends them.
//!
//! Everything here blocks and belongs on a thread that may, but for [`File::read`], which touches a few pages.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use redb::{
    Database, MultimapTableDefinition, ReadableDatabase, ReadableMultimapTable, ReadableTable, ReadableTableMetadata,
    TableDefinition,
};

use super::seal::Key;
use crate::domain::time::Timestamp;

/// The file of sessions.
#[derive(Debug)]
pub(super) struct File {
    database: Database,
}

/// The file of sessions cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the file of sessions cannot be used")]
pub struct FileError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl<E: Into<redb::Error>> From<E> for FileError {
    fn from(error: E) -> Self {
        Self(Box::new(error.into()))
    }
}

/// A session as it lies in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// Finds all sessions of one subject of one issuer.
    pub(super) subject: Key,
    /// Finds all sessions that the provider calls by one `sid`; as [`subject`](Self::subject) where it names none.
    pub(super) sid: Key,
    pub(super) sealed: Vec<u8>,
    pub(super) times: Times,
}

/// When a session was used, and when it is over if nobody uses it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) last_used: Timestamp,
    pub(super) ends_at: Timestamp,
}

/// Why a session was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotWritten {
    #[error("there are as many sessions as there may be")]
    Full,
    #[error(transparent)]
    File(#[from] FileError),
}

impl File {
    /// Opens the file, or makes it, readable by its owner only.
    pub(super) fn open(path: &Path) -> Result<Self, FileError> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = file.map_err(redb::StorageError::Io)?;
        let database = redb::Builder::new()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(redb::backends::FileBackend::new(file)?)?;
        let transaction = database.begin_write()?;
        transaction.open_table(ROWS)?;
        transaction.open_table(TIMES)?;
        transaction.open_multimap_table(FOUND_BY)?;
        transaction.commit()?;
        Ok(Self { database })
    }

    /// The session of this name.
    pub(super) fn read(&self, key: &Key) -> Result<Option<Row>, FileError> {
        let transaction = self.database.begin_read()?;
        let (rows, times) = (transaction.open_table(ROWS)?, transaction.open_table(TIMES)?);
        let (Some(row), Some(times)) = (rows.get(key)?, times.get(key)?) else { return Ok(None) };
        let (subject, sid, sealed) = row.value();
        Ok(Some(Row { subject, sid, sealed: sealed.to_vec(), times: Times::read(times.value()) }))
    }

    /// Writes a new session, and returns those of the same subject that had to go because there were too many.
    pub(super) fn insert(&self, key: &Key, row: &Row) -> Result<Vec<Key>, NotWritten> {
        let mut transaction = self.database.begin_write().map_err(FileError::from)?;
        transaction.set_two_phase_commit(true);
        let gone = Self::insert_in(&transaction, key, row)?;
        transaction.commit().map_err(FileError::from)?;
        Ok(gone)
    }

    fn insert_in(transaction: &redb::WriteTransaction, key: &Key, row: &Row) -> Result<Vec<Key>, NotWritten> {
        let mut own: Vec<(Timestamp, Key)> = Vec::new();
        {
            let (found_by, times) = (
                transaction.open_multimap_table(FOUND_BY).map_err(FileError::from)?,
                transaction.open_table(TIMES).map_err(FileError::from)?,
            );
            for found in found_by.get(row.subject).map_err(FileError::from)? {
                let found = found.map_err(FileError::from)?.value();
                let used = times.get(found).map_err(FileError::from)?.map(|times| Times::read(times.value()).last_used);
                own.push((used.unwrap_or(Timestamp::MIN), found));
            }
            if times.len().map_err(FileError::from)? >= SESSIONS_MAX {
                return Err(NotWritten::Full);
            }
        }
        own.sort_unstable();
        let too_many = (own.len() + 1).saturating_sub(SESSIONS_OF_SUBJECT_MAX);
        let gone: Vec<Key> = own.into_iter().take(too_many).map(|(_, key)| key).collect();
        for key in &gone {
            remove_in(transaction, key)?;
        }
        put(transaction, key, row)?;
        Ok(gone)
    }

    /// Writes anew what a session holds; says whether it was still there.
    pub(super) fn replace(&self, key: &Key, row: &Row) -> Result<bool, FileError> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_two_phase_commit(true);
        let there = transaction.open_table(ROWS)?.get(key)?.is_some();
        if there {
            remove_in(&transaction, key)?;
            put(&transaction, key, row)?;
        }
        transaction.commit()?;
        Ok(there)
    }

    /// Ends sessions for good.
    pub(super) fn remove(&self, keys: &[Key]) -> Result<(), FileError> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut transaction = self.database.begin_write()?;
        transaction.set_two_phase_commit(true);
        for key in keys {
            remove_in(&transaction, key)?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Notes when sessions were used.
    pub(super) fn touch(&self, used: &[(Key, Times)]) -> Result<(), FileError> {
        if used.is_empty() {
            return Ok(());
        }
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(TIMES)?;
            for (key, times) in used {
                if table.get(key)?.is_some() {
                    table.insert(key, times.written())?;
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// The sessions that can be found by this.
    pub(super) fn found_by(&self, finder: &Key) -> Result<Vec<Key>, FileError> {
        let table = self.database.begin_read()?.open_multimap_table(FOUND_BY)?;
        let mut keys = Vec::new();
        for key in table.get(finder)? {
            keys.push(key?.value());
        }
        Ok(keys)
    }

    /// The sessions that are over.
    pub(super) fn over(&self, now: Timestamp) -> Result<Vec<Key>, FileError> {
        let table = self.database.begin_read()?.open_table(TIMES)?;
        let mut keys = Vec::new();
        for row in table.iter()? {
            let (key, times) = row?;
            if Times::read(times.value()).ends_at <= now {
                keys.push(key.value());
            }
        }
        Ok(keys)
    }

    /// How many there are.
    pub(super) fn count(&self) -> Result<u64, FileError> {
        let table = self.database.begin_read()?.open_table(TIMES)?;
        Ok(table.len()?)
    }
}

impl Times {
    fn read((last_used, ends_at): (i64, i64)) -> Self {
        Self { last_used: Timestamp::from_millis(last_used), ends_at: Timestamp::from_millis(ends_at) }
    }

    const fn written(self) -> (i64, i64) {
        (self.last_used.as_millis(), self.ends_at.as_millis())
    }
}

fn put(transaction: &redb::WriteTransaction, key: &Key, row: &Row) -> Result<(), FileError> {
    transaction.open_table(ROWS)?.insert(key, (row.subject, row.sid, row.sealed.as_slice()))?;
    transaction.open_table(TIMES)?.insert(key, row.times.written())?;
    let mut found_by = transaction.open_multimap_table(FOUND_BY)?;
    found_by.insert(row.subject, key)?;
    found_by.insert(row.sid, key)?;
    Ok(())
}

fn remove_in(transaction: &redb::WriteTransaction, key: &Key) -> Result<(), FileError> {
    let mut rows = transaction.open_table(ROWS)?;
    let finders = rows.remove(key)?.map(|row| (row.value().0, row.value().1));
    transaction.open_table(TIMES)?.remove(key)?;
    if let Some((subject, sid)) = finders {
        let mut found_by = transaction.open_multimap_table(FOUND_BY)?;
        found_by.remove(subject, key)?;
        found_by.remove(sid, key)?;
    }
    Ok(())
}

/// Name → finders and sealed content.
const ROWS: TableDefinition<'_, Key, (Key, Key, &[u8])> = TableDefinition::new("sessions");
/// Name → last use and end, milliseconds; apart from the rows because it is written often.
const TIMES: TableDefinition<'_, Key, (i64, i64)> = TableDefinition::new("times");
/// Finder → names.
const FOUND_BY: MultimapTableDefinition<'_, Key, Key> = MultimapTableDefinition::new("found_by");
const CACHE_BYTES: usize = 16 << 20;
/// Of all people together.
const SESSIONS_MAX: u64 = 200_000;
/// Of one person: browsers, profiles, phones, each at gate and portal. The one used longest ago goes first.
const SESSIONS_OF_SUBJECT_MAX: usize = 50;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn row(subject: u8, used: i64) -> Row {
        let times = Times { last_used: Timestamp::from_seconds(used), ends_at: Timestamp::from_seconds(used + 100) };
        Row { subject: [subject; 32], sid: [100; 32], sealed: vec![1, 2, 3], times }
    }

    #[test]
    fn sessions_are_written_found_replaced_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions");
        let file = File::open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        file.insert(&[1; 32], &row(1, 10)).unwrap();
        file.insert(&[2; 32], &row(2, 20)).unwrap();
        assert_eq!(file.read(&[1; 32]).unwrap(), Some(row(1, 10)));
        assert_eq!(file.found_by(&[1; 32]).unwrap(), [[1; 32]]);
        assert_eq!(file.found_by(&[100; 32]).unwrap(), [[1; 32], [2; 32]]);
        assert!(file.replace(&[1; 32], &Row { sid: [101; 32], ..row(1, 30) }).unwrap());
        assert_eq!(file.found_by(&[100; 32]).unwrap(), [[2; 32]], "nobody is found by what he was called before");
        assert!(!file.replace(&[3; 32], &row(3, 1)).unwrap(), "what has ended is not written back");
        file.touch(&[([2; 32], row(2, 90).times), ([3; 32], row(3, 90).times)]).unwrap();
        assert_eq!(file.over(Timestamp::from_seconds(130)).unwrap(), [[1; 32]], "the end is exclusive");
        file.remove(&[[1; 32], [3; 32]]).unwrap();
        assert_eq!((file.read(&[1; 32]).unwrap(), file.found_by(&[101; 32]).unwrap()), (None, vec![]));
        drop(file);
        let file = File::open(&path).unwrap();
        assert_eq!(file.read(&[2; 32]).unwrap().unwrap().times, row(2, 90).times, "over a restart");
        assert_eq!(file.count().unwrap(), 1);
    }

    #[test]
    fn one_person_has_so_many_and_the_one_used_longest_ago_goes() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::open(&folder.path().join("sessions")).unwrap();
        for number in 0..SESSIONS_OF_SUBJECT_MAX {
            let number = u8::try_from(number).unwrap();
            assert!(file.insert(&[number; 32], &row(1, 1000 - i64::from(number))).unwrap().is_empty());
        }
        let last = u8::try_from(SESSIONS_OF_SUBJECT_MAX - 1).unwrap();
        assert_eq!(file.insert(&[200; 32], &row(1, 2000)).unwrap(), [[last; 32]]);
        assert!(file.insert(&[201; 32], &row(2, 2000)).unwrap().is_empty(), "somebody else's are left alone");
    }
}
