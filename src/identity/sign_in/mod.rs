//! Signing in with a browser: OpenID Connect's authorization code flow, and what becomes of the session it yields.
//!
//! A sign-in is begun and finished at one [`Site`](super::Site); `state` names it, a cookie binds it to the browser, and what
//! it was begun with (issuer, client, nonce, PKCE verifier) stays here. So an answer can only be one to the very question
//! that this browser was sent away with, and an issuer cannot answer for another one.

mod asked;
mod error;
mod exchange;
mod flow;
mod id_token;
mod leaving;
mod logout;
mod pending;
mod provider;
mod query;
mod renewal;
mod return_to;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::sync::Semaphore;

pub use asked::Asked;
pub use error::{Fault, FellShort, SignInError};
pub use logout::NoticeError;
pub use worker::SignInWorker;

use super::authenticator::Authenticator;
use super::error::AuthnError;
use super::fetch::{Fetcher, PATIENT_TIMEOUT};
use super::session::{FileError, Session, Sessions, State};
use super::settings::{IssuerSettings, Settings, SignInSettings};
use super::site::{Presented, Site};
use crate::domain::time::Timestamp;
use logout::{KEY_WAIT, NOTICES_WAITING_MAX, Replays};
use pending::Pendings;
use provider::Providers;
use renewal::AskedInVain;
use worker::Jobs;

/// Lets people sign in and out, and knows who is signed in. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SignIns {
    pub(super) shared: Arc<Shared>,
    jobs: Jobs,
    /// Asked on every request, so it is not worked out each time.
    offered: Arc<AtomicBool>,
}

/// What all clones, the worker and its jobs share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) authenticator: Authenticator,
    pub(super) sessions: Sessions,
    pending: Pendings,
    providers: Providers,
    replays: Replays,
    /// Notices that wait for an issuer's keys.
    notices_waiting: Semaphore,
    patience: Patience,
}

/// How long others are waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// A provider, in each exchange with it.
    pub(crate) provider: Duration,
    /// Keys that a notice may be signed with.
    pub(crate) keys: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { provider: PATIENT_TIMEOUT, keys: KEY_WAIT }
    }
}

/// What a request to sign in is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// The browser goes to the provider, with these cookies.
    Onward {
        /// The provider's address.
        location: String,
        /// Values of `Set-Cookie`.
        cookies: Vec<HeaderValue>,
    },
    /// There are several providers, and nobody said which.
    Choose(Vec<Offer>),
}

/// A provider to sign in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its short name.
    pub name: String,
    /// The query of the link that begins there.
    pub query: String,
}

/// A sign-in that came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Where the person wanted to go: an absolute address of the same site.
    pub return_to: String,
    /// Values of `Set-Cookie`.
    pub cookies: Vec<HeaderValue>,
}

/// What a request says of the person before the browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// They did something: the session is used.
    Acts,
    /// Nothing: a page follows by itself, whether anybody looks at it or not.
    Unknown,
}

/// Somebody who signed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedOut {
    /// Values of `Set-Cookie`.
    pub cookies: Vec<HeaderValue>,
    /// Where to sign out at the provider, too.
    pub onward: Option<String>,
}

impl SignIns {
    /// Over the issuers of `authenticator`; sessions lie at `path`, which is made when a provider is first configured. The
    /// worker must be run.
    ///
    /// # Errors
    /// When sessions are configured and their file cannot be opened.
    pub fn new(authenticator: Authenticator, path: PathBuf) -> Result<(Self, SignInWorker), FileError> {
        Self::with(Patience::default(), authenticator, path)
    }

    /// The same with another patience.
    pub(crate) fn with(
        patience: Patience,
        authenticator: Authenticator,
        path: PathBuf,
    ) -> Result<(Self, SignInWorker), FileError> {
        let (jobs, pools) = Jobs::new();
        let shared = Arc::new(Shared {
            sessions: Sessions::new(authenticator.clone(), path),
            authenticator,
            pending: Pendings::default(),
            providers: Providers::new(Fetcher::waiting(patience.provider)),
            replays: Replays::default(),
            notices_waiting: Semaphore::new(NOTICES_WAITING_MAX),
            patience,
        });
        let offered = shared.authenticator.offers_sign_in();
        if offered {
            shared.sessions.open()?;
        }
        let sign_ins = Self { shared: Arc::clone(&shared), jobs, offered: Arc::new(AtomicBool::new(offered)) };
        Ok((sign_ins, SignInWorker::new(pools, shared)))
    }

    /// Looks whether new settings can be taken.
    ///
    /// # Errors
    /// When they need the file of sessions and it cannot be opened.
    pub fn prepare(&self, settings: &Settings) -> Result<(), FileError> {
        if settings.issuers.iter().any(|issuer| issuer.sign_in.is_some()) {
            self.shared.sessions.open()
        } else {
            Ok(())
        }
    }

    /// Holds every session against the issuers as they are now: called after they changed.
    pub fn reconsider(&self) {
        self.offered.store(self.shared.authenticator.offers_sign_in(), Ordering::Release);
        self.shared.sessions.reconsider();
    }

    /// Whether anybody can sign in: no cookie is looked at otherwise.
    #[must_use]
    pub fn is_offered(&self) -> bool {
        self.offered.load(Ordering::Acquire)
    }

    /// Whether the request carries a cookie of a session at `site`, good or not.
    #[must_use]
    pub fn is_presented(&self, site: &Site, headers: &HeaderMap) -> bool {
        site.session(headers) != Presented::Nothing
    }

    /// Who is signed in at `site`, by the cookie of the request; `None` when nobody is. Waits only where the provider must
    /// be asked whether that still holds.
    ///
    /// # Errors
    /// [`AuthnError::SessionUnavailable`].
    pub async fn identify(
        &self,
        site: &Site,
        headers: &HeaderMap,
        presence: Presence,
        now: Timestamp,
    ) -> Result<Option<Arc<Session>>, AuthnError> {
        if !self.is_offered() {
            return Ok(None);
        }
        match site.session(headers) {
            Presented::Nothing | Presented::Several => Ok(None),
            Presented::One(cookie) => self.by_cookie(cookie, site, presence, now).await,
        }
    }

    /// The session of the request, also when its provider must be asked whether it holds; waits for nobody and decides nothing.
    #[must_use]
    pub fn at_a_glance(&self, site: &Site, headers: &HeaderMap, now: Timestamp) -> Option<Arc<Session>> {
        self.present(site, headers, now).ok().flatten()
    }

    /// The session of one cookie, good at `now`.
    pub(super) async fn by_cookie(
        &self,
        cookie: &[u8],
        site: &Site,
        presence: Presence,
        now: Timestamp,
    ) -> Result<Option<Arc<Session>>, AuthnError> {
        for _ in 0..LOOKS_MAX {
            let found = self.shared.sessions.find(cookie, site.origin()).map_err(unavailable)?;
            let Some(session) = found else { return Ok(None) };
            // one that moves between finding and judging it is found once more
            match self.good(session.clone(), presence, now).await? {
                None if session.has_moved() => {}
                good => return Ok(good),
            }
        }
        Err(AuthnError::SessionUnavailable)
    }

    /// The session, if it is good at `now` or can be made so.
    async fn good(
        &self,
        session: Arc<Session>,
        presence: Presence,
        now: Timestamp,
    ) -> Result<Option<Arc<Session>>, AuthnError> {
        match session.state(now) {
            State::Good => {
                self.keep(&session, presence, now);
                Ok(Some(session))
            }
            State::Stale => self.asked_again(&session, presence, now).await,
            State::Over => Ok(None),
        }
    }

    /// The session after it [moved](Session::has_moved), or the same, good at `now`; without waiting for anybody.
    pub fn again(&self, session: &Session, now: Timestamp) -> Option<Arc<Session>> {
        let again = self.shared.sessions.again(session).map_err(unavailable).ok()??;
        (again.state(now) == State::Good).then_some(again)
    }

    /// It is used just now: notes that, and asks the provider beside everything else when its word ends soon.
    pub fn care(&self, session: &Arc<Session>, now: Timestamp) {
        self.keep(session, Presence::Acts, now);
    }

    /// Something follows under it: has the provider asked as [`care`](Self::care) does, but that is no use of it.
    pub fn follow(&self, session: &Arc<Session>, now: Timestamp) {
        self.keep(session, Presence::Unknown, now);
    }

    fn keep(&self, session: &Arc<Session>, presence: Presence, now: Timestamp) {
        if presence == Presence::Acts {
            session.touch(now);
        }
        if session.takes_refresh(now) {
            self.begin_refresh(session);
        }
    }

    async fn asked_again(
        &self,
        session: &Arc<Session>,
        presence: Presence,
        now: Timestamp,
    ) -> Result<Option<Arc<Session>>, AuthnError> {
        self.refresh(session).await.map_err(|AskedInVain| AuthnError::SessionUnavailable)?;
        let now = now.max(self.shared.now());
        let again = self.shared.sessions.again(session).map_err(unavailable)?;
        let good = again.filter(|session| session.state(now) == State::Good);
        Ok(good.inspect(|session| {
            if presence == Presence::Acts {
                session.touch(now);
            }
        }))
    }
}

impl Shared {
    pub(super) fn now(&self) -> Timestamp {
        self.authenticator.now()
    }

    /// The issuer, when people sign in with it as this client.
    fn provider(&self, issuer: &str) -> Option<(Arc<IssuerSettings>, SignInSettings)> {
        let issuer = self.authenticator.settings_of(issuer)?;
        let sign_in = issuer.sign_in.clone()?;
        Some((issuer, sign_in))
    }

    /// What blocks, on a thread that may.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, SignInError> {
        let shared = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&shared)).await.map_err(|error| {
            tracing::error!(%error, "keeping a session ended in a panic");
            SignInError::Unavailable
        })
    }
}

/// How often a session that moves is looked at again.
const LOOKS_MAX: usize = 4;

fn unavailable(error: FileError) -> AuthnError {
    tracing::error!(error = &error as &dyn std::error::Error, "sessions cannot be read");
    AuthnError::SessionUnavailable
}
