//! Every table and every key layout, in one place.
//!
//! Truth: `meta`, `journal`, `notes`, and `carried`, what records that were cut had come to, as the record of their cut signed
//! it. Everything else is folded from it, except `cursors`, which others keep here.
//! Numbers in keys are big endian, so that they sort; newest first means that the position is inverted. Text in keys has
//! its length before it, so that no key is the beginning of another.
//!
//! Lists are kept per scope (all, of a principal, of a role, of both together); a scope is 16 bytes of a digest, and what
//! is found through it is compared with what was looked for. The lists of activations are three, one per phase, with as many
//! rows for each activation of a phase, so that counting needs no counter that could drift.

use redb::{Key, ReadTransaction, ReadableTable, TableDefinition, Value, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::activation::Ending;
use crate::domain::assignment::AssignmentKind;
use crate::domain::id::ActivationId;
use crate::domain::principal::{Party, Principal};
use crate::domain::role::RoleId;
use crate::domain::time::Timestamp;
use crate::journal::record::Digest;
use crate::store::StoreError;

/// The format of all tables; another one means rebuilding them from the journal.
pub(crate) const FORMAT: u32 = 3;

/// Format, realm, root public key, head, newest record folded.
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Sequence → sealed record.
pub(super) const JOURNAL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("journal");
/// Sequence → note.
pub(super) const NOTES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("notes");
/// Name → position, kept by those who follow the journal.
pub(super) const CURSORS: TableDefinition<'_, &str, u64> = TableDefinition::new("cursors");

/// Table, key → row as it was behind the last record that was cut.
pub(super) const CARRIED: TableDefinition<'_, (&str, &[u8]), &[u8]> = TableDefinition::new("carried");

/// A table of rows.
pub(super) const fn rows(name: &'static str) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(name)
}

/// A table folded from the journal: bytes to bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rows {
    /// Id → position of the first record, activation.
    Activations,
    /// Id → position of the first record, assignment.
    Assignments,
    /// Scope, position inverted → id: activations that wait.
    Pending,
    /// The same of those that are held.
    Active,
    /// The same of those that are over.
    Ended,
    /// Scope, position inverted → id: assignments that have not ended.
    Standing,
    /// Party, kind, id → what the party holds, may activate or awaits.
    Open,
    /// Assignment, activation → nothing: open activations behind an eligible assignment.
    Behind,
    /// Approver, position inverted → id: ballots in whose open stage the approver may vote.
    Ballots,
    /// Instant, kind, id → nothing: what time will change.
    Due,
    /// Principal → nothing.
    Locks,
    /// Principal → the instant before which its credentials count no more.
    Credentials,
    /// Principal, digest of the key → what it was used for.
    Idempotency,
    /// Instant, key of the row above → nothing.
    IdempotencyEnds,
    /// Scope, sequence → nothing: records by what they concern.
    Records,
}

impl Rows {
    /// All of them.
    pub(super) const ALL: [Self; 15] = [
        Self::Activations,
        Self::Assignments,
        Self::Pending,
        Self::Active,
        Self::Ended,
        Self::Standing,
        Self::Open,
        Self::Behind,
        Self::Ballots,
        Self::Due,
        Self::Locks,
        Self::Credentials,
        Self::Idempotency,
        Self::IdempotencyEnds,
        Self::Records,
    ];

    /// Its name in the file.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Activations => "activations",
            Self::Assignments => "assignments",
            Self::Pending => "pending_activations",
            Self::Active => "active_activations",
            Self::Ended => "ended_activations",
            Self::Standing => "standing_assignments",
            Self::Open => "open",
            Self::Behind => "behind",
            Self::Ballots => "ballots",
            Self::Due => "due",
            Self::Locks => "locks",
            Self::Credentials => "credentials",
            Self::Idempotency => "idempotency",
            Self::IdempotencyEnds => "idempotency_ends",
            Self::Records => "records",
        }
    }

    /// Its definition.
    pub(super) const fn definition(self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        rows(self.name())
    }
}

/// Where rows are read from: a snapshot, or the transaction that is writing.
pub(super) trait Source {
    /// Opens a table to read.
    fn table<'t, K: Key + 'static, V: Value + 'static>(
        &'t self,
        definition: TableDefinition<'_, K, V>,
    ) -> Result<impl ReadableTable<K, V> + 't, StoreError>;
}

impl Source for ReadTransaction {
    fn table<'t, K: Key + 'static, V: Value + 'static>(
        &'t self,
        definition: TableDefinition<'_, K, V>,
    ) -> Result<impl ReadableTable<K, V> + 't, StoreError> {
        Ok(self.open_table(definition)?)
    }
}

impl Source for WriteTransaction {
    fn table<'t, K: Key + 'static, V: Value + 'static>(
        &'t self,
        definition: TableDefinition<'_, K, V>,
    ) -> Result<impl ReadableTable<K, V> + 't, StoreError> {
        Ok(self.open_table(definition)?)
    }
}

/// The version byte before every row.
const ROW_VERSION: u8 = 1;

/// A row's bytes.
pub(super) fn to_row<T: Serialize>(row: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![ROW_VERSION];
    serde_json::to_writer(&mut bytes, row).map_err(|error| StoreError::Stray(error.to_string()))?;
    Ok(bytes)
}

/// The row in these bytes.
pub(super) fn from_row<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    match bytes.split_first() {
        Some((&ROW_VERSION, json)) => {
            serde_json::from_slice(json).map_err(|error| StoreError::Damaged(format!("a row: {error}")))
        }
        Some((&found, _)) => Err(StoreError::UnknownVersion { found: u32::from(found), known: u32::from(ROW_VERSION) }),
        None => Err(StoreError::Damaged("an empty row".to_owned())),
    }
}

/// Bytes of fixed length out of a row or key.
pub(super) fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Damaged("a key or row of another length".to_owned()))
}

/// A list's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope([u8; 16]);

impl Scope {
    fn new(tag: &str, parts: &[&str]) -> Self {
        let mut key = Vec::with_capacity(96);
        push_text(&mut key, tag);
        for part in parts {
            push_text(&mut key, part);
        }
        let Digest(digest) = Digest::of(&[&key]);
        let mut scope = [0; 16];
        for (byte, digested) in scope.iter_mut().zip(digest) {
            *byte = digested;
        }
        Self(scope)
    }

    /// Activations of a principal, of a role, of both, or all.
    pub(super) fn activations(principal: Option<&Principal>, role: Option<&RoleId>) -> Self {
        match (principal, role) {
            (None, None) => Self::new("all", &[]),
            (Some(principal), None) => Self::new("principal", &[&principal.issuer, &principal.subject]),
            (None, Some(role)) => Self::new("role", &[role.as_str()]),
            (Some(principal), Some(role)) => {
                Self::new("principal and role", &[&principal.issuer, &principal.subject, role.as_str()])
            }
        }
    }

    /// Activations for the roles of an application, and records that concern one.
    pub(super) fn of_app(app: &str) -> Self {
        Self::new("app", &[app])
    }

    /// Activations that ended so, and records of such.
    pub(super) fn of_ending(ending: Ending) -> Self {
        let name = match ending {
            Ending::Denied => "denied",
            Ending::Cancelled => "cancelled",
            Ending::Lapsed => "lapsed",
            Ending::Deactivated => "deactivated",
            Ending::Revoked => "revoked",
            Ending::Expired => "expired",
            Ending::EligibilityLost => "eligibility_lost",
            Ending::Locked => "locked",
        };
        Self::new("ending", &[name])
    }

    /// Assignments of one kind, of a party, of a role, of both, or all.
    pub(super) fn assignments(kind: AssignmentKind, party: Option<&Party>, role: Option<&RoleId>) -> Self {
        let kind = match kind {
            AssignmentKind::Eligible => "eligible",
            AssignmentKind::Active => "active",
        };
        let role = role.map_or("", RoleId::as_str);
        match party {
            None => Self::new(kind, &[role]),
            Some(Party::Principal(Principal { issuer, subject })) => {
                Self::new(kind, &[role, "principal", issuer, subject])
            }
            Some(Party::Group(group)) => Self::new(kind, &[role, "group", &group.issuer, &group.name]),
        }
    }

    /// Assignments that configuration made.
    pub(super) fn configuration() -> Self {
        Self::new("made by configuration", &[])
    }

    /// Records of an activation.
    pub(super) fn of_activation(activation: ActivationId) -> Self {
        Self::new("activation", &[&activation.to_string()])
    }

    /// Records of one event type.
    pub(super) fn of_event(event: &str) -> Self {
        Self::new("event", &[event])
    }

    /// The key of position `position` in this list, newest first.
    pub(super) fn newest_first(self, position: u64) -> [u8; 24] {
        self.at(!position)
    }

    /// The key of position `position` in this list, oldest first.
    pub(super) fn at(self, position: u64) -> [u8; 24] {
        let mut key = [0; 24];
        for (byte, given) in key.iter_mut().zip(self.0.into_iter().chain(position.to_be_bytes())) {
            *byte = given;
        }
        key
    }
}

/// A party as key: one byte of kind, issuer, name.
pub(super) fn party_key(party: &Party) -> Vec<u8> {
    let (kind, issuer, name) = match party {
        Party::Principal(principal) => (b'p', &principal.issuer, &principal.subject),
        Party::Group(group) => (b'g', &group.issuer, &group.name),
    };
    let mut key = Vec::with_capacity(64);
    key.push(kind);
    push_text(&mut key, issuer);
    push_text(&mut key, name);
    key
}

/// A principal as key.
pub(super) fn principal_key(principal: &Principal) -> Vec<u8> {
    party_key(&Party::Principal(principal.clone()))
}

fn push_text(key: &mut Vec<u8>, text: &str) {
    key.extend(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
    key.extend(text.as_bytes());
}

/// What an id in a key is the id of.
pub(super) const OF_ACTIVATION: u8 = 1;
/// What an id in a key is the id of.
pub(super) const OF_ASSIGNMENT: u8 = 2;

/// An instant, then anything: what becomes due.
pub(super) fn due_key(at: Timestamp, rest: &[&[u8]]) -> Vec<u8> {
    let mut key = at.as_millis().max(0).to_be_bytes().to_vec();
    for part in rest {
        key.extend(*part);
    }
    key
}

/// The first key after all that begin with `prefix`; none when there is no end.
pub(super) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}
