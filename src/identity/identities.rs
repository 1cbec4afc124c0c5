//! One core's way to identities.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderMap;

use super::authenticator::Authenticator;
use super::budget::Budget;
use super::cache::Cache;
use super::credential;
use super::error::AuthnError;
use super::session::{Session, State};
use super::sign_in::{Presence, SignIns};
use super::site::{Presented, Site};
use crate::clock::awake;
use crate::domain::identity::Identity;
use crate::domain::time::Timestamp;

/// One core's way to identities: the authenticator, a cache of verified tokens, a budget for new ones. Not shared.
#[derive(Debug)]
pub struct Identities {
    authenticator: Authenticator,
    cache: RefCell<Cache>,
    budget: Budget,
    sessions: Option<Known>,
}

/// The sessions one core has seen, by their cookies. One that moved is looked up again.
#[derive(Debug)]
struct Known {
    sign_ins: SignIns,
    by_cookie: RefCell<HashMap<Box<[u8]>, Arc<Session>>>,
    capacity: usize,
}

/// Whom a request proves, and by what.
#[derive(Debug, Clone, PartialEq)]
pub struct Proven {
    /// Who it is.
    pub identity: Arc<Identity>,
    /// The session that says so; `None` for a bearer token.
    pub session: Option<Arc<Session>>,
}

impl Identities {
    /// For one core; holds at most `capacity` verified tokens.
    #[must_use]
    pub fn new(authenticator: Authenticator, capacity: usize) -> Self {
        Self { authenticator, cache: RefCell::new(Cache::new(capacity)), budget: Budget::new(), sessions: None }
    }

    /// The same, also for people who signed in with a browser.
    #[must_use]
    pub fn with_sign_ins(self, sign_ins: SignIns, capacity: usize) -> Self {
        let known = Known { sign_ins, by_cookie: RefCell::default(), capacity: capacity.max(1) };
        Self { sessions: Some(known), ..self }
    }

    /// How people sign in and out here, where they do.
    #[must_use]
    pub fn sign_ins(&self) -> Option<&SignIns> {
        self.sessions.as_ref().map(|known| &known.sign_ins).filter(|sign_ins| sign_ins.is_offered())
    }

    /// Whom the request proves at `site`, by its bearer token or by the cookie of a session; `None` when it proves nobody. A
    /// cookie that is damaged, unknown, of another site or there twice is as good as none; a cookie beside a token is
    /// one credential too many.
    ///
    /// # Errors
    /// [`AuthnError`].
    pub async fn prove(&self, headers: &HeaderMap, site: &Site, now: Timestamp) -> Result<Option<Proven>, AuthnError> {
        let presented = match &self.sessions {
            Some(known) if known.sign_ins.is_offered() => Some((known, site.session(headers))),
            _ => None,
        };
        let Some((known, cookie)) = presented.filter(|(_, cookie)| *cookie != Presented::Nothing) else {
            let identity = self.identify(headers, now).await?;
            return Ok(identity.map(|identity| Proven { identity, session: None }));
        };
        if credential::bearer(headers)?.is_some() {
            return Err(AuthnError::AmbiguousCredential);
        }
        let Some(cookie) = cookie.one() else { return Ok(None) };
        let session = match known.good(cookie, site, now) {
            Some(session) => Some(session),
            None => Box::pin(known.find(cookie, site, now)).await?,
        };
        Ok(session.map(|session| Proven { identity: Arc::clone(session.identity()), session: Some(session) }))
    }

    /// Who the request's `Authorization` header proves; `None` when it carries no credential. Waits only with a token that
    /// is new to this core, and only while new ones have used up their share of it.
    ///
    /// # Errors
    /// [`AuthnError`].
    pub async fn identify(&self, headers: &HeaderMap, now: Timestamp) -> Result<Option<Arc<Identity>>, AuthnError> {
        let Some(token) = credential::bearer(headers)? else { return Ok(None) };
        let counters = self.authenticator.counters();
        if let Some(identity) = self.known(token, now) {
            counters.hits.inc();
            return Ok(Some(identity));
        }
        counters.misses.inc();
        // boxed, so that the common road stays small
        Box::pin(self.newcomer(token, now)).await.map(Some)
    }

    fn known(&self, token: &[u8], now: Timestamp) -> Option<Arc<Identity>> {
        self.cache.borrow_mut().get(token, now, self.authenticator.generation())
    }

    async fn newcomer(&self, token: &[u8], now: Timestamp) -> Result<Arc<Identity>, AuthnError> {
        let text = credential::text(token)?;
        self.budget.enter().await?;
        // the wait may have been long, and somebody else may have brought the same token meanwhile
        let now = now.max(self.authenticator.now());
        if let Some(identity) = self.known(token, now) {
            return Ok(identity);
        }
        let began = awake();
        // before the keys are read: should they change in between, the entry is already of the past
        let generation = self.authenticator.generation();
        let outcome = self.authenticator.examine(text, now);
        self.budget.spend(awake().saturating_duration_since(began));
        let verified = outcome?;
        self.cache.borrow_mut().insert(token, Arc::clone(&verified.identity), verified.good_until, generation);
        Ok(verified.identity)
    }
}

impl Known {
    fn good(&self, cookie: &[u8], site: &Site, now: Timestamp) -> Option<Arc<Session>> {
        let session = Arc::clone(self.by_cookie.borrow().get(cookie)?);
        let good = session.is_of(site.origin()) && session.state(now) == State::Good;
        if good {
            self.sign_ins.care(&session, now);
        }
        good.then_some(session)
    }

    async fn find(&self, cookie: &[u8], site: &Site, now: Timestamp) -> Result<Option<Arc<Session>>, AuthnError> {
        self.by_cookie.borrow_mut().remove(cookie);
        let session = self.sign_ins.by_cookie(cookie, site, Presence::Acts, now).await?;
        if let Some(session) = &session {
            let mut by_cookie = self.by_cookie.borrow_mut();
            if by_cookie.len() >= self.capacity {
                by_cookie.clear();
            }
            by_cookie.insert(cookie.into(), Arc::clone(session));
        }
        Ok(session)
    }
}
