//! Ends of rights that are in force and that the journal lacks: kept aside meanwhile, so that they outlive the process, and
//! submitted again as soon as the store takes them.

use serde::{Deserialize, Serialize};

use crate::domain::activation::Phase;
use crate::domain::command::Command;
use crate::domain::event::Event;
use crate::domain::id::CommandId;
use crate::domain::identity::Identity;
use crate::domain::principal::Party;
use crate::domain::refusal::Refusal;
use crate::domain::standing::Position;
use crate::domain::time::Timestamp;
use crate::standings::EndedInMemory;
use crate::store::{Entry, PAGE_MAX, RecordFilter, StoreError, random_id};
use crate::writer::batch::{BatchError, Batches, DecidedAt};
use crate::writer::{LostEnd, Outcome, Purpose, Replayed, Submission, SubmitError};

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

    /// Whether `event`, which followed, ends the same, or lifts it.
    fn is_settled_by(&self, event: &Event) -> bool {
        match &self.submission.command {
            Command::Deactivate { id } | Command::Revoke { id, .. } | Command::Cancel { id } => {
                matches!(event, Event::ActivationEnded { activation, .. } if activation == id)
            }
            Command::RemoveAssignment { id, .. } => {
                matches!(event, Event::AssignmentEnded { assignment, .. } if assignment == id)
            }
            Command::Lock { principal, .. } => match event {
                Event::PrincipalLocked { principal: who } | Event::PrincipalUnlocked { principal: who } => {
                    who == principal
                }
                _ => false,
            },
            Command::RevokeCredentials { principal, .. } => {
                matches!(event, Event::CredentialsRevoked { principal: who, issued_before }
                    if who == principal && self.ended_at <= *issued_before)
            }
            _ => false,
        }
    }

    /// Whether `command`, which was carried out afterwards, lifts it: the journal knows of no lock, and has nothing to record.
    fn is_lifted_by(&self, command: &Command) -> bool {
        match (&self.submission.command, command) {
            (Command::Lock { principal, .. }, Command::Unlock { principal: who, .. }) => who == principal,
            _ => false,
        }
    }

    /// Whether one of `entries` is it, or lifts it. What has the instant of its own may have come before it.
    fn is_told_by(&self, entries: &[Entry]) -> bool {
        entries.iter().filter(|entry| self.after < entry.position).any(|entry| {
            entry.command == self.id
                || self.ended_at < entry.time
                    && matches!(entry.event, Event::PrincipalUnlocked { .. })
                    && self.is_settled_by(&entry.event)
        })
    }

    /// Lets it take effect.
    fn take_effect(&self, ended: &mut EndedInMemory) {
        match &self.submission.command {
            // a request that is withdrawn gave nothing yet, and never will
            Command::Deactivate { id } | Command::Revoke { id, .. } | Command::Cancel { id } => {
                ended.activations.insert(*id);
            }
            Command::RemoveAssignment { id, .. } => {
                ended.assignments.insert(*id);
            }
            Command::Lock { principal, .. } => {
                ended.principals.insert(principal.clone());
            }
            Command::RevokeCredentials { principal, .. } => {
                let since = ended.credentials.entry(principal.clone()).or_insert(self.ended_at);
                *since = self.ended_at.max(*since);
            }
            _ => {}
        }
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
        let Some(id) = random_id().ok().filter(|_| self.outage.owed.len() < OWED_MAX) else { return false };
        let after = self.standings.position();
        let mut owed = Owed { id, after, ended_at: now, submission: submission.clone(), is_kept: false };
        self.standings.end_in_memory(|ended| owed.take_effect(ended));
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
            let Err(error) = result else { continue };
            if !self.is_moot(&error, &owed) {
                LostEnd::of(&owed.submission, owed.ended_at).tell_refused(&error);
                self.outage.owed.push(owed);
            }
        }
        self.enforce_what_is_owed();
        self.keep_what_is_owed();
        Ok(())
    }

    /// What was carried out may have ended what is still owed because the journal refused it, or lifted it. An answer that no
    /// record tells of is none before the files tell it: they would bring the end back.
    pub(super) fn settle_what_is_owed(
        &mut self,
        submissions: &[Submission],
        results: &mut [Result<Outcome, SubmitError>],
    ) {
        for (submission, result) in submissions.iter().zip(results) {
            let Ok(Outcome { events, replayed: Replayed::No, .. }) = result else { continue };
            let settles = |owed: &Owed| {
                submission.purpose == Purpose::Commit
                    && (owed.is_lifted_by(&submission.command) || events.iter().any(|event| owed.is_settled_by(event)))
            };
            if !self.outage.owed.iter().any(settles) {
                continue;
            }
            let former = self.outage.owed.clone();
            self.outage.owed.retain(|owed| !settles(owed));
            if !self.keep_what_is_owed() && events.is_empty() {
                self.outage.owed = former;
                self.keep_what_is_owed();
                *result = Err(SubmitError::Unavailable);
                continue;
            }
            let settled = former.iter().filter(|owed| settles(owed));
            settled.for_each(|owed| LostEnd::of(&owed.submission, owed.ended_at).tell_settled(submission));
            self.enforce_what_is_owed();
        }
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
        self.forget_what_is_told(&mut owed)?;
        owed.sort_by_key(|owed| owed.ended_at);
        tracing::warn!(
            ends = owed.len(),
            "rights ended while the store was out, before hallpass stopped: they stay ended"
        );
        self.outage.owed = owed;
        self.enforce_what_is_owed();
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

    /// Lets end in memory what is owed, and nothing else.
    fn enforce_what_is_owed(&self) {
        let owed = &self.outage.owed;
        self.standings.end_in_memory(|ended| {
            *ended = EndedInMemory::default();
            owed.iter().for_each(|owed| owed.take_effect(ended));
        });
        self.outage.health.owes(owed.len());
    }

    /// Keeps aside what is still owed, and nothing else; `false` when some file may tell of more.
    fn keep_what_is_owed(&mut self) -> bool {
        let lines: Result<Vec<String>, StoreError> = self.outage.owed.iter().map(Owed::line).collect();
        let kept = lines.and_then(|lines| self.aside.keep_only(&lines).map_err(StoreError::Io));
        if let Err(error) = &kept {
            // found again at the next start, when the journal says that it has them
            tracing::warn!(%error, "ends that are owed no more are still kept aside");
        }
        if self.aside.holds() {
            self.outage.owed.iter_mut().for_each(|owed| owed.is_kept = true);
        }
        kept.is_ok()
    }

    /// Whether a refusal means that there is nothing left to end, or that hallpass must not do it.
    fn is_moot(&self, error: &SubmitError, owed: &Owed) -> bool {
        let SubmitError::Refused(refusals) = error else { return false };
        match refusals.first() {
            Refusal::AlreadyEnded { .. }
            | Refusal::NotActive
            | Refusal::NotPending
            | Refusal::LastAdministrator
            | Refusal::DeclaredInConfiguration => true,
            // whoever may not end it is not told that it has ended
            _ => self.is_over(owed),
        }
    }

    /// Whether what is owed is so in the journal already; what cannot be read may not be.
    fn is_over(&self, owed: &Owed) -> bool {
        let reader = self.appender.reader();
        match &owed.submission.command {
            Command::Deactivate { id } | Command::Revoke { id, .. } | Command::Cancel { id } => {
                let found = reader.activation(*id).map(|found| found.map(|found| found.item.phase));
                matches!(found, Ok(None | Some(Phase::Ended { .. })))
            }
            Command::RemoveAssignment { id, .. } => {
                reader.assignment(*id).is_ok_and(|found| found.is_none_or(|found| found.item.ended.is_some()))
            }
            Command::Lock { principal, .. } => reader.is_locked(principal).unwrap_or(false),
            Command::RevokeCredentials { principal, .. } => {
                let standing = reader.standing(&Party::Principal(principal.clone()));
                standing.is_ok_and(|standing| Some(owed.ended_at) <= standing.credentials_since)
            }
            _ => false,
        }
    }

    /// Takes out of `owed` what the journal has, or tells to be lifted since.
    fn forget_what_is_told(&self, owed: &mut Vec<Owed>) -> Result<(), StoreError> {
        let (reader, mut after) = (self.appender.reader(), owed.iter().map(|owed| owed.after).min());
        while let Some(position) = after {
            let entries = reader.records(&RecordFilter::default(), position, PAGE_MAX)?;
            owed.retain(|owed| !owed.is_told_by(&entries));
            after = entries.last().map(|last| last.position);
        }
        Ok(())
    }
}

/// Most ends that may wait to be made durable.
const OWED_MAX: usize = 10_000;
