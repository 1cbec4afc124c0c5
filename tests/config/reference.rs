//! The reference file is complete and true.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use hallpass::config;
use serde_json::Value as Json;
use toml::{Table, Value};

use crate::{MINIMAL, load, shipped};

#[test]
fn the_reference_names_exactly_the_keys_of_the_schema() {
    let mut known = BTreeSet::new();
    let schema = config::schema();
    schema_keys(&schema, &schema, "", &mut known);
    // what `[defaults]` shows need not be repeated for applications and roles
    let inherited = |key: &String| {
        let rest = key.strip_prefix("app[].").or_else(|| key.strip_prefix("role[]."));
        rest.is_some_and(|rest| known.contains(&format!("defaults.{rest}")))
    };
    let mut named = BTreeSet::new();
    table_keys(&uncommented(&fs::read_to_string(shipped("hallpass.toml")).unwrap()), "", &mut |key, _| {
        named.insert(key);
    });
    let known_once: BTreeSet<_> = known.iter().filter(|key| !inherited(key)).cloned().collect();
    let named_once: BTreeSet<_> = named.iter().filter(|key| !inherited(key)).cloned().collect();
    assert_eq!(named_once, known_once);
    assert!(known.len() > 100, "the walk over the schema found only {known:?}");
}

#[test]
fn every_default_in_the_reference_is_the_real_one() {
    // needed keys without a default that anybody could guess
    let examples = ["hallpass.administrators", "role[].description", "role[].eligible_assignments"];
    let written: Table = MINIMAL.parse().unwrap();
    let reference: Table = fs::read_to_string(shipped("hallpass.toml")).unwrap().parse().unwrap();
    let resolved: Table = config::print(&load(MINIMAL).unwrap()).parse().unwrap();
    let values = |table: &Table| {
        let mut values: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        table_keys(table, "", &mut |key, value| values.entry(key).or_default().push(value.clone()));
        values
    };
    let (written, reference, resolved) = (values(&written), values(&reference), values(&resolved));
    let mut compared = 0;
    for (key, shown) in &reference {
        let is_leaf = shown.iter().all(|value| !holds_tables(value));
        if written.contains_key(key) || examples.contains(&key.as_str()) || key.starts_with("role[].") || !is_leaf {
            continue;
        }
        let Some(real) = resolved.get(key) else { continue };
        assert!(
            shown.iter().any(|value| real.contains(value)),
            "{key}: the reference shows {shown:?}, real is {real:?}"
        );
        compared += 1;
    }
    assert_eq!(reference["defaults"], resolved["defaults"]);
    assert!(compared > 60, "only {compared} defaults were compared");
}

fn holds_tables(value: &Value) -> bool {
    value.is_table() || value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(Value::is_table))
}

/// The reference with its examples in place of what they are examples for.
fn uncommented(text: &str) -> Table {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let example = line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
        let Some(example) = example else {
            lines.push(line.to_owned());
            continue;
        };
        let key = example.split(' ').next().unwrap();
        if lines.last().is_some_and(|last| last.starts_with(&format!("{key} = "))) {
            lines.pop();
        }
        lines.push(example.to_owned());
    }
    lines.join("\n").parse().unwrap()
}

fn table_keys(table: &Table, prefix: &str, found: &mut impl FnMut(String, &Value)) {
    for (key, value) in table {
        let full = format!("{prefix}{key}");
        found(full.clone(), value);
        match value {
            Value::Table(below) => table_keys(below, &format!("{full}."), found),
            Value::Array(items) => {
                for below in items.iter().filter_map(Value::as_table) {
                    table_keys(below, &format!("{full}[]."), found);
                }
            }
            _ => {}
        }
    }
}

fn schema_keys(root: &Json, here: &Json, prefix: &str, found: &mut BTreeSet<String>) {
    let here = match here.get("$ref").and_then(Json::as_str) {
        Some(name) => root.pointer(name.trim_start_matches('#')).unwrap(),
        None => here,
    };
    for (key, below) in here.get("properties").and_then(Json::as_object).into_iter().flatten() {
        let full = format!("{prefix}{key}");
        found.insert(full.clone());
        schema_keys(root, below, &format!("{full}."), found);
    }
    if let Some(items) = here.get("items") {
        schema_keys(root, items, &format!("{}[].", prefix.trim_end_matches('.')), found);
    }
}
