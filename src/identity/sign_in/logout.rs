//! Sessions that a provider ends by a notice of its own (OpenID Connect Back-Channel Logout 1.0).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};

use super::query::Query;
use super::{Shared, SignIns, id_token};
use crate::domain::time::{Span, Timestamp};
use crate::identity::error::{AuthnError, invalid};
use crate::identity::issuer::{Issuer, UNKNOWN_KEY};
use crate::identity::session::{sid_finder, subject_finder};
use crate::identity::token;

/// Why a notice ended nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoticeError {
    /// It is not to be believed; the reason is a constant that holds nothing of it.
    #[error("{0}")]
    Refused(&'static str),
    /// It could not be checked, or its effect not be written down: it may be sent again.
    #[error("the notice cannot be dealt with at present")]
    Unavailable,
}

/// What a logout token says.
#[derive(Debug, PartialEq, Eq)]
struct Notice {
    issuer: Arc<str>,
    subject: Option<String>,
    sid: Option<String>,
    id: String,
    until: Timestamp,
}

/// Notices that were dealt with, until they would be refused for their age.
#[derive(Debug, Default)]
pub(super) struct Replays {
    seen: Mutex<HashMap<(Arc<str>, String), Timestamp>>,
}

impl SignIns {
    /// Takes a notice: the body of a form with one `logout_token`. What it ends has ended when this returns; says how many
    /// sessions that were.
    ///
    /// # Errors
    /// [`NoticeError`].
    pub async fn notice(&self, form: &[u8]) -> Result<usize, NoticeError> {
        let form = std::str::from_utf8(form).map_err(|_| NoticeError::Refused("the form is not UTF-8"))?;
        let token = Query::read(form).one("logout_token").map(str::to_owned);
        let token = token.ok_or(NoticeError::Refused("the form holds no `logout_token`"))?;
        let ended = self.believed(&token).await;
        let result = match &ended {
            Ok(_) => "success",
            Err(NoticeError::Refused(_)) => "refused",
            Err(NoticeError::Unavailable) => "unavailable",
        };
        self.shared.authenticator.counters().logout_notice(result);
        if let Err(error) = &ended {
            tracing::warn!(reason = %error, "a logout notice was refused");
        }
        ended
    }

    /// What nobody signed takes no part of what sessions need: only a notice that holds becomes a job.
    async fn believed(&self, token: &str) -> Result<usize, NoticeError> {
        let notice = self.shared.verified_notice(token).await.map_err(|error| match error {
            error if lacks_key(&error) => NoticeError::Unavailable,
            AuthnError::InvalidToken(reason) => NoticeError::Refused(reason),
            _ => NoticeError::Unavailable,
        })?;
        let shared = Arc::clone(&self.shared);
        let ended = self.jobs.ending.run(async move { shared.end_as_told(notice).await }).await;
        ended.map_err(|_| NoticeError::Unavailable)?
    }
}

impl Shared {
    /// Where the key is not known yet, a few wait a moment for the next reading of the issuer's keys.
    async fn verified_notice(&self, text: &str) -> Result<Notice, AuthnError> {
        let read = token::read(text)?;
        let issuer = self.notifying(&read)?;
        match verify(&issuer, text, &read, self.now()) {
            Err(error) if lacks_key(&error) => {
                let _place = self.notices_waiting.try_acquire().map_err(|_| error)?;
                let reading = issuer.feed.next_reading(self.now());
                // whether it came or not: what is known by now decides
                let _ = tokio::time::timeout(self.patience.keys, reading).await;
                verify(&self.notifying(&read)?, text, &read, self.now())
            }
            verified => verified,
        }
    }

    /// The issuer that the notice says it comes from.
    fn notifying(&self, read: &token::Unverified) -> Result<Issuer, AuthnError> {
        let Some(Value::String(named)) = read.claims.get("iss") else { return invalid("`iss` is not a string") };
        let issuer = self.authenticator.issuer(named).filter(|issuer| issuer.settings.sign_in.is_some());
        issuer.map_or_else(|| invalid("of an issuer nobody signs in with"), Ok)
    }

    async fn end_as_told(self: &Arc<Self>, notice: Notice) -> Result<usize, NoticeError> {
        if !self.replays.is_first(&notice) {
            return Err(NoticeError::Refused("it was sent before"));
        }
        let Notice { issuer, subject, sid, id, .. } = notice;
        let ending = Arc::clone(&issuer);
        let ended = self.blocking(move |shared| {
            let by_sid = sid.map(|sid| sid_finder(&ending, &sid));
            let ended = by_sid.map_or(Ok(0), |finder| shared.sessions.end_found_by(&finder))?;
            match subject {
                // a provider that names the session only here can but mean all of this person
                Some(subject) if ended == 0 => shared.sessions.end_found_by(&subject_finder(&ending, &subject)),
                _ => Ok(ended),
            }
        });
        match ended.await {
            Ok(Ok(ended)) => {
                tracing::info!(issuer.url = %issuer, ended, "a provider ended sessions");
                Ok(ended)
            }
            Ok(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the end of sessions cannot be written");
                self.replays.forget(&issuer, &id);
                Err(NoticeError::Unavailable)
            }
            Err(_) => Err(NoticeError::Unavailable),
        }
    }
}

/// Whether newer keys may change the answer.
fn lacks_key(error: &AuthnError) -> bool {
    *error == UNKNOWN_KEY || *error == AuthnError::KeysUnavailable
}

/// Verifies a logout token (section 2.6).
fn verify(issuer: &Issuer, text: &str, read: &token::Unverified, now: Timestamp) -> Result<Notice, AuthnError> {
    let Some(client_id) = issuer.settings.sign_in.as_ref().map(|sign_in| sign_in.client_id.as_str()) else {
        return invalid("of an issuer nobody signs in with");
    };
    let settings = id_token::settings(issuer, client_id);
    // providers from before the type was registered write plain `JWT`; what they say tells it from every other token
    if !["logout+jwt", "jwt"].contains(&read.typ.as_str()) {
        return invalid("not a logout token");
    }
    let claims = &read.claims;
    let event = claims.get("events").and_then(Value::as_object).and_then(|events| events.get(EVENT));
    if event.and_then(Value::as_object).is_none() {
        return invalid("without the event of a logout");
    }
    if claims.contains_key("nonce") {
        return invalid("a logout token has no `nonce`");
    }
    let meant = match claims.get("aud") {
        Some(Value::String(audience)) => audience == client_id,
        Some(Value::Array(audiences)) => {
            audiences.iter().all(Value::is_string) && audiences.iter().any(|audience| audience == client_id)
        }
        _ => false,
    };
    if !meant {
        return invalid("meant for another audience");
    }
    let until = times(claims, settings.leeway, now)?;
    let (subject, sid) = (name(claims, "sub")?, name(claims, "sid")?);
    if subject.is_none() && sid.is_none() {
        return invalid("it says neither who nor which session");
    }
    let Some(id) = name(claims, "jti")? else { return invalid("without `jti`") };
    issuer.signed(text, read, &settings, now)?;
    Ok(Notice { issuer: Arc::clone(&settings.issuer), subject, sid, id, until })
}

fn times(claims: &Map<String, Value>, leeway: Span, now: Timestamp) -> Result<Timestamp, AuthnError> {
    let time = |name: &str| claims.get(name).and_then(Value::as_i64).filter(|seconds| 0 <= *seconds);
    let (Some(iat), Some(exp)) = (time("iat"), time("exp")) else { return invalid("without `iat` or `exp`") };
    let (iat, exp) = (Timestamp::from_seconds(iat), Timestamp::from_seconds(exp));
    if now.plus(leeway) < iat {
        return invalid("issued in the future");
    }
    if exp <= now {
        return invalid("expired");
    }
    if now.plus(LIFE_MAX) < exp {
        return invalid("lives longer than allowed");
    }
    Ok(exp)
}

fn name(claims: &Map<String, Value>, name: &str) -> Result<Option<String>, AuthnError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && text.len() <= NAME_BYTES_MAX => Ok(Some(text.clone())),
        Some(_) => invalid("a name in it is not a short string"),
    }
}

impl Replays {
    fn is_first(&self, notice: &Notice) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (Arc::clone(&notice.issuer), notice.id.clone());
        // only a configured issuer's signature leads here, so the bound is against its mistakes
        seen.len() < SEEN_MAX && seen.insert(key, notice.until).is_none()
    }

    fn forget(&self, issuer: &Arc<str>, id: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.remove(&(Arc::clone(issuer), id.to_owned()));
    }

    pub(super) fn sweep(&self, now: Timestamp) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, until| now < *until);
    }
}

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const LIFE_MAX: Span = Span::hours(1);
const NAME_BYTES_MAX: usize = 256;
const SEEN_MAX: usize = 100_000;
pub(super) const KEY_WAIT: Duration = Duration::from_secs(3);
/// How many notices wait for keys at the same time.
pub(super) const NOTICES_WAITING_MAX: usize = 32;
