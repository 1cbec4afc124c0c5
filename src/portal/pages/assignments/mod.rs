//! Who may activate and who holds what directly: found by role and by person, given, changed and ended.

mod add;
mod end;
mod one;
mod person;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use http::{StatusCode, Uri};
use maud::{Markup, html};

use crate::domain::assignment::{Assignment, AssignmentKind, Origin};
use crate::domain::policy::Need;
use crate::domain::principal::Party;
use crate::domain::role::RoleId;
use crate::domain::time::Window;
use crate::portal::Portal;
use crate::portal::api::assignment::{ListQuery, found};
use crate::portal::desk::Desk;
use crate::portal::pages::entry::Visitor;
use crate::portal::pages::fault::Faults;
use crate::portal::pages::form::{Fields, query, url};
use crate::portal::pages::layout::{Frame, Page, Place};
use crate::portal::pages::parts::badge::{Tone, badge};
use crate::portal::pages::parts::button::{self, Weight};
use crate::portal::pages::parts::field::Field;
use crate::portal::pages::parts::{list, notice, party, table, text, time};
use crate::portal::problem::{Kind, Problem};
use crate::portal::wire::text::RoleName;

/// These pages.
pub(super) fn router() -> Router<Portal> {
    Router::new()
        .route("/assignments", get(page).post(add::send))
        .route("/assignments/new", get(add::page))
        .route("/assignments/end", get(end::page).post(end::send))
        .route("/assignments/person", get(person::page))
        .route("/assignments/lock", post(person::lock))
        .route("/assignments/unlock", post(person::unlock))
        .route("/assignments/{id}", get(one::page).post(one::send))
}

/// What is looked for.
struct Sought {
    kind: AssignmentKind,
    role: String,
    principal: String,
    group: String,
    cursor: Option<String>,
}

impl Sought {
    fn of(asked: &Fields) -> Self {
        let filled = |name| asked.filled(name).unwrap_or_default().to_owned();
        Self {
            kind: kind_of(asked.text("kind")),
            role: filled("role"),
            principal: filled("principal"),
            group: filled("group"),
            cursor: asked.filled("cursor").map(str::to_owned),
        }
    }

    fn is_filtered(&self) -> bool {
        ![&self.role, &self.principal, &self.group].into_iter().all(String::is_empty)
    }

    /// As the API is asked; what cannot be is told beside its field.
    fn query(&self, faults: &mut Faults) -> ListQuery {
        let filled = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let role = filled(&self.role).and_then(|name| match name.parse::<RoleId>() {
            Ok(role) => Some(RoleName(role)),
            Err(error) => {
                faults.add("role", error.to_string());
                None
            }
        });
        ListQuery {
            role,
            principal: filled(&self.principal),
            group: filled(&self.group),
            cursor: self.cursor.clone(),
            limit: Some(ROWS),
        }
    }

    fn url(&self, kind: AssignmentKind, cursor: &str) -> String {
        let pairs = [
            ("kind", word_of(kind)),
            ("role", &self.role),
            ("principal", &self.principal),
            ("group", &self.group),
            ("cursor", cursor),
        ];
        url("/assignments", &pairs)
    }
}

/// The list.
async fn page(State(portal): State<Portal>, visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    portal
        .read(&visitor.identity, move |desk| {
            let sought = Sought::of(&query(uri.query()));
            let mut faults = Faults::default();
            let asked = sought.query(&mut faults);
            let looked = if faults.is_empty() { found(desk, sought.kind, &asked).map(Some) } else { Ok(None) };
            let found = match looked {
                Ok(found) => found,
                // a cursor of a process that is gone: begin again, rather than tell of it
                Err(problem) if problem.code() == Kind::INVALID_CURSOR.code => {
                    Some(self::found(desk, sought.kind, &ListQuery { cursor: None, ..asked })?)
                }
                Err(problem) => {
                    let field = if sought.principal.is_empty() { "group" } else { "principal" };
                    faults.extend(Faults::of_problem(problem, &[])?.on(field));
                    None
                }
            };
            let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
            let body = html! {
                (above(desk, &sought, &faults))
                @if let Some(found) = found {
                    (rows(desk, &sought, &found.items))
                    (list::pagination(
                        sought.cursor.as_ref().map(|_| sought.url(sought.kind, "")).as_deref(),
                        found.next.as_deref().map(|next| sought.url(sought.kind, next)).as_deref(),
                    ))
                }
            };
            Ok(Page::new("Assignments", body).at(Place::Assignments).status(status).answer(&Frame::of(desk)?))
        })
        .await
}

fn above(desk: &Desk, sought: &Sought, faults: &Faults) -> Markup {
    let field = |name, label, hint| Field { form: "", name, label, hint, need: Need::Required, faults };
    let tab = |kind: AssignmentKind, label: &str| {
        html! { li { a href=(sought.url(kind, "")) aria-current=[(kind == sought.kind).then_some("page")] { (label) } } }
    };
    html! {
        @if desk.viewer.is_administrator() {
            p .row {
                (button::link(Weight::Main, "Assign a role", &url("/assignments/new", &[("kind", word_of(sought.kind)), ("role", &sought.role), ("principal", &sought.principal), ("group", &sought.group)])))
            }
        }
        nav aria-label="Kind" {
            ul .tabs { (tab(AssignmentKind::Eligible, "Eligible")) (tab(AssignmentKind::Active, "Active, assigned directly")) }
        }
        (list::filters(sought.is_filtered(), &html! { form .filters method="get" action="/assignments" role="search" {
            input type="hidden" name="kind" value=(word_of(sought.kind));
            (field("role", "Role", "app/role").search(&sought.role))
            (field("principal", "Person", "issuer:subject").search(&sought.principal))
            (field("group", "Group", "issuer:group").search(&sought.group))
            div .field .press { (button::submit(Weight::Side, "Filter")) }
        } }))
        @if !sought.principal.is_empty() && faults.is_empty() {
            p { a href=(url("/assignments/person", &[("who", &sought.principal)])) { "All that " (sought.principal) " holds, and locking them" } }
        }
    }
}

fn rows(desk: &Desk, sought: &Sought, items: &[Assignment]) -> Markup {
    let may = desk.viewer.is_administrator();
    let choosable = may && items.iter().any(|item| item.origin == Origin::Administrator);
    let columns: &[&str] = if may { &["Role", "Who", "When", ""] } else { &["Role", "Who", "When"] };
    html! {
        @if items.is_empty() {
            @if sought.is_filtered() {
                (notice::empty("No assignment matches.", &html! { "Role, person and group are matched as a whole. " a href=(url("/assignments", &[("kind", word_of(sought.kind))])) { "Show all" } }))
            } @else {
                (notice::empty("Nobody has such an assignment.", &html! { "Assign a role to a person or a group, or declare it beside the role in the configuration." }))
            }
        } @else {
            (table::table("Assignments", columns, items.iter().map(|item| cells(desk, item, may))))
            @if choosable {
                // chosen above by `form=`, and looked at once more before anything ends
                form #ending method="get" action="/assignments/end" {
                    div .row {
                        label .choose hidden { input type="checkbox" form="ending" data-all="chosen" data-told="ending-told"; span { "Choose all" } }
                        (button::submit(Weight::Destructive, "End chosen…"))
                        span #ending-told .dim aria-live="polite" {}
                    }
                }
            }
        }
    }
}

fn cells(desk: &Desk, item: &Assignment, may: bool) -> Vec<Markup> {
    let about = format!("{} for {}", item.role, desk.names.of_party(&item.party));
    let changeable = item.origin == Origin::Administrator;
    let mut cells = vec![
        html! { a href={ "/assignments/" (item.id) } { (text::role(item.role.as_str())) } },
        who(desk, &item.party),
        html! {
            (window(item.window, desk))
            @if !changeable { " " (badge(Tone::Plain, "by configuration")) }
        },
    ];
    if may {
        cells.push(html! {
            @if changeable {
                div .row {
                    label .choose {
                        input type="checkbox" form="ending" name="chosen" value=(item.id.to_string());
                        span { "Choose" span .unseen { " " (about) } }
                    }
                    (button::link(Weight::Side, "Change", &format!("/assignments/{}", item.id)))
                }
            }
        });
    }
    cells
}

fn who(desk: &Desk, party: &Party) -> Markup {
    match party {
        Party::Principal(principal) => {
            let short = desk.names.of_principal(principal);
            html! { a href=(url("/assignments/person", &[("who", &short)])) { (party::one(party, &desk.names)) } }
        }
        Party::Group(_) => party::one(party, &desk.names),
    }
}

/// From when until when, as far as it matters.
fn window(window: Window, desk: &Desk) -> Markup {
    html! {
        @if window.starts_at > desk.viewer.now() { "from " (time::moment(window.starts_at)) " " }
        @match window.ends_at {
            Some(end) => { "until " (time::moment(end)) " " span .dim { "· " (time::distance(end, desk.viewer.now())) } }
            None => "without an end",
        }
    }
}

/// The kind a query or form names; eligible unless it says otherwise.
fn kind_of(word: &str) -> AssignmentKind {
    if word == word_of(AssignmentKind::Active) { AssignmentKind::Active } else { AssignmentKind::Eligible }
}

const fn word_of(kind: AssignmentKind) -> &'static str {
    match kind {
        AssignmentKind::Eligible => "eligible",
        AssignmentKind::Active => "active",
    }
}

const ROWS: usize = 50;
