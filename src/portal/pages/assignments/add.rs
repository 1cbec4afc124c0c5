//! Assigning a role: one form, and everything that is wrong with it beside its fields.

use axum::extract::State;
use axum::response::Response;
use http::{StatusCode, Uri};
use maud::{Markup, html};

use crate::domain::assignment::AssignmentKind;
use crate::domain::command::Command;
use crate::domain::id::AssignmentId;
use crate::domain::policy::Need;
use crate::domain::principal::Party;
use crate::domain::role::RoleId;
use crate::identity::names::IssuerNames;
use crate::portal::Portal;
use crate::portal::api::assignment::party;
use crate::portal::api::command::fresh_bits;
use crate::portal::desk::Desk;
use crate::portal::pages::assignments::{kind_of, word_of};
use crate::portal::pages::entry::{Sender, StepUp, Visitor};
use crate::portal::pages::fault::Faults;
use crate::portal::pages::form::{Fields, ONCE, Posted, once, query};
use crate::portal::pages::layout::{Frame, Page, Place, see_other};
use crate::portal::pages::parts::button::{Weight, link, submit};
use crate::portal::pages::parts::field::{Choice, Field};
use crate::portal::pages::parts::time;
use crate::portal::problem::{Kind, Problem};

/// The form, filled in by a link.
pub(super) async fn page(State(portal): State<Portal>, visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    portal
        .read(&visitor.identity, move |desk| {
            let mut form = Form::of(&query(uri.query()));
            form.faults = Faults::default();
            show(desk, &form, None)
        })
        .await
}

/// Assigns; on to the new assignment, or the form again.
pub(super) async fn send(State(portal): State<Portal>, sender: Sender, posted: Posted) -> Result<Response, Problem> {
    let once = ["kind", "role", "principal", "group", "starts_at", "ends_at", "justification", ONCE];
    let fields = posted.fields(&once, &["offset"])?;
    let mut form = Form::of(&fields);
    let names = portal.shared.parts.names.load_full();
    let mut step_up = None;
    if let Some(command) = form.command(&fields, &names)? {
        match portal.command(&sender.commander, command, fields.idempotency("assign")).await {
            Ok(outcome) => {
                let made =
                    outcome.assignment.ok_or_else(|| Problem::new(Kind::INTERNAL, "the assignment is missing"))?;
                return Ok(see_other(&format!("/assignments/{}", made.id)));
            }
            Err(problem) => {
                step_up = StepUp::for_problem(&problem);
                form.faults.extend(Faults::of_problem(problem, &TOLD)?);
            }
        }
    }
    portal.read(sender.identity(), move |desk| show(desk, &form, step_up.as_ref())).await
}

/// The form as it is filled in.
struct Form {
    kind: AssignmentKind,
    role: String,
    principal: String,
    group: String,
    starts_at: String,
    ends_at: String,
    justification: String,
    faults: Faults,
}

const TOLD: [&str; 6] = ["role", "principal", "group", "starts_at", "ends_at", "justification"];

impl Form {
    fn of(fields: &Fields) -> Self {
        let mut faults = Faults::default();
        let moment = |name, index, faults: &mut Faults| match fields.moment_of(name, index, faults) {
            Some(at) => time::input_value(at),
            None => fields.text(name).to_owned(),
        };
        let (starts_at, ends_at) = (moment("starts_at", 0, &mut faults), moment("ends_at", 1, &mut faults));
        let filled = |name| fields.filled(name).unwrap_or_default().to_owned();
        Self {
            kind: kind_of(fields.text("kind")),
            role: filled("role"),
            principal: filled("principal"),
            group: filled("group"),
            starts_at,
            ends_at,
            justification: fields.text("justification").to_owned(),
            faults,
        }
    }

    /// The command, when everything could be read.
    fn command(&mut self, fields: &Fields, names: &IssuerNames) -> Result<Option<Command>, Problem> {
        let filled = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let role = self.role.parse::<RoleId>().map_err(|error| self.faults.add("role", error.to_string())).ok();
        let (principal, group) = (filled(&self.principal), filled(&self.group));
        let who: Option<Party> = match party(names, principal.as_deref(), group.as_deref()) {
            Ok(party) => Some(party),
            Err(detail) => {
                self.faults.add(if group.is_some() && principal.is_none() { "group" } else { "principal" }, detail);
                None
            }
        };
        let mut unread = Faults::default();
        let starts_at = fields.moment_of("starts_at", 0, &mut unread);
        let ends_at = fields.moment_of("ends_at", 1, &mut unread);
        let (Some(role), Some(party), true) = (role, who, self.faults.is_empty()) else { return Ok(None) };
        Ok(Some(Command::Assign {
            id: AssignmentId::from_random(fresh_bits()?),
            kind: self.kind,
            role,
            party,
            starts_at,
            ends_at,
            justification: Some(self.justification.clone()).filter(|text| !text.trim().is_empty()),
        }))
    }
}

fn show(desk: &Desk, form: &Form, step_up: Option<&StepUp>) -> Result<Response, Problem> {
    let field = |name, label, hint, need| Field { form: "", name, label, hint, need, faults: &form.faults };
    let kinds = [
        Choice { value: word_of(AssignmentKind::Eligible).to_owned(), label: "Eligible: may activate it".to_owned() },
        Choice { value: word_of(AssignmentKind::Active).to_owned(), label: "Active: holds it".to_owned() },
    ];
    let status = if form.faults.is_empty() { StatusCode::OK } else { form.faults.status() };
    let remedy = html! { @if let Some(step_up) = step_up { (step_up.remedy(&desk.portal, "/assignments/new")) } };
    let body: Markup = html! {
        (form.faults.summary(&remedy))
        form .sheet method="post" action="/assignments" novalidate {
            (once())
            (field("kind", "Kind", "", Need::Required).radios("kind", &kinds, word_of(form.kind), &html! {}))
            (field("role", "Role", "Written app/role, as under Roles.", Need::Required).line(&form.role))
            (field("principal", "Person or workload", "Written issuer:subject. Leave it empty for a group.", Need::Optional).line(&form.principal))
            (field("group", "Group", "Written issuer:group: whoever presents it. Leave it empty for a person.", Need::Optional).line(&form.group))
            (field("starts_at", "From", "Empty is now.", Need::Optional).moment(&form.starts_at))
            (field("ends_at", "Until", "Empty is without an end, where the role allows that.", Need::Optional).moment(&form.ends_at))
            (field("justification", "Reason", "It stays in the journal.", Need::Required).lines(&form.justification))
            div .buttons {
                (submit(Weight::Main, "Assign"))
                (link(Weight::Side, "Back", "/assignments"))
            }
        }
    };
    Ok(Page::new("Assign a role", body).at(Place::Assignments).status(status).answer(&Frame::of(desk)?))
}
