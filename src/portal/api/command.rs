//! What all commands share: fresh ids, preconditions, and the answer that shows what became of the case.

use aws_lc_rs::rand;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::domain::activation::Activation;
use crate::portal::Portal;
use crate::portal::caller::{Commander, single};
use crate::portal::desk::Desk;
use crate::portal::problem::{Kind, Problem};
use crate::portal::wire;
use crate::writer::{Outcome, Replayed};

/// 128 random bits for a new id.
pub(in crate::portal) fn fresh_bits() -> Result<[u8; 16], Problem> {
    let mut bits = [0; 16];
    rand::fill(&mut bits).map_err(|_| Problem::new(Kind::INTERNAL, "the system gives no random bits"))?;
    Ok(bits)
}

/// The revision in `If-Match`, a strong entity tag as `ETag` gave it.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<u32>, Problem> {
    let Some(value) = single(headers, header::IF_MATCH.as_str())? else { return Ok(None) };
    let tag = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let revision = tag.filter(|tag| tag.bytes().all(|byte| byte.is_ascii_digit())).and_then(|tag| tag.parse().ok());
    revision.map(Some).ok_or_else(|| {
        Problem::new(Kind::INVALID_HEADER, "`If-Match` names one revision, exactly as `ETag` gave it, like `\"3\"`")
    })
}

/// Commands that are bound to no revision refuse a precondition they could not keep.
pub(super) fn no_precondition(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key(header::IF_MATCH) {
        return Err(Problem::new(Kind::INVALID_HEADER, "only decisions are bound to a revision; leave `If-Match` out"));
    }
    Ok(())
}

/// The answer to a command about a case.
pub(super) async fn case_answer(
    portal: &Portal,
    commander: &Commander,
    outcome: Outcome,
    status: StatusCode,
) -> Result<Response, Problem> {
    let replayed = outcome.replayed;
    let case = outcome.activation.ok_or_else(|| Problem::new(Kind::INTERNAL, "the case is missing"))?;
    let shown = shown_case(portal, commander, case).await?;
    let mut response = (status, axum::Json(&shown)).into_response();
    tag(response.headers_mut(), shown.revision);
    mark(response.headers_mut(), replayed);
    Ok(response)
}

/// The case as it is after a command.
pub(super) async fn shown_case(
    portal: &Portal,
    commander: &Commander,
    case: Activation,
) -> Result<wire::activation::Activation, Problem> {
    portal.read_even_locked(&commander.identity, move |desk: &Desk| Ok(desk.activation_done(&case))).await
}

/// The revision as entity tag.
pub(super) fn tag(headers: &mut HeaderMap, revision: u32) {
    if let Ok(value) = HeaderValue::try_from(format!("\"{revision}\"")) {
        headers.insert(header::ETAG, value);
    }
}

/// Says that this answers a command that had been carried out before.
pub(super) fn mark(headers: &mut HeaderMap, replayed: Replayed) {
    if replayed == Replayed::Yes {
        headers.insert(HeaderName::from_static("idempotent-replayed"), HeaderValue::from_static("true"));
    }
}

/// Where a new thing is found.
pub(super) fn locate(headers: &mut HeaderMap, path: &str) {
    if let Ok(value) = HeaderValue::try_from(path) {
        headers.insert(header::LOCATION, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_strong_tag_names_a_revision() {
        let read = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::IF_MATCH, HeaderValue::from_static(value));
            }
            if_match(&headers).ok()
        };
        assert_eq!(read(&[]), Some(None));
        assert_eq!(read(&["\"7\""]), Some(Some(7)));
        for refused in
            ["7", "*", "W/\"7\"", "\"7\", \"8\"", "\"\"", "\"+7\"", "\"-1\"", "\"4294967296\"", "\"a\"", "\""]
        {
            assert_eq!(read(&[refused]), None, "{refused}");
        }
        assert_eq!(read(&["\"7\"", "\"7\""]), None);
    }
}
