//! The refusal as RFC 9457 problem document, and as Kubernetes `Status`.

use http::StatusCode;
use serde::Serialize;

use crate::clock::format_rfc3339;
use crate::domain::authorize::{Curable, Denial};
use crate::domain::policy::AssuranceRule;
use crate::domain::time::Span;
use crate::identity::words;
use crate::proxy::denial::telling::{Telling, Way};
use crate::proxy::denial::{Occasion, Refused};

#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    request_id: &'a str,
    #[serde(flatten)]
    first: Option<Needed>,
    /// Every role, when there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roles: Vec<Needed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_request: Option<AccessRequest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assurance: Option<&'a AssuranceRule>,
}

/// A role that would cure the denial.
#[derive(Clone, Serialize)]
struct Needed {
    role: String,
    activation_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    starts_at: Option<String>,
    /// What the role opens.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Who must agree, in words; left out where nobody has to.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<String>,
    /// The usual time to a decision, a span.
    #[serde(skip_serializing_if = "Option::is_none")]
    usual_decision: Option<String>,
    /// The longest activation, a span.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_max: Option<String>,
    /// Since when the request waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    requested_at: Option<String>,
    /// When the request no longer waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    lapses_at: Option<String>,
    /// What to type; not there while there is nothing to ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_command: Option<String>,
}

/// `context.access_request` of the AuthZEN access request profile.
#[derive(Serialize)]
struct AccessRequest {
    expires_at: String,
    form_url: String,
    display: String,
}

/// The problem document.
pub(super) fn problem(refused: &Refused, telling: &Telling, occasion: &Occasion<'_>) -> Vec<u8> {
    let (mut roles, mut assurance) = (Vec::new(), None);
    match refused {
        Refused::Denied(Denial::Requestable(curables)) => {
            roles = curables.iter().map(|curable| needed(curable, occasion)).collect();
        }
        Refused::Denied(Denial::StepUp { rule, .. }) => assurance = Some(rule),
        _ => {}
    }
    let first = roles.first().cloned();
    if roles.len() < 2 {
        roles.clear();
    }
    let access_request = first.as_ref().filter(|needed| needed.request_command.is_some()).map(|needed| AccessRequest {
        expires_at: format_rfc3339(occasion.now.plus(DENIAL_LIFE)),
        form_url: needed.activation_url.clone(),
        display: format!("activate role {}", needed.role),
    });
    json(&Problem {
        kind: format!("{TYPES}{}", telling.code),
        title: telling.title,
        status: telling.status.as_u16(),
        detail: &telling.detail,
        request_id: occasion.request_id,
        first,
        roles,
        access_request,
        assurance,
    })
}

/// The Kubernetes `Status`, which kubectl prints as one line.
pub(super) fn status(telling: &Telling, retry_after: Option<u64>) -> Vec<u8> {
    json(&Status {
        kind: "Status",
        api_version: "v1",
        metadata: serde_json::Map::new(),
        status: "Failure",
        message: format!("hallpass: {}", telling.detail),
        reason: reason(telling.status),
        details: retry_after.map(|retry_after_seconds| Details { retry_after_seconds }),
        code: telling.status.as_u16(),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    kind: &'static str,
    api_version: &'static str,
    metadata: serde_json::Map<String, serde_json::Value>,
    status: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
    code: u16,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    retry_after_seconds: u64,
}

/// `metav1.StatusReason`, where Kubernetes has a word for the status.
const fn reason(status: StatusCode) -> Option<&'static str> {
    match status {
        StatusCode::BAD_REQUEST => Some("BadRequest"),
        StatusCode::UNAUTHORIZED => Some("Unauthorized"),
        StatusCode::FORBIDDEN => Some("Forbidden"),
        StatusCode::NOT_FOUND => Some("NotFound"),
        StatusCode::METHOD_NOT_ALLOWED => Some("MethodNotAllowed"),
        StatusCode::PAYLOAD_TOO_LARGE => Some("RequestEntityTooLarge"),
        StatusCode::GATEWAY_TIMEOUT => Some("Timeout"),
        StatusCode::INTERNAL_SERVER_ERROR => Some("InternalError"),
        StatusCode::SERVICE_UNAVAILABLE => Some("ServiceUnavailable"),
        _ => None,
    }
}

fn json(document: &impl Serialize) -> Vec<u8> {
    // structs of text and numbers always have a JSON form
    serde_json::to_vec(document).unwrap_or_default()
}

fn needed(curable: &Curable, occasion: &Occasion<'_>) -> Needed {
    let policy = occasion.policies.role(&curable.role);
    let approval = policy.and_then(|policy| words::approval(&policy.approval, occasion.names));
    let pace = occasion.paces.of(&curable.role).filter(|_| approval.is_some());
    Needed {
        description: policy.map(|policy| policy.description.clone()).filter(|text| !text.is_empty()),
        approval,
        usual_decision: pace.map(|pace| pace.about().to_string()),
        duration_max: policy.map(|policy| policy.activation.max.to_string()),
        requested_at: curable.pending.as_ref().map(|pending| format_rfc3339(pending.requested_at)),
        lapses_at: curable.pending.as_ref().map(|pending| format_rfc3339(pending.lapses_at)),
        role: curable.role.to_string(),
        activation_url: occasion.links.activation(curable, occasion.canonical),
        pending: curable.pending.as_ref().map(|pending| pending.activation.to_string()),
        starts_at: curable.starts_at.map(format_rfc3339),
        request_command: match Way::of(curable, &occasion.links.portal_url) {
            Way::Request(command) => Some(command),
            Way::Wait => None,
        },
    }
}

const TYPES: &str = "https://hallpass.dev/problems/";
/// How long a denial may be turned into a request; the answer may differ afterwards.
const DENIAL_LIFE: Span = Span::minutes(10);
