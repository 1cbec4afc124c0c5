//! JSON shapes of the API. Domain types never appear in JSON; unknown members never pass.

pub(super) mod activation;
pub(super) mod assignment;
pub(super) mod common;
pub(super) mod cut;
pub(super) mod head;
pub(super) mod me;
pub(super) mod record;
pub(super) mod role;
pub(super) mod text;
pub(super) mod used;
pub(super) mod verification;
pub(super) mod wanted;

use serde::Serialize;
use utoipa::ToSchema;

use crate::portal::wire::cut::Cut;

/// One page of a list. It may hold fewer items than asked for; only without `next` the list is at its end.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// The cursor of the following page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
    /// At the old end of a list of cases or records, when some that might belong to it were cut out of the journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cut: Option<Cut>,
}
