//! Every version ever written becomes today's [`Record`]; what is unknown is an error, never a guess.

use serde::Deserialize;

use crate::journal::record::{EVENT_TYPES, Record, VERSION, canonical};

/// The bytes are no record this code knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Written by a newer hallpass.
    #[error("version {0} is not known")]
    Version(u32),
    /// An event of a newer hallpass.
    #[error("an event `{0}` is not known")]
    Event(String),
    /// Not of the shape its version promises.
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

    /// Whether a later hallpass may read it.
    #[must_use]
    pub const fn is_later(&self) -> bool {
        matches!(self, Self::Version(_) | Self::Event(_))
    }
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
    #[serde(default)]
    event: Typed,
}

#[derive(Default, Deserialize)]
struct Typed {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    realm: Option<String>,
    #[serde(default)]
    public_key: Option<String>,
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
        Ok(Versioned { version, .. }) if version != VERSION => Err(Unreadable::Version(version)),
        Ok(Versioned { event: Typed { kind: Some(kind), .. }, .. }) if !EVENT_TYPES.contains(&kind.as_str()) => {
            Err(Unreadable::Event(kind))
        }
        Ok(_) | Err(_) => Err(Unreadable::shape(shape)),
    }
}

/// What the first record of a journal says of it, whatever its version: enough to tell whether the record is authentic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The chain's name.
    pub realm: String,
    /// The root key, hexadecimal.
    pub public_key: String,
}

/// The journal that the record in `core` begins; none when it begins none.
///
/// # Errors
/// [`Unreadable::Shape`], when it is no record at all.
pub fn begun(core: &[u8]) -> Result<Option<Begun>, Unreadable> {
    let Versioned { event, .. } = serde_json::from_slice(core).map_err(Unreadable::shape)?;
    Ok(match event {
        Typed { kind: Some(kind), realm: Some(realm), public_key: Some(public_key) } if kind == "journal_opened" => {
            Some(Begun { realm, public_key })
        }
        _ => None,
    })
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
        let praised = Unreadable::Event("configuration_praised".to_owned());
        assert_eq!(with("configuration_applied", "configuration_praised"), Err(praised.clone()));
        assert_eq!(praised.to_string(), "an event `configuration_praised` is not known");
        assert!(matches!(with(r#""digest":"#, r#""colour":1,"digest":"#), Err(Unreadable::Shape(_))));
        assert!(matches!(with(r#""time":"#, r#""sudo":true,"time":"#), Err(Unreadable::Shape(_))));
        assert_eq!(with(r#""time":5"#, r#""time": 5"#), Err(Unreadable::NotCanonical));
        let nested = r#"{"actor":{"principal":{"assurance":{"sms":true},"principal":{"issuer":"i","subject":"s"}}},"#;
        assert_eq!(with(r#"{"actor":"hallpass","#, nested), Err(Unreadable::NotCanonical));
        assert!(matches!(read(b""), Err(Unreadable::Shape(_))));
    }
}
