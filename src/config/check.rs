//! Holds what was written against the schema and tells everything that does not fit, not only the first.
//!
//! What does not fit is taken out of the tree, and what is missing gets a stand-in, so that the rest can still be resolved and
//! its problems told as well. A tree with misfits never becomes a configuration.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::config::forms;
use crate::config::schema::{Shape, nearest};
use crate::config::tree::{At, Entry, Node, Path, Value};

/// Something that does not fit the schema.
#[derive(Debug)]
pub(crate) struct Misfit {
    pub(crate) path: Path,
    pub(crate) at: At,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    pub(crate) kind: Kind,
}

/// How something does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A key nobody knows; it disturbs no other.
    Unknown,
    /// A value of the wrong kind or form: other complaints about the same table would be guesses.
    Unfit,
    /// A key that must be there.
    Missing,
}

/// Makes `root` fit `shape`, and tells what had to be done for it.
pub(crate) fn check(root: &mut Node, shape: Shape<'_>) -> Vec<Misfit> {
    let mut check = Check { misfits: Vec::new() };
    check.fits(root, shape, &Path::default());
    check.misfits
}

struct Check {
    misfits: Vec<Misfit>,
}

impl Check {
    /// Whether the node may stay.
    fn fits(&mut self, node: &mut Node, shape: Shape<'_>, path: &Path) -> bool {
        match &mut node.value {
            Value::Table(table) if shape.kind() == "object" => {
                let at = node.at.clone();
                self.table(table, shape, path, &at);
                true
            }
            Value::Array(items) if shape.kind() == "array" => {
                let Some(each) = shape.items() else { return true };
                // elements stay in place so that paths keep their meaning; one that does not fit leaves with its array
                let mut fit = true;
                for (index, item) in items.iter_mut().enumerate() {
                    fit &= self.fits(item, each, &path.index(index));
                }
                fit
            }
            Value::Scalar(value) => match misfit(value, shape) {
                None => true,
                Some((message, help)) => {
                    self.tell(path.clone(), &node.at, message, help, Kind::Unfit);
                    false
                }
            },
            Value::Table(_) | Value::Array(_) => {
                let message = format!("{} is expected here, not {}", shape.expected(), kind_of(&node.value));
                self.tell(path.clone(), &node.at, message, None, Kind::Unfit);
                false
            }
        }
    }

    fn table(&mut self, table: &mut BTreeMap<String, Entry>, shape: Shape<'_>, path: &Path, at: &At) {
        for key in shape.required().filter(|key| !table.contains_key(*key)) {
            let what = if path.steps().is_empty() { "the configuration" } else { "this table" };
            let message = format!("{what} needs the key `{key}`");
            let help = shape.key(key).map(|shape| format!("`{key}` is {}", shape.wanted()));
            self.tell(path.key(key), at, message, help, Kind::Missing);
        }
        table.retain(|key, entry| {
            let below = path.key(key);
            match shape.key(key) {
                Some(shape) => self.fits(&mut entry.node, shape, &below),
                None => {
                    let help = match nearest(key, shape.keys()) {
                        Some(meant) => format!("did you mean `{meant}`?"),
                        None => format!("known keys are {}", list(shape.keys())),
                    };
                    self.tell(below, &entry.key_at, format!("nobody knows the key `{key}`"), Some(help), Kind::Unknown);
                    false
                }
            }
        });
        for key in shape.required() {
            let Some(shape) = shape.key(key) else { continue };
            table.entry(key.to_owned()).or_insert_with(|| Entry {
                key_at: at.clone(),
                node: Node { value: stand_in(shape, at), at: at.clone() },
            });
        }
    }

    fn tell(&mut self, path: Path, at: &At, message: String, help: Option<String>, kind: Kind) {
        self.misfits.push(Misfit { path, at: at.clone(), message, help, kind });
    }
}

/// A value that fits `shape`.
fn stand_in(shape: Shape<'_>, at: &At) -> Value {
    match shape.kind() {
        "object" => Value::Table(
            shape
                .required()
                .filter_map(|key| {
                    let node = Node { value: stand_in(shape.key(key)?, at), at: at.clone() };
                    Some((key.to_owned(), Entry { key_at: at.clone(), node }))
                })
                .collect(),
        ),
        "array" => Value::Array(Vec::new()),
        "integer" => Value::Scalar(1.into()),
        "boolean" => Value::Scalar(false.into()),
        _ => {
            let word = shape.words().and_then(|words| words.first().copied());
            Value::Scalar(word.or_else(|| shape.example()).unwrap_or_default().into())
        }
    }
}

/// What is wrong with a single value, and what would help.
fn misfit(value: &Json, shape: Shape<'_>) -> Option<(String, Option<String>)> {
    let wrong_kind = || Some((format!("{} is expected here, not {}", shape.expected(), name_of(value)), None));
    match (shape.kind(), value) {
        ("string", Json::String(text)) => {
            if let Some(words) = shape.words() {
                if words.contains(&text.as_str()) {
                    return None;
                }
                let meant = nearest(text, words.iter().copied()).map(|word| format!("did you mean `{word}`?"));
                return Some((format!("`{text}` is none of {}", list(words.into_iter())), meant));
            }
            shape.format().and_then(|form| forms::fault(form, text)).map(|message| (message, None))
        }
        ("integer", Json::Number(number)) => match number.as_i64() {
            Some(number) if u32::try_from(number).is_ok() => None,
            Some(_) => Some((format!("`{number}` is not between 0 and {}", u32::MAX), None)),
            None => wrong_kind(),
        },
        ("boolean", Json::Bool(_)) => None,
        _ => wrong_kind(),
    }
}

fn name_of(value: &Json) -> &'static str {
    match value {
        Json::String(_) => "text",
        Json::Number(number) if number.is_i64() => "a whole number",
        Json::Number(_) | Json::Null => "a fraction",
        Json::Bool(_) => "`true` or `false`",
        Json::Array(_) => "an array",
        Json::Object(_) => "a table",
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Scalar(value) => name_of(value),
        Value::Array(_) => "an array",
        Value::Table(_) => "a table",
    }
}

fn list<'w>(words: impl Iterator<Item = &'w str>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
