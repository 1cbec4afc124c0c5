//! The file of anchors: signed notes one after the other, each with an empty line behind it; only ever appended to, and
//! put aside when it has grown, so that two files of bounded size hold the newest.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::journal::SignedCheckpoint;
use crate::journal::checkpoint::read_all;

/// Appends `note` to the file at `path`, which is made when it is not there. Durable when this returns.
///
/// # Errors
/// What the file system says.
pub fn append(path: &Path, note: &SignedCheckpoint) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(about) if about.len() >= FILE_BYTES_MAX => fs::rename(path, aside(path))?,
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut file = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(path)?;
    // a torn last line must not swallow the note behind it
    let torn = file.seek(SeekFrom::End(0))? > 0 && !ends_a_line(&mut file)?;
    file.write_all(format!("{}{note}\n", if torn { "\n" } else { "" }).as_bytes())?;
    file.sync_all()?;
    folder_of(path).and_then(File::open)?.sync_all()
}

/// The newest whole note of the file at `path`, or of the one put aside when that has none; `Empty` tells whether there
/// was anything at all.
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

fn ends_a_line(file: &mut File) -> io::Result<bool> {
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    PathBuf::from(name)
}

fn folder_of(path: &Path) -> io::Result<&Path> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => Ok(folder),
        Some(_) => Ok(Path::new(".")),
        None => Err(io::ErrorKind::IsADirectory.into()),
    }
}

/// A file is put aside when it is this long: some three thousand anchors, ten days at one in five minutes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// So much of the end is read.
const READ_BYTES_MAX: u64 = 64 * 1024;
