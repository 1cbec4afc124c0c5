//! What a browser gets instead of a problem document, when it asked for a page.

use axum::response::Response;
use http::{HeaderMap, StatusCode, header};
use maud::{Markup, html};

use crate::portal::caller::Known;
use crate::portal::pages::fault::sentence;
use crate::portal::pages::layout::{Frame, Page};
use crate::portal::pages::parts::cut;
use crate::portal::problem::{Code, Problem};
use crate::portal::{Portal, SignIn};

/// Whether whoever asks for `path` reads pages: a browser that goes somewhere, outside the API.
pub(in crate::portal) fn is_for_a_page(path: &str, headers: &HeaderMap) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let navigates = header("sec-fetch-mode") == "navigate";
    !path.starts_with("/api/") && (navigates || header(header::ACCEPT.as_str()).contains("text/html"))
}

/// The answer as a page, when it is a problem.
pub(in crate::portal) async fn shown(portal: &Portal, mut answer: Response, known: &Known) -> Response {
    let Some(problem) = answer.extensions_mut().remove::<Problem>() else { return answer };
    let frame = Frame::at_worst(portal, known.identity()).await;
    let mut page = page(&problem, portal, &frame);
    for name in [header::WWW_AUTHENTICATE, header::RETRY_AFTER, header::ALLOW] {
        if let Some(value) = answer.headers().get(&name) {
            page.headers_mut().insert(name, value.clone());
        }
    }
    page.extensions_mut().insert(Code(problem.code()));
    page
}

fn page(problem: &Problem, portal: &Portal, frame: &Frame) -> Response {
    let body = html! {
        @if problem.status() != StatusCode::NOT_FOUND { p .lead { (sentence(problem.detail())) } }
        p { (remedy(problem)) }
        @if let Some(cut) = problem.cut() { (cut::unknown(cut)) }
        @if problem.status() == StatusCode::UNAUTHORIZED && portal.sign_in() == SignIn::Offered {
            p { a .button.main href="/sign-in?return_to=%2F" { "Sign in" } }
        } @else {
            p { a .button.side href="/" { "Go to Home" } }
        }
        p .dim { "Code " code { (problem.code()) } " · status " (problem.status().as_u16()) }
    };
    Page::new(problem.title(), body).status(problem.status()).answer(frame)
}

fn remedy(problem: &Problem) -> Markup {
    match problem.status() {
        StatusCode::NOT_FOUND => {
            html! { "What the link names is gone, never was, or is not for you to see. Check the link, or begin at Home." }
        }
        StatusCode::UNAUTHORIZED => html! { "Sign in again and repeat what you did." },
        StatusCode::FORBIDDEN if problem.code() == "cross_site" => {
            html! { "Nothing was changed. Open the portal itself and do it there." }
        }
        StatusCode::FORBIDDEN => {
            html! { "Nothing was changed. If you think you should be able to, ask an administrator." }
        }
        StatusCode::CONFLICT => {
            html! { "Somebody or time was quicker. Go back, load the page again and look at how it stands now." }
        }
        StatusCode::TOO_MANY_REQUESTS => html! { "Wait a moment and try again." },
        status if status.is_server_error() => {
            html! { "Wait a moment and load the page again. If it stays, tell whoever runs hallpass, with the time and the code below." }
        }
        _ => html! { "Go back and try again." },
    }
}
