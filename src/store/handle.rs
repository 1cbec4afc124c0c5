//! The open database, shared by all readers and the appender, and exchanged when it must be reopened.

use std::cell::Cell;
use std::os::unix::fs::MetadataExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Once, PoisonError, RwLock};

use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase, WriteTransaction};

use crate::fresh_file;
use crate::store::StoreError;

/// The database, or nothing while it is being reopened. The lock is held to begin to read, which waits for nobody; never
/// while a transaction runs, nor while somebody waits to write.
#[derive(Debug)]
pub(crate) struct Handle {
    database: RwLock<Option<Arc<Database>>>,
}

impl Handle {
    /// Shares an open database.
    pub(crate) fn new(database: Database) -> Self {
        Self { database: RwLock::new(Some(Arc::new(database))) }
    }

    /// Runs `read` on one consistent state.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        guarded(|| read(&self.begin_read()?))
    }

    /// Begins to read one consistent state.
    pub(crate) fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        guarded(|| {
            let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
            Ok(database.as_ref().ok_or(StoreError::Closed)?.begin_read()?)
        })
    }

    /// Begins the one write transaction; blocks while another runs. What it writes is durable when it commits, in two
    /// phases because stored text may be hostile, and a crash needs no long repair.
    pub(crate) fn write(&self) -> Result<WriteTransaction, StoreError> {
        guarded(|| {
            // the lock is given back first: who waits for another's commit holds up neither readers nor `close`
            let database = self.database.read().unwrap_or_else(PoisonError::into_inner).clone();
            begin_write(&*database.ok_or(StoreError::Closed)?)
        })
    }

    /// Closes the database: from now on there is none. While somebody writes, or waits to, it is closed when they are done, and
    /// [`DatabaseError::TransactionInProgress`] says so.
    pub(crate) fn close(&self) -> Result<(), StoreError> {
        let database = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(database) = database else { return Ok(()) };
        guarded(|| match Arc::try_unwrap(database) {
            Ok(database) => Ok(database.close()?),
            Err(_) => Err(DatabaseError::TransactionInProgress.into()),
        })
    }

    /// Closes it so that it can be opened anew, as it is on disk.
    ///
    /// # Errors
    /// When a transaction still writes: it stays open until that one is dropped, and two of them must never write. Whatever
    /// else a broken database says when it is closed changes nothing: it is verified when it is opened.
    pub(crate) fn let_go(&self) -> Result<(), StoreError> {
        match self.close() {
            Err(StoreError::Database(error)) if matches!(*error, redb::Error::TransactionInProgress) => {
                Err(StoreError::Database(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Shares another one.
    pub(crate) fn set(&self, database: Database) {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(database));
    }
}

/// What the database says when it is closed at last must not end the thread that held it last.
impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

/// A write transaction as all are: durable, in two phases, with quick repair.
pub(super) fn begin_write(database: &Database) -> Result<WriteTransaction, StoreError> {
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// What `open` opens, and locks, under the name `path`. Whoever made the file anew may have put another in its place between
/// the two: then what was locked is a file without a name, and it is opened again.
pub(super) fn by_name<T>(path: &Path, mut open: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let identity = || std::fs::metadata(path).ok().map(|about| (about.dev(), about.ino()));
    for _ in 0..OPENED_MAX {
        let before = identity();
        let opened = open()?;
        if identity() == before {
            return Ok(opened);
        }
    }
    Err(StoreError::Locked)
}

/// The same where `open` keeps everybody else away: takes away, too, what a kill left when the file was made anew.
pub(crate) fn by_name_alone<T>(path: &Path, open: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let opened = by_name(path, open)?;
    fresh_file::clear(path).map_err(|error| StoreError::file(path, error))?;
    Ok(opened)
}

/// Nobody makes a file anew more often in a row.
const OPENED_MAX: usize = 8;

/// Runs `work`; a panic over damaged pages becomes an error, and is no other news.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    QUIET.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if GUARDED.get() == 0 {
                tell(panic);
            }
        }));
    });
    GUARDED.set(GUARDED.get().saturating_add(1));
    let done = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(GUARDED.get().saturating_sub(1));
    done.unwrap_or_else(|_| Err(StoreError::Damaged("the database cannot make sense of its pages".to_owned())))
}

static QUIET: Once = Once::new();

thread_local! {
    /// How many guards this thread is within.
    static GUARDED: Cell<u32> = const { Cell::new(0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever waits to write must hold up nobody else. Without the promise this never ends.
    #[test]
    fn who_waits_to_write_holds_up_neither_readers_nor_whoever_closes() {
        let database = Database::builder().create_with_backend(redb::backends::InMemoryBackend::new()).unwrap();
        let handle = Handle::new(database);
        let writing = handle.write().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| handle.write().map(drop));
            let others = || Arc::strong_count(handle.database.read().unwrap().as_ref().unwrap()) > 1;
            while !others() {
                std::thread::yield_now();
            }
            drop(handle.begin_read().unwrap());
            let Err(StoreError::Database(error)) = handle.close() else { panic!("somebody writes") };
            assert!(matches!(*error, redb::Error::TransactionInProgress), "{error}");
            assert!(matches!(handle.begin_read(), Err(StoreError::Closed)));
            writing.commit().unwrap();
            waiting.join().unwrap().unwrap();
        });
        assert!(matches!(handle.write(), Err(StoreError::Closed)));
        handle.close().unwrap();
    }

    #[test]
    fn what_was_replaced_while_it_was_opened_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("file"), folder.path().join("other"));
        std::fs::write(&path, "old").unwrap();
        let mut times = 0;
        let opened = by_name(&path, || {
            let text = std::fs::read_to_string(&path).unwrap();
            times += 1;
            if times == 1 {
                std::fs::write(&other, "new").unwrap();
                std::fs::rename(&other, &path).unwrap();
            }
            Ok(text)
        });
        assert_eq!((opened.unwrap().as_str(), times), ("new", 2));
        let never = by_name(&path, || {
            std::fs::write(&other, "another").unwrap();
            std::fs::rename(&other, &path).unwrap();
            Ok(())
        });
        assert!(matches!(never, Err(StoreError::Locked)));
        let absent = by_name(&folder.path().join("absent"), || Err::<(), _>(StoreError::Closed));
        assert!(matches!(absent, Err(StoreError::Closed)), "what opening says comes first");
    }
}
