//! What a client may use of the portal, and how much is in use.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::domain::principal::Principal;
use crate::portal::problem::{Kind, Problem};

/// What a client may use of the portal.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Longest request body.
    pub body_bytes_max: usize,
    /// Longest page of a list.
    pub page_items_max: usize,
    /// Page of a list when no length is asked for.
    pub page_items_default: usize,
    /// Commands of one principal in a second, on average.
    pub commands_per_second: NonZeroU32,
    /// Commands of one principal at once.
    pub commands_burst: NonZeroU32,
    /// Requests answered at the same time, of all clients.
    pub requests_max: usize,
    /// Event streams and exports open at the same time, of one principal.
    pub streams_per_principal_max: usize,
    /// Event streams and exports open at the same time, of all clients.
    pub streams_max: usize,
    /// A request that has no answer by then gets none; streams have theirs once they begin.
    pub request_timeout: Duration,
    /// Nothing to tell for so long is told on an event stream.
    pub heartbeat_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 64 * 1024,
            page_items_max: 200,
            page_items_default: 50,
            commands_per_second: NonZeroU32::MIN.saturating_add(9),
            commands_burst: NonZeroU32::MIN.saturating_add(59),
            requests_max: 256,
            streams_per_principal_max: 8,
            streams_max: 1000,
            request_timeout: Duration::from_secs(15),
            heartbeat_after: Duration::from_secs(15),
        }
    }
}

/// How much of the limits is in use.
pub(super) struct Usage {
    commands: DefaultKeyedRateLimiter<Principal>,
    /// Counts commands, to forget idle principals now and then.
    since_tidied: AtomicU32,
    requests: Arc<Semaphore>,
    /// Reads of the store under way: many woken streams take turns on a few threads.
    reads: Semaphore,
    streams: Arc<Mutex<Streams>>,
    streams_per_principal_max: usize,
    streams_max: usize,
}

#[derive(Default)]
struct Streams {
    open: usize,
    by_principal: HashMap<Principal, usize>,
}

/// A place among the open streams; given back when dropped.
pub(super) struct StreamPlace {
    streams: Arc<Mutex<Streams>>,
    principal: Principal,
}

impl Usage {
    pub(super) fn new(limits: &Limits) -> Self {
        let quota = Quota::per_second(limits.commands_per_second).allow_burst(limits.commands_burst);
        Self {
            commands: RateLimiter::keyed(quota),
            since_tidied: AtomicU32::new(0),
            requests: Arc::new(Semaphore::new(limits.requests_max)),
            reads: Semaphore::new(READS_MAX),
            streams: Arc::default(),
            streams_per_principal_max: limits.streams_per_principal_max,
            streams_max: limits.streams_max,
        }
    }

    /// Counts commands of `principal`, worth `weight` single ones.
    pub(super) fn command(&self, principal: &Principal, weight: NonZeroU32) -> Result<(), Problem> {
        if self.since_tidied.fetch_add(1, Ordering::Relaxed) >= TIDY_EVERY {
            self.since_tidied.store(0, Ordering::Relaxed);
            self.commands.retain_recent();
        }
        match self.commands.check_key_n(principal, weight) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => {
                Err(Problem::new(Kind::RATE_LIMITED, "too many commands in a short time").retry_after(1))
            }
        }
    }

    /// A place among the requests that are answered at this moment.
    pub(super) fn request(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.requests)
            .try_acquire_owned()
            .map_err(|_| Problem::new(Kind::OVERLOADED, "too many requests are being answered").retry_after(1))
    }

    /// A turn at reading the store; waits for one.
    pub(super) async fn read(&self) -> Option<SemaphorePermit<'_>> {
        // never closed, so there always comes a turn
        self.reads.acquire().await.ok()
    }

    /// A place among the open streams.
    pub(super) fn stream(&self, principal: &Principal) -> Result<StreamPlace, Problem> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let own = streams.by_principal.get(principal).copied().unwrap_or(0);
        if own >= self.streams_per_principal_max || streams.open >= self.streams_max {
            return Err(Problem::new(Kind::TOO_MANY_STREAMS, "too many streams are open").retry_after(5));
        }
        streams.open = streams.open.saturating_add(1);
        streams.by_principal.insert(principal.clone(), own.saturating_add(1));
        Ok(StreamPlace { streams: Arc::clone(&self.streams), principal: principal.clone() })
    }
}

const TIDY_EVERY: u32 = 4096;
const READS_MAX: usize = 32;

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.open = streams.open.saturating_sub(1);
        if let Some(own) = streams.by_principal.get_mut(&self.principal) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                streams.by_principal.remove(&self.principal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_counted_by_principal_and_in_all_and_given_back() {
        let limits = Limits { streams_per_principal_max: 2, streams_max: 3, ..Limits::default() };
        let usage = Usage::new(&limits);
        let (ada, ben) = (Principal::new("i", "ada"), Principal::new("i", "ben"));
        let first = usage.stream(&ada).unwrap();
        let _second = usage.stream(&ada).unwrap();
        assert!(usage.stream(&ada).is_err(), "own limit");
        let _third = usage.stream(&ben).unwrap();
        assert!(usage.stream(&ben).is_err(), "limit of all");
        drop(first);
        assert!(usage.stream(&ben).is_ok());
        assert!(usage.stream(&ada).is_ok());
    }

    #[test]
    fn a_principal_that_hurries_slows_only_itself() {
        let one = NonZeroU32::MIN;
        let limits = Limits { commands_per_second: one, commands_burst: one.saturating_add(2), ..Limits::default() };
        let usage = Usage::new(&limits);
        let (ada, ben) = (Principal::new("i", "ada"), Principal::new("i", "ben"));
        for _ in 0..3 {
            usage.command(&ada, one).unwrap();
        }
        assert!(usage.command(&ada, one).is_err());
        assert!(usage.command(&ben, one.saturating_add(2)).is_ok());
        assert!(usage.command(&ben, one.saturating_add(10)).is_err(), "more than could ever be");
    }
}
