//! Code, status and title of every problem.

use http::StatusCode;

use crate::domain::refusal::Refusal;

/// One kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::portal) struct Kind {
    /// Stable; the last part of the type.
    pub(in crate::portal) code: &'static str,
    /// Fixed per code.
    pub(in crate::portal) status: StatusCode,
    /// Fixed per code.
    pub(in crate::portal) title: &'static str,
}

/// The one code whose status depends on how the revision was named.
pub(super) const REVISION_CHANGED: &str = "revision_changed";

macro_rules! kinds {
    ($($name:ident = $code:literal, $status:ident, $title:literal;)*) => {
        #[rustfmt::skip]
        impl Kind {
            $(pub(in crate::portal) const $name: Self = Self { code: $code, status: StatusCode::$status, title: $title };)*

            /// All kinds that are not refusals of the domain.
            #[cfg(test)]
            pub(super) const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

kinds! {
    INVALID_BODY = "invalid_body", BAD_REQUEST, "The request body is not as described";
    INVALID_QUERY = "invalid_query", BAD_REQUEST, "The query is not as described";
    INVALID_CURSOR = "invalid_cursor", BAD_REQUEST, "The cursor does not belong to this list";
    INVALID_HEADER = "invalid_header", BAD_REQUEST, "A request header is not as described";
    AMBIGUOUS_CREDENTIAL = "ambiguous_credential", BAD_REQUEST, "The credential cannot be read";
    NOT_SIGNED_IN = "not_signed_in", UNAUTHORIZED, "Not signed in";
    INVALID_TOKEN = "invalid_token", UNAUTHORIZED, "The token is not valid";
    CROSS_SITE = "cross_site", FORBIDDEN, "Refused from another site";
    FORBIDDEN = "forbidden", FORBIDDEN, "Forbidden";
    METHOD_NOT_ALLOWED = "method_not_allowed", METHOD_NOT_ALLOWED, "Method not allowed here";
    BODY_TOO_LARGE = "body_too_large", PAYLOAD_TOO_LARGE, "The request body is too large";
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "Only JSON is understood here";
    REVISION_MISSING = "revision_missing", PRECONDITION_REQUIRED, "The revision seen must be named";
    RATE_LIMITED = "rate_limited", TOO_MANY_REQUESTS, "Too many commands";
    TOO_MANY_STREAMS = "too_many_streams", TOO_MANY_REQUESTS, "Too many open streams";
    INTERNAL = "internal", INTERNAL_SERVER_ERROR, "hallpass failed";
    OVERLOADED = "overloaded", SERVICE_UNAVAILABLE, "Too many requests at once";
    TIMEOUT = "timeout", SERVICE_UNAVAILABLE, "No answer in time";
    BUSY = "busy", SERVICE_UNAVAILABLE, "Too many commands are waiting";
    UNAVAILABLE = "unavailable", SERVICE_UNAVAILABLE, "The journal cannot be used";
    DISK_FULL = "disk_full", SERVICE_UNAVAILABLE, "No room left to grant anything";
    CLOCK_BEHIND = "clock_behind", SERVICE_UNAVAILABLE, "The clock lies behind the journal";
    JOURNAL_DOUBTED = "journal_doubted", SERVICE_UNAVAILABLE, "The journal is not the one that was anchored";
    NOT_DURABLE = "not_durable", SERVICE_UNAVAILABLE, "In force, but not yet durable";
    KEYS_UNAVAILABLE = "keys_unavailable", SERVICE_UNAVAILABLE, "Keys of the issuer cannot be used";
}

/// The kind of problem that tells of `refusal`.
pub(in crate::portal) const fn kind_of(refusal: &Refusal) -> Kind {
    use StatusCode as S;
    let (status, title) = match refusal {
        // what was asked for breaks a rule
        Refusal::RoleUnknown => (S::UNPROCESSABLE_ENTITY, "No such role"),
        Refusal::JustificationMissing => (S::UNPROCESSABLE_ENTITY, "Justification required"),
        Refusal::JustificationTooShort { .. } => (S::UNPROCESSABLE_ENTITY, "Justification too short"),
        Refusal::JustificationTooLong { .. } => (S::UNPROCESSABLE_ENTITY, "Justification too long"),
        Refusal::JustificationPattern { .. } => (S::UNPROCESSABLE_ENTITY, "Justification not of the required form"),
        Refusal::TicketMissing => (S::UNPROCESSABLE_ENTITY, "Ticket required"),
        Refusal::TicketPattern { .. } => (S::UNPROCESSABLE_ENTITY, "Ticket not of the required form"),
        Refusal::DurationBelowMinimum { .. } => (S::UNPROCESSABLE_ENTITY, "Duration too short"),
        Refusal::DurationAboveMaximum { .. } => (S::UNPROCESSABLE_ENTITY, "Duration too long"),
        Refusal::TotalExceeded { .. } => (S::UNPROCESSABLE_ENTITY, "Total duration too long"),
        Refusal::StartInPast { .. } => (S::UNPROCESSABLE_ENTITY, "Start too early"),
        Refusal::StartTooFar { .. } => (S::UNPROCESSABLE_ENTITY, "Start too far ahead"),
        Refusal::WindowInvalid => (S::UNPROCESSABLE_ENTITY, "End not after start"),
        Refusal::PermanentForbidden => (S::UNPROCESSABLE_ENTITY, "An end is required"),
        Refusal::IdempotencyMismatch => (S::UNPROCESSABLE_ENTITY, "Idempotency key used before"),
        // the caller must sign in otherwise
        Refusal::CredentialRevoked => (S::UNAUTHORIZED, "Credential revoked"),
        Refusal::MfaRequired { .. } => (S::UNAUTHORIZED, "Second factor required"),
        Refusal::AcrRequired { .. } => (S::UNAUTHORIZED, "Stronger sign-in required"),
        Refusal::SignInTooOld { .. } => (S::UNAUTHORIZED, "Fresher sign-in required"),
        // the caller may not
        Refusal::NotEligible => (S::FORBIDDEN, "Not eligible"),
        Refusal::PrincipalLocked => (S::FORBIDDEN, "Locked"),
        Refusal::NotAnApprover => (S::FORBIDDEN, "Not an approver"),
        Refusal::SelfApproval => (S::FORBIDDEN, "Own request"),
        Refusal::NotHolder => (S::FORBIDDEN, "Not the holder"),
        Refusal::NotAdministrator => (S::FORBIDDEN, "Not an administrator"),
        Refusal::ExtensionForbidden => (S::FORBIDDEN, "Extension forbidden"),
        // there is nothing, or nothing to be known of
        Refusal::Unknown => (S::NOT_FOUND, "Not found"),
        // the state of things stands against it
        Refusal::AlreadyPending { .. } => (S::CONFLICT, "Already pending"),
        Refusal::AlreadyEnded { .. } => (S::CONFLICT, "Already ended"),
        Refusal::NotPending => (S::CONFLICT, "Not pending"),
        Refusal::NotActive => (S::CONFLICT, "Not active"),
        Refusal::AlreadyDecided => (S::CONFLICT, "Already decided"),
        Refusal::StageNotOpen => (S::CONFLICT, "Stage not open"),
        Refusal::RevisionChanged { .. } => (S::CONFLICT, "Changed since seen"),
        Refusal::LastAdministrator => (S::CONFLICT, "Last administrator"),
        Refusal::DeclaredInConfiguration => (S::CONFLICT, "Declared in the configuration"),
        Refusal::PolicyChanged => (S::CONFLICT, "Policy changed"),
        // too many
        Refusal::TooManyPending { .. } => (S::TOO_MANY_REQUESTS, "Too many pending requests"),
    };
    Kind { code: refusal.code(), status, title }
}
