//! The JSON Schema of a configuration, and the walk over it that finds what a path means.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value as Json};

use crate::config::raw::Configuration;
use crate::config::tree::{Path, Step};

/// The JSON Schema (2020-12) of a configuration.
#[must_use]
pub fn schema() -> Json {
    let mut schema: Json =
        SchemaGenerator::new(SchemaSettings::draft2020_12()).into_root_schema_for::<Configuration>().into();
    tidy(&mut schema);
    schema
}

/// TOML knows no null: an absent key is simply absent. And a closed object says so in the one way everybody reads.
fn tidy(schema: &mut Json) {
    if let Json::Object(object) = schema {
        if let Some(Json::Array(kinds)) = object.get_mut("type") {
            kinds.retain(|kind| kind != "null");
            if let [only] = kinds.as_slice() {
                let only = only.clone();
                object.insert("type".to_owned(), only);
            }
        }
        if let Some(Json::Array(mut choices)) = object.remove("anyOf") {
            choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
            match <[Json; 1]>::try_from(choices) {
                Ok([Json::Object(only)]) => only.into_iter().for_each(|(key, value)| {
                    object.entry(key).or_insert(value);
                }),
                Ok([only]) => drop(object.insert("anyOf".to_owned(), Json::Array(vec![only]))),
                Err(choices) => drop(object.insert("anyOf".to_owned(), Json::Array(choices))),
            }
        }
        if object.get("default").is_some_and(Json::is_null) {
            object.remove("default");
        }
        if object.get("unevaluatedProperties").is_some_and(|open| *open == Json::Bool(false)) {
            object.remove("unevaluatedProperties");
            object.insert("additionalProperties".to_owned(), Json::Bool(false));
        }
        object.values_mut().for_each(tidy);
    } else if let Json::Array(items) = schema {
        items.iter_mut().for_each(tidy);
    }
}

/// One place in a schema: what may be written there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape<'s> {
    root: &'s Json,
    here: &'s Json,
}

impl<'s> Shape<'s> {
    /// The whole of a schema.
    pub(crate) fn new(root: &'s Json) -> Self {
        Self { root, here: root }
    }

    fn sub(self, here: &'s Json) -> Self {
        let named = here.get("$ref").and_then(Json::as_str).and_then(|name| self.root.pointer(name.strip_prefix('#')?));
        Self { root: self.root, here: named.unwrap_or(here) }
    }

    /// What may be written at `path`; `None` where nothing may.
    pub(crate) fn at(self, path: &Path) -> Option<Self> {
        path.steps().iter().try_fold(self, |shape, step| match step {
            Step::Key(key) => shape.key(key),
            Step::Index(_) => shape.items(),
        })
    }

    /// The path to what was probably meant by `path`.
    pub(crate) fn similar(self, path: &Path) -> Option<Path> {
        let mut shape = self;
        let mut meant = Path::default();
        for step in path.steps() {
            meant = match step {
                Step::Index(index) => meant.index(*index),
                Step::Key(key) if shape.key(key).is_some() => meant.key(key),
                Step::Key(key) => meant.key(&nearest(key, shape.keys())?),
            };
            shape = self.at(&meant)?;
        }
        Some(meant)
    }

    /// What may be written behind `key`.
    pub(crate) fn key(self, key: &str) -> Option<Self> {
        self.properties()?.get(key).map(|here| self.sub(here))
    }

    /// What each element may be.
    pub(crate) fn items(self) -> Option<Self> {
        self.here.get("items").map(|here| self.sub(here))
    }

    /// The keys of a table.
    pub(crate) fn keys(self) -> impl Iterator<Item = &'s str> {
        self.properties().into_iter().flat_map(|keys| keys.keys().map(String::as_str))
    }

    /// The keys without which a table says nothing.
    pub(crate) fn required(self) -> impl Iterator<Item = &'s str> {
        self.here.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str)
    }

    /// The words that are allowed, when only certain words are.
    pub(crate) fn words(self) -> Option<Vec<&'s str>> {
        let listed = self.here.get("enum").and_then(Json::as_array).map(|words| words.iter().filter_map(Json::as_str));
        match listed {
            Some(words) => Some(words.collect()),
            None => {
                let choices = self.here.get("oneOf").and_then(Json::as_array)?;
                Some(choices.iter().filter_map(|choice| choice.get("const")?.as_str()).collect())
            }
        }
    }

    /// `object`, `array`, `string`, `integer` or `boolean`.
    pub(crate) fn kind(self) -> &'s str {
        let kind = self.here.get("type").and_then(Json::as_str);
        // a choice of words is a choice of texts
        kind.unwrap_or("string")
    }

    /// The name of the form a text must have.
    pub(crate) fn format(self) -> Option<&'s str> {
        self.here.get("format").and_then(Json::as_str)
    }

    pub(crate) fn is_text(self) -> bool {
        self.kind() == "string"
    }

    /// What should stand here, for messages.
    pub(crate) fn expected(self) -> &'static str {
        match self.kind() {
            "object" => "a table",
            "array" if self.items().is_some_and(|items| items.kind() == "object") => "an array of tables",
            "array" => "an array",
            "integer" => "a whole number",
            "boolean" => "`true` or `false`",
            _ => "text in quotes",
        }
    }

    /// What should stand here, with an example.
    pub(crate) fn wanted(self) -> String {
        match self.example() {
            Some(example) => format!("{}, like `{example}`", self.expected()),
            None => self.expected().to_owned(),
        }
    }

    /// A text of the form that is wanted.
    pub(crate) fn example(self) -> Option<&'s str> {
        self.here.get("examples")?.get(0)?.as_str()
    }

    fn properties(self) -> Option<&'s Map<String, Json>> {
        self.here.get("properties").and_then(Json::as_object)
    }
}

/// The word that was probably meant; nothing when none is near.
pub(crate) fn nearest<'w>(written: &str, words: impl Iterator<Item = &'w str>) -> Option<String> {
    let near = words.map(|word| (distance(written, word), word)).min()?;
    let allowed = written.chars().count().max(near.1.chars().count()).div_ceil(3);
    (near.0 <= allowed).then(|| near.1.to_owned())
}

/// How many letters must be changed, added, dropped or swapped with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    let mut previous = None;
    for (line, letter) in from.chars().enumerate() {
        let mut next = vec![line + 1];
        for (place, other) in to.iter().enumerate() {
            let cost = |row: &[usize], place: usize| row.get(place).copied().unwrap_or(usize::MAX / 2);
            let changed = cost(&row, place) + usize::from(letter != *other);
            let mut least = changed.min(cost(&row, place + 1) + 1).min(cost(&next, place) + 1);
            let swapped = place > 0 && previous == Some(*other) && to.get(place - 1) == Some(&letter);
            if swapped {
                least = least.min(cost(&before, place - 1) + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
        previous = Some(letter);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_that_was_meant_is_found_and_none_is_made_up() {
        let words = ["listen", "public_url", "tls"];
        for (written, meant) in
            [("lisetn", Some("listen")), ("publicurl", Some("public_url")), ("colour", None), ("", None)]
        {
            assert_eq!(nearest(written, words.into_iter()).as_deref(), meant, "{written}");
        }
        assert_eq!(distance("abcd", "abdc"), 1, "a swap is one slip");
    }

    #[test]
    fn every_form_in_the_schema_has_a_reader() {
        fn formats(value: &Json, found: &mut Vec<String>) {
            match value {
                Json::Object(object) => {
                    let is_text = object.get("type").is_some_and(|kind| kind == "string");
                    found.extend(object.get("format").and_then(Json::as_str).filter(|_| is_text).map(str::to_owned));
                    object.values().for_each(|below| formats(below, found));
                }
                Json::Array(items) => items.iter().for_each(|below| formats(below, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        formats(&schema(), &mut found);
        assert!(found.len() > 10, "{found:?}");
        for format in found {
            assert!(crate::config::forms::fault(&format, "").is_some(), "nobody reads `{format}`");
        }
    }

    #[test]
    fn every_table_is_closed() {
        fn open(value: &Json, path: &str, found: &mut Vec<String>) {
            if let Json::Object(object) = value {
                if object.contains_key("properties") && object.get("additionalProperties") != Some(&Json::Bool(false)) {
                    found.push(path.to_owned());
                }
                object.iter().for_each(|(key, below)| open(below, &format!("{path}/{key}"), found));
            }
        }
        let mut found = Vec::new();
        open(&schema(), "", &mut found);
        assert!(found.is_empty(), "{found:?}");
    }
}
