//! A session in memory: what it says never changes; when something about it does, it has moved and is read again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::content::Content;
use super::file::Times;
use super::seal::{Key, Seal};
use crate::domain::identity::Identity;
use crate::domain::time::{Span, Timestamp};
use crate::identity::settings::SignInSettings;

/// One session as it stood when it was read.
#[derive(Debug)]
pub struct Session {
    pub(super) seal: Seal,
    site: String,
    identity: Arc<Identity>,
    /// When it is over whatever happens.
    ends_at: Timestamp,
    idle: Span,
    refresh_at: Option<Timestamp>,
    last_used: AtomicI64,
    /// What the file says of it.
    noted: AtomicI64,
    /// Before this nobody else begins to ask the provider; milliseconds.
    try_at: AtomicI64,
    /// Before this the provider is not asked again, because it could not be; milliseconds.
    failed_until: AtomicI64,
    /// Held by the one who asks the provider.
    pub(in crate::identity) turn: Arc<Mutex<()>>,
    has_moved: AtomicBool,
    moved: CancellationToken,
}

/// One session is itself and no other, whatever it says.
impl PartialEq for Session {
    fn eq(&self, other: &Self) -> bool {
        self.seal.key() == other.seal.key()
    }
}

/// How a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::identity) enum State {
    /// It proves who somebody is.
    Good,
    /// It would, if the provider said so again.
    Stale,
    /// It is over.
    Over,
}

impl Session {
    pub(super) fn new(seal: Seal, content: &Content, settings: &SignInSettings, last_used: Timestamp) -> Self {
        Self {
            seal,
            site: content.site.clone(),
            identity: Arc::new(content.identity(settings)),
            ends_at: content.ends_at(settings),
            idle: settings.session_idle,
            refresh_at: content.refresh_at(),
            last_used: AtomicI64::new(last_used.as_millis()),
            noted: AtomicI64::new(last_used.as_millis()),
            try_at: AtomicI64::new(i64::MIN),
            failed_until: AtomicI64::new(i64::MIN),
            turn: Arc::default(),
            has_moved: AtomicBool::new(false),
            moved: CancellationToken::new(),
        }
    }

    /// Whom it proves. The identity ends when the provider's word does, which asking again may put off.
    #[must_use]
    pub const fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// Whether it ended or was read anew: then this is no longer what it says.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        self.has_moved.load(Ordering::Acquire)
    }

    /// Returns once [`has_moved`](Self::has_moved).
    pub async fn moved(&self) {
        self.moved.cancelled().await;
    }

    /// When whoever keeps an exchange open under it must say so, and have the provider asked again.
    #[must_use]
    pub fn care_at(&self) -> Timestamp {
        let half = Span::seconds((self.idle.as_seconds() / 2).max(1));
        self.last_used().plus(half).min(self.ask_at())
    }

    /// When whoever follows under it without using it must look again: it is over, or the provider is to be asked.
    #[must_use]
    pub fn follow_at(&self) -> Timestamp {
        self.over_at().min(self.ask_at())
    }

    /// When it is over if nobody uses it again.
    fn over_at(&self) -> Timestamp {
        self.last_used().plus(self.idle).min(self.ends_at)
    }

    /// When the provider is to be asked again.
    fn ask_at(&self) -> Timestamp {
        let try_at = || Timestamp::from_millis(self.try_at.load(Ordering::Acquire));
        self.refresh_at.map_or(Timestamp::MAX, |refresh_at| refresh_at.max(try_at()))
    }

    pub(in crate::identity) fn is_of(&self, site: &str) -> bool {
        self.site == site
    }

    pub(in crate::identity) const fn key(&self) -> &Key {
        self.seal.key()
    }

    pub(in crate::identity) fn state(&self, now: Timestamp) -> State {
        if self.has_moved() || self.over_at() <= now {
            State::Over
        } else if now < self.identity.ends_at {
            State::Good
        } else if self.refresh_at.is_some() {
            State::Stale
        } else {
            State::Over
        }
    }

    /// It was used just now.
    pub(in crate::identity) fn touch(&self, now: Timestamp) {
        // most requests come within the same second: they write nothing that cores share
        if self.last_used().plus(TOUCH_EVERY) <= now {
            self.last_used.fetch_max(now.as_millis(), Ordering::AcqRel);
        }
    }

    /// Whether the provider should be asked again, by whoever is told so: everybody else is not.
    pub(in crate::identity) fn takes_refresh(&self, now: Timestamp) -> bool {
        let try_at = self.try_at.load(Ordering::Acquire);
        let due = self.refresh_at.is_some_and(|at| at <= now) && try_at <= now.as_millis();
        let next = now.plus(RETRY_EVERY).as_millis();
        due && self.try_at.compare_exchange(try_at, next, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(in crate::identity) fn may_ask(&self, now: Timestamp) -> bool {
        self.failed_until.load(Ordering::Acquire) <= now.as_millis()
    }

    /// The provider could not be asked.
    pub(in crate::identity) fn asked_in_vain(&self, now: Timestamp) {
        self.failed_until.store(now.plus(RETRY_EVERY).as_millis(), Ordering::Release);
    }

    pub(super) fn last_used(&self) -> Timestamp {
        Timestamp::from_millis(self.last_used.load(Ordering::Acquire))
    }

    /// What the file must be told, when it does not know yet.
    pub(super) fn to_note(&self) -> Option<Times> {
        let last_used = self.last_used();
        let known = self.noted.swap(last_used.as_millis(), Ordering::AcqRel);
        (known < last_used.as_millis()).then(|| self.times())
    }

    /// When it was used, and when it is over if nobody uses it again.
    pub(super) fn times(&self) -> Times {
        Times { last_used: self.last_used(), ends_at: self.over_at() }
    }

    /// From now on this is not what it says any more.
    pub(super) fn supersede(&self) {
        self.has_moved.store(true, Ordering::Release);
        self.moved.cancel();
    }
}

const TOUCH_EVERY: Span = Span::seconds(1);
/// A provider that could not be reached is asked again after this.
const RETRY_EVERY: Span = Span::seconds(5);
