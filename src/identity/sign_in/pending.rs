//! Sign-ins under way: known by their `state`, bound to one browser and one site, used once, and soon forgotten.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};

use super::asked::Asked;
use crate::domain::time::{Span, Timestamp};
use crate::identity::secret::Secret;

/// One sign-in between its start and its callback.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    /// The origin it began at.
    pub(super) site: String,
    /// Whom it was begun with: an answer of anybody else is worth nothing.
    pub(super) issuer: String,
    /// The client it was begun as.
    pub(super) client_id: String,
    pub(super) nonce: String,
    pub(super) verifier: Secret,
    /// Where to go afterwards, absolute.
    pub(super) return_to: String,
    pub(super) asked: Asked,
    /// The session that the new one takes the place of.
    pub(super) replaces: Option<[u8; 32]>,
}

/// All sign-ins under way.
#[derive(Debug, Default)]
pub(super) struct Pendings {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    by_state: HashMap<[u8; 32], Entry>,
    /// States of each browser, oldest first.
    by_browser: HashMap<[u8; 32], VecDeque<[u8; 32]>>,
    /// Oldest first; also of those that are gone.
    order: VecDeque<(Timestamp, [u8; 32])>,
    /// About how much all of it takes.
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    pending: Pending,
    browser: [u8; 32],
    until: Timestamp,
}

/// Why a callback belongs to no sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotPending {
    /// Never begun, used before, pushed out by newer ones, or too old.
    Unknown,
    /// Begun in another browser, or at another site.
    Elsewhere,
}

impl Pending {
    /// About how much memory it takes, with what finds it.
    fn bytes(&self) -> usize {
        let Asked { acr_values, amr, .. } = &self.asked;
        let words: usize = acr_values.iter().chain(amr).map(|word| word.len() + size_of::<String>()).sum();
        let texts = [&self.site, &self.issuer, &self.client_id, &self.nonce, &self.return_to];
        texts.iter().map(|text| text.len()).sum::<usize>() + self.verifier.reveal().len() + words + FOUND_BY_BYTES
    }
}

impl Pendings {
    /// Remembers a sign-in of a browser. The oldest gives way where there are too many.
    pub(super) fn begin(&self, state: &str, browser: &[u8; 32], pending: Pending, now: Timestamp) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (state, browser, until) = (hash(state.as_bytes()), hash(browser), now.plus(LIFE));
        waiting.forget(now);
        waiting.bytes = waiting.bytes.saturating_add(pending.bytes());
        while waiting.bytes > PENDING_BYTES_MAX
            && let Some((_, oldest)) = waiting.order.pop_front()
        {
            waiting.remove(&oldest);
        }
        while let Some(oldest) = waiting.oldest_of(&browser) {
            waiting.remove(&oldest);
        }
        waiting.by_browser.entry(browser).or_default().push_back(state);
        waiting.order.push_back((until, state));
        waiting.by_state.insert(state, Entry { pending, browser, until });
    }

    /// Takes the sign-in that `state` names, for the browser that began it at this site. It is gone then.
    pub(super) fn take(
        &self,
        state: &str,
        browser: Option<&[u8; 32]>,
        site: &str,
        now: Timestamp,
    ) -> Result<Pending, NotPending> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let state = hash(state.as_bytes());
        let entry = waiting.by_state.get(&state).ok_or(NotPending::Unknown)?;
        if now >= entry.until {
            waiting.remove(&state);
            return Err(NotPending::Unknown);
        }
        // one that came elsewhere stays for the browser it belongs to
        if entry.pending.site != site || browser.is_none_or(|browser| hash(browser) != entry.browser) {
            return Err(NotPending::Elsewhere);
        }
        waiting.remove(&state).map(|entry| entry.pending).ok_or(NotPending::Unknown)
    }

    /// Forgets what is too old.
    pub(super) fn sweep(&self, now: Timestamp) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).forget(now);
    }
}

impl Waiting {
    fn remove(&mut self, state: &[u8; 32]) -> Option<Entry> {
        let entry = self.by_state.remove(state)?;
        self.bytes = self.bytes.saturating_sub(entry.pending.bytes());
        if let Some(own) = self.by_browser.get_mut(&entry.browser) {
            own.retain(|known| known != state);
            if own.is_empty() {
                self.by_browser.remove(&entry.browser);
            }
        }
        Some(entry)
    }

    /// The one that gives way to a new one of this browser, when it has as many as it may.
    fn oldest_of(&self, browser: &[u8; 32]) -> Option<[u8; 32]> {
        let own = self.by_browser.get(browser).filter(|own| own.len() >= PENDING_OF_BROWSER_MAX)?;
        own.front().copied()
    }

    fn forget(&mut self, now: Timestamp) {
        // those that are gone are dropped before they outnumber those that are there
        if self.order.len() > self.by_state.len().saturating_mul(2).saturating_add(GONE_KEPT) {
            self.order.retain(|(_, state)| self.by_state.contains_key(state));
        }
        while let Some((until, state)) = self.order.front().copied()
            && (until <= now || !self.by_state.contains_key(&state))
        {
            self.order.pop_front();
            self.remove(&state);
        }
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(digest(&SHA256, bytes).as_ref()) {
        *to = *from;
    }
    hash
}

/// How long a sign-in may take.
pub(super) const LIFE: Span = Span::minutes(10);
const PENDING_OF_BROWSER_MAX: usize = 5;
/// Anybody can begin a sign-in, so it is memory that is bounded: some 60,000 of them as people begin them.
const PENDING_BYTES_MAX: usize = 64 << 20;
/// How many that are gone may stand in the order, beside as many as are there.
const GONE_KEPT: usize = 1024;
/// Of the entry itself and of its keys in three collections.
const FOUND_BY_BYTES: usize = 640;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::sign_in::query::Query;

    fn pending(return_to: &str) -> Pending {
        Pending {
            site: "https://shop.test".to_owned(),
            issuer: "https://id.test".to_owned(),
            client_id: "hallpass".to_owned(),
            nonce: "n".to_owned(),
            verifier: Secret::new("v".to_owned()),
            return_to: return_to.to_owned(),
            asked: Asked::default(),
            replaces: None,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn a_state_is_used_once_by_its_browser_at_its_site_and_in_time() {
        let pendings = Pendings::default();
        let (own, other, site) = ([1; 32], [2; 32], "https://shop.test");
        pendings.begin("s", &own, pending("/a"), at(0));
        assert_eq!(pendings.take("t", Some(&own), site, at(1)).unwrap_err(), NotPending::Unknown);
        assert_eq!(pendings.take("s", Some(&other), site, at(1)).unwrap_err(), NotPending::Elsewhere);
        assert_eq!(pendings.take("s", None, site, at(1)).unwrap_err(), NotPending::Elsewhere);
        assert_eq!(pendings.take("s", Some(&own), "https://pass.test", at(1)).unwrap_err(), NotPending::Elsewhere);
        assert_eq!(pendings.take("s", Some(&own), site, at(599)).unwrap().return_to, "/a");
        assert_eq!(pendings.take("s", Some(&own), site, at(599)).unwrap_err(), NotPending::Unknown);
        pendings.begin("s", &own, pending("/a"), at(0));
        assert_eq!(pendings.take("s", Some(&own), site, at(600)).unwrap_err(), NotPending::Unknown);
    }

    #[test]
    fn a_browser_has_five_and_the_oldest_goes() {
        let pendings = Pendings::default();
        let (own, other, site) = ([1; 32], [2; 32], "https://shop.test");
        pendings.begin("other", &other, pending("/"), at(0));
        for number in 0..7 {
            pendings.begin(&number.to_string(), &own, pending("/"), at(number));
        }
        let left = (0..7).filter(|number: &i64| pendings.take(&number.to_string(), Some(&own), site, at(9)).is_ok());
        assert_eq!(left.collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
        assert!(pendings.take("other", Some(&other), site, at(9)).is_ok());
    }

    #[test]
    fn whoever_begins_again_and_again_takes_no_more_room() {
        let (pendings, own) = (Pendings::default(), [1; 32]);
        for number in 0..20_000 {
            pendings.begin(&number.to_string(), &own, pending("/"), at(0));
        }
        assert!(pendings.take("19999", Some(&own), "https://shop.test", at(1)).is_ok());
        let waiting = pendings.waiting.lock().unwrap();
        assert_eq!(waiting.by_state.len(), PENDING_OF_BROWSER_MAX - 1);
        assert!(waiting.order.len() < 2 * GONE_KEPT, "{} in the order", waiting.order.len());
    }

    #[test]
    fn all_browsers_together_have_a_bound() {
        let pendings = Pendings::default();
        let browser = |number: usize| {
            let mut bits = [0; 32];
            bits[..8].copy_from_slice(&number.to_be_bytes());
            bits
        };
        // the longest that anybody can begin
        let asked = Asked::read(&Query::read(&format!("acr_values={}&amr={0}", "a%20".repeat(1000))));
        let longest = Pending { asked, ..pending(&"a".repeat(2048)) };
        let fit = PENDING_BYTES_MAX / longest.bytes();
        assert!(fit > 10_000 && longest.bytes() < 8 * 1024, "{} bytes each", longest.bytes());
        for number in 0..=fit {
            pendings.begin(&number.to_string(), &browser(number), longest.clone(), at(0));
        }
        let found =
            |state: &str, number| pendings.take(state, Some(&browser(number)), "https://shop.test", at(1)).is_ok();
        assert!(!found("0", 0) && found("1", 1) && found(&fit.to_string(), fit));
        for number in 0..50_000 {
            pendings.begin(&format!("small {number}"), &browser(number), pending("/"), at(0));
        }
        assert!(found("small 0", 0), "of those that people begin more fit");
        pendings.sweep(at(600));
        let waiting = pendings.waiting.lock().unwrap();
        assert_eq!((waiting.by_state.len(), waiting.bytes), (0, 0));
    }
}
