//! The one place of the portal where an error becomes a status: RFC 9457 problems, their titles and types fixed per code.

mod table;
#[cfg(test)]
mod tests;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::format_rfc3339;
use crate::domain::refusal::{Refusal, Refusals};
use crate::identity::AuthnError;
use crate::portal::wire::common::Ending;
use crate::portal::wire::cut::Cut;
use crate::store::StoreError;
use crate::writer::SubmitError;

pub(super) use table::{Kind, kind_of};

/// What went wrong, on its way out.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    kind: Kind,
    /// Beside the kind: most answers are none, and all carry the room for one.
    told: Box<Told>,
}

#[derive(Debug, Clone, Default)]
struct Told {
    detail: String,
    errors: Vec<ErrorItem>,
    challenge: Option<HeaderValue>,
    retry_after_seconds: Option<u32>,
    refusals: Option<Refusals>,
    cut: Option<Cut>,
}

/// A problem as JSON, `application/problem+json`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ProblemBody {
    /// Names the kind of problem; its last part is a stable code.
    #[serde(rename = "type")]
    #[schema(example = "https://hallpass.dev/problems/not_eligible")]
    kind: String,
    title: String,
    status: u16,
    detail: String,
    /// Every rule that was broken; the first names the problem as a whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ErrorItem>,
    /// When cases and assignments were cut out of the journal: what is unknown may be one of them. It is the same whatever was
    /// asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<Cut>,
}

/// One broken rule.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(super) struct ErrorItem {
    /// Stable code, as in a problem's type.
    code: String,
    detail: String,
    /// The member of the request it speaks of, as JSON pointer (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    /// What the rule allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<Bound>,
    /// What was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    given: Option<Bound>,
    /// The case that stands in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    activation: Option<String>,
    /// The revision the case is at.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u32>,
    /// How the case ended, when it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    ending: Option<Ending>,
}

/// What a rule allows, or what was given.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Bound {
    /// A count.
    Count(usize),
    /// A span, an instant or a pattern.
    Text(String),
    /// Any of several.
    AnyOf(Vec<String>),
}

impl Problem {
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, told: Box::new(Told { detail: detail.into(), ..Told::default() }) }
    }

    /// There is no such object, or none this caller may know of: always the same answer.
    pub(super) fn unknown() -> Self {
        Refusal::Unknown.into()
    }

    /// One member of the request is wrong.
    pub(super) fn member(kind: Kind, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let item = ErrorItem {
            code: kind.code.to_owned(),
            detail: detail.clone(),
            pointer: Some(pointer.into()),
            ..ErrorItem::default()
        };
        Self { kind, told: Box::new(Told { detail, errors: vec![item], ..Told::default() }) }
    }

    pub(super) fn retry_after(mut self, seconds: u32) -> Self {
        self.told.retry_after_seconds = Some(seconds);
        self
    }

    /// The same, where old cases and assignments were cut out of the journal.
    pub(super) fn after(mut self, cut: Cut) -> Self {
        self.told.cut = Some(cut);
        self
    }

    fn challenge(mut self, challenge: HeaderValue) -> Self {
        self.told.challenge = Some(challenge);
        self
    }

    /// A revision that came as `If-Match` and no longer holds is a failed precondition.
    pub(super) fn of_precondition(mut self) -> Self {
        if self.kind.code == table::REVISION_CHANGED {
            self.kind.status = StatusCode::PRECONDITION_FAILED;
        }
        self
    }

    pub(super) fn status(&self) -> StatusCode {
        self.kind.status
    }

    pub(super) fn code(&self) -> &'static str {
        self.kind.code
    }

    pub(super) fn title(&self) -> &'static str {
        self.kind.title
    }

    pub(super) fn detail(&self) -> &str {
        &self.told.detail
    }

    /// Every rule that was broken: the member of the request it speaks of, when there is one, and what it says.
    pub(super) fn members(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        self.told
            .errors
            .iter()
            .map(|item| (item.pointer.as_deref().map(|pointer| pointer.trim_start_matches('/')), item.detail.as_str()))
    }

    /// The newest cut of the journal, with which what is unknown may have gone.
    pub(super) fn cut(&self) -> Option<&Cut> {
        self.told.cut.as_ref()
    }

    /// The rules of the domain that were broken, when it was the domain that said no.
    pub(super) fn refusals(&self) -> Option<&Refusals> {
        self.told.refusals.as_ref()
    }

    pub(super) fn body(&self) -> ProblemBody {
        ProblemBody {
            kind: format!("{TYPE_BASE}{}", self.kind.code),
            title: self.kind.title.to_owned(),
            status: self.kind.status.as_u16(),
            detail: self.told.detail.clone(),
            errors: self.told.errors.clone(),
            cut: self.told.cut.clone(),
        }
    }
}

const TYPE_BASE: &str = "https://hallpass.dev/problems/";
/// Which of these it is stands in the log: whoever shows a forged token is not told what to change.
const INVALID_TOKEN: &str = "the token has expired, was meant for somebody else, or was not signed by a known issuer; get a \
    new one and try again";
/// Challenge of RFC 6750 for a token that does not count.
const BAD_TOKEN: &str = "Bearer realm=\"hallpass\", error=\"invalid_token\"";
/// How long to stay away when the machine, not the caller, is the reason.
const PAUSE_SECONDS: u32 = 2;
/// How long to stay away when too many requests wait for approval.
const PENDING_PAUSE_SECONDS: u32 = 60;

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.body()).unwrap_or_default();
        let mut response = (self.kind.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(challenge) = &self.told.challenge {
            headers.insert(header::WWW_AUTHENTICATE, challenge.clone());
        }
        if let Some(seconds) = self.told.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(Code(self.kind.code));
        response.extensions_mut().insert(self);
        response
    }
}

/// Carries a problem's code to the access log, beside the answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Code(pub(super) &'static str);

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Refusals::from(refusal).into()
    }
}

impl From<Refusals> for Problem {
    fn from(refusals: Refusals) -> Self {
        let first = refusals.first();
        let kind = kind_of(first);
        let told = Told {
            detail: first.to_string(),
            errors: items(&refusals),
            challenge: match first {
                Refusal::CredentialRevoked => Some(HeaderValue::from_static(BAD_TOKEN)),
                _ => (kind.status == StatusCode::UNAUTHORIZED).then(|| step_up(&refusals)),
            },
            retry_after_seconds: matches!(first, Refusal::TooManyPending { .. }).then_some(PENDING_PAUSE_SECONDS),
            refusals: Some(refusals),
            cut: None,
        };
        Self { kind, told: Box::new(told) }
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        let kind = match error {
            SubmitError::Refused(refusals) => return refusals.into(),
            SubmitError::Busy => Kind::BUSY,
            SubmitError::Unavailable => Kind::UNAVAILABLE,
            SubmitError::DiskFull => Kind::DISK_FULL,
            SubmitError::ClockBehind => Kind::CLOCK_BEHIND,
            // nothing changes before somebody has restored or confirmed it
            SubmitError::Doubted(_) => return Self::new(Kind::JOURNAL_DOUBTED, error.to_string()),
            SubmitError::NotDurable => Kind::NOT_DURABLE,
        };
        Self::new(kind, error.to_string()).retry_after(PAUSE_SECONDS)
    }
}

impl From<StoreError> for Problem {
    /// Logged here, once; outside there is only that the journal cannot be read.
    fn from(error: StoreError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "the portal could not read the store");
        Self::new(Kind::UNAVAILABLE, "the journal cannot be read at present").retry_after(PAUSE_SECONDS)
    }
}

impl From<AuthnError> for Problem {
    fn from(error: AuthnError) -> Self {
        match error {
            AuthnError::AmbiguousCredential => Self::new(Kind::AMBIGUOUS_CREDENTIAL, error.to_string()),
            // the reason is for the log: it would help nobody but a forger
            AuthnError::InvalidToken(reason) => {
                tracing::debug!(reason, "a token was refused at the portal");
                Self::new(Kind::INVALID_TOKEN, INVALID_TOKEN).challenge(HeaderValue::from_static(BAD_TOKEN))
            }
            AuthnError::KeysUnavailable | AuthnError::SessionUnavailable => {
                Self::new(Kind::KEYS_UNAVAILABLE, error.to_string()).retry_after(PAUSE_SECONDS)
            }
            AuthnError::Overloaded => Self::new(Kind::OVERLOADED, error.to_string()).retry_after(PAUSE_SECONDS),
        }
    }
}

impl Problem {
    /// The request carries no credential.
    pub(super) fn not_signed_in() -> Self {
        let challenge = HeaderValue::from_static("Bearer realm=\"hallpass\"");
        Self::new(Kind::NOT_SIGNED_IN, "send an access token in a header `Authorization: Bearer TOKEN`")
            .challenge(challenge)
    }
}

/// All refusals as items of `errors`.
pub(super) fn items(refusals: &Refusals) -> Vec<ErrorItem> {
    refusals.iter().map(ErrorItem::of).collect()
}

impl ErrorItem {
    fn of(refusal: &Refusal) -> Self {
        let mut item = Self {
            code: refusal.code().to_owned(),
            detail: refusal.to_string(),
            pointer: refusal.member().map(|member| format!("/{member}")),
            ..Self::default()
        };
        match refusal {
            Refusal::JustificationTooShort { min: limit, given }
            | Refusal::JustificationTooLong { max: limit, given } => {
                item.limit = Some(Bound::Count(*limit));
                item.given = Some(Bound::Count(*given));
            }
            Refusal::JustificationPattern { pattern } | Refusal::TicketPattern { pattern } => {
                item.limit = Some(Bound::Text(pattern.clone()));
            }
            Refusal::DurationBelowMinimum { min: limit, given }
            | Refusal::DurationAboveMaximum { max: limit, given }
            | Refusal::TotalExceeded { max: limit, given } => {
                item.limit = Some(Bound::Text(limit.to_string()));
                item.given = Some(Bound::Text(given.to_string()));
            }
            Refusal::StartInPast { given } => item.given = Some(Bound::Text(format_rfc3339(*given))),
            Refusal::StartTooFar { max, given } => {
                item.limit = Some(Bound::Text(max.to_string()));
                item.given = Some(Bound::Text(format_rfc3339(*given)));
            }
            Refusal::AcrRequired { acr } => item.limit = Some(Bound::AnyOf(acr.clone())),
            Refusal::SignInTooOld { max_age } => item.limit = Some(Bound::Text(max_age.to_string())),
            Refusal::AlreadyPending { activation } => item.activation = Some(activation.to_string()),
            Refusal::TooManyPending { max } => item.limit = Some(Bound::Count(*max)),
            Refusal::RevisionChanged { current } => item.revision = Some(*current),
            Refusal::AlreadyEnded { ending } => item.ending = ending.map(Ending::from),
            _ => {}
        }
        item
    }
}

/// The challenge of RFC 9470 for all that falls short of the sign-in.
fn step_up(refusals: &Refusals) -> HeaderValue {
    let mut challenge = String::from(
        "Bearer realm=\"hallpass\", error=\"insufficient_user_authentication\", \
         error_description=\"a stronger or fresher sign-in is required\"",
    );
    for refusal in refusals.iter() {
        match refusal {
            Refusal::AcrRequired { acr } => {
                let values: Vec<_> = acr.iter().map(String::as_str).filter(|value| is_level(value)).collect();
                if !values.is_empty() {
                    challenge.push_str(&format!(", acr_values=\"{}\"", values.join(" ")));
                }
            }
            Refusal::SignInTooOld { max_age } => {
                challenge.push_str(&format!(", max_age=\"{}\"", max_age.as_seconds()));
            }
            _ => {}
        }
    }
    HeaderValue::try_from(challenge)
        .unwrap_or(HeaderValue::from_static("Bearer realm=\"hallpass\", error=\"insufficient_user_authentication\""))
}

/// Whether a level can stand in a quoted, space-separated list as it is.
fn is_level(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
}
