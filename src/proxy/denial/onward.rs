//! Where a browser goes instead of reading a refusal: to sign in, as strongly and freshly as the route demands.

use http::StatusCode;

use crate::domain::authorize::Denial;
use crate::identity::Asked;
use crate::proxy::denial::{Form, Occasion, Refused};

/// Status and address; `None` when signing in would not help, or whoever asks is no browser on its way.
pub(super) fn to_sign_in(refused: &Refused, occasion: &Occasion<'_>) -> Option<(StatusCode, String)> {
    if occasion.audience.form != Form::Browser || !occasion.signs_in {
        return None;
    }
    let asked = match refused {
        Refused::Denied(Denial::NotSignedIn | Denial::CredentialRevoked) | Refused::InvalidToken => Asked::default(),
        Refused::Denied(Denial::StepUp { rule, .. }) => Asked::of(rule),
        _ => return None,
    };
    let canonical = occasion.canonical?;
    let target = canonical.target();
    let back = [target.as_str(), target.path(), "/"].into_iter().find(|target| target.len() <= BACK_BYTES_MAX)?;
    // what was sent with an unsafe method is not sent again
    let status = if canonical.method.is_safe() { StatusCode::FOUND } else { StatusCode::SEE_OTHER };
    let gate = occasion.links.gate_url.trim_end_matches('/');
    Some((status, format!("{gate}/.hallpass/sign-in?{}", asked.query(back))))
}

const BACK_BYTES_MAX: usize = 2048;
