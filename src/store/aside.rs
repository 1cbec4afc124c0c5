//! What must not be lost while the store takes nothing: lines in files beside it, each signed as the journal's records are,
//! so that nobody who can write a file can end anybody's right by it.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::journal::LineSignature;
use crate::private_file;
use crate::store::open::Trust;
use crate::store::{Appender, Reader, StoreError};

/// Files that hold the same lines, best on volumes that do not fail together.
pub struct Aside {
    reader: Reader,
    places: Vec<Place>,
}

struct Place {
    path: PathBuf,
    /// What was kept there is durable. A file that failed is left alone until the next start: what it holds by then nobody knows.
    sound: bool,
}

impl Appender {
    /// Lines kept in the files at `paths`, signed by this journal's key.
    #[must_use]
    pub fn aside(&self, paths: Vec<PathBuf>) -> Aside {
        let places = paths.into_iter().map(|path| Place { path, sound: true }).collect();
        Aside { reader: self.reader(), places }
    }
}

impl Aside {
    /// Keeps `line`: durable in one file at least when this returns.
    ///
    /// # Errors
    /// What the last file said, when none took it.
    pub fn keep(&mut self, line: &str) -> io::Result<()> {
        let signed = self.signed(line);
        let mut kept = Err(io::ErrorKind::NotFound.into());
        for place in self.places.iter_mut().filter(|place| place.sound) {
            match private_file::append(&place.path, &signed) {
                Ok(()) => kept = Ok(()),
                Err(error) => {
                    tracing::warn!(%error, file = %place.path.display(), "nothing can be kept aside here");
                    place.sound = false;
                    kept = kept.or(Err(error));
                }
            }
        }
        kept
    }

    /// All lines in all files, each once. What was torn off while it was kept is none, since nobody was told that it was, and
    /// goes, so that nothing is kept behind it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for a line that was not kept like that; [`StoreError::File`] when a file cannot be read.
    pub fn kept(&mut self) -> Result<Vec<String>, StoreError> {
        let (mut lines, mut seen) = (Vec::new(), HashSet::new());
        for Place { path, sound } in &mut self.places {
            let bytes = match fs::read(&*path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(StoreError::file(path, error)),
            };
            let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end.saturating_add(1));
            let (whole, torn) = bytes.split_at(end);
            *sound = torn.is_empty() || private_file::replace(path, whole).is_ok();
            let own = signed_lines(&self.reader, whole)?.ok_or_else(|| stray(path))?;
            lines.extend(own.into_iter().filter(|line| seen.insert(line.clone())));
        }
        Ok(lines)
    }

    /// Keeps these lines and no others.
    ///
    /// # Errors
    /// What the first file that failed says; the others hold these lines.
    pub fn keep_only(&mut self, lines: &[String]) -> io::Result<()> {
        let signed: String = lines.iter().map(|line| self.signed(line)).collect();
        let mut done = Ok(());
        for place in &mut self.places {
            let replaced = match signed.is_empty() {
                true => private_file::remove(&place.path),
                false => private_file::replace(&place.path, signed.as_bytes()),
            };
            place.sound = replaced.is_ok();
            done = done.and(replaced);
        }
        done
    }

    /// Whether some file holds what was kept last, so that it outlives the process.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.places.iter().any(|place| place.sound)
    }

    fn signed(&self, line: &str) -> String {
        let Trust { key, chain, .. } = &self.reader.shared.trust;
        format!("{} {line}\n", LineSignature::new(key, &chain.realm, line))
    }
}

/// The lines of one file; nothing when one of them was not signed by a key of this journal.
fn signed_lines(reader: &Reader, whole: &[u8]) -> Result<Option<Vec<String>>, StoreError> {
    let keys = reader.keys()?;
    let realm = &reader.shared.trust.chain.realm;
    let own = |line: &str| {
        let (signature, line) = line.split_once(' ')?;
        let signature: LineSignature = signature.parse().ok()?;
        keys.iter().any(|span| signature.is_of(&span.key, realm, line)).then(|| line.to_owned())
    };
    Ok(std::str::from_utf8(whole).ok().and_then(|whole| whole.split_terminator('\n').map(own).collect()))
}

fn stray(path: &Path) -> StoreError {
    let path = path.display();
    StoreError::Damaged(format!(
        "`{path}` holds a line that was changed, or is of another journal. It tells of rights that ended while the store was \
         out: read it, move it away, start again, and end them by hand"
    ))
}
