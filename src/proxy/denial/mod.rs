//! The one refusal function: every no of the gate, for every kind of client.
//!
//! Whoever may not pass and can do nothing about it learns nothing: an unknown route, a rule that denies, a role that one may
//! not ask for and a locked principal are all [`Denial::Forbidden`] and one answer. Only those who may ask for a role are told
//! its name. No answer holds anything the client sent but its own request id and, for those, its path and query.

mod audience;
mod challenge;
mod links;
mod onward;
mod problem;
mod sheet;
mod telling;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    LOCATION, REFERRER_POLICY, RETRY_AFTER, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{Response, StatusCode};
use http_body_util::Full;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

pub use audience::{Audience, Body, Form};
pub use links::Links;

use crate::domain::authorize::Denial;
use crate::domain::pace::Paces;
use crate::domain::policy::Policies;
use crate::domain::rule::Demand;
use crate::domain::time::Timestamp;
use crate::identity::AuthnError;
use crate::identity::names::IssuerNames;
use crate::proxy::canonical::{BadRequest, Canonical};
use crate::proxy::page;
use telling::Telling;

/// Why a request is not answered by the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It can be read in more than one way.
    BadRequest(BadRequest),
    /// It may not pass.
    Denied(Denial),
    /// Its token is not valid.
    InvalidToken,
    /// It carries several credentials, or one that cannot be read.
    AmbiguousCredential,
    /// Store, keys or journal cannot be used.
    Unavailable {
        /// When to try again.
        retry_after: Duration,
    },
    /// The journal is in doubt, so no role opens anything until its operator has restored or confirmed it.
    Doubted,
    /// Nobody knows what time it is, so no role opens anything until the machine's clock is right again.
    ClockBehind,
    /// More than can be done at once.
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// The application could not be reached, or its answer was broken.
    UpstreamFailed,
    /// The application did not answer in time.
    UpstreamTimeout,
    /// Nothing is served at this path below the reserved prefix.
    NotFound,
    /// A WebSocket from a page of a foreign origin.
    ForeignOrigin,
    /// The body is longer than allowed.
    BodyTooLarge,
    /// The request did not arrive in time.
    RequestTimeout,
    /// The connection's name and the request's host belong to different listeners.
    Misdirected,
    /// A mistake of hallpass itself.
    Internal,
}

impl Refused {
    /// Its stable name: last part of the problem type, and `reason` in logs and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        Telling::of(self).code
    }

    /// The status for everybody but gRPC.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        Telling::of(self).status
    }

    /// Whether what follows on the connection may be something else than the next request.
    const fn distrusts_connection(&self) -> bool {
        matches!(self, Self::BadRequest(_) | Self::BodyTooLarge | Self::RequestTimeout)
    }

    const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after } | Self::Overloaded { retry_after } => Some(*retry_after),
            _ => None,
        }
    }
}

impl From<BadRequest> for Refused {
    fn from(bad: BadRequest) -> Self {
        Self::BadRequest(bad)
    }
}

impl From<Denial> for Refused {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

impl From<AuthnError> for Refused {
    fn from(error: AuthnError) -> Self {
        match error {
            AuthnError::AmbiguousCredential => Self::AmbiguousCredential,
            AuthnError::InvalidToken(_) => Self::InvalidToken,
            AuthnError::KeysUnavailable | AuthnError::SessionUnavailable => {
                Self::Unavailable { retry_after: KEYS_RETRY_AFTER }
            }
            AuthnError::Overloaded => Self::Overloaded { retry_after: OVERLOAD_RETRY_AFTER },
        }
    }
}

/// The request that is refused.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'a> {
    /// Who asks.
    pub audience: Audience,
    /// Where links lead.
    pub links: &'a Links,
    /// What was asked, when it could be read.
    pub canonical: Option<&'a Canonical>,
    /// The id of the request.
    pub request_id: &'a str,
    /// When.
    pub now: Timestamp,
    /// Whether a browser may be sent away to sign in.
    pub signs_in: bool,
    /// What the route demands, when it is known.
    pub demand: Option<&'a Demand>,
    /// Settings of all roles.
    pub policies: &'a Policies,
    /// How fast each role is decided on.
    pub paces: &'a Paces,
    /// Names of issuers.
    pub names: &'a IssuerNames,
}

/// The answer to a refused request.
#[must_use]
pub fn refuse(refused: &Refused, occasion: &Occasion<'_>) -> Response<Full<Bytes>> {
    let telling = Telling::with_commands(refused, &occasion.links.portal_url);
    let mut headers = HeaderMap::new();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static(VARY_ON));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    insert(&mut headers, REQUEST_ID, occasion.request_id);
    if refused.distrusts_connection() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if occasion.audience.form == Form::Grpc {
        return trailers_only(&telling, headers);
    }
    if let Some((status, location)) = onward::to_sign_in(refused, occasion) {
        insert(&mut headers, LOCATION, &location);
        return answer(status, headers, Vec::new());
    }
    let retry_after = refused.retry_after().map(whole_seconds);
    if let Some(seconds) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if telling.status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    }
    if let Some(challenge) = challenge::of(refused, occasion.audience.form) {
        insert(&mut headers, WWW_AUTHENTICATE, &challenge);
    }
    let (content_type, body) = match occasion.audience.form {
        Form::Browser => {
            insert(&mut headers, CONTENT_SECURITY_POLICY, &page::CONTENT_SECURITY_POLICY);
            headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
            ("text/html; charset=utf-8", sheet::page(refused, &telling, occasion).render().into_bytes())
        }
        Form::Kubernetes => ("application/json", problem::status(&telling, retry_after)),
        Form::Api | Form::Grpc => ("application/problem+json", problem::problem(refused, &telling, occasion)),
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let body = match occasion.audience.body {
        Body::Sent => body,
        Body::Omitted => Vec::new(),
    };
    answer(telling.status, headers, body)
}

/// Rounded up, and never none: nobody is told to come back too early.
fn whole_seconds(after: Duration) -> u64 {
    after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0)).max(1)
}

/// gRPC reads the status from trailers; an answer without body carries them as headers.
fn trailers_only(telling: &Telling, mut headers: HeaderMap) -> Response<Full<Bytes>> {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from(telling.grpc as u16));
    insert(&mut headers, GRPC_MESSAGE, &utf8_percent_encode(&telling.detail, NOT_IN_GRPC_MESSAGE).to_string());
    answer(StatusCode::OK, headers, Vec::new())
}

fn answer(status: StatusCode, headers: HeaderMap, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Adds a header unless its value cannot be one.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Everything that [`Audience::of`] and the verdict look at.
const VARY_ON: &str = "Accept, Authorization, Content-Type, Cookie, Sec-Fetch-Mode, Upgrade, User-Agent";
const NOT_IN_GRPC_MESSAGE: &AsciiSet = &CONTROLS.add(b'%');
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const KEYS_RETRY_AFTER: Duration = Duration::from_secs(10);
const OVERLOAD_RETRY_AFTER: Duration = Duration::from_secs(1);
