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
    /// Requests that found no place there, of callers who are proven: nobody else can use these up.
    reserved: Arc<Mutex<Places>>,
    reserved_max: usize,
    /// Notices that are being read, whose senders nobody knows.
    notices: Semaphore,
    /// Reads of the store under way: many woken streams take turns on a few threads.
    reads: Semaphore,
    streams: Arc<Mutex<Places>>,
    streams_per_principal_max: usize,
    streams_max: usize,
}

#[derive(Default)]
struct Places {
    all: usize,
    by_principal: HashMap<Principal, usize>,
}

/// A place of one principal; given back when dropped.
pub(super) struct OwnPlace {
    places: Arc<Mutex<Places>>,
    principal: Principal,
}

/// A place among the requests that are answered; given back when dropped.
pub(super) enum RequestPlace {
    /// One that anybody could have had.
    Open { _place: OwnedSemaphorePermit },
    /// One of those kept for callers who are proven.
    Reserved { _place: OwnPlace },
}

impl Usage {
    pub(super) fn new(limits: &Limits) -> Self {
        let quota = Quota::per_second(limits.commands_per_second).allow_burst(limits.commands_burst);
        let reserved_max = limits.requests_max / RESERVED_OF;
        Self {
            commands: RateLimiter::keyed(quota),
            since_tidied: AtomicU32::new(0),
            requests: Arc::new(Semaphore::new(limits.requests_max - reserved_max)),
            reserved: Arc::default(),
            reserved_max,
            notices: Semaphore::new(NOTICES_MAX),
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

    /// A place among the requests that are answered at this moment. The last ones are for those who are `proven`, a few for
    /// each: whatever strangers do, and whoever else does it, somebody can still revoke.
    pub(super) fn request(&self, proven: impl FnOnce() -> Option<Principal>) -> Result<RequestPlace, Problem> {
        if let Ok(place) = Arc::clone(&self.requests).try_acquire_owned() {
            return Ok(RequestPlace::Open { _place: place });
        }
        let place =
            proven().and_then(|caller| taken(&self.reserved, &caller, RESERVED_PER_PRINCIPAL_MAX, self.reserved_max));
        let place = place.map(|place| RequestPlace::Reserved { _place: place });
        place.ok_or_else(|| Problem::new(Kind::OVERLOADED, "too many requests are being answered").retry_after(1))
    }

    /// A place among the notices that are being read.
    pub(super) fn notice(&self) -> Option<SemaphorePermit<'_>> {
        self.notices.try_acquire().ok()
    }

    /// A turn at reading the store; waits for one.
    pub(super) async fn read(&self) -> Option<SemaphorePermit<'_>> {
        // never closed, so there always comes a turn
        self.reads.acquire().await.ok()
    }

    /// A place among the open streams.
    pub(super) fn stream(&self, principal: &Principal) -> Result<OwnPlace, Problem> {
        taken(&self.streams, principal, self.streams_per_principal_max, self.streams_max)
            .ok_or_else(|| Problem::new(Kind::TOO_MANY_STREAMS, "too many streams are open").retry_after(5))
    }
}

/// A place, where neither `principal` nor all together have as many as they may.
fn taken(places: &Arc<Mutex<Places>>, principal: &Principal, own_max: usize, all_max: usize) -> Option<OwnPlace> {
    let mut counted = places.lock().unwrap_or_else(PoisonError::into_inner);
    let own = counted.by_principal.get(principal).copied().unwrap_or(0);
    if own >= own_max || counted.all >= all_max {
        return None;
    }
    counted.all = counted.all.saturating_add(1);
    counted.by_principal.insert(principal.clone(), own.saturating_add(1));
    Some(OwnPlace { places: Arc::clone(places), principal: principal.clone() })
}

impl Drop for OwnPlace {
    fn drop(&mut self) {
        let mut counted = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        counted.all = counted.all.saturating_sub(1);
        if let Some(own) = counted.by_principal.get_mut(&self.principal) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                counted.by_principal.remove(&self.principal);
            }
        }
    }
}

const TIDY_EVERY: u32 = 4096;
const READS_MAX: usize = 32;
const NOTICES_MAX: usize = 32;
/// One place in so many is reserved.
const RESERVED_OF: usize = 4;
const RESERVED_PER_PRINCIPAL_MAX: usize = 8;

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

    #[test]
    fn strangers_never_take_the_last_places_and_nobody_all_of_them() {
        let usage = Usage::new(&Limits { requests_max: 64, ..Limits::default() });
        let by = |name: &'static str| usage.request(move || Some(Principal::new("i", name)));
        let strangers: Vec<_> = (0..100).map_while(|_| usage.request(|| None).ok()).collect();
        assert_eq!(strangers.len(), 48);
        let mallory: Vec<_> = (0..100).map_while(|_| by("mallory").ok()).collect();
        assert_eq!(mallory.len(), 8, "who is known has a share");
        let root = by("root").unwrap();
        drop((strangers, mallory, root));
        let again: Vec<_> = (0..100).map_while(|_| usage.request(|| None).ok()).collect();
        assert_eq!((again.len(), by("mallory").is_ok()), (48, true), "all were given back");
    }
}
