//! The file of anchors: signed notes one after the other, each with an empty line behind it; only ever appended to, and
//! put aside when it has grown, so that two files of bounded size hold the newest.
//!
//! Beside the store a mark says that there is such a file, and what it was told last. A volume that is not mounted and a file
//! that was deleted would otherwise look like a first start.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::fresh_file::folder_of;
use crate::journal::SignedCheckpoint;
use crate::journal::checkpoint::read_all;
use crate::private_file;

/// A file of anchors, and the mark beside the store whose heads it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorFile {
    path: PathBuf,
    mark: PathBuf,
}

/// That heads were written to a file of anchors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Where it was.
    pub path: PathBuf,
    /// The last head; none when the mark was damaged.
    pub last: Option<SignedCheckpoint>,
}

impl AnchorFile {
    /// The one at `path`, for the store at `store`.
    #[must_use]
    pub fn new(path: &Path, store: &Path) -> Self {
        let mut mark = store.as_os_str().to_owned();
        mark.push(".anchored");
        Self { path: path.to_owned(), mark: PathBuf::from(mark) }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The newest note.
    ///
    /// # Errors
    /// As [`newest`].
    pub fn newest(&self) -> io::Result<Newest> {
        newest(&self.path)
    }

    /// Appends `note`, and then leaves the mark. Both are durable when this returns.
    ///
    /// # Errors
    /// What the file system says.
    pub fn append(&self, note: &SignedCheckpoint) -> io::Result<()> {
        append(&self.path, note)?;
        // for its owner alone, as the store is
        private_file::replace(&self.mark, format!("{}\n\n{note}\n", self.path.display()).as_bytes())
    }

    /// Makes sure that a note could be appended, before something is done that must be anchored.
    ///
    /// # Errors
    /// What the file system says.
    pub fn prepare(&self) -> io::Result<()> {
        match OpenOptions::new().append(true).open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tempfile::tempfile_in(folder_of(&self.path)).map(drop)
            }
            opened => opened.map(drop),
        }
    }

    /// Puts the anchors of the journal of `realm` aside, which is over: those of the next one begin a file of their own.
    /// Where they are then, when there are any.
    ///
    /// # Errors
    /// What the file system says.
    pub fn put_aside(&self, realm: &str) -> io::Result<Option<PathBuf>> {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".of-{realm}"));
        let kept = PathBuf::from(name);
        let mut any = false;
        for (from, to) in [(aside(&self.path), aside(&kept)), (self.path.clone(), kept.clone())] {
            if from.try_exists()? && !to.try_exists()? {
                fs::rename(from, to)?;
                any = true;
            }
        }
        Ok(any.then_some(kept))
    }

    /// The mark that was left; none when no head was ever written.
    ///
    /// # Errors
    /// What the file system says, other than that there is no mark.
    pub fn mark(&self) -> io::Result<Option<Mark>> {
        let Some(text) = read(&self.mark)? else { return Ok(None) };
        let path = text.lines().next().unwrap_or_default();
        Ok(Some(Mark { path: PathBuf::from(path), last: read_all(&text).pop() }))
    }
}

/// Appends `note` to the file at `path`, which is made when it is not there. Durable when this returns.
fn append(path: &Path, note: &SignedCheckpoint) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(about) if about.len() >= FILE_BYTES_MAX => fs::rename(path, aside(path))?,
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    private_file::append(path, &format!("{note}\n"))
}

/// The newest whole note of the file at `path`, or of the one put aside when that has none.
///
/// # Errors
/// What the file system says, other than that there is no file.
pub fn newest(path: &Path) -> io::Result<Newest> {
    let mut something = false;
    for path in [path.to_owned(), aside(path)] {
        let Some(text) = read(&path)? else { continue };
        something |= !text.trim().is_empty();
        if let Some(note) = read_all(&text).pop() {
            return Ok(Newest::Note(Box::new(note)));
        }
    }
    Ok(if something { Newest::Unreadable } else { Newest::Nothing })
}

/// What a file of anchors holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Newest {
    /// Its newest note.
    Note(Box<SignedCheckpoint>),
    /// There is no file, or it is empty.
    Nothing,
    /// There is something, but no whole note.
    Unreadable,
}

/// The text at the end of the file: the newest notes.
fn read(path: &Path) -> io::Result<Option<String>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(READ_BYTES_MAX)))?;
    let mut bytes = Vec::new();
    file.take(READ_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    PathBuf::from(name)
}

/// A file is put aside when it is this long: some three thousand anchors, ten days at one in five minutes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// So much of the end is read.
const READ_BYTES_MAX: u64 = 64 * 1024;
