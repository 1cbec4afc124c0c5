//! Why the domain says no: one variant per rule, with a stable code.
//!
//! A refusal is not an error of the machine. All rules a command breaks are told at once.

use crate::domain::activation::Ending;
use crate::domain::id::ActivationId;
use crate::domain::time::{Span, Timestamp};

/// One rule that a command breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No eligible assignment covers the whole wished window.
    #[error("you are not eligible for this role for the whole time asked for, or there is no such role")]
    NotEligible,
    /// Configuration knows no such role.
    #[error("there is no such role")]
    RoleUnknown,
    /// The principal is locked.
    #[error("the principal is locked")]
    PrincipalLocked,
    /// The caller's credential was issued before all of that age were revoked.
    #[error("your credentials of this age were revoked; sign in again")]
    CredentialRevoked,
    /// A justification is required.
    #[error("a justification is required")]
    JustificationMissing,
    /// The justification is too short.
    #[error("the justification is {given} long; at least {min} characters are required")]
    JustificationTooShort {
        /// Fewest characters.
        min: usize,
        /// Characters given.
        given: usize,
    },
    /// The justification is too long.
    #[error("the justification is {given} long; at most {max} characters are allowed")]
    JustificationTooLong {
        /// Most characters.
        max: usize,
        /// Characters given.
        given: usize,
    },
    /// The justification does not match the role's pattern.
    #[error("the justification does not match the pattern `{pattern}`")]
    JustificationPattern {
        /// The pattern as configured.
        pattern: String,
    },
    /// A ticket is required.
    #[error("a ticket is required")]
    TicketMissing,
    /// The ticket does not match the role's pattern.
    #[error("the ticket does not match the pattern `{pattern}`")]
    TicketPattern {
        /// The pattern as configured.
        pattern: String,
    },
    /// Shorter than the role allows.
    #[error("the duration is {given}; the shortest is {min}")]
    DurationBelowMinimum {
        /// Shortest length.
        min: Span,
        /// Length asked for.
        given: Span,
    },
    /// Longer than allowed.
    #[error("the duration is {given}; the longest is {max}")]
    DurationAboveMaximum {
        /// Longest length.
        max: Span,
        /// Length asked for.
        given: Span,
    },
    /// All extensions together exceed the cap.
    #[error("with this extension the activation would last {given}; the longest in total is {max}")]
    TotalExceeded {
        /// Longest total.
        max: Span,
        /// Total asked for.
        given: Span,
    },
    /// The start lies in the past, or before the start asked for.
    #[error("the start lies too early")]
    StartInPast {
        /// Start asked for.
        given: Timestamp,
    },
    /// The start lies too far ahead.
    #[error("the start lies more than {max} ahead")]
    StartTooFar {
        /// Farthest start.
        max: Span,
        /// Start asked for.
        given: Timestamp,
    },
    /// A window that ends before it begins.
    #[error("the end does not lie after the start and after now")]
    WindowInvalid,
    /// Multi-factor sign-in is required.
    #[error("a sign-in with a second factor is required")]
    MfaRequired {
        /// Any of these methods proves it.
        amr: Vec<String>,
    },
    /// A named assurance level is required.
    #[error("a sign-in of level {} is required", acr.join(" or "))]
    AcrRequired {
        /// Any of these suffices.
        acr: Vec<String>,
    },
    /// A fresher sign-in is required.
    #[error("a sign-in younger than {max_age} is required")]
    SignInTooOld {
        /// Oldest sign-in accepted.
        max_age: Span,
    },
    /// The principal already waits for this role.
    #[error("a request for this role is already pending")]
    AlreadyPending {
        /// The open case.
        activation: ActivationId,
    },
    /// Too many requests wait.
    #[error("too many requests are pending; at most {max} may wait")]
    TooManyPending {
        /// Most requests that may wait.
        max: usize,
    },
    /// The case or assignment is over.
    #[error("it has already ended")]
    AlreadyEnded {
        /// How the case ended; `None` speaks of an assignment.
        ending: Option<Ending>,
    },
    /// The case does not wait for a decision.
    #[error("nothing is pending here")]
    NotPending,
    /// The role is not held.
    #[error("the activation is not active")]
    NotActive,
    /// Not one who may decide on this case.
    #[error("you are not an approver of this request")]
    NotAnApprover,
    /// The requester may not decide.
    #[error("nobody decides on their own request")]
    SelfApproval,
    /// This approver has spoken already.
    #[error("you have already decided on this request")]
    AlreadyDecided,
    /// An approver of another stage than the open one.
    #[error("your stage of the approval is not open")]
    StageNotOpen,
    /// The case changed since the approver looked.
    #[error("the request has changed since you saw it; it is at revision {current}")]
    RevisionChanged {
        /// The revision it is at.
        current: u32,
    },
    /// Only the holder may do this.
    #[error("only its holder may do this")]
    NotHolder,
    /// Only administrators may do this.
    #[error("only an administrator may do this")]
    NotAdministrator,
    /// There would be no administrator left.
    #[error("the last administrator cannot be removed")]
    LastAdministrator,
    /// Policy demands an end.
    #[error("a permanent assignment of this kind is forbidden for this role")]
    PermanentForbidden,
    /// The role's extension rule says no.
    #[error("activations of this role cannot be extended")]
    ExtensionForbidden,
    /// What configuration made, only configuration changes.
    #[error("this assignment is declared in the configuration and can only be changed there")]
    DeclaredInConfiguration,
    /// The policy became stricter than this case can satisfy.
    #[error("the role's policy has changed; a new request is needed")]
    PolicyChanged,
    /// The same idempotency key came with another body.
    #[error("this idempotency key was used with another request")]
    IdempotencyMismatch,
    /// There is no such object, or none this caller may know of.
    #[error("there is no such object")]
    Unknown,
}

/// All rules a command breaks; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusals(Vec<Refusal>);

impl Refusals {
    /// Nothing when no rule is broken.
    ///
    /// # Errors
    /// The refusals, when there are any.
    pub fn none_of(refusals: Vec<Refusal>) -> Result<(), Self> {
        if refusals.is_empty() { Ok(()) } else { Err(Self(refusals)) }
    }

    /// The first: it names the problem as a whole.
    #[must_use]
    pub fn first(&self) -> &Refusal {
        self.0.first().unwrap_or(&Refusal::Unknown)
    }

    /// All of them, in the order of the rules.
    pub fn iter(&self) -> impl Iterator<Item = &Refusal> {
        self.0.iter()
    }
}

impl From<Refusal> for Refusals {
    fn from(refusal: Refusal) -> Self {
        Self(vec![refusal])
    }
}

impl Refusal {
    /// The stable code: the last part of the problem type.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotEligible => "not_eligible",
            Self::RoleUnknown => "role_unknown",
            Self::PrincipalLocked => "principal_locked",
            Self::CredentialRevoked => "credential_revoked",
            Self::JustificationMissing => "justification_missing",
            Self::JustificationTooShort { .. } => "justification_too_short",
            Self::JustificationTooLong { .. } => "justification_too_long",
            Self::JustificationPattern { .. } => "justification_pattern",
            Self::TicketMissing => "ticket_missing",
            Self::TicketPattern { .. } => "ticket_pattern",
            Self::DurationBelowMinimum { .. } => "duration_below_minimum",
            Self::DurationAboveMaximum { .. } => "duration_above_maximum",
            Self::TotalExceeded { .. } => "total_exceeded",
            Self::StartInPast { .. } => "start_in_past",
            Self::StartTooFar { .. } => "start_too_far",
            Self::WindowInvalid => "window_invalid",
            Self::MfaRequired { .. } => "mfa_required",
            Self::AcrRequired { .. } => "acr_required",
            Self::SignInTooOld { .. } => "sign_in_too_old",
            Self::AlreadyPending { .. } => "already_pending",
            Self::TooManyPending { .. } => "too_many_pending",
            Self::AlreadyEnded { .. } => "already_ended",
            Self::NotPending => "not_pending",
            Self::NotActive => "not_active",
            Self::NotAnApprover => "not_an_approver",
            Self::SelfApproval => "self_approval",
            Self::AlreadyDecided => "already_decided",
            Self::StageNotOpen => "stage_not_open",
            Self::RevisionChanged { .. } => "revision_changed",
            Self::NotHolder => "not_holder",
            Self::NotAdministrator => "not_administrator",
            Self::LastAdministrator => "last_administrator",
            Self::PermanentForbidden => "permanent_forbidden",
            Self::ExtensionForbidden => "extension_forbidden",
            Self::DeclaredInConfiguration => "declared_in_configuration",
            Self::PolicyChanged => "policy_changed",
            Self::IdempotencyMismatch => "idempotency_mismatch",
            Self::Unknown => "unknown",
        }
    }

    /// The member of the command it speaks of, when there is one.
    #[must_use]
    pub const fn member(&self) -> Option<&'static str> {
        match self {
            Self::JustificationMissing
            | Self::JustificationTooShort { .. }
            | Self::JustificationTooLong { .. }
            | Self::JustificationPattern { .. } => Some("justification"),
            Self::TicketMissing | Self::TicketPattern { .. } => Some("ticket"),
            Self::DurationBelowMinimum { .. } | Self::DurationAboveMaximum { .. } | Self::TotalExceeded { .. } => {
                Some("duration")
            }
            Self::StartInPast { .. } | Self::StartTooFar { .. } => Some("starts_at"),
            Self::WindowInvalid | Self::PermanentForbidden => Some("ends_at"),
            Self::RoleUnknown | Self::NotEligible => Some("role"),
            Self::RevisionChanged { .. } => Some("revision"),
            Self::PrincipalLocked
            | Self::CredentialRevoked
            | Self::MfaRequired { .. }
            | Self::AcrRequired { .. }
            | Self::SignInTooOld { .. }
            | Self::AlreadyPending { .. }
            | Self::TooManyPending { .. }
            | Self::AlreadyEnded { .. }
            | Self::NotPending
            | Self::NotActive
            | Self::NotAnApprover
            | Self::SelfApproval
            | Self::AlreadyDecided
            | Self::StageNotOpen
            | Self::NotHolder
            | Self::NotAdministrator
            | Self::LastAdministrator
            | Self::ExtensionForbidden
            | Self::DeclaredInConfiguration
            | Self::PolicyChanged
            | Self::IdempotencyMismatch
            | Self::Unknown => None,
        }
    }
}
