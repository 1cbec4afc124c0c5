//! What happens while the store cannot take commands.
//!
//! After a failed commit nobody can tell what reached the disk, and a failed sync is never retried: the store is closed,
//! reopened and verified. Meanwhile nothing new is granted. What ends a right takes effect in memory at once, its caller
//! is told that it is not yet durable, and it is submitted again once the store is back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::clock::awake;
use crate::domain::command::{Caller, Command};
use crate::domain::decide::{Case, authority, decide};
use crate::domain::id::ActivationId;
use crate::domain::identity::Identity;
use crate::domain::principal::Party;
use crate::domain::refusal::Refusal;
use crate::domain::role::RoleId;
use crate::domain::standing::{Basis, Standing};
use crate::domain::time::Timestamp;
use crate::writer::batch::{BatchError, Batches, DecidedAt};
use crate::writer::{Purpose, Queued, Submission, SubmitError};

/// Whether the journal takes commands. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Health {
    out: Arc<AtomicBool>,
}

impl Health {
    /// Whether the journal takes commands.
    #[must_use]
    pub fn takes_commands(&self) -> bool {
        !self.out.load(Ordering::Acquire)
    }
}

/// The present outage, if there is one, and what must be made durable when it is over.
pub(super) struct Outage {
    health: Health,
    next_try: Option<Instant>,
    pause: Duration,
    owed: Vec<Owed>,
}

/// What took effect in memory and must be made durable: decided then, with the authority its caller had then, which may
/// have run out since.
struct Owed {
    submission: Submission,
    ended_at: Timestamp,
}

impl Outage {
    pub(super) const fn new(health: Health) -> Self {
        Self { health, next_try: None, pause: FIRST_PAUSE, owed: Vec::new() }
    }

    /// Whether this very command of the same principal took effect already.
    fn owes(&self, identity: &Identity, command: &Command) -> bool {
        self.owed.iter().any(|Owed { submission, .. }| {
            submission.command == *command
                && submission.caller.identity().is_some_and(|owed| owed.principal == identity.principal)
        })
    }

    pub(super) fn begin(&mut self) {
        self.health.out.store(true, Ordering::Release);
        self.next_try = Some(awake());
    }
}

impl Batches {
    /// Whether the store takes commands, after reopening it when that is due.
    pub(super) fn recovered(&mut self) -> bool {
        let Some(due) = self.outage.next_try else { return true };
        if awake() < due {
            return false;
        }
        match self.reopen() {
            Ok(()) => {
                tracing::info!("the store was reopened and verified; the journal takes commands again");
                self.outage.next_try = None;
                self.outage.pause = FIRST_PAUSE;
                self.outage.health.out.store(false, Ordering::Release);
                true
            }
            Err(reason) => {
                tracing::error!(reason, "the store could not be reopened");
                self.outage.next_try = Some(awake() + self.outage.pause);
                self.outage.pause = (self.outage.pause * 2).min(LONGEST_PAUSE);
                false
            }
        }
    }

    fn reopen(&mut self) -> Result<(), String> {
        self.appender.reopen().map_err(|error| error.to_string())?;
        let head = self.appender.reader().head().map_err(|error| error.to_string())?;
        self.standings.abandon(head.position);
        self.pay_what_is_owed().map_err(|error| error.to_string())
    }

    /// Makes durable what ended in memory. What the journal refuses although it has not ended stays ended in memory: a
    /// right that was taken away must not come back by itself.
    fn pay_what_is_owed(&mut self) -> Result<(), BatchError> {
        let owed = std::mem::take(&mut self.outage.owed);
        let paid = if owed.is_empty() {
            Ok(Vec::new())
        } else {
            self.carry_out(owed.iter().map(|owed| (&owed.submission, DecidedAt::Instant(owed.ended_at))))
        };
        let results = match paid {
            Ok(results) => results,
            Err(error) => {
                self.outage.owed = owed;
                return Err(error);
            }
        };
        for (Owed { submission, .. }, result) in owed.iter().zip(results) {
            match result {
                Ok(_) => {}
                Err(SubmitError::Refused(refusals)) if is_moot(refusals.first()) => {}
                Err(error) => {
                    tracing::error!(%error, "a right that ended in memory could not be ended in the journal; it stays ended until hallpass restarts");
                    continue;
                }
            }
            self.standings.end_in_memory(|ended| match &submission.command {
                Command::Deactivate { id } | Command::Revoke { id, .. } => {
                    ended.activations.remove(id);
                }
                Command::Lock { principal, .. } => {
                    ended.principals.remove(principal);
                }
                _ => {}
            });
        }
        Ok(())
    }

    pub(super) fn answer_during_outage(&mut self, batch: Vec<Queued>) {
        for Queued { submission, reply } in batch {
            let ended = submission.purpose == Purpose::Commit && self.end_in_memory(&submission);
            let _ = reply.send(Err(if ended { SubmitError::NotDurable } else { SubmitError::Unavailable }));
        }
    }

    /// Lets a right end at once, when the caller's authority to end it is known without the store.
    fn end_in_memory(&mut self, submission: &Submission) -> bool {
        let Caller::Identity(identity) = &submission.caller else { return false };
        if self.outage.owes(identity, &submission.command) {
            return true;
        }
        if self.outage.owed.len() >= OWED_MAX {
            return false;
        }
        let now = self.clock.now();
        let standings = self.known_standings(identity);
        match &submission.command {
            Command::Deactivate { id } if holds_activation(&standings, *id) => {
                self.standings.end_in_memory(|ended| {
                    ended.activations.insert(*id);
                });
            }
            Command::Revoke { id, .. } if authority::holds(&standings, identity, &RoleId::administrator(), now) => {
                self.standings.end_in_memory(|ended| {
                    ended.activations.insert(*id);
                });
            }
            Command::Lock { principal, .. } if self.may_lock(submission, standings, now) => {
                self.standings.end_in_memory(|ended| {
                    ended.principals.insert(principal.clone());
                });
            }
            _ => return false,
        }
        self.outage.owed.push(Owed { submission: submission.clone(), ended_at: now });
        true
    }

    /// Whether the domain lets the caller lock, as far as that can be told without the principal's own rows.
    fn may_lock(
        &self,
        Submission { caller, command, .. }: &Submission,
        standings: Vec<Standing>,
        now: Timestamp,
    ) -> bool {
        let case = Case { policies: self.policies(), caller: standings, ..Case::default() };
        decide(&case, caller, command, now).is_ok()
    }

    fn known_standings(&self, identity: &Identity) -> Vec<Standing> {
        let own = Party::Principal(identity.principal.clone());
        let groups = identity.groups.iter().cloned().map(Party::Group);
        std::iter::once(own)
            .chain(groups)
            .map_while(|party| self.standings.of(&party).ok())
            .map(|standing| Standing::clone(&standing))
            .collect()
    }
}

/// Whether a refusal means that there is nothing left to end, or that hallpass must not do it.
const fn is_moot(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::AlreadyEnded { .. } | Refusal::NotActive | Refusal::Unknown | Refusal::LastAdministrator)
}

fn holds_activation(standings: &[Standing], id: ActivationId) -> bool {
    let own = standings.first();
    own.is_some_and(|own| own.held.iter().any(|held| held.basis == Basis::Activation(id)))
}

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Most ends that may wait to be made durable.
const OWED_MAX: usize = 10_000;
