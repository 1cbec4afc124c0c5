//! The path: one text that is logged and forwarded, and one key that is matched.
//!
//! The text is the path as sent, with needless escapes of letters, digits, `-`, `.`, `_` and `~` undone, other escapes in
//! upper case, and characters that a path may not hold plainly escaped. Nothing else is repaired: dot segments, repeated
//! slashes, escaped slashes and semicolons are refused (a route may keep escaped slashes, or have parameters stripped).
//!
//! The key is the text decoded once, segment by segment: `/a!b` and `/a%21b` are one path to an application, so they must
//! be one to the rules. An escaped slash is [`KEPT_SLASH`] in the key, so that it never divides segments. Where letter
//! case does not count the key is folded. The key follows from the text alone.

use crate::proxy::canonical::{BadRequest, Case, EncodedSlashes, PathParameters, Spelling};

/// Most bytes of a path.
pub(in crate::proxy) const PATH_BYTES_MAX: usize = 8 * 1024;
/// Most segments of a path.
pub(in crate::proxy) const PATH_SEGMENTS_MAX: usize = 256;
/// What an escaped slash is in a key: no path may hold it otherwise.
pub(in crate::proxy) const KEPT_SLASH: char = '\0';

/// What reading a path has found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ReadPath {
    /// The canonical text, when it is not the text that was read.
    pub(super) text: Option<String>,
    /// The key, when it is not the canonical text.
    pub(super) key: Option<Box<str>>,
    /// Whether escaped slashes were kept.
    pub(super) encoded_slashes: Seen,
    /// Whether parameters were stripped.
    pub(super) parameters: Seen,
}

/// Whether something occurred.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Seen {
    #[default]
    No,
    Yes,
}

/// Reads a path in time linear in its length.
pub(super) fn read(raw: &str, spelling: &Spelling) -> Result<ReadPath, BadRequest> {
    if raw.len() > PATH_BYTES_MAX {
        return Err(BadRequest::PathTooLong);
    }
    let below = raw.strip_prefix('/').ok_or(BadRequest::TargetForm)?;
    if below.bytes().filter(|byte| *byte == b'/').count() >= PATH_SEGMENTS_MAX {
        return Err(BadRequest::PathTooDeep);
    }
    let plain = below.bytes().all(|byte| is_plain(byte) || byte == b'/');
    if plain && (spelling.case == Case::Sensitive || !below.bytes().any(|byte| byte.is_ascii_uppercase())) {
        check_segments(below)?;
        return Ok(ReadPath::default());
    }
    rewrite(raw, below, spelling)
}

/// The key of one segment: decoded once and, where letter case does not count, folded. For patterns, so that they are
/// compared in the same form; `None` when no canonical path can hold the segment.
pub(in crate::proxy) fn segment_key(raw: &str, case: Case) -> Option<String> {
    // a pattern may be written with plain letters beyond ASCII; a request may not
    let escaped = percent_encoding::utf8_percent_encode(raw, percent_encoding::CONTROLS).to_string();
    let mut writer = Writer::new(escaped.len(), EncodedSlashes::Refuse);
    writer.segment(&escaped).ok()?;
    let key = finish_key(writer.key, case).ok()?;
    (key != "." && key != "..").then_some(key)
}

/// Characters a path may hold as they are, but for the semicolon.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b'='
                | b':'
                | b'@'
        )
}

/// Characters outside the grammar that mean nothing but themselves: escaped, not refused, because browsers send them.
const fn is_harmless(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'[' | b']' | b'^' | b'`' | b'{' | b'|' | b'}')
}

fn check_segments(below: &str) -> Result<(), BadRequest> {
    let mut segments = below.split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "" if segments.peek().is_some() => return Err(BadRequest::EmptySegment),
            "." | ".." => return Err(BadRequest::DotSegment),
            _ => {}
        }
    }
    Ok(())
}

fn rewrite(raw: &str, below: &str, spelling: &Spelling) -> Result<ReadPath, BadRequest> {
    let mut writer = Writer::new(raw.len(), spelling.encoded_slashes);
    let mut parameters = Seen::No;
    for segment in below.split('/') {
        let kept = match (segment.split_once(';'), spelling.parameters) {
            (None, _) => segment,
            (Some(_), PathParameters::Refuse) => return Err(BadRequest::PathParameters),
            (Some((kept, _)), PathParameters::Strip) => {
                parameters = Seen::Yes;
                kept
            }
        };
        writer.slash();
        writer.segment(kept)?;
    }
    let encoded_slashes = writer.encoded_slashes;
    // the text may have grown by escapes
    if writer.text.len() > PATH_BYTES_MAX {
        return Err(BadRequest::PathTooLong);
    }
    let text = writer.text;
    let key = finish_key(writer.key, spelling.case)?;
    // dots and empty segments are looked for where every trick is undone
    check_segments(key.strip_prefix('/').unwrap_or_default())?;
    if encoded_slashes == Seen::Yes {
        // should an application decode them after all, they must not climb
        let climbs = key.split(['/', '\\', KEPT_SLASH]).any(|piece| piece == "." || piece == "..");
        if climbs {
            return Err(BadRequest::DotSegment);
        }
    }
    let key = (key != text).then(|| key.into_boxed_str());
    Ok(ReadPath { text: (text != raw).then_some(text), key, encoded_slashes, parameters })
}

/// Writes text and key side by side.
struct Writer {
    text: String,
    key: Vec<u8>,
    keep: EncodedSlashes,
    encoded_slashes: Seen,
}

impl Writer {
    fn new(length: usize, keep: EncodedSlashes) -> Self {
        Self { text: String::with_capacity(length), key: Vec::with_capacity(length), keep, encoded_slashes: Seen::No }
    }

    fn slash(&mut self) {
        self.text.push('/');
        self.key.push(b'/');
    }

    fn segment(&mut self, segment: &str) -> Result<(), BadRequest> {
        let mut bytes = segment.bytes();
        while let Some(byte) = bytes.next() {
            if byte == b'%' {
                let (high, low) = bytes.next().zip(bytes.next()).ok_or(BadRequest::BrokenEscape)?;
                self.escape(hex(high)? * 16 + hex(low)?)?;
            } else if is_plain(byte) {
                self.text.push(char::from(byte));
                self.key.push(byte);
            } else if is_harmless(byte) {
                self.push_escape(byte);
                self.key.push(byte);
            } else {
                return Err(if byte == b';' { BadRequest::PathParameters } else { BadRequest::PathCharacter });
            }
        }
        Ok(())
    }

    fn escape(&mut self, byte: u8) -> Result<(), BadRequest> {
        match byte {
            b'-' | b'.' | b'_' | b'~' => {
                self.text.push(char::from(byte));
                self.key.push(byte);
            }
            _ if byte.is_ascii_alphanumeric() => {
                self.text.push(char::from(byte));
                self.key.push(byte);
            }
            b'/' | b'\\' => {
                if self.keep == EncodedSlashes::Refuse {
                    return Err(BadRequest::EncodedSlash);
                }
                self.encoded_slashes = Seen::Yes;
                self.push_escape(byte);
                self.key.push(if byte == b'/' { 0 } else { byte });
            }
            b';' => return Err(BadRequest::PathParameters),
            _ if byte.is_ascii_control() => return Err(BadRequest::PathCharacter),
            _ => {
                self.push_escape(byte);
                self.key.push(byte);
            }
        }
        Ok(())
    }

    fn push_escape(&mut self, byte: u8) {
        self.text.push_str(percent_encoding::percent_encode_byte(byte));
    }
}

fn hex(digit: u8) -> Result<u8, BadRequest> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(BadRequest::BrokenEscape),
    }
}

fn finish_key(key: Vec<u8>, case: Case) -> Result<String, BadRequest> {
    let key = String::from_utf8(key).map_err(|_| BadRequest::PathNotUtf8)?;
    // ASCII controls are gone already; the key's own mark for an escaped slash is none of the rest
    if key.chars().any(|letter| letter.is_control() && letter != KEPT_SLASH) {
        return Err(BadRequest::PathCharacter);
    }
    match case {
        Case::Sensitive => Ok(key),
        Case::Ignored => fold(&key),
    }
}

/// Folds letter case. A letter beyond ASCII whose other case is an ASCII letter (`K` for Kelvin, `ſ`) is refused, because
/// applications differ in whether they take it for that letter.
fn fold(key: &str) -> Result<String, BadRequest> {
    let mut folded = String::with_capacity(key.len());
    for letter in key.chars() {
        if letter.is_ascii() {
            folded.push(letter.to_ascii_lowercase());
            continue;
        }
        let lower_of_upper = letter.to_uppercase().flat_map(char::to_lowercase);
        let mut cases = letter.to_uppercase().chain(letter.to_lowercase()).chain(lower_of_upper.clone());
        if cases.any(|other| other.is_ascii()) {
            return Err(BadRequest::LetterCase);
        }
        folded.extend(lower_of_upper);
    }
    Ok(folded)
}
