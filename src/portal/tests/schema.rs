//! Compares answers with the OpenAPI document, more strictly than JSON Schema asks: a member the document does not name is
//! a fault too.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use http::Method;
use serde_json::Value;

use super::world::Answer;

pub(super) static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::to_value(crate::portal::openapi()).unwrap());

/// Panics when the document does not foresee `answer` to `method path`.
pub(super) fn check(method: &Method, path: &str, answer: &Answer) {
    let Some(operation) = operation(method, path) else { return };
    let responses = &operation["responses"];
    let media_type = answer.header("content-type").split(';').next().unwrap_or_default().to_owned();
    let by_status = &responses[answer.status.as_str()];
    let response = if by_status.is_null() { &responses["default"] } else { by_status };
    let content = &response["content"][&media_type];
    assert!(!content.is_null(), "{method} {path}: {} {media_type} is not in the document", answer.status);
    if matches!(media_type.as_str(), "application/json" | "application/problem+json") {
        let faults = faults(&content["schema"], &answer.json());
        assert!(faults.is_empty(), "{method} {path}: {faults:#?}\n{}", answer.text());
    }
}

/// The operation that serves a path.
pub(super) fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let fits = |template: &str| {
        let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
        template.len() == path.len()
            && template.iter().zip(&path).all(|(part, given)| part.starts_with('{') || part == given)
    };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    // a path without parameters is nearer than one with
    let exact = paths.get(path);
    let item = exact.or_else(|| paths.iter().find(|(template, _)| fits(template)).map(|(_, item)| item))?;
    item.get(method.as_str().to_lowercase())
}

/// What of `value` is not as `schema` says.
pub(super) fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    examine(schema, value, "", &mut faults);
    let mut named = BTreeSet::new();
    members(schema, value, "", &mut named);
    let mut given = BTreeSet::new();
    leaves(value, "", &mut given);
    faults.extend(given.difference(&named).map(|stranger| format!("{stranger} is not in the document")));
    faults
}

fn resolved(schema: &Value) -> &Value {
    match schema["$ref"].as_str() {
        Some(reference) => {
            let name = reference.strip_prefix("#/components/schemas/").expect("a local reference");
            let found = &DOCUMENT["components"]["schemas"][name];
            assert!(!found.is_null(), "{reference} leads nowhere");
            resolved(found)
        }
        None => schema,
    }
}

fn examine(schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let schema = resolved(schema);
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|name| is_a(name, value)) {
        faults.push(format!("{at}: {value} is none of {types:?}"));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        faults.push(format!("{at}: {value} is none of {allowed:?}"));
    }
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.is_object() && value.get(required).is_none() {
            faults.push(format!("{at}/{required} is missing"));
        }
    }
    if let (Some(properties), Some(object)) = (schema["properties"].as_object(), value.as_object()) {
        for (name, property) in properties {
            if let Some(member) = object.get(name) {
                examine(property, member, &format!("{at}/{name}"), faults);
            }
        }
    }
    if let Some(items) = value.as_array().filter(|_| schema.get("items").is_some()) {
        for (index, item) in items.iter().enumerate() {
            examine(&schema["items"], item, &format!("{at}/{index}"), faults);
        }
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        examine(part, value, at, faults);
    }
    for word in ["oneOf", "anyOf"] {
        let Some(choices) = schema[word].as_array() else { continue };
        let fitting = choices.iter().filter(|choice| {
            let mut inner = Vec::new();
            examine(choice, value, at, &mut inner);
            inner.is_empty()
        });
        let count = fitting.count();
        if count == 0 || (word == "oneOf" && count > 1) {
            faults.push(format!("{at}: {count} of {} choices fit {value}", choices.len()));
        }
    }
}

fn is_a(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the document names the type {other}"),
    }
}

/// The places in `value` that `schema` names.
fn members(schema: &Value, value: &Value, at: &str, named: &mut BTreeSet<String>) {
    let schema = resolved(schema);
    named.insert(at.to_owned());
    if let (Some(properties), Some(object)) = (schema["properties"].as_object(), value.as_object()) {
        for (name, property) in properties {
            if let Some(member) = object.get(name) {
                members(property, member, &format!("{at}/{name}"), named);
            }
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        if schema.get("items").is_some() {
            members(&schema["items"], item, &format!("{at}/{index}"), named);
        }
    }
    for word in ["allOf", "oneOf", "anyOf"] {
        for part in schema[word].as_array().into_iter().flatten() {
            let mut inner = Vec::new();
            examine(part, value, at, &mut inner);
            if inner.is_empty() {
                members(part, value, at, named);
            }
        }
    }
}

fn leaves(value: &Value, at: &str, given: &mut BTreeSet<String>) {
    given.insert(at.to_owned());
    match value {
        Value::Object(object) => object.iter().for_each(|(name, value)| leaves(value, &format!("{at}/{name}"), given)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| leaves(item, &format!("{at}/{index}"), given));
        }
        _ => {}
    }
}

#[test]
fn the_comparison_finds_what_is_wrong() {
    use serde_json::json;
    let schema = json!({"type": "object", "required": ["a"], "properties": {
        "a": {"type": "string", "enum": ["x"]}, "b": {"type": ["integer", "null"]},
        "c": {"type": "array", "items": {"oneOf": [{"type": "string"}, {"type": "object", "properties": {"d": {"type": "boolean"}}}]}},
    }});
    assert!(faults(&schema, &json!({"a": "x", "b": null, "c": ["y", {"d": true}]})).is_empty());
    for wrong in [
        json!([]),
        json!({}),
        json!({"a": "y"}),
        json!({"a": 1}),
        json!({"a": "x", "b": "1"}),
        json!({"a": "x", "e": 1}),
        json!({"a": "x", "c": [1]}),
        json!({"a": "x", "c": [{"d": 1}]}),
        json!({"a": "x", "c": [{"e": true}]}),
    ] {
        assert!(!faults(&schema, &wrong).is_empty(), "{wrong}");
    }
}
