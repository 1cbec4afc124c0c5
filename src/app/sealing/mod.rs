//! Sealing: the journal is told how often each activation that has ended was used, and by what digest that is known.
//!
//! A seal is for ever, and must hold all uses there will ever be. So an activation is closed for further uses first, and what
//! was taken before is waited for; nothing is sealed while uses cannot be written. A look that fails, in whatever way, is
//! followed by the next.

#[cfg(test)]
mod tests;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::activation::Phase;
use crate::domain::command::{Caller, Command};
use crate::domain::id::ActivationId;
use crate::domain::refusal::Refusal;
use crate::domain::time::Span;
use crate::store::{Reader, StoreError};
use crate::uses::{Closing, Keeping, UseReader};
use crate::writer::{Purpose, Submission, SubmitError, Writer};

/// Seals what is used and over. Cheap to clone.
#[derive(Clone)]
pub(super) struct Sealing {
    pub(super) uses: UseReader,
    pub(super) closing: Closing,
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    pub(super) clock: Clock,
}

impl Sealing {
    /// Looks for what can be sealed, until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let looks = async {
            loop {
                if let Err(error) = self.look().await {
                    tracing::warn!("uses could not be sealed; they will be later: {error:#}");
                }
                self.clock.wait_until(self.clock.now().plus(SEAL_AFTER)).await;
            }
        };
        stop.run_until_cancelled(looks).await;
    }

    /// Seals all that can be sealed now.
    async fn look(&self) -> anyhow::Result<()> {
        self.closing.follow(self.clock.now());
        // whoever runs hallpass is told of that elsewhere
        if self.closing.health().keeping() == Keeping::Out {
            return Ok(());
        }
        let sealing = self.clone();
        let ended = beside(move || sealing.ended()).await?;
        if ended.is_empty() {
            return Ok(());
        }
        let closed = self.closing.close(ended, self.clock.now()).await?;
        let uses = self.uses.clone();
        let whole = beside(move || closed.stretches(&uses)).await?;
        for (id, stretch) in whole {
            let command = Command::SealUses { id, count: stretch.count, digest: stretch.digest.clone() };
            let submission =
                Submission { caller: Caller::Hallpass, command, idempotency: None, purpose: Purpose::Commit };
            match self.writer.submit(submission).await {
                Ok(_) => {}
                // it was sealed before, and the file of uses not told
                Err(SubmitError::Refused(refusals)) if matches!(refusals.first(), Refusal::AlreadyEnded { .. }) => {}
                Err(error) => {
                    tracing::debug!(%error, "uses could not be sealed now");
                    continue;
                }
            }
            let uses = self.uses.clone();
            beside(move || uses.sealed(id, &stretch)).await?;
        }
        Ok(())
    }

    /// Activations whose uses wait for their seal, and whose end is in the journal.
    fn ended(&self) -> Result<Vec<ActivationId>, StoreError> {
        let now = self.clock.now();
        let mut ended = Vec::new();
        for id in self.uses.snapshot()?.unsealed()? {
            let phase = self.reader.activation(id)?.map(|listed| listed.item.phase);
            if let Some(Phase::Ended { at, .. }) = phase
                && at.plus(SEAL_AFTER) <= now
            {
                ended.push(id);
                if ended.len() == SEALED_AT_ONCE {
                    break;
                }
            }
        }
        Ok(ended)
    }
}

/// Runs what blocks beside the tasks; its panic is an error.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> Result<T, StoreError> + Send + 'static) -> anyhow::Result<T> {
    Ok(tokio::task::spawn_blocking(work).await.context("it ended in a panic")??)
}

/// How long after an activation's end its uses are sealed, and how often it is looked for such. Nothing depends on it but that
/// few requests which were let pass just before the end are turned away because nothing is recorded any more.
const SEAL_AFTER: Span = Span::seconds(5);
/// So many are closed by one look: what is closed is remembered for a while.
const SEALED_AT_ONCE: usize = 1_024;
