//! What was cut out of the journal, told wherever somebody may look for it in vain.
//!
//! Whoever is signed in is told the same of every case and assignment that never was, is not theirs to see, or was cut: neither
//! by the answer nor by the time it takes can these be told apart.

use axum::response::{IntoResponse, Response};

use crate::domain::refusal::Refusal;
use crate::domain::time::Timestamp;
use crate::portal::Portal;
use crate::portal::caller::Known;
use crate::portal::desk::Desk;
use crate::portal::problem::Problem;
use crate::portal::wire::cut::Cut;
use crate::store::StoreError;

/// `answer`; when it says that a case or an assignment is unknown, it says also that some were cut, if any were.
pub(super) async fn told(portal: &Portal, path: &str, known: &Known, answer: Response) -> Response {
    let Some(identity) = known.identity().filter(|_| may_name_a_case(path)) else { return answer };
    let Some(problem) =
        answer.extensions().get::<Problem>().filter(|problem| problem.code() == Refusal::Unknown.code())
    else {
        return answer;
    };
    // when it cannot be read the answer is as true without
    match portal.read_even_locked(identity, |desk| Ok(desk.cut_since(None)?)).await {
        Ok(Some(cut)) => problem.clone().after(cut).into_response(),
        Ok(None) | Err(_) => answer,
    }
}

impl Desk {
    /// The newest cut, when what is not older than `from` may have gone with it or with one before.
    pub(super) fn cut_since(&self, from: Option<Timestamp>) -> Result<Option<Cut>, StoreError> {
        let cut = self.reader().cut()?;
        Ok(cut.filter(|cut| from.is_none_or(|from| from <= cut.until)).map(Cut::from))
    }
}

/// Whether what is unknown at `path` may be a case or an assignment.
fn may_name_a_case(path: &str) -> bool {
    let path = path.strip_prefix("/api/v1").unwrap_or(path);
    let noun = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    NOUNS.contains(&noun)
}

/// Of pages and of the API.
const NOUNS: [&str; 7] =
    ["activations", "history", "assignments", "eligible-assignments", "active-assignments", "audit", "uses"];
