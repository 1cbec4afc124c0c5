//! The journal and its fold, in one redb file.
//!
//! [`open`] gives a [`Reader`], cloned freely, and the one [`Appender`]. Every change is one [`Transaction`]: records, notes
//! and rows commit together or not at all. Rows are folded from events only, so they can be made again at any time.
//!
//! - `open`, `begin`, `key`, `pin`: first start, the checks of every start, the signing key's file and the journal it is bound to
//! - `reserve`: room for ending rights when the disk is full
//! - `operator`, `succession`: what is done to a store while no hallpass runs on it: another key, a confirmed head, a new beginning
//! - `append`, `case`: one transaction, and what a decision in it may read
//! - `cut`, `carried`: old records taken out behind a signed record, and what they had come to · `refold`, `scratch`: all folded anew
//! - `fold`: event → rows · `rows`: rows as they are read · `tables`: every table and key layout
//! - `seal`, `vouched`: rows that grant are bound to the key, and compared whenever a verdict or decision rests on them
//! - `query`, `search`, `records`: questions · `rebuild`: all tables from the journal
//! - `snapshot`: the journal carried away · `stopped`, `build`, `overlay`: a store that no hallpass runs on

mod append;
mod aside;
mod begin;
mod bounds;
mod build;
mod carried;
mod case;
mod cut;
mod error;
mod fold;
mod handle;
mod index;
mod key;
mod lent;
mod open;
mod operator;
mod overlay;
mod pin;
mod query;
mod random;
mod rebuild;
mod records;
mod refold;
mod reserve;
mod rows;
mod scratch;
mod seal;
mod search;
mod snapshot;
pub mod stopped;
mod succession;
mod tables;
#[cfg(test)]
pub(crate) mod tests;
mod vouched;

use std::path::PathBuf;
use std::sync::Arc;

use redb::StorageBackend;
use serde::{Deserialize, Serialize};

use crate::domain::activation::Ending;
use crate::domain::assignment::AssignmentKind;
use crate::domain::event::{Actor, Detail, Event};
use crate::domain::id::{ActivationId, CommandId};
use crate::domain::principal::{Party, Principal};
use crate::domain::role::RoleId;
use crate::domain::standing::Position;
use crate::domain::time::Timestamp;
use crate::journal::{Digest, Note, Sealed, SigningKey};
use crate::store::open::{Checked, Place, Trust};
use crate::store::scratch::Scratch;
use crate::store::seal::Seals;

pub use append::{Appender, Transaction};
pub use aside::Aside;
pub use bounds::{Bound, KEPT, Retention, Wanted};
pub use build::{Ended, Fresh, Piece};
pub use cut::{Plan, Planned};
pub use error::StoreError;
pub(crate) use handle::{Handle, by_name_alone, guarded};
pub(crate) use key::tell_who_may_read;
pub use operator::{Rotated, bound_key_in_file, confirm_head, open_existing, public_key_in_file, rotate_key};
pub use pin::Pin;
pub use query::Reader;
pub(crate) use random::random_id;
pub use rebuild::TableDigest;
pub use snapshot::Snapshot;
pub use succession::{Begun, Successor, begin_successor, begun_successor};

/// What redb may hold in memory.
const CACHE_BYTES: usize = 32 << 20;

/// No page of a list is longer, whatever was asked for.
pub const PAGE_MAX: usize = 10_000;

/// Where the store lives and what signs it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The store file.
    pub path: PathBuf,
    /// The Ed25519 signing key, PKCS#8, mode 0600; made at first start.
    pub key_path: PathBuf,
}

/// An open store.
pub struct Opened {
    /// Reads; cloned freely.
    pub reader: Reader,
    /// Writes; moved into the writer.
    pub appender: Appender,
}

/// Opens or creates the store; refuses a second process, a foreign key, an unknown version, a broken tip.
///
/// # Errors
/// [`StoreError`]; nothing that exists is ever replaced.
pub fn open(settings: &Settings, now: Timestamp) -> Result<Opened, StoreError> {
    let (place, checked, trust) = open::open_files(settings, now)?;
    opened(place, checked, trust)
}

/// Opens the store in `backend`, or begins one when it holds no table at all. The backend must stay usable after it was
/// closed: [`Appender::reopen`] opens it again.
///
/// # Errors
/// As [`open`].
pub fn open_backend(backend: impl StorageBackend, key: SigningKey, now: Timestamp) -> Result<Opened, StoreError> {
    let (place, checked, trust) = open::open_storage(Arc::new(backend), key, now)?;
    opened(place, checked, trust)
}

fn opened(place: Place, Checked { database, sums, .. }: Checked, trust: Trust) -> Result<Opened, StoreError> {
    let seals = Seals::new(&trust.key, &trust.chain.realm);
    seals.replace(sums);
    let (handle, scratch) = (Handle::new(database), place.scratch());
    let committed = handle.read(rows::head)?;
    let shared = Arc::new(Shared { handle, trust, seals: Arc::new(seals), scratch });
    let reader = Reader { shared: Arc::clone(&shared) };
    Ok(Opened { reader, appender: Appender::new(shared, place, committed) })
}

/// What readers and the appender have in common.
struct Shared {
    handle: Handle,
    trust: Trust,
    seals: Arc<Seals>,
    /// Where the journal can be folded to look at what comes of it.
    scratch: Scratch,
}

/// The newest record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its position.
    pub position: Position,
    /// Its hash.
    pub hash: [u8; 32],
    /// Its time.
    pub time: Timestamp,
}

/// One record as read back, for pages, the audit API and notices.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Position.
    pub position: Position,
    /// Time of the record.
    pub time: Timestamp,
    /// Who.
    pub actor: Actor,
    /// The command that caused it.
    pub command: CommandId,
    /// What.
    pub event: Event,
    /// Its free text, unless erased.
    pub detail: Option<Detail>,
    /// Whether there was free text, and it was erased.
    pub erased: bool,
    /// The sealed bytes (core, hashes, signature).
    pub sealed: Sealed,
}

/// Which records. Empty is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordFilter {
    /// Of this activation.
    pub activation: Option<ActivationId>,
    /// That concern this principal (as actor, holder, approver or party).
    pub principal: Option<Principal>,
    /// That concern this role.
    pub role: Option<RoleId>,
    /// That concern a role of this application.
    pub app: Option<String>,
    /// Of activations that ended so.
    pub ending: Option<Ending>,
    /// Of this event type (`activation_started`).
    pub event: Option<String>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// Which activations.
#[derive(Debug, Clone, Default)]
pub struct ActivationFilter {
    /// Of this holder.
    pub principal: Option<Principal>,
    /// For this role.
    pub role: Option<RoleId>,
    /// `pending`, `active` or `ended`.
    pub phase: Option<PhaseName>,
    /// For a role of this application.
    pub app: Option<String>,
    /// That ended so.
    pub ending: Option<Ending>,
    /// Asked for not before.
    pub from: Option<Timestamp>,
    /// Asked for before.
    pub until: Option<Timestamp>,
}

/// In which order a list comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// What began last comes first.
    #[default]
    NewestFirst,
    /// What began first comes first.
    OldestFirst,
}

/// The name of a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PhaseName {
    /// Waits.
    Pending,
    /// Held.
    Active,
    /// Over.
    Ended,
}

/// Which assignments.
#[derive(Debug, Clone, Default)]
pub struct AssignmentFilter {
    /// Eligible or active.
    pub kind: Option<AssignmentKind>,
    /// To this party.
    pub party: Option<Party>,
    /// Of this role.
    pub role: Option<RoleId>,
}

/// An activation with the position of its first record, by which lists are ordered and continued.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    /// Position of the record that began it.
    pub position: Position,
    /// The thing.
    pub item: T,
}

/// One look at a list: what was found, and where to look on.
#[derive(Debug, Clone)]
pub struct Found<T> {
    /// In the list's order.
    pub items: Vec<Listed<T>>,
    /// The list goes on behind this position; nothing is left when there is none. Looking takes turns: a look may find
    /// little and still go on.
    pub next: Option<Position>,
}

/// What every record of one command has in common.
#[derive(Debug, Clone)]
pub struct Header {
    /// The command.
    pub command: CommandId,
    /// When it was decided; never before the last record's time.
    pub time: Timestamp,
    /// Who gave it.
    pub actor: Actor,
    /// Key under which the same answer is given again.
    pub idempotency: Option<Idempotency>,
}

/// A client's key for one command, with a digest of all it asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// The key as sent, 1 to 255 visible ASCII characters.
    pub key: String,
    /// SHA-256 over the command asked for.
    pub digest: [u8; 32],
}

/// What an idempotency key was used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    asked: Digest,
    /// Of the first record it caused, unless that was erased.
    note: Option<Note>,
    /// The records it caused: first and last.
    pub records: (Position, Position),
}

impl Remembered {
    /// Whether it was used for the same: `digest` is SHA-256 over the command asked for now. Once its note is erased nobody can
    /// tell, and it was used for something else.
    #[must_use]
    pub fn is_of(&self, digest: &[u8; 32]) -> bool {
        // versions that knew no salt here wrote the digest as it is
        let is_salted = |note: &Note| self.asked == note.salted(digest);
        self.asked == Digest(*digest) || self.note.as_ref().is_some_and(is_salted)
    }
}

/// What a commit changed.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The newest record.
    pub head: Head,
    /// Parties whose standing changed.
    pub touched: Vec<Party>,
}
