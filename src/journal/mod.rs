//! Bytes of the log, no I/O beyond what is handed in.
//!
//! # Format, version 1
//!
//! The journal is a list of records, numbered from 1 without gaps. A record says one event and its header:
//!
//! - **core**: canonical JSON (RFC 8785) with the members `version` (1), `time` (milliseconds since 1970), `actor`,
//!   `command` (the id that all records of one command share), `event` (with its `type`), and, where there is any,
//!   `detail` (the digest of the note) and `idempotency` (digests of the client's key and of what was asked under it, the
//!   latter with the note's salt). The stored bytes are what counts: nothing is ever verified by encoding it again.
//! - **hash**: `SHA-256(realm ‖ 0x00 ‖ sequence as 8 bytes big endian ‖ previous hash ‖ core)`. The realm is the chain's
//!   name, 32 hexadecimal digits drawn at random when the journal began. Before the first record the previous hash is 32
//!   zero bytes; the first record is `journal_opened`, which names the realm and the root public key, so that every later
//!   hash covers both.
//! - **signature**: Ed25519 over `"hallpass/1 event" ‖ hash`, by the key in force: the root key that the first record names,
//!   until a `key_rotated` record, still signed by the key before, names the one that signs from the next record on.
//! - **note**: what a person typed or is called, canonical JSON, kept beside the record with 32 random bytes of salt. The
//!   core holds `SHA-256("hallpass/1 note" ‖ 0x00 ‖ salt ‖ note)`. A note can be erased together with its salt: the chain
//!   still verifies, and nothing about the text can be guessed from the digest.
//!
//! Times never decrease from one record to the next.
//!
//! An **export** is JSON lines, one record each, that can be verified with the root public key alone: `sequence`, `time` (to
//! read), `core` (the exact bytes, as a string), `previous`, `hash`, `signature` (hexadecimal), and `note` with `salt`
//! unless there is none or it was erased.
//!
//! A **checkpoint** is the head as a signed note (C2SP), by the key in force; see [`checkpoint`].
//!
//! A new shape of any event or of the header is a new version: [`upcast`] turns every version ever written into today's
//! [`Record`] and refuses what it does not know. Rejected (2026-11): binary cores, because an auditor should be able to
//! read what was signed; a Merkle tree, because nobody yet asks for proofs of single records.

pub mod absent;
pub mod backup;
mod carried;
pub mod chain;
pub mod checkpoint;
pub mod cut;
pub mod export;
mod fault;
mod line;
pub mod record;
mod sealed_uses;
pub mod sign;
pub mod upcast;
pub mod verify;

pub use carried::Carried;
pub use chain::{Sealed, Tip};
pub use checkpoint::{Checkpoint, SignedCheckpoint};
pub use cut::Cut;
pub use export::Exported;
pub use line::LineSignature;
pub use record::{Digest, EVENT_TYPES, IdempotencyDigest, Note, Record};
pub use sealed_uses::SealedUses;
pub use sign::{PublicKey, SigningKey};
