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
        Page { items, next: next.map(|place| self.portal.shared.cursors.seal(&self.scope, &place)) }
    }

    /// Looks at rows, batch by batch, until the page is full, nothing is left or enough was looked at.
    /// `fetch` gives up to so many rows after a place, `show` an item for a row that belongs on the page.
    pub(in crate::portal) fn fill<R, T>(
        &self,
        mut after: Option<Position>,
        mut fetch: impl FnMut(Option<Position>, usize) -> Result<Vec<(Position, R)>, Problem>,
        mut show: impl FnMut(R) -> Result<Option<T>, Problem>,
    ) -> Result<Page<T>, Problem> {
        let (mut items, mut seen) = (Vec::new(), 0_usize);
        loop {
            let rows = fetch(after, self.length)?;
            let (count, last) = (rows.len(), rows.len() < self.length);
            for (index, (position, row)) in rows.into_iter().enumerate() {
                after = Some(position);
                seen = seen.saturating_add(1);
                items.extend(show(row)?);
                if items.len() >= self.length {
                    let at_end = last && index.saturating_add(1) == count;
                    return Ok(self.page(items, after.filter(|_| !at_end).map(|after| after.to_string())));
                }
            }
            if last {
                return Ok(self.page(items, None));
            }
            if seen >= SCAN_MAX {
                return Ok(self.page(items, after.map(|after| after.to_string())));
            }
        }
    }
}
