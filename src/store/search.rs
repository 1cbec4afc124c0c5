//! Activations by everything one may look for: person, role, application, phase, ending, time. Each of these is a list of
//! its own, and what is looked for stands in all of them.

use redb::{ReadTransaction, ReadableTable};

use crate::domain::activation::Activation;
use crate::domain::standing::Position;
use crate::store::records::first_at;
use crate::store::rows::{self, existing, inverted_position, newest};
use crate::store::tables::{Rows, Scope, Source, fixed};
use crate::store::{ActivationFilter, Found, Listed, PAGE_MAX, PhaseName, Reader, StoreError};

impl Reader {
    /// Newest first, starting below `before`; at most [`PAGE_MAX`]. All of them, however long it takes: what somebody waits
    /// for is looked up with [`find_activations`](Self::find_activations).
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn activations(
        &self,
        filter: &ActivationFilter,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Listed<Activation>>, StoreError> {
        let mut found = self.find_activations(filter, before, limit)?;
        while let Some(next) = found.next.filter(|_| found.items.len() < limit.min(PAGE_MAX)) {
            let more = self.find_activations(filter, Some(next), limit.saturating_sub(found.items.len()))?;
            found.items.extend(more.items);
            found.next = more.next;
        }
        Ok(found.items)
    }

    /// One look, newest first, starting below `before`; at most [`PAGE_MAX`] items.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn find_activations(
        &self,
        filter: &ActivationFilter,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Found<Activation>, StoreError> {
        let limit = limit.min(PAGE_MAX);
        self.read(|source| {
            let (lowest, before) = bounds(source, filter, before)?;
            let scopes = filter.scopes();
            let mut found: Vec<(Position, [u8; 16])> = Vec::new();
            // what every list was looked through down to; one that ended early keeps the others from going on without it
            let mut reached = None;
            for phase in filter.phases() {
                let Looked { found: ids, stopped } = match scopes.as_slice() {
                    [only] => Looked { found: newest(source, *phase, *only, before, limit)?, stopped: None },
                    scopes => in_all(source, *phase, scopes, before, limit)?,
                };
                reached = reached.max(stopped);
                found.extend(ids);
            }
            found.sort_unstable_by(|one, other| other.cmp(one));
            found.truncate(limit);
            found.retain(|(position, _)| reached.is_none_or(|reached| *position >= reached));
            let next = if found.len() >= limit { found.last().map(|(position, _)| *position) } else { reached };
            found.retain(|(position, _)| lowest <= *position);
            let items = found
                .into_iter()
                .map(|(_, id)| Ok(existing(rows::activation(source, id)?)?.into()))
                .filter(|listed: &Result<Listed<Activation>, StoreError>| {
                    listed.as_ref().map_or(true, |listed| filter.accepts(&listed.item))
                })
                .collect::<Result<Vec<_>, StoreError>>()?;
            Ok(Found { items, next: next.filter(|next| lowest < *next) })
        })
    }
}

impl ActivationFilter {
    fn phases(&self) -> &'static [Rows] {
        match (self.phase, self.ending) {
            (None | Some(PhaseName::Ended), Some(_)) | (Some(PhaseName::Ended), None) => &[Rows::Ended],
            // what waits or is held has not ended in any way
            (Some(PhaseName::Pending | PhaseName::Active), Some(_)) => &[],
            (None, None) => &[Rows::Pending, Rows::Active, Rows::Ended],
            (Some(PhaseName::Pending), None) => &[Rows::Pending],
            (Some(PhaseName::Active), None) => &[Rows::Active],
        }
    }

    fn scopes(&self) -> Vec<Scope> {
        let app = self.app.as_deref().map(Scope::of_app);
        let ending = self.ending.map(Scope::of_ending);
        let named = self.principal.is_some() || self.role.is_some();
        let who = (named || (app.is_none() && ending.is_none()))
            .then(|| Scope::activations(self.principal.as_ref(), self.role.as_ref()));
        [who, app, ending].into_iter().flatten().collect()
    }

    fn accepts(&self, activation: &Activation) -> bool {
        self.principal.as_ref().is_none_or(|principal| *principal == activation.principal)
            && self.role.as_ref().is_none_or(|role| *role == activation.role)
            && self.app.as_ref().is_none_or(|app| app == activation.role.app())
            && self.phase.is_none_or(|phase| phase == PhaseName::of(activation))
            && self.from.is_none_or(|from| from <= activation.requested_at)
            && self.until.is_none_or(|until| activation.requested_at < until)
    }
}

/// The lowest position asked for, and the one below which to start: times never decrease, so a time is a position.
fn bounds(
    source: &ReadTransaction,
    filter: &ActivationFilter,
    before: Option<Position>,
) -> Result<(Position, Option<Position>), StoreError> {
    if filter.from.is_none() && filter.until.is_none() {
        return Ok((Position(0), before));
    }
    let last = rows::head(source)?.sequence;
    let at = |time| first_at(source, time, last).map(Position);
    let mut lowest = filter.from.map(at).transpose()?.unwrap_or_default();
    let mut until = filter.until.map(at).transpose()?;
    if let Some(cut) = rows::cut(source)? {
        // a case may stay whose first record is gone: only its own row tells its time
        let behind = Position(cut.last()).next();
        if lowest <= behind {
            lowest = Position(0);
        }
        until = until.map(|until| until.max(behind));
    }
    Ok((
        lowest,
        match (before, until) {
            (Some(before), Some(until)) => Some(before.min(until)),
            (before, until) => before.or(until),
        },
    ))
}

/// What one look came upon.
struct Looked {
    found: Vec<(Position, [u8; 16])>,
    /// Down to where it has looked, when it stopped before the end.
    stopped: Option<Position>,
}

/// Ids that stand in all of these lists, newest first, starting below `before`. After so many steps it stops, and tells
/// down to where it has looked.
fn in_all(
    source: &impl Source,
    phase: Rows,
    scopes: &[Scope],
    before: Option<Position>,
    limit: usize,
) -> Result<Looked, StoreError> {
    let table = source.table(phase.definition())?;
    let Some(mut candidate) = before.map_or(Some(u64::MAX), |Position(before)| before.checked_sub(1)) else {
        return Ok(Looked { found: Vec::new(), stopped: None });
    };
    let (mut found, mut steps) = (Vec::new(), 0_usize);
    'search: while found.len() < limit {
        let mut id = None;
        for scope in scopes {
            steps = steps.saturating_add(1);
            if steps > STEPS_MAX {
                return Ok(Looked { found, stopped: Some(Position(candidate.saturating_add(1))) });
            }
            let (from, until) = (scope.newest_first(candidate), scope.at(u64::MAX));
            let next = table.range::<&[u8]>(from.as_slice()..=until.as_slice())?.next().transpose()?;
            let Some((key, value)) = next else { return Ok(Looked { found, stopped: None }) };
            let Position(position) = inverted_position(key.value())?;
            if position < candidate {
                candidate = position;
                continue 'search;
            }
            id = Some(fixed(value.value())?);
        }
        found.extend(id.map(|id| (Position(candidate), id)));
        match candidate.checked_sub(1) {
            Some(below) => candidate = below,
            None => break,
        }
    }
    Ok(Looked { found, stopped: None })
}

/// Rows one look may seek: some tens of milliseconds.
const STEPS_MAX: usize = 10_000;
