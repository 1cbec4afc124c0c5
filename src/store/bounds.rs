//! How much of the journal may be cut, and what keeps the rest.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use redb::{ReadTransaction, ReadableTable};

use crate::domain::activation::Activation;
use crate::domain::id::ActivationId;
use crate::domain::standing::Position;
use crate::domain::time::{Span, Timestamp};
use crate::journal::upcast;
use crate::store::StoreError;
use crate::store::records::first_at;
use crate::store::rows::{self, Placed, existing};
use crate::store::tables::{CURSORS, Rows, Scope, fixed};
use crate::store::vouched::is_open;

/// Which records are to go.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'w> {
    /// Those of before this instant.
    pub before: Timestamp,
    /// The present.
    pub now: Timestamp,
    /// The newest head that was published, when heads are: what is not older stays, so that it can still be compared.
    pub anchored: Option<u64>,
    /// Cases that were used, and whose uses are not sealed yet.
    pub unsealed: &'w [ActivationId],
    /// No more than so many at once: whoever writes meanwhile waits while they go.
    pub records_max: u64,
    /// Not before they span so much time: the record of a cut is never cut itself.
    pub span_min: Span,
}

impl Wanted<'_> {
    /// All of before this instant.
    #[must_use]
    pub const fn before(before: Timestamp, now: Timestamp) -> Self {
        Self { before, now, anchored: None, unsealed: &[], records_max: u64::MAX, span_min: Span::seconds(0) }
    }
}

/// How long records are kept, and where what is cut goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Records older than this are cut.
    pub keep: Span,
    /// The folder of archives.
    pub archive: PathBuf,
}

/// What keeps more records from going.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// Those behind are not older than was asked for.
    Asked,
    /// Those behind are less than [`KEPT`] old.
    Young,
    /// This case is still open, or its uses are not sealed.
    Case(ActivationId),
    /// Somebody who follows the journal has not come further.
    Follower(String),
    /// The newest head that was published stands there.
    Anchored,
    /// No more go at once.
    Many,
    /// Those that may go span less time than was asked for.
    Few,
}

/// Why what lies behind stays.
impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("what lies behind is not older than was asked for"),
            Self::Young => write!(f, "what lies behind is less than {KEPT} old"),
            Self::Case(id) => write!(f, "{id} began there, and is open, or what was done under it is not sealed yet"),
            Self::Follower(name) => write!(f, "`{name}`, who follows the journal, has not come further"),
            Self::Anchored => f.write_str("the newest anchor stands there"),
            Self::Many => f.write_str("no more goes at once"),
            Self::Few => f.write_str("what may go spans too little time"),
        }
    }
}

/// The last record that may go of those from `first`, and what keeps those behind it.
pub(super) fn bounded(source: &ReadTransaction, wanted: &Wanted<'_>, first: u64) -> Result<(Bound, u64), StoreError> {
    let young = wanted.now.minus(KEPT);
    let (bound, before) = if young < wanted.before { (Bound::Young, young) } else { (Bound::Asked, wanted.before) };
    let head = rows::head(source)?.sequence;
    let mut bounds =
        vec![(first_at(source, before, head)?, bound), (first.saturating_add(wanted.records_max), Bound::Many)];
    bounds.extend(wanted.anchored.map(|sequence| (sequence, Bound::Anchored)));
    for id in open_cases(source)?.into_iter().chain(wanted.unsealed.iter().map(|id| id.to_bytes())) {
        let placed: Option<Placed<Activation>> = rows::activation(source, id)?;
        bounds.extend(placed.map(|placed| (placed.position.0, Bound::Case(placed.item.id))));
    }
    for entry in source.open_table(CURSORS)?.iter()? {
        let (name, position) = entry?;
        bounds.push((position.value().saturating_add(1), Bound::Follower(name.value().to_owned())));
    }
    let least = bounds.into_iter().min_by_key(|(stays, _)| *stays);
    let (stays, bound) = existing(least)?;
    if wanted.span_min > Span::seconds(0) && bound != Bound::Many && first < stays {
        let end = if stays > head { before } else { time_at(source, stays)?.min(before) };
        if end < time_at(source, first)?.plus(wanted.span_min) {
            let bound = if matches!(bound, Bound::Asked | Bound::Young) { Bound::Few } else { bound };
            return Ok((bound, first.saturating_sub(1)));
        }
    }
    Ok((bound, stays.saturating_sub(1)))
}

fn time_at(source: &ReadTransaction, sequence: u64) -> Result<Timestamp, StoreError> {
    Ok(upcast::read(&existing(rows::sealed(source, Position(sequence))?)?.core)?.time)
}

/// The open cases that began first, by phase.
fn open_cases(source: &ReadTransaction) -> Result<BTreeSet<[u8; 16]>, StoreError> {
    let all = Scope::activations(None, None);
    let mut first = BTreeSet::new();
    for phase in [Rows::Pending, Rows::Active] {
        let table = source.open_table(phase.definition())?;
        // newest first: the oldest is the last
        let oldest = table.range::<&[u8]>(all.at(0).as_slice()..=all.at(u64::MAX).as_slice())?.next_back();
        if let Some(entry) = oldest {
            let id = fixed(entry?.1.value())?;
            let placed: Placed<Activation> = existing(rows::activation(source, id)?)?;
            if is_open(&placed.item) {
                first.insert(id);
            }
        }
    }
    Ok(first)
}

/// Records younger than this always stay: what was told of them elsewhere may still be on its way.
pub const KEPT: Span = Span::days(2);
