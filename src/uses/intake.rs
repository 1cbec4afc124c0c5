//! Which uses are taken, and when all that were taken are written: what a seal is to hold must not grow any more.
//!
//! A verdict given just before an activation ended may come to be recorded long after: its request waited for room in the
//! queue, or its thread was not run. No time that one waits is long enough for that. So an activation that is to be sealed is
//! first shut: from then on no use of it is taken, and the request behind it does not pass. Taking and shutting exclude each
//! other, so whatever was taken was taken before; and once that is written, what the file holds is all there will ever be.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use super::health::{Health, Keeping};
use super::{Stretch, Taken, Use, UseReader, UseRecorder, UsesUnavailable};
use crate::domain::id::ActivationId;
use crate::domain::time::{Span, Timestamp};
use crate::store::StoreError;

/// Where uses are taken.
#[derive(Debug, Default)]
pub(super) struct Intake {
    shut: RwLock<Shut>,
    /// How many uses were queued, ever.
    taken: AtomicU64,
}

/// What is taken no more.
#[derive(Debug)]
struct Shut {
    /// Activations that are shut, and since when.
    activations: HashMap<ActivationId, Timestamp>,
    /// Whatever rests on a verdict older than this; so nobody has to remember activations that were shut before.
    before: Timestamp,
}

impl Default for Shut {
    fn default() -> Self {
        Self { activations: HashMap::new(), before: Timestamp::MIN }
    }
}

impl Intake {
    /// Queues `used` by `queue`, unless no use of its activation is taken any more.
    pub(super) fn take(
        &self,
        used: &Use<'_>,
        queue: impl FnOnce() -> Result<Taken, UsesUnavailable>,
    ) -> Result<Taken, UsesUnavailable> {
        // held while it is queued, which waits for nobody
        let shut = self.shut.read().unwrap_or_else(PoisonError::into_inner);
        if used.at < shut.before || shut.activations.contains_key(&used.activation) {
            return Err(UsesUnavailable);
        }
        let taken = queue()?;
        if taken == Taken::Yes {
            self.taken.fetch_add(1, Ordering::Relaxed);
        }
        Ok(taken)
    }

    /// Uses of `now` are taken, also where a later time was told before: the wall clock is followed again.
    fn follow(&self, now: Timestamp) {
        let mut shut = self.shut.write().unwrap_or_else(PoisonError::into_inner);
        shut.before = shut.before.min(now.minus(REMEMBERED_FOR));
    }

    /// Takes no use of `activations` any more; how many uses were taken before, of all.
    fn shut(&self, activations: &[ActivationId], now: Timestamp) -> u64 {
        let mut shut = self.shut.write().unwrap_or_else(PoisonError::into_inner);
        let before = shut.before.max(now.minus(REMEMBERED_FOR));
        shut.before = before;
        shut.activations.retain(|_, since| *since >= before);
        shut.activations.extend(activations.iter().map(|id| (*id, now)));
        self.taken.load(Ordering::Relaxed)
    }
}

/// Shuts activations that have ended, so that their uses can be sealed. Cheap to clone; it does not keep the recorder's
/// thread from ending.
#[derive(Debug, Clone)]
pub struct Closing {
    intake: Arc<Intake>,
    /// How many uses were written, ever; closed when the recorder's thread has ended.
    written: watch::Receiver<u64>,
    health: Health,
}

/// Activations of which every use that was taken is written, and no other will be.
#[derive(Debug)]
pub struct Closed {
    activations: Vec<ActivationId>,
}

impl UseRecorder {
    /// By which activations are shut for this recorder.
    #[must_use]
    pub fn closing(&self) -> Closing {
        let Self { intake, written, health, .. } = self;
        Closing { intake: Arc::clone(intake), written: written.clone(), health: health.clone() }
    }
}

impl Closing {
    /// Whether uses are written down.
    #[must_use]
    pub const fn health(&self) -> &Health {
        &self.health
    }

    /// To be told now and then what time it is: it may have been told later.
    pub fn follow(&self, now: Timestamp) {
        self.intake.follow(now);
    }

    /// Takes no use of these activations any more, whose end must be in the journal, and returns when all that were taken are
    /// written.
    ///
    /// # Errors
    /// While uses cannot be written, and when the recorder's thread has ended; the activations stay shut.
    pub async fn close(&self, activations: Vec<ActivationId>, now: Timestamp) -> Result<Closed, UsesUnavailable> {
        let taken = self.intake.shut(&activations, now);
        let mut written = self.written.clone();
        tokio::select! {
            biased;
            () = self.health.becomes(Keeping::Out) => Err(UsesUnavailable),
            reached = written.wait_for(|written| *written >= taken) => match reached {
                Ok(_) => Ok(Closed { activations }),
                Err(_) => Err(UsesUnavailable),
            },
        }
    }
}

impl Closed {
    /// What is to be sealed of each; those that were never used are left out. Reads the file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn stretches(&self, uses: &UseReader) -> Result<Vec<(ActivationId, Stretch)>, StoreError> {
        uses.stretches(&self.activations)
    }
}

/// How long each activation that is shut is remembered, and so how old a verdict may be whose use is taken: far longer than
/// any request waits to be recorded.
const REMEMBERED_FOR: Span = Span::minutes(10);
