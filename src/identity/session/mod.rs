//! Sessions of people who signed in with a browser: kept here, not in the cookie, so that they can be ended.
//!
//! A session is read from its file under the lock of those in memory, and whoever ends one marks it there before the file is
//! written and takes it away afterwards: a read under way cannot bring back what has ended.

mod content;
mod file;
mod live;
mod seal;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

pub(super) use content::{Content, sid_finder, subject_finder};
pub use file::FileError;
use file::{File, NotWritten, Row};
pub use live::Session;
pub(super) use live::State;
use seal::{Key, Seal, key_of};

use super::authenticator::Authenticator;
use super::random;
use super::settings::SignInSettings;
use crate::domain::time::Timestamp;

/// All sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    authenticator: Authenticator,
    path: PathBuf,
    /// Opened when a provider is first configured.
    file: OnceLock<File>,
    live: Mutex<Live>,
    /// Held by the one who looks through them all.
    sweeping: Mutex<()>,
}

#[derive(Debug, Default)]
struct Live {
    by_key: HashMap<Key, Arc<Session>>,
    /// Those that are being ended, or whose end could not be written.
    ended: HashSet<Key>,
}

/// Why there is no new session.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotStarted {
    #[error("there are as many sessions as there may be")]
    Full,
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the provider is not configured any more")]
    NotConfigured,
    #[error("the cryptography does not work")]
    Cryptography,
}

/// A session that has just begun.
pub(super) struct Started {
    /// For the cookie.
    pub(super) secret: String,
}

impl Sessions {
    pub(super) fn new(authenticator: Authenticator, path: PathBuf) -> Self {
        Self { authenticator, path, file: OnceLock::new(), live: Mutex::default(), sweeping: Mutex::default() }
    }

    /// Opens the file, unless that was done.
    pub(super) fn open(&self) -> Result<(), FileError> {
        let mut file = None;
        if self.file.get().is_none() {
            file = Some(File::open(&self.path)?);
        }
        if let Some(file) = file {
            // whoever else opened it meanwhile holds its lock, so there is none
            let _ = self.file.set(file);
        }
        Ok(())
    }

    /// Begins a session. Blocks.
    pub(super) fn start(&self, content: &Content, now: Timestamp) -> Result<Started, NotStarted> {
        let settings = self.settings(content).ok_or(NotStarted::NotConfigured)?;
        let bits = random::bits().map_err(|_| NotStarted::Cryptography)?;
        let seal = Seal::new(&bits).map_err(|_| NotStarted::Cryptography)?;
        let key = *seal.key();
        let sealed = closed(&seal, content).ok_or(NotStarted::Cryptography)?;
        let session = Session::new(seal, content, &settings, now);
        let row = row(content, sealed, &session);
        let gone = match self.file()?.insert(&key, &row) {
            Ok(gone) => gone,
            Err(NotWritten::Full) => return Err(NotStarted::Full),
            Err(NotWritten::File(error)) => return Err(error.into()),
        };
        let mut live = self.live();
        for session in gone.iter().filter_map(|key| live.by_key.remove(key)) {
            session.supersede();
        }
        live.by_key.insert(key, Arc::new(session));
        Ok(Started { secret: data_encoding::BASE64URL_NOPAD.encode(&bits) })
    }

    /// The session of a cookie at a site, however it stands; `None` when there is none.
    pub(super) fn find(&self, cookie: &[u8], site: &str) -> Result<Option<Arc<Session>>, FileError> {
        let Some(secret) = random::read(cookie) else { return Ok(None) };
        let key = key_of(&secret);
        if let Some(session) = self.live().by_key.get(&key) {
            return Ok(Some(Arc::clone(session)).filter(|session| session.is_of(site)));
        }
        // strangers are turned away before the lock
        if self.file()?.read(&key)?.is_none() {
            return Ok(None);
        }
        let Ok(seal) = Seal::new(&secret) else { return Ok(None) };
        let session = self.read(seal)?;
        Ok(session.filter(|session| session.is_of(site)))
    }

    /// The session as it stands now; `None` when it has ended.
    pub(super) fn again(&self, session: &Session) -> Result<Option<Arc<Session>>, FileError> {
        let Ok(seal) = session.seal.again() else { return Ok(None) };
        self.read(seal)
    }

    fn read(&self, seal: Seal) -> Result<Option<Arc<Session>>, FileError> {
        let mut live = self.live();
        if live.ended.contains(seal.key()) {
            return Ok(None);
        }
        if let Some(session) = live.by_key.get(seal.key()) {
            return Ok(Some(Arc::clone(session)));
        }
        let Some(row) = self.file()?.read(seal.key())? else { return Ok(None) };
        let Some(content) = opened(&seal, &row.sealed) else { return Ok(None) };
        let Some(settings) = self.settings(&content) else { return Ok(None) };
        let key = *seal.key();
        let session = Arc::new(Session::new(seal, &content, &settings, row.times.last_used));
        live.by_key.insert(key, Arc::clone(&session));
        Ok(Some(session))
    }

    /// All that is kept of a session; `None` when it has ended.
    pub(super) fn content(&self, session: &Session) -> Result<Option<Content>, FileError> {
        let row = self.file()?.read(session.key())?;
        Ok(row.and_then(|row| opened(&session.seal, &row.sealed)))
    }

    /// Writes down what the provider said anew. Blocks. Whoever ended the session meanwhile wins.
    pub(super) fn renew(&self, session: &Session, content: &Content) -> Result<(), FileError> {
        self.rewrite(session, content)?;
        self.supersede(session);
        Ok(())
    }

    /// Writes a session anew, if it is still there.
    fn rewrite(&self, session: &Session, content: &Content) -> Result<(), FileError> {
        let (Some(sealed), Some(settings)) = (closed(&session.seal, content), self.settings(content)) else {
            return self.end(&[*session.key()]);
        };
        let Ok(seal) = session.seal.again() else { return self.end(&[*session.key()]) };
        let fresh = Session::new(seal, content, &settings, session.last_used());
        self.file()?.replace(session.key(), &row(content, sealed, &fresh))?;
        Ok(())
    }

    /// Has whoever looks next read the file, as for any session: what was written a moment ago may have ended since.
    fn supersede(&self, session: &Session) {
        let mut live = self.live();
        session.supersede();
        if let Some(present) = live.by_key.remove(session.key()) {
            present.supersede();
        }
    }

    /// Ends sessions: in memory before anything else, then for good. Blocks.
    pub(super) fn end(&self, keys: &[Key]) -> Result<(), FileError> {
        {
            let mut live = self.live();
            for key in keys {
                live.ended.insert(*key);
                if let Some(session) = live.by_key.remove(key) {
                    session.supersede();
                }
            }
        }
        self.file()?.remove(keys)?;
        let mut live = self.live();
        for key in keys {
            live.ended.remove(key);
        }
        Ok(())
    }

    /// Ends all sessions that can be found by this; says how many. Blocks.
    pub(super) fn end_found_by(&self, finder: &Key) -> Result<usize, FileError> {
        let keys = self.file()?.found_by(finder)?;
        self.end(&keys)?;
        Ok(keys.len())
    }

    /// Has every session read again: settings have changed.
    pub(super) fn reconsider(&self) {
        let mut live = self.live();
        for (_, session) in live.by_key.drain() {
            session.supersede();
        }
    }

    /// Notes what was used, removes what is over, and forgets what nobody asks for; says how many are left. Blocks.
    pub(super) fn sweep(&self, now: Timestamp) -> Result<u64, FileError> {
        let Some(file) = self.file.get() else { return Ok(0) };
        // one that noted uses and has not written them yet would let another find those sessions over
        let _turn = self.sweeping.lock().unwrap_or_else(PoisonError::into_inner);
        let used: Vec<_> = {
            let live = self.live();
            live.by_key.iter().filter_map(|(key, session)| Some((*key, session.to_note()?))).collect()
        };
        file.touch(&used)?;
        let over = file.over(now)?;
        self.end(&over)?;
        let mut live = self.live();
        // only who holds the lock can hand out another
        live.by_key.retain(|_, session| Arc::strong_count(session) > 1 || now < session.last_used().plus(FORGET_AFTER));
        drop(live);
        file.count()
    }

    fn settings(&self, content: &Content) -> Option<SignInSettings> {
        let issuer = self.authenticator.settings_of(&content.issuer)?;
        issuer.sign_in.clone().filter(|sign_in| sign_in.client_id == content.client_id)
    }

    fn file(&self) -> Result<&File, FileError> {
        match self.file.get() {
            Some(file) => Ok(file),
            None => {
                self.open()?;
                self.file.get().ok_or_else(|| redb::StorageError::Io(std::io::ErrorKind::NotFound.into()).into())
            }
        }
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn row(content: &Content, sealed: Vec<u8>, session: &Session) -> Row {
    Row { subject: content.subject_finder(), sid: content.sid_finder(), sealed, times: session.times() }
}

fn closed(seal: &Seal, content: &Content) -> Option<Vec<u8>> {
    seal.close(serde_json::to_vec(content).ok()?).ok()
}

fn opened(seal: &Seal, sealed: &[u8]) -> Option<Content> {
    serde_json::from_slice(&seal.open(sealed).ok()?).ok()
}

/// Sessions that nobody used for so long are read from the file again.
const FORGET_AFTER: crate::domain::time::Span = crate::domain::time::Span::minutes(10);

#[cfg(test)]
mod tests;
