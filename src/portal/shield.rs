//! What every request passes and every answer gets, whatever it is about: limits, origin, security headers, the access line.

use std::panic::AssertUnwindSafe;

use aws_lc_rs::rand;
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::clock::awake;
use crate::portal::caller::Known;
use crate::portal::problem::{Code, Kind, Problem};
use crate::portal::{Portal, caller, csrf, cut, pages};

/// `router` with all of it around.
pub(super) fn around(router: Router, portal: Portal) -> Router {
    router
        .method_not_allowed_fallback(|| async {
            Problem::new(
                Kind::METHOD_NOT_ALLOWED,
                "nothing here takes this method; `/api/openapi.json` describes what there is",
            )
        })
        .layer(from_fn_with_state(portal, shield))
}

async fn shield(State(portal): State<Portal>, mut request: Request, next: Next) -> Response {
    let began = awake();
    let known = Known::default();
    request.extensions_mut().insert(known.clone());
    let route = request.extensions().get::<MatchedPath>().map_or(String::new(), |path| path.as_str().to_owned());
    let (method, path, request_id) = (request.method().clone(), request.uri().path().to_owned(), fresh_request_id());

    let pages_wanted = pages::problem::is_for_a_page(request.uri().path(), request.headers());
    let mut response =
        admitted(&portal, &route, &known, request, next).await.unwrap_or_else(IntoResponse::into_response);
    if pages_wanted {
        response = pages::problem::shown(&portal, response, &known).await;
    }
    protect(response.headers_mut(), &portal.shared.origin);
    if let Ok(value) = HeaderValue::try_from(&request_id) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }

    let status = response.status().as_u16();
    portal.shared.metrics.answered(&route, &method, status);
    tracing::info!(
        target: "hallpass::access",
        listener = "portal",
        request_id,
        method = method.as_str(),
        path,
        route,
        status,
        duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        principal = known.short(),
        reason = response.extensions().get::<Code>().map_or("", |code| code.0),
        "answered"
    );
    response
}

/// The answer, when the request may be answered at all, comes in time and without a panic.
async fn admitted(
    portal: &Portal,
    route: &str,
    known: &Known,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    csrf::check(request.method(), request.headers(), &portal.shared.origin)?;
    let _place = match route {
        // they have places of their own
        pages::NOTICES => None,
        _ => Some(portal.shared.usage.request(|| caller::at_a_glance(portal, request.headers()))?),
    };
    let path = request.uri().path().to_owned();
    let answer = async { cut::told(portal, &path, known, next.run(request).await).await };
    let answer = AssertUnwindSafe(answer).catch_unwind();
    match tokio::time::timeout(portal.shared.parts.settings.limits.request_timeout, answer).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(_)) => {
            tracing::error!("a request of the portal ended in a panic");
            Err(Problem::new(Kind::INTERNAL, "hallpass failed"))
        }
        Err(_) => Err(Problem::new(
            Kind::TIMEOUT,
            "no answer in time; whether a command was carried out is not known: repeat it with the same Idempotency-Key",
        )
        .retry_after(1)),
    }
}

fn protect(headers: &mut HeaderMap, origin: &str) {
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // a page names its own, which sends our origin with our own forms
    headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    // of all that is served, only assets may be kept: their names change with their content
    if headers.get(header::CACHE_CONTROL).is_none_or(|value| value != pages::asset::FOREVER) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    // a page names its own, which allows its stylesheet and script
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ));
    if origin.starts_with("https://") {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000"));
    }
}

const ALWAYS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// Names one request in log and answer; what the client sent as such speaks for nobody.
fn fresh_request_id() -> String {
    let mut bits = [0; 16];
    // without random bits the request still deserves an answer, only no name
    match rand::fill(&mut bits) {
        Ok(()) => HEXLOWER.encode(&bits),
        Err(_) => String::new(),
    }
}
