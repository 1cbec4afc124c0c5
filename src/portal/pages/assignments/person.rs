//! One principal: all it holds, may activate and waits for, and the lock that ends it.

use axum::extract::State;
use axum::response::Response;
use http::{StatusCode, Uri};
use maud::{Markup, html};

use crate::domain::command::Command;
use crate::domain::policy::Need;
use crate::domain::principal::{Party, Principal};
use crate::domain::standing::{Basis, Lock, Standing};
use crate::portal::Portal;
use crate::portal::desk::Desk;
use crate::portal::pages::assignments::window;
use crate::portal::pages::entry::{Sender, StepUp, Visitor};
use crate::portal::pages::fault::Faults;
use crate::portal::pages::form::{ONCE, Posted, once, query, url};
use crate::portal::pages::layout::{Frame, Page, Place, see_other};
use crate::portal::pages::parts::badge::{Tone, badge};
use crate::portal::pages::parts::button::{Weight, link, submit};
use crate::portal::pages::parts::field::Field;
use crate::portal::pages::parts::notice::notice;
use crate::portal::pages::parts::{table, text, time};
use crate::portal::problem::Problem;

/// The page.
pub(super) async fn page(State(portal): State<Portal>, visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    portal
        .read(&visitor.identity, move |desk| {
            let asked = query(uri.query());
            show(desk, asked.filled("who").unwrap_or_default(), &Sent::default())
        })
        .await
}

/// What was filled in, and what was wrong with it.
#[derive(Default)]
struct Sent {
    justification: String,
    faults: Faults,
    step_up: Option<StepUp>,
}

/// Ends all the principal holds and refuses it everything.
pub(super) async fn lock(state: State<Portal>, sender: Sender, posted: Posted) -> Result<Response, Problem> {
    set(state, sender, posted, "lock", |principal, justification| Command::Lock { principal, justification }).await
}

/// Takes the lock away.
pub(super) async fn unlock(state: State<Portal>, sender: Sender, posted: Posted) -> Result<Response, Problem> {
    set(state, sender, posted, "unlock", |principal, justification| Command::Unlock { principal, justification }).await
}

async fn set(
    State(portal): State<Portal>,
    sender: Sender,
    posted: Posted,
    verb: &str,
    command: impl FnOnce(Principal, Option<String>) -> Command,
) -> Result<Response, Problem> {
    let fields = posted.fields(&["who", "justification", ONCE], &[])?;
    let short = fields.text("who").to_owned();
    let principal = portal.shared.parts.names.load().principal(&short).ok_or_else(Problem::unknown)?;
    let command = command(principal, fields.filled("justification").map(str::to_owned));
    match portal.command(&sender.commander, command, fields.idempotency(verb)).await {
        Ok(_) => Ok(see_other(&url("/assignments/person", &[("who", &short)]))),
        Err(problem) => {
            let step_up = StepUp::for_problem(&problem);
            let faults = Faults::of_problem(problem, &["justification"])?;
            let sent = Sent { justification: fields.text("justification").to_owned(), faults, step_up };
            portal.read(sender.identity(), move |desk| show(desk, &short, &sent)).await
        }
    }
}

fn show(desk: &Desk, short: &str, sent: &Sent) -> Result<Response, Problem> {
    let principal = desk.names.principal(short).ok_or_else(Problem::unknown)?;
    if !desk.viewer.sees_principal(&principal) {
        return Err(Problem::unknown());
    }
    let standing = desk.reader().standing(&Party::Principal(principal.clone()))?;
    let own = format!("/assignments/person?{}", url("", &[("who", short)]).trim_start_matches('?'));
    let remedy = html! { @if let Some(step_up) = &sent.step_up { (step_up.remedy(&desk.portal, &own)) } };
    let body = html! {
        (sent.faults.summary(&remedy))
        @if standing.lock == Lock::Locked {
            (notice(Tone::Bad, &html! { p { b { "Locked." } " Everything is refused, and nothing new can be asked for." } }))
        }
        section .sheet aria-label="Standing" { (holdings(desk, &standing)) }
        p .row {
            @if desk.viewer.sees_all() { (link(Weight::Side, "History", &url("/history", &[("principal", short)]))) }
        }
        @if desk.viewer.is_administrator() { (lock_form(desk, short, &standing, sent)) }
    };
    let status = if sent.faults.is_empty() { StatusCode::OK } else { sent.faults.status() };
    Ok(Page::new(short, body).at(Place::Assignments).status(status).answer(&Frame::of(desk)?))
}

fn holdings(desk: &Desk, standing: &Standing) -> Markup {
    let now = desk.viewer.now();
    let held = standing.held.iter().filter(|held| !held.window.is_over(now)).map(|held| {
        let (href, how) = match held.basis {
            Basis::Activation(id) => (format!("/activations/{id}"), "activated"),
            Basis::Assignment(id) => (format!("/assignments/{id}"), "assigned"),
        };
        vec![
            html! { a href=(href) { (text::role(held.role.as_str())) } },
            html! { (badge(Tone::Good, "Holds")) " " span .dim { (how) } },
            window(held.window, desk),
        ]
    });
    let pending = standing.pending.iter().filter(|pending| now < pending.lapses_at).map(|pending| {
        vec![
            html! { a href={ "/activations/" (pending.activation) } { (text::role(pending.role.as_str())) } },
            badge(Tone::Waiting, "Pending"),
            html! { "lapses " (time::distance(pending.lapses_at, now)) },
        ]
    });
    let eligible = standing.eligible.iter().filter(|eligible| !eligible.window.is_over(now)).map(|eligible| {
        vec![
            html! { a href={ "/assignments/" (eligible.assignment) } { (text::role(eligible.role.as_str())) } },
            badge(Tone::Plain, "Eligible"),
            window(eligible.window, desk),
        ]
    });
    let rows: Vec<Vec<Markup>> = held.chain(pending).chain(eligible).take(ROWS_MAX.saturating_add(1)).collect();
    html! {
        @if rows.is_empty() {
            p { "Holds nothing, waits for nothing, and is eligible for nothing, unless a group gives it." }
        } @else {
            (table::table("Holds, waits for, may activate", &["Role", "How", "When"], rows.into_iter().take(ROWS_MAX)))
            p .dim { "What groups give is not in this list: they are known only from a sign-in." }
        }
    }
}

/// The lock, with what it will end; or the way out of it.
fn lock_form(desk: &Desk, short: &str, standing: &Standing, sent: &Sent) -> Markup {
    let now = desk.viewer.now();
    let field = Field {
        form: "",
        name: "justification",
        label: "Reason",
        hint: "It stays in the journal.",
        need: Need::Required,
        faults: &sent.faults,
    };
    let held = standing.held.iter().filter(|held| !held.window.is_over(now)).count();
    let pending = standing.pending.iter().filter(|pending| now < pending.lapses_at).count();
    let locked = standing.lock == Lock::Locked;
    let (title, path) = if locked { ("Unlock", "/assignments/unlock") } else { ("Lock", "/assignments/lock") };
    html! {
        form .sheet method="post" action=(path) novalidate aria-labelledby="lock" {
            h2 #lock { (title) }
            @if locked {
                p { "Signing in and asking work again. What the lock ended stays ended; what configuration declares comes back when it is read the next time." }
            } @else {
                p {
                    "Ends at once: " b { (counted(held, "role held", "roles held")) } " and "
                    b { (counted(pending, "waiting request", "waiting requests")) }
                    ". Open connections made with them are cut, and everything is refused until this lock is taken away. Eligible assignments stay."
                }
            }
            (once())
            input type="hidden" name="who" value=(short);
            (field.lines(&sent.justification))
            div .buttons {
                @if locked { (submit(Weight::Main, "Unlock")) } @else { (submit(Weight::Destructive, "Lock now")) }
            }
        }
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    match count {
        0 => format!("no {one}"),
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    }
}

/// More rows than anybody reads are not shown.
const ROWS_MAX: usize = 200;
