//! Files that have their name only when they are whole, and the folders they lie in.
//!
//! Decided (2026-11): until then such a file has no name at all (`O_TMPFILE`), so that a kill leaves nothing behind: neither
//! room that is gone, nor words that somebody orders to be erased meanwhile. Where the file system knows no such files it has
//! one fixed name beside its own, and so has for a moment what takes the place of another file; what a kill leaves under that
//! name is written over by whoever makes the file again, and [`clear`] takes it away. Rejected: names that chance makes,
//! which nobody dares to remove.

#[cfg(test)]
mod tests;

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, OFlags, RenameFlags, linkat, renameat_with};

/// A file, readable by its owner only, that is gone when it is dropped before it has its name.
#[derive(Debug)]
pub struct FreshFile {
    file: File,
    path: PathBuf,
    stage: Stage,
}

/// What a file is called until it has its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing.
    Unnamed,
    /// As [`unfinished`] says.
    Unfinished,
    /// It has its name.
    Done,
}

impl FreshFile {
    /// For `path`, in the same folder, which must be there.
    ///
    /// # Errors
    /// What the file system says; [`io::ErrorKind::WouldBlock`] while another process makes the same file, where files must
    /// have names.
    pub fn beside(path: &Path) -> io::Result<Self> {
        if path.file_name().is_none() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        match Self::unnamed(path) {
            Ok(fresh) => Ok(fresh),
            // the two kinds in which file systems say that they know no unnamed files
            Err(error) if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::IsADirectory) => {
                Self::named(path)
            }
            Err(error) => Err(error),
        }
    }

    /// The file itself.
    #[must_use]
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Gives it its name, which must be free. It is durable under it when this returns.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when the name is taken; what the file system says.
    pub fn place(mut self) -> io::Result<()> {
        self.name()
    }

    /// The same. As long as what is returned lives, whoever locks files before using them can wait, or give up, but not begin.
    ///
    /// # Errors
    /// As [`place`](Self::place); [`io::ErrorKind::WouldBlock`] when somebody has locked it already.
    pub fn place_held(mut self) -> io::Result<Placed> {
        lock(&self.file)?;
        self.name()?;
        let (file, path) = (self.file.try_clone()?, self.path.clone());
        Ok(Placed { file, path })
    }

    /// Puts it in the place of the file that has its name, if there is one. It is durable when this returns.
    ///
    /// # Errors
    /// What the file system says; then the other one is still there.
    pub fn replace(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        if self.stage == Stage::Unnamed {
            clear(&self.path)?;
            self.link(&unfinished(&self.path))?;
            self.stage = Stage::Unfinished;
        }
        self.is_ours()?;
        fs::rename(unfinished(&self.path), &self.path)?;
        self.stage = Stage::Done;
        sync_folder_of(&self.path)
    }

    fn name(&mut self) -> io::Result<()> {
        self.file.sync_all()?;
        match self.stage {
            Stage::Unnamed => self.link(&self.path)?,
            Stage::Unfinished | Stage::Done => {
                self.is_ours()?;
                rename_to_free(&unfinished(&self.path), &self.path)?;
            }
        }
        self.stage = Stage::Done;
        sync_folder_of(&self.path)
    }

    fn unnamed(path: &Path) -> io::Result<Self> {
        let flags = OFlags::TMPFILE.bits().try_into().map_err(|_| io::ErrorKind::Unsupported)?;
        let opened = OpenOptions::new().read(true).write(true).mode(0o600).custom_flags(flags).open(folder_of(path));
        let fresh = Self { file: opened?, path: path.to_owned(), stage: Stage::Unnamed };
        // through this it will be named
        fs::metadata(fresh.handle()).map_err(|_| io::ErrorKind::Unsupported)?;
        Ok(fresh)
    }

    fn named(path: &Path) -> io::Result<Self> {
        let name = unfinished(path);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&name)?;
        lock(&file)?;
        let fresh = Self { file, path: path.to_owned(), stage: Stage::Unfinished };
        fresh.is_ours()?;
        // what a kill left in it, and whoever may read that
        fresh.file.set_permissions(fs::Permissions::from_mode(0o600))?;
        fresh.file.set_len(0)?;
        Ok(fresh)
    }

    fn link(&self, name: &Path) -> io::Result<()> {
        Ok(linkat(CWD, self.handle(), CWD, name, AtFlags::SYMLINK_FOLLOW)?)
    }

    fn handle(&self) -> PathBuf {
        use std::os::fd::AsRawFd as _;

        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }

    /// Whether the name beside is that of this file, and nobody else is at work on it. A database on the file gives the lock
    /// back when it is closed.
    fn is_ours(&self) -> io::Result<()> {
        lock(&self.file)?;
        if is_at(&self.file, &unfinished(&self.path))? { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }
}

impl Drop for FreshFile {
    fn drop(&mut self) {
        if self.stage == Stage::Unfinished && self.is_ours().is_ok() {
            // what stays is written over
            let _ = fs::remove_file(unfinished(&self.path));
        }
    }
}

/// A file that has its name, and that nobody else has begun to use.
#[derive(Debug)]
pub struct Placed {
    file: File,
    path: PathBuf,
}

impl Placed {
    /// Takes the file away again; one that has its name meanwhile stays.
    ///
    /// # Errors
    /// What the file system says.
    pub fn take_back(self) -> io::Result<()> {
        match is_at(&self.file, &self.path) {
            Ok(true) => {
                fs::remove_file(&self.path)?;
                sync_folder_of(&self.path)
            }
            Ok(false) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Takes away what a kill left of a file that was to be at `path`; nobody may be making it now.
///
/// # Errors
/// What the file system says.
pub fn clear(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(unfinished(path)) {
        Ok(_) => fs::remove_file(unfinished(path)),
        // also where nothing may be removed
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether `path` names this very file.
///
/// # Errors
/// What the file system says.
pub fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let (own, named) = (file.metadata()?, fs::metadata(path)?);
    Ok((own.dev(), own.ino()) == (named.dev(), named.ino()))
}

/// The folder that `path` lies in.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the names in the folder of `path` durable.
///
/// # Errors
/// What the file system says.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// Makes the folder of `path`, and those above it, for their owner alone where they are not there. They are durable when this
/// returns: a name that is lost with the power takes with it all that was written below it.
///
/// # Errors
/// What the file system says.
pub fn make_folder_of(path: &Path) -> io::Result<()> {
    make_folder(folder_of(path), &mut sync_folder_of)
}

fn make_folder(folder: &Path, sync_above: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    let make = || DirBuilder::new().mode(0o700).create(folder);
    let above = folder_of(folder);
    let made = match make() {
        Err(error) if error.kind() == io::ErrorKind::NotFound && above != folder => {
            make_folder(above, sync_above)?;
            make()
        }
        made => made,
    };
    match made {
        Ok(()) => sync_above(folder),
        // it was there, or somebody else was faster
        Err(_) if folder.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Renames where nothing may be overwritten.
fn rename_to_free(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(io::Error::from) {
        // the file system, or the kernel, does not know how: not in one step then
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        renamed => renamed,
    }
}

/// What a file for `path` is called until it has its name, where it must have one.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    PathBuf::from(name)
}

fn lock(file: &File) -> io::Result<()> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
        TryLockError::Error(error) => error,
    })
}

/// How a name ends under which a kill may have left what was not finished.
pub const UNFINISHED: &str = ".unfinished";
