//! Roles: their settings, for those they concern.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::domain::policy::{Policies, RolePolicy};
use crate::domain::role::RoleId;
use crate::portal::Portal;
use crate::portal::api::list::Listing;
use crate::portal::body::Asked;
use crate::portal::caller::SignedIn;
use crate::portal::desk::Desk;
use crate::portal::problem::Problem;
use crate::portal::wire::Page;
use crate::portal::wire::role::Role;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::portal) struct ListQuery {
    /// Only roles whose name or description holds this text, whatever its case.
    #[param(required = false)]
    pub(in crate::portal) search: Option<String>,
    /// Where to go on.
    #[param(required = false)]
    pub(in crate::portal) cursor: Option<String>,
    /// Items on the page.
    #[param(required = false, minimum = 1, maximum = 200)]
    pub(in crate::portal) limit: Option<usize>,
}

/// Roles the caller holds, may activate or approves, by name; administrators and auditors get all.
#[utoipa::path(
    get, path = "/roles", tag = "roles", operation_id = "list_roles",
    params(ListQuery), responses((status = 200, body = Page<Role>))
)]
pub(super) async fn list(
    State(portal): State<Portal>,
    caller: SignedIn,
    Asked(query): Asked<ListQuery>,
) -> Result<axum::Json<Page<Role>>, Problem> {
    portal.read(&caller.identity, move |desk| page(desk, &query)).await.map(axum::Json)
}

/// The page of roles that `query` asks for, as far as they concern the caller.
pub(in crate::portal) fn page(desk: &Desk, query: &ListQuery) -> Result<Page<Role>, Problem> {
    let search = query.search.as_deref().map(str::to_lowercase);
    let listing = Listing::new(&desk.portal, format!("roles {search:?}"), query.limit)?;
    let place = listing.place(query.cursor.as_deref())?;
    let after: Option<RoleId> = place.and_then(|place| place.parse().ok());
    let policies = desk.portal.shared.parts.policies.load();
    // gathered once: thousands of roles are compared with them
    let own = desk.viewer.roles();
    let mut shown: Vec<&RolePolicy> = policies
        .iter()
        .map(|policy| &**policy)
        .filter(|policy| after.as_ref().is_none_or(|after| policy.role > *after))
        .filter(|policy| {
            search.as_ref().is_none_or(|text| {
                policy.role.as_str().to_lowercase().contains(text) || policy.description.to_lowercase().contains(text)
            })
        })
        .filter(|policy| desk.viewer.sees_role(policy, &own))
        .take(listing.length.saturating_add(1))
        .collect();
    let more = shown.len() > listing.length;
    shown.truncate(listing.length);
    let next = shown.last().filter(|_| more).map(|policy| policy.role.to_string());
    let items = shown.into_iter().map(|policy| show(desk, policy)).collect();
    Ok(listing.page(items, next))
}

/// One role.
#[utoipa::path(
    get, path = "/roles/{app}/{role}", tag = "roles", operation_id = "read_role",
    params(("app" = String, Path, description = "the application"), ("role" = String, Path, description = "the role")),
    responses((status = 200, body = Role))
)]
pub(super) async fn read(
    State(portal): State<Portal>,
    caller: SignedIn,
    path: Result<axum::extract::Path<(String, String)>, axum::extract::rejection::PathRejection>,
) -> Result<axum::Json<Role>, Problem> {
    let axum::extract::Path((app, role)) = path.map_err(|_| Problem::unknown())?;
    let role: RoleId = format!("{app}/{role}").parse().map_err(|_| Problem::unknown())?;
    let shown = portal.read(&caller.identity, move |desk| {
        let policies = desk.portal.shared.parts.policies.load();
        visible(desk, &policies, &role).map(|policy| show(desk, policy))
    });
    shown.await.map(axum::Json)
}

/// The role's settings, when there is such a role and it concerns the caller.
pub(in crate::portal) fn visible<'p>(
    desk: &Desk,
    policies: &'p Policies,
    role: &RoleId,
) -> Result<&'p RolePolicy, Problem> {
    let policy = policies.role(role).filter(|policy| desk.viewer.sees_role(policy, &desk.viewer.roles()));
    policy.map(|policy| &**policy).ok_or_else(Problem::unknown)
}

fn show(desk: &Desk, policy: &RolePolicy) -> Role {
    let routes = desk.portal.shared.parts.routes.load();
    Role::of(policy, routes.get(&policy.role).map_or(&[], Vec::as_slice), &desk.names)
}
