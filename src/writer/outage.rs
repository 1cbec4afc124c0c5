//! What happens while the store cannot take commands.
//!
//! After a failed commit nobody can tell what reached the disk, and a failed sync is never retried: the store is closed,
//! reopened and verified. Meanwhile nothing new is granted. What ends a right takes effect in memory at once, its caller
//! is told that it is not yet durable, and it is [owed](super::owed) to the journal.

use std::time::Duration;

use crate::clock::Clock;
use crate::domain::assignment::{Assignment, AssignmentKind, Origin};
use crate::domain::command::{Caller, Command};
use crate::domain::decide::{Case, authority, decide};
use crate::domain::id::{ActivationId, AssignmentId};
use crate::domain::identity::Identity;
use crate::domain::principal::Party;
use crate::domain::role::RoleId;
use crate::domain::standing::{Basis, Lock, Standing};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::writer::batch::{BatchError, Batches, grants};
use crate::writer::health::{Health, StoreState};
use crate::writer::owed::Owed;
use crate::writer::{Purpose, Queued, Submission, SubmitError};

/// The present outage, if there is one, and what must be made durable when it is over.
pub(super) struct Outage {
    pub(super) health: Health,
    clock: Clock,
    /// Since boot.
    next_try: Option<Duration>,
    pause: Duration,
    cause: Cause,
    pub(super) owed: Vec<Owed>,
}

/// Why there is an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// No room left.
    Full,
    /// Anything else.
    Other,
}

/// Whether there is room for new rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// There is.
    Enough,
    /// There is not; when to look again, since boot.
    Short(Duration),
}

impl Outage {
    pub(super) const fn new(health: Health, clock: Clock) -> Self {
        Self { health, clock, next_try: None, pause: FIRST_PAUSE, cause: Cause::Other, owed: Vec::new() }
    }

    /// Whether it began because there is no room left.
    pub(super) fn is_full(&self) -> bool {
        self.next_try.is_some() && self.cause == Cause::Full
    }

    /// Whether the store is out.
    pub(super) const fn lasts(&self) -> bool {
        self.next_try.is_some()
    }

    /// Tries the store next, without waiting for its turn.
    pub(super) fn hurry(&mut self) {
        self.next_try = Some(self.clock.since_boot());
    }

    /// Whether this very command of the same principal took effect already. Revoking credentials once more is another
    /// command: it reaches what was issued since.
    fn owes(&self, identity: &Identity, command: &Command) -> bool {
        !matches!(command, Command::RevokeCredentials { .. }) && self.owed.iter().any(|owed| owed.is(identity, command))
    }

    pub(super) fn begin(&mut self, error: &BatchError) {
        self.health.failed(error);
        self.health.set(StoreState::Out);
        self.cause = if matches!(error, BatchError::Store(StoreError::Full(_))) { Cause::Full } else { Cause::Other };
        self.next_try = Some(self.clock.since_boot());
    }
}

impl Batches {
    /// Whether the store takes commands, after reopening it when that is due.
    pub(super) fn recovered(&mut self) -> bool {
        let Some(due) = self.outage.next_try else { return true };
        if self.clock.since_boot() < due {
            return false;
        }
        match self.reopen() {
            Ok(()) => {
                tracing::info!("the store was reopened and verified; the journal takes commands again");
                self.outage.next_try = None;
                self.outage.pause = FIRST_PAUSE;
                self.outage.health.set(match self.room {
                    Room::Enough => StoreState::Open,
                    Room::Short(_) => StoreState::EndsOnly,
                });
                true
            }
            Err(error) => {
                tracing::error!(%error, "the store could not be reopened");
                if matches!(&error, BatchError::Store(error) if !error.is_out_of_reach()) {
                    // what was read before cannot be told from what is damaged: unknown means no. Nothing writes now, so
                    // there is nothing that could keep it open
                    let _ = self.appender.close();
                    self.standings.abandon(self.standings.position());
                    self.outage.health.set(StoreState::Damaged);
                }
                if matches!(&error, BatchError::Store(StoreError::Full(_))) {
                    self.outage.cause = Cause::Full;
                }
                self.outage.next_try = Some(self.clock.since_boot().saturating_add(self.outage.pause));
                self.outage.pause = (self.outage.pause * 2).min(LONGEST_PAUSE);
                false
            }
        }
    }

    fn reopen(&mut self) -> Result<(), BatchError> {
        if self.outage.cause == Cause::Full {
            self.appender.give_reserve_back()?;
            self.room = Room::Short(self.clock.since_boot().saturating_add(ROOM_PAUSE));
        }
        self.appender.reopen()?;
        let head = self.appender.reader().head()?;
        self.standings.abandon(head.position);
        self.pay_what_is_owed()
    }

    /// Sets room aside before the first command; without it nothing is granted.
    pub(super) fn look_for_room_at_start(&mut self) {
        if let Err(error) = self.appender.hold_reserve() {
            tracing::error!(%error, "there is no room to set aside; rights can be ended, and nothing new is granted");
            self.room = Room::Short(self.clock.since_boot().saturating_add(ROOM_PAUSE));
            self.outage.health.set(StoreState::EndsOnly);
        }
    }

    /// Whether there is room for new rights, after looking for it when that is due.
    pub(super) fn has_room(&mut self) -> bool {
        let Room::Short(due) = self.room else { return true };
        if self.clock.since_boot() < due {
            return false;
        }
        match self.appender.hold_reserve() {
            Ok(()) => {
                tracing::info!("there is room for the journal again; rights are granted again");
                self.room = Room::Enough;
                self.outage.health.set(StoreState::Open);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "there is still no room for the journal; nothing new is granted");
                self.room = Room::Short(self.clock.since_boot().saturating_add(ROOM_PAUSE));
                false
            }
        }
    }

    pub(super) fn answer_during_outage(&mut self, batch: Vec<Queued>) {
        for Queued { submission, reply } in batch {
            let ended = submission.purpose == Purpose::Commit && self.end_in_memory(&submission);
            let full = self.outage.is_full() && grants(&submission.command);
            let _ = reply.send(Err(match (ended, full) {
                (true, _) => SubmitError::NotDurable,
                (false, true) => SubmitError::DiskFull,
                (false, false) => SubmitError::Unavailable,
            }));
        }
    }

    /// Lets a right end at once, when the caller's authority to end it is known without the store.
    ///
    /// Not all can be told from what is remembered: who approves only by the terms an old request was made under, who
    /// stands behind an eligible assignment, and whether an extension waits. Those commands wait for the store.
    fn end_in_memory(&mut self, submission: &Submission) -> bool {
        let Caller::Identity(identity) = &submission.caller else { return false };
        if self.outage.owes(identity, &submission.command) {
            return true;
        }
        let now = self.clock.now();
        let standings = self.known_standings(identity);
        // the journal would refuse it
        if !standings.first().is_some_and(|own| own.believes(identity)) {
            return false;
        }
        let may = match &submission.command {
            Command::Deactivate { id } => holds_activation(&standings, *id),
            Command::Revoke { id, .. } => self.may_revoke(*id, identity, &standings, now),
            // nothing is approved while the store is out, and this is the first thing it hears afterwards
            Command::Cancel { id } => awaits(&standings, *id),
            Command::RemoveAssignment { id, .. } => self.may_remove(*id, submission, &standings, now),
            Command::Lock { .. } | Command::RevokeCredentials { .. } => self.allows(submission, &standings, now),
            _ => false,
        };
        may && self.owe(submission, now)
    }

    /// Administrators may, and whoever today's policy names as approver of the role that is held.
    fn may_revoke(&self, id: ActivationId, identity: &Identity, standings: &[Standing], now: Timestamp) -> bool {
        if !standings.first().is_some_and(|own| own.lock == Lock::Open) {
            return false;
        }
        if authority::holds(standings, identity, &RoleId::administrator(), now) {
            return true;
        }
        let Some((_, held)) = self.standings.remembered(Basis::Activation(id)) else { return false };
        self.policies().role(&held.role).is_some_and(|policy| {
            policy.approval.stages.iter().flat_map(|stage| &stage.approvers).any(|party| identity.is(party))
        })
    }

    /// Whether the domain lets the caller remove this active assignment. Not for administrators: that there is another
    /// one cannot be told.
    fn may_remove(
        &self,
        id: AssignmentId,
        Submission { caller, command, .. }: &Submission,
        standings: &[Standing],
        now: Timestamp,
    ) -> bool {
        let Some((party, held)) = self.standings.remembered(Basis::Assignment(id)) else { return false };
        if held.role == RoleId::administrator() {
            return false;
        }
        let assignment = Assignment {
            id,
            kind: AssignmentKind::Active,
            role: held.role,
            party,
            window: held.window,
            origin: Origin::Administrator,
            ended: None,
        };
        let case = Case {
            policies: self.policies(),
            caller: standings.to_vec(),
            assignment: Some(assignment),
            ..Case::default()
        };
        decide(&case, caller, command, now).is_ok()
    }

    /// Whether the domain lets the caller do it, as far as that can be told without the principal's own rows.
    fn allows(&self, Submission { caller, command, .. }: &Submission, standings: &[Standing], now: Timestamp) -> bool {
        let case = Case { policies: self.policies(), caller: standings.to_vec(), ..Case::default() };
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

fn holds_activation(standings: &[Standing], id: ActivationId) -> bool {
    let own = standings.first();
    own.is_some_and(|own| own.held.iter().any(|held| held.basis == Basis::Activation(id)))
}

fn awaits(standings: &[Standing], id: ActivationId) -> bool {
    standings.first().is_some_and(|own| own.pending.iter().any(|pending| pending.activation == id))
}

const FIRST_PAUSE: Duration = Duration::from_secs(1);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often it is looked for room.
pub(super) const ROOM_PAUSE: Duration = Duration::from_secs(5);
