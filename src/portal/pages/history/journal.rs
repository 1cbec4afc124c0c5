//! The journal as a whole: its head, its key, and whether it is whole.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use crate::journal::Cut;
use crate::portal::Portal;
use crate::portal::api::verification;
use crate::portal::desk::Desk;
use crate::portal::pages::entry::{Sender, Visitor};
use crate::portal::pages::form::{ONCE, Posted};
use crate::portal::pages::history::{Tab, tabs};
use crate::portal::pages::layout::{Frame, Page, Place, see_other};
use crate::portal::pages::parts::badge::Tone;
use crate::portal::pages::parts::button::{Weight, form};
use crate::portal::pages::parts::notice::notice;
use crate::portal::pages::parts::{list, text, time};
use crate::portal::problem::Problem;
use crate::portal::verification::State as Stand;

/// The page.
pub(super) async fn page(State(portal): State<Portal>, visitor: Visitor) -> Result<Response, Problem> {
    portal
        .read(&visitor.identity, |desk| {
            let stand = verification::state(desk)?;
            let head = desk.reader().head()?;
            let (realm, public_key) = desk.reader().realm()?;
            let hash = data_encoding::HEXLOWER.encode(&head.hash);
            let cut = desk.reader().cut()?;
            let body = html! {
                (tabs(desk, Tab::Journal))
                section .sheet aria-labelledby="head" {
                    h2 #head { "Head" }
                    p { "The newest record. Note it elsewhere: a copy that does not hold it was cut or rewritten." }
                    (list::facts([
                        ("Record", html! { (head.position.0) }),
                        ("Hash", html! { span .hash { (text::code(&hash)) } }),
                        ("Time", html! { (time::moment(head.time)) " · " (time::distance(head.time, desk.viewer.now())) }),
                        ("Public key", html! { span .hash { (text::code(&public_key)) } }),
                        ("Chain", html! { span .hash { (text::code(&realm)) } }),
                    ]))
                }
                @if let Some(cut) = &cut { (of_cut(desk, cut)) }
                section .sheet aria-labelledby="whole" {
                    h2 #whole { "Is it whole?" }
                    p { "Every record's hash, signature, time and link to the one before is checked, beside everything else that goes on." }
                    (told(desk, &stand))
                    @if !matches!(stand, Stand::Running { .. }) { (form(Weight::Main, "Verify now", "the journal", "/history/journal")) }
                }
                section .sheet aria-labelledby="file" {
                    h2 #file { "As a file" }
                    p .row {
                        a .button.side href="/api/v1/audit/export?format=jsonl" download { "JSON lines" }
                        a .button.side href="/api/v1/audit/export?format=csv" download { "CSV" }
                    }
                    p .dim { "The JSON lines can be verified without hallpass's store: " code { "hallpass audit verify FILE --public-key " (public_key) } }
                }
            };
            let running = matches!(stand, Stand::Running { .. });
            let head = html! { @if running { meta http-equiv="refresh" content=(LOADED_AGAIN_SECONDS); } };
            Ok(Page::new("Journal", body).at(Place::History).head(head).answer(&Frame::of(desk)?))
        })
        .await
}

/// Begins a verification, unless one is under way.
pub(super) async fn verify(State(portal): State<Portal>, sender: Sender, posted: Posted) -> Result<Response, Problem> {
    posted.fields(&[ONCE], &[])?;
    portal.read(sender.identity(), verification::begin).await?;
    Ok(see_other("/history/journal"))
}

/// What is not here any more, and where it is.
fn of_cut(desk: &Desk, cut: &Cut) -> Markup {
    html! {
        section .sheet aria-labelledby="cut" {
            h2 #cut { "Cut" }
            p { (cut.count()) " old records were taken out, the last of them record " (cut.last()) " of " (time::moment(cut.until)) ". What they told of is over, and stands in an archive only." }
            (list::facts([
                ("By record", html! { (cut.by) }),
                ("On", html! { (time::moment(cut.at)) " · " (time::distance(cut.at, desk.viewer.now())) }),
                ("SHA-256 of the archive", html! { span .hash { (text::code(&cut.archive.to_string())) } }),
            ]))
            p .dim { "The archive and what is here join without a gap: " code { "hallpass audit verify ARCHIVE FILE" } }
        }
    }
}

fn told(desk: &Desk, stand: &Stand) -> Markup {
    let when = |at| html! { (time::moment(at)) " · " (time::distance(at, desk.viewer.now())) };
    match stand {
        Stand::Never => {
            html! { p .dim { "Not verified since hallpass started. At its start the newest thousand records were." } }
        }
        Stand::Running { checked, records, .. } => notice(
            Tone::Waiting,
            &html! {
                p { b { "Verifying." } " " (checked) " of " (records) " records are good so far. This page looks again by itself." }
            },
        ),
        Stand::Whole { ended_at, head, erased } => notice(
            Tone::Good,
            &html! {
                p { b { "Whole." } " Every record up to " (head.position.0) " is good · " (when(*ended_at)) }
                @if *erased > 0 { p { "The notes of " (erased) " of them were erased, which breaks nothing." } }
            },
        ),
        Stand::Broken { ended_at, sequence, wrong } => notice(
            Tone::Bad,
            &html! {
                p { b { "Not whole." } " Record " (sequence) ": " (wrong) ". " (when(*ended_at)) }
                p { "Grant nothing on its word. Keep the file as it is, and compare it with a backup and with heads noted elsewhere." }
            },
        ),
        Stand::Unfinished { ended_at } => notice(
            Tone::Bad,
            &html! {
                p { b { "It did not come to an end." } " The store could not be read, or hallpass was stopping. " (when(*ended_at)) }
            },
        ),
    }
}

const LOADED_AGAIN_SECONDS: u32 = 2;
