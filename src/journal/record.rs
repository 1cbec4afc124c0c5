//! One record: an event with its header, and the note beside it.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::event::{Actor, Detail, Event};
use crate::domain::id::CommandId;
use crate::domain::time::Timestamp;
use crate::journal::upcast::{self, Unreadable};

/// An event with its header, as today's code sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The version of this shape.
    pub version: u32,
    /// When it was decided.
    pub time: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// The command that caused it.
    pub command: CommandId,
    /// What happened.
    pub event: Event,
    /// Salted digest of the note beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Digest>,
    /// Under which key the same answer is given again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<IdempotencyDigest>,
}

/// The version that is written.
pub const VERSION: u32 = 1;

/// A client's idempotency key, as far as the journal may know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdempotencyDigest {
    /// SHA-256 over the key.
    pub key: Digest,
    /// Over all that was asked; with the salt of the record's note, where there is one, so that nobody can guess at what was
    /// typed once the note is erased.
    pub asked: Digest,
}

impl IdempotencyDigest {
    /// Of `key`, as the client sent it, and of `asked`, SHA-256 over all it asked, in a record beside `note`.
    #[must_use]
    pub fn new(key: &str, asked: &[u8; 32], note: Option<&Note>) -> Self {
        // a record without a note is one of a command in which nothing was typed
        let asked = note.map_or(Digest(*asked), |note| note.salted(asked));
        Self { key: Digest::of(&[key.as_bytes()]), asked }
    }
}

impl Record {
    /// The canonical bytes of this record.
    ///
    /// # Errors
    /// [`Unreadable`] when what was written would not read back as the same: a number too large for canonical JSON.
    pub fn encode(&self) -> Result<Vec<u8>, Unreadable> {
        let core = canonical(self)?;
        if upcast::read(&core)? == *self { Ok(core) } else { Err(Unreadable::Lossy) }
    }
}

/// The event's type as its core spells it.
#[must_use]
pub const fn event_type(event: &Event) -> &'static str {
    match event {
        Event::JournalOpened { .. } => "journal_opened",
        Event::ConfigurationApplied { .. } => "configuration_applied",
        Event::AssignmentMade { .. } => "assignment_made",
        Event::AssignmentChanged { .. } => "assignment_changed",
        Event::AssignmentEnded { .. } => "assignment_ended",
        Event::ActivationRequested { .. } => "activation_requested",
        Event::ActivationDecided { .. } => "activation_decided",
        Event::ActivationStarted { .. } => "activation_started",
        Event::ExtensionRequested { .. } => "extension_requested",
        Event::ExtensionEnded { .. } => "extension_ended",
        Event::ActivationExtended { .. } => "activation_extended",
        Event::ActivationShortened { .. } => "activation_shortened",
        Event::ActivationEnded { .. } => "activation_ended",
        Event::UsesSealed { .. } => "uses_sealed",
        Event::PrincipalLocked { .. } => "principal_locked",
        Event::PrincipalUnlocked { .. } => "principal_unlocked",
        Event::CredentialsRevoked { .. } => "credentials_revoked",
        Event::KeyRotated { .. } => "key_rotated",
        Event::AnchorConfirmed { .. } => "anchor_confirmed",
        Event::JournalSucceeded { .. } => "journal_succeeded",
        Event::NotesErased { .. } => "notes_erased",
        Event::JournalCut { .. } => "journal_cut",
    }
}

/// Every type an event may have.
pub const EVENT_TYPES: [&str; 22] = [
    "journal_opened",
    "configuration_applied",
    "assignment_made",
    "assignment_changed",
    "assignment_ended",
    "activation_requested",
    "activation_decided",
    "activation_started",
    "extension_requested",
    "extension_ended",
    "activation_extended",
    "activation_shortened",
    "activation_ended",
    "uses_sealed",
    "principal_locked",
    "principal_unlocked",
    "credentials_revoked",
    "key_rotated",
    "anchor_confirmed",
    "journal_succeeded",
    "notes_erased",
    "journal_cut",
];

/// RFC 8785 bytes of `value`.
///
/// # Errors
/// [`Unreadable`] when it has no canonical form.
pub(crate) fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, Unreadable> {
    serde_json_canonicalizer::to_vec(value).map_err(Unreadable::shape)
}

/// What a person typed or is called, as bytes, with the salt that keeps its digest from telling anything.
#[derive(Clone, PartialEq, Eq)]
pub struct Note {
    salt: [u8; 32],
    text: Vec<u8>,
}

/// Never shows the text: notes hold what must be erasable, and logs are not.
impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Note({} bytes)", self.text.len())
    }
}

impl Note {
    /// The note of `detail` under `salt`, 32 fresh random bytes; none when there is nothing to keep.
    ///
    /// # Errors
    /// [`Unreadable`] when it has no canonical form, which text always has.
    pub fn new(detail: &Detail, salt: [u8; 32]) -> Result<Option<Self>, Unreadable> {
        if detail.is_empty() { Ok(None) } else { Ok(Some(Self { salt, text: canonical(detail)? })) }
    }

    /// A note as it was kept.
    #[must_use]
    pub const fn from_parts(salt: [u8; 32], text: Vec<u8>) -> Self {
        Self { salt, text }
    }

    /// Its salt.
    #[must_use]
    pub const fn salt(&self) -> &[u8; 32] {
        &self.salt
    }

    /// Its exact bytes.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The digest the record holds.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&[b"hallpass/1 note\0", &self.salt, &self.text])
    }

    /// A digest of `asked`, SHA-256 over what it was typed in, that tells nothing without the salt.
    #[must_use]
    pub fn salted(&self, asked: &[u8; 32]) -> Digest {
        Digest::of(&[b"hallpass/1 asked\0", &self.salt, asked])
    }

    /// What it says.
    ///
    /// # Errors
    /// [`Unreadable`] when it is no detail.
    pub fn detail(&self) -> Result<Detail, Unreadable> {
        serde_json::from_slice(&self.text).map_err(Unreadable::shape)
    }
}

/// A SHA-256 digest, hexadecimal in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// SHA-256 over the parts, one after the other.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(part);
        }
        let mut bytes = [0; 32];
        for (byte, digested) in bytes.iter_mut().zip(context.finish().as_ref()) {
            *byte = *digested;
        }
        Self(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        from_hex(&text).map(Self).ok_or_else(|| serde::de::Error::custom("not 64 lower-case hexadecimal digits"))
    }
}

/// Exactly `N` bytes from lower-case hexadecimal.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_are_those_that_can_be_read() {
        let known = serde_json::from_str::<Event>(r#"{"type":"none of them"}"#).unwrap_err().to_string();
        let known: Vec<&str> = known.split('`').skip(3).step_by(2).collect();
        assert_eq!(known, EVENT_TYPES);
    }

    #[test]
    fn a_digest_is_the_well_known_one() {
        let digest = Digest::of(&[b"a", b"bc"]);
        assert_eq!(digest.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(from_hex(&digest.to_string()), Some(digest.0));
        assert_eq!(from_hex::<32>(&digest.to_string().to_uppercase()), None);
    }

    #[test]
    fn the_same_text_under_another_salt_has_another_digest() {
        let detail = Detail { justification: Some("ticket 7".into()), ..Detail::default() };
        let one = Note::new(&detail, [1; 32]).unwrap().unwrap();
        let two = Note::new(&detail, [2; 32]).unwrap().unwrap();
        assert_ne!(one.digest(), two.digest());
        assert_eq!(one.detail().unwrap(), detail);
        assert_eq!(Note::new(&Detail::default(), [1; 32]).unwrap(), None);
        assert!(!format!("{one:?}").contains("ticket"));
    }

    #[test]
    fn a_number_that_canonical_json_would_round_is_refused() {
        let id = crate::domain::id::ActivationId::from_random([1; 16]);
        let event = |count| Event::UsesSealed { activation: id, count, digest: String::new() };
        let record = |count| Record {
            version: VERSION,
            time: Timestamp::from_seconds(1),
            actor: Actor::Hallpass,
            command: CommandId::from_random([2; 16]),
            event: event(count),
            detail: None,
            idempotency: None,
        };
        assert!(record(1 << 53).encode().is_ok());
        assert!(matches!(record((1 << 53) + 1).encode(), Err(Unreadable::Lossy)));
    }
}
