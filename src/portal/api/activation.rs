//! Activations: ask for one, try what would come of asking, list and read them.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::domain::activation as domain;
use crate::domain::command::Command;
use crate::domain::event::Event;
use crate::domain::id::ActivationId;
use crate::portal::Portal;
use crate::portal::api::command::{Order as Given, case_answer, fresh_bits, locate, tag};
use crate::portal::api::list::{Batch, Listing};
use crate::portal::body::{Asked, Json, Named};
use crate::portal::caller::{Commander, SignedIn};
use crate::portal::desk::Desk;
use crate::portal::problem::{Kind, Problem, items};
use crate::portal::wire::Page;
use crate::portal::wire::activation::{Activation, ActivationRequest, Forecast, Prospect, State};
use crate::portal::wire::common::Ending;
use crate::portal::wire::text::{Instant, RoleName};
use crate::store::{self, ActivationFilter, Listed, PhaseName};
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

#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::portal) struct ListQuery {
    /// Only this role.
    #[param(required = false)]
    pub(in crate::portal) role: Option<RoleName>,
    /// Only this holder, `issuer:subject`.
    #[param(required = false)]
    pub(in crate::portal) principal: Option<String>,
    /// Only in this state; `active` includes scheduled ones.
    #[param(required = false)]
    pub(in crate::portal) state: Option<State>,
    /// Only for roles of this application.
    #[param(required = false)]
    pub(in crate::portal) app: Option<String>,
    /// Only what ended so.
    #[param(required = false)]
    pub(in crate::portal) ending: Option<Ending>,
    /// Only what was asked for not before.
    #[param(required = false)]
    pub(in crate::portal) from: Option<Instant>,
    /// Only what was asked for before.
    #[param(required = false)]
    pub(in crate::portal) until: Option<Instant>,
    /// Only what the caller may decide on now.
    #[param(required = false)]
    pub(in crate::portal) waiting_for: Option<WaitingFor>,
    /// With `waiting_for`, which comes first.
    #[serde(default)]
    #[param(required = false)]
    pub(in crate::portal) order: Order,
    /// Where to go on.
    #[param(required = false)]
    pub(in crate::portal) cursor: Option<String>,
    /// Items on the page.
    #[param(required = false, minimum = 1, maximum = 200)]
    pub(in crate::portal) limit: Option<usize>,
}

/// Which comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::portal) enum Order {
    /// What was asked for last.
    #[default]
    Newest,
    /// What has waited longest.
    Oldest,
}

/// Whose decision a case waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::portal) enum WaitingFor {
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
    order: Given,
    Asked(query): Asked<RequestQuery>,
    Json { value, bytes }: Json<ActivationRequest>,
) -> Result<Response, Problem> {
    order.unconditional()?;
    let portal = order.portal.clone();
    let id = ActivationId::from_random(fresh_bits()?);
    let wanted = value.wanted.map(|wanted| wanted.read(&portal.shared.parts.settings.gate_urls)).transpose()?;
    let command = Command::RequestActivation {
        id,
        role: value.role.0,
        duration: value.duration.map(|length| length.0),
        starts_at: value.starts_at.map(|instant| instant.0),
        justification: value.justification,
        ticket: value.ticket,
        wanted,
    };
    if query.dry_run {
        return Ok(axum::Json(forecast(&portal, &order.commander, command).await?).into_response());
    }
    let identity = Arc::clone(&order.commander.identity);
    let outcome = order.given(command, &bytes).await?;
    let id = outcome.activation.as_ref().map_or(id, |case| case.id);
    let mut response = case_answer(&portal, &identity, outcome, StatusCode::CREATED).await?;
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

/// The page of activations that `query` asks for, as far as the caller may see them.
pub(in crate::portal) fn page(desk: &Desk, query: &ListQuery) -> Result<Page<Activation>, Problem> {
    let filters = ListQuery { cursor: None, limit: None, ..query.clone() };
    let listing = Listing::new(&desk.portal, format!("activations {filters:?}"), query.limit)?;
    let after = listing.position(query.cursor.as_deref())?;
    let named = query.principal.as_deref().map(|short| {
        desk.names.principal(short).ok_or_else(|| Problem::new(Kind::INVALID_QUERY, "no issuer has that name"))
    });
    if query.order == Order::Oldest && query.waiting_for.is_none() {
        return Err(Problem::new(Kind::INVALID_QUERY, "`order` goes with `waiting_for`"));
    }
    let own_only = query.role.is_none() && query.waiting_for.is_none() && !desk.viewer.sees_all();
    let filter = ActivationFilter {
        principal: named.transpose()?.or_else(|| own_only.then(|| desk.viewer.identity().principal.clone())),
        role: query.role.as_ref().map(|role| role.0.clone()),
        phase: query.state.map(|state| match state {
            State::Pending => PhaseName::Pending,
            State::Scheduled | State::Active => PhaseName::Active,
            State::Ended => PhaseName::Ended,
        }),
        app: query.app.clone(),
        ending: query.ending.map(Into::into),
        from: query.from.map(|instant| instant.0),
        until: query.until.map(|instant| instant.0),
    };
    let fetch = |after, count| {
        let order = match query.order {
            Order::Newest => store::Order::NewestFirst,
            Order::Oldest => store::Order::OldestFirst,
        };
        let place = |row: Listed<domain::Activation>| (row.position, row.item);
        Ok(match query.waiting_for {
            Some(WaitingFor::Me) => {
                let rows = desk.reader().inbox_in(desk.viewer.identity(), order, after, count)?;
                Batch::of(rows.into_iter().map(place).collect(), count)
            }
            None => {
                let found = desk.reader().find_activations(&filter, after, count)?;
                Batch { rows: found.items.into_iter().map(place).collect(), next: found.next }
            }
        })
    };
    let show = |case: domain::Activation| {
        let fits = filter.principal.as_ref().is_none_or(|principal| *principal == case.principal)
            && filter.role.as_ref().is_none_or(|role| *role == case.role)
            && filter.app.as_ref().is_none_or(|app| app == case.role.app());
        if !fits || !desk.viewer.sees_activation(&case) {
            return Ok(None);
        }
        let shown = desk.activation(&case)?;
        Ok(Some(shown).filter(|shown| is_in(query.state, shown.state)))
    };
    let page = listing.fill(after, fetch, show)?;
    // what waits or is held is never cut
    let may_be_over = query.waiting_for.is_none() && filter.phase.is_none_or(|phase| phase == PhaseName::Ended);
    let is_old_end = page.next.is_none() && may_be_over;
    let cut = if is_old_end { desk.cut_since(filter.from)? } else { None };
    Ok(Page { cut, ..page })
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
