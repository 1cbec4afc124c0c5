//! Where configuration comes from: files and folders in the order given, then the environment.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path as File, PathBuf};

use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};

use crate::config::problem::{Place, Problem, Severity};
use crate::config::schema::Shape;
use crate::config::tree::{At, Entry, Node, Path, Step, Value};

/// Where configuration is to be read from; later overrides earlier, the environment overrides all files.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Files, folders and texts, in order.
    pub sources: Vec<Source>,
    /// Environment variables; only those that begin with `HALLPASS_` are looked at.
    pub environment: Vec<(OsString, OsString)>,
}

/// One place to read from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file, or a folder of `*.toml` files that are read in the order of their names.
    Path(PathBuf),
    /// A text that is not on disk; its relative paths start at the working directory.
    Text {
        /// What messages call it.
        name: String,
        /// The TOML.
        text: String,
    },
}

impl Sources {
    /// These files and folders, with the environment of this process.
    #[must_use]
    pub fn of_process(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { sources: paths.into_iter().map(Source::Path).collect(), environment: std::env::vars_os().collect() }
    }
}

/// One source after reading.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) name: String,
    /// `None` for an environment variable, whose value is never shown.
    pub(crate) text: Option<String>,
    /// What relative paths in it start at.
    pub(crate) folder: PathBuf,
    /// The file it is, when it is one.
    pub(crate) file: Option<PathBuf>,
}

/// Everything read, laid one upon the other.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) root: Node,
    pub(crate) read: Vec<Read>,
    pub(crate) problems: Vec<Problem>,
}

/// Variables with the prefix that are no configuration: the command line reads them.
const NOT_CONFIGURATION: [&str; 4] = ["HALLPASS_TOKEN", "HALLPASS_TOKEN_FILE", "HALLPASS_PORTAL", "HALLPASS_CONFIG"];
const PREFIX: &str = "HALLPASS_";
/// A configuration is written by people; a larger file is a mistake.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// One bracket left open makes nonsense of everything behind it.
const SYNTAX_ERRORS_MAX: usize = 5;

/// Reads all sources and lays them upon each other; what could not be read is among the problems.
pub(crate) fn gather(sources: &Sources, shape: Shape<'_>) -> Gathered {
    let mut gathered = Gathered { root: Node::empty(), read: Vec::new(), problems: Vec::new() };
    for source in &sources.sources {
        match source {
            Source::Text { name, text } => gathered.text(name.clone(), text.clone(), PathBuf::new(), None),
            Source::Path(path) if path.is_dir() => gathered.folder(path),
            Source::Path(path) => gathered.file(path),
        }
    }
    let mut variables: Vec<_> =
        sources.environment.iter().filter(|(name, _)| name.as_encoded_bytes().starts_with(PREFIX.as_bytes())).collect();
    variables.sort();
    for (name, value) in variables {
        gathered.variable(name, value, shape);
    }
    gathered
}

impl Gathered {
    fn folder(&mut self, path: &File) {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => return self.unreadable(path, &error),
        };
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) => files.push(entry.path()),
                Err(error) => self.unreadable(path, &error),
            }
        }
        files.retain(|file| file.extension() == Some(OsStr::new("toml")));
        files.sort();
        if files.is_empty() {
            self.fault(path, "the folder holds no file that ends in `.toml`".to_owned());
        }
        for file in files {
            self.file(&file);
        }
    }

    fn file(&mut self, path: &File) {
        let text = fs::metadata(path).and_then(|about| {
            if about.len() > FILE_BYTES_MAX {
                return Err(std::io::Error::other(format!("larger than {FILE_BYTES_MAX} bytes")));
            }
            fs::read_to_string(path)
        });
        let folder = path.parent().unwrap_or(File::new("")).to_path_buf();
        match text {
            Ok(text) => self.text(path.display().to_string(), text, folder, Some(path.to_path_buf())),
            Err(error) => self.unreadable(path, &error),
        }
    }

    fn text(&mut self, name: String, text: String, folder: PathBuf, file: Option<PathBuf>) {
        let source = self.read.len();
        let (table, errors) = DeTable::parse_recoverable(&text);
        let node = Node::from_toml(source, table);
        self.read.push(Read { name, text: Some(text.clone()), folder, file });
        for error in errors.iter().take(SYNTAX_ERRORS_MAX) {
            let place = error.span().and_then(|bytes| Place::of(&At { source, bytes }, &self.read));
            self.error(String::new(), format!("this is not TOML: {}", error.message()), None, place);
        }
        // a recovered half of a file would only cause problems that are none
        if errors.is_empty() {
            self.root.merge(node);
        }
    }

    fn variable(&mut self, name: &OsStr, value: &OsStr, shape: Shape<'_>) {
        let Some(name) = name.to_str() else {
            let place = Some(Place { source: name.to_string_lossy().into_owned(), line: None });
            return self.error(String::new(), "the name of this variable is not text".to_owned(), None, place);
        };
        if NOT_CONFIGURATION.contains(&name) {
            return;
        }
        let source = self.read.len();
        self.read.push(Read { name: name.to_owned(), text: None, folder: PathBuf::new(), file: None });
        let at = At { source, bytes: 0..0 };
        let place = Some(Place { source: name.to_owned(), line: None });
        let Some(value) = value.to_str() else {
            return self.error(String::new(), "the value of this variable is not text".to_owned(), None, place);
        };
        let path = path_of(name);
        let Some(found) = shape.at(&path) else {
            let help = shape.similar(&path).map(|key| format!("did you mean `{}`?", variable_of(&key)));
            let message = format!("the variable `{name}` names no key of the configuration");
            return self.error(path.to_string(), message, help, place);
        };
        let node = if found.is_text() {
            Node { value: Value::Scalar(Json::String(value.to_owned())), at: at.clone() }
        } else {
            match DeValue::parse(value)
                .ok()
                .and_then(|_| toml::from_str::<toml::Table>(&format!("value = {value}")).ok())
            {
                Some(mut table) => match table.remove("value") {
                    Some(value) => Node::from_value(value, &at),
                    None => return,
                },
                None => {
                    let help = Some("write it as it would stand behind the `=` in a file".to_owned());
                    let message = format!("the value of `{name}` is not {}", found.expected());
                    return self.error(path.to_string(), message, help, place);
                }
            }
        };
        if let Err(message) = insert(&mut self.root, path.steps(), node, &at) {
            self.error(path.to_string(), message, None, place);
        }
    }

    fn unreadable(&mut self, path: &File, error: &std::io::Error) {
        self.fault(path, format!("cannot be read: {error}"));
    }

    fn fault(&mut self, path: &File, message: String) {
        let place = Some(Place::file(path));
        self.error(String::new(), message, None, place);
    }

    fn error(&mut self, key: String, message: String, help: Option<String>, place: Option<Place>) {
        self.problems.push(Problem { severity: Severity::Error, key, message, help, place });
    }
}

/// `HALLPASS_ISSUER__0__JWKS_URL` → `issuer[0].jwks_url`.
fn path_of(name: &str) -> Path {
    let rest = name.strip_prefix(PREFIX).unwrap_or(name);
    rest.split("__").fold(Path::default(), |path, part| match part.parse() {
        Ok(index) => path.index(index),
        Err(_) => path.key(&part.to_ascii_lowercase()),
    })
}

fn variable_of(path: &Path) -> String {
    let parts: Vec<String> = path
        .steps()
        .iter()
        .map(|step| match step {
            Step::Key(key) => key.to_ascii_uppercase(),
            Step::Index(index) => index.to_string(),
        })
        .collect();
    format!("{PREFIX}{}", parts.join("__"))
}

/// Puts `node` where `steps` lead, making the tables on the way; an index names a present element or the next one.
fn insert(root: &mut Node, steps: &[Step], node: Node, at: &At) -> Result<(), String> {
    let Some((step, rest)) = steps.split_first() else {
        root.merge(node);
        return Ok(());
    };
    let empty = |value| Node { value, at: at.clone() };
    let below = match rest.first() {
        Some(Step::Index(_)) => empty(Value::Array(Vec::new())),
        Some(Step::Key(_)) => empty(Value::Table(std::collections::BTreeMap::new())),
        None => node.clone(),
    };
    match (step, &mut root.value) {
        (Step::Key(key), Value::Table(table)) => {
            let entry = table.entry(key.clone()).or_insert_with(|| Entry { key_at: at.clone(), node: below });
            if rest.is_empty() {
                // the environment replaces what files say, also arrays of tables
                *entry = Entry { key_at: at.clone(), node };
                return Ok(());
            }
            insert(&mut entry.node, rest, node, at)
        }
        (Step::Index(index), Value::Array(items)) => {
            let count = items.len();
            if *index == count {
                items.push(below);
            }
            let Some(item) = items.get_mut(*index) else {
                return Err(format!("there are {count} of these: the next has the number {count}, not {index}"));
            };
            if rest.is_empty() {
                *item = node;
                return Ok(());
            }
            insert(item, rest, node, at)
        }
        (Step::Key(_) | Step::Index(_), Value::Scalar(_) | Value::Array(_) | Value::Table(_)) => {
            Err("the files hold another kind of value on the way there".to_owned())
        }
    }
}
