//! One issuer as the data path sees it: what is demanded of its tokens, and the keys it has right now.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jsonwebtoken::Validation;
use serde::de::IgnoredAny;
use tokio::sync::{Notify, watch};

use super::algorithm::Algorithm;
use super::claims;
use super::error::{AuthnError, invalid};
use super::keys::{Key, KeySet};
use super::refresh::WISH_EVERY;
use super::settings::IssuerSettings;
use super::token::Unverified;
use crate::domain::identity::Identity;
use crate::domain::time::Timestamp;

/// An issuer at one moment; replaced whole when anything about it changes.
#[derive(Debug, Clone)]
pub(super) struct Issuer {
    /// What the operator says about it.
    pub(super) settings: Arc<IssuerSettings>,
    /// One for each allowed algorithm, so one for each key.
    validations: Arc<[(Algorithm, Validation)]>,
    /// Its keys, once they could be had.
    pub(super) keys: Option<Held>,
    /// The way to ask for newer keys; stays the same for as long as their source does.
    pub(super) feed: Arc<Feed>,
}

/// Keys and how long they serve.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// The keys.
    pub(super) set: Arc<KeySet>,
    /// What they were read from.
    pub(super) content: Arc<[u8]>,
    /// When they were last asked for with success.
    pub(super) fetched_at: Timestamp,
    /// From here on they are too old.
    pub(super) good_until: Timestamp,
}

/// Carries the wish for newer keys from the data path to the refresher: one bit, however many tokens ask.
#[derive(Debug)]
pub(super) struct Feed {
    wanted: AtomicBool,
    wake: Arc<Notify>,
    readings: watch::Sender<Readings>,
}

/// How keys were read so far.
#[derive(Debug, Clone, Copy)]
struct Readings {
    began_at: Timestamp,
    is_under_way: bool,
    finished: u64,
}

/// A token that holds, and for how long that may be remembered.
#[derive(Debug)]
pub(super) struct Verified {
    /// Whom it proves.
    pub(super) identity: Arc<Identity>,
    /// The end of the token or of the keys, whichever is first.
    pub(super) good_until: Timestamp,
}

impl Issuer {
    /// An issuer without keys.
    pub(super) fn new(settings: IssuerSettings, wake: &Arc<Notify>) -> Self {
        let validations = settings.algorithms.iter().map(|algorithm| (*algorithm, validation(*algorithm, &settings)));
        Self {
            validations: validations.collect(),
            settings: Arc::new(settings),
            keys: None,
            feed: Arc::new(Feed::new(wake)),
        }
    }

    /// Verifies a token that names this issuer.
    pub(super) fn verify(&self, token: &str, read: &Unverified, now: Timestamp) -> Result<Verified, AuthnError> {
        let ends_at = claims::check(read, &self.settings, now)?;
        let (keys, key) = self.key(read, now)?;
        let validation = self.validations.iter().find(|(algorithm, _)| *algorithm == key.algorithm);
        let Some((_, validation)) = validation else { return invalid("the algorithm is not allowed for this issuer") };
        if jsonwebtoken::decode::<IgnoredAny>(token, &key.decoding, validation).is_err() {
            return invalid("the signature does not fit");
        }
        let identity = claims::identity(&read.claims, &self.settings, ends_at)?;
        Ok(Verified { identity: Arc::new(identity), good_until: ends_at.min(keys.good_until) })
    }

    /// Whether a key of this issuer signed a token that is none for the data path, as `settings` demand it. What it says is
    /// for the caller to judge.
    pub(super) fn signed(
        &self,
        token: &str,
        read: &Unverified,
        settings: &IssuerSettings,
        now: Timestamp,
    ) -> Result<(), AuthnError> {
        let (_, key) = self.key(read, now)?;
        if !settings.algorithms.contains(&key.algorithm) {
            return invalid("the algorithm is not allowed for this issuer");
        }
        let mut validation = validation(key.algorithm, settings);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        match jsonwebtoken::decode::<IgnoredAny>(token, &key.decoding, &validation) {
            Ok(_) => Ok(()),
            Err(_) => invalid("the signature does not fit"),
        }
    }

    /// The key that a token names, and the set it is in.
    fn key(&self, read: &Unverified, now: Timestamp) -> Result<(&Held, &Key), AuthnError> {
        let keys = self.keys.as_ref().filter(|keys| now < keys.good_until).ok_or(AuthnError::KeysUnavailable)?;
        let Some(key) = keys.set.find(read.key_id.as_deref(), read.algorithm) else {
            self.feed.want();
            return Err(UNKNOWN_KEY);
        };
        if key.algorithm != read.algorithm {
            return invalid("the key is for another algorithm");
        }
        Ok((keys, key))
    }
}

/// Newer keys may have it: they were asked for.
pub(super) const UNKNOWN_KEY: AuthnError = AuthnError::InvalidToken("no key of the issuer is the one it names");

impl Feed {
    fn new(wake: &Arc<Notify>) -> Self {
        let readings = Readings { began_at: Timestamp::MIN, is_under_way: false, finished: 0 };
        Self { wanted: AtomicBool::new(false), wake: Arc::clone(wake), readings: watch::Sender::new(readings) }
    }

    fn want(&self) {
        // the plain load keeps a flood from writing to a line all cores share
        if !self.wanted.load(Ordering::Relaxed) && !self.wanted.swap(true, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }

    /// Whether somebody asked since the wish was last granted.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// Keys are about to be read. Forgets the wish: what is wanted from now on is a new one.
    pub(super) fn begin(&self, now: Timestamp) {
        self.wanted.store(false, Ordering::Release);
        self.readings.send_modify(|readings| (readings.began_at, readings.is_under_way) = (now, true));
    }

    /// Keys were read, or could not be.
    pub(super) fn finish(&self) {
        self.readings.send_modify(|readings| {
            (readings.is_under_way, readings.finished) = (false, readings.finished.wrapping_add(1));
        });
    }

    /// Returns when keys were read the next time, which is the same for all who wait; at once where a wish for newer ones is
    /// not granted at `now`.
    pub(super) async fn next_reading(&self, now: Timestamp) {
        let mut readings = self.readings.subscribe();
        let last = *readings.borrow_and_update();
        if last.is_under_way || last.began_at.plus(WISH_EVERY) <= now {
            // the sender lives as long as `self`
            let _ = readings.wait_for(|readings| readings.finished != last.finished).await;
        }
    }
}

/// What the signature library checks again after us. Not the times: it would read a clock of its own.
fn validation(algorithm: Algorithm, settings: &IssuerSettings) -> Validation {
    let mut validation = Validation::new(algorithm.in_jsonwebtoken());
    validation.set_issuer(&[&settings.issuer]);
    validation.set_audience(&settings.audiences);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation
}
