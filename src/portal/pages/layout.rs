//! What all pages share: their frame, with who is signed in and where they may go, and a policy that allows nothing foreign.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::clock::format_rfc3339;
use crate::domain::identity::Identity;
use crate::domain::time::Timestamp;
use crate::portal::desk::Desk;
use crate::portal::pages::asset;
use crate::portal::pages::fault::sentence;
use crate::portal::pages::parts::badge::Tone;
use crate::portal::pages::parts::notice::notice;
use crate::portal::pages::parts::{party, text};
use crate::portal::problem::Problem;
use crate::portal::trouble::Trouble;
use crate::portal::{Portal, SignIn};

/// Where a page belongs in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::portal) enum Place {
    Home,
    Activate,
    Approvals,
    Assignments,
    History,
    Roles,
}

/// What stands around every page for one visitor.
#[derive(Debug)]
pub(in crate::portal) struct Frame {
    visitor: Option<Visiting>,
    places: Vec<Place>,
    /// Requests that wait for the visitor, up to [`WAITING_MAX`].
    waiting: usize,
    sign_in: SignIn,
    now: Timestamp,
    /// What must be known before anything is asked for.
    trouble: Option<Trouble>,
    /// Whether the visitor looks after hallpass, and is told why and what to do.
    in_full: bool,
}

/// Who is signed in, to be read.
#[derive(Debug)]
struct Visiting {
    name: Option<String>,
    short: String,
}

/// One page on its way out.
pub(in crate::portal) struct Page<'p> {
    title: &'p str,
    place: Option<Place>,
    status: StatusCode,
    head: Markup,
    body: Markup,
}

impl Frame {
    /// The frame for whoever reads at `desk`.
    pub(in crate::portal) fn of(desk: &Desk) -> Result<Self, Problem> {
        let (viewer, identity) = (&desk.viewer, desk.viewer.identity());
        let mut places = vec![Place::Home, Place::Activate, Place::Approvals];
        if viewer.sees_all() {
            places.push(Place::Assignments);
        }
        places.extend([Place::History, Place::Roles]);
        Ok(Self {
            visitor: Some(Visiting {
                name: identity.name.as_deref().map(str::to_owned),
                short: desk.names.of_principal(&identity.principal),
            }),
            places,
            waiting: desk.reader().inbox(identity, None, WAITING_MAX)?.len(),
            sign_in: desk.portal.sign_in(),
            now: viewer.now(),
            trouble: desk.portal.trouble(),
            in_full: viewer.sees_all(),
        })
    }

    /// The frame for somebody unknown.
    pub(in crate::portal) fn outside(now: Timestamp) -> Self {
        let sign_in = SignIn::Absent;
        Self { visitor: None, places: Vec::new(), waiting: 0, sign_in, now, trouble: None, in_full: false }
    }

    /// The frame for `visitor`, as far as it can be had when something went wrong.
    pub(in crate::portal) async fn at_worst(portal: &Portal, visitor: Option<&Arc<Identity>>) -> Self {
        let Some(visitor) = visitor else { return Self::outside(portal.shared.parts.clock.now()) };
        match portal.read(visitor, Self::of).await {
            Ok(frame) => frame,
            Err(_) => Self { trouble: portal.trouble(), ..Self::outside(portal.shared.parts.clock.now()) },
        }
    }

    fn banner(&self) -> Markup {
        html! {
            @if let Some(trouble) = &self.trouble {
                (notice(Tone::Bad, &html! {
                    p { b { (trouble.means) } " " (trouble.meanwhile) }
                    @if self.in_full {
                        p { "Reason: " (text::with_code(&sentence(&trouble.reason))) }
                        p { "What to do: " (text::with_code(trouble.remedy)) }
                    }
                }))
            }
        }
    }

    fn header(&self, here: Option<Place>) -> Markup {
        html! {
            a .skip href="#main" { "Skip to content" }
            header .top {
                div .bar {
                    a .brand href="/" { span .mark aria-hidden="true" {} "hallpass" }
                    @if !self.places.is_empty() {
                        nav aria-label="Main" {
                            ul {
                                @for place in &self.places {
                                    li { (self.link(*place, here)) }
                                }
                            }
                        }
                    }
                    @if let Some(visitor) = &self.visitor {
                        div .account {
                            (party::person(visitor.name.as_deref(), &visitor.short))
                            @if self.sign_in == SignIn::Offered {
                                form method="post" action="/sign-out" { button .quiet type="submit" { "Sign out" } }
                            }
                        }
                    }
                }
            }
        }
    }

    fn link(&self, place: Place, here: Option<Place>) -> Markup {
        let (href, text) = match place {
            Place::Home => ("/", "Home"),
            Place::Activate => ("/activate", "Activate"),
            Place::Approvals => ("/approvals", "Approvals"),
            Place::Assignments => ("/assignments", "Assignments"),
            Place::History => ("/history", "History"),
            Place::Roles => ("/roles", "Roles"),
        };
        let waiting = match self.waiting {
            WAITING_MAX.. => format!("{}+", WAITING_MAX.saturating_sub(1)),
            count => count.to_string(),
        };
        html! {
            a href=(href) aria-current=[(here == Some(place)).then_some("page")] {
                (text)
                @if place == Place::Approvals {
                    span #waiting data-live="" {
                        @if self.waiting > 0 { " " span .count { (waiting) span .unseen { " waiting for you" } } }
                    }
                }
            }
        }
    }
}

impl<'p> Page<'p> {
    /// A page with this title, which is its heading as well.
    pub(in crate::portal) const fn new(title: &'p str, body: Markup) -> Self {
        Self { title, place: None, status: StatusCode::OK, head: PreEscaped(String::new()), body }
    }

    /// Marks where in the navigation it belongs.
    pub(in crate::portal) const fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Answers with another status than 200.
    pub(in crate::portal) const fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Elements for the document's head.
    pub(in crate::portal) fn head(mut self, head: Markup) -> Self {
        self.head = head;
        self
    }

    /// The answer, inside `frame`.
    pub(in crate::portal) fn answer(self, frame: &Frame) -> Response {
        let markup = html! {
            (DOCTYPE)
            html lang="en" data-now=(format_rfc3339(frame.now)) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="robots" content="noindex";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · hallpass" }
                    link rel="icon" href=(asset::icon_path()) type="image/svg+xml";
                    link rel="stylesheet" href=(asset::style_path());
                    script src=(asset::script_path()) defer {}
                    (self.head)
                }
                body {
                    (frame.header(self.place))
                    main #main tabindex="-1" {
                        (frame.banner())
                        h1 { (self.title) }
                        (self.body)
                    }
                }
            }
        };
        let mut response = (self.status, markup.into_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        // `no-referrer` would make browsers send `Origin: null` with our own forms (Fetch, "append a request `Origin` header")
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        response
    }
}

/// Sends the browser on with GET.
pub(in crate::portal) fn see_other(path: &str) -> Response {
    match HeaderValue::try_from(path) {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
        Err(_) => Problem::unknown().into_response(),
    }
}

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// How far waiting requests are counted.
const WAITING_MAX: usize = 100;
