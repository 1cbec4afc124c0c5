//! Roles as they are configured: what each opens and asks, who approves, and, for those who watch over it, who is eligible.

use axum::extract::{Path, State};
use axum::response::Response;
use http::Uri;
use maud::{Markup, html};

use crate::domain::assignment::AssignmentKind;
use crate::domain::policy::{AssignmentLimits, JustificationRule, Need, OwnRequest, Permanence, RolePolicy};
use crate::domain::role::RoleId;
use crate::identity::words;
use crate::portal::Portal;
use crate::portal::api::role::{ListQuery, page as list, visible};
use crate::portal::desk::Desk;
use crate::portal::pages::entry::Visitor;
use crate::portal::pages::fault::Faults;
use crate::portal::pages::form::{query, url};
use crate::portal::pages::layout::{Frame, Page, Place};
use crate::portal::pages::parts::button::{self, Weight};
use crate::portal::pages::parts::field::Field;
use crate::portal::pages::parts::{list as parts, notice, party, table, text, time};
use crate::portal::pages::rules;
use crate::portal::problem::{Kind, Problem};
use crate::store::AssignmentFilter;

/// All roles that concern the visitor, by name.
pub(super) async fn page(State(portal): State<Portal>, visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    portal
        .read(&visitor.identity, move |desk| {
            let asked = query(uri.query());
            let search: String = asked.text("search").trim().chars().take(SEARCH_CHARACTERS_MAX).collect();
            let wanted = |cursor: Option<&str>| ListQuery {
                search: Some(search.clone()).filter(|search| !search.is_empty()),
                cursor: cursor.map(str::to_owned),
                limit: Some(ROWS),
            };
            // a cursor of a process that is gone: begin again, rather than tell of it
            let (found, begins_later) = match list(desk, &wanted(asked.filled("cursor"))) {
                Err(problem) if problem.code() == Kind::INVALID_CURSOR.code => (list(desk, &wanted(None))?, false),
                found => (found?, asked.filled("cursor").is_some()),
            };
            let policies = desk.portal.shared.parts.policies.load();
            let rows = found.items.iter().filter_map(|role| policies.role(&role.role.0)).map(|policy| row(policy));
            let rows: Vec<Vec<Markup>> = rows.collect();
            let next = found.next.as_deref().map(|next| url("/roles", &[("search", &search), ("cursor", next)]));
            let faults = Faults::default();
            let field = Field {
                form: "",
                name: "search",
                label: "Find by name or purpose",
                hint: "",
                need: Need::Required,
                faults: &faults,
            };
            let body = html! {
                @if rows.is_empty() && search.is_empty() && !begins_later {
                    (notice::empty("No role concerns you.", &html! {
                        "Here are the roles you hold, may activate or approve. Ask an administrator to make you eligible for one."
                    }))
                } @else {
                    form .search method="get" action="/roles" role="search" {
                        (field.search(&search))
                        (button::submit(Weight::Side, "Search"))
                        @if !search.is_empty() { a href="/roles" { "Show all" } }
                    }
                    @if rows.is_empty() {
                        (notice::empty("No role matches.", &html! { "Try a part of its name, such as the application." }))
                    } @else {
                        (table::table("Roles", &["Role", "Asks for", "Up to"], rows))
                    }
                    (parts::pagination(begins_later.then(|| url("/roles", &[("search", &search)])).as_deref(), next.as_deref()))
                }
            };
            Ok(Page::new("Roles", body).at(Place::Roles).answer(&Frame::of(desk)?))
        })
        .await
}

fn row(policy: &RolePolicy) -> Vec<Markup> {
    vec![
        html! {
            a href={ "/roles/" (policy.role.as_str()) } { (text::role(policy.role.as_str())) }
            @if !policy.description.is_empty() { div .dim dir="auto" { (policy.description) } }
        },
        rules::demands(policy),
        time::span(policy.activation.max),
    ]
}

/// One role.
pub(super) async fn one(
    State(portal): State<Portal>,
    visitor: Visitor,
    path: Result<Path<(String, String)>, axum::extract::rejection::PathRejection>,
) -> Result<Response, Problem> {
    let Path((app, role)) = path.map_err(|_| Problem::unknown())?;
    let role: RoleId = format!("{app}/{role}").parse().map_err(|_| Problem::unknown())?;
    portal
        .read(&visitor.identity, move |desk| {
            let policies = desk.portal.shared.parts.policies.load();
            let policy = visible(desk, &policies, &role)?;
            let body = html! {
                @if !policy.description.is_empty() { p .lead dir="auto" { (policy.description) } }
                (ways(desk, policy))
                div .sides {
                    section .sheet aria-labelledby="asks" {
                        h2 #asks { "What it opens and asks" }
                        (rules::facts(desk, policy))
                        (asked(policy))
                    }
                    section .sheet aria-labelledby="bounds" {
                        h2 #bounds { "Bounds" }
                        (bounds(policy))
                    }
                }
                @if desk.viewer.sees_all() { (assigned(desk, &role)?) }
            };
            Ok(Page::new(role.as_str(), body).at(Place::Roles).answer(&Frame::of(desk)?))
        })
        .await
}

/// What the visitor can do from here.
fn ways(desk: &Desk, policy: &RolePolicy) -> Markup {
    let now = desk.viewer.now();
    let eligible = desk.viewer.standings().any(|(_, standing)| standing.eligibility(&policy.role, now).is_some());
    let name = policy.role.as_str();
    html! {
        @if eligible || desk.viewer.sees_all() {
            p .row {
                @if eligible { (button::link(Weight::Main, "Activate", &url("/activate", &[("role", name)]))) }
                @if desk.viewer.sees_all() {
                    (button::link(Weight::Side, "History", &url("/history", &[("role", name)])))
                    (button::link(Weight::Side, "Assignments", &url("/assignments", &[("role", name)])))
                }
            }
        }
    }
}

fn asked(policy: &RolePolicy) -> Markup {
    let mut pairs = vec![("Justification", html! { (text_rule(&policy.justification)) })];
    let ticket = policy.ticket.pattern.as_ref().map(|pattern| pattern.source().to_owned());
    pairs.push((
        "Ticket",
        html! {
            @if policy.ticket.need == Need::Required { "required" } @else { "optional" }
            @if let Some(pattern) = ticket { ", like " (text::code(&pattern)) }
        },
    ));
    if !policy.approval.stages.is_empty() {
        pairs.push((
            "Approvers",
            html! {
                "justification " (text_rule(&policy.approval.justification))
                @for demand in words::sign_in(&policy.approval.assurance) { ", signed in " (demand) }
            },
        ));
        pairs.push((
            "Own request",
            match policy.approval.own_request {
                OwnRequest::Forbidden => html! { "nobody approves their own" },
                OwnRequest::Allowed => html! { "may be approved by its requester, and is recorded as such" },
            },
        ));
    }
    parts::facts(pairs)
}

fn text_rule(rule: &JustificationRule) -> String {
    let need = if rule.need == Need::Required { "required" } else { "optional" };
    let pattern = rule.pattern.as_ref().map(|pattern| format!(", matching {}", pattern.source())).unwrap_or_default();
    format!("{need}, {} to {} characters{pattern}", rule.characters_min, rule.characters_max)
}

fn bounds(policy: &RolePolicy) -> Markup {
    let limits = policy.activation;
    parts::facts([
        ("Shortest", time::span(limits.min)),
        ("Usual", time::span(limits.default)),
        ("Longest", time::span(limits.max)),
        ("With extensions", time::span(limits.total_max)),
        ("Start ahead", html! { "at most " (time::span(limits.start_ahead_max)) }),
        ("Eligible for", assignment(policy.eligible)),
        ("Assigned for", assignment(policy.active)),
        ("Settings", html! { span .hash { (text::code(&policy.revision.to_string())) } }),
    ])
}

fn assignment(limits: AssignmentLimits) -> Markup {
    html! {
        "up to " (time::span(limits.max))
        @match limits.permanent {
            Permanence::Allowed => ", or without an end",
            Permanence::Forbidden => ", never without an end",
        }
    }
}

/// Who is eligible and who holds it directly; the first of each.
fn assigned(desk: &Desk, role: &RoleId) -> Result<Markup, Problem> {
    let of = |kind| {
        let filter = AssignmentFilter { kind: Some(kind), role: Some(role.clone()), ..AssignmentFilter::default() };
        desk.reader().assignments(&filter, None, ASSIGNED_MAX.saturating_add(1))
    };
    let (eligible, active) = (of(AssignmentKind::Eligible)?, of(AssignmentKind::Active)?);
    let shown = |title: &str, kind: &str, found: &[crate::store::Listed<crate::domain::assignment::Assignment>]| {
        html! {
            h3 { (title) }
            @if found.is_empty() { p .dim { "Nobody." } }
            ul .plain-list {
                @for listed in found.iter().take(ASSIGNED_MAX) {
                    li {
                        (party::one(&listed.item.party, &desk.names))
                        " " span .dim {
                            @match listed.item.window.ends_at { Some(end) => { "until " (time::moment(end)) } None => "without an end" }
                        }
                    }
                }
            }
            @if found.len() > ASSIGNED_MAX {
                p { a href=(url("/assignments", &[("kind", kind), ("role", role.as_str())])) { "All of them" } }
            }
        }
    };
    Ok(html! {
        section .sheet aria-labelledby="who" {
            h2 #who { "Who" }
            (shown("Eligible", "eligible", &eligible))
            (shown("Assigned directly", "active", &active))
        }
    })
}

const ROWS: usize = 25;
const SEARCH_CHARACTERS_MAX: usize = 100;
const ASSIGNED_MAX: usize = 20;
