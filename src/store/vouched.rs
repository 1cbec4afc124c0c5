//! Rows that decisions and verdicts rest on: each is compared with its seal, and none that fails it is believed.

use redb::ReadableTable;

use crate::domain::activation::{Activation, Phase};
use crate::domain::assignment::{Assignment, AssignmentKind};
use crate::domain::id::{ActivationId, AssignmentId};
use crate::domain::principal::{Party, Principal};
use crate::domain::role::RoleId;
use crate::domain::standing::{Basis, Eligible, Held, Lock, Pending, Position, Standing};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::rows::{OpenRow, Placed, existing, inverted_position};
use crate::store::seal::{self};
use crate::store::seal::{Group, Seals, Sum, View, group_of_party};
use crate::store::tables::{OF_ACTIVATION, Rows, Scope, Source, after_prefix, fixed, from_row, party_key};

/// Rows of one state, compared with their seals.
pub(super) struct Vouched<'s, S> {
    source: &'s S,
    seals: &'s Seals,
    view: View<'s>,
}

/// All rows of one party.
struct PartyRows {
    lock: Lock,
    /// The instant before which its credentials count no more.
    credentials_since: Option<Timestamp>,
    /// Kind, id, row.
    open: Vec<(u8, [u8; 16], OpenRow)>,
}

/// A key and its value.
struct Row {
    key: Vec<u8>,
    value: Vec<u8>,
}

impl<'s, S: Source> Vouched<'s, S> {
    /// The rows of `source`, which is the state `view`.
    pub(super) const fn new(source: &'s S, seals: &'s Seals, view: View<'s>) -> Self {
        Self { source, seals, view }
    }

    /// Whether a principal is locked.
    pub(super) fn lock(&self, principal: &Principal) -> Result<Lock, StoreError> {
        Ok(self.party(&Party::Principal(principal.clone()))?.lock)
    }

    /// What a party holds, may activate and awaits, as of `position`.
    pub(super) fn standing(&self, party: &Party, position: Position) -> Result<Standing, StoreError> {
        let PartyRows { lock, credentials_since, open } = self.party(party)?;
        let mut standing = Standing { position, lock, credentials_since, ..Standing::default() };
        for (_, _, row) in open {
            match row {
                OpenRow::Activated { activation, role, window, via } => {
                    standing.held.push(Held { role, window, basis: Basis::Activation(activation), via });
                }
                OpenRow::Pending { activation, role, requested_at, progress, lapses_at } => {
                    standing.pending.push(Pending { activation, role, requested_at, progress, lapses_at });
                }
                OpenRow::Assigned { assignment, role, window } => {
                    // whoever holds it through a group must present the group
                    let via = party.group().cloned();
                    standing.held.push(Held { role, window, basis: Basis::Assignment(assignment), via });
                }
                OpenRow::Eligible { assignment, role, window } => {
                    standing.eligible.push(Eligible { assignment, role, window });
                }
            }
        }
        Ok(standing)
    }

    /// One activation; one that is lost although records tell of it is damage.
    pub(super) fn activation(&self, id: [u8; 16]) -> Result<Option<Placed<Activation>>, StoreError> {
        let found = self.own(Rows::Activations, id, |placed: &Placed<Activation>| is_open(&placed.item))?;
        if found.is_none() {
            let scope = Scope::of_activation(ActivationId::from_random(id));
            let (first, last) = (scope.at(0), scope.at(u64::MAX));
            let records = self.source.table(Rows::Records.definition())?;
            if records.range::<&[u8]>(first.as_slice()..=last.as_slice())?.next().is_some() {
                return Err(StoreError::Damaged("an activation is lost".to_owned()));
            }
        }
        Ok(found)
    }

    /// One assignment.
    pub(super) fn assignment(&self, id: [u8; 16]) -> Result<Option<Placed<Assignment>>, StoreError> {
        self.own(Rows::Assignments, id, |placed: &Placed<Assignment>| stands(&placed.item))
    }

    /// Open activations of a principal, perhaps only for one role: those that wait, then those that are held, newest first.
    pub(super) fn open_activations(
        &self,
        principal: &Principal,
        role: Option<&RoleId>,
    ) -> Result<Vec<Activation>, StoreError> {
        let mut open = Vec::new();
        for (kind, id, _) in self.party(&Party::Principal(principal.clone()))?.open {
            if kind == OF_ACTIVATION {
                let placed = existing(self.activation(id)?)?;
                if role.is_none_or(|role| *role == placed.item.role) {
                    open.push(placed);
                }
            }
        }
        open.sort_by_key(|placed| {
            (matches!(placed.item.phase, Phase::Active { .. }), std::cmp::Reverse(placed.position))
        });
        Ok(open.into_iter().map(|placed| placed.item).collect())
    }

    /// Open activations behind an eligible assignment.
    pub(super) fn open_behind(&self, assignment: AssignmentId) -> Result<Vec<Activation>, StoreError> {
        let prefix = assignment.to_bytes();
        let found = self.group(Rows::Behind, &prefix)?;
        found
            .into_iter()
            .map(|Row { key, .. }| {
                let id = *key.last_chunk().ok_or_else(|| StoreError::Damaged("a key without id".to_owned()))?;
                Ok(existing(self.activation(id)?)?.item)
            })
            .collect()
    }

    /// Standing assignments of one or both kinds, of a party, of a role, or of both; newest first.
    pub(super) fn standing_assignments(
        &self,
        kinds: &[AssignmentKind],
        party: Option<&Party>,
        role: Option<&RoleId>,
    ) -> Result<Vec<Assignment>, StoreError> {
        let mut found = Vec::new();
        for kind in kinds {
            found.extend(self.listed(Scope::assignments(*kind, party, role))?);
        }
        found.sort_unstable_by_key(|placed| std::cmp::Reverse(placed.position));
        Ok(found.into_iter().map(|placed| placed.item).collect())
    }

    /// Standing assignments that configuration made.
    pub(super) fn configured_assignments(&self) -> Result<Vec<Assignment>, StoreError> {
        Ok(self.listed(Scope::configuration())?.into_iter().map(|placed| placed.item).collect())
    }

    fn listed(&self, scope: Scope) -> Result<Vec<Placed<Assignment>>, StoreError> {
        let prefix = scope.at(0);
        let prefix = prefix.first_chunk::<16>().copied().unwrap_or_default();
        self.group(Rows::Standing, &prefix)?
            .into_iter()
            .map(|Row { key, value: id }| {
                let placed = existing(self.assignment(fixed(&id)?)?)?;
                if placed.position != inverted_position(&key)? {
                    return Err(StoreError::Damaged("a list names another assignment".to_owned()));
                }
                Ok(placed)
            })
            .collect()
    }

    fn party(&self, party: &Party) -> Result<PartyRows, StoreError> {
        let prefix = party_key(party);
        let mut sum = Sum::default();
        let mut rows = PartyRows { lock: Lock::Open, credentials_since: None, open: Vec::new() };
        if let Some(lock) = self.source.table(Rows::Locks.definition())?.get(prefix.as_slice())? {
            sum = sum.with(self.seals.row(Rows::Locks, &prefix, lock.value()));
            rows.lock = Lock::Locked;
        }
        if let Some(since) = self.source.table(Rows::Credentials.definition())?.get(prefix.as_slice())? {
            sum = sum.with(self.seals.row(Rows::Credentials, &prefix, since.value()));
            rows.credentials_since = Some(Timestamp::from_millis(i64::from_be_bytes(fixed(since.value())?)));
        }
        let table = self.source.table(Rows::Open.definition())?;
        // kinds are small numbers: no key of this party lies behind 0xff
        let end = [prefix.as_slice(), &[0xff]].concat();
        for entry in table.range::<&[u8]>(prefix.as_slice()..end.as_slice())? {
            let (key, row) = entry?;
            let (key, row) = (key.value(), row.value());
            sum = sum.with(self.seals.row(Rows::Open, key, row));
            let (kind, id) = key.get(prefix.len()..).and_then(<[u8]>::split_first).ok_or_else(not_vouched)?;
            rows.open.push((*kind, fixed(id)?, from_row(row)?));
        }
        self.check(&group_of_party(&prefix), sum)?;
        Ok(rows)
    }

    /// Keys and values of a whole group that shares the beginning of its keys.
    fn group(&self, rows: Rows, prefix: &[u8]) -> Result<Vec<Row>, StoreError> {
        let table = self.source.table(rows.definition())?;
        let range = match after_prefix(prefix) {
            Some(end) => table.range::<&[u8]>(prefix..end.as_slice())?,
            None => table.range::<&[u8]>(prefix..)?,
        };
        let (mut found, mut sum) = (Vec::new(), Sum::default());
        for entry in range {
            let (key, value) = entry?;
            sum = sum.with(self.seals.row(rows, key.value(), value.value()));
            found.push(Row { key: key.value().to_vec(), value: value.value().to_vec() });
        }
        self.check(&seal::group(rows, prefix)?, sum)?;
        Ok(found)
    }

    /// A case or assignment, sealed for as long as it is open.
    fn own<T: serde::de::DeserializeOwned>(
        &self,
        rows: Rows,
        id: [u8; 16],
        is_open: impl Fn(&T) -> bool,
    ) -> Result<Option<T>, StoreError> {
        let table = self.source.table(rows.definition())?;
        let mut sum = Sum::default();
        let mut found = None;
        if let Some(row) = table.get(id.as_slice())? {
            let item: T = from_row(row.value())?;
            if is_open(&item) {
                sum = self.seals.row(rows, &id, row.value());
            }
            found = Some(item);
        }
        self.check(&seal::group(rows, &id)?, sum)?;
        Ok(found)
    }

    fn check(&self, group: &Group, sum: Sum) -> Result<(), StoreError> {
        if self.seals.expected(group, self.view)? == sum { Ok(()) } else { Err(not_vouched()) }
    }
}

/// Whether an activation may still give somebody something.
pub(super) const fn is_open(activation: &Activation) -> bool {
    !matches!(activation.phase, Phase::Ended { .. })
}

/// Whether an assignment has not ended.
pub(super) const fn stands(assignment: &Assignment) -> bool {
    assignment.ended.is_none()
}

fn not_vouched() -> StoreError {
    StoreError::Damaged("rows that grant are not those that were written".to_owned())
}
