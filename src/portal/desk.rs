//! Where the portal reads: on a thread that may block, as one caller, with the names and the time of one moment.

use std::sync::Arc;

use crate::domain::activation::Activation;
use crate::domain::command::Command;
use crate::domain::identity::Identity;
use crate::domain::principal::Party;
use crate::domain::refusal::Refusal;
use crate::domain::standing::Position;
use crate::identity::names::IssuerNames;
use crate::portal::Portal;
use crate::portal::caller::Commander;
use crate::portal::problem::{Kind, Problem};
use crate::portal::sight::Viewer;
use crate::portal::wire;
use crate::store::{Idempotency, Reader, RecordFilter, StoreError};
use crate::writer::{Outcome, Purpose, Submission};

/// What a read works with.
pub(super) struct Desk {
    pub(super) portal: Portal,
    pub(super) viewer: Viewer,
    pub(super) names: Arc<IssuerNames>,
}

impl Portal {
    /// Reads as `identity`, which must not be locked.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        identity: &Arc<Identity>,
        read: impl FnOnce(&Desk) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.read_even_locked(identity, |desk| {
            if desk.viewer.is_locked() { Err(Refusal::PrincipalLocked.into()) } else { read(desk) }
        })
        .await
    }

    /// Reads as `identity`, locked or not: for its own status, and for the answer to a command that was carried out.
    pub(super) async fn read_even_locked<T: Send + 'static>(
        &self,
        identity: &Arc<Identity>,
        read: impl FnOnce(&Desk) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let _turn = self.shared.usage.read().await;
        let (portal, identity) = (self.clone(), Arc::clone(identity));
        let done = tokio::task::spawn_blocking(move || read(&Desk::of(portal, identity)?)).await;
        done.unwrap_or_else(|error| {
            tracing::error!(%error, "a read of the portal ended in a panic");
            Err(Problem::new(Kind::INTERNAL, "hallpass failed"))
        })
    }

    /// Submits a command for real.
    pub(super) async fn command(
        &self,
        commander: &Commander,
        command: Command,
        idempotency: Option<Idempotency>,
    ) -> Result<Outcome, Problem> {
        let submission = Submission { caller: commander.caller(), command, idempotency, purpose: Purpose::Commit };
        Ok(self.shared.parts.writer.submit(submission).await?)
    }
}

impl Desk {
    fn of(portal: Portal, identity: Arc<Identity>) -> Result<Self, Problem> {
        let parts = &portal.shared.parts;
        let own = parts.standings.of(&Party::Principal(identity.principal.clone()))?;
        if !own.believes(&identity) {
            return Err(Refusal::CredentialRevoked.into());
        }
        let groups = identity.groups.iter().cloned().map(|group| parts.standings.of(&Party::Group(group)));
        let groups = groups.collect::<Result<Vec<_>, StoreError>>()?;
        let names = parts.names.load_full();
        let viewer = Viewer::new(identity, own, groups, parts.policies.load_full(), parts.clock.now());
        Ok(Self { viewer, names, portal })
    }

    pub(super) fn reader(&self) -> &Reader {
        &self.portal.shared.parts.reader
    }

    /// The case as JSON, with what was typed in its course.
    pub(super) fn activation(&self, case: &Activation) -> Result<wire::activation::Activation, StoreError> {
        let filter = RecordFilter { activation: Some(case.id), ..RecordFilter::default() };
        let records = self.reader().records(&filter, Position(0), RECORDS_OF_A_CASE_MAX)?;
        Ok(wire::activation::Activation::of(case, &records, &self.names, self.viewer.now()))
    }

    /// The case after a command was carried out: what was done stays done, also when its text cannot be read just now.
    pub(super) fn activation_done(&self, case: &Activation) -> wire::activation::Activation {
        self.activation(case).unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "the text of a case could not be read");
            wire::activation::Activation::of(case, &[], &self.names, self.viewer.now())
        })
    }
}

/// A case has a handful of records; one with many decisions and extensions, dozens.
const RECORDS_OF_A_CASE_MAX: usize = 1000;
