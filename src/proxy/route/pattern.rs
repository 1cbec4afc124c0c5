//! Path patterns and which of two is more specific.
//!
//! A pattern is anchored at both ends. Its segments are literals, parameters `{name}` (one segment, never empty), and at
//! the end perhaps `**` (the prefix itself and everything below). A literal is compared with the decoded segment; nothing in
//! it is special.

use std::cmp::Ordering;

use crate::proxy::canonical::path::{PATH_SEGMENTS_MAX, segment_key};
use crate::proxy::canonical::{Case, RESERVED};

/// A path pattern, understood.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Pattern {
    pub(super) segments: Vec<Segment>,
    pub(super) end: End,
}

/// One segment of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Segment {
    /// Exactly this segment, as a key.
    Literal(Box<str>),
    /// Any one segment that is not empty.
    Parameter,
}

/// What may follow the segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum End {
    /// Nothing.
    Here,
    /// Nothing, or anything below.
    Below,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedPattern {
    /// It does not begin with a slash.
    #[error("path must begin with `/`")]
    NoSlash,
    /// Two slashes in a row.
    #[error("path has two slashes in a row: such requests are refused before routing")]
    EmptySegment,
    /// `**` is not the last segment.
    #[error("`**` may only be the last segment")]
    WildcardInside,
    /// A wildcard or a brace inside a segment.
    #[error(
        "`{0}` mixes text and wildcard: a parameter is a whole segment like `{{id}}`, a literal `*` is written `%2A`"
    )]
    PartialSegment(String),
    /// A parameter without a proper name.
    #[error("`{0}` is no parameter: name it with letters, digits and `_`, as in `{{id}}`")]
    ParameterName(String),
    /// No request can ever have such a segment.
    #[error(
        "no request can match `{0}`: dot segments, slashes, semicolons, `?`, `#`, spaces and control characters are refused \
         before routing; a space is written `%20`"
    )]
    Unreachable(String),
    /// More segments than a path may have.
    #[error("path has more than {PATH_SEGMENTS_MAX} segments")]
    TooDeep,
    /// The reserved prefix is not the application's.
    #[error("paths below `{RESERVED}` are answered by hallpass itself")]
    Reserved,
}

impl Pattern {
    /// Reads a pattern.
    pub(super) fn parse(text: &str, case: Case) -> Result<Self, MalformedPattern> {
        let below = text.strip_prefix('/').ok_or(MalformedPattern::NoSlash)?;
        let mut written: Vec<&str> = below.split('/').collect();
        let end = if written.last() == Some(&"**") {
            written.pop();
            End::Below
        } else {
            End::Here
        };
        if written.len() > PATH_SEGMENTS_MAX {
            return Err(MalformedPattern::TooDeep);
        }
        let last = written.len().saturating_sub(1);
        let mut segments = Vec::with_capacity(written.len());
        for (place, segment) in written.iter().enumerate() {
            if segment.is_empty() && (place < last || end == End::Below) {
                return Err(MalformedPattern::EmptySegment);
            }
            segments.push(Segment::parse(segment, case)?);
        }
        if matches!(segments.first(), Some(Segment::Literal(first)) if RESERVED.strip_prefix('/') == Some(&**first)) {
            return Err(MalformedPattern::Reserved);
        }
        Ok(Self { segments, end })
    }

    /// The more specific pattern first: more literal segments, then from the left literal before parameter before the end
    /// before `**`. Two patterns that are equal here and match one path are the same.
    pub(super) fn by_precedence(&self, other: &Self) -> Ordering {
        other.literals().cmp(&self.literals()).then_with(|| self.shape().cmp(other.shape()))
    }

    /// Whether some path matches both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let mut own = self.segments.iter();
        let mut others = other.segments.iter();
        loop {
            match (own.next(), others.next()) {
                (Some(Segment::Literal(a)), Some(Segment::Literal(b))) if a != b => return false,
                (Some(Segment::Literal(text)), Some(Segment::Parameter))
                | (Some(Segment::Parameter), Some(Segment::Literal(text)))
                    if text.is_empty() =>
                {
                    return false;
                }
                (Some(_), Some(_)) | (None, None) => {}
                (Some(_), None) => return other.end == End::Below,
                (None, Some(_)) => return self.end == End::Below,
            }
            if own.len() == 0 && others.len() == 0 {
                return true;
            }
        }
    }

    /// A path key that the pattern matches and, but for wildcards, no literal does.
    pub(super) fn sample(&self) -> String {
        let mut path = String::new();
        for segment in &self.segments {
            path.push('/');
            match segment {
                Segment::Literal(text) => path.push_str(text),
                // no request and no literal holds this character
                Segment::Parameter => path.push('\u{1}'),
            }
        }
        if path.is_empty() { "/".to_owned() } else { path }
    }

    fn literals(&self) -> usize {
        self.segments.iter().filter(|segment| matches!(segment, Segment::Literal(_))).count()
    }

    fn shape(&self) -> impl Iterator<Item = u8> {
        let end = match self.end {
            End::Here => 2,
            End::Below => 3,
        };
        self.segments
            .iter()
            .map(|segment| match segment {
                Segment::Literal(_) => 0,
                Segment::Parameter => 1,
            })
            .chain([end])
    }
}

impl Segment {
    fn parse(text: &str, case: Case) -> Result<Self, MalformedPattern> {
        if text == "**" {
            return Err(MalformedPattern::WildcardInside);
        }
        if let Some(name) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            let named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            return if named { Ok(Self::Parameter) } else { Err(MalformedPattern::ParameterName(text.to_owned())) };
        }
        if text.contains(['*', '{', '}']) {
            return Err(MalformedPattern::PartialSegment(text.to_owned()));
        }
        let key = segment_key(text, case).ok_or_else(|| MalformedPattern::Unreachable(text.to_owned()))?;
        Ok(Self::Literal(key.into_boxed_str()))
    }
}
