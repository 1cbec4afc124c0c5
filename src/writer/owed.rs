//! Ends of rights that are in force and that the journal lacks: kept aside meanwhile, so that they outlive the process, and
//! submitted again as soon as the store takes them.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::domain::activation::Phase;
use crate::domain::command::Command;
use crate::domain::id::CommandId;
use crate::domain::identity::Identity;
use crate::domain::refusal::Refusal;
use crate::domain::standing::Position;
use crate::domain::time::Timestamp;
use crate::store::{PAGE_MAX, RecordFilter, StoreError};
use crate::writer::batch::{BatchError, Batches, DecidedAt, random_id};
use crate::writer::{LostEnd, Submission, SubmitError};

/// What took effect in memory and must be made durable: decided then, with the authority its caller had then, which may
/// have run out since.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Owed {
    /// Under which id the journal has it, once it has.
    id: CommandId,
    /// The newest record that was known then: the journal can only have it behind that one.
    after: Position,
    ended_at: Timestamp,
    submission: Submission,
    /// Whether it outlives the process.
    #[serde(skip)]
    is_kept: bool,
}

impl Owed {
    /// Whether it is this very command of the same principal.
    pub(super) fn is(&self, identity: &Identity, command: &Command) -> bool {
        let Submission { caller, command: own, .. } = &self.submission;
        own == command && caller.identity().is_some_and(|owed| owed.principal == identity.principal)
    }

    /// As it is kept aside.
    fn line(&self) -> Result<String, StoreError> {
        serde_json::to_string(self).map_err(|error| StoreError::Damaged(format!("an end cannot be written: {error}")))
    }

    fn read(line: &str) -> Result<Self, StoreError> {
        let owed: Self = serde_json::from_str(line).map_err(|error| {
            StoreError::Damaged(format!("what another version of hallpass kept aside cannot be read: {error}"))
        })?;
        Ok(Self { is_kept: true, ..owed })
    }
}

impl Batches {
    /// Lets a command that ends a right take effect at once, and owes it to the journal; `false` when too much is owed.
    pub(super) fn owe(&mut self, submission: &Submission, now: Timestamp) -> bool {
        let Some(id) = random_id().filter(|_| self.outage.owed.len() < OWED_MAX) else { return false };
        let after = self.standings.position();
        let mut owed = Owed { id, after, ended_at: now, submission: submission.clone(), is_kept: false };
        self.take_effect(&owed);
        let kept = owed.line().and_then(|line| self.aside.keep(&line).map_err(StoreError::Io));
        owed.is_kept = kept.is_ok();
        LostEnd::of(submission, now).tell_owed(kept.err().as_ref());
        self.outage.owed.push(owed);
        self.outage.health.owes(self.outage.owed.len());
        true
    }

    /// Makes durable what ended in memory. What the journal refuses although it has not ended stays ended, and owed: a right
    /// that was taken away must not come back by itself.
    pub(super) fn pay_what_is_owed(&mut self) -> Result<(), BatchError> {
        let owed = std::mem::take(&mut self.outage.owed);
        if owed.is_empty() {
            return Ok(());
        }
        let when = |owed: &Owed| DecidedAt::Earlier(owed.ended_at, owed.id);
        let results = match self.carry_out(owed.iter().map(|owed| (&owed.submission, when(owed)))) {
            Ok(results) => results,
            Err(error) => {
                self.outage.owed = owed;
                return Err(error);
            }
        };
        for (owed, result) in owed.into_iter().zip(results) {
            match result {
                Ok(_) => self.is_written(&owed.submission.command),
                Err(SubmitError::Refused(refusals)) if self.is_moot(refusals.first(), &owed.submission.command) => {
                    self.is_written(&owed.submission.command);
                }
                Err(error) => {
                    LostEnd::of(&owed.submission, owed.ended_at).tell_refused(&error);
                    self.outage.owed.push(owed);
                }
            }
        }
        self.outage.health.owes(self.outage.owed.len());
        self.keep_what_is_owed();
        Ok(())
    }

    /// What ended while the store was out, and hallpass stopped before it was back: in force when this returns, and in the
    /// journal unless the store is out again.
    ///
    /// # Errors
    /// [`StoreError`] when what was kept aside, or the journal, cannot be read.
    pub(super) fn take_up_what_is_owed(&mut self) -> Result<(), StoreError> {
        let lines = self.aside.kept()?;
        let mut owed = lines.iter().map(|line| Owed::read(line)).collect::<Result<Vec<_>, _>>()?;
        if owed.is_empty() {
            self.keep_what_is_owed();
            return Ok(());
        }
        let written = self.commands_after(owed.iter().map(|owed| owed.after).min().unwrap_or_default())?;
        owed.retain(|owed| !written.contains(&owed.id));
        owed.sort_by_key(|owed| owed.ended_at);
        owed.iter().for_each(|owed| self.take_effect(owed));
        tracing::warn!(
            ends = owed.len(),
            "rights ended while the store was out, before hallpass stopped: they stay ended"
        );
        self.outage.health.owes(owed.len());
        self.outage.owed = owed;
        if self.outage.owed.is_empty() {
            self.keep_what_is_owed();
        } else if let Err(error) = self.pay_what_is_owed() {
            tracing::error!(%error, "they cannot be written to the journal either");
            self.outage.begin(&error);
        }
        Ok(())
    }

    /// The process stops. The store is tried a last time, without waiting for its turn; what it does not take then, and what
    /// was not kept aside either, is lost.
    pub(super) fn lose_what_is_owed(&mut self) -> Vec<LostEnd> {
        if !self.outage.owed.is_empty() && self.outage.lasts() {
            self.outage.hurry();
            self.recovered();
        }
        let owed = std::mem::take(&mut self.outage.owed);
        let lost = owed.iter().filter(|owed| !owed.is_kept);
        let lost: Vec<LostEnd> = lost.map(|owed| LostEnd::of(&owed.submission, owed.ended_at)).collect();
        lost.iter().for_each(LostEnd::tell_lost);
        lost
    }

    /// Keeps aside what is still owed, and nothing else.
    fn keep_what_is_owed(&mut self) {
        let lines: Result<Vec<String>, StoreError> = self.outage.owed.iter().map(Owed::line).collect();
        if let Err(error) = lines.and_then(|lines| self.aside.keep_only(&lines).map_err(StoreError::Io)) {
            // found again at the next start, when the journal says that it has them
            tracing::warn!(%error, "ends that the journal has are still kept aside");
        }
    }

    fn take_effect(&self, owed: &Owed) {
        self.standings.end_in_memory(|ended| match &owed.submission.command {
            Command::Deactivate { id } | Command::Revoke { id, .. } => {
                ended.activations.insert(*id);
            }
            Command::RemoveAssignment { id, .. } => {
                ended.assignments.insert(*id);
            }
            Command::Lock { principal, .. } => {
                ended.principals.insert(principal.clone());
            }
            Command::RevokeCredentials { principal, .. } => {
                ended.credentials.insert(principal.clone(), owed.ended_at);
            }
            // a request that is withdrawn gave nothing yet
            _ => {}
        });
    }

    /// From now on the journal tells that it has ended.
    fn is_written(&self, command: &Command) {
        self.standings.end_in_memory(|ended| match command {
            Command::Deactivate { id } | Command::Revoke { id, .. } => {
                ended.activations.remove(id);
            }
            Command::RemoveAssignment { id, .. } => {
                ended.assignments.remove(id);
            }
            Command::Lock { principal, .. } => {
                ended.principals.remove(principal);
            }
            Command::RevokeCredentials { principal, .. } => {
                ended.credentials.remove(principal);
            }
            _ => {}
        });
    }

    /// Whether a refusal means that there is nothing left to end, or that hallpass must not do it.
    fn is_moot(&self, refusal: &Refusal, command: &Command) -> bool {
        match refusal {
            Refusal::AlreadyEnded { .. }
            | Refusal::NotActive
            | Refusal::NotPending
            | Refusal::LastAdministrator
            | Refusal::DeclaredInConfiguration => true,
            // what is there looks like that, too, to somebody who may not see it
            Refusal::Unknown => self.is_over(command),
            _ => false,
        }
    }

    /// Whether what `command` ends is no longer there; what cannot be read may be.
    fn is_over(&self, command: &Command) -> bool {
        let reader = self.appender.reader();
        match command {
            Command::Deactivate { id } | Command::Revoke { id, .. } | Command::Cancel { id } => {
                let found = reader.activation(*id).map(|found| found.map(|found| found.item.phase));
                matches!(found, Ok(None | Some(Phase::Ended { .. })))
            }
            Command::RemoveAssignment { id, .. } => {
                reader.assignment(*id).is_ok_and(|found| found.is_none_or(|found| found.item.ended.is_some()))
            }
            _ => false,
        }
    }

    /// The commands of all records behind `after`.
    fn commands_after(&self, mut after: Position) -> Result<HashSet<CommandId>, StoreError> {
        let (reader, mut commands) = (self.appender.reader(), HashSet::new());
        loop {
            let records = reader.records(&RecordFilter::default(), after, PAGE_MAX)?;
            let Some(last) = records.last() else { return Ok(commands) };
            after = last.position;
            commands.extend(records.iter().map(|record| record.command));
        }
    }
}

/// Most ends that may wait to be made durable.
const OWED_MAX: usize = 10_000;
