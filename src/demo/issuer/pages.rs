//! The provider's pages: choose who to be, sign out. They stand in for a company's own, and say so.

use std::sync::LazyLock;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::demo::issuer::browser::FOLDER;
use crate::demo::issuer::keys::Unusable;
use crate::demo::issuer::parameters::Parameters;
use crate::demo::issuer::people::{PEOPLE, Person};

/// What a client wants to know of the person.
#[derive(Debug)]
pub(super) struct Asking {
    /// Where the answer goes: the client's origin.
    pub(super) for_whom: String,
    /// Who is signed in here already.
    pub(super) signed_in: Option<Person>,
    /// Whom to offer first.
    pub(super) first: Option<Person>,
    /// The client wants a second factor.
    pub(super) wants_second_factor: bool,
    /// Whether the box is ticked to begin with.
    pub(super) second_factor: bool,
}

/// Who are you?
pub(super) fn choose(asking: &Asking, query: &str) -> Response {
    let mut people = PEOPLE.to_vec();
    people.sort_by_key(|person| asking.first.is_none_or(|first| first.subject != person.subject));
    let body = html! {
        p { code { (asking.for_whom) } " asks who you are." }
        @if asking.wants_second_factor {
            p.told { "It asks for a second factor: leave the box ticked to go on." }
        } @else if asking.signed_in.is_some() {
            p.told { "It asks you to prove again who you are." }
        }
        form method="post" action={ (FOLDER) "/authorize?" (query) } {
            p { label {
                input type="checkbox" name="second_factor" value="yes" checked[asking.second_factor];
                " I use a second factor: a code from my phone, or a key"
            } }
            ul.people { @for person in people { li {
                button name="person" value=(person.subject) {
                    strong { "Sign in as " (person.name) }
                    span { (person.about)
                        @if asking.signed_in.is_some_and(|signed_in| signed_in.subject == person.subject) { "; signed in here now" } }
                }
            } } }
            p { button.quiet name="decline" value="yes" { "Do not sign in" } }
        }
        p.aside { "To be two people at once, open the second one in a private window." }
    };
    page(StatusCode::OK, "Who are you?", &body, &asking.for_whom)
}

/// Who is signed in here, and what this is.
pub(super) fn home(signed_in: Option<&Person>) -> Response {
    let body = html! {
        @match signed_in {
            Some(person) => {
                p { "In this browser you are signed in here as " strong { (person.name) } "." }
                form method="post" action={ (FOLDER) "/end-session" } {
                    input type="hidden" name="confirmed" value="yes";
                    p { button { "Sign out everywhere" } }
                }
                p.aside { "hallpass is told, and ends the sessions that came of it: an open stream is cut." }
            },
            None => p { "In this browser nobody is signed in here. Sign in from the application, or from the portal." },
        }
        h2 { "People" }
        dl { @for person in PEOPLE { dt { (person.subject) ", " (person.name) } dd { (person.about) } } }
    };
    page(StatusCode::OK, "Identity provider of the demo", &body, "")
}

/// Does this person really want to sign out?
pub(super) fn sign_out(person: &Person, asked: &Parameters) -> Response {
    let body = html! {
        p { "In this browser you are signed in here as " strong { (person.name) } "." }
        form method="post" action={ (FOLDER) "/end-session" } {
            @for (name, value) in asked.0.iter().filter(|(name, _)| name != "confirmed") {
                input type="hidden" name=(name) value=(value);
            }
            input type="hidden" name="confirmed" value="yes";
            p { button { "Sign out everywhere" } }
        }
        p.aside { "To stay signed in, just leave this page." }
    };
    let target = asked.one("post_logout_redirect_uri").ok().flatten().unwrap_or_default();
    page(StatusCode::OK, "Sign out?", &body, target)
}

/// It is over.
pub(super) fn signed_out() -> Response {
    let body = html! { p { "Nobody is signed in here any more in this browser, and the applications were told." } };
    page(StatusCode::OK, "Signed out", &body, "")
}

/// What is wrong, and what to do.
pub(super) fn problem(status: StatusCode, title: &str, told: &[&str]) -> Response {
    page(status, title, &html! { @for sentence in told { p { (sentence) } } }, "")
}

/// A form came from a page of somebody else.
pub(super) fn foreign() -> Response {
    problem(
        StatusCode::FORBIDDEN,
        "Not from here",
        &["The form was sent by a page of another origin. Nothing happened."],
    )
}

pub(super) fn broken(unusable: &Unusable) -> Response {
    problem(StatusCode::INTERNAL_SERVER_ERROR, "It does not work", &[&unusable.to_string()])
}

/// `leads_to` is where a form may lead in the end: browsers apply `form-action` to what a redirect answers, too.
fn page(status: StatusCode, title: &str, body: &Markup, leads_to: &str) -> Response {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                link rel="icon" href="data:,";
                title { (title) " · demo identity provider" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { "Demo identity provider" }
                main { h1 { (title) } (body) }
                footer { p { "This page stands in for your company's identity provider. It knows no passwords and believes whoever asks, \
                    so it answers on this machine only, and is gone when the demo ends." } }
            }
        }
    };
    let hash = &*STYLE_HASH;
    let origin: String = leads_to.chars().take_while(|c| c.is_ascii_graphic() && !matches!(c, ';' | ',')).collect();
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; frame-ancestors 'none'; form-action 'self' {origin}"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        // the origin of a form has to arrive
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, policy.as_str()),
    ];
    (status, headers, markup.into_string()).into_response()
}

static STYLE_HASH: LazyLock<String> =
    LazyLock::new(|| BASE64.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, STYLE.as_bytes()).as_ref()));

const STYLE: &str = include_str!("style.css");
