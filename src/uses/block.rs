//! How uses are written down: each as a few bytes where it happens, and those of one activation in blocks that are chained.
//!
//! A block is 32 bytes of digest and then its body: the version 1 as one byte; issuer and subject of the principal; and one
//! entry after another until the end. An entry is the instant in milliseconds since 1970 as 8 bytes, and then request id,
//! method, host, path and route. Every text is its length as 2 bytes and then UTF-8; all numbers are big endian. The digest
//! is SHA-256 over the digest of the activation's block before (32 zero bytes before the first) and the body. So the digest
//! of the last block, which is sealed in the journal with the count, holds every use in its place.

use std::borrow::Cow;

use aws_lc_rs::digest::{Context, SHA256};

use super::{Queued, Use};
use crate::domain::id::ActivationId;
use crate::domain::principal::Principal;
use crate::domain::time::Timestamp;

/// SHA-256 over all uses of an activation so far.
pub(super) type Digest = [u8; 32];

/// Uses of one activation that are written together.
pub(super) struct Block {
    /// Digest and body.
    pub(super) bytes: Vec<u8>,
    pub(super) count: u64,
}

impl Queued {
    /// Writes a use down.
    pub(super) fn new(used: &Use<'_>) -> Self {
        let texts = [&used.request_id, &used.method, &used.host, &used.path, &used.route];
        let length = texts.iter().map(|text| 2 + text.len()).sum::<usize>();
        let mut entry = Vec::with_capacity(8 + length);
        entry.extend_from_slice(&used.at.as_millis().to_be_bytes());
        for text in texts {
            write(&mut entry, text);
        }
        Self { activation: used.activation, principal: used.principal.clone(), entry }
    }
}

impl Block {
    /// A block of uses that are all of one activation and principal, after a block with the digest `before`.
    pub(super) fn new(uses: &[Queued], before: &Digest) -> Self {
        let entries = uses.iter().map(|used| used.entry.len()).sum::<usize>();
        let mut bytes = Vec::with_capacity(DIGEST_BYTES + HEAD_BYTES + entries);
        bytes.extend_from_slice(before);
        bytes.push(VERSION);
        if let Some(first) = uses.first() {
            write(&mut bytes, &first.principal.issuer);
            write(&mut bytes, &first.principal.subject);
        }
        for used in uses {
            bytes.extend_from_slice(&used.entry);
        }
        // it stands where the one before stood, which it covers
        let digest = sha256(&bytes);
        if let Some(place) = bytes.first_chunk_mut() {
            *place = digest;
        }
        Self { bytes, count: u64::try_from(uses.len()).unwrap_or(u64::MAX) }
    }
}

/// The digest of a stored block, as it is written there.
pub(super) fn digest_of(bytes: &[u8]) -> Option<Digest> {
    bytes.first_chunk().copied()
}

/// Whether a stored block follows one with the digest `before`, unchanged since it was written.
pub(super) fn follows(bytes: &[u8], before: &Digest) -> bool {
    let Some((digest, body)) = bytes.split_first_chunk::<DIGEST_BYTES>() else { return false };
    let mut context = Context::new(&SHA256);
    context.update(before);
    context.update(body);
    context.finish().as_ref() == digest
}

/// The uses in a stored block of `activation`; `None` when it cannot be read.
pub(super) fn uses_in(bytes: &[u8], activation: ActivationId) -> Option<Vec<Use<'static>>> {
    let mut rest = bytes.get(DIGEST_BYTES..)?;
    rest = rest.strip_prefix(&[VERSION])?;
    let principal = Principal::new(&text(&mut rest)?, &text(&mut rest)?);
    let mut uses = Vec::new();
    while !rest.is_empty() {
        let (at, texts) = rest.split_first_chunk()?;
        rest = texts;
        uses.push(Use {
            activation,
            principal: principal.clone(),
            at: Timestamp::from_millis(i64::from_be_bytes(*at)),
            request_id: text(&mut rest)?,
            method: text(&mut rest)?,
            host: text(&mut rest)?,
            path: text(&mut rest)?,
            route: text(&mut rest)?,
        });
    }
    Some(uses)
}

fn write(bytes: &mut Vec<u8>, text: &str) {
    // no limit on what is recorded comes near to this; what were longer would be cut, not confused with what follows
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(text.as_bytes().get(..usize::from(length)).unwrap_or_default());
}

fn text(rest: &mut &[u8]) -> Option<Cow<'static, str>> {
    let (length, after) = rest.split_first_chunk()?;
    let (text, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *rest = after;
    Some(Cow::Owned(String::from_utf8_lossy(text).into_owned()))
}

fn sha256(bytes: &[u8]) -> Digest {
    let digest = aws_lc_rs::digest::digest(&SHA256, bytes);
    // SHA-256 has 32 bytes
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

/// Before the first block of an activation.
pub(super) const NOTHING: Digest = [0; DIGEST_BYTES];
const DIGEST_BYTES: usize = 32;
const VERSION: u8 = 1;
/// As much as version and principal usually take.
const HEAD_BYTES: usize = 128;
