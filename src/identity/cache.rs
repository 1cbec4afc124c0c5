//! One core's memory of verified tokens: the whole token is the key and is compared in full.
//!
//! Only tokens that passed verification get in, so bad ones evict nobody. An entry is believed while its own end lies ahead on
//! the wall clock and while keys and issuers are those it was verified under; what is no longer believed waits for its place
//! to be reused. The end of a signature cannot be chosen by whoever holds the token, so that alone picks the bucket: hashing
//! stays cheap however long the token is, and is keyed all the same.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::rc::Rc;
use std::sync::Arc;

use crate::domain::identity::Identity;
use crate::domain::time::Timestamp;

/// Verified tokens, at most as many as its capacity.
pub(super) struct Cache {
    places: HashMap<Rc<[u8]>, usize, Tail>,
    entries: Vec<Entry>,
    capacity: usize,
    /// Where the search for a victim goes on: entries used since the hand last passed get another round.
    hand: usize,
}

struct Entry {
    token: Rc<[u8]>,
    identity: Arc<Identity>,
    good_until: Timestamp,
    generation: u64,
    used: bool,
}

/// Without the tokens, which are nobody's to read.
impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

impl Cache {
    /// For at most `capacity` tokens, and room for one at least.
    pub(super) fn new(capacity: usize) -> Self {
        let places = HashMap::with_hasher(Tail(RandomState::new()));
        Self { places, entries: Vec::new(), capacity: capacity.max(1), hand: 0 }
    }

    /// Whom this very token proved, when that still holds.
    pub(super) fn get(&mut self, token: &[u8], now: Timestamp, generation: u64) -> Option<Arc<Identity>> {
        let place = *self.places.get(token)?;
        let entry = self.entries.get_mut(place)?;
        entry.used = entry.generation == generation && now < entry.good_until;
        entry.used.then(|| Arc::clone(&entry.identity))
    }

    /// Remembers a token that was verified under `generation`.
    pub(super) fn insert(&mut self, token: &[u8], identity: Arc<Identity>, good_until: Timestamp, generation: u64) {
        let known = self.places.get_key_value(token).map(|(token, place)| (Rc::clone(token), *place));
        let (token, place) = known.unwrap_or_else(|| (token.into(), self.free_place()));
        let entry = Entry { token: Rc::clone(&token), identity, good_until, generation, used: false };
        match self.entries.get_mut(place) {
            Some(slot) => *slot = entry,
            None => self.entries.push(entry),
        }
        self.places.insert(token, place);
    }

    /// A place to write to: a new one while there are any, or that of the first entry nobody used lately.
    fn free_place(&mut self) -> usize {
        if self.entries.len() < self.capacity {
            return self.entries.len();
        }
        loop {
            let place = self.hand;
            self.hand = (place + 1) % self.entries.len();
            // at the second round at the latest nobody is marked as used
            let Some(entry) = self.entries.get_mut(place) else { return place };
            if !std::mem::take(&mut entry.used) {
                self.places.remove(&entry.token);
                return place;
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.places.len(), self.entries.len());
        self.entries.len()
    }
}

/// Hashes no more than the last bytes of a token.
struct Tail(RandomState);

struct TailHasher<H>(H);

impl BuildHasher for Tail {
    type Hasher = TailHasher<<RandomState as BuildHasher>::Hasher>;

    fn build_hasher(&self) -> Self::Hasher {
        TailHasher(self.0.build_hasher())
    }
}

impl<H: Hasher> Hasher for TailHasher<H> {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes.split_at_checked(bytes.len().saturating_sub(TAIL_BYTES)).map_or(bytes, |(_, tail)| tail));
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

/// Of base64url: 18 bytes of signature.
const TAIL_BYTES: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::identity::Assurance;
    use crate::domain::principal::Principal;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn ada() -> Arc<Identity> {
        let principal = Principal::new("https://id.example", "ada");
        let assurance = Assurance::default();
        Arc::new(Identity {
            principal,
            name: None,
            mail: None,
            groups: Vec::new(),
            assurance,
            issued_at: None,
            ends_at: at(100),
        })
    }

    #[test]
    fn a_hit_needs_the_whole_token_its_time_and_its_generation() {
        let mut cache = Cache::new(10);
        cache.insert(b"head.claims.a-signature-longer-than-its-tail", ada(), at(100), 7);
        let token = b"head.claims.a-signature-longer-than-its-tail";
        assert_eq!(cache.get(token, at(99), 7), Some(ada()));
        assert_eq!(cache.get(token, at(100), 7), None, "the end is exclusive");
        assert_eq!(cache.get(token, at(99), 8), None, "keys changed");
        assert_eq!(cache.get(token, at(99), 6), None);
        assert_eq!(cache.get(b"HEAD.claims.a-signature-longer-than-its-tail", at(99), 7), None, "same tail only");
        assert_eq!(cache.get(b"its-tail", at(99), 7), None);
        cache.insert(token, ada(), at(100), 8);
        assert_eq!(cache.get(token, at(99), 8), Some(ada()));
        assert_eq!(cache.len(), 1);
    }

    #[test]
    fn it_never_grows_beyond_its_capacity_and_keeps_what_is_used() {
        let mut cache = Cache::new(8);
        cache.insert(b"used", ada(), at(100), 0);
        for number in 0..1000_u32 {
            assert!(cache.get(b"used", at(1), 0).is_some(), "evicted by number {number}");
            cache.insert(&number.to_be_bytes(), ada(), at(100), 0);
            assert!(cache.len() <= 8);
        }
        let kept = (0..1000_u32).filter(|number| cache.get(&number.to_be_bytes(), at(1), 0).is_some()).count();
        assert_eq!(kept, 7);
    }

    #[test]
    fn entries_no_longer_believed_go_first() {
        let mut cache = Cache::new(2);
        cache.insert(b"old", ada(), at(10), 0);
        cache.insert(b"new", ada(), at(100), 0);
        assert!(cache.get(b"old", at(5), 0).is_some() && cache.get(b"new", at(5), 0).is_some());
        assert!(cache.get(b"old", at(50), 0).is_none());
        cache.insert(b"third", ada(), at(100), 0);
        assert!(cache.get(b"new", at(50), 0).is_some() && cache.get(b"third", at(50), 0).is_some());
    }
}
