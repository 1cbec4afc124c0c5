//! Activations: ask for one, try what would come of asking, list and read them.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::domain::activation as domain;
use crate::domain::command::Command;
use crate::domain::event::Event;
use crate::domain::id::ActivationId;
use crate::portal::Portal;
use crate::portal::api::command::{case_answer, fresh_bits, locate, no_precondition, tag};
use crate::portal::api::list::Listing;
use crate::portal::body::{Asked, Json, Named};
use crate::portal::caller::{Commander, SignedIn};
use crate::portal::desk::Desk;
use crate::portal::idempotency::Key;
use crate::portal::problem::{Kind, Problem, items};
use crate::portal::wire::Page;
use crate::portal::wire::activation::{Activation, ActivationRequest, Forecast, Prospect, State};
use crate::portal::wire::text::RoleName;
use crate::store::{ActivationFilter, PhaseName};
use crate::writer::{Purpose, Submission, SubmitError};

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RequestQuery {
    /// Decide, answer what would be, and keep nothing.
    #[serde(default)]
    #[param(default = false)]
    dry_run: bool,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only this role.
    #[param(required = false)]
    role: Option<RoleName>,
    /// Only this holder, `issuer:subject`.
    #[param(required = false)]
    principal: Option<String>,
    /// Only in this state; `active` includes scheduled ones.
    #[param(required = false)]
    state: Option<State>,
    /// Only what the caller may decide on now.
    #[param(required = false)]
    waiting_for: Option<WaitingFor>,
    /// Where to go on.
    #[param(required = false)]
    cursor: Option<String>,
    /// Items on the page.
    #[param(required = false, minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// Whose decision a case waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum WaitingFor {
    /// The caller's.
    Me,
}

/// Asks to activate a role.
#[utoipa::path(
    post, path = "/activations", tag = "activations", operation_id = "request_activation",
    params(RequestQuery), request_body = ActivationRequest,
    responses(
        (status = 201, description = "it waits for approval, or the role is held", body = Activation,
         headers(("Location" = String), ("ETag" = String))),
        (status = 200, description = "dry run: what would be", body = Forecast),
    )
)]
pub(super) async fn request(
    axum::extract::State(portal): axum::extract::State<Portal>,
    commander: Commander,
    key: Key,
    Asked(query): Asked<RequestQuery>,
    headers: HeaderMap,
    Json { value, bytes }: Json<ActivationRequest>,
) -> Result<Response, Problem> {
    no_precondition(&headers)?;
    let id = ActivationId::from_random(fresh_bits()?);
    let command = Command::RequestActivation {
        id,
        role: value.role.0,
        duration: value.duration.map(|length| length.0),
        starts_at: value.starts_at.map(|instant| instant.0),
        justification: value.justification,
        ticket: value.ticket,
    };
    if query.dry_run {
        return Ok(axum::Json(forecast(&portal, &commander, command).await?).into_response());
    }
    let outcome = portal.command(&commander, command, key.with(&bytes)?).await?;
    let id = outcome.activation.as_ref().map_or(id, |case| case.id);
    let mut response = case_answer(&portal, &commander, outcome, StatusCode::CREATED).await?;
    locate(response.headers_mut(), &format!("/api/v1/activations/{id}"));
    Ok(response)
}

async fn forecast(portal: &Portal, commander: &Commander, command: Command) -> Result<Forecast, Problem> {
    let submission = Submission { caller: commander.caller(), command, idempotency: None, purpose: Purpose::DryRun };
    match portal.shared.parts.writer.submit(submission).await {
        Ok(outcome) => {
            let started = outcome.events.iter().any(|event| matches!(event, Event::ActivationStarted { .. }));
            let outcome = if started { Prospect::WouldBeActive } else { Prospect::WouldBePending };
            Ok(Forecast { outcome, errors: Vec::new() })
        }
        Err(SubmitError::Refused(refusals)) => Ok(Forecast { outcome: Prospect::Refused, errors: items(&refusals) }),
        Err(error) => Err(error.into()),
    }
}

/// Activations, newest first. Without `role`, `principal` or `waiting_for`, those of the caller; administrators and
/// auditors get all.
#[utoipa::path(
    get, path = "/activations", tag = "activations", operation_id = "list_activations",
    params(ListQuery), responses((status = 200, body = Page<Activation>))
)]
pub(super) async fn list(
    axum::extract::State(portal): axum::extract::State<Portal>,
    caller: SignedIn,
    Asked(query): Asked<ListQuery>,
) -> Result<axum::Json<Page<Activation>>, Problem> {
    portal.read(&caller.identity, move |desk| page(desk, &query)).await.map(axum::Json)
}

fn page(desk: &Desk, query: &ListQuery) -> Result<Page<Activation>, Problem> {
    let scope = format!("activations {:?} {:?} {:?} {:?}", query.role, query.principal, query.state, query.waiting_for);
    let listing = Listing::new(&desk.portal, scope, query.limit)?;
    let after = listing.position(query.cursor.as_deref())?;
    let named = query.principal.as_deref().map(|short| {
        desk.names.principal(short).ok_or_else(|| Problem::new(Kind::INVALID_QUERY, "no issuer has that name"))
    });
    let own_only = query.role.is_none() && query.waiting_for.is_none() && !desk.viewer.sees_all();
    let filter = ActivationFilter {
        principal: named.transpose()?.or_else(|| own_only.then(|| desk.viewer.identity().principal.clone())),
        role: query.role.as_ref().map(|role| role.0.clone()),
        phase: query.state.map(|state| match state {
            State::Pending => PhaseName::Pending,
            State::Scheduled | State::Active => PhaseName::Active,
            State::Ended => PhaseName::Ended,
        }),
    };
    let fetch = |after, count| {
        let rows = match query.waiting_for {
            Some(WaitingFor::Me) => desk.reader().inbox(desk.viewer.identity(), after, count)?,
            None => desk.reader().activations(&filter, after, count)?,
        };
        Ok(rows.into_iter().map(|row| (row.position, row.item)).collect())
    };
    let show = |case: domain::Activation| {
        let fits = filter.principal.as_ref().is_none_or(|principal| *principal == case.principal)
            && filter.role.as_ref().is_none_or(|role| *role == case.role);
        if !fits || !desk.viewer.sees_activation(&case) {
            return Ok(None);
        }
        let shown = desk.activation(&case)?;
        Ok(Some(shown).filter(|shown| is_in(query.state, shown.state)))
    };
    listing.fill(after, fetch, show)
}

/// Whether a case that time has brought to `state` is in the state asked for.
fn is_in(asked: Option<State>, state: State) -> bool {
    match asked {
        None => true,
        Some(State::Active) => matches!(state, State::Active | State::Scheduled),
        Some(asked) => asked == state,
    }
}

/// One activation.
#[utoipa::path(
    get, path = "/activations/{id}", tag = "activations", operation_id = "read_activation",
    params(("id" = String, Path, description = "`act_…`")),
    responses((status = 200, body = Activation, headers(("ETag" = String))))
)]
pub(super) async fn read(
    axum::extract::State(portal): axum::extract::State<Portal>,
    caller: SignedIn,
    Named(id): Named<ActivationId>,
) -> Result<Response, Problem> {
    let shown =
        portal.read(&caller.identity, move |desk| visible(desk, id).and_then(|case| Ok(desk.activation(&case)?)));
    let shown = shown.await?;
    let mut response = axum::Json(&shown).into_response();
    tag(response.headers_mut(), shown.revision);
    Ok(response)
}

/// The case, when there is one and the caller may see it.
pub(in crate::portal) fn visible(desk: &Desk, id: ActivationId) -> Result<domain::Activation, Problem> {
    let found = desk.reader().activation(id)?.map(|listed| listed.item);
    found.filter(|case| desk.viewer.sees_activation(case)).ok_or_else(Problem::unknown)
}
