//! Index rows: what follows from a case or an assignment alone, so that none can outlive or predecease what it names.

use std::collections::BTreeMap;

use redb::WriteTransaction;

use crate::domain::activation::{Activation, Phase};
use crate::domain::assignment::{Assignment, AssignmentKind, Origin};
use crate::domain::principal::Party;
use crate::domain::standing::Progress;
use crate::store::StoreError;
use crate::store::fold::Folded;
use crate::store::rows::{OpenRow, Placed};
use crate::store::tables::{OF_ACTIVATION, OF_ASSIGNMENT, Rows, Scope, due_key, party_key, to_row};

/// Index rows: table and key → value.
#[derive(Default)]
pub(super) struct IndexRows(BTreeMap<(Rows, Vec<u8>), Vec<u8>>);

impl IndexRows {
    fn add(&mut self, rows: Rows, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.0.insert((rows, key.into()), value.into());
    }
}

/// Those of an assignment; none once it has ended.
pub(super) fn assignment_indexes(placed: &Placed<Assignment>) -> Result<IndexRows, StoreError> {
    let Assignment { id, kind, role, party, window, origin, ended } = &placed.item;
    let mut indexes = IndexRows::default();
    if ended.is_some() {
        return Ok(indexes);
    }
    let mut scopes = vec![
        Scope::assignments(*kind, None, None),
        Scope::assignments(*kind, Some(party), None),
        Scope::assignments(*kind, None, Some(role)),
        Scope::assignments(*kind, Some(party), Some(role)),
    ];
    match origin {
        Origin::Configuration => scopes.push(Scope::configuration()),
        Origin::Administrator => {}
    }
    for scope in scopes {
        indexes.add(Rows::Standing, scope.newest_first(placed.position.0), id.to_bytes());
    }
    let row = match kind {
        AssignmentKind::Active => OpenRow::Assigned { assignment: *id, role: role.clone(), window: *window },
        AssignmentKind::Eligible => OpenRow::Eligible { assignment: *id, role: role.clone(), window: *window },
    };
    indexes.add(Rows::Open, open_key(party, OF_ASSIGNMENT, id.to_bytes()), to_row(&row)?);
    if let Some(ends_at) = window.ends_at {
        indexes.add(Rows::Due, due_key(ends_at, &[&[OF_ASSIGNMENT], &id.to_bytes()]), []);
    }
    Ok(indexes)
}

/// Those of an activation.
pub(super) fn activation_indexes(placed: &Placed<Activation>) -> Result<IndexRows, StoreError> {
    let Placed { position, item } = placed;
    let Activation { id, principal, role, eligibility, via, terms, phase, .. } = item;
    let mut indexes = IndexRows::default();
    let party = Party::Principal(principal.clone());
    let (list, open) = match phase {
        Phase::Pending(ballot) => (
            Rows::Pending,
            Some(OpenRow::Pending {
                activation: *id,
                role: role.clone(),
                requested_at: item.requested_at,
                progress: Progress::of(ballot, terms),
                lapses_at: ballot.lapses_at,
            }),
        ),
        Phase::Active { window, .. } => (
            Rows::Active,
            Some(OpenRow::Activated { activation: *id, role: role.clone(), window: *window, via: via.clone() }),
        ),
        Phase::Ended { .. } => (Rows::Ended, None),
    };
    let ending = match phase {
        Phase::Ended { ending, .. } => Some(Scope::of_ending(*ending)),
        Phase::Pending(_) | Phase::Active { .. } => None,
    };
    let scopes = [
        Scope::activations(None, None),
        Scope::activations(Some(principal), None),
        Scope::activations(None, Some(role)),
        Scope::activations(Some(principal), Some(role)),
        Scope::of_app(role.app()),
    ];
    for scope in scopes.into_iter().chain(ending) {
        indexes.add(list, scope.newest_first(position.0), id.to_bytes());
    }
    if let Some(row) = open {
        indexes.add(Rows::Open, open_key(&party, OF_ACTIVATION, id.to_bytes()), to_row(&row)?);
        indexes.add(Rows::Behind, [eligibility.to_bytes(), id.to_bytes()].concat(), []);
    }
    if let Some(due_at) = item.due_at() {
        indexes.add(Rows::Due, due_key(due_at, &[&[OF_ACTIVATION], &id.to_bytes()]), []);
    }
    if let Some(stage) = item.ballot().and_then(|ballot| ballot.open_stage(terms)) {
        for approver in &stage.approvers {
            let key = [party_key(approver).as_slice(), &(!position.0).to_be_bytes()].concat();
            indexes.add(Rows::Ballots, key, id.to_bytes());
        }
    }
    Ok(indexes)
}

fn open_key(party: &Party, kind: u8, id: [u8; 16]) -> Vec<u8> {
    [party_key(party).as_slice(), &[kind], &id].concat()
}

/// Takes away what only `before` has, and writes what only `after` has; each must be there, or not, as it was written.
pub(super) fn move_indexes(
    transaction: &WriteTransaction,
    IndexRows(before): IndexRows,
    IndexRows(after): IndexRows,
    folded: &mut Folded,
) -> Result<(), StoreError> {
    for ((rows, key), value) in before.iter().filter(|(place, value)| after.get(*place) != Some(*value)) {
        let mut table = transaction.open_table(rows.definition())?;
        if table.remove(key.as_slice())?.is_none_or(|found| found.value() != value.as_slice()) {
            return Err(StoreError::Damaged(format!("a row of `{}` is missing or another", rows.name())));
        }
        folded.changed(*rows, key, value)?;
    }
    for ((rows, key), value) in after.iter().filter(|(place, value)| before.get(*place) != Some(*value)) {
        if transaction.open_table(rows.definition())?.insert(key.as_slice(), value.as_slice())?.is_some() {
            return Err(StoreError::Damaged(format!("a row of `{}` is there already", rows.name())));
        }
        folded.changed(*rows, key, value)?;
    }
    Ok(())
}
