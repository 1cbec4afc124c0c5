//! Standings of parties, cached, and the published head of the journal.
//!
//! The one rule (2026-11): a standing enters the cache only under the lock of its own key, read from the store while that
//! lock is held. A load that began before a commit therefore ends before the commit's publication of the same key, which
//! then replaces it; nothing stale can be put back. moka's `get_with`, `insert` and `invalidate` do not keep this order
//! and are banned. moka decides only what to forget, never what is true.
//!
//! Publication comes in this order: commit, put the touched standings, move the stamp, answer. Whoever reads the stamp
//! before the standing may reuse that standing for as long as the stamp stays the same.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use moka::ops::compute::{CompResult, Op};
use moka::sync::Cache;
use tokio::sync::watch;

use crate::domain::id::{ActivationId, AssignmentId};
use crate::domain::principal::{Party, Principal};
use crate::domain::standing::{Basis, Held, Lock, Position, Standing};
use crate::domain::time::Timestamp;
use crate::store::{Reader, StoreError};

/// Looks up standings. Cheap to clone.
#[derive(Clone)]
pub struct Standings {
    shared: Arc<Shared>,
}

struct Shared {
    reader: Reader,
    cache: Cache<Key, Arc<Standing>>,
    /// Part of every key: raising it abandons all that was cached, also what is being loaded at this moment.
    generation: AtomicU64,
    /// Rises with everything that may change a verdict.
    stamp: AtomicU64,
    head: watch::Sender<Position>,
    /// Rights that ended while the journal could not say so.
    ended: ArcSwap<EndedInMemory>,
    /// Why no right of this journal counts, when it is in doubt.
    doubt: OnceLock<Arc<str>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    generation: u64,
    party: Party,
}

/// Rights that ended while the journal took no commands; kept until it says so itself.
#[derive(Debug, Clone, Default)]
pub struct EndedInMemory {
    /// These activations are over.
    pub activations: HashSet<ActivationId>,
    /// These assignments are over.
    pub assignments: HashSet<AssignmentId>,
    /// These principals are locked.
    pub principals: HashSet<Principal>,
    /// What was issued to these principals before then counts no more.
    pub credentials: HashMap<Principal, Timestamp>,
}

impl EndedInMemory {
    fn is_empty(&self) -> bool {
        let Self { activations, assignments, principals, credentials } = self;
        activations.is_empty() && assignments.is_empty() && principals.is_empty() && credentials.is_empty()
    }

    fn take_from(&self, party: &Party, standing: &mut Standing) {
        standing.held.retain(|held| match held.basis {
            Basis::Activation(id) => !self.activations.contains(&id),
            Basis::Assignment(id) => !self.assignments.contains(&id),
        });
        if let Party::Principal(principal) = party {
            if self.principals.contains(principal) {
                standing.lock = Lock::Locked;
            }
            standing.credentials_since = standing.credentials_since.max(self.credentials.get(principal).copied());
        }
    }
}

/// Equal stamps mean that nothing a verdict depends on was published in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(u64);

impl Standings {
    /// An empty cache over `reader` that holds at most `capacity` standings.
    ///
    /// # Errors
    /// When the head cannot be read.
    pub fn new(reader: Reader, capacity: u64) -> Result<Self, StoreError> {
        let head = reader.head()?.position;
        let shared = Shared {
            reader,
            cache: Cache::new(capacity),
            generation: AtomicU64::new(0),
            stamp: AtomicU64::new(0),
            head: watch::Sender::new(head),
            ended: ArcSwap::default(),
            doubt: OnceLock::new(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The standing of `party`, at or after all that was published when this was called. Reads the store on a miss:
    /// short, but blocking.
    ///
    /// # Errors
    /// When the store cannot be read: the caller must deny.
    pub fn of(&self, party: &Party) -> Result<Arc<Standing>, StoreError> {
        let key = self.key(party);
        let standing = match self.shared.cache.get(&key) {
            Some(standing) => standing,
            None => self.load(key)?,
        };
        Ok(self.less_what_ended(party, standing))
    }

    /// Where the published state stands, for reusing a standing: one atomic load.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp(self.shared.stamp.load(Ordering::Acquire))
    }

    /// The published position.
    #[must_use]
    pub fn position(&self) -> Position {
        *self.shared.head.borrow()
    }

    /// From now on no role held by this journal opens anything, because the journal itself is in doubt. There is no way
    /// back but a restart; of several reasons the first one counts.
    pub fn doubt(&self, reason: &str) {
        let _ = self.shared.doubt.set(Arc::from(reason));
        self.announce(self.position());
    }

    /// Why no role opens anything, when the journal is in doubt.
    #[must_use]
    pub fn doubted(&self) -> Option<&Arc<str>> {
        self.shared.doubt.get()
    }

    /// Wakes whenever anything was published.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Position> {
        self.shared.head.subscribe()
    }

    /// Makes a commit visible: the standings it touched, then the head. Only the writer calls this, before it answers.
    pub fn publish(&self, touched: &[Party], position: Position) {
        for party in touched {
            // under the key's lock; a read that fails leaves nothing, so that the next look finds the failure itself
            self.shared.cache.entry(self.key(party)).and_compute_with(|_| match self.shared.reader.standing(party) {
                Ok(standing) => Op::Put(Arc::new(standing)),
                Err(_) => Op::Remove,
            });
        }
        self.announce(position);
    }

    /// Abandons everything cached and in flight: after the store was opened anew.
    pub fn abandon(&self, position: Position) {
        self.shared.generation.fetch_add(1, Ordering::AcqRel);
        self.announce(position);
    }

    /// Who holds what by `basis`, as far as it is remembered; looks at everything that is, so only for rare occasions.
    #[must_use]
    pub fn remembered(&self, basis: Basis) -> Option<(Party, Held)> {
        let generation = self.shared.generation.load(Ordering::Acquire);
        self.shared.cache.iter().filter(|(key, _)| key.generation == generation).find_map(|(key, standing)| {
            let held = standing.held.iter().find(|held| held.basis == basis)?;
            Some((key.party.clone(), held.clone()))
        })
    }

    /// Lets rights end in memory, because the journal cannot take the command now.
    pub fn end_in_memory(&self, change: impl Fn(&mut EndedInMemory)) {
        self.shared.ended.rcu(|ended| {
            let mut ended = EndedInMemory::clone(ended);
            change(&mut ended);
            ended
        });
        self.announce(self.position());
    }

    /// Takes from `standing`, which is that of `party` as the journal has it, what ended in memory.
    pub fn take_what_ended(&self, party: &Party, standing: &mut Standing) {
        self.shared.ended.load().take_from(party, standing);
    }

    fn announce(&self, position: Position) {
        self.shared.stamp.fetch_add(1, Ordering::AcqRel);
        self.shared.head.send_replace(position);
    }

    fn key(&self, party: &Party) -> Key {
        Key { generation: self.shared.generation.load(Ordering::Acquire), party: party.clone() }
    }

    fn load(&self, key: Key) -> Result<Arc<Standing>, StoreError> {
        let reader = &self.shared.reader;
        let party = key.party.clone();
        let loaded = self.shared.cache.entry(key).and_try_compute_with(|present| match present {
            Some(_) => Ok(Op::Nop),
            None => reader.standing(&party).map(|standing| Op::Put(Arc::new(standing))),
        })?;
        match loaded {
            CompResult::Inserted(entry) | CompResult::ReplacedWith(entry) | CompResult::Unchanged(entry) => {
                Ok(entry.into_value())
            }
            // neither can follow from the two operations above; read anew rather than guess
            CompResult::StillNone(_) | CompResult::Removed(_) => reader.standing(&party).map(Arc::new),
        }
    }

    fn less_what_ended(&self, party: &Party, standing: Arc<Standing>) -> Arc<Standing> {
        let ended = self.shared.ended.load();
        if ended.is_empty() {
            return standing;
        }
        let mut standing = Standing::clone(&standing);
        ended.take_from(party, &mut standing);
        Arc::new(standing)
    }
}
