//! The journal, for reading: filtered pages and its head.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::domain::id::ActivationId;
use crate::domain::standing::Position;
use crate::journal::EVENT_TYPES;
use crate::portal::Portal;
use crate::portal::api::activation::visible;
use crate::portal::api::list::{Batch, Listing};
use crate::portal::body::Asked;
use crate::portal::caller::SignedIn;
use crate::portal::desk::Desk;
use crate::portal::problem::{Kind, Problem};
use crate::portal::wire::Page;
use crate::portal::wire::common::Ending;
use crate::portal::wire::head::JournalHead;
use crate::portal::wire::record::Record;
use crate::portal::wire::text::{Instant, RoleName};
use crate::store::{Entry, RecordFilter};

/// Which records.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::portal) struct ListQuery {
    /// Only of this activation, `act_…`.
    #[param(required = false)]
    pub(in crate::portal) activation: Option<String>,
    /// Only what concerns this principal, `issuer:subject`.
    #[param(required = false)]
    pub(in crate::portal) principal: Option<String>,
    /// Only what concerns this role.
    #[param(required = false)]
    pub(in crate::portal) role: Option<RoleName>,
    /// Only what concerns a role of this application.
    #[param(required = false)]
    pub(in crate::portal) app: Option<String>,
    /// Only of activations that ended so.
    #[param(required = false)]
    pub(in crate::portal) ending: Option<Ending>,
    /// Only of this type, like `activation_started`.
    #[param(required = false)]
    pub(in crate::portal) event: Option<String>,
    /// Not before.
    #[param(required = false)]
    pub(in crate::portal) from: Option<Instant>,
    /// Before.
    #[param(required = false)]
    pub(in crate::portal) until: Option<Instant>,
    /// Where to go on.
    #[param(required = false)]
    pub(in crate::portal) cursor: Option<String>,
    /// Items on the page.
    #[param(required = false, minimum = 1, maximum = 200)]
    pub(in crate::portal) limit: Option<usize>,
}

/// Records, oldest first. Administrators and auditors get all; others, with `activation`, those of a case they may see,
/// and otherwise those that concern themselves.
#[utoipa::path(
    get, path = "/audit", tag = "audit", operation_id = "list_records",
    params(ListQuery), responses((status = 200, body = Page<Record>))
)]
pub(super) async fn list(
    State(portal): State<Portal>,
    caller: SignedIn,
    Asked(query): Asked<ListQuery>,
) -> Result<axum::Json<Page<Record>>, Problem> {
    portal.read(&caller.identity, move |desk| page(desk, query)).await.map(axum::Json)
}

fn page(desk: &Desk, query: ListQuery) -> Result<Page<Record>, Problem> {
    let Page { items, next, cut } = entries(desk, query)?;
    let items = items.iter().map(|entry| Record::of(entry, &desk.viewer, &desk.names)).collect();
    Ok(Page { items, next, cut })
}

/// The page of records that `query` asks for, as far as the caller may see them.
pub(in crate::portal) fn entries(desk: &Desk, query: ListQuery) -> Result<Page<Entry>, Problem> {
    let (cursor, limit) = (query.cursor.clone(), query.limit);
    let query = ListQuery { cursor: None, limit: None, ..query };
    let listing = Listing::new(&desk.portal, format!("audit {query:?}"), limit)?;
    let after = listing.position(cursor.as_deref())?;
    let Some(filter) = permitted(desk, filter(desk, &query)?)? else { return Ok(listing.page(Vec::new(), None)) };
    let fetch = |after: Option<Position>, count| {
        let entries = desk.reader().records(&filter, after.unwrap_or_default(), count)?;
        Ok(Batch::of(entries.into_iter().map(|entry| (entry.position, entry)).collect(), count))
    };
    let page = listing.fill(after, fetch, |entry| Ok(Some(entry)))?;
    // the old end is where the first page begins
    let cut = if after.is_none() { desk.cut_since(filter.from)? } else { None };
    Ok(Page { cut, ..page })
}

/// The filter as asked for.
fn filter(desk: &Desk, query: &ListQuery) -> Result<RecordFilter, Problem> {
    let unnamed = || Problem::new(Kind::INVALID_QUERY, "no issuer has that name");
    Ok(RecordFilter {
        activation: query
            .activation
            .as_deref()
            .map(|id| id.parse::<ActivationId>().map_err(|_| Problem::unknown()))
            .transpose()?,
        principal: query
            .principal
            .as_deref()
            .map(|short| desk.names.principal(short).ok_or_else(unnamed))
            .transpose()?,
        role: query.role.as_ref().map(|role| role.0.clone()),
        app: query.app.clone(),
        ending: query.ending.map(Into::into),
        event: query.event.as_deref().map(known_type).transpose()?,
        from: query.from.map(|instant| instant.0),
        until: query.until.map(|instant| instant.0),
    })
}

/// A type that no event has would find nothing, and look as if nothing had happened.
fn known_type(event: &str) -> Result<String, Problem> {
    if EVENT_TYPES.contains(&event) {
        return Ok(event.to_owned());
    }
    let known = EVENT_TYPES.map(|event| format!("`{event}`")).join(", ");
    Err(Problem::new(Kind::INVALID_QUERY, format!("event: no event has this type; there are {known}")))
}

/// The filter narrowed to what the caller may see; nothing when that leaves nothing.
fn permitted(desk: &Desk, filter: RecordFilter) -> Result<Option<RecordFilter>, Problem> {
    if let Some(id) = filter.activation {
        visible(desk, id)?;
        return Ok(Some(filter));
    }
    if desk.viewer.sees_all() {
        return Ok(Some(filter));
    }
    let own = &desk.viewer.identity().principal;
    let narrowed = filter.principal.as_ref().is_none_or(|principal| principal == own);
    Ok(narrowed.then(|| RecordFilter { principal: Some(own.clone()), ..filter }))
}

/// The newest record, with the root of trust, for comparing with a copy kept elsewhere. For administrators and auditors.
#[utoipa::path(
    get, path = "/audit/head", tag = "audit", operation_id = "journal_head",
    responses((status = 200, body = JournalHead))
)]
pub(super) async fn head(State(portal): State<Portal>, caller: SignedIn) -> Result<axum::Json<JournalHead>, Problem> {
    let head = portal.read(&caller.identity, |desk| {
        all_or_nothing(desk)?;
        let reader = desk.reader();
        let doubt = desk.portal.shared.parts.standings.doubted().map(AsRef::as_ref);
        Ok(JournalHead::of(&reader.head()?, reader.realm()?, reader.signing_key(), doubt))
    });
    head.await.map(axum::Json)
}

/// The journal as a whole is for administrators and auditors.
pub(in crate::portal) fn all_or_nothing(desk: &Desk) -> Result<(), Problem> {
    if desk.viewer.sees_all() {
        Ok(())
    } else {
        Err(Problem::new(Kind::FORBIDDEN, "the journal as a whole is for administrators and auditors"))
    }
}

/// The records asked for, by one who may see all.
pub(super) fn filter_of_all(desk: &Desk, query: &ListQuery) -> Result<RecordFilter, Problem> {
    all_or_nothing(desk)?;
    filter(desk, query)
}
