//! What reaches a terminal: the streams handed in, text of strangers made harmless, tables.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, BufRead, Write};

use comfy_table::{Table, presets};

/// The streams of one run, and whether people sit at them.
pub struct Streams<'s> {
    /// For what was asked.
    pub out: &'s mut dyn Write,
    /// For everything else.
    pub err: &'s mut dyn Write,
    /// For answers to questions.
    pub input: &'s mut dyn BufRead,
    /// Whether `out` is a terminal.
    pub out_is_terminal: bool,
    /// Whether `input` is a terminal, so that somebody can be asked.
    pub input_is_terminal: bool,
}

/// Text of strangers on one line: control characters and those that reorder or hide text are spelled out, so that nobody's
/// name or justification can move the cursor or pose as another line.
#[must_use]
pub(super) fn safe(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            harmful if is_harmful(harmful) => {
                // writing to a string cannot fail
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(harmful));
            }
            harmless => safe.push(harmless),
        }
    }
    Cow::Owned(safe)
}

/// JSON for a terminal: what [`safe`] would spell out becomes an escape of JSON, so that the value stays the same. Line
/// breaks and tabs stand between values only and are left alone.
#[must_use]
pub(super) fn safe_json(json: &str) -> Cow<'_, str> {
    let harmful = |character: char| is_harmful(character) && !matches!(character, '\n' | '\r' | '\t');
    if !json.chars().any(harmful) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if harmful(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// Rows under headings: ruled for people, bare columns for everything else. Cells must be [`safe`] already.
///
/// # Errors
/// When `out` cannot be written.
pub(super) fn write_table(streams: &mut Streams<'_>, headings: &[&str], rows: Vec<Vec<String>>) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(if streams.out_is_terminal { presets::UTF8_HORIZONTAL_ONLY } else { presets::NOTHING });
    table.set_header(headings.iter().copied());
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for line in table.lines() {
        writeln!(streams.out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'                     // Arabic letter mark
                | '\u{200b}'..='\u{200f}' // zero width, left-to-right and right-to-left marks
                | '\u{2028}'..='\u{202e}' // line and paragraph separators, embeddings and overrides
                | '\u{2060}'..='\u{206f}' // invisible operators, isolates
                | '\u{feff}'              // byte order mark
                | '\u{fff9}'..='\u{fffb}' // interlinear annotation
                | '\u{e0000}'..='\u{e007f}' // tags
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_strangers_cannot_steer_a_terminal() {
        for (given, shown) in [
            ("Ada Lovelace, ünïcode ✓ 日本", "Ada Lovelace, ünïcode ✓ 日本"),
            ("\x1b[2Jgone", "\\u{1b}[2Jgone"),
            ("one\r\ntwo\tthree", "one\\r\\ntwo\\tthree"),
            ("\u{202e}nimda", "\\u{202e}nimda"),
            ("csi \u{9b}31m", "csi \\u{9b}31m"),
            ("a\u{200b}b\u{feff}", "a\\u{200b}b\\u{feff}"),
        ] {
            assert_eq!(safe(given), shown);
        }
    }

    #[test]
    fn json_made_safe_is_the_same_value() {
        let json = "{\n\t\"name\": \"\u{202e}x\u{9b}\u{e0041}\u{7f}\"\n}";
        let safe = safe_json(json);
        assert!(!safe.contains(['\u{202e}', '\u{9b}', '\u{e0041}', '\u{7f}']));
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&safe), value(json));
    }
}
