//! What somebody wants done: imperatives, decided by [`decide`](crate::domain::decide).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::activation::{Choice, Requested};
use crate::domain::assignment::{Assignment, AssignmentKind};
use crate::domain::event::{Actor, Detail, Wanted};
use crate::domain::id::{ActivationId, AssignmentId};
use crate::domain::identity::Identity;
use crate::domain::principal::{Party, Principal};
use crate::domain::role::RoleId;
use crate::domain::time::{Span, Timestamp, Window};

/// Who gives a command.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Caller {
    /// Somebody, as proven on this very request.
    Identity(Arc<Identity>),
    /// The configuration, at start or reload.
    Configuration,
    /// hallpass itself: time, housekeeping.
    Hallpass,
}

impl Caller {
    /// The caller as records name it.
    #[must_use]
    pub fn actor(&self) -> Actor {
        match self {
            Self::Identity(identity) => {
                Actor::Principal { principal: identity.principal.clone(), assurance: identity.assurance.clone() }
            }
            Self::Configuration => Actor::Configuration,
            Self::Hallpass => Actor::Hallpass,
        }
    }

    /// The identity behind it, when it is a person or workload.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Identity(identity) => Some(identity),
            Self::Configuration | Self::Hallpass => None,
        }
    }
}

/// One thing to be done. `justification` texts are kept beside the record, never inside. Its serialised form lasts no longer
/// than an outage of the store: records have a form of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Make an eligible or active assignment.
    Assign {
        /// The new assignment's id, freshly drawn.
        id: AssignmentId,
        /// Eligible or active.
        kind: AssignmentKind,
        /// The role.
        role: RoleId,
        /// Who gets it.
        party: Party,
        /// From when; `None` is now.
        starts_at: Option<Timestamp>,
        /// Until when; `None` is permanent.
        ends_at: Option<Timestamp>,
        /// Why.
        justification: Option<String>,
    },
    /// Give an assignment another window.
    ChangeAssignment {
        /// Which.
        id: AssignmentId,
        /// Its new window.
        window: Window,
        /// Why.
        justification: Option<String>,
    },
    /// End an assignment.
    RemoveAssignment {
        /// Which.
        id: AssignmentId,
        /// Why.
        justification: Option<String>,
    },
    /// Ask to activate a role.
    RequestActivation {
        /// The new case's id, freshly drawn.
        id: ActivationId,
        /// The role.
        role: RoleId,
        /// The wished length; `None` is the role's default.
        duration: Option<Span>,
        /// The wished start; `None` is as soon as possible.
        starts_at: Option<Timestamp>,
        /// Why.
        justification: Option<String>,
        /// A ticket that says more.
        ticket: Option<String>,
        /// The request that was denied for want of the role.
        wanted: Option<Wanted>,
    },
    /// Approve or deny what waits in a case: the request, or an extension.
    Decide {
        /// Which.
        id: ActivationId,
        /// Approve or deny.
        choice: Choice,
        /// The revision of the case the approver saw.
        revision: u32,
        /// A shorter length or later start; only with an approval.
        adjusted: Option<Adjusted>,
        /// Why.
        justification: Option<String>,
    },
    /// Withdraw a pending request, or a pending extension.
    Cancel {
        /// Which.
        id: ActivationId,
    },
    /// Hand back an active role.
    Deactivate {
        /// Which.
        id: ActivationId,
    },
    /// Ask for a later end of an active role.
    Extend {
        /// Which.
        id: ActivationId,
        /// By how much the end shall move.
        duration: Span,
        /// Why.
        justification: Option<String>,
    },
    /// Take a pending or active role away.
    Revoke {
        /// Which.
        id: ActivationId,
        /// Why.
        justification: Option<String>,
    },
    /// End all a principal holds and refuse it everything.
    Lock {
        /// Who.
        principal: Principal,
        /// Why.
        justification: Option<String>,
    },
    /// Take a lock away.
    Unlock {
        /// Who.
        principal: Principal,
        /// Why.
        justification: Option<String>,
    },
    /// Let nothing count that was issued to a principal so far: tokens and sessions, also stolen ones.
    RevokeCredentials {
        /// Whose.
        principal: Principal,
        /// Why.
        justification: Option<String>,
    },
    /// Erase what a principal typed and is called, and what others wrote about it, from all records so far.
    Erase {
        /// Who.
        principal: Principal,
        /// Why.
        justification: Option<String>,
    },
    /// Bring the assignments that configuration declares in line with it.
    Reconcile {
        /// All that it declares now.
        declared: Vec<Declared>,
        /// SHA-256 over the configuration, hexadecimal.
        digest: String,
    },
    /// Write down what time has made true of this case.
    Settle {
        /// Which.
        overdue: Overdue,
    },
    /// Seal the count of requests made under an ended activation.
    SealUses {
        /// Which.
        id: ActivationId,
        /// How many.
        count: u64,
        /// Running SHA-256 over all of them, hexadecimal.
        digest: String,
    },
}

/// What an approver made of a request; `None` leaves that part as asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjusted {
    /// A shorter length.
    pub duration: Option<Span>,
    /// A later start.
    pub starts_at: Option<Timestamp>,
}

impl Adjusted {
    /// `requested` with the changes made.
    #[must_use]
    pub fn onto(self, requested: Requested) -> Requested {
        Requested {
            starts_at: self.starts_at.or(requested.starts_at),
            duration: self.duration.unwrap_or(requested.duration),
        }
    }
}

/// What time has caught up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Overdue {
    /// A case whose request, extension or window ran out.
    Activation(ActivationId),
    /// An assignment whose window ran out.
    Assignment(AssignmentId),
}

/// An assignment as configuration declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// The id it gets when it is new, freshly drawn.
    pub id: AssignmentId,
    /// Eligible or active.
    pub kind: AssignmentKind,
    /// The role.
    pub role: RoleId,
    /// Who has it.
    pub party: Party,
    /// From when; `None` is since it was first declared.
    pub starts_at: Option<Timestamp>,
    /// Until when; `None` is permanent.
    pub ends_at: Option<Timestamp>,
}

impl Declared {
    /// Whether `assignment` is the one declared here, whatever its window.
    #[must_use]
    pub fn is(&self, assignment: &Assignment) -> bool {
        self.kind == assignment.kind && self.role == assignment.role && self.party == assignment.party
    }
}

impl Command {
    /// What of this command is free text, with the actor's name and mail; kept beside the record.
    #[must_use]
    pub fn detail(&self, caller: &Caller) -> Detail {
        let (justification, ticket, wanted) = match self {
            Self::RequestActivation { justification, ticket, wanted, .. } => {
                (justification.clone(), ticket.clone(), wanted.clone())
            }
            Self::Assign { justification, .. }
            | Self::ChangeAssignment { justification, .. }
            | Self::RemoveAssignment { justification, .. }
            | Self::Decide { justification, .. }
            | Self::Extend { justification, .. }
            | Self::Revoke { justification, .. }
            | Self::Lock { justification, .. }
            | Self::Unlock { justification, .. }
            | Self::RevokeCredentials { justification, .. }
            | Self::Erase { justification, .. } => (justification.clone(), None, None),
            Self::Cancel { .. }
            | Self::Deactivate { .. }
            | Self::Reconcile { .. }
            | Self::Settle { .. }
            | Self::SealUses { .. } => (None, None, None),
        };
        let identity = caller.identity();
        Detail {
            name: identity.and_then(|identity| identity.name.as_deref().map(str::to_owned)),
            mail: identity.and_then(|identity| identity.mail.as_deref().map(str::to_owned)),
            justification,
            ticket,
            wanted,
        }
    }
}
