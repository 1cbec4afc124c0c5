//! A disk in memory that can be told to fail, and that outlives the database on it.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockWriteGuard};

use arc_swap::ArcSwap;
use redb::StorageBackend;
use redb::backends::InMemoryBackend;

/// What is wrong with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing.
    None,
    /// No room: nothing can be written.
    Full,
    /// The file stays as long as it is: what lies inside can be written.
    NoGrowth,
    /// Writing is answered with an error of the device.
    Writing,
    /// Writes go through, and then the device does not confirm them.
    Syncing,
    /// Mounted for reading only.
    ReadOnly,
    /// What is read makes whoever reads it panic.
    Mad,
}

/// A disk in memory. Cheap to clone; all clones are the same disk.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    bytes: Arc<InMemoryBackend>,
    trouble: Arc<ArcSwap<Trouble>>,
    syncs: Arc<AtomicU64>,
    syncs_failed: Arc<AtomicU64>,
    /// Whether a sync failed since somebody opened it.
    failed_since_opened: Arc<AtomicBool>,
    syncs_repeated: Arc<AtomicU64>,
    held: Arc<RwLock<()>>,
}

impl Disk {
    /// An empty disk that is well.
    pub(crate) fn new() -> Self {
        Self {
            bytes: Arc::new(InMemoryBackend::new()),
            trouble: Arc::new(ArcSwap::from_pointee(Trouble::None)),
            syncs: Arc::default(),
            syncs_failed: Arc::default(),
            failed_since_opened: Arc::default(),
            syncs_repeated: Arc::default(),
            held: Arc::default(),
        }
    }

    /// From now on this is wrong with it.
    pub(crate) fn suffer(&self, trouble: Trouble) {
        self.trouble.store(Arc::new(trouble));
    }

    /// Whoever writes to it waits as long as what is returned lives.
    pub(crate) fn hold(&self) -> RwLockWriteGuard<'_, ()> {
        self.held.write().expect("a lock")
    }

    /// What is wrong with it.
    pub(crate) fn suffers(&self) -> Trouble {
        **self.trouble.load()
    }

    /// How often it confirmed writes.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::SeqCst)
    }

    /// How often somebody asked it to confirm writes and was told no.
    pub(crate) fn syncs_failed(&self) -> u64 {
        self.syncs_failed.load(Ordering::SeqCst)
    }

    /// How often somebody asked it to confirm writes after it had told them no, without closing it in between.
    pub(crate) fn syncs_repeated(&self) -> u64 {
        self.syncs_repeated.load(Ordering::SeqCst)
    }

    /// The same bytes, through a door of their own: nothing is wrong with that one.
    pub(crate) fn well(&self) -> Self {
        Self { bytes: Arc::clone(&self.bytes), ..Self::new() }
    }

    fn writable(&self) -> io::Result<()> {
        drop(self.held.read());
        match self.suffers() {
            Trouble::None | Trouble::NoGrowth | Trouble::Syncing | Trouble::Mad => Ok(()),
            Trouble::Full => Err(io::ErrorKind::StorageFull.into()),
            Trouble::Writing => Err(io::Error::other("input/output error")),
            Trouble::ReadOnly => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.bytes.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        assert!(self.suffers() != Trouble::Mad, "nobody can make sense of this");
        self.bytes.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.writable()?;
        if self.suffers() == Trouble::NoGrowth && len > self.bytes.len()? {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.failed_since_opened.load(Ordering::SeqCst) {
            self.syncs_repeated.fetch_add(1, Ordering::SeqCst);
        }
        self.writable()?;
        if self.suffers() == Trouble::Syncing {
            self.failed_since_opened.store(true, Ordering::SeqCst);
            self.syncs_failed.fetch_add(1, Ordering::SeqCst);
            return Err(io::Error::other("input/output error"));
        }
        self.syncs.fetch_add(1, Ordering::SeqCst);
        self.bytes.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.writable()?;
        self.bytes.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.failed_since_opened.store(false, Ordering::SeqCst);
        self.bytes.close()
    }
}
