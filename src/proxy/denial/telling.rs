//! The table: each refusal's status, stable code, title and sentence, and what it is in gRPC.

use http::StatusCode;

use crate::clock::format_rfc3339;
use crate::domain::authorize::{Curable, Denial};
use crate::domain::policy::{AssuranceGap, AssuranceRule};
use crate::proxy::canonical::BadRequest;
use crate::proxy::denial::Refused;

/// What is told about a refusal, whoever listens.
#[derive(Debug)]
pub(super) struct Telling {
    pub(super) status: StatusCode,
    /// Last part of the problem type; never changes its meaning.
    pub(super) code: &'static str,
    pub(super) title: &'static str,
    pub(super) detail: String,
    pub(super) grpc: GrpcStatus,
}

/// Codes of gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GrpcStatus {
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    FailedPrecondition = 9,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

impl Telling {
    /// Code and status, for those who tell nobody.
    pub(super) fn of(refused: &Refused) -> Self {
        Self::with_commands(refused, "")
    }

    /// Everything, with commands for the portal at `portal_url`.
    pub(super) fn with_commands(refused: &Refused, portal_url: &str) -> Self {
        match refused {
            Refused::BadRequest(bad) => bad_request(*bad),
            Refused::Denied(denial) => denied(denial, portal_url),
            Refused::InvalidToken => tell(
                StatusCode::UNAUTHORIZED,
                "invalid_token",
                "The access token is not valid",
                "the access token has expired, was meant for somebody else, or was not signed by a known issuer; get a new \
                 one and try again",
                GrpcStatus::Unauthenticated,
            ),
            Refused::AmbiguousCredential => bad_request(BadRequest::Credentials),
            Refused::Unavailable { .. } => tell(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "Access cannot be decided right now",
                "hallpass cannot reach what it needs to decide, so it lets nobody pass; nothing is wrong with your request, \
                 try again shortly",
                GrpcStatus::Unavailable,
            ),
            Refused::Doubted => tell(
                StatusCode::SERVICE_UNAVAILABLE,
                "journal_doubted",
                "No role opens anything at present",
                "hallpass cannot tell whether its records are the right ones, so no role opens anything until whoever runs it \
                 has looked into it; nothing is wrong with your request, and trying again will not help",
                GrpcStatus::FailedPrecondition,
            ),
            Refused::ClockBehind => tell(
                StatusCode::SERVICE_UNAVAILABLE,
                "clock_behind",
                "No role opens anything at present",
                "the clock of the machine lies behind what hallpass has on record, so that nobody can tell which roles have \
                 ended, and none opens anything until whoever runs it has corrected the clock; nothing is wrong with your \
                 request",
                GrpcStatus::FailedPrecondition,
            ),
            Refused::Overloaded { .. } => tell(
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                "Too much at once",
                "hallpass has more to do than it can right now; nothing is wrong with your request, try again shortly",
                GrpcStatus::Unavailable,
            ),
            Refused::UpstreamFailed => tell(
                StatusCode::BAD_GATEWAY,
                "upstream_failed",
                "The application did not answer properly",
                "you may pass, but the application behind hallpass could not be reached or sent a broken answer",
                GrpcStatus::Unavailable,
            ),
            Refused::UpstreamTimeout => tell(
                StatusCode::GATEWAY_TIMEOUT,
                "upstream_timeout",
                "The application did not answer in time",
                "you may pass, but the application behind hallpass took too long; it may still be working on the request",
                GrpcStatus::DeadlineExceeded,
            ),
            Refused::NotFound => tell(
                StatusCode::NOT_FOUND,
                "not_found",
                "Nothing is here",
                "paths below `/.hallpass/` belong to hallpass, and it serves nothing at this one",
                GrpcStatus::NotFound,
            ),
            Refused::ForeignOrigin => tell(
                StatusCode::FORBIDDEN,
                "foreign_origin",
                "Not from this page",
                "only pages of this address, or of an origin that is configured for it, may open a WebSocket here or change \
                 something in your name",
                GrpcStatus::PermissionDenied,
            ),
            Refused::BodyTooLarge => tell(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                "The body is too long",
                "the body of the request is longer than is accepted here",
                GrpcStatus::ResourceExhausted,
            ),
            Refused::RequestTimeout => tell(
                StatusCode::REQUEST_TIMEOUT,
                "request_timeout",
                "The request did not arrive in time",
                "the request was not complete when its time was over; send it again",
                GrpcStatus::DeadlineExceeded,
            ),
            Refused::Misdirected => tell(
                StatusCode::MISDIRECTED_REQUEST,
                "misdirected",
                "The wrong connection for this host",
                "the host of the request is not one that this connection was opened for; open a new connection to it",
                GrpcStatus::InvalidArgument,
            ),
            Refused::Internal => tell(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "A mistake of hallpass",
                "hallpass made a mistake and refused the request to be safe; tell its operators the request id",
                GrpcStatus::Internal,
            ),
        }
    }
}

fn tell(status: StatusCode, code: &'static str, title: &'static str, detail: &str, grpc: GrpcStatus) -> Telling {
    Telling { status, code, title, detail: detail.to_owned(), grpc }
}

fn bad_request(bad: BadRequest) -> Telling {
    let (title, grpc) = match bad.status() {
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
            ("The method is not passed on", GrpcStatus::Unimplemented)
        }
        StatusCode::URI_TOO_LONG | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            ("The request is too long", GrpcStatus::ResourceExhausted)
        }
        StatusCode::EXPECTATION_FAILED => ("The expectation cannot be met", GrpcStatus::InvalidArgument),
        _ => ("The request can be read in more than one way", GrpcStatus::InvalidArgument),
    };
    tell(bad.status(), bad.code(), title, bad.detail(), grpc)
}

fn denied(denial: &Denial, portal_url: &str) -> Telling {
    match denial {
        Denial::NotSignedIn => tell(
            StatusCode::UNAUTHORIZED,
            "not_signed_in",
            "Sign-in needed",
            "this address wants to know who you are; send an access token in a header `Authorization: Bearer TOKEN`",
            GrpcStatus::Unauthenticated,
        ),
        Denial::CredentialRevoked => tell(
            StatusCode::UNAUTHORIZED,
            "credential_revoked",
            "The access token was revoked",
            "all access tokens issued to you up to some moment were revoked, and this is one of them; sign in again and use \
             the new one",
            GrpcStatus::Unauthenticated,
        ),
        Denial::StepUp { rule, gaps } => tell(
            StatusCode::UNAUTHORIZED,
            "insufficient_user_authentication",
            "A stronger or fresher sign-in is needed",
            &step_up(rule, gaps),
            GrpcStatus::Unauthenticated,
        ),
        Denial::Requestable(roles) => tell(
            StatusCode::FORBIDDEN,
            "role_not_active",
            "A role is needed that is not active",
            &roles.iter().map(|role| curable(role, portal_url)).collect::<Vec<_>>().join("; "),
            GrpcStatus::PermissionDenied,
        ),
        Denial::Forbidden => tell(
            StatusCode::FORBIDDEN,
            "forbidden",
            "Not allowed",
            "you may not do this, and there is nothing to ask for here",
            GrpcStatus::PermissionDenied,
        ),
    }
}

fn step_up(rule: &AssuranceRule, gaps: &[AssuranceGap]) -> String {
    let wishes: Vec<String> = gaps
        .iter()
        .map(|gap| match (gap, rule.max_age) {
            (AssuranceGap::Mfa, _) => "with a second factor".to_owned(),
            (AssuranceGap::Acr, _) => format!("at level {}", rule.acr.join(" or ")),
            (AssuranceGap::Age, Some(max_age)) => format!("less than {max_age} ago"),
            (AssuranceGap::Age, None) => "now".to_owned(),
        })
        .collect();
    format!("sign in again {} and use the new access token", wishes.join(" and "))
}

/// How a role stands, and what to do about it.
fn curable(curable: &Curable, portal_url: &str) -> String {
    match Way::of(curable, portal_url) {
        Way::Request(command) => format!("{}; ask for it with `{command}`", state(curable)),
        Way::Wait => state(curable),
    }
}

/// How a role stands.
pub(super) fn state(curable: &Curable) -> String {
    let role = &curable.role;
    match (&curable.pending, curable.starts_at) {
        (Some(pending), _) => {
            let activation = pending.activation;
            format!("your request `{activation}` for role `{role}` waits for approval; try again once it is approved")
        }
        (None, Some(starts_at)) => {
            format!("role `{role}` is granted to you from {} on; try again then", format_rfc3339(starts_at))
        }
        (None, None) => format!("role `{role}` is yours to activate but not active"),
    }
}

/// What there is to do about a role.
pub(super) enum Way {
    /// Ask for it, with this command: all but the token and the reason stands in it.
    Request(String),
    /// Nothing: it is asked for, or granted and not yet begun.
    Wait,
}

impl Way {
    pub(super) fn of(curable: &Curable, portal_url: &str) -> Self {
        if curable.pending.is_some() || curable.starts_at.is_some() {
            return Self::Wait;
        }
        // in brackets an IPv6 address would be a pattern to some shells; nothing else of an origin needs quotes
        let quote = if portal_url.contains('[') { "'" } else { "" };
        let portal = format!("{quote}{}{quote}", portal_url.trim_end_matches('/'));
        Self::Request(format!("hallpass request {} --portal {portal} --because 'why you need it' --wait", curable.role))
    }
}
