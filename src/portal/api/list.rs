//! What all lists share: the length of a page, its cursor, and a bound on how far one request looks.

use crate::domain::standing::Position;
use crate::portal::Portal;
use crate::portal::problem::{Kind, Problem};
use crate::portal::wire::Page;

/// One list, with its filters, on its way to a page.
pub(in crate::portal) struct Listing<'p> {
    portal: &'p Portal,
    /// List and filters: a cursor is good for no other.
    scope: String,
    /// Items on the page.
    pub(in crate::portal) length: usize,
}

/// How many rows one request looks at; a page may come back short, with a cursor that goes on.
pub(in crate::portal) const SCAN_MAX: usize = 2000;

/// Rows that were fetched together, each with its place.
pub(in crate::portal) struct Batch<R> {
    pub(in crate::portal) rows: Vec<(Position, R)>,
    /// The list goes on behind this place.
    pub(in crate::portal) next: Option<Position>,
}

impl<R> Batch<R> {
    /// The rows of a list that is at its end when it gives fewer than `asked`.
    pub(in crate::portal) fn of(rows: Vec<(Position, R)>, asked: usize) -> Self {
        let next = rows.last().map(|(position, _)| *position).filter(|_| rows.len() >= asked);
        Self { rows, next }
    }
}

impl<'p> Listing<'p> {
    pub(in crate::portal) fn new(portal: &'p Portal, scope: String, limit: Option<usize>) -> Result<Self, Problem> {
        let limits = &portal.shared.parts.settings.limits;
        let length = limit.unwrap_or(limits.page_items_default);
        if length == 0 || length > limits.page_items_max {
            let detail = format!("`limit` is 1 to {}", limits.page_items_max);
            return Err(Problem::new(Kind::INVALID_QUERY, detail));
        }
        Ok(Self { portal, scope, length })
    }

    /// The place in `cursor`, as text.
    pub(in crate::portal) fn place(&self, cursor: Option<&str>) -> Result<Option<String>, Problem> {
        cursor.map(|cursor| self.portal.shared.cursors.open(&self.scope, cursor)).transpose()
    }

    /// The place in `cursor`, as number.
    pub(in crate::portal) fn number(&self, cursor: Option<&str>) -> Result<Option<u64>, Problem> {
        let place = self.place(cursor)?;
        let number = place.map(|place| place.parse()).transpose();
        number.map_err(|_| Problem::new(Kind::INVALID_CURSOR, "the cursor names no place in this list"))
    }

    /// The place in `cursor`, as position.
    pub(in crate::portal) fn position(&self, cursor: Option<&str>) -> Result<Option<Position>, Problem> {
        Ok(self.number(cursor)?.map(Position))
    }

    /// The page that goes on after `next`.
    pub(in crate::portal) fn page<T>(&self, items: Vec<T>, next: Option<String>) -> Page<T> {
        Page { items, next: next.map(|place| self.portal.shared.cursors.seal(&self.scope, &place)), cut: None }
    }

    /// Looks at rows, batch by batch, until the page is full, nothing is left or enough was looked at.
    /// `fetch` gives a batch of about so many rows after a place, `show` an item for a row that belongs on the page.
    pub(in crate::portal) fn fill<R, T>(
        &self,
        mut after: Option<Position>,
        mut fetch: impl FnMut(Option<Position>, usize) -> Result<Batch<R>, Problem>,
        mut show: impl FnMut(R) -> Result<Option<T>, Problem>,
    ) -> Result<Page<T>, Problem> {
        let (mut items, mut seen) = (Vec::new(), 0_usize);
        loop {
            let Batch { rows, next } = fetch(after, self.length)?;
            let count = rows.len();
            if next.is_some() && count < self.length {
                // a look that ended early has used up its time
                seen = seen.saturating_add(SCAN_MAX / 4);
            }
            for (index, (position, row)) in rows.into_iter().enumerate() {
                after = Some(position);
                seen = seen.saturating_add(1);
                items.extend(show(row)?);
                if items.len() >= self.length {
                    let after = if index.saturating_add(1) == count { next } else { after };
                    return Ok(self.page(items, after.map(|after| after.to_string())));
                }
            }
            if next.is_none() {
                return Ok(self.page(items, None));
            }
            after = next;
            if seen >= SCAN_MAX {
                return Ok(self.page(items, after.map(|after| after.to_string())));
            }
        }
    }
}
