//! One core's way to identities.

use std::cell::RefCell;
use std::sync::Arc;

use http::HeaderMap;

use super::authenticator::Authenticator;
use super::budget::Budget;
use super::cache::Cache;
use super::credential;
use super::error::AuthnError;
use crate::clock::awake;
use crate::domain::identity::Identity;
use crate::domain::time::Timestamp;

/// One core's way to identities: the authenticator, a cache of verified tokens, a budget for new ones. Not shared.
#[derive(Debug)]
pub struct Identities {
    authenticator: Authenticator,
    cache: RefCell<Cache>,
    budget: Budget,
}

impl Identities {
    /// For one core; holds at most `capacity` verified tokens.
    #[must_use]
    pub fn new(authenticator: Authenticator, capacity: usize) -> Self {
        Self { authenticator, cache: RefCell::new(Cache::new(capacity)), budget: Budget::new() }
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
