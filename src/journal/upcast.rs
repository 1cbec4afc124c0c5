//! Every version ever written becomes today's [`Record`]; what is unknown is an error, never a guess.

use serde::Deserialize;

use crate::journal::record::{Record, VERSION, canonical};

/// The bytes are no record this code knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Written by a newer hallpass.
    #[error("version {0} is not known")]
    Version(u32),
    /// Not of the shape its version promises, or an event nobody knows.
    #[error("{0}")]
    Shape(String),
    /// Members or spellings that this version does not have.
    #[error("it has members that its version does not know, or is not canonical")]
    NotCanonical,
    /// What was to be written would not read back as the same.
    #[error("it would not read back as it was written")]
    Lossy,
}

impl Unreadable {
    /// From the JSON reader's or writer's complaint.
    pub(crate) fn shape(source: impl std::fmt::Display) -> Self {
        Self::Shape(source.to_string())
    }
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// Today's record from the bytes of whichever version.
///
/// # Errors
/// [`Unreadable`], also for members that the version does not have.
pub fn read(core: &[u8]) -> Result<Record, Unreadable> {
    // nearly all are of the version that is written: the version alone is looked for only when one is not
    let shape = match serde_json::from_slice::<Record>(core) {
        Ok(record) if record.version == VERSION => return canonical_only(record, core),
        Ok(record) => return Err(Unreadable::Version(record.version)),
        Err(shape) => shape,
    };
    match serde_json::from_slice(core) {
        Ok(Versioned { version }) if version != VERSION => Err(Unreadable::Version(version)),
        Ok(_) | Err(_) => Err(Unreadable::shape(shape)),
    }
}

fn canonical_only(record: Record, core: &[u8]) -> Result<Record, Unreadable> {
    // not a verification, that is done on the bytes: nested members nobody knows would otherwise be dropped in silence
    if canonical(&record)? == core { Ok(record) } else { Err(Unreadable::NotCanonical) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORE: &str = r#"{"actor":"hallpass","command":"cmd_00000000000000000000000000","event":{"digest":"d","type":"configuration_applied"},"time":5,"version":1}"#;

    #[test]
    fn a_known_record_reads() {
        assert_eq!(read(CORE.as_bytes()).map(|record| record.time.as_millis()), Ok(5));
    }

    #[test]
    fn unknown_versions_types_and_members_are_refused() {
        let with = |from: &str, to: &str| read(CORE.replace(from, to).as_bytes());
        assert_eq!(with(":1}", ":2}"), Err(Unreadable::Version(2)));
        assert!(matches!(with("configuration_applied", "configuration_praised"), Err(Unreadable::Shape(_))));
        assert!(matches!(with(r#""digest":"#, r#""colour":1,"digest":"#), Err(Unreadable::Shape(_))));
        assert!(matches!(with(r#""time":"#, r#""sudo":true,"time":"#), Err(Unreadable::Shape(_))));
        assert_eq!(with(r#""time":5"#, r#""time": 5"#), Err(Unreadable::NotCanonical));
        let nested = r#"{"actor":{"principal":{"assurance":{"sms":true},"principal":{"issuer":"i","subject":"s"}}},"#;
        assert_eq!(with(r#"{"actor":"hallpass","#, nested), Err(Unreadable::NotCanonical));
        assert!(matches!(read(b""), Err(Unreadable::Shape(_))));
    }
}
