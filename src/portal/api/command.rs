//! What all commands share: who gives them and under which key, preconditions, and the answer that shows what came of it.

use std::sync::Arc;

use aws_lc_rs::rand;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::domain::activation::Activation;
use crate::domain::command::Command;
use crate::domain::identity::Identity;
use crate::domain::principal::Principal;
use crate::portal::Portal;
use crate::portal::caller::{Commander, single};
use crate::portal::desk::Desk;
use crate::portal::idempotency::Key;
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
fn if_match(headers: &HeaderMap) -> Result<Option<u32>, Problem> {
    let Some(value) = single(headers, header::IF_MATCH.as_str())? else { return Ok(None) };
    let tag = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let revision = tag.filter(|tag| tag.bytes().all(|byte| byte.is_ascii_digit())).and_then(|tag| tag.parse().ok());
    revision.map(Some).ok_or_else(|| {
        Problem::new(Kind::INVALID_HEADER, "`If-Match` names one revision, exactly as `ETag` gave it, like `\"3\"`")
    })
}

/// A command on its way: who gives it, under which key, and bound to which revision. Every handler that commands takes one.
pub(super) struct Order {
    pub(super) portal: Portal,
    pub(super) commander: Commander,
    pub(super) key: Key,
    headers: HeaderMap,
}

impl FromRequestParts<Portal> for Order {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Problem> {
        let commander = Commander::from_request_parts(parts, portal).await?;
        let key = Key::from_request_parts(parts, portal).await?;
        Ok(Self { portal: portal.clone(), commander, key, headers: parts.headers.clone() })
    }
}

impl Order {
    /// Gives a command that is bound to no revision; `body` is what was sent with it.
    pub(super) async fn given(self, command: Command, body: &[u8]) -> Result<Outcome, Problem> {
        self.unconditional()?;
        self.portal.command(&self.commander, command, self.key.with(body)?).await
    }

    /// The same, answered with what `tell` makes of the outcome.
    pub(super) async fn told<T: Serialize>(
        self,
        command: Command,
        body: &[u8],
        tell: impl FnOnce(&Outcome) -> Result<T, Problem>,
    ) -> Result<Response, Problem> {
        let outcome = self.given(command, body).await?;
        let mut response = axum::Json(tell(&outcome)?).into_response();
        mark(response.headers_mut(), outcome.replayed);
        Ok(response)
    }

    /// The same for a command about a case, answered with what became of it.
    pub(super) async fn on_case(self, command: Command, body: &[u8]) -> Result<Response, Problem> {
        let (portal, identity) = (self.portal.clone(), Arc::clone(&self.commander.identity));
        let outcome = self.given(command, body).await?;
        case_answer(&portal, &identity, outcome, StatusCode::OK).await
    }

    /// The same for a decision, which is bound to the revision its approver saw: that of `If-Match`, or `named` in the body.
    pub(super) async fn on_revision(
        self,
        named: Option<u32>,
        body: &[u8],
        command: impl FnOnce(u32) -> Result<Command, Problem>,
    ) -> Result<Response, Problem> {
        let precondition = if_match(&self.headers)?;
        let revision = match (precondition, named) {
            (Some(header), Some(member)) if header != member => {
                let detail = "`If-Match` and `revision` name different revisions";
                return Err(Problem::member(Kind::INVALID_BODY, "/revision", detail));
            }
            (Some(revision), _) | (None, Some(revision)) => revision,
            (None, None) => {
                let detail = "a decision names the revision its approver saw, as `revision` or `If-Match`";
                return Err(Problem::new(Kind::REVISION_MISSING, detail));
            }
        };
        let outcome = self.portal.command(&self.commander, command(revision)?, self.key.with(body)?).await;
        let of_header = |problem: Problem| if precondition.is_some() { problem.of_precondition() } else { problem };
        case_answer(&self.portal, &self.commander.identity, outcome.map_err(of_header)?, StatusCode::OK).await
    }

    /// Commands that are bound to no revision refuse a precondition they could not keep.
    pub(super) fn unconditional(&self) -> Result<(), Problem> {
        if self.headers.contains_key(header::IF_MATCH) {
            let detail = "only decisions are bound to a revision; leave `If-Match` out";
            return Err(Problem::new(Kind::INVALID_HEADER, detail));
        }
        Ok(())
    }

    /// The principal of this short form, `issuer:subject`.
    pub(super) fn principal(&self, short: &str) -> Result<Principal, Problem> {
        self.portal.shared.parts.names.load().principal(short).ok_or_else(Problem::unknown)
    }
}

/// The answer to a command about a case.
pub(super) async fn case_answer(
    portal: &Portal,
    identity: &Arc<Identity>,
    outcome: Outcome,
    status: StatusCode,
) -> Result<Response, Problem> {
    let replayed = outcome.replayed;
    let case = outcome.activation.ok_or_else(|| Problem::new(Kind::INTERNAL, "the case is missing"))?;
    let shown = shown_case(portal, identity, case).await?;
    let mut response = (status, axum::Json(&shown)).into_response();
    tag(response.headers_mut(), shown.revision);
    mark(response.headers_mut(), replayed);
    Ok(response)
}

/// The case as it is after a command.
pub(super) async fn shown_case(
    portal: &Portal,
    identity: &Arc<Identity>,
    case: Activation,
) -> Result<wire::activation::Activation, Problem> {
    portal.read_even_locked(identity, move |desk: &Desk| Ok(desk.activation_done(&case))).await
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
