//! Who asks: the bearer token of this request, verified on this request, or the session of a person before a browser.

use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;

use crate::domain::command::Caller;
use crate::domain::identity::Identity;
use crate::domain::principal::Principal;
use crate::identity::{AuthnError, Presence, Session};
use crate::portal::problem::{Kind, Problem};
use crate::portal::{self, Portal, csrf};

/// The caller of a request that only reads.
pub(super) struct SignedIn {
    pub(super) identity: Arc<Identity>,
    /// What proves it, for whoever must look again.
    pub(super) proof: Proof,
}

/// What proves who asks.
#[derive(Debug, Clone)]
pub(super) enum Proof {
    /// A token, in the `Authorization` header alone.
    Token(HeaderMap),
    /// A session.
    Session(Arc<Session>),
}

/// The caller of a request that commands: counted against its limit.
pub(super) struct Commander {
    pub(super) identity: Arc<Identity>,
}

impl Commander {
    pub(super) fn caller(&self) -> Caller {
        Caller::Identity(Arc::clone(&self.identity))
    }
}

/// Lets the access log, and a page about a problem, know who asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Known(Arc<OnceLock<(String, Arc<Identity>)>>);

impl Known {
    /// Their short form; empty while nobody is known.
    pub(super) fn short(&self) -> &str {
        self.0.get().map_or("", |(short, _)| short)
    }

    pub(super) fn identity(&self) -> Option<&Arc<Identity>> {
        self.0.get().map(|(_, identity)| identity)
    }
}

impl FromRequestParts<Portal> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Problem> {
        let (identity, proof) = proven(parts, portal).await?;
        if let Some(Known(known)) = parts.extensions.get() {
            // set once: one request has one caller
            let short = portal.shared.parts.names.load().of_principal(&identity.principal);
            let _ = known.set((short, Arc::clone(&identity)));
        }
        Ok(Self { identity, proof })
    }
}

/// By a token or by a session, never by both.
async fn proven(parts: &Parts, portal: &Portal) -> Result<(Arc<Identity>, Proof), Problem> {
    let headers = &parts.headers;
    let portal::Parts { authenticator, sign_ins, clock, .. } = &portal.shared.parts;
    let site = &portal.shared.site;
    let token: HeaderMap = headers.get_all(AUTHORIZATION).iter().map(|value| (AUTHORIZATION, value.clone())).collect();
    if !sign_ins.is_offered() || !sign_ins.is_presented(site, headers) {
        let identity = authenticator.authenticate(&token, clock.now())?.ok_or_else(Problem::not_signed_in)?;
        return Ok((identity, Proof::Token(token)));
    }
    if !token.is_empty() {
        return Err(AuthnError::AmbiguousCredential.into());
    }
    let presence = if headers.contains_key(FOLLOWS) { Presence::Unknown } else { Presence::Acts };
    let session = sign_ins.identify(site, headers, presence, clock.now()).await?.ok_or_else(Problem::not_signed_in)?;
    csrf::check_session(&parts.method, headers, site)?;
    Ok((Arc::clone(session.identity()), Proof::Session(session)))
}

/// Whom a request seems to come from, as far as that can be told without waiting for anybody. It opens nothing.
pub(super) fn at_a_glance(portal: &Portal, headers: &HeaderMap) -> Option<Principal> {
    let portal::Parts { authenticator, sign_ins, clock, .. } = &portal.shared.parts;
    let session = sign_ins.at_a_glance(&portal.shared.site, headers, clock.now());
    let identity = match session {
        Some(session) => Some(Arc::clone(session.identity())),
        None => authenticator.authenticate(headers, clock.now()).ok().flatten(),
    };
    identity.map(|identity| identity.principal.clone())
}

impl FromRequestParts<Portal> for Commander {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Problem> {
        let SignedIn { identity, .. } = SignedIn::from_request_parts(parts, portal).await?;
        portal.shared.usage.command(&identity.principal, NonZeroU32::MIN)?;
        Ok(Self { identity })
    }
}

/// Sent by a page that looks again by itself. Whoever sends it otherwise only lets the own session idle.
const FOLLOWS: &str = "x-hallpass-follows";

/// The strict header value of `name`: at most once, visible ASCII.
pub(super) fn single<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match value.to_str() {
        Ok(text) if values.next().is_none() => Ok(Some(text)),
        _ => {
            Err(Problem::new(Kind::INVALID_HEADER, format!("the header `{name}` must be given once, in visible ASCII")))
        }
    }
}
