//! What the visitor may activate: searched by GET, page by page, however many roles there are.
//!
//! Only what is shown is looked up; what is not is passed over by name alone.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::domain::policy::{Need, Policies, RolePolicy};
use crate::domain::role::RoleId;
use crate::domain::time::Timestamp;
use crate::portal::api::list::Listing;
use crate::portal::desk::Desk;
use crate::portal::pages::fault::Faults;
use crate::portal::pages::form::{Fields, url};
use crate::portal::pages::parts::badge::{Tone, badge};
use crate::portal::pages::parts::button::{Weight, link, submit};
use crate::portal::pages::parts::field::Field;
use crate::portal::pages::parts::{list, notice, table, text, time};
use crate::portal::pages::rules;
use crate::portal::problem::Problem;

/// One page of roles that may be activated.
pub(super) struct Eligible<'p> {
    rows: Vec<(&'p RolePolicy, Option<Timestamp>)>,
    /// Where the page after this one begins.
    next: Option<String>,
    search: String,
    begins_later: bool,
}

impl<'p> Eligible<'p> {
    /// The page that `asked` names by `search` and `cursor`.
    pub(super) fn of(desk: &Desk, policies: &'p Policies, asked: &Fields) -> Result<Self, Problem> {
        let search = asked.text("search").trim().chars().take(SEARCH_CHARACTERS_MAX).collect::<String>();
        let sought = search.to_lowercase();
        let listing = Listing::new(&desk.portal, format!("pages eligible {sought:?}"), Some(ROWS))?;
        // a cursor of a process that is gone: begin again, rather than tell of it
        let place = listing.place(asked.filled("cursor")).ok().flatten();
        let after: Option<RoleId> = place.and_then(|place| place.parse().ok());

        let now = desk.viewer.now();
        let mut ends: BTreeMap<&RoleId, Option<Timestamp>> = BTreeMap::new();
        let standing = desk.viewer.standings().flat_map(|(_, standing)| &standing.eligible);
        for eligible in standing.filter(|eligible| eligible.window.contains(now)) {
            if after.as_ref().is_some_and(|after| eligible.role <= *after) {
                continue;
            }
            let end = ends.entry(&eligible.role).or_insert(eligible.window.ends_at);
            *end = (*end).zip(eligible.window.ends_at).map(|(one, other)| one.max(other));
        }
        let mut rows: Vec<_> = ends
            .into_iter()
            .filter_map(|(role, end)| Some((&**policies.role(role)?, end)))
            .filter(|(policy, _)| matches(policy, &sought))
            .take(ROWS.saturating_add(1))
            .collect();
        let more = rows.len() > ROWS;
        rows.truncate(ROWS);
        let next = rows.last().filter(|_| more).map(|(policy, _)| policy.role.to_string());
        let next = listing.page::<()>(Vec::new(), next).next;
        Ok(Self { rows, next, search, begins_later: after.is_some() })
    }

    /// The search, the list, and the way on; `path` is the page they stand on.
    pub(super) fn show(&self, desk: &Desk, path: &str) -> Markup {
        let faults = Faults::default();
        let field = Field {
            form: "",
            name: "search",
            label: "Find by name or purpose",
            hint: "",
            need: Need::Required,
            faults: &faults,
        };
        let is_bare = self.rows.is_empty() && self.search.is_empty() && !self.begins_later;
        html! {
            @if is_bare {
                (notice::empty("You may not activate any role.", &html! {
                    "Eligibility is given by an administrator, or comes with a group you are in. Sign in again if you were added to one just now."
                }))
            } @else {
                form .search method="get" action=(path) role="search" {
                    (field.search(&self.search))
                    (submit(Weight::Side, "Search"))
                    @if !self.search.is_empty() { a href=(path) { "Show all" } }
                }
                @if self.rows.is_empty() {
                    (notice::empty("No role matches.", &html! { "Try a part of its name, such as the application." }))
                } @else {
                    (table::table("Roles you may activate", &["Role", "Asks for", "Up to", ""], self.rows.iter().map(|row| cells(desk, row))))
                }
                (list::pagination(self.begins_later.then_some(path), self.next_url(path).as_deref()))
            }
        }
    }

    fn next_url(&self, path: &str) -> Option<String> {
        self.next.as_ref().map(|next| url(path, &[("search", &self.search), ("cursor", next)]))
    }
}

const ROWS: usize = 20;
const SEARCH_CHARACTERS_MAX: usize = 100;

/// `sought` is in lower case.
fn matches(policy: &RolePolicy, sought: &str) -> bool {
    sought.is_empty()
        || policy.role.as_str().to_lowercase().contains(sought)
        || policy.description.to_lowercase().contains(sought)
}

fn cells(desk: &Desk, (policy, end): &(&RolePolicy, Option<Timestamp>)) -> Vec<Markup> {
    let (identity, now, role) = (desk.viewer.identity(), desk.viewer.now(), &policy.role);
    let mut standings = desk.viewer.standings();
    let held = standings.find_map(|(_, standing)| standing.holding(role, identity, now));
    let pending = desk.viewer.standings().find_map(|(_, standing)| standing.pending(role, now));
    vec![
        html! {
            (text::role(role.as_str()))
            @if !policy.description.is_empty() { div .dim dir="auto" { (policy.description) } }
            @if let Some(end) = end { div .dim { "you are eligible until " (time::moment(*end)) } }
        },
        rules::demands(policy),
        time::span(policy.activation.max),
        html! {
            div .row {
                @if held.is_some() { (badge(Tone::Good, "Active")) }
                @if let Some(pending) = pending {
                    a href={ "/activations/" (pending.activation) } { (badge(Tone::Waiting, "Pending")) }
                } @else {
                    (link(Weight::Side, "Activate", &url("/activate", &[("role", role.as_str())])))
                }
            }
        },
    ]
}
