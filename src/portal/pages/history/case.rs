//! One activation's whole story: every record in order, and every request made under it.

use axum::extract::State;
use axum::response::Response;
use http::Uri;
use maud::{Markup, html};

use crate::domain::activation::{Activation, Phase};
use crate::domain::id::ActivationId;
use crate::domain::standing::Position;
use crate::portal::Portal;
use crate::portal::api::activation::visible;
use crate::portal::api::list::Listing;
use crate::portal::body::Named;
use crate::portal::desk::Desk;
use crate::portal::pages::entry::Visitor;
use crate::portal::pages::form::{Fields, query, url};
use crate::portal::pages::history::records;
use crate::portal::pages::layout::{Frame, Page, Place};
use crate::portal::pages::parts::button::{Weight, link};
use crate::portal::pages::parts::{badge, list, party, table, text, time};
use crate::portal::pages::story;
use crate::portal::problem::Problem;
use crate::store::RecordFilter;

/// The page.
pub(super) async fn page(
    State(portal): State<Portal>,
    visitor: Visitor,
    Named(id): Named<ActivationId>,
    uri: Uri,
) -> Result<Response, Problem> {
    portal
        .read(&visitor.identity, move |desk| {
            let case = visible(desk, id)?;
            let shown = desk.activation(&case)?;
            let filter = RecordFilter { activation: Some(id), ..RecordFilter::default() };
            let entries = desk.reader().records(&filter, Position(0), RECORDS_MAX)?;
            let mut pairs = vec![
                ("State", badge::state(shown.state, shown.ending)),
                ("Who", party::person(shown.name.as_deref(), &shown.principal)),
                ("Role", html! { a href={ "/roles/" (case.role.as_str()) } { (text::role(case.role.as_str())) } }),
                ("Asked for", story::asked(&case.requested)),
            ];
            if let Some(window) = &shown.window {
                pairs.push(("Held", time::range(window.starts_at.0, window.ends_at.as_ref().map(|end| end.0))));
            }
            if let Some(wanted) = &shown.wanted {
                pairs.push(("Denied request", text::wanted(wanted)));
            }
            pairs.push(("Policy", html! { span .hash { (text::code(&shown.policy)) } }));
            pairs.push(("Id", text::code(&shown.id)));
            let body = html! {
                section .sheet aria-label="In short" { (list::facts(pairs)) }
                p .row {
                    (link(Weight::Side, "Open the request", &format!("/activations/{id}")))
                    @if desk.viewer.sees_all() { (downloads(id)) }
                }
                h2 { "Every record" }
                (story::lost_beginning(desk, &entries)?)
                (records::all(desk, &entries))
                h2 #uses { "Requests made under it" }
                (uses(desk, &case, &query(uri.query()))?)
            };
            let title = format!("Activation of {}", case.role);
            Ok(Page::new(&title, body).at(Place::History).answer(&Frame::of(desk)?))
        })
        .await
}

fn downloads(id: ActivationId) -> Markup {
    let of = |format| url("/api/v1/audit/export", &[("format", format), ("activation", &id.to_string())]);
    html! {
        a .button.side href=(of("csv")) download { "CSV" }
        a .button.side href=(of("jsonl")) download { "JSON lines" }
    }
}

fn uses(desk: &Desk, case: &Activation, asked: &Fields) -> Result<Markup, Problem> {
    let listing = Listing::new(&desk.portal, format!("pages uses {}", case.id), Some(USES))?;
    // a cursor of a process that is gone: begin again, rather than tell of it
    let after = listing.number(asked.filled("cursor")).ok().flatten().unwrap_or(0);
    let mut found = desk.portal.shared.parts.uses.of(case.id, after, listing.length.saturating_add(1))?;
    let more = found.len() > listing.length;
    found.truncate(listing.length);
    let next = found.last().filter(|_| more).map(|(number, _)| number.to_string());
    let next = listing.page::<()>(Vec::new(), next).next;
    let path = format!("/history/{}", case.id);
    let seal = match &case.phase {
        Phase::Ended { uses: Some(seal), .. } => Some(seal),
        Phase::Ended { .. } | Phase::Pending(_) | Phase::Active { .. } => None,
    };
    Ok(html! {
        @if let Some(seal) = seal {
            p .dim { (seal.count) " in all, sealed in the journal by " span .hash { (text::code(&seal.digest)) } }
        }
        @if found.is_empty() {
            p .dim { @if after == 0 { "None." } @else { "No more." } }
        } @else {
            (table::table("Requests made under this activation", &["Number", "When", "Request", "Route", "Request id"], found.iter().map(|(number, used)| vec![
                html! { (number) },
                time::moment(used.at),
                html! { code { b { (used.method) } " " bdi { (used.host) (used.path) } } },
                text::code(&used.route),
                html! { span .hash { (text::code(&used.request_id)) } },
            ])))
        }
        (list::pagination(
            (after > 0).then_some(path.as_str()),
            next.as_deref().map(|next| url(&path, &[("cursor", next)])).as_deref(),
        ))
    })
}

const RECORDS_MAX: usize = 1000;
const USES: usize = 50;
