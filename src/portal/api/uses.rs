//! Requests that passed because of an activation.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::domain::id::ActivationId;
use crate::portal::Portal;
use crate::portal::api::activation::visible;
use crate::portal::api::list::Listing;
use crate::portal::body::Asked;
use crate::portal::caller::SignedIn;
use crate::portal::desk::Desk;
use crate::portal::problem::Problem;
use crate::portal::wire::Page;
use crate::portal::wire::used::Use;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// The activation, `act_…`.
    activation: String,
    /// Where to go on.
    #[param(required = false)]
    cursor: Option<String>,
    /// Items on the page.
    #[param(required = false, minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// Uses of one activation, oldest first.
#[utoipa::path(
    get, path = "/uses", tag = "uses", operation_id = "list_uses",
    params(ListQuery), responses((status = 200, body = Page<Use>))
)]
pub(super) async fn list(
    State(portal): State<Portal>,
    caller: SignedIn,
    Asked(query): Asked<ListQuery>,
) -> Result<axum::Json<Page<Use>>, Problem> {
    portal.read(&caller.identity, move |desk| page(desk, &query)).await.map(axum::Json)
}

fn page(desk: &Desk, query: &ListQuery) -> Result<Page<Use>, Problem> {
    let id: ActivationId = query.activation.parse().map_err(|_| Problem::unknown())?;
    visible(desk, id)?;
    let listing = Listing::new(&desk.portal, format!("uses {id}"), query.limit)?;
    let after = listing.number(query.cursor.as_deref())?.unwrap_or(0);
    let mut uses = desk.portal.shared.parts.uses.of(id, after, listing.length.saturating_add(1))?;
    let more = uses.len() > listing.length;
    uses.truncate(listing.length);
    let next = uses.last().filter(|_| more).map(|(number, _)| number.to_string());
    let items = uses.iter().map(|(number, used)| Use::of(*number, used, &desk.names)).collect();
    Ok(listing.page(items, next))
}
