//! Questions to the store: each sees one consistent state.

use std::collections::BTreeMap;
use std::sync::Arc;

use redb::{ReadTransaction, ReadableTable};

use crate::domain::activation::{Activation, Phase};
use crate::domain::assignment::Assignment;
use crate::domain::command::Overdue;
use crate::domain::id::{ActivationId, AssignmentId};
use crate::domain::identity::Identity;
use crate::domain::principal::{Party, Principal};
use crate::domain::standing::{Lock, Position, Standing};
use crate::domain::time::Timestamp;
use crate::journal::verify::KeySpan;
use crate::journal::{Checkpoint, PublicKey, SignedCheckpoint, SigningKey};
use crate::store::rows::{self, due_in, existing, inverted_position};
use crate::store::seal::View;
use crate::store::tables::{CURSORS, Rows, due_key, fixed, party_key};
use crate::store::vouched::Vouched;
use crate::store::{AssignmentFilter, Head, Listed, Order, PAGE_MAX, PhaseName, Shared, Snapshot, StoreError};

/// Reads the store; every call sees one consistent state. Blocking, short.
#[derive(Clone)]
pub struct Reader {
    pub(super) shared: Arc<Shared>,
}

impl Reader {
    /// The newest record.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn head(&self) -> Result<Head, StoreError> {
        self.read(|source| {
            let tip = rows::head(source)?;
            Ok(Head { position: Position(tip.sequence), hash: tip.hash, time: tip.time })
        })
    }

    /// Chain id and root public key (hexadecimal).
    ///
    /// # Errors
    /// None at present; other stores may have to ask.
    pub fn realm(&self) -> Result<(String, String), StoreError> {
        Ok((self.shared.trust.chain.realm.clone(), self.public_key().to_string()))
    }

    /// The root public key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.shared.trust.chain.root
    }

    /// The public key that signs the next record: the root key, or the one it was rotated to.
    #[must_use]
    pub fn signing_key(&self) -> PublicKey {
        *self.shared.trust.key.public_key()
    }

    /// The head at `now`, signed, to be kept elsewhere.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn checkpoint(&self, now: Timestamp) -> Result<SignedCheckpoint, StoreError> {
        self.checkpoint_by(&self.shared.trust.key, now)
    }

    /// The head at `now`, signed by `key`.
    pub(super) fn checkpoint_by(&self, key: &SigningKey, now: Timestamp) -> Result<SignedCheckpoint, StoreError> {
        let head = self.head()?;
        let realm = self.shared.trust.chain.realm.clone();
        let checkpoint = Checkpoint { realm, sequence: head.position.0, hash: head.hash, time: now.max(head.time) };
        Ok(checkpoint.sign(key))
    }

    /// The head in `snapshot`, which is of this journal, signed at `now`.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn checkpoint_of(&self, snapshot: &Snapshot, now: Timestamp) -> Result<SignedCheckpoint, StoreError> {
        snapshot.checkpoint_by(&self.shared.trust.key, now)
    }

    /// The keys that signed this journal, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn keys(&self) -> Result<Vec<KeySpan>, StoreError> {
        self.read(|source| rows::keys(source, self.public_key()))
    }

    /// What `party` holds, may activate and awaits.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn standing(&self, party: &Party) -> Result<Standing, StoreError> {
        self.vouched(|source, head| source.standing(party, head))
    }

    /// One case.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn activation(&self, id: ActivationId) -> Result<Option<Listed<Activation>>, StoreError> {
        self.vouched(|source, _| Ok(source.activation(id.to_bytes())?.map(Listed::from)))
    }

    /// One assignment.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn assignment(&self, id: AssignmentId) -> Result<Option<Listed<Assignment>>, StoreError> {
        self.vouched(|source, _| Ok(source.assignment(id.to_bytes())?.map(Listed::from)))
    }

    /// Standing (not ended) assignments, newest first, starting below `before`; at most [`PAGE_MAX`].
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn assignments(
        &self,
        filter: &AssignmentFilter,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Listed<Assignment>>, StoreError> {
        let AssignmentFilter { kind, party, role } = filter;
        self.read(|source| {
            let found =
                rows::standing_assignments(source, *kind, party.as_ref(), role.as_ref(), before, limit.min(PAGE_MAX))?;
            Ok(found.into_iter().map(Listed::from).collect())
        })
    }

    /// Cases whose open ballot names `identity` as approver of the open stage (directly or by group), except its own and
    /// those it has voted on, newest first, starting below `before`; at most [`PAGE_MAX`].
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn inbox(
        &self,
        identity: &Identity,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Listed<Activation>>, StoreError> {
        self.inbox_in(identity, Order::NewestFirst, before, limit)
    }

    /// The [`inbox`](Self::inbox) in this order, starting behind `after`.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn inbox_in(
        &self,
        identity: &Identity,
        order: Order,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Listed<Activation>>, StoreError> {
        let limit = limit.min(PAGE_MAX);
        self.read(|source| {
            // by position, so that whoever approves directly and by group sees the case once
            let mut waiting = BTreeMap::new();
            let own = Party::Principal(identity.principal.clone());
            let groups = identity.groups.iter().cloned().map(Party::Group);
            for party in std::iter::once(own).chain(groups) {
                ballots(source, &party, identity, (order, after, limit), &mut waiting)?;
            }
            Ok(match order {
                Order::NewestFirst => waiting.into_values().rev().take(limit).collect(),
                Order::OldestFirst => waiting.into_values().take(limit).collect(),
            })
        })
    }

    /// Whether `principal` is locked.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn is_locked(&self, principal: &Principal) -> Result<bool, StoreError> {
        self.vouched(|source, _| Ok(source.lock(principal)? == Lock::Locked))
    }

    /// What time has caught up with at `now`, earliest first.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn overdue(&self, now: Timestamp, limit: usize) -> Result<Vec<Overdue>, StoreError> {
        self.read(|source| {
            let table = source.open_table(Rows::Due.definition())?;
            let until = due_key(now, &[&[0xff]]);
            table
                .range::<&[u8]>(..until.as_slice())?
                .take(limit)
                .map(|entry| {
                    let (_, is_activation, id) = due_in(entry?.0.value())?;
                    Ok(if is_activation {
                        Overdue::Activation(ActivationId::from_random(id))
                    } else {
                        Overdue::Assignment(AssignmentId::from_random(id))
                    })
                })
                .collect()
        })
    }

    /// The next instant at which anything becomes due.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(|source| {
            let table = source.open_table(Rows::Due.definition())?;
            let first = table.first()?;
            first.map(|(key, _)| Ok(due_in(key.value())?.0)).transpose()
        })
    }

    /// How many cases are pending and active, for metrics.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn counts(&self) -> Result<(u64, u64), StoreError> {
        self.read(|source| {
            Ok((rows::activation_count(source, Rows::Pending)?, rows::activation_count(source, Rows::Active)?))
        })
    }

    /// Where somebody who follows the journal has come to.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn cursor(&self, name: &str) -> Result<Option<Position>, StoreError> {
        self.read(|source| Ok(source.open_table(CURSORS)?.get(name)?.map(|position| Position(position.value()))))
    }

    /// Reads rows that are compared with their seals. A snapshot that two commits overtook is taken anew.
    fn vouched<T>(
        &self,
        read: impl Fn(&Vouched<'_, ReadTransaction>, Position) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut tried = 0;
        loop {
            let found = self.read(|source| {
                let head = rows::head(source)?.sequence;
                read(&Vouched::new(source, &self.shared.seals, View::At(head)), Position(head))
            });
            match found {
                Err(StoreError::Overtaken) if tried < SNAPSHOTS_MAX => tried += 1,
                other => return other,
            }
        }
    }

    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.shared.handle.read(read)
    }
}

impl PhaseName {
    /// The phase `activation` is in.
    #[must_use]
    pub const fn of(activation: &Activation) -> Self {
        match activation.phase {
            Phase::Pending(_) => Self::Pending,
            Phase::Active { .. } => Self::Active,
            Phase::Ended { .. } => Self::Ended,
        }
    }
}

/// Adds the first ballots, in this order, that wait for `identity` by way of `party`.
fn ballots(
    source: &ReadTransaction,
    party: &Party,
    identity: &Identity,
    (order, after, limit): (Order, Option<Position>, usize),
    waiting: &mut BTreeMap<Position, Listed<Activation>>,
) -> Result<(), StoreError> {
    let prefix = party_key(party);
    let key = |inverted: u64| [prefix.as_slice(), &inverted.to_be_bytes()].concat();
    // positions are inverted: what is older lies behind
    let (from, until) = match (order, after) {
        (_, None) => (key(0), key(u64::MAX)),
        (Order::NewestFirst, Some(Position(after))) => (key((!after).saturating_add(1)), key(u64::MAX)),
        (Order::OldestFirst, Some(Position(after))) => (key(0), key((!after).saturating_sub(1))),
    };
    let table = source.open_table(Rows::Ballots.definition())?;
    let mut range = table.range::<&[u8]>(from.as_slice()..=until.as_slice())?;
    let mut taken = 0;
    while taken < limit {
        let entry = match order {
            Order::NewestFirst => range.next(),
            Order::OldestFirst => range.next_back(),
        };
        let Some(entry) = entry else { break };
        let (key, id) = entry?;
        let position = inverted_position(key.value())?;
        if waiting.contains_key(&position) {
            taken = taken.saturating_add(1);
            continue;
        }
        let listed: Listed<Activation> = existing(rows::activation(source, fixed(id.value())?)?)?.into();
        if waits_for(&listed.item, identity) {
            waiting.insert(position, listed);
            taken = taken.saturating_add(1);
        }
    }
    Ok(())
}

fn waits_for(activation: &Activation, identity: &Identity) -> bool {
    let Some(ballot) = activation.ballot() else { return false };
    let named = ballot
        .open_stage(&activation.terms)
        .is_some_and(|stage| stage.approvers.iter().any(|approver| identity.is(approver)));
    named && activation.principal != identity.principal && !ballot.has_vote_of(&identity.principal)
}

/// So often a snapshot is taken anew, before the head is believed to be damaged.
const SNAPSHOTS_MAX: u32 = 100;
