//! Checkpoints: the head of the journal as a signed note, to be kept elsewhere and read by anybody's tools.
//!
//! The form is C2SP's: a text of lines (`origin`, number of records, hash in base64, one extension line with the time), an
//! empty line, and lines of signatures `— name base64(key id ‖ signature)`. The name is the origin, the key id the first four
//! bytes of `SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key)`, the signature Ed25519 over the text. What stands in the place of a
//! tree's root is the hash of the last record: the journal is a chain, and no proof of inclusion comes with it.
//!
//! The text can never be taken for what a record's signature covers: it begins with another ninth byte.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER};

use crate::clock::{format_rfc3339, parse_rfc3339};
use crate::domain::event::ChainPoint;
use crate::domain::time::Timestamp;
use crate::journal::record::Digest;
use crate::journal::sign::{PublicKey, SigningKey};

/// What a checkpoint says: at `time` the journal ended with this record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The chain's name.
    pub realm: String,
    /// Sequence of the last record.
    pub sequence: u64,
    /// Its hash.
    pub hash: [u8; 32],
    /// When this was said.
    pub time: Timestamp,
}

impl Checkpoint {
    /// Signs it with the key in force.
    #[must_use]
    pub fn sign(self, key: &SigningKey) -> SignedCheckpoint {
        let text = self.text();
        let name = origin(&self.realm);
        let signature = key.sign_bytes(text.as_bytes());
        let id = key_id(&name, key.public_key());
        SignedCheckpoint { checkpoint: self, text, signatures: vec![NoteSignature { name, id, signature }] }
    }

    /// The same place, as events name it.
    #[must_use]
    pub fn point(&self) -> ChainPoint {
        ChainPoint { realm: self.realm.clone(), sequence: self.sequence, hash: HEXLOWER.encode(&self.hash) }
    }

    fn text(&self) -> String {
        let Self { realm, sequence, hash, time } = self;
        let (origin, hash, time) = (origin(realm), BASE64.encode(hash), format_rfc3339(*time));
        format!("{origin}\n{sequence}\n{hash}\n{TIME}{time}\n")
    }
}

/// A checkpoint as a signed note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What it says.
    pub checkpoint: Checkpoint,
    text: String,
    signatures: Vec<NoteSignature>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct NoteSignature {
    name: String,
    id: [u8; 4],
    signature: [u8; 64],
}

impl SignedCheckpoint {
    /// Whether `key` signed it.
    #[must_use]
    pub fn is_by(&self, key: &PublicKey) -> bool {
        let name = origin(&self.checkpoint.realm);
        let id = key_id(&name, key);
        self.signatures
            .iter()
            .filter(|signed| signed.name == name && signed.id == id)
            .any(|signed| key.verifies_bytes(self.text.as_bytes(), &signed.signature))
    }
}

/// The note, to its last line break.
impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        f.write_char('\n')?;
        for NoteSignature { name, id, signature } in &self.signatures {
            writeln!(f, "{MARK}{name} {}", BASE64.encode(&[&id[..], &signature[..]].concat()))?;
        }
        Ok(())
    }
}

/// The text is no checkpoint of a hallpass journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a checkpoint of a hallpass journal")]
pub struct MalformedCheckpoint;

impl FromStr for SignedCheckpoint {
    type Err = MalformedCheckpoint;

    /// Reads one whole note. Signatures of others, of whatever kind, are passed over; nothing is verified yet.
    fn from_str(note: &str) -> Result<Self, MalformedCheckpoint> {
        let (body, signed) = note.rsplit_once("\n\n").ok_or(MalformedCheckpoint)?;
        let signed = signed.strip_suffix('\n').ok_or(MalformedCheckpoint)?;
        let signatures: Option<Vec<&str>> = signed.split('\n').map(|line| line.strip_prefix(MARK)).collect();
        let signatures = signatures.ok_or(MalformedCheckpoint)?;
        let text = format!("{body}\n");
        let checkpoint = read_text(&text).ok_or(MalformedCheckpoint)?;
        let signatures = signatures.into_iter().filter_map(NoteSignature::read).collect();
        Ok(Self { checkpoint, text, signatures })
    }
}

impl NoteSignature {
    fn read(line: &str) -> Option<Self> {
        let (name, bytes) = line.split_once(' ')?;
        let bytes = BASE64.decode(bytes.as_bytes()).ok()?;
        let (id, signature) = bytes.split_first_chunk()?;
        Some(Self { name: name.to_owned(), id: *id, signature: signature.try_into().ok()? })
    }
}

fn read_text(text: &str) -> Option<Checkpoint> {
    let mut lines = text.strip_suffix('\n')?.split('\n');
    let realm = lines.next()?.strip_prefix(ORIGIN)?;
    let well_named = !realm.is_empty() && realm.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'+');
    let number = lines.next()?;
    let sequence: u64 = number.parse().ok()?;
    let hash = BASE64.decode(lines.next()?.as_bytes()).ok()?.try_into().ok()?;
    let time = parse_rfc3339(lines.find_map(|line| line.strip_prefix(TIME))?).ok()?;
    // a number has one spelling
    (well_named && sequence > 0 && sequence.to_string() == number).then(|| Checkpoint {
        realm: realm.to_owned(),
        sequence,
        hash,
        time,
    })
}

/// What a file of anchors holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// All whole notes, oldest first.
    pub whole: Vec<SignedCheckpoint>,
    /// How many pieces between them are none, such as a torn last one.
    pub broken: usize,
}

/// All whole notes in a file of anchors, oldest first; what is none is passed over.
#[must_use]
pub fn read_all(file: &str) -> Vec<SignedCheckpoint> {
    read_file(file).whole
}

/// All whole notes in a file of anchors, and how much of it is none.
#[must_use]
pub fn read_file(file: &str) -> Notes {
    let mut notes = Notes::default();
    let mut note = String::new();
    for line in file.split_inclusive('\n') {
        let after_signatures = note.lines().next_back().is_some_and(|last| last.starts_with(MARK));
        if (after_signatures && !line.starts_with(MARK)) || line.starts_with(ORIGIN) {
            notes.take(&note);
            note.clear();
        }
        if !(note.is_empty() && line.trim().is_empty()) {
            note.push_str(line);
        }
    }
    notes.take(&note);
    notes
}

impl Notes {
    fn take(&mut self, piece: &str) {
        match piece.parse() {
            Ok(note) => self.whole.push(note),
            Err(MalformedCheckpoint) => self.broken += usize::from(!piece.is_empty()),
        }
    }
}

/// The journal's name among signers.
#[must_use]
pub fn origin(realm: &str) -> String {
    format!("{ORIGIN}{realm}")
}

/// The line by which tools for signed notes know a key.
#[must_use]
pub fn verifier_key(realm: &str, key: &PublicKey) -> String {
    let name = origin(realm);
    let (id, key) = (key_id(&name, key), BASE64.encode(&[&[ED25519], &key.bytes()[..]].concat()));
    format!("{name}+{}+{key}", HEXLOWER.encode(&id))
}

fn key_id(name: &str, key: &PublicKey) -> [u8; 4] {
    let Digest([a, b, c, d, ..]) = Digest::of(&[name.as_bytes(), b"\n", &[ED25519], key.bytes()]);
    [a, b, c, d]
}

/// Before the realm.
const ORIGIN: &str = "hallpass.dev/journal/";
/// Before the time.
const TIME: &str = "time ";
/// Before each signature: an em dash and a space.
const MARK: &str = "\u{2014} ";
/// The kind of signature.
const ED25519: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(sequence: u64) -> (SigningKey, SignedCheckpoint) {
        let (key, _) = SigningKey::generate().unwrap();
        let time = Timestamp::from_millis(1_795_000_000_123);
        let checkpoint = Checkpoint { realm: "00ff".into(), sequence, hash: [7; 32], time };
        let signed = checkpoint.sign(&key);
        (key, signed)
    }

    #[test]
    fn a_note_reads_back_and_verifies_by_its_key_alone() {
        let (key, note) = signed(12);
        let read: SignedCheckpoint = note.to_string().parse().unwrap();
        assert_eq!(read, note);
        assert!(read.is_by(key.public_key()));
        assert!(!read.is_by(SigningKey::generate().unwrap().0.public_key()));
        let changed: SignedCheckpoint = note.to_string().replacen("\n12\n", "\n13\n", 1).parse().unwrap();
        assert_eq!(changed.checkpoint.sequence, 13);
        assert!(!changed.is_by(key.public_key()));
    }

    #[test]
    fn what_is_no_note_is_refused() {
        let text = signed(12).1.to_string();
        for (from, to) in [
            ("\n12\n", "\n012\n"),
            ("\n12\n", "\n-1\n"),
            ("\n12\n", "\n0\n"),
            ("hallpass.dev/journal/00ff\n", "hallpass.dev/journal/\n"),
            ("hallpass.dev/journal/00ff\n", "example.com/log\n"),
            ("\ntime ", "\ntide "),
            ("\n\n", "\n"),
            ("\u{2014} ", "- "),
        ] {
            let broken = text.replacen(from, to, 1);
            assert_ne!(broken, text, "{from:?}");
            assert!(broken.parse::<SignedCheckpoint>().is_err(), "{to:?}");
        }
        assert!("".parse::<SignedCheckpoint>().is_err());
    }

    #[test]
    fn a_signature_of_somebody_else_beside_it_does_no_harm() {
        let (key, note) = signed(12);
        let witnessed = format!("{note}\u{2014} witness.example AAAAAAAA\n");
        assert!(witnessed.parse::<SignedCheckpoint>().unwrap().is_by(key.public_key()));
    }

    #[test]
    fn a_file_of_anchors_gives_all_its_whole_notes() {
        let notes: Vec<_> = [1, 2, 3].map(|sequence| signed(sequence).1).into();
        let file: String = notes.iter().map(|note| format!("{note}\n")).collect();
        assert_eq!(read_all(&file), notes);
        let torn = file.get(..file.len() - 9).unwrap();
        assert_eq!(read_file(torn), Notes { whole: notes[..2].to_vec(), broken: 1 });
        assert_eq!(read_file(&file).broken, 0);
        // torn inside the em dash, read as far as it is text, and gone on with
        let (begin, _) = file.as_bytes().split_at(file.rfind('\u{2014}').unwrap() + 1);
        let went_on = format!("{}\n{}\n", String::from_utf8_lossy(begin), notes[0]);
        assert_eq!(read_file(&went_on), Notes { whole: [&notes[..2], &notes[..1]].concat(), broken: 1 });
        assert_eq!(read_all(&format!("hallpass.dev/journal/00ff\n7\ntorn{}\n", notes[0])), []);
        assert_eq!(read_all(&format!("hallpass.dev/journal/00ff\n7\ntorn\n{}\n", notes[0])), notes[..1]);
        assert_eq!(read_all(""), []);
    }
}
