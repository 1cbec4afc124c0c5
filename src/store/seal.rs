//! Seals: the rows that grant are bound to the journal's key, so that a damaged page cannot allow anything.
//!
//! A row that grants, names a lock or stands behind a decision belongs to a group: all rows of one party, all activations
//! behind one assignment, one list of standing assignments, one open case, one standing assignment. Of each group the sum
//! of the keyed hashes of its rows is kept in memory, and the sum over everything lies, authenticated, in `meta` beside the
//! head. It is compared with the rows when the store is opened, and each group with its own sum whenever it is read: a row
//! that was changed, lost, added, moved to another key or replaced by an older one is an error, never a verdict.
//!
//! Why not a hash beside each row (2026-11): that shows a changed row, but neither a lost lock nor an older page that was
//! valid once. Why not redb's page checksums: they are looked at when the file is opened, and only in files that are small.

use std::collections::hash_map::Entry as Place;
use std::collections::{HashMap, VecDeque};
use std::sync::{PoisonError, RwLock};

use aws_lc_rs::hmac;
use redb::{ReadTransaction, ReadableTable};

use crate::journal::record::Digest;
use crate::journal::{SigningKey, Tip};
use crate::store::StoreError;
use crate::store::random::random;
use crate::store::rows;
use crate::store::tables::{OF_ACTIVATION, OF_ASSIGNMENT, Rows, Source};

/// A group of rows that are vouched for together.
pub(super) type Group = [u8; 16];

/// The sum of the keyed hashes of a group's rows; of no row, zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum([u8; 16]);

impl Sum {
    /// Both together; what is in both leaves.
    pub(super) fn with(mut self, Self(other): Self) -> Self {
        for (byte, other) in self.0.iter_mut().zip(other) {
            *byte ^= other;
        }
        self
    }
}

/// What one transaction changes: group → what its sum is changed by.
pub(super) type Changes = HashMap<Group, Sum>;

/// The state a sum is wanted of.
#[derive(Clone, Copy)]
pub(super) enum View<'s> {
    /// A snapshot at this record.
    At(u64),
    /// The transaction that is writing, with what it has changed so far.
    Within(&'s Changes),
}

/// The sums of all groups.
pub(super) struct Seals {
    key: hmac::Key,
    sums: RwLock<Sums>,
}

/// The sums of all groups, as they were found or made. Groups without rows are forgotten after a while, or cases that are over
/// would stay in memory for as long as the process lives.
#[derive(Default)]
pub(super) struct Sums {
    groups: HashMap<Group, Kept>,
    total: Sum,
    /// Groups that lost their last row, with the record that took it, oldest first.
    emptied: VecDeque<(u64, Group)>,
    /// What was forgotten had lost its last row by this record.
    forgotten: u64,
}

/// One group's sum, and the one before, for those who still read the state before.
#[derive(Clone, Copy, Default)]
struct Kept {
    since: u64,
    sum: Sum,
    since_before: u64,
    before: Sum,
}

/// What to put back when a commit fails.
pub(super) struct Former(Sums);

impl Seals {
    /// No groups yet. The key that authenticates rows is known to whoever has the signing key.
    pub(super) fn new(key: &SigningKey, realm: &str) -> Self {
        let Digest(label) = Digest::of(&[b"hallpass/1 rows", realm.as_bytes()]);
        // Ed25519 signs the same bytes alike each time, and this signature is never shown
        let secret = key.sign(&label);
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &secret), sums: RwLock::default() }
    }

    /// No groups yet, under a key that nobody keeps: for folding where the signing key is not at hand.
    pub(super) fn passing() -> Result<Self, StoreError> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &random::<32>()?);
        Ok(Self { key, sums: RwLock::default() })
    }

    /// The keyed hash of one row.
    pub(super) fn row(&self, rows: Rows, key: &[u8], value: &[u8]) -> Sum {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [rows.name().as_bytes(), key] {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        }
        context.update(value);
        Sum(context.sign().as_ref().first_chunk().copied().unwrap_or_default())
    }

    /// The sum that `group` must have.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`] when the snapshot is too old to tell.
    pub(super) fn expected(&self, group: &Group, view: View<'_>) -> Result<Sum, StoreError> {
        let sums = self.sums.read().unwrap_or_else(PoisonError::into_inner);
        let kept = sums.kept(group);
        match view {
            View::At(position) if kept.since <= position => Ok(kept.sum),
            View::At(position) if kept.since_before <= position => Ok(kept.before),
            View::At(_) => Err(StoreError::Overtaken),
            View::Within(changes) => Ok(kept.sum.with(changes.get(group).copied().unwrap_or_default())),
        }
    }

    /// What authenticates all rows together with the head, once `changes` are made.
    pub(super) fn of_head(&self, tip: &Tip, changes: &Changes) -> [u8; 32] {
        let total = self.sums.read().unwrap_or_else(PoisonError::into_inner).total;
        self.authenticate(tip, changes.values().fold(total, |total, change| total.with(*change)))
    }

    /// Makes `changes`, of a transaction that ends at record `position` and is about to be committed: who reads the state
    /// before still finds its sums.
    pub(super) fn change(&self, position: u64, changes: &Changes) -> Former {
        let mut sums = self.sums.write().unwrap_or_else(PoisonError::into_inner);
        let mut former = Sums { total: sums.total, ..Sums::default() };
        for (group, change) in changes {
            let kept = sums.kept(group);
            former.groups.insert(*group, kept);
            let sum = kept.sum.with(*change);
            let changed = Kept { since: position, sum, since_before: kept.since, before: kept.sum };
            sums.groups.insert(*group, changed);
            sums.total = sums.total.with(*change);
            if sum == Sum::default() {
                sums.emptied.push_back((position, *group));
            }
        }
        sums.forget();
        Former(former)
    }

    /// Takes a change back.
    pub(super) fn restore(&self, Former(former): Former) {
        let mut sums = self.sums.write().unwrap_or_else(PoisonError::into_inner);
        sums.groups.extend(former.groups);
        sums.total = former.total;
    }

    /// Goes on with other sums: those of a store that was opened or folded anew.
    pub(super) fn replace(&self, other: Sums) {
        *self.sums.write().unwrap_or_else(PoisonError::into_inner) = other;
    }

    /// The sums of the rows as they lie there.
    pub(super) fn sums_of(&self, source: &ReadTransaction) -> Result<Sums, StoreError> {
        let mut sums = Sums::default();
        for sealed in [Rows::Open, Rows::Locks, Rows::Credentials, Rows::Behind, Rows::Standing] {
            let table = source.table(sealed.definition())?;
            for entry in table.iter()? {
                let (key, value) = entry?;
                let key = key.value();
                sums.add(group(sealed, key)?, self.row(sealed, key, value.value()));
                if sealed == Rows::Open {
                    self.add_named(source, key, &mut sums)?;
                }
            }
        }
        Ok(sums)
    }

    /// Adds the case or assignment that an open row names.
    fn add_named(&self, source: &ReadTransaction, key: &[u8], sums: &mut Sums) -> Result<(), StoreError> {
        let (_, id) = key.split_last_chunk::<16>().ok_or_else(damaged)?;
        let named = named_by_open(key)?;
        let table = source.table(named.definition())?;
        let row = rows::existing(table.get(id.as_slice())?)?;
        sums.add(group(named, id)?, self.row(named, id, row.value()));
        Ok(())
    }

    /// Whether `sums` are those that were authenticated with the head.
    pub(super) fn vouches_for(&self, tip: &Tip, sums: &Sums, seal: &[u8]) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.authenticate(tip, sums.total), seal).is_ok()
    }

    fn authenticate(&self, tip: &Tip, Sum(total): Sum) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(b"\x00head");
        context.update(&tip.sequence.to_be_bytes());
        context.update(&tip.time.as_millis().to_be_bytes());
        context.update(&tip.hash);
        context.update(&total);
        context.sign().as_ref().first_chunk().copied().unwrap_or_default()
    }
}

impl Sums {
    /// Of a group: of one without rows, that it has had none since anything was forgotten.
    fn kept(&self, group: &Group) -> Kept {
        let none = Kept { since: self.forgotten, since_before: self.forgotten, ..Kept::default() };
        self.groups.get(group).copied().unwrap_or(none)
    }

    /// Forgets the groups that lost their last row longest ago. Who still reads the state before is told to read again.
    fn forget(&mut self) {
        while self.emptied.len() > EMPTIED_MAX {
            let Some((position, group)) = self.emptied.pop_front() else { return };
            if let Place::Occupied(kept) = self.groups.entry(group)
                && (kept.get().since, kept.get().sum) == (position, Sum::default())
            {
                kept.remove();
                self.forgotten = self.forgotten.max(position);
            }
        }
    }

    fn add(&mut self, group: Group, sum: Sum) {
        match self.groups.entry(group) {
            Place::Occupied(mut kept) => {
                let kept = kept.get_mut();
                kept.sum = kept.sum.with(sum);
                kept.before = kept.sum;
            }
            Place::Vacant(free) => {
                free.insert(Kept { sum, before: sum, ..Kept::default() });
            }
        }
        self.total = self.total.with(sum);
    }
}

/// Whether rows of this table are sealed at all.
pub(super) const fn is_sealed(rows: Rows) -> bool {
    matches!(
        rows,
        Rows::Open
            | Rows::Locks
            | Rows::Credentials
            | Rows::Behind
            | Rows::Standing
            | Rows::Activations
            | Rows::Assignments
    )
}

/// The group that the row at `key` belongs to.
pub(super) fn group(rows: Rows, key: &[u8]) -> Result<Group, StoreError> {
    let (label, named) = match rows {
        // party, kind, id
        Rows::Open => ("party", key.get(..key.len().saturating_sub(OPEN_TAIL)).ok_or_else(damaged)?),
        Rows::Locks | Rows::Credentials => ("party", key),
        Rows::Behind => ("behind", key.get(..16).ok_or_else(damaged)?),
        Rows::Standing => ("standing", key.get(..16).ok_or_else(damaged)?),
        other => (other.name(), key),
    };
    Ok(group_named(label, named))
}

/// The group of everything that concerns one party.
pub(super) fn group_of_party(party_key: &[u8]) -> Group {
    group_named("party", party_key)
}

fn group_named(label: &str, named: &[u8]) -> Group {
    let Digest(digest) = Digest::of(&[label.as_bytes(), &[0], named]);
    digest.first_chunk().copied().unwrap_or_default()
}

/// The table of what an open row names.
pub(super) fn named_by_open(key: &[u8]) -> Result<Rows, StoreError> {
    match key.len().checked_sub(OPEN_TAIL).and_then(|kind| key.get(kind)) {
        Some(&OF_ACTIVATION) => Ok(Rows::Activations),
        Some(&OF_ASSIGNMENT) => Ok(Rows::Assignments),
        Some(_) | None => Err(damaged()),
    }
}

fn damaged() -> StoreError {
    StoreError::Damaged("a key of another length or kind".to_owned())
}

/// Kind and id at the end of an open row's key.
const OPEN_TAIL: usize = 17;
/// So many groups without rows are remembered, for those who still read the state before.
const EMPTIED_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn group(number: u64) -> Group {
        group_named("test", &number.to_be_bytes())
    }

    /// One group's change by its only row; the same once more takes it away again.
    fn change(number: u64) -> Changes {
        Changes::from([(group(number), Sum([number.to_be_bytes()[7] | 1; 16]))])
    }

    fn known(seals: &Seals) -> usize {
        seals.sums.read().unwrap().groups.len()
    }

    #[test]
    fn groups_whose_rows_are_gone_are_forgotten_and_nobody_reads_a_wrong_sum() {
        let seals = Seals::passing().unwrap();
        let most = u64::try_from(EMPTIED_MAX).unwrap() * 3;
        for number in 0..most {
            seals.change(number * 2 + 1, &change(number));
            seals.change(number * 2 + 2, &change(number));
        }
        assert_eq!(known(&seals), EMPTIED_MAX);
        let now = View::At(most * 2);
        assert_eq!(seals.expected(&group(0), now).unwrap(), Sum::default(), "it is known to have no rows");
        let back_then = seals.expected(&group(0), View::At(1));
        assert!(matches!(back_then, Err(StoreError::Overtaken)), "it had a row then, which nobody knows any more");
        // one that comes again is as any other
        seals.change(most * 2 + 1, &change(0));
        let own = change(0)[&group(0)];
        assert_eq!(seals.expected(&group(0), View::At(most * 2 + 1)).unwrap(), own);
        assert_eq!(seals.expected(&group(0), now).unwrap(), Sum::default());
        assert!(matches!(seals.expected(&group(0), View::At(1)), Err(StoreError::Overtaken)));
        // those that were emptied last are still known as they were before
        let last = most - 1;
        assert_eq!(seals.expected(&group(last), View::At(last * 2 + 1)).unwrap(), change(last)[&group(last)]);
    }

    #[test]
    fn a_group_that_was_filled_again_stays() {
        let seals = Seals::passing().unwrap();
        seals.change(1, &change(0));
        seals.change(2, &change(0));
        seals.change(3, &change(0));
        for number in 1..=u64::try_from(EMPTIED_MAX).unwrap() + 1 {
            seals.change(number * 2 + 2, &change(number));
            seals.change(number * 2 + 3, &change(number));
        }
        let now = View::At(u64::MAX);
        assert_eq!(seals.expected(&group(0), now).unwrap(), change(0)[&group(0)]);
        assert_eq!(known(&seals), EMPTIED_MAX + 1);
    }
}
