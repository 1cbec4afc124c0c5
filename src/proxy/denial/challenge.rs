//! `WWW-Authenticate`, by RFC 6750 and RFC 9470.

use crate::domain::authorize::Denial;
use crate::domain::policy::AssuranceRule;
use crate::proxy::canonical::BadRequest;
use crate::proxy::denial::{Form, Refused};

/// The challenge of a refusal; `None` when a credential would change nothing.
pub(super) fn of(refused: &Refused, form: Form) -> Option<String> {
    match refused {
        // nobody sent a token, so nothing is said to be wrong with one (RFC 6750, section 3.1)
        Refused::Denied(Denial::NotSignedIn) => Some(REALM.to_owned()),
        Refused::InvalidToken | Refused::Denied(Denial::CredentialRevoked) => {
            Some(format!("{REALM}, error=\"invalid_token\""))
        }
        Refused::AmbiguousCredential | Refused::BadRequest(BadRequest::Credentials) => {
            Some(format!("{REALM}, error=\"invalid_request\""))
        }
        Refused::Denied(Denial::StepUp { rule, .. }) => Some(step_up(rule)),
        Refused::Denied(Denial::Requestable(_)) if form != Form::Browser => {
            Some(format!("{REALM}, error=\"insufficient_scope\""))
        }
        _ => None,
    }
}

/// All that the rule demands, not only what is missing: a new sign-in must satisfy the whole of it.
fn step_up(rule: &AssuranceRule) -> String {
    let mut challenge = format!("{REALM}, error=\"insufficient_user_authentication\"");
    let levels: Vec<String> = rule.acr.iter().filter_map(|level| quotable(level)).collect();
    if !levels.is_empty() {
        challenge.push_str(&format!(", acr_values=\"{}\"", levels.join(" ")));
    }
    if let Some(max_age) = rule.max_age {
        challenge.push_str(&format!(", max_age=\"{}\"", max_age.as_seconds()));
    }
    challenge
}

/// A level inside a quoted string; one with spaces or signs that no header holds cannot be asked for.
fn quotable(level: &str) -> Option<String> {
    let visible = !level.is_empty() && level.bytes().all(|byte| byte.is_ascii_graphic());
    visible.then(|| level.replace('\\', "\\\\").replace('"', "\\\""))
}

const REALM: &str = "Bearer realm=\"hallpass\"";
