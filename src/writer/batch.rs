//! From queue to commit: decide each, append all, commit once, publish, answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use tokio::sync::mpsc;

use crate::clock::{Clock, awake};
use crate::domain::activation::Choice;
use crate::domain::command::{Caller, Command};
use crate::domain::decide::{Case, decide};
use crate::domain::event::Event;
use crate::domain::id::{ActivationId, AssignmentId, CommandId};
use crate::domain::policy::Policies;
use crate::domain::principal::Party;
use crate::domain::refusal::{Refusal, Refusals};
use crate::domain::time::Timestamp;
use crate::standings::Standings;
use crate::store::{Appender, Aside, Committed, Header, StoreError, Transaction, random_id};
use crate::telemetry::Metrics;
use crate::writer::health::Health;
use crate::writer::outage::{Outage, Room};
use crate::writer::{LostEnd, Outcome, Purpose, Queued, Replayed, Settings, Submission, SubmitError, Work};

pub(super) struct Batches {
    pub(super) appender: Appender,
    pub(super) aside: Aside,
    pub(super) standings: Standings,
    pub(super) clock: Clock,
    pub(super) outage: Outage,
    pub(super) room: Room,
    settings: Settings,
    commit_seconds: Histogram,
    head: Gauge,
}

/// The instant a command is decided at.
#[derive(Debug, Clone, Copy)]
pub(super) enum DecidedAt {
    /// When it is stored.
    Now,
    /// When it took effect, before it could be stored; under which id it is stored then.
    Earlier(Timestamp, CommandId),
}

/// Why a whole batch came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum BatchError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a panic while deciding or storing")]
    Panicked,
}

impl Batches {
    pub(super) fn new(
        appender: Appender,
        standings: Standings,
        clock: Clock,
        settings: Settings,
        health: Health,
        metrics: &Metrics,
    ) -> Self {
        let commit_seconds = Histogram::new(exponential_buckets(0.0001, 2.0, 14));
        let head = Gauge::default();
        head.set(i64::try_from(standings.position().0).unwrap_or(i64::MAX));
        metrics.register(|registry| {
            registry.register(
                "journal_commit_duration_seconds",
                "time from the begin of a write transaction until it is durable",
                commit_seconds.clone(),
            );
            registry.register("journal_head", "sequence of the newest record", head.clone());
        });
        let mut batches = Self {
            aside: appender.aside(settings.aside.clone()),
            appender,
            standings,
            outage: Outage::new(health, clock.clone()),
            clock,
            room: Room::Enough,
            settings,
            commit_seconds,
            head,
        };
        batches.look_for_room_at_start();
        batches
    }

    /// Works until everybody is gone; what is lost then. A panic ends the batch it fell into, never the writer: that is an
    /// outage, and the store is verified before anything else.
    pub(super) fn run_to_the_end(&mut self, mut queue: mpsc::Receiver<Work>) -> Vec<LostEnd> {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.run(&mut queue))) {
                Ok(lost) => return lost,
                Err(_) => {
                    tracing::error!("the writer panicked; the journal takes no commands until the store is verified");
                    self.outage.begin(&BatchError::Panicked);
                    std::thread::park_timeout(OUTAGE_POLL);
                }
            }
        }
    }

    fn run(&mut self, queue: &mut mpsc::Receiver<Work>) -> Vec<LostEnd> {
        while let Some(first) = self.next(queue) {
            let (mut batch, mut next) = (Vec::new(), Some(first));
            let cut = loop {
                match next {
                    Some(Work::Command(queued)) => batch.push(queued),
                    Some(Work::Cut(cut)) => break Some(cut),
                    None => break None,
                }
                next = if batch.len() < BATCH_LENGTH { queue.try_recv().ok() } else { None };
            };
            if !batch.is_empty() {
                self.work_off(batch);
            }
            if let Some(cut) = cut {
                self.cut(cut);
            }
        }
        self.lose_what_is_owed()
    }

    /// Waits for work; during an outage also tries to end it, and looks for room when there is none. Nothing when everybody
    /// is gone.
    fn next(&mut self, queue: &mut mpsc::Receiver<Work>) -> Option<Work> {
        while !self.recovered() || !self.has_room() {
            match queue.try_recv() {
                Ok(work) => return Some(work),
                Err(mpsc::error::TryRecvError::Disconnected) => return None,
                Err(mpsc::error::TryRecvError::Empty) => std::thread::park_timeout(OUTAGE_POLL),
            }
        }
        queue.blocking_recv()
    }

    fn work_off(&mut self, batch: Vec<Queued>) {
        if !self.recovered() {
            return self.answer_during_outage(batch);
        }
        let (submissions, replies): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|queued| (queued.submission, queued.reply)).unzip();
        match self.carry_out(submissions.iter().map(|submission| (submission, DecidedAt::Now))) {
            Ok(mut results) => {
                self.settle_what_is_owed(&submissions, &mut results);
                for (reply, result) in replies.into_iter().zip(results) {
                    // whoever asked may be gone; what was done stays done
                    let _ = reply.send(result);
                }
            }
            Err(error) => {
                tracing::error!(%error, "a batch of commands could not be stored; the journal takes no commands until the store is verified");
                let was_full = self.outage.is_full();
                self.outage.begin(&error);
                let batch = submissions.into_iter().zip(replies);
                let batch = batch.map(|(submission, reply)| Queued { submission, reply }).collect();
                // with the room that was set aside, what ends a right may be stored after all
                if self.outage.is_full() && !was_full && self.room == Room::Enough {
                    self.work_off(batch);
                } else {
                    self.answer_during_outage(batch);
                }
            }
        }
    }

    /// Decides and stores all of `submissions`, and publishes what they touched.
    pub(super) fn carry_out<'s>(
        &mut self,
        submissions: impl IntoIterator<Item = (&'s Submission, DecidedAt)>,
    ) -> Result<Vec<Result<Outcome, SubmitError>>, BatchError> {
        // a panic inside a write transaction poisons it: treated as a failed commit
        catch_unwind(AssertUnwindSafe(|| self.commit_all(submissions))).unwrap_or(Err(BatchError::Panicked))
    }

    /// The settings of all roles at this moment.
    pub(super) fn policies(&self) -> Arc<Policies> {
        self.settings.policies.load_full()
    }

    fn commit_all<'s>(
        &mut self,
        submissions: impl IntoIterator<Item = (&'s Submission, DecidedAt)>,
    ) -> Result<Vec<Result<Outcome, SubmitError>>, BatchError> {
        let began = awake();
        let clock_is_behind = self.clock_is_behind();
        let policies = self.policies();
        let mut transaction = self.appender.begin()?;
        let before = transaction.head();
        let now = self.clock.now().max(before.time);
        let mut results = Vec::new();
        for (submission, decided_at) in submissions {
            results.push(if let Some(reason) = self.standings.doubted().filter(|_| !is_wished_end(submission)) {
                Err(SubmitError::Doubted(Arc::clone(reason)))
            } else if clock_is_behind && grants(&submission.command) {
                Err(SubmitError::ClockBehind)
            } else if self.room != Room::Enough && grants(&submission.command) {
                Err(SubmitError::DiskFull)
            } else {
                carry_out_one(&mut transaction, submission, decided_at, &policies, &self.standings, now)?
            });
        }
        if transaction.head().position == before.position {
            return Ok(results);
        }
        let committed = transaction.commit()?;
        self.committed(&committed, began);
        Ok(results)
    }

    /// Makes visible what is durable, and tells how long that took.
    pub(super) fn committed(&self, committed: &Committed, began: Instant) -> Duration {
        let took = awake().duration_since(began);
        self.commit_seconds.observe(took.as_secs_f64());
        self.head.set(i64::try_from(committed.head.position.0).unwrap_or(i64::MAX));
        self.clock.hold(committed.head.time);
        self.standings.publish(&committed.touched, committed.head.position);
        took
    }

    /// Whether the clock lies further behind the journal than it may when something new is granted.
    pub(super) fn clock_is_behind(&self) -> bool {
        self.clock.behind() > self.settings.clock_behind_max
    }
}

fn carry_out_one(
    transaction: &mut Transaction,
    submission: &Submission,
    decided_at: DecidedAt,
    policies: &Arc<Policies>,
    standings: &Standings,
    now: Timestamp,
) -> Result<Result<Outcome, SubmitError>, BatchError> {
    let Submission { caller, command, idempotency, purpose } = submission;
    if let (Some(identity), Some(idempotency)) = (caller.identity(), idempotency)
        && let Some(remembered) = transaction.remembered(&identity.principal, &idempotency.key, now)?
    {
        if !remembered.is_of(&idempotency.digest) {
            return Ok(Err(SubmitError::Refused(Refusal::IdempotencyMismatch.into())));
        }
        let events = transaction.events(remembered.records)?;
        let position = remembered.records.1;
        return outcome(transaction, events, position, Replayed::Yes).map(Ok);
    }
    let mut case = transaction.case(caller, command, policies)?;
    let at = match decided_at {
        DecidedAt::Now => {
            take_what_ended(&mut case, caller, standings);
            now
        }
        DecidedAt::Earlier(at, _) => at.min(now),
    };
    let events = match decide(&case, caller, command, at) {
        Ok(events) => events,
        Err(refusals) => return Ok(Err(SubmitError::Refused(refusals))),
    };
    if *purpose == Purpose::DryRun || events.is_empty() {
        let position = transaction.head().position;
        let (activation, assignment) = (case.activation, case.assignment);
        return Ok(Ok(Outcome { position, events, activation, assignment, replayed: Replayed::No }));
    }
    let id = match decided_at {
        DecidedAt::Now => random_id()?,
        DecidedAt::Earlier(_, id) => id,
    };
    let header = Header { command: id, time: now, actor: caller.actor(), idempotency: idempotency.clone() };
    transaction.append(&header, &events, &command.detail(caller))?;
    let position = transaction.head().position;
    outcome(transaction, events, position, Replayed::No).map(Ok)
}

/// Whoever lost a right in memory, which the journal still tells of, commands nothing by it.
fn take_what_ended(case: &mut Case, caller: &Caller, standings: &Standings) {
    let Some(identity) = caller.identity() else { return };
    let own = Party::Principal(identity.principal.clone());
    let groups = identity.groups.iter().cloned().map(Party::Group);
    for (party, standing) in std::iter::once(own).chain(groups).zip(&mut case.caller) {
        standings.take_what_ended(&party, standing);
    }
}

/// What the events of one command came to, with the case and assignment as they are now.
fn outcome(
    transaction: &Transaction,
    events: Vec<Event>,
    position: crate::domain::standing::Position,
    replayed: Replayed,
) -> Result<Outcome, BatchError> {
    let activation: Option<ActivationId> = events.iter().filter_map(Event::activation).next_back();
    let assignment: Option<AssignmentId> = events.iter().filter_map(assignment_of).next_back();
    Ok(Outcome {
        position,
        activation: activation.map(|id| transaction.activation(id)).transpose()?.flatten(),
        assignment: assignment.map(|id| transaction.assignment(id)).transpose()?.flatten(),
        events,
        replayed,
    })
}

const fn assignment_of(event: &Event) -> Option<AssignmentId> {
    match event {
        Event::AssignmentMade { assignment } => Some(assignment.id),
        Event::AssignmentChanged { assignment, .. } | Event::AssignmentEnded { assignment, .. } => Some(*assignment),
        _ => None,
    }
}

/// What a command does to somebody's rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// It may give somebody more than they have.
    Grants,
    /// It takes something away, or keeps it from being given.
    Ends,
    /// Neither.
    None,
}

const fn effect_of(command: &Command) -> Effect {
    match command {
        Command::Assign { .. }
        | Command::ChangeAssignment { .. }
        | Command::RequestActivation { .. }
        | Command::Decide { choice: Choice::Approve, .. }
        | Command::Extend { .. }
        | Command::Unlock { .. } => Effect::Grants,
        Command::Decide { choice: Choice::Deny, .. }
        | Command::RemoveAssignment { .. }
        | Command::Cancel { .. }
        | Command::Deactivate { .. }
        | Command::Revoke { .. }
        | Command::Lock { .. }
        | Command::RevokeCredentials { .. } => Effect::Ends,
        // configuration is what the operator says, also while the clock is wrong
        Command::Reconcile { .. } | Command::Erase { .. } | Command::Settle { .. } | Command::SealUses { .. } => {
            Effect::None
        }
    }
}

/// Whether a command may give somebody more than they have.
pub(super) fn grants(command: &Command) -> bool {
    effect_of(command) == Effect::Grants
}

/// Whether somebody asks that a right ends. Nothing else is written into a journal that may be the wrong one: every record
/// more takes it further away from the one that was anchored, and makes of an old copy a fork.
fn is_wished_end(Submission { caller, command, .. }: &Submission) -> bool {
    effect_of(command) == Effect::Ends && matches!(caller, Caller::Identity(_))
}

impl From<Refusals> for SubmitError {
    fn from(refusals: Refusals) -> Self {
        Self::Refused(refusals)
    }
}

/// How often the queue is looked at while the store is out: no command wakes the thread then.
const OUTAGE_POLL: Duration = Duration::from_millis(20);
/// Most commands that share one commit.
const BATCH_LENGTH: usize = 128;
