//! A caller for whom something goes on longer than one request: held against its proof again and again.

use std::sync::Arc;

use crate::domain::identity::Identity;
use crate::domain::time::Timestamp;
use crate::identity::Session;
use crate::portal::Portal;
use crate::portal::caller::{Proof, SignedIn};
use crate::portal::problem::Problem;

/// Who follows a stream or takes a file, as last proven.
pub(super) struct Lasting {
    identity: Arc<Identity>,
    /// Kept to be looked at again: a token when the issuer's keys change, a session when it moves.
    proof: Proof,
    generation: u64,
}

impl Lasting {
    pub(super) fn new(portal: &Portal, SignedIn { identity, proof }: SignedIn) -> Self {
        Self { generation: portal.shared.parts.authenticator.generation(), identity, proof }
    }

    /// Who it is, as of the last look.
    pub(super) const fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// Whether what proved the caller still does. What lasts is no use of its session: a page that somebody left open
    /// follows whether anybody looks at it or not, and must not keep them signed in.
    pub(super) fn look(&mut self, portal: &Portal) -> Result<(), Problem> {
        let parts = &portal.shared.parts;
        let now = parts.clock.now();
        match &self.proof {
            Proof::Token(token) => {
                let generation = parts.authenticator.generation();
                if generation != self.generation {
                    self.identity = parts.authenticator.authenticate(token, now)?.ok_or_else(Problem::not_signed_in)?;
                    self.generation = generation;
                }
            }
            Proof::Session(session) if session.has_moved() || session.follow_at() <= now => {
                let again = parts.sign_ins.again(session, now).ok_or_else(Problem::not_signed_in)?;
                parts.sign_ins.follow(&again, now);
                self.identity = Arc::clone(again.identity());
                self.proof = Proof::Session(again);
            }
            Proof::Session(_) => {}
        }
        if self.is_over(portal) { Err(Problem::not_signed_in()) } else { Ok(()) }
    }

    /// Whether the proof has come to its own end.
    pub(super) fn is_over(&self, portal: &Portal) -> bool {
        self.identity.ends_at <= portal.shared.parts.clock.now()
    }

    /// What to wait for before the next look, whatever else happens: apart from `self`, so that both can be used.
    pub(super) fn next_look(&self) -> NextLook {
        let session = match &self.proof {
            Proof::Session(session) => Some(Arc::clone(session)),
            Proof::Token(_) => None,
        };
        NextLook { session }
    }
}

/// When a caller must be looked at again.
pub(super) struct NextLook {
    session: Option<Arc<Session>>,
}

impl NextLook {
    /// When the session may have run out, or its word wants renewing.
    pub(super) fn follow_at(&self) -> Timestamp {
        self.session.as_ref().map_or(Timestamp::MAX, |session| session.follow_at())
    }

    /// Returns when the session has moved; never without one.
    pub(super) async fn moved(&self) {
        match &self.session {
            Some(session) => session.moved().await,
            None => std::future::pending().await,
        }
    }
}
