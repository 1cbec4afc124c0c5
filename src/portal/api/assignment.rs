//! Eligible and active assignments: the same five requests for both kinds.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::domain::assignment as domain;
use crate::domain::assignment::AssignmentKind;
use crate::domain::command::Command;
use crate::domain::id::AssignmentId;
use crate::domain::principal::Party;
use crate::domain::time::Window;
use crate::identity::names::IssuerNames;
use crate::portal::Portal;
use crate::portal::api::command::{Order, fresh_bits, locate, mark};
use crate::portal::api::list::Listing;
use crate::portal::caller::SignedIn;
use crate::portal::desk::Desk;
use crate::portal::problem::{Kind, Problem};
use crate::portal::wire::Page;
use crate::portal::wire::activation::Reason;
use crate::portal::wire::assignment::{Assignment, AssignmentPatch, AssignmentRequest};
use crate::portal::wire::text::RoleName;
use crate::store::{AssignmentFilter, Listed};
use crate::writer::Outcome;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::portal) struct ListQuery {
    /// Only this role.
    #[param(required = false)]
    pub(in crate::portal) role: Option<RoleName>,
    /// Only this principal's own, `issuer:subject`.
    #[param(required = false)]
    pub(in crate::portal) principal: Option<String>,
    /// Only this group's, `issuer:group`.
    #[param(required = false)]
    pub(in crate::portal) group: Option<String>,
    /// Where to go on.
    #[param(required = false)]
    pub(in crate::portal) cursor: Option<String>,
    /// Items on the page.
    #[param(required = false, minimum = 1, maximum = 200)]
    pub(in crate::portal) limit: Option<usize>,
}

macro_rules! assignments {
    ($module:ident, $kind:expr, $tag:literal, $path:literal, $path_of_one:literal) => {
        #[doc = concat!("The `", $path, "` of the API.")]
        pub(super) mod $module {
            use axum::Json as Answer;
            use axum::extract::State;
            use axum::response::Response;

            use super::{Assignment, AssignmentId, AssignmentPatch, AssignmentRequest, ListQuery, Page, Reason};
            use crate::portal::Portal;
            use crate::portal::body::{Asked, Json, Named, OptionalJson};
            use crate::portal::api::command::Order;
            use crate::portal::caller::SignedIn;
            use crate::portal::problem::Problem;

            /// Standing assignments of the caller and its groups, newest first; administrators and auditors get all.
            #[utoipa::path(
                get, path = $path, tag = $tag, operation_id = concat!("list_", stringify!($module)),
                params(ListQuery), responses((status = 200, body = Page<Assignment>))
            )]
            pub(in crate::portal::api) async fn list(
                State(portal): State<Portal>,
                caller: SignedIn,
                Asked(query): Asked<ListQuery>,
            ) -> Result<Answer<Page<Assignment>>, Problem> {
                super::list(&portal, &caller, $kind, query).await.map(Answer)
            }

            /// Makes an assignment.
            #[utoipa::path(
                post, path = $path, tag = $tag, operation_id = concat!("assign_", stringify!($module)),
                request_body = AssignmentRequest,
                responses((status = 201, body = Assignment, headers(("Location" = String))))
            )]
            pub(in crate::portal::api) async fn create(
                order: Order,
                Json { value, bytes }: Json<AssignmentRequest>,
            ) -> Result<Response, Problem> {
                super::create(order, $kind, concat!("/api/v1", $path), value, &bytes).await
            }

            /// One assignment.
            #[utoipa::path(
                get, path = $path_of_one, tag = $tag, operation_id = concat!("read_", stringify!($module)),
                params(("id" = String, Path, description = "`asg_…`")), responses((status = 200, body = Assignment))
            )]
            pub(in crate::portal::api) async fn read(
                State(portal): State<Portal>,
                caller: SignedIn,
                Named(id): Named<AssignmentId>,
            ) -> Result<Answer<Assignment>, Problem> {
                super::read(&portal, &caller, $kind, id).await.map(Answer)
            }

            /// Gives an assignment another window.
            #[utoipa::path(
                patch, path = $path_of_one, tag = $tag, operation_id = concat!("change_", stringify!($module)),
                params(("id" = String, Path, description = "`asg_…`")), request_body = AssignmentPatch,
                responses((status = 200, body = Assignment))
            )]
            pub(in crate::portal::api) async fn change(
                order: Order,
                Named(id): Named<AssignmentId>,
                Json { value, bytes }: Json<AssignmentPatch>,
            ) -> Result<Response, Problem> {
                super::change(order, $kind, id, value, &bytes).await
            }

            /// Ends an assignment.
            #[utoipa::path(
                delete, path = $path_of_one, tag = $tag, operation_id = concat!("remove_", stringify!($module)),
                params(("id" = String, Path, description = "`asg_…`")), request_body = Reason,
                responses((status = 200, body = Assignment))
            )]
            pub(in crate::portal::api) async fn remove(
                order: Order,
                Named(id): Named<AssignmentId>,
                OptionalJson { value, bytes }: OptionalJson<Reason>,
            ) -> Result<Response, Problem> {
                super::remove(order, $kind, id, value, &bytes).await
            }
        }
    };
}

assignments!(
    eligible,
    crate::domain::assignment::AssignmentKind::Eligible,
    "eligible-assignments",
    "/eligible-assignments",
    "/eligible-assignments/{id}"
);
assignments!(
    active,
    crate::domain::assignment::AssignmentKind::Active,
    "active-assignments",
    "/active-assignments",
    "/active-assignments/{id}"
);

async fn list(
    portal: &Portal,
    caller: &SignedIn,
    kind: AssignmentKind,
    query: ListQuery,
) -> Result<Page<Assignment>, Problem> {
    portal.read(&caller.identity, move |desk| page(desk, kind, &query)).await
}

fn page(desk: &Desk, kind: AssignmentKind, query: &ListQuery) -> Result<Page<Assignment>, Problem> {
    let Page { items, next, cut } = found(desk, kind, query)?;
    Ok(Page { items: items.iter().map(|item| Assignment::of(item, &desk.names)).collect(), next, cut })
}

/// The page of assignments that `query` asks for, as far as the caller may see them.
pub(in crate::portal) fn found(
    desk: &Desk,
    kind: AssignmentKind,
    query: &ListQuery,
) -> Result<Page<domain::Assignment>, Problem> {
    let scope = format!("assignments {kind:?} {:?} {:?} {:?}", query.role, query.principal, query.group);
    let listing = Listing::new(&desk.portal, scope, query.limit)?;
    let before = listing.position(query.cursor.as_deref())?;
    let asked = match (query.principal.as_deref(), query.group.as_deref()) {
        (None, None) => None,
        (principal, group) => {
            Some(party(&desk.names, principal, group).map_err(|detail| Problem::new(Kind::INVALID_QUERY, detail))?)
        }
    };
    // others than administrators and auditors look at what is theirs, party by party
    let parties: Vec<Option<Party>> = match asked {
        asked if desk.viewer.sees_all() => vec![asked],
        Some(asked) => desk.viewer.parties().filter(|own| *own == asked).map(Some).collect(),
        None => desk.viewer.parties().map(Some).collect(),
    };
    let role = query.role.as_ref().map(|role| role.0.clone());
    let mut rows: Vec<Listed<domain::Assignment>> = Vec::new();
    for party in parties {
        let filter = AssignmentFilter { kind: Some(kind), party, role: role.clone() };
        rows.extend(desk.reader().assignments(&filter, before, listing.length.saturating_add(1))?);
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.position));
    let more = rows.len() > listing.length;
    rows.truncate(listing.length);
    let next = rows.last().filter(|_| more).map(|row| row.position.to_string());
    let items = rows.into_iter().map(|row| row.item).filter(|item| desk.viewer.sees_assignment(item)).collect();
    Ok(listing.page(items, next))
}

async fn create(
    order: Order,
    kind: AssignmentKind,
    path: &str,
    asked: AssignmentRequest,
    body: &[u8],
) -> Result<Response, Problem> {
    let names = order.portal.shared.parts.names.load_full();
    let party = party(&names, asked.principal.as_deref(), asked.group.as_deref()).map_err(|detail| {
        let pointer = if asked.group.is_some() && asked.principal.is_none() { "/group" } else { "/principal" };
        Problem::member(Kind::INVALID_BODY, pointer, detail)
    })?;
    let command = Command::Assign {
        id: AssignmentId::from_random(fresh_bits()?),
        kind,
        role: asked.role.0,
        party,
        starts_at: asked.starts_at.map(|instant| instant.0),
        ends_at: asked.ends_at.map(|instant| instant.0),
        justification: asked.justification,
    };
    let outcome = order.given(command, body).await?;
    let id = outcome.assignment.as_ref().map(|assignment| assignment.id);
    let mut response = answer(&names, &outcome, StatusCode::CREATED)?;
    if let Some(id) = id {
        locate(response.headers_mut(), &format!("{path}/{id}"));
    }
    Ok(response)
}

async fn read(
    portal: &Portal,
    caller: &SignedIn,
    kind: AssignmentKind,
    id: AssignmentId,
) -> Result<Assignment, Problem> {
    portal.read(&caller.identity, move |desk| Ok(Assignment::of(&visible(desk, kind, id)?, &desk.names))).await
}

async fn change(
    order: Order,
    kind: AssignmentKind,
    id: AssignmentId,
    asked: AssignmentPatch,
    body: &[u8],
) -> Result<Response, Problem> {
    order.unconditional()?;
    let found = order.portal.read(&order.commander.identity, move |desk| visible(desk, kind, id)).await?;
    let window = Window {
        starts_at: asked.starts_at.map_or(found.window.starts_at, |instant| instant.0),
        ends_at: asked.ends_at.map(|instant| instant.0),
    };
    let command = Command::ChangeAssignment { id, window, justification: asked.justification };
    let names = order.portal.shared.parts.names.load_full();
    answer(&names, &order.given(command, body).await?, StatusCode::OK)
}

async fn remove(
    order: Order,
    kind: AssignmentKind,
    id: AssignmentId,
    asked: Reason,
    body: &[u8],
) -> Result<Response, Problem> {
    order.unconditional()?;
    order.portal.read(&order.commander.identity, move |desk| visible(desk, kind, id)).await?;
    let command = Command::RemoveAssignment { id, justification: asked.justification };
    let names = order.portal.shared.parts.names.load_full();
    answer(&names, &order.given(command, body).await?, StatusCode::OK)
}

/// The assignment of this kind, when there is one and the caller may see it.
fn visible(desk: &Desk, kind: AssignmentKind, id: AssignmentId) -> Result<domain::Assignment, Problem> {
    let found = any_visible(desk, id)?;
    if found.kind == kind { Ok(found) } else { Err(Problem::unknown()) }
}

/// The assignment, of whichever kind, when there is one and the caller may see it.
pub(in crate::portal) fn any_visible(desk: &Desk, id: AssignmentId) -> Result<domain::Assignment, Problem> {
    let found = desk.reader().assignment(id)?.map(|listed| listed.item);
    found.filter(|found| desk.viewer.sees_assignment(found)).ok_or_else(Problem::unknown)
}

fn answer(names: &IssuerNames, outcome: &Outcome, status: StatusCode) -> Result<Response, Problem> {
    let assignment = outcome.assignment.as_ref();
    let assignment = assignment.ok_or_else(|| Problem::new(Kind::INTERNAL, "the assignment is missing"))?;
    let mut response = (status, axum::Json(Assignment::of(assignment, names))).into_response();
    mark(response.headers_mut(), outcome.replayed);
    Ok(response)
}

/// The one party that is named.
pub(in crate::portal) fn party(
    names: &IssuerNames,
    principal: Option<&str>,
    group: Option<&str>,
) -> Result<Party, &'static str> {
    match (principal, group) {
        (Some(principal), None) => names.principal(principal).map(Party::from).ok_or(UNNAMED),
        (None, Some(group)) => names.group(group).map(Party::from).ok_or(UNNAMED),
        (Some(_), Some(_)) | (None, None) => Err("name either a principal or a group"),
    }
}

const UNNAMED: &str = "write `issuer:name` with the name configuration gives to an issuer";
