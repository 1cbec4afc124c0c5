//! Keeps the table of how fast each role is decided on: read once role by role, then again for each role that is decided on.
//! Both planes read the table as it was last swapped; nobody ever waits for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::event::Event;
use crate::domain::pace::{Pace, Paces, time_to_decision};
use crate::domain::policy::Policies;
use crate::domain::role::RoleId;
use crate::domain::standing::Position;
use crate::domain::time::Span;
use crate::standings::Standings;
use crate::store::{ActivationFilter, Reader, RecordFilter, StoreError};

/// What the chore works with.
pub(super) struct Pacing {
    pub(super) reader: Reader,
    pub(super) standings: Standings,
    pub(super) policies: Arc<ArcSwap<Policies>>,
    pub(super) paces: Arc<ArcSwap<Paces>>,
    pub(super) clock: Clock,
}

impl Pacing {
    /// Keeps the table until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut head = self.standings.watch();
        // noted before the first look: what is decided meanwhile is looked at again
        let mut at = *head.borrow_and_update();
        let mut known = Arc::new(Policies::default());
        loop {
            let policies = self.policies.load_full();
            match self.look_again(approved_roles(&policies, &known), at, &stop).await {
                Ok(reached) => (at, known) = (reached, policies),
                Err(error) => {
                    tracing::warn!(%error, "how fast roles are decided on could not be read; it will be later")
                }
            }
            let pause = self.clock.now().plus(PAUSE);
            let woken = async {
                // many decisions in a short time are one look
                self.clock.wait_until(pause).await;
                // the writer is gone only when everything stops
                let _ = head.changed().await;
            };
            if stop.run_until_cancelled(woken).await.is_none() {
                return;
            }
        }
    }

    /// Looks at these roles, and at those of cases decided after `after`; up to where that was.
    async fn look_again(
        &self,
        mut roles: BTreeSet<RoleId>,
        after: Position,
        stop: &CancellationToken,
    ) -> Result<Position, StoreError> {
        let reader = self.reader.clone();
        let (decided, reached) = blocking(move || decided_after(&reader, after)).await?;
        roles.extend(decided);
        self.look(roles, stop).await?;
        Ok(reached)
    }

    /// Reads these roles' last cases and swaps the table; with many roles now and then on the way.
    async fn look(&self, roles: BTreeSet<RoleId>, stop: &CancellationToken) -> Result<(), StoreError> {
        let roles: Vec<RoleId> = roles.into_iter().collect();
        for batch in roles.chunks(ROLES_AT_ONCE) {
            if stop.is_cancelled() {
                return Ok(());
            }
            let (reader, batch) = (self.reader.clone(), batch.to_vec());
            let paces = blocking(move || {
                batch
                    .into_iter()
                    .map(|role| Ok((pace_of(&reader, &role)?, role)))
                    .collect::<Result<Vec<_>, StoreError>>()
            })
            .await?;
            let mut table = Paces::clone(&self.paces.load());
            for (pace, role) in paces {
                table.set(role, pace);
            }
            self.paces.store(Arc::new(table));
        }
        Ok(())
    }
}

/// Roles that need approval, and did not before.
fn approved_roles(policies: &Policies, before: &Policies) -> BTreeSet<RoleId> {
    let approved = |policies: &Policies, role: &RoleId| {
        policies.role(role).is_some_and(|policy| !policy.approval.stages.is_empty())
    };
    let roles = policies.iter().map(|policy| &policy.role);
    roles.filter(|role| approved(policies, role) && !approved(before, role)).cloned().collect()
}

fn decided_after(reader: &Reader, after: Position) -> Result<(BTreeSet<RoleId>, Position), StoreError> {
    let filter = RecordFilter { event: Some("activation_decided".to_owned()), ..RecordFilter::default() };
    let (mut roles, mut at) = (BTreeSet::new(), after);
    loop {
        let entries = reader.records(&filter, at, DECISIONS_AT_ONCE)?;
        for entry in &entries {
            at = entry.position;
            if let Event::ActivationDecided { activation, .. } = entry.event
                && let Some(case) = reader.activation(activation)?
            {
                roles.insert(case.item.role);
            }
        }
        if entries.len() < DECISIONS_AT_ONCE {
            return Ok((roles, at));
        }
    }
}

fn pace_of(reader: &Reader, role: &RoleId) -> Result<Option<Pace>, StoreError> {
    let filter = ActivationFilter { role: Some(role.clone()), ..ActivationFilter::default() };
    let cases = reader.activations(&filter, None, CASES_MAX)?;
    Ok(Pace::of(cases.iter().filter_map(|case| time_to_decision(&case.item)).take(Pace::DECISIONS_MAX)))
}

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(read).await {
        Ok(done) => done,
        Err(error) => Err(StoreError::Io(std::io::Error::other(error))),
    }
}

const PAUSE: Span = Span::seconds(1);
/// Newest cases of a role that are looked at for decisions.
const CASES_MAX: usize = 50;
const ROLES_AT_ONCE: usize = 500;
const DECISIONS_AT_ONCE: usize = 500;
