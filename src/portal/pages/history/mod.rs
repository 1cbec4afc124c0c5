//! What happened: activations found by person, role, application, time and outcome; one activation's whole story; the journal
//! itself, its head and whether it is whole.

mod case;
mod journal;
mod records;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::{StatusCode, Uri};
use maud::{Markup, html};

use crate::clock::format_rfc3339;
use crate::domain::policy::Need;
use crate::domain::role::RoleId;
use crate::domain::time::Timestamp;
use crate::portal::Portal;
use crate::portal::api::activation::{ListQuery, page as list};
use crate::portal::desk::Desk;
use crate::portal::pages::entry::Visitor;
use crate::portal::pages::fault::Faults;
use crate::portal::pages::form::{Fields, query, url};
use crate::portal::pages::layout::{Frame, Page, Place};
use crate::portal::pages::parts::badge::{self, ending_word};
use crate::portal::pages::parts::button::{self, Weight};
use crate::portal::pages::parts::field::{Choice, Field};
use crate::portal::pages::parts::{cut, list as pages, notice, party, table, text, time};
use crate::portal::problem::{Kind, Problem};
use crate::portal::wire::Page as List;
use crate::portal::wire::activation::{Activation, State as Stage};
use crate::portal::wire::common::Ending;
use crate::portal::wire::text::{Instant, RoleName};

/// These pages.
pub(super) fn router() -> Router<Portal> {
    Router::new()
        .route("/history", get(page))
        .route("/history/journal", get(journal::page).post(journal::verify))
        .route("/history/records", get(records::page))
        .route("/history/{id}", get(case::page))
}

/// What is looked for.
#[derive(Debug, Default)]
struct Sought {
    principal: String,
    role: String,
    app: String,
    outcome: String,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    cursor: Option<String>,
}

impl Sought {
    fn of(asked: &Fields, faults: &mut Faults) -> Self {
        let filled = |name| asked.filled(name).unwrap_or_default().to_owned();
        Self {
            principal: filled("principal"),
            role: filled("role"),
            app: filled("app"),
            outcome: filled("outcome"),
            from: asked.moment_of("from", 0, faults),
            until: asked.moment_of("until", 1, faults),
            cursor: asked.filled("cursor").map(str::to_owned),
        }
    }

    fn query(&self, faults: &mut Faults) -> ListQuery {
        let filled = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let role = filled(&self.role).and_then(|name| match name.parse::<RoleId>() {
            Ok(role) => Some(RoleName(role)),
            Err(error) => {
                faults.add("role", error.to_string());
                None
            }
        });
        let (state, ending) = match OUTCOMES.iter().find(|(word, ..)| *word == self.outcome) {
            Some((_, state, ending)) => (*state, *ending),
            None => (None, None),
        };
        ListQuery {
            role,
            principal: filled(&self.principal),
            app: filled(&self.app),
            state,
            ending,
            from: self.from.map(Instant),
            until: self.until.map(Instant),
            cursor: self.cursor.clone(),
            limit: Some(ROWS),
            ..ListQuery::default()
        }
    }

    fn is_empty(&self) -> bool {
        [&self.principal, &self.role, &self.app, &self.outcome].into_iter().all(String::is_empty)
            && self.from.is_none()
            && self.until.is_none()
    }

    /// The same search, from `cursor` on.
    fn url(&self, cursor: &str) -> String {
        let (from, until) = (self.from.map(format_rfc3339), self.until.map(format_rfc3339));
        let pairs = [
            ("principal", self.principal.as_str()),
            ("role", &self.role),
            ("app", &self.app),
            ("outcome", &self.outcome),
            ("from", from.as_deref().unwrap_or_default()),
            ("until", until.as_deref().unwrap_or_default()),
            ("cursor", cursor),
        ];
        url("/history", &pairs)
    }

    /// The journal's records by the same filter, as a file.
    fn export(&self, format: &str) -> String {
        let (from, until) = (self.from.map(format_rfc3339), self.until.map(format_rfc3339));
        let ending = OUTCOMES.iter().find(|(word, _, ending)| *word == self.outcome && ending.is_some());
        let pairs = [
            ("format", format),
            ("principal", self.principal.as_str()),
            ("role", &self.role),
            ("app", &self.app),
            ("ending", ending.map_or("", |(word, ..)| *word)),
            ("from", from.as_deref().unwrap_or_default()),
            ("until", until.as_deref().unwrap_or_default()),
        ];
        url("/api/v1/audit/export", &pairs)
    }
}

/// Outcomes by the words of the API: a state, or how it ended.
const OUTCOMES: [(&str, Option<Stage>, Option<Ending>); 10] = [
    ("pending", Some(Stage::Pending), None),
    ("active", Some(Stage::Active), None),
    ("expired", None, Some(Ending::Expired)),
    ("deactivated", None, Some(Ending::Deactivated)),
    ("denied", None, Some(Ending::Denied)),
    ("cancelled", None, Some(Ending::Cancelled)),
    ("lapsed", None, Some(Ending::Lapsed)),
    ("revoked", None, Some(Ending::Revoked)),
    ("eligibility_lost", None, Some(Ending::EligibilityLost)),
    ("locked", None, Some(Ending::Locked)),
];

/// The list.
async fn page(State(portal): State<Portal>, visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    portal
        .read(&visitor.identity, move |desk| {
            let mut faults = Faults::default();
            let sought = Sought::of(&query(uri.query()), &mut faults);
            let asked = sought.query(&mut faults);
            let looked = if faults.is_empty() { list(desk, &asked).map(Some) } else { Ok(None) };
            let found = match looked {
                Ok(found) => found,
                // a cursor of a process that is gone: begin again, rather than tell of it
                Err(problem) if problem.code() == Kind::INVALID_CURSOR.code => {
                    Some(list(desk, &ListQuery { cursor: None, ..asked })?)
                }
                Err(problem) => {
                    faults.extend(Faults::of_problem(problem, &[])?.on("principal"));
                    None
                }
            };
            let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
            let body = html! {
                (tabs(desk, Tab::Activations))
                @if !desk.viewer.sees_all() { p .dim { "Your own activations. Name a role to see those you decide on." } }
                (filters(&sought, &faults))
                @if let Some(found) = found {
                    (rows(desk, &sought, &found))
                    @if let Some(cut) = &found.cut { (cut::below_activations(cut)) }
                    (pages::pagination(
                        sought.cursor.as_ref().map(|_| sought.url("")).as_deref(),
                        found.next.as_deref().map(|next| sought.url(next)).as_deref(),
                    ))
                    @if desk.viewer.sees_all() { (downloads(&sought)) }
                }
            };
            Ok(Page::new("History", body).at(Place::History).status(status).answer(&Frame::of(desk)?))
        })
        .await
}

/// The parts of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tab {
    Activations,
    Records,
    Journal,
}

/// Ways between them; the journal as a whole is for those who see all.
fn tabs(desk: &Desk, here: Tab) -> Markup {
    let tab = |tab: Tab, href: &str, label: &str| {
        html! { li { a href=(href) aria-current=[(tab == here).then_some("page")] { (label) } } }
    };
    html! {
        nav aria-label="History" {
            ul .tabs {
                (tab(Tab::Activations, "/history", "Activations"))
                (tab(Tab::Records, "/history/records", "Records"))
                @if desk.viewer.sees_all() { (tab(Tab::Journal, "/history/journal", "Journal")) }
            }
        }
    }
}

fn filters(sought: &Sought, faults: &Faults) -> Markup {
    let field = |name, label, hint| Field { form: "", name, label, hint, need: Need::Required, faults };
    let any = Choice { value: String::new(), label: "Any".to_owned() };
    let outcomes: Vec<Choice> = std::iter::once(any)
        .chain(OUTCOMES.iter().map(|(word, _, ending)| {
            let label = match (*word, ending) {
                (_, Some(ending)) => ending_word(*ending),
                ("pending", None) => "Pending",
                (_, None) => "Active or scheduled",
            };
            Choice { value: (*word).to_owned(), label: label.to_owned() }
        }))
        .collect();
    let input = |at: Option<Timestamp>| at.map(time::input_value).unwrap_or_default();
    html! {
        (pages::filters(!sought.is_empty(), &html! { form .sheet method="get" action="/history" role="search" {
            div .filters {
                (field("principal", "Person", "issuer:subject").search(&sought.principal))
                (field("role", "Role", "app/role").search(&sought.role))
                (field("app", "Application", "").search(&sought.app))
                (field("outcome", "Outcome", "").select(&outcomes, &sought.outcome))
                (field("from", "Asked from", "").moment(&input(sought.from)))
                (field("until", "Asked before", "").moment(&input(sought.until)))
            }
            div .row {
                (button::submit(Weight::Main, "Filter"))
                @if !sought.is_empty() { a href="/history" { "Show all" } }
            }
        } }))
    }
}

fn rows(desk: &Desk, sought: &Sought, found: &List<Activation>) -> Markup {
    let cases = &found.items;
    html! {
        @if cases.is_empty() && found.next.is_some() {
            (notice::empty("Nothing found so far.", &html! { "There is more to look through: go on to the next page." }))
        } @else if cases.is_empty() && sought.is_empty() && found.cut.is_some() {
            (notice::empty("No activation is left.", &html! { "All that ended was cut from the journal." }))
        } @else if cases.is_empty() && sought.is_empty() {
            (notice::empty("Nobody has activated anything yet.", &html! { "Every request, decision and end will be found here." }))
        } @else if cases.is_empty() {
            (notice::empty("No activation matches.", &html! { "Person, role and application are matched as a whole. " a href="/history" { "Show all" } }))
        } @else {
            (table::table("Activations", &["Asked", "Who", "Role", "Outcome", "Held", "Uses"], cases.iter().map(|case| cells(desk, case))))
        }
    }
}

fn cells(desk: &Desk, case: &Activation) -> Vec<Markup> {
    vec![
        html! {
            a href={ "/history/" (case.id) } { (time::moment(case.requested_at.0)) }
            div .dim { (time::distance(case.requested_at.0, desk.viewer.now())) }
        },
        party::person(case.name.as_deref(), &case.principal),
        text::role(case.role.0.as_str()),
        badge::state(case.state, case.ending),
        held(case),
        html! { @match case.uses { Some(count) => (count), None => span .dim { "–" } } },
    ]
}

/// When it was held; as long as was asked for, where it never was.
fn held(case: &Activation) -> Markup {
    html! {
        @match &case.window {
            Some(window) => {
                (time::range(window.starts_at.0, window.ends_at.as_ref().map(|end| end.0)))
            }
            None => span .dim { "asked for " (time::span(case.requested.duration.0)) },
        }
    }
}

fn downloads(sought: &Sought) -> Markup {
    html! {
        section .sheet aria-labelledby="download" {
            h2 #download { "Download" }
            p {
                @if sought.is_empty() { "Every record of the journal." }
                @else { "Every record of the journal that this filter matches; its times are those of the records." }
            }
            p .row {
                a .button.side href=(sought.export("csv")) download { "CSV" }
                a .button.side href=(sought.export("jsonl")) download { "JSON lines" }
            }
            p .dim { "CSV is for spreadsheets. JSON lines hold the exact bytes; the whole journal as JSON lines can be verified with " code { "hallpass audit verify" } "." }
        }
    }
}

const ROWS: usize = 50;
