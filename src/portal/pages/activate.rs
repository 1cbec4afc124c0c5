//! Asking for a role: what it opens, what it asks, who decides, and the form; and everything that is wrong with it at once.

use axum::extract::State;
use axum::response::Response;
use http::{StatusCode, Uri};
use maud::{Markup, html};

use crate::domain::command::Command;
use crate::domain::id::ActivationId;
use crate::domain::policy::{Need, RolePolicy};
use crate::domain::refusal::Refusal;
use crate::domain::role::RoleId;
use crate::portal::Portal;
use crate::portal::api::command::fresh_bits;
use crate::portal::desk::Desk;
use crate::portal::pages::eligible::Eligible;
use crate::portal::pages::entry::{Sender, StepUp, Visitor};
use crate::portal::pages::fault::Faults;
use crate::portal::pages::form::{Posted, once, query, url};
use crate::portal::pages::layout::{Frame, Page, Place, see_other};
use crate::portal::pages::outside::shell::leads_back;
use crate::portal::pages::parts::badge::Tone;
use crate::portal::pages::parts::button::{Weight, link, submit};
use crate::portal::pages::parts::field::{Choice, Field};
use crate::portal::pages::parts::{notice, text, time};
use crate::portal::pages::rules;
use crate::portal::pages::wish::{FIELDS, OTHER, Read, TOLD, Wish};
use crate::portal::problem::Problem;
use crate::writer::{Purpose, Submission};

/// What is shown above the form because of what was wrong with it.
#[derive(Debug, Clone, Default)]
struct Refused {
    faults: Faults,
    step_up: Option<StepUp>,
    /// The request that waits already.
    pending: Option<ActivationId>,
}

/// The form, filled in by the link; or, where the link names no role, the roles to choose from.
pub(super) async fn page(State(portal): State<Portal>, visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    portal
        .read(&visitor.identity, move |desk| {
            let asked = query(uri.query());
            let (wish, read, faults) = Wish::of(&asked);
            if wish.role.is_empty() {
                let policies = desk.portal.shared.parts.policies.load();
                let list = Eligible::of(desk, &policies, &asked)?.show(desk, "/activate");
                let body = html! { p { "Choose the role you need." } (list) };
                return Ok(Page::new("Activate a role", body).at(Place::Activate).answer(&Frame::of(desk)?));
            }
            show(desk, wish, read, Refused { faults, ..Refused::default() }, StatusCode::OK)
        })
        .await
}

/// Asks for the role; the form again with all that is wrong, or on to the request.
pub(super) async fn send(State(portal): State<Portal>, sender: Sender, posted: Posted) -> Result<Response, Problem> {
    let fields = posted.fields(&FIELDS, &[])?;
    let (wish, read, faults) = Wish::of(&fields);
    let mut refused = Refused { faults, ..Refused::default() };
    if let Ok(role) = wish.role.parse::<RoleId>() {
        let id = ActivationId::from_random(fresh_bits()?);
        let command = wish.command(id, role, read, &portal.shared.parts.settings.gate_urls);
        let outcome = if refused.faults.is_empty() {
            portal.command(&sender.commander, command, fields.idempotency("activate")).await
        } else {
            // what could not be read is no reason to keep quiet about the rest
            forecast(&portal, &sender, command).await
        };
        match outcome {
            Ok(outcome) if refused.faults.is_empty() => {
                let id = outcome.activation.as_ref().map_or(id, |case| case.id);
                let settings = &portal.shared.parts.settings;
                let back = Some(wish.return_to.as_str()).filter(|back| leads_back(back, &settings.gate_urls));
                return Ok(see_other(&url(&format!("/activations/{id}"), &[("return_to", back.unwrap_or_default())])));
            }
            Ok(_) => {}
            Err(problem) => refused.add(problem)?,
        }
    }
    let status = refused.faults.status();
    portal.read(sender.identity(), move |desk| show(desk, wish, read, refused, status)).await
}

async fn forecast(portal: &Portal, sender: &Sender, command: Command) -> Result<crate::writer::Outcome, Problem> {
    let caller = sender.commander.caller();
    let submission = Submission { caller, command, idempotency: None, purpose: Purpose::DryRun };
    Ok(portal.shared.parts.writer.submit(submission).await?)
}

impl Refused {
    fn add(&mut self, problem: Problem) -> Result<(), Problem> {
        self.step_up = StepUp::for_problem(&problem);
        if let Some(refusals) = problem.refusals() {
            self.pending = refusals.iter().find_map(|refusal| match refusal {
                Refusal::AlreadyPending { activation } => Some(*activation),
                _ => None,
            });
        }
        self.faults.extend(Faults::of_problem(problem, &TOLD)?);
        Ok(())
    }
}

fn show(desk: &Desk, wish: Wish, read: Read, refused: Refused, status: StatusCode) -> Result<Response, Problem> {
    let policies = desk.portal.shared.parts.policies.load();
    let role = wish.role.parse::<RoleId>().ok();
    let policy = role.as_ref().and_then(|role| policies.role(role)).filter(|policy| may_activate(desk, policy));
    let Some(policy) = policy else { return not_eligible(desk, &wish) };
    let wish = wish.with_length_chosen(policy, read);
    let title = format!("Activate {}", policy.role);
    let body = html! {
        @if !policy.description.is_empty() { p .lead dir="auto" { (policy.description) } }
        (standing(desk, policy, &wish))
        (above(desk, policy, &wish, &refused))
        div .sides {
            form .sheet method="post" action="/activate" novalidate { (form(policy, &wish, &refused.faults)) }
            section .sheet aria-labelledby="about" {
                h2 #about { "About this role" }
                (rules::facts(desk, policy))
            }
        }
    };
    Ok(Page::new(&title, body).at(Place::Activate).status(status).answer(&Frame::of(desk)?))
}

/// Whether the visitor is eligible for the role now or later; the domain decides when they ask.
fn may_activate(desk: &Desk, policy: &RolePolicy) -> bool {
    let now = desk.viewer.now();
    let mut eligible = desk.viewer.standings().flat_map(|(_, standing)| &standing.eligible);
    eligible.any(|eligible| eligible.role == policy.role && !eligible.window.is_over(now))
}

/// The same whether the role exists or not.
fn not_eligible(desk: &Desk, wish: &Wish) -> Result<Response, Problem> {
    let body = html! {
        p .lead { "You may not activate " (text::code(&wish.role)) "." }
        p { "You are not eligible for it, or there is no such role. Eligibility is given by an administrator, or comes with a
            group you are in; sign in again if you were added to one just now." }
        p { (link(Weight::Side, "See what you may activate", "/activate")) }
    };
    let page = Page::new("Not eligible", body).at(Place::Activate).status(StatusCode::FORBIDDEN);
    Ok(page.answer(&Frame::of(desk)?))
}

/// That the role is held or asked for already.
fn standing(desk: &Desk, policy: &RolePolicy, wish: &Wish) -> Markup {
    let (identity, now) = (desk.viewer.identity(), desk.viewer.now());
    let held = desk.viewer.standings().find_map(|(_, standing)| standing.holding(&policy.role, identity, now));
    let pending = desk.viewer.standings().find_map(|(_, standing)| standing.pending(&policy.role, now));
    html! {
        @if let Some(pending) = pending {
            (notice::notice(Tone::Waiting, &html! { p {
                "You have asked for this role already. "
                a href=(url(&format!("/activations/{}", pending.activation), &[("return_to", &wish.return_to)])) { "See how your request stands" }
            } }))
        }
        @if let Some(held) = held {
            (notice::notice(Tone::Good, &html! { p {
                "You hold this role"
                @if let Some(end) = held.window.ends_at { " until " (time::moment(end)) ". What you ask for now begins when that ends." }
                @else { "." }
            } }))
        }
    }
}

/// What was wrong, and what the sign-in lacks even before anything is sent.
fn above(desk: &Desk, policy: &RolePolicy, wish: &Wish, refused: &Refused) -> Markup {
    let (portal, identity) = (&desk.portal, desk.viewer.identity());
    let ahead = StepUp::for_rule(&policy.assurance, identity, desk.viewer.now());
    html! {
        @if refused.faults.is_empty() {
            @if let Some(ahead) = ahead {
                (notice::notice(Tone::Waiting, &html! {
                    p { "This role asks for a stronger or fresher sign-in than yours." }
                    (ahead.remedy(portal, &wish.url()))
                }))
            }
        } @else {
            (refused.faults.summary(&html! {
                @if let Some(step_up) = &refused.step_up { (step_up.remedy(portal, &wish.url())) }
                @if let Some(pending) = refused.pending {
                    p { a href=(url(&format!("/activations/{pending}"), &[("return_to", &wish.return_to)])) { "See how it stands" } }
                }
            }))
        }
    }
}

fn form(policy: &RolePolicy, wish: &Wish, faults: &Faults) -> Markup {
    let limits = policy.activation;
    let field = |name, label, hint, need| Field { form: "", name, label, hint, need, faults };
    let mut lengths = rules::presets(limits.min, limits.max, limits.default);
    lengths.push(Choice { value: OTHER.to_owned(), label: "Other".to_owned() });
    let length_hint = format!("From {} to {}.", limits.min, limits.max);
    let readers = if policy.approval.stages.is_empty() { "Administrators" } else { "Approvers" };
    let why_hint = rules::justification_hint(&policy.justification, readers);
    let ticket_hint = match &policy.ticket.pattern {
        Some(pattern) => format!("Must match {}.", pattern.source()),
        None => String::new(),
    };
    html! {
        input type="hidden" name="role" value=(policy.role);
        input type="hidden" name="return_to" value=(wish.return_to);
        input type="hidden" name="method" value=(wish.method);
        (once())
        (field("duration", "For how long", &length_hint, Need::Required).radios("preset", &lengths, &wish.preset, &html! {
            input .short.other type="text" name="duration" value=(wish.duration) aria-label="Other length" autocomplete="off"
                placeholder="such as 1h 30m"
                data-other="preset" aria-invalid=[(!faults.of("duration").is_empty()).then_some("true")];
        }))
        (field("justification", "Justification", &why_hint, policy.justification.need).lines(&wish.justification))
        (field("ticket", "Ticket", &ticket_hint, policy.ticket.need).line(&wish.ticket))
        details open[!wish.starts_at.is_empty() || !faults.of("starts_at").is_empty()] {
            summary { "Start later" }
            @let hint = format!("Leave it empty to start as soon as possible. At most {} ahead.", limits.start_ahead_max);
            (field("starts_at", "Start", &hint, Need::Optional).moment(&wish.starts_at))
        }
        div .buttons {
            (submit(Weight::Main, if policy.approval.stages.is_empty() { "Activate" } else { "Request activation" }))
            a href="/" { "Not now" }
        }
    }
}
