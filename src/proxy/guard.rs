//! Keeps long exchanges honest: whatever was opened under a right ends with it.
//!
//! A guard has the core's lookout watch over it first and then looks whether anything moved since the verdict, so that
//! nothing published in between is missed. From then on it sleeps until its standings change, the rules are replaced, the
//! permit ends, or (where nothing else would end the exchange) the gate drains. It belongs to the task of the exchange it
//! watches, and no byte need move for it to act.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use crate::domain::authorize::Permit;
use crate::domain::identity::Identity;
use crate::domain::time::Timestamp;
use crate::identity::Session;
use crate::proxy::canonical::Canonical;
use crate::proxy::core::{Core, View};
use crate::proxy::lookout::{Grounds, Ward};
use crate::proxy::route::Route;
use crate::proxy::standing::{Judged, NotPermitted};
use crate::server;
use crate::standings::Stamp;

/// Why a long exchange was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Time ran out: of the role, or of the proof of identity.
    Expired,
    /// The right was taken away, or the principal locked.
    Revoked,
    /// The session was ended, here or by its provider.
    SignedOut,
    /// The configuration no longer lets it pass.
    RuleChanged,
    /// Nobody can tell any more whether it may go on.
    Unknown,
    /// The gate is shutting down.
    Draining,
}

impl Ending {
    /// As in logs and metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::SignedOut => "signed_out",
            Self::RuleChanged => "rule_changed",
            Self::Unknown => "unknown",
            Self::Draining => "draining",
        }
    }
}

/// What a long exchange rests on.
pub(super) struct Right {
    core: Rc<Core>,
    view: Rc<View>,
    canonical: Rc<Canonical>,
    route: Arc<Route>,
    ward: Rc<Ward>,
    session: Option<Arc<Session>>,
    stamp: Stamp,
    ends_at: Timestamp,
    drain: Drain,
}

/// Whether draining ends an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drain {
    /// It would never end by itself.
    Ends,
    /// It may finish until the deadline.
    Waits,
}

impl Right {
    pub(super) fn new(
        core: &Rc<Core>,
        view: &Rc<View>,
        canonical: &Rc<Canonical>,
        route: &Arc<Route>,
        (identity, session): (Option<&Arc<Identity>>, Option<&Arc<Session>>),
        judged: &Judged,
        drain: Drain,
    ) -> Self {
        Self {
            core: Rc::clone(core),
            view: Rc::clone(view),
            canonical: Rc::clone(canonical),
            route: Arc::clone(route),
            ward: Ward::new(Grounds { identity: identity.cloned(), standings: judged.standings.clone() }),
            session: session.cloned(),
            stamp: judged.stamp,
            ends_at: end_of(&judged.permit),
            drain,
        }
    }

    /// Returns when the right has ended.
    pub(super) async fn ended(mut self) -> Ending {
        let core = Rc::clone(&self.core);
        let ward = Rc::clone(&self.ward);
        let _watched = core.lookout.watch_over(&ward);
        loop {
            // watched over from above on: what was published since the verdict is seen here, what comes later wakes
            if core.lookout.is_closed() {
                return Ending::Unknown;
            }
            if let Err(ending) = self.check_session().and_then(|()| self.check()) {
                return ending;
            }
            let session = self.session.clone();
            let care_at = session.as_ref().map_or(Timestamp::MAX, |session| session.care_at());
            tokio::select! {
                () = ward.called() => {}
                () = core.judge.clock().wait_until(self.ends_at.min(care_at)) => {}
                () = moved(session.as_ref()) => {}
                () = core.draining.cancelled(), if self.drain == Drain::Ends => return Ending::Draining,
            }
        }
    }

    /// An open exchange is a use of its session. One that moved has ended, or its provider said something new.
    fn check_session(&mut self) -> Result<(), Ending> {
        let Some(session) = &self.session else { return Ok(()) };
        let core = Rc::clone(&self.core);
        let sign_ins = core.identities.sign_ins().ok_or(Ending::SignedOut)?;
        let now = core.judge.clock().now();
        if !session.has_moved() {
            if session.care_at() <= now {
                sign_ins.care(session, now);
            }
            return Ok(());
        }
        let again = sign_ins.again(session, now).ok_or(Ending::SignedOut)?;
        self.ward.rests_on(|grounds| grounds.identity = Some(Arc::clone(again.identity())));
        self.session = Some(again);
        self.judge_again(Ending::Revoked)
    }

    fn check(&mut self) -> Result<(), Ending> {
        let judge = &self.core.judge;
        let in_time = judge.clock().now() < self.ends_at;
        let stamp = judge.standings().stamp();
        let view = self.core.view();
        if !Rc::ptr_eq(&view, &self.view) {
            let route = view.rules.routes.find(&self.canonical).ok().flatten().ok_or(Ending::RuleChanged)?;
            self.route = Arc::clone(route);
            self.view = view;
            // who is vouched for by an issuer that nobody names any more is nobody
            let knows = |known: &Arc<Identity>| self.view.rules.names.knows(&known.principal.issuer);
            self.ward.rests_on(|grounds| grounds.identity = grounds.identity.take().filter(knows));
            return self.judge_again(Ending::RuleChanged);
        }
        if in_time && stamp == self.stamp {
            return Ok(());
        }
        if in_time && self.ward.is_unchanged(judge) {
            self.stamp = stamp;
            return Ok(());
        }
        self.judge_again(if in_time { Ending::Revoked } else { Ending::Expired })
    }

    fn judge_again(&mut self, otherwise: Ending) -> Result<(), Ending> {
        match self.core.judge.judge(&self.route.rule, self.ward.identity().as_deref()) {
            Ok(judged) => {
                self.stamp = judged.stamp;
                self.ward.rests_on(|grounds| grounds.standings = judged.standings);
                self.ends_at = end_of(&judged.permit);
                Ok(())
            }
            Err(NotPermitted::Denied(_)) => Err(otherwise),
            Err(NotPermitted::Unknown) => Err(Ending::Unknown),
        }
    }
}

/// Returns when the session has moved; never without one.
async fn moved(session: Option<&Arc<Session>>) {
    match session {
        Some(session) => session.moved().await,
        None => std::future::pending().await,
    }
}

/// A denial that is only recorded ends nothing.
fn end_of(permit: &Permit) -> Timestamp {
    permit.ends_at().filter(|_| permit.shadowed().is_none()).unwrap_or(Timestamp::MAX)
}

/// For as long as it lives, its connection is cut when the right ends. Shared by the two bodies of an exchange.
pub(super) struct Lease {
    connection: Rc<server::Connection>,
    ticket: server::Ticket,
}

impl Lease {
    /// Guards a connection; `ending` will tell why it was cut.
    pub(super) fn new(
        connection: &Rc<server::Connection>,
        right: Right,
        ending: &Rc<Cell<Option<Ending>>>,
    ) -> Rc<Self> {
        let told = Rc::clone(ending);
        let ticket = connection.cut_when(Box::pin(async move { told.set(Some(right.ended().await)) }));
        Rc::new(Self { connection: Rc::clone(connection), ticket })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.connection.keep(self.ticket);
    }
}
