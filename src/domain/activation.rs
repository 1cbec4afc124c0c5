//! One activation, from request to end: its phases, and how events move it.
//!
//! `Pending → Active → Ended`, or `Pending → Ended`. Ended never reopens.

use serde::{Deserialize, Serialize};

use crate::domain::event::Event;
use crate::domain::id::{ActivationId, AssignmentId};
use crate::domain::policy::{Stage, Terms};
use crate::domain::principal::{Group, Principal};
use crate::domain::role::RoleId;
use crate::domain::time::{Span, Timestamp, Window};

/// One case, as the events so far have made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activation {
    /// Its id.
    pub id: ActivationId,
    /// Who asked and holds.
    pub principal: Principal,
    /// The role.
    pub role: RoleId,
    /// The eligible assignment behind it.
    pub eligibility: AssignmentId,
    /// The group that carries the eligibility; the holder must present it on each request.
    pub via: Option<Group>,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// What was asked for.
    pub requested: Requested,
    /// What decides it, frozen.
    pub terms: Terms,
    /// All decisions so far, also of past stages and of extensions.
    pub decisions: Vec<Decision>,
    /// Counts the events; a decision names the one it saw.
    pub revision: u32,
    /// Where it is in its life.
    pub phase: Phase,
}

/// What was asked for, or what an approver made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    /// The wished start; `None` is as soon as it is approved.
    pub starts_at: Option<Timestamp>,
    /// The wished length.
    pub duration: Span,
}

/// One approver's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Who.
    pub approver: Principal,
    /// In which stage, counted from 0.
    pub stage: u32,
    /// Agreed or refused.
    pub choice: Choice,
    /// What was changed with it.
    pub adjusted: Option<Requested>,
    /// When.
    pub at: Timestamp,
}

/// Agreed or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Agreed.
    Approve,
    /// Refused.
    Deny,
}

/// Where a case is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Phase {
    /// Waits for approval.
    Pending(Ballot),
    /// The role is held inside `window`.
    Active {
        /// When the role is held.
        window: Window,
        /// A wish for a later end that waits for approval.
        extension: Option<Extension>,
    },
    /// Over.
    Ended {
        /// How.
        ending: Ending,
        /// From when on.
        at: Timestamp,
        /// When the role was held; `None` when it never was. Ends no later than `at`.
        held: Option<Window>,
        /// The sealed count of requests made under it, once it is sealed.
        uses: Option<Seal>,
    },
}

/// The count of requests made under an activation, and a digest over all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// How many.
    pub count: u64,
    /// Running SHA-256, hexadecimal.
    pub digest: String,
}

/// What is being voted on: the open stage, and all votes so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ballot {
    /// The open stage, counted from 0.
    pub stage: u32,
    /// Votes in all stages; nobody votes twice.
    pub votes: Vec<Vote>,
    /// The ballot lapses then.
    pub lapses_at: Timestamp,
}

/// One approver's vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Who.
    pub approver: Principal,
    /// In which stage, counted from 0.
    pub stage: u32,
    /// What.
    pub choice: Choice,
    /// What was changed with it.
    pub adjusted: Option<Requested>,
}

/// A wish for a later end that waits for approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// The end asked for.
    pub ends_at: Timestamp,
    /// Its approval.
    pub ballot: Ballot,
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Refused by approvers.
    Denied,
    /// Withdrawn while pending.
    Cancelled,
    /// Ran out of time while pending.
    Lapsed,
    /// Handed back by its holder.
    Deactivated,
    /// Taken away by someone in authority.
    Revoked,
    /// Ran out of time while active.
    Expired,
    /// The eligible assignment behind it went away.
    EligibilityLost,
    /// Its principal was locked.
    Locked,
}

impl Ballot {
    /// A fresh ballot on the first stage.
    #[must_use]
    pub const fn opening(lapses_at: Timestamp) -> Self {
        Self { stage: 0, votes: Vec::new(), lapses_at }
    }

    /// How many distinct approvers chose `choice` in the open stage.
    #[must_use]
    pub fn count(&self, choice: Choice) -> usize {
        self.votes.iter().filter(|vote| vote.stage == self.stage && vote.choice == choice).count()
    }

    /// The last change an approver made to what was asked for.
    #[must_use]
    pub fn adjusted(&self) -> Option<Requested> {
        self.votes.iter().filter_map(|vote| vote.adjusted).next_back()
    }

    /// Whether `principal` has voted, in whatever stage.
    #[must_use]
    pub fn has_vote_of(&self, principal: &Principal) -> bool {
        self.votes.iter().any(|vote| vote.approver == *principal)
    }

    /// The terms of the open stage.
    #[must_use]
    pub fn open_stage<'t>(&self, terms: &'t Terms) -> Option<&'t Stage> {
        terms.stages.get(usize::try_from(self.stage).ok()?)
    }

    /// Counts one more vote; a stage that reached its quorum opens the next.
    fn count_vote(&mut self, vote: Vote, terms: &Terms) {
        self.votes.push(vote);
        let quorum = self.open_stage(terms).map_or(u32::MAX, |stage| stage.quorum);
        if self.count(Choice::Approve) >= usize::try_from(quorum).unwrap_or(usize::MAX) {
            self.stage = self.stage.saturating_add(1);
        }
    }

    /// Whether every stage has reached its quorum.
    #[must_use]
    pub fn is_carried(&self, terms: &Terms) -> bool {
        self.open_stage(terms).is_none()
    }
}

/// An event that cannot follow what is there: a bug or a damaged store, never a user's mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event does not follow the state of activation `{activation}`")]
pub struct Unfoldable {
    /// The case.
    pub activation: ActivationId,
}

impl Activation {
    /// Whether it has ended.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended { .. })
    }

    /// The window in which the role is held, while the case is active.
    #[must_use]
    pub const fn window(&self) -> Option<&Window> {
        match &self.phase {
            Phase::Active { window, .. } => Some(window),
            Phase::Pending(_) | Phase::Ended { .. } => None,
        }
    }

    /// The ballot people may vote in: of the request, or of an extension.
    #[must_use]
    pub const fn ballot(&self) -> Option<&Ballot> {
        match &self.phase {
            Phase::Pending(ballot) => Some(ballot),
            Phase::Active { extension: Some(extension), .. } => Some(&extension.ballot),
            Phase::Active { extension: None, .. } | Phase::Ended { .. } => None,
        }
    }

    /// The next instant at which time alone changes this case.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Pending(ballot) => Some(ballot.lapses_at),
            Phase::Active { window, extension: None } => window.ends_at,
            Phase::Active { window, extension: Some(extension) } => Some(window.clip(extension.ballot.lapses_at)),
            Phase::Ended { .. } => None,
        }
    }

    /// What was asked for, as the approvers of the pending request have adjusted it so far.
    #[must_use]
    pub fn agreed(&self) -> Requested {
        match &self.phase {
            Phase::Pending(ballot) => ballot.adjusted().unwrap_or(self.requested),
            Phase::Active { .. } | Phase::Ended { .. } => self.requested,
        }
    }

    /// The case as `event`, which happened at `at`, makes it. Without a case only a request can begin one.
    ///
    /// # Errors
    /// [`Unfoldable`] when the event cannot follow: the caller must stop, not guess.
    pub fn apply(before: Option<Self>, event: &Event, at: Timestamp) -> Result<Option<Self>, Unfoldable> {
        let Some(id) = event.activation() else { return Ok(before) };
        let stray = Unfoldable { activation: id };
        match (before, event) {
            (
                None,
                Event::ActivationRequested { principal, role, eligibility, via, requested, lapses_at, terms, .. },
            ) => Ok(Some(Self {
                id,
                principal: principal.clone(),
                role: role.clone(),
                eligibility: *eligibility,
                via: via.clone(),
                requested_at: at,
                requested: *requested,
                terms: Terms::clone(terms),
                decisions: Vec::new(),
                revision: 1,
                phase: Phase::Pending(Ballot::opening(*lapses_at)),
            })),
            (Some(mut case), event) if case.id == id => {
                case.advance(event, at).ok_or(stray)?;
                case.revision = case.revision.saturating_add(1);
                Ok(Some(case))
            }
            (None | Some(_), _) => Err(stray),
        }
    }

    fn advance(&mut self, event: &Event, at: Timestamp) -> Option<()> {
        match (event, &mut self.phase) {
            (
                Event::ActivationDecided { approver, stage, choice, adjusted, .. },
                Phase::Pending(ballot) | Phase::Active { extension: Some(Extension { ballot, .. }), .. },
            ) if ballot.stage == *stage => {
                let vote = Vote { approver: approver.clone(), stage: *stage, choice: *choice, adjusted: *adjusted };
                ballot.count_vote(vote, &self.terms);
                self.decisions.push(Decision {
                    approver: approver.clone(),
                    stage: *stage,
                    choice: *choice,
                    adjusted: *adjusted,
                    at,
                });
                Some(())
            }
            (Event::ActivationStarted { window, .. }, Phase::Pending(_)) => {
                self.phase = Phase::Active { window: *window, extension: None };
                Some(())
            }
            (
                Event::ExtensionRequested { ends_at, lapses_at, .. },
                Phase::Active { extension: extension @ None, .. },
            ) => {
                *extension = Some(Extension { ends_at: *ends_at, ballot: Ballot::opening(*lapses_at) });
                Some(())
            }
            (Event::ExtensionEnded { .. }, Phase::Active { extension: extension @ Some(_), .. }) => {
                *extension = None;
                Some(())
            }
            (Event::ActivationExtended { before, after, .. }, Phase::Active { window, extension })
                if window.ends_at == Some(*before) =>
            {
                window.ends_at = Some(*after);
                *extension = None;
                Some(())
            }
            (Event::ActivationShortened { before, after, .. }, Phase::Active { window, .. })
                if window.ends_at == Some(*before) =>
            {
                window.ends_at = Some(*after);
                Some(())
            }
            (Event::ActivationEnded { ending, at: ended_at, .. }, Phase::Pending(_)) => {
                self.phase = Phase::Ended { ending: *ending, at: *ended_at, held: None, uses: None };
                Some(())
            }
            (Event::ActivationEnded { ending, at: ended_at, .. }, Phase::Active { window, .. }) => {
                let held = (window.starts_at < *ended_at).then(|| Window::new(window.starts_at, *ended_at));
                self.phase = Phase::Ended { ending: *ending, at: *ended_at, held, uses: None };
                Some(())
            }
            (Event::UsesSealed { count, digest, .. }, Phase::Ended { uses: uses @ None, .. }) => {
                *uses = Some(Seal { count: *count, digest: digest.clone() });
                Some(())
            }
            _ => None,
        }
    }
}
