//! The resolved configuration as TOML again: every key with its value, and keys that have none as comments.

use std::fmt::Write as _;

use toml::{Table, Value};

use crate::config::resolve::Config;
use crate::config::schema::{Shape, schema};

/// The resolved configuration as TOML. It holds no secret: one that was written as text is shown as `<redacted>`, which cannot
/// be read again. Without such, reading it again gives the same configuration, relative paths starting from the new file's
/// folder.
#[must_use]
pub fn print(config: &Config) -> String {
    let schema = schema();
    let mut text = format!("# digest {}\n", config.digest);
    match Table::try_from(&config.effective) {
        Ok(table) => section(&mut text, "", &table, Some(Shape::new(&schema))),
        Err(error) => drop(writeln!(text, "# cannot be printed: {error}")),
    }
    text
}

/// Plain values first, then tables: a value behind a header would belong to that header. Writing to a text cannot fail.
fn section(text: &mut String, name: &str, table: &Table, shape: Option<Shape<'_>>) {
    for (key, value) in table.iter().filter(|(_, value)| !is_section(value)) {
        let _ = writeln!(text, "{key} = {value}");
    }
    for key in shape.into_iter().flat_map(Shape::keys).filter(|key| !table.contains_key(*key)) {
        let _ = writeln!(text, "# {key} is not set");
    }
    for (key, value) in table.iter().filter(|(_, value)| is_section(value)) {
        let full = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        let below = shape.and_then(|shape| shape.key(key));
        match value {
            Value::Table(table) => {
                let _ = writeln!(text, "\n[{full}]");
                section(text, &full, table, below);
            }
            Value::Array(items) => {
                for table in items.iter().filter_map(Value::as_table) {
                    let _ = writeln!(text, "\n[[{full}]]");
                    section(text, &full, table, below.and_then(Shape::items));
                }
            }
            Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
        }
    }
}

fn is_section(value: &Value) -> bool {
    match value {
        Value::Table(_) => true,
        Value::Array(items) => !items.is_empty() && items.iter().all(Value::is_table),
        _ => false,
    }
}
