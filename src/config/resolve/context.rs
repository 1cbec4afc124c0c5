//! What every part of resolving has at hand: the places of all values, and a list for what is wrong.

use std::path::PathBuf;

use crate::config::problem::{Place, Problem, Severity};
use crate::config::source::Read;
use crate::config::tree::{Node, Path, Step};

/// Collects problems and knows where every value was written.
pub(crate) struct Context<'c> {
    root: &'c Node,
    read: &'c [Read],
    /// Tables in which something could not be read, and an example stands in for it.
    unjudged: Vec<Path>,
    found: Vec<Found>,
}

struct Found {
    severity: Severity,
    path: Path,
    message: String,
    help: Option<String>,
}

impl<'c> Context<'c> {
    pub(crate) const fn new(root: &'c Node, read: &'c [Read], unjudged: Vec<Path>) -> Self {
        Self { root, read, unjudged, found: Vec::new() }
    }

    /// Whether what stands at `path` is what somebody wrote, and may be judged.
    pub(crate) fn judges(&self, path: &Path) -> bool {
        !self.unjudged.iter().any(|table| table.covers(path))
    }

    /// This cannot work.
    pub(crate) fn error(&mut self, path: &Path, message: impl Into<String>) {
        self.tell(Severity::Error, path, message.into(), None);
    }

    /// This cannot work, but would with some help.
    pub(crate) fn error_with(&mut self, path: &Path, message: impl Into<String>, help: Option<String>) {
        self.tell(Severity::Error, path, message.into(), help);
    }

    /// This works, but somebody should look.
    pub(crate) fn warning(&mut self, path: &Path, message: impl Into<String>) {
        self.tell(Severity::Warning, path, message.into(), None);
    }

    fn tell(&mut self, severity: Severity, path: &Path, message: String, help: Option<String>) {
        self.found.push(Found { severity, path: path.clone(), message, help });
    }

    /// The first of `places` where something was written, which is where an inherited value comes from; the first otherwise.
    pub(crate) fn written(&self, places: &[Path], keys: &[&str]) -> Path {
        let mut full = places.iter().map(|place| keys.iter().fold(place.clone(), |path, key| path.key(key)));
        let first = full.clone().next().unwrap_or_default();
        full.find(|path| self.root.find(path).is_some()).unwrap_or(first)
    }

    /// A path as it must be opened: a relative one starts at the folder of the file that names it.
    pub(crate) fn file(&self, written: &str, path: &Path) -> PathBuf {
        let folder = self.root.find(path).and_then(|node| self.read.get(node.at.source)).map(|read| &read.folder);
        folder.map_or_else(|| PathBuf::from(written), |folder| folder.join(written))
    }

    /// Everything that was told about paths that may be judged, once.
    pub(crate) fn into_problems(mut self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = Vec::new();
        let mut found = std::mem::take(&mut self.found);
        found.retain(|found| self.judges(&found.path));
        for found in found {
            let place = self.root.nearest(&found.path).and_then(|at| Place::of(at, self.read));
            let Found { severity, path, message, help } = found;
            let problem = Problem { severity, key: path.to_string(), message, help, place };
            // every role that inherits a wrong setting tells of it
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        problems
    }
}

/// The path to an element of a top-level array of tables.
pub(crate) fn element(table: &str, index: usize) -> Path {
    Path::default().key(table).step(Step::Index(index))
}
