//! The table of problems: every refusal and every kind has one status, one title and one type.

use std::collections::BTreeSet;

use super::*;
use crate::domain::activation::Ending;
use crate::domain::id::ActivationId;
use crate::domain::time::{Span, Timestamp};

/// One of each. The match has no wildcard: a new refusal stops here until it has a line in the table.
fn every_refusal() -> Vec<Refusal> {
    let (min, max, given) = (Span::minutes(5), Span::hours(8), Span::hours(9));
    let start = Timestamp::from_seconds(1_795_404_600);
    let pattern = || "^OPS-[0-9]+$".to_owned();
    let all = vec![
        Refusal::NotEligible,
        Refusal::RoleUnknown,
        Refusal::PrincipalLocked,
        Refusal::CredentialRevoked,
        Refusal::JustificationMissing,
        Refusal::JustificationTooShort { min: 10, given: 3 },
        Refusal::JustificationTooLong { max: 1000, given: 1001 },
        Refusal::JustificationPattern { pattern: pattern() },
        Refusal::TicketMissing,
        Refusal::TicketPattern { pattern: pattern() },
        Refusal::DurationBelowMinimum { min, given: Span::seconds(1) },
        Refusal::DurationAboveMaximum { max, given },
        Refusal::TotalExceeded { max, given },
        Refusal::StartInPast { given: start },
        Refusal::StartTooFar { max, given: start },
        Refusal::WindowInvalid,
        Refusal::MfaRequired { amr: vec!["otp".to_owned()] },
        Refusal::AcrRequired { acr: vec!["gold".to_owned(), "urn:x:phr".to_owned()] },
        Refusal::SignInTooOld { max_age: min },
        Refusal::AlreadyPending { activation: ActivationId::from_random([7; 16]) },
        Refusal::TooManyPending { max: 20 },
        Refusal::AlreadyEnded { ending: Some(Ending::Revoked) },
        Refusal::NotPending,
        Refusal::NotActive,
        Refusal::NotAnApprover,
        Refusal::SelfApproval,
        Refusal::AlreadyDecided,
        Refusal::StageNotOpen,
        Refusal::RevisionChanged { current: 3 },
        Refusal::NotHolder,
        Refusal::NotAdministrator,
        Refusal::LastAdministrator,
        Refusal::PermanentForbidden,
        Refusal::ExtensionForbidden,
        Refusal::DeclaredInConfiguration,
        Refusal::PolicyChanged,
        Refusal::IdempotencyMismatch,
        Refusal::Unknown,
    ];
    for refusal in &all {
        match refusal {
            Refusal::NotEligible
            | Refusal::RoleUnknown
            | Refusal::PrincipalLocked
            | Refusal::CredentialRevoked
            | Refusal::JustificationMissing
            | Refusal::JustificationTooShort { .. }
            | Refusal::JustificationTooLong { .. }
            | Refusal::JustificationPattern { .. }
            | Refusal::TicketMissing
            | Refusal::TicketPattern { .. }
            | Refusal::DurationBelowMinimum { .. }
            | Refusal::DurationAboveMaximum { .. }
            | Refusal::TotalExceeded { .. }
            | Refusal::StartInPast { .. }
            | Refusal::StartTooFar { .. }
            | Refusal::WindowInvalid
            | Refusal::MfaRequired { .. }
            | Refusal::AcrRequired { .. }
            | Refusal::SignInTooOld { .. }
            | Refusal::AlreadyPending { .. }
            | Refusal::TooManyPending { .. }
            | Refusal::AlreadyEnded { .. }
            | Refusal::NotPending
            | Refusal::NotActive
            | Refusal::NotAnApprover
            | Refusal::SelfApproval
            | Refusal::AlreadyDecided
            | Refusal::StageNotOpen
            | Refusal::RevisionChanged { .. }
            | Refusal::NotHolder
            | Refusal::NotAdministrator
            | Refusal::LastAdministrator
            | Refusal::PermanentForbidden
            | Refusal::ExtensionForbidden
            | Refusal::DeclaredInConfiguration
            | Refusal::PolicyChanged
            | Refusal::IdempotencyMismatch
            | Refusal::Unknown => {}
        }
    }
    all
}

const REFUSALS: &str = "\
403 not_eligible: Not eligible
422 role_unknown: No such role
403 principal_locked: Locked
401 credential_revoked: Credential revoked
422 justification_missing: Justification required
422 justification_too_short: Justification too short
422 justification_too_long: Justification too long
422 justification_pattern: Justification not of the required form
422 ticket_missing: Ticket required
422 ticket_pattern: Ticket not of the required form
422 duration_below_minimum: Duration too short
422 duration_above_maximum: Duration too long
422 total_exceeded: Total duration too long
422 start_in_past: Start too early
422 start_too_far: Start too far ahead
422 window_invalid: End not after start
401 mfa_required: Second factor required
401 acr_required: Stronger sign-in required
401 sign_in_too_old: Fresher sign-in required
409 already_pending: Already pending
429 too_many_pending: Too many pending requests
409 already_ended: Already ended
409 not_pending: Not pending
409 not_active: Not active
403 not_an_approver: Not an approver
403 self_approval: Own request
409 already_decided: Already decided
409 stage_not_open: Stage not open
409 revision_changed: Changed since seen
403 not_holder: Not the holder
403 not_administrator: Not an administrator
409 last_administrator: Last administrator
422 permanent_forbidden: An end is required
403 extension_forbidden: Extension forbidden
409 declared_in_configuration: Declared in the configuration
409 policy_changed: Policy changed
422 idempotency_mismatch: Idempotency key used before
404 unknown: Not found
";

#[test]
fn every_refusal_has_its_line_in_the_table() {
    let table: String = every_refusal()
        .into_iter()
        .map(|refusal| {
            let body = Problem::from(refusal.clone()).body();
            assert_eq!(body.kind, format!("https://hallpass.dev/problems/{}", refusal.code()));
            format!("{} {}: {}\n", body.status, refusal.code(), body.title)
        })
        .collect();
    assert_eq!(table, REFUSALS);
}

#[test]
fn no_two_problems_share_a_code() {
    let refusals = every_refusal();
    let codes: Vec<&str> = refusals.iter().map(Refusal::code).chain(Kind::ALL.iter().map(|kind| kind.code)).collect();
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len(), "{codes:?}");
}

#[test]
fn the_first_refusal_names_the_problem_and_all_are_told() {
    let refusals = Refusals::none_of(vec![
        Refusal::DurationAboveMaximum { max: Span::hours(8), given: Span::hours(9) },
        Refusal::JustificationMissing,
        Refusal::MfaRequired { amr: vec!["otp".to_owned()] },
    ]);
    let problem = Problem::from(refusals.unwrap_err());
    let body = serde_json::to_value(problem.body()).unwrap();
    assert_eq!(
        body,
        serde_json::json!({
            "type": "https://hallpass.dev/problems/duration_above_maximum",
            "title": "Duration too long",
            "status": 422,
            "detail": "the duration is 9h; the longest is 8h",
            "errors": [
                {"code": "duration_above_maximum", "detail": "the duration is 9h; the longest is 8h",
                 "pointer": "/duration", "limit": "8h", "given": "9h"},
                {"code": "justification_missing", "detail": "a justification is required", "pointer": "/justification"},
                {"code": "mfa_required", "detail": "a sign-in with a second factor is required"},
            ],
        })
    );
    assert!(problem.told.challenge.is_none(), "a sign-in alone would not cure it");
}

#[test]
fn a_stronger_sign_in_is_asked_for_as_in_rfc_9470() {
    let challenge = |refusals: Vec<Refusal>| {
        let response = Problem::from(Refusals::none_of(refusals).unwrap_err()).into_response();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        response.headers()[header::WWW_AUTHENTICATE].to_str().unwrap().to_owned()
    };
    let head = "Bearer realm=\"hallpass\", error=\"insufficient_user_authentication\", \
                error_description=\"a stronger or fresher sign-in is required\"";
    assert_eq!(challenge(vec![Refusal::MfaRequired { amr: vec!["otp".to_owned()] }]), head);
    let all = vec![
        Refusal::MfaRequired { amr: vec!["otp".to_owned()] },
        Refusal::AcrRequired { acr: vec!["gold".to_owned(), "bro\"ken".to_owned(), "urn:x:phr".to_owned()] },
        Refusal::SignInTooOld { max_age: Span::minutes(5) },
    ];
    assert_eq!(challenge(all), format!("{head}, acr_values=\"gold urn:x:phr\", max_age=\"300\""));
}

#[test]
fn a_revision_named_by_a_header_fails_as_a_precondition() {
    let changed = || Problem::from(Refusal::RevisionChanged { current: 3 });
    assert_eq!(changed().status(), StatusCode::CONFLICT);
    assert_eq!(changed().of_precondition().status(), StatusCode::PRECONDITION_FAILED);
    assert_eq!(changed().of_precondition().body().status, 412);
    let other = Problem::from(Refusal::NotPending).of_precondition();
    assert_eq!(other.status(), StatusCode::CONFLICT);
    assert_eq!(changed().body().errors[0].revision, Some(3));
}

#[test]
fn what_the_world_does_is_answered_with_a_time_to_come_back() {
    for (error, code) in [
        (SubmitError::Busy, "busy"),
        (SubmitError::Unavailable, "unavailable"),
        (SubmitError::DiskFull, "disk_full"),
        (SubmitError::ClockBehind, "clock_behind"),
        (SubmitError::NotDurable, "not_durable"),
    ] {
        let problem = Problem::from(error);
        assert_eq!((problem.status(), problem.code()), (StatusCode::SERVICE_UNAVAILABLE, code));
        assert!(problem.into_response().headers().contains_key(header::RETRY_AFTER), "{code}");
    }
    let doubted = Problem::from(SubmitError::Doubted("it ends too early".into()));
    assert_eq!((doubted.status(), doubted.code()), (StatusCode::SERVICE_UNAVAILABLE, "journal_doubted"));
    assert!(!doubted.into_response().headers().contains_key(header::RETRY_AFTER), "coming back would not help");
    let many = Problem::from(Refusal::TooManyPending { max: 1 }).into_response();
    assert!(many.headers().contains_key(header::RETRY_AFTER));
}

#[test]
fn a_bad_token_is_told_apart_from_none_and_nothing_more_is_told() {
    let challenge = |problem: Problem| {
        let response = problem.into_response();
        let challenge =
            response.headers().get(header::WWW_AUTHENTICATE).map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), challenge)
    };
    assert_eq!(challenge(Problem::not_signed_in()), (401, Some("Bearer realm=\"hallpass\"".to_owned())));
    let invalid = Problem::from(AuthnError::InvalidToken("the signature does not fit"));
    assert_eq!(invalid.body().detail, INVALID_TOKEN);
    assert_eq!(challenge(invalid), (401, Some("Bearer realm=\"hallpass\", error=\"invalid_token\"".to_owned())));
    assert_eq!(challenge(AuthnError::AmbiguousCredential.into()), (400, None));
    assert_eq!(challenge(AuthnError::KeysUnavailable.into()).0, 503);
    assert_eq!(challenge(AuthnError::Overloaded.into()).0, 503);
}
