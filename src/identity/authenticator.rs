//! All issuers with their keys, behind one pointer that is swapped whole.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use http::HeaderMap;
use serde_json::Value;
use tokio::sync::Notify;

use super::credential;
use super::error::{AuthnError, invalid};
use super::fetch::{self, FetchError, Fetched};
use super::issuer::{Feed, Held, Issuer, Verified};
use super::keys::KeySet;
use super::metrics::{Ages, Counters, RefreshLabels, RefusalLabels};
use super::refresh::Refresher;
use super::settings::{IssuerSettings, KeySource, Settings, UnusableSettings};
use super::token;
use crate::clock::Clock;
use crate::domain::identity::Identity;
use crate::domain::time::Timestamp;
use crate::telemetry::Metrics;

/// Verifies tokens of several issuers. Cheap to clone; keys behind it rotate.
#[derive(Debug, Clone)]
pub struct Authenticator {
    shared: Arc<Shared>,
}

/// What all clones and the refresher share.
#[derive(Debug)]
pub(super) struct Shared {
    issuers: ArcSwap<Vec<Issuer>>,
    /// Rises after the issuers were swapped, never before: who read the number before reading the issuers may have seen
    /// newer keys than it says, which costs one verification, but never older ones.
    generation: AtomicU64,
    /// Held by whoever changes the issuers.
    changing: Mutex<()>,
    /// Wakes the refresher.
    pub(super) wake: Arc<Notify>,
    pub(super) clock: Clock,
    pub(super) counters: Counters,
}

impl Authenticator {
    /// Believes these issuers. Key files are read here; keys behind a URL come with the refresher, which must be run.
    ///
    /// # Errors
    /// [`UnusableSettings`], also when a key file cannot be used.
    pub fn new(settings: Settings, clock: Clock, metrics: &Metrics) -> Result<(Self, Refresher), UnusableSettings> {
        let shared = Arc::new(Shared {
            issuers: ArcSwap::default(),
            generation: AtomicU64::new(0),
            changing: Mutex::new(()),
            wake: Arc::new(Notify::new()),
            clock,
            counters: Counters::register(metrics),
        });
        let authenticator = Self { shared: Arc::clone(&shared) };
        authenticator.reload(settings)?;
        let ages = Ages(Arc::downgrade(&shared));
        metrics.register(|registry| registry.register_collector(Box::new(ages)));
        Ok((authenticator, Refresher::new(shared)))
    }

    /// Believes these issuers from now on, all or none of the change. Keys that were fetched are kept where their source stays.
    ///
    /// # Errors
    /// [`UnusableSettings`]; nothing has changed then.
    pub fn reload(&self, settings: Settings) -> Result<(), UnusableSettings> {
        settings.check()?;
        let _changing = self.shared.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.shared.issuers.load_full();
        let (mut issuers, mut problems) = (Vec::with_capacity(settings.issuers.len()), Vec::new());
        for settings in settings.issuers {
            match self.shared.issuer(settings, &before) {
                Ok(issuer) => issuers.push(issuer),
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(UnusableSettings { problems });
        }
        self.shared.swap(issuers, Change::Matters);
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Verifies one token from scratch.
    ///
    /// # Errors
    /// [`AuthnError::InvalidToken`], or [`AuthnError::KeysUnavailable`].
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Identity>, AuthnError> {
        self.examine(token, now).map(|verified| verified.identity)
    }

    /// Whom the request's `Authorization` header proves, from scratch; `None` when it carries no credential. For floors
    /// that see few requests; the data path has [`Identities`](super::Identities).
    ///
    /// # Errors
    /// As [`verify`](Self::verify), and [`AuthnError::AmbiguousCredential`].
    pub fn authenticate(&self, headers: &HeaderMap, now: Timestamp) -> Result<Option<Arc<Identity>>, AuthnError> {
        let Some(token) = credential::bearer(headers)? else { return Ok(None) };
        self.verify(credential::text(token)?, now).map(Some)
    }

    /// Moves whenever keys or issuers change: what was verified under another generation is verified again.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// Names of issuers whose tokens cannot be verified at present: their keys never came, or are too old.
    #[must_use]
    pub fn without_keys(&self) -> Vec<Arc<str>> {
        let now = self.now();
        let issuers = self.shared.issuers.load();
        let lacking = issuers.iter().filter(|issuer| issuer.keys.as_ref().is_none_or(|keys| keys.good_until <= now));
        lacking.map(|issuer| Arc::clone(&issuer.settings.name)).collect()
    }

    /// Verifies a token and says for how long that may be remembered.
    pub(super) fn examine(&self, token: &str, now: Timestamp) -> Result<Verified, AuthnError> {
        let read = token::read(token)?;
        let Some(Value::String(named)) = read.claims.get("iss") else { return invalid("`iss` is not a string") };
        let issuers = self.shared.issuers.load();
        let Some(issuer) = issuers.iter().find(|issuer| *issuer.settings.issuer == **named) else {
            return invalid("of an issuer nobody named");
        };
        issuer.verify(token, &read, now)
    }

    /// The issuer of this name in `iss`, as it is at this moment.
    pub(super) fn issuer(&self, issuer: &str) -> Option<Issuer> {
        self.shared.issuers.load().iter().find(|known| *known.settings.issuer == *issuer).cloned()
    }

    /// What the operator says about the issuer of this name in `iss`.
    pub(super) fn settings_of(&self, issuer: &str) -> Option<Arc<IssuerSettings>> {
        let issuers = self.shared.issuers.load();
        issuers.iter().find(|known| *known.settings.issuer == *issuer).map(|known| Arc::clone(&known.settings))
    }

    /// Whether people sign in with any issuer.
    pub(super) fn offers_sign_in(&self) -> bool {
        self.shared.issuers.load().iter().any(|issuer| issuer.settings.sign_in.is_some())
    }

    /// What the operator says about every issuer, in the order written.
    pub(super) fn settings(&self) -> Vec<Arc<IssuerSettings>> {
        self.shared.issuers.load().iter().map(|issuer| Arc::clone(&issuer.settings)).collect()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.shared.counters
    }
}

/// Whether what was verified before must be verified again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Matters,
    IsOfAgeOnly,
}

impl Shared {
    /// All issuers at this moment.
    pub(super) fn issuers(&self) -> Arc<Vec<Issuer>> {
        self.issuers.load_full()
    }

    /// Seconds since the keys of each issuer that has any were last read.
    pub(super) fn key_ages(&self) -> Vec<(Arc<str>, f64)> {
        let now = self.clock.now();
        let age = |issuer: &Issuer| {
            let millis = now.millis_since(issuer.keys.as_ref()?.fetched_at);
            Some((Arc::clone(&issuer.settings.name), std::time::Duration::from_millis(millis).as_secs_f64()))
        };
        self.issuers.load().iter().filter_map(age).collect()
    }

    /// Takes what asking for keys at `asked_at` brought. On failure the last good keys serve on until they are too old.
    pub(super) fn receive(
        &self,
        feed: &Arc<Feed>,
        asked_at: Timestamp,
        outcome: Result<Fetched, FetchError>,
    ) -> Result<(), FetchError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut issuers = Vec::clone(&self.issuers.load());
        // whoever is asked for under another feed by now was reconfigured meanwhile
        let Some(issuer) = issuers.iter_mut().find(|issuer| Arc::ptr_eq(&issuer.feed, feed)) else { return Ok(()) };
        let settings = Arc::clone(&issuer.settings);
        let held = outcome.and_then(|fetched| self.hold(&settings, issuer.keys.as_ref(), fetched.content, asked_at));
        let label = held.as_ref().map_or_else(FetchError::label, |_| "ok");
        let labels = RefreshLabels { issuer: settings.name.to_string(), result: label };
        self.counters.refreshes.get_or_create(&labels).inc();
        match held {
            Ok(held) => {
                let same = issuer.keys.as_ref().is_some_and(|before| before.set.equals(&held.set));
                if !same {
                    tracing::info!(issuer = %settings.name, "keys have changed");
                }
                issuer.keys = Some(held);
                self.swap(issuers, if same { Change::IsOfAgeOnly } else { Change::Matters });
                Ok(())
            }
            Err(error) => {
                let message = match &issuer.keys {
                    Some(_) => "keys could not be read; the last good ones serve on until they are too old",
                    None => "keys could not be read, and there are none yet: no token of this issuer can be verified",
                };
                tracing::warn!(issuer = %settings.name, issuer.url = %settings.issuer, keys = %settings.keys, %error, "{message}");
                let end = asked_at.plus(settings.keys_max_age);
                if let Some(keys) = issuer.keys.as_mut().filter(|keys| end < keys.good_until) {
                    keys.good_until = end;
                    self.swap(issuers, Change::Matters);
                }
                Err(error)
            }
        }
    }

    /// An issuer for new settings, with the keys of before when they come from the same place.
    fn issuer(&self, settings: IssuerSettings, before: &[Issuer]) -> Result<Issuer, String> {
        let now = self.clock.now();
        let old = before.iter().find(|old| same_source(&old.settings, &settings));
        let mut issuer = Issuer::new(settings, &self.wake);
        let settings = Arc::clone(&issuer.settings);
        if let Some(old) = old {
            issuer.feed = Arc::clone(&old.feed);
            issuer.keys.clone_from(&old.keys);
        }
        match &settings.keys {
            KeySource::File(path) => {
                let held =
                    fetch::file(path).and_then(|content| self.hold(&settings, issuer.keys.as_ref(), content, now));
                let problem = |error| format!("issuer `{}`: `{}`: {error}", settings.name, path.display());
                issuer.keys = Some(held.map_err(problem)?);
            }
            KeySource::Url(_) | KeySource::Discovery => {
                if let Some(keys) = &mut issuer.keys {
                    keys.good_until = keys.fetched_at.plus(settings.keys_max_age);
                }
            }
        }
        Ok(issuer)
    }

    /// Keys from content that was read at `at`.
    fn hold(
        &self,
        settings: &IssuerSettings,
        before: Option<&Held>,
        content: Vec<u8>,
        at: Timestamp,
    ) -> Result<Held, FetchError> {
        let good_until = match settings.keys {
            // a file that can be read is not old; only one that no longer can begins to age
            KeySource::File(_) => Timestamp::MAX,
            KeySource::Url(_) | KeySource::Discovery => at.plus(settings.keys_max_age),
        };
        if let Some(before) = before.filter(|before| *before.content == *content) {
            return Ok(Held { fetched_at: at, good_until, ..before.clone() });
        }
        let (set, refused) = KeySet::parse(&content, settings).map_err(FetchError::Keys)?;
        for key in refused {
            tracing::warn!(issuer = %settings.name, key.id = key.id, reason = key.reason, "a key is not used");
            let labels = RefusalLabels { issuer: settings.name.to_string(), reason: key.reason };
            self.counters.refused_keys.get_or_create(&labels).inc();
        }
        Ok(Held { set: Arc::new(set), content: content.into(), fetched_at: at, good_until })
    }

    fn swap(&self, issuers: Vec<Issuer>, change: Change) {
        self.issuers.store(Arc::new(issuers));
        if change == Change::Matters {
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// Whether keys read under one are the keys of the other: where they come from, and what makes them usable.
fn same_source(a: &IssuerSettings, b: &IssuerSettings) -> bool {
    (&a.issuer, &a.keys, &a.algorithms) == (&b.issuer, &b.keys, &b.algorithms)
}
