//! Text of strangers inside lines of our own: one event stays one line, and no character moves the reader's eye.

use std::borrow::Cow;

/// Whether a character may stand in a line as it is. Not so: control characters, line and paragraph separators, and
/// whatever turns or hides text (bidirectional marks, zero-width marks, the byte order mark).
#[must_use]
pub fn is_plain(character: char) -> bool {
    !character.is_control()
        && !matches!(
            character,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

/// The text with every character that is not plain written as `\u{…}`.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_plain(character) {
            escaped.push(character);
        } else {
            escaped.extend(character.escape_unicode());
        }
    }
    Cow::Owned(escaped)
}

/// Appends a JSON string, quotes included.
pub fn json(line: &mut Vec<u8>, text: &str) {
    line.push(b'"');
    if text.bytes().all(|byte| matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\') {
        line.extend_from_slice(text.as_bytes());
    } else {
        for character in text.chars() {
            json_character(line, character);
        }
    }
    line.push(b'"');
}

fn json_character(line: &mut Vec<u8>, character: char) {
    match character {
        '"' => line.extend_from_slice(b"\\\""),
        '\\' => line.extend_from_slice(b"\\\\"),
        _ if is_plain(character) => {
            let mut bytes = [0; 4];
            line.extend_from_slice(character.encode_utf8(&mut bytes).as_bytes());
        }
        _ => {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                line.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: [&str; 8] = [
        "a\nb",
        "a\r\n{\"level\":\"INFO\"}",
        "\u{1b}[2J",
        "\u{202e}gnp.exe",
        "\u{2066}x\u{2069}",
        "zero\u{200b}width",
        "\u{85}next\u{2028}line",
        "quote\" back\\slash \u{7f}",
    ];

    #[test]
    fn nothing_but_plain_characters_comes_out() {
        for hostile in HOSTILE {
            assert!(text(hostile).chars().all(is_plain), "{hostile:?}");
            let mut line = Vec::new();
            json(&mut line, hostile);
            let line = String::from_utf8(line).unwrap();
            assert!(line.chars().all(is_plain), "{hostile:?}");
            assert_eq!(serde_json::from_str::<String>(&line).unwrap(), hostile, "JSON still says the same");
        }
    }

    #[test]
    fn plain_text_is_left_alone() {
        for plain in ["", "/vault/k", "Grüße, 世界", "🙂"] {
            assert!(matches!(text(plain), Cow::Borrowed(same) if same == plain));
        }
    }
}
