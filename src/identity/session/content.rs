//! What a session says, as it is sealed into the file.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use super::seal::Key;
use crate::domain::identity::{Assurance, Identity};
use crate::domain::principal::{Group, Principal};
use crate::domain::time::{Span, Timestamp};
use crate::identity::secret::{Secret, sealed};
use crate::identity::settings::SignInSettings;

/// All that is kept of one sign-in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::identity) struct Content {
    /// The origin it was made at; it is worth nothing elsewhere.
    pub(in crate::identity) site: String,
    /// Who vouches, as in `iss`.
    pub(in crate::identity) issuer: Arc<str>,
    /// The client it was made as.
    pub(in crate::identity) client_id: String,
    /// Who signed in.
    pub(in crate::identity) subject: Arc<str>,
    pub(in crate::identity) name: Option<Arc<str>>,
    pub(in crate::identity) mail: Option<Arc<str>>,
    pub(in crate::identity) groups: Vec<Arc<str>>,
    pub(in crate::identity) assurance: Assurance,
    /// What the provider calls its own session.
    pub(in crate::identity) sid: Option<String>,
    /// When this session began.
    pub(in crate::identity) signed_in_at: Timestamp,
    /// When the provider last vouched for it, and for how long.
    pub(in crate::identity) proven_at: Timestamp,
    pub(in crate::identity) proven_until: Timestamp,
    /// When it last said who that is, and in which groups.
    pub(in crate::identity) told_at: Timestamp,
    #[serde(with = "sealed")]
    pub(in crate::identity) refresh_token: Option<Secret>,
    /// Shown to the provider when the person signs out.
    #[serde(with = "sealed")]
    pub(in crate::identity) id_token: Option<Secret>,
}

impl Content {
    /// When the session is over whatever happens.
    pub(super) fn ends_at(&self, settings: &SignInSettings) -> Timestamp {
        self.signed_in_at.plus(settings.session_max)
    }

    /// The identity, whose proof ends with what the provider last said, or with the session.
    pub(super) fn identity(&self, settings: &SignInSettings) -> Identity {
        let proven_until = match &self.refresh_token {
            Some(_) => self.proven_until,
            // nobody asks again, so it is a stated time
            None => self.signed_in_at.plus(settings.session_unrefreshed_max),
        };
        let group = |name: &Arc<str>| Group { issuer: Arc::clone(&self.issuer), name: Arc::clone(name) };
        Identity {
            principal: Principal { issuer: Arc::clone(&self.issuer), subject: Arc::clone(&self.subject) },
            name: self.name.clone(),
            mail: self.mail.clone(),
            groups: self.groups.iter().map(group).collect(),
            assurance: self.assurance.clone(),
            issued_at: Some(self.signed_in_at),
            ends_at: proven_until.min(self.ends_at(settings)),
        }
    }

    /// When to ask the provider again: a while before its word ends.
    pub(super) fn refresh_at(&self) -> Option<Timestamp> {
        self.refresh_token.as_ref()?;
        let life = Span::seconds(self.proven_until.millis_since(self.proven_at) / 4000);
        Some(self.proven_until.minus(life.min(AHEAD)))
    }

    /// Finds all sessions of this person.
    pub(super) fn subject_finder(&self) -> Key {
        subject_finder(&self.issuer, &self.subject)
    }

    /// Finds all sessions that the provider calls by the same name.
    pub(super) fn sid_finder(&self) -> Key {
        self.sid.as_ref().map_or_else(|| self.subject_finder(), |sid| sid_finder(&self.issuer, sid))
    }
}

/// Finds all sessions of a subject of an issuer.
pub(in crate::identity) fn subject_finder(issuer: &str, subject: &str) -> Key {
    finder("sub", issuer, subject)
}

/// Finds all sessions that an issuer calls by one `sid`.
pub(in crate::identity) fn sid_finder(issuer: &str, sid: &str) -> Key {
    finder("sid", issuer, sid)
}

fn finder(kind: &str, issuer: &str, name: &str) -> Key {
    let mut context = Context::new(&SHA256);
    for part in [kind, issuer, name] {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut key = [0; 32];
    for (to, from) in key.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    key
}

/// The provider is asked at most so long before its word ends.
const AHEAD: Span = Span::minutes(1);
