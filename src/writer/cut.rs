//! Old records taken out of the journal, between two batches, by the one who writes it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::clock::awake;
use crate::domain::event::{Actor, Detail};
use crate::domain::standing::Position;
use crate::journal::Digest;
use crate::store::{Plan, StoreError};
use crate::writer::batch::{BatchError, Batches};
use crate::writer::outage::Room;
use crate::writer::{Work, Writer};

/// A cut on its way.
pub(super) struct Wanted {
    plan: Box<Plan>,
    archive: Digest,
    detail: Detail,
    reply: oneshot::Sender<Result<CutMade, CutError>>,
}

/// What came of a cut: durable when it arrives.
#[derive(Debug, Clone, Copy)]
pub struct CutMade {
    /// The record that states it.
    pub position: Position,
    /// For how long no command was taken.
    pub held: Duration,
}

/// Why a cut came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum CutError {
    /// Something happened since it was planned that it does not know of.
    #[error("the journal went on, so that the plan is no longer so")]
    Overtaken,
    /// It was not begun; later it may be.
    #[error("nothing is cut now: {0}")]
    NotNow(&'static str),
    /// It was begun. Whether it came to be can be told once the store was reopened.
    #[error("the cut could not be stored: {0}")]
    Failed(String),
}

impl Writer {
    /// Cuts what was planned, when `archive`, the SHA-256 of a file, holds it.
    ///
    /// # Errors
    /// [`CutError`]. Unless it says that it [failed](CutError::Failed), nothing has changed.
    pub async fn cut(&self, plan: Box<Plan>, archive: Digest, detail: Detail) -> Result<CutMade, CutError> {
        let (reply, answer) = oneshot::channel();
        let wanted = Wanted { plan, archive, detail, reply };
        self.queue.try_send(Work::Cut(wanted)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CutError::NotNow("too many commands are waiting"),
            mpsc::error::TrySendError::Closed(_) => CutError::NotNow("hallpass is stopping"),
        })?;
        answer.await.unwrap_or_else(|_| Err(CutError::Failed("hallpass is stopping".to_owned())))
    }
}

impl Batches {
    pub(super) fn cut(&mut self, wanted: Wanted) {
        let Wanted { plan, archive, detail, reply } = wanted;
        let made = match self.hindrance() {
            Some(why) => Err(CutError::NotNow(why)),
            None => self.cut_now(&plan, archive, &detail),
        };
        // whoever asked may be gone; what was cut stays so
        let _ = reply.send(made);
    }

    /// Why nothing may be cut at present.
    fn hindrance(&mut self) -> Option<&'static str> {
        if !self.recovered() {
            Some("the journal takes no commands")
        } else if self.room != Room::Enough {
            Some("there is no room left for the journal")
        } else if self.standings.doubted().is_some() {
            Some("the journal is in doubt")
        } else if self.clock_is_behind() {
            Some("the clock lies behind the journal")
        } else {
            None
        }
    }

    fn cut_now(&mut self, plan: &Plan, archive: Digest, detail: &Detail) -> Result<CutMade, CutError> {
        let (began, now) = (awake(), self.clock.now());
        let cut = || self.appender.cut(plan, archive, now, (Actor::Hallpass, detail));
        // a panic inside a write transaction poisons it: treated as a failed commit
        let made = catch_unwind(AssertUnwindSafe(cut))
            .map_or(Err(BatchError::Panicked), |made| made.map_err(BatchError::from));
        match made {
            Ok(committed) => {
                let held = self.committed(&committed, began);
                Ok(CutMade { position: committed.head.position, held })
            }
            Err(BatchError::Store(StoreError::Overtaken)) => Err(CutError::Overtaken),
            Err(error) => {
                tracing::error!(%error, "records could not be cut; the journal takes no commands until the store is verified");
                self.outage.begin(&error);
                Err(CutError::Failed(error.to_string()))
            }
        }
    }
}
