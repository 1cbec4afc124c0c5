//! Configuration as written, file over file: a tree in which every value knows the place it came from.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Value as Toml};

/// One value, and where it was written.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) at: At,
}

/// What was written.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Text, number, truth or instant.
    Scalar(Json),
    Array(Vec<Node>),
    Table(BTreeMap<String, Entry>),
}

/// One key of a table; the key has a place of its own, for messages about keys nobody knows.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key_at: At,
    pub(crate) node: Node,
}

/// A stretch of one source, by the index of that source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) source: usize,
    pub(crate) bytes: Range<usize>,
}

/// The way to a value from the root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Path(Vec<Step>);

/// One step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

impl Path {
    /// The path one key further down.
    pub(crate) fn key(&self, key: &str) -> Self {
        self.step(Step::Key(key.to_owned()))
    }

    /// The path to one element further down.
    pub(crate) fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    pub(crate) fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The table this value stands in.
    pub(crate) fn parent(&self) -> Self {
        let mut steps = self.0.clone();
        steps.pop();
        Self(steps)
    }

    /// Whether `other` is this path or lies below it.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if place == 0 => write!(f, "{key}")?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl Node {
    /// An empty table from nowhere: what an absent configuration is.
    pub(crate) fn empty() -> Self {
        Self { value: Value::Table(BTreeMap::new()), at: At { source: 0, bytes: 0..0 } }
    }

    /// A table as the parser left it.
    pub(crate) fn from_toml(source: usize, table: Spanned<DeTable<'_>>) -> Self {
        let at = At { source, bytes: table.span() };
        Self { value: from_table(source, table.into_inner()), at }
    }

    /// A plain value from one place.
    pub(crate) fn from_value(value: Toml, at: &At) -> Self {
        let value = match value {
            Toml::String(text) => Value::Scalar(Json::String(text)),
            Toml::Integer(number) => Value::Scalar(number.into()),
            Toml::Float(number) => Value::Scalar(number.into()),
            Toml::Boolean(truth) => Value::Scalar(truth.into()),
            Toml::Datetime(instant) => Value::Scalar(Json::String(instant.to_string())),
            Toml::Array(items) => Value::Array(items.into_iter().map(|item| Self::from_value(item, at)).collect()),
            Toml::Table(table) => Value::Table(
                table
                    .into_iter()
                    .map(|(key, value)| (key, Entry { key_at: at.clone(), node: Self::from_value(value, at) }))
                    .collect(),
            ),
        };
        Self { value, at: at.clone() }
    }

    /// Lays `over` upon this: tables merge, arrays of tables grow, everything else is replaced.
    pub(crate) fn merge(&mut self, over: Self) {
        match (&mut self.value, over.value) {
            (Value::Table(own), Value::Table(others)) => {
                for (key, entry) in others {
                    match own.get_mut(&key) {
                        Some(present) => present.node.merge(entry.node),
                        None => {
                            own.insert(key, entry);
                        }
                    }
                }
            }
            (Value::Array(own), Value::Array(others)) if holds_tables(own) && holds_tables(&others) => {
                own.extend(others)
            }
            (own, others) => {
                *own = others;
                self.at = over.at;
            }
        }
    }

    /// Where the value at `path` stands, or the nearest value above it that was written; `None` when nothing of it was.
    pub(crate) fn nearest(&self, path: &Path) -> Option<&At> {
        let mut node = self;
        let mut at = None;
        for step in path.steps() {
            let below = match (step, &node.value) {
                (Step::Key(key), Value::Table(table)) => table.get(key).map(|entry| (&entry.node, &entry.key_at)),
                (Step::Index(index), Value::Array(items)) => items.get(*index).map(|item| (item, &item.at)),
                _ => None,
            };
            let Some((found, key_at)) = below else { break };
            node = found;
            // a table written with a header is pointed at by its header, a plain value by itself
            at = Some(if matches!(found.value, Value::Table(_)) { key_at } else { &found.at });
        }
        at
    }

    /// The node at `path`, when it was written.
    pub(crate) fn find(&self, path: &Path) -> Option<&Self> {
        path.steps().iter().try_fold(self, |node, step| match (step, &node.value) {
            (Step::Key(key), Value::Table(table)) => table.get(key).map(|entry| &entry.node),
            (Step::Index(index), Value::Array(items)) => items.get(*index),
            _ => None,
        })
    }

    /// The tree without its places.
    pub(crate) fn to_json(&self) -> Json {
        match &self.value {
            Value::Scalar(value) => value.clone(),
            Value::Array(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Table(table) => {
                Json::Object(table.iter().map(|(key, entry)| (key.clone(), entry.node.to_json())).collect())
            }
        }
    }
}

fn holds_tables(items: &[Node]) -> bool {
    items.iter().all(|item| matches!(item.value, Value::Table(_)))
}

fn from_table(source: usize, table: DeTable<'_>) -> Value {
    let entries = table.into_iter().map(|(key, value)| {
        let key_at = At { source, bytes: key.span() };
        (key.into_inner().into_owned(), Entry { key_at, node: from_spanned(source, value) })
    });
    Value::Table(entries.collect())
}

fn from_spanned(source: usize, value: Spanned<DeValue<'_>>) -> Node {
    let at = At { source, bytes: value.span() };
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Scalar(Json::String(text.into_owned())),
        // a number too large for the machine stays text and is refused as the wrong kind of value
        DeValue::Integer(number) => Value::Scalar(match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => number.into(),
            Err(_) => Json::String(number.as_str().to_owned()),
        }),
        DeValue::Float(number) => Value::Scalar(number.as_str().parse::<f64>().map_or(Json::Null, Json::from)),
        DeValue::Boolean(truth) => Value::Scalar(truth.into()),
        DeValue::Datetime(instant) => Value::Scalar(Json::String(instant.to_string())),
        DeValue::Array(items) => Value::Array(items.into_iter().map(|item| from_spanned(source, item)).collect()),
        DeValue::Table(table) => from_table(source, table),
    };
    Node { value, at }
}
