//! Signing in and out at the portal, and notices of providers that somebody signed out.
//!
//! The session's cookie is sent only with requests that begin at the portal. So the way back from a provider, and a link
//! from elsewhere, first lead to a page of the portal that goes on by itself: a redirect would still count as foreign.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::header::{RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::{BodyExt, Limited};
use maud::{Markup, html};
use serde_json::json;

use crate::identity::{Begun, Fault, NoticeError, SignInError};
use crate::portal::Portal;
use crate::portal::pages::layout::{Frame, Page, see_other};
use crate::portal::pages::parts::button::{Weight, link};
use crate::portal::pages::parts::text;
use crate::portal::problem::{Code, Kind, Problem};

/// Sends the browser to a provider, or lets the person choose one.
pub(super) async fn begin(State(portal): State<Portal>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let (sign_ins, site) = (&portal.shared.parts.sign_ins, &portal.shared.site);
    match sign_ins.begin(site, &headers, query.as_deref().unwrap_or_default()).await {
        Ok(Begun::Onward { location, cookies }) => {
            let mut response = see_other(&location);
            *response.status_mut() = StatusCode::FOUND;
            with_cookies(response, cookies)
        }
        Ok(Begun::Choose(offers)) => {
            let body = html! {
                p .lead { "Who knows you?" }
                @for offer in &offers { p { (link(Weight::Main, &offer.name, &site.sign_in(&offer.query))) } }
            };
            answer(&portal, Page::new("Sign in", body))
        }
        Err(error) => failed(&portal, &error),
    }
}

/// Takes what a provider sent the browser back with.
pub(super) async fn finish(State(portal): State<Portal>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let (sign_ins, site) = (&portal.shared.parts.sign_ins, &portal.shared.site);
    match sign_ins.finish(site, &headers, query.as_deref().unwrap_or_default()).await {
        Ok(finished) => {
            let page = onward("Signed in", &finished.return_to, "You are signed in.", "Go on");
            with_cookies(answer(&portal, page), finished.cookies)
        }
        Err(error) => failed(&portal, &error),
    }
}

/// A link alone signs nobody out: it could stand on any page.
pub(super) async fn ask_to_sign_out(State(portal): State<Portal>, headers: HeaderMap) -> Response {
    let (sign_ins, site) = (&portal.shared.parts.sign_ins, &portal.shared.site);
    if !sign_ins.is_offered() || !sign_ins.is_presented(site, &headers) && !hides_cookie(&portal, &headers) {
        return signed_out(State(portal)).await;
    }
    let body = html! {
        p .lead { "This ends your sign-in at the portal, here and at the service you signed in with." }
        div .row {
            form method="post" action="/sign-out" { button .button.main type="submit" { "Sign out" } }
            a href="/" { "Stay signed in" }
        }
    };
    answer(&portal, Page::new("Sign out?", body))
}

/// Ends the session.
pub(super) async fn sign_out(State(portal): State<Portal>, headers: HeaderMap) -> Result<Response, Problem> {
    let (sign_ins, site) = (&portal.shared.parts.sign_ins, &portal.shared.site);
    if !sign_ins.is_offered() {
        return Err(Problem::unknown());
    }
    if !site.made(&headers) {
        return Err(Problem::new(Kind::CROSS_SITE, "nothing says that a page of this portal sent the request"));
    }
    Ok(match sign_ins.sign_out(site, &headers).await {
        Ok(signed_out) => {
            // by a page, not by a redirect: the policy of the page whose form was sent forbids that to lead elsewhere
            let next = signed_out.onward.unwrap_or_else(|| site.signed_out());
            let page = onward("Signed out", &next, "You are signed out here.", "Go on");
            with_cookies(answer(&portal, page), signed_out.cookies)
        }
        Err(error) => failed(&portal, &error),
    })
}

/// Where people are after they signed out.
pub(super) async fn signed_out(State(portal): State<Portal>) -> Response {
    if !portal.shared.parts.sign_ins.is_offered() {
        return Problem::unknown().into_response();
    }
    let body = html! {
        p .lead { "You are signed out." }
        p { (link(Weight::Main, "Sign in again", "/sign-in?return_to=%2F")) }
    };
    answer(&portal, Page::new("Signed out", body))
}

/// Takes a provider's notice that somebody signed out (OpenID Connect Back-Channel Logout 1.0, section 2.8).
pub(super) async fn notice(State(portal): State<Portal>, body: Body) -> Response {
    let sign_ins = &portal.shared.parts.sign_ins;
    if !sign_ins.is_offered() {
        return Problem::unknown().into_response();
    }
    let outcome = match form_of_notice(&portal, body).await {
        Ok(form) => sign_ins.notice(&form).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(_) => StatusCode::OK.into_response(),
        Err(NoticeError::Refused(reason)) => {
            let told = json!({ "error": "invalid_request", "error_description": reason });
            (StatusCode::BAD_REQUEST, Json(told)).into_response()
        }
        Err(error @ NoticeError::Unavailable) => {
            let told = json!({ "error": "temporarily_unavailable", "error_description": error.to_string() });
            (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")], Json(told)).into_response()
        }
    }
}

/// Anybody can send a notice, so it is short, it comes at once, and few are read at the same time.
async fn form_of_notice(portal: &Portal, body: Body) -> Result<Bytes, NoticeError> {
    let _place = portal.shared.usage.notice().ok_or(NoticeError::Unavailable)?;
    match tokio::time::timeout(NOTICE_TIMEOUT, Limited::new(body, NOTICE_BYTES_MAX).collect()).await {
        Ok(Ok(form)) => Ok(form.to_bytes()),
        Ok(Err(_)) => Err(NoticeError::Refused("the form cannot be read, or is longer than 32 KiB")),
        Err(_) => Err(NoticeError::Refused("the form did not come in time")),
    }
}

/// Whether a session may be there all the same: a link from another site does not bring its cookie along.
pub(super) fn hides_cookie(portal: &Portal, headers: &HeaderMap) -> bool {
    let foreign = headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    foreign && !portal.shared.parts.sign_ins.is_presented(&portal.shared.site, headers)
}

/// Has the browser ask again from here, and bring its cookie along.
pub(super) fn once_more(portal: &Portal, path: &str) -> Response {
    answer(portal, onward("One moment", path, "You come from another site.", "Go on"))
}

/// For a form that came after its session had ended. By a page, because a redirect may not lead on to a provider then.
pub(super) fn ended(portal: &Portal, sign_in: &str) -> Response {
    let page = onward("Sign in again", sign_in, "Your sign-in has ended; nothing was changed.", "Sign in");
    let mut response = answer(portal, page.status(StatusCode::UNAUTHORIZED));
    response.extensions_mut().insert(Code(Kind::NOT_SIGNED_IN.code));
    response
}

/// A page that goes on to `next` by itself.
fn onward<'p>(title: &'p str, next: &str, told: &str, label: &str) -> Page<'p> {
    let body = html! {
        p .lead { (told) }
        p { (link(Weight::Main, label, next)) }
    };
    Page::new(title, body).head(html! { meta http-equiv="refresh" content=(format!("0; url={next}")); })
}

fn failed(portal: &Portal, error: &SignInError) -> Response {
    let status = match error.fault() {
        Fault::Nothing => StatusCode::NOT_FOUND,
        Fault::Request => StatusCode::BAD_REQUEST,
        Fault::Person => StatusCode::FORBIDDEN,
        Fault::Provider => StatusCode::BAD_GATEWAY,
        Fault::Moment => StatusCode::SERVICE_UNAVAILABLE,
    };
    let way: Markup = match error {
        SignInError::NotOffered | SignInError::UnknownProvider => html! { p { a href="/" { "Go to Home" } } },
        SignInError::FellShort(short) => html! {
            @if let Some(again) = &short.again {
                p { (link(Weight::Main, "Sign in again", &portal.shared.site.sign_in(again))) }
            }
            p { a href="/" { "Go to Home without it" } }
        },
        SignInError::NotSignedOut => html! { p { (link(Weight::Main, "Sign out", "/sign-out")) } },
        _ => html! {
            p { (link(Weight::Main, "Sign in again", "/sign-in?return_to=%2F")) }
            p { a href="/" { "Go to Home" } }
        },
    };
    let body = html! {
        @for sentence in error.sentences() { p { (text::with_code(&sentence)) } }
        (way)
        p .dim { "Code " code { (error.code()) } " · status " (status.as_u16()) }
    };
    let mut response = answer(portal, Page::new(error.title(), body).status(status));
    response.extensions_mut().insert(Code(error.code()));
    response
}

fn answer(portal: &Portal, page: Page<'_>) -> Response {
    page.answer(&Frame::outside(portal.shared.parts.clock.now()))
}

fn with_cookies(mut response: Response, cookies: Vec<HeaderValue>) -> Response {
    for cookie in cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

const NOTICE_BYTES_MAX: usize = 32 * 1024;
const NOTICE_TIMEOUT: Duration = Duration::from_secs(2);
