//! Keeps keys fresh, beside the data path: in time before they age, again after a failure, and on request.
//!
//! One refresher exists for each authenticator and asks each issuer for one thing at a time. A token that names an unknown
//! key can only leave a wish, granted at most once in thirty seconds and issuer however many ask; what is due by schedule never
//! waits for wishes, so that a flood of them starves nothing.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::authenticator::Shared;
use super::fetch::Fetcher;
use super::issuer::{Feed, Issuer};
use super::settings::KeySource;
use crate::domain::time::{Span, Timestamp};

/// The task that reads keys again and again.
#[derive(Debug)]
pub struct Refresher {
    shared: Arc<Shared>,
    pub(super) fetcher: Fetcher,
    plans: Vec<Plan>,
}

/// When an issuer is asked next.
#[derive(Debug)]
struct Plan {
    feed: Arc<Feed>,
    due: Timestamp,
    asked_at: Option<Timestamp>,
    failures: u32,
}

impl Refresher {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, fetcher: Fetcher::default(), plans: Vec::new() }
    }

    /// Runs until `stop`. Belongs on the control runtime.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let next = tokio::select! {
                () = stop.cancelled() => return,
                next = self.pass() => next,
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.shared.wake.notified() => {}
                () = self.shared.clock.wait_until(next) => {}
            }
        }
    }

    /// Asks every issuer that is due; returns when the next one will be.
    pub(super) async fn pass(&mut self) -> Timestamp {
        let now = self.shared.clock.now();
        let issuers = self.shared.issuers();
        self.plans.retain(|plan| issuers.iter().any(|issuer| Arc::ptr_eq(&issuer.feed, &plan.feed)));
        for issuer in issuers.iter() {
            if !self.plans.iter().any(|plan| Arc::ptr_eq(&issuer.feed, &plan.feed)) {
                self.plans.push(Plan::new(issuer, now));
            }
        }
        let due = issuers.iter().filter(|issuer| self.plan(issuer).is_some_and(|plan| plan.next() <= now));
        let fetcher = &self.fetcher;
        let answers = join_all(due.map(|issuer| async move {
            // before asking: who wishes from now on may wish for what this answer does not have yet
            issuer.feed.begin(now);
            (issuer, fetcher.fetch(&issuer.settings).await)
        }));
        for (issuer, outcome) in answers.await {
            let fresh_for = outcome.as_ref().ok().and_then(|fetched| fetched.fresh_for);
            let received = self.shared.receive(&issuer.feed, now, outcome);
            issuer.feed.finish();
            if let Some(plan) = self.plans.iter_mut().find(|plan| Arc::ptr_eq(&plan.feed, &issuer.feed)) {
                plan.asked_at = Some(now);
                plan.failures = if received.is_ok() { 0 } else { plan.failures.saturating_add(1) };
                plan.due = now.plus(match received {
                    Ok(()) => half_life(issuer, fresh_for),
                    Err(_) => patience(plan.failures),
                });
            }
        }
        self.plans.iter().map(Plan::next).min().unwrap_or(Timestamp::MAX)
    }

    fn plan(&self, issuer: &Issuer) -> Option<&Plan> {
        self.plans.iter().find(|plan| Arc::ptr_eq(&plan.feed, &issuer.feed))
    }
}

impl Plan {
    fn new(issuer: &Issuer, now: Timestamp) -> Self {
        let due = if issuer.keys.is_some() { now.plus(FILE_EVERY) } else { now };
        Self { feed: Arc::clone(&issuer.feed), due, asked_at: None, failures: 0 }
    }

    fn next(&self) -> Timestamp {
        let wish = self.feed.is_wanted().then(|| self.asked_at.map_or(Timestamp::MIN, |asked| asked.plus(WISH_EVERY)));
        wish.map_or(self.due, |wish| wish.min(self.due))
    }
}

/// How long to wait after a success.
fn half_life(issuer: &Issuer, fresh_for: Option<Span>) -> Span {
    if matches!(issuer.settings.keys, KeySource::File(_)) {
        return FILE_EVERY;
    }
    let fresh_for = fresh_for.unwrap_or(FRESH_DEFAULT).clamp(FRESH_MIN, FRESH_MAX).min(issuer.settings.keys_max_age);
    Span::seconds((fresh_for.as_seconds() / 2).max(1))
}

/// How long to wait after so many failures in a row.
fn patience(failures: u32) -> Span {
    Span::seconds(1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX)).min(WISH_EVERY)
}

/// A file is looked at this often; its content decides whether anything changed.
const FILE_EVERY: Span = Span::seconds(10);
/// A wish for newer keys is granted this often.
pub(super) const WISH_EVERY: Span = Span::seconds(30);
const FRESH_DEFAULT: Span = Span::hours(1);
const FRESH_MIN: Span = Span::minutes(5);
const FRESH_MAX: Span = Span::hours(24);
