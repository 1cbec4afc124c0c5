//! A disk in memory that notes everything it is told, so that a power cut at any moment can be played afterwards.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use redb::StorageBackend;

/// One thing a disk was told.
#[derive(Debug, Clone)]
pub enum Told {
    Write { offset: u64, bytes: Vec<u8> },
    Length(u64),
    Sync,
}

impl Told {
    /// Does it to `image`.
    pub fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => write(image, *offset, bytes),
            Self::Length(length) => image.resize(to_usize(*length), 0),
            Self::Sync => {}
        }
    }

    /// Does only the first or only the last sectors of it: a write that was torn.
    pub fn tear(&self, image: &mut Vec<u8>, sectors: usize, half: Half) {
        match self {
            Self::Write { offset, bytes } => {
                let cut = (sectors * SECTOR).min(bytes.len());
                let (first, last) = bytes.split_at(cut);
                match half {
                    Half::First => write(image, *offset, first),
                    Half::Last => write(image, *offset + cut as u64, last),
                }
            }
            Self::Length(_) | Self::Sync => {}
        }
    }

    /// How many sectors it writes.
    pub fn sectors(&self) -> usize {
        match self {
            Self::Write { bytes, .. } => bytes.len().div_ceil(SECTOR),
            Self::Length(_) | Self::Sync => 0,
        }
    }
}

/// Which part of a torn write reached the disk.
#[derive(Debug, Clone, Copy)]
pub enum Half {
    First,
    Last,
}

/// The disk. Cheap to clone; all clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct Tape {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug, Default)]
struct Disk {
    image: Vec<u8>,
    told: Vec<Told>,
}

impl Tape {
    /// A disk that holds `image`.
    pub fn holding(image: Vec<u8>) -> Self {
        Self { disk: Arc::new(Mutex::new(Disk { image, told: Vec::new() })) }
    }

    /// How much it was told so far.
    pub fn len(&self) -> usize {
        self.with(|disk| disk.told.len())
    }

    /// All it was told.
    pub fn told(&self) -> Vec<Told> {
        self.with(|disk| std::mem::take(&mut disk.told))
    }

    fn tell(&self, told: Told) {
        self.with(|disk| {
            told.apply(&mut disk.image);
            disk.told.push(told);
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Disk) -> T) -> T {
        work(&mut self.disk.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl StorageBackend for Tape {
    fn len(&self) -> io::Result<u64> {
        Ok(self.with(|disk| disk.image.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|disk| {
            let from = usize::try_from(offset).map_err(io::Error::other)?;
            let found = from.checked_add(out.len()).and_then(|until| disk.image.get(from..until));
            out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.tell(Told::Length(length));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.tell(Told::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.tell(Told::Write { offset, bytes: data.to_vec() });
        Ok(())
    }
}

fn write(image: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let from = to_usize(offset);
    let until = from + bytes.len();
    if image.len() < until {
        image.resize(until, 0);
    }
    image[from..until].copy_from_slice(bytes);
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).expect("an offset in memory")
}

const SECTOR: usize = 512;
