//! Journal records and uses as JSON.

use data_encoding::HEXLOWER;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::event as domain;
use crate::domain::policy::Terms as Frozen;
use crate::domain::principal::Principal;
use crate::identity::names::IssuerNames;
use crate::portal::sight::Viewer;
use crate::portal::wire::assignment::{Assignment, AssignmentEnding};
use crate::portal::wire::common::{
    Allowance, Choice, Ending, Extend, Lengths, RecordRun, Requested, SignIn, Stage, Window,
};
use crate::portal::wire::me::Assurance;
use crate::portal::wire::text::{Instant, RoleName};
use crate::portal::wire::wanted::Wanted;
use crate::store::Entry;

/// One record of the journal, for people to read; the export holds the exact bytes.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Record {
    sequence: u64,
    time: Instant,
    actor: Actor,
    /// The command that caused it.
    command: String,
    event: Event,
    /// What was typed, unless erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Detail>,
    /// What was typed is erased.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    erased: bool,
    /// Hexadecimal.
    hash: String,
}

/// Who caused a record.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(in crate::portal) enum Actor {
    /// Somebody.
    Principal {
        principal: String,
        /// How they had signed in; only for themselves, administrators and auditors.
        #[serde(skip_serializing_if = "Option::is_none")]
        assurance: Option<Assurance>,
    },
    /// The configuration.
    Configuration,
    /// hallpass itself, writing down what time has made true.
    Hallpass,
    /// Whoever runs hallpass on its machine.
    Operator,
}

/// A place in a chain.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct ChainPoint {
    realm: String,
    sequence: u64,
    /// Hexadecimal.
    hash: String,
}

impl From<&domain::ChainPoint> for ChainPoint {
    fn from(point: &domain::ChainPoint) -> Self {
        Self { realm: point.realm.clone(), sequence: point.sequence, hash: point.hash.clone() }
    }
}

/// What a person typed or is called.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Detail {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Only for themselves, administrators and auditors.
    #[serde(skip_serializing_if = "Option::is_none")]
    mail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    justification: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wanted: Option<Wanted>,
}

/// What happened.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(in crate::portal) enum Event {
    JournalOpened {
        realm: String,
        public_key: String,
    },
    ConfigurationApplied {
        digest: String,
    },
    AssignmentMade {
        assignment: Assignment,
    },
    AssignmentChanged {
        assignment: String,
        before: Window,
        after: Window,
    },
    AssignmentEnded {
        assignment: String,
        ending: AssignmentEnding,
        at: Instant,
    },
    ActivationRequested {
        activation: String,
        principal: String,
        role: RoleName,
        eligibility: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        via: Option<String>,
        requested: Requested,
        lapses_at: Instant,
        terms: Box<Terms>,
    },
    ActivationDecided {
        activation: String,
        approver: String,
        /// Counted from 0.
        stage: u32,
        choice: Choice,
        #[serde(skip_serializing_if = "Option::is_none")]
        adjusted: Option<Requested>,
    },
    ActivationStarted {
        activation: String,
        window: Window,
    },
    ExtensionRequested {
        activation: String,
        ends_at: Instant,
        lapses_at: Instant,
    },
    ExtensionEnded {
        activation: String,
        ending: Ending,
        at: Instant,
    },
    ActivationExtended {
        activation: String,
        before: Instant,
        after: Instant,
    },
    ActivationShortened {
        activation: String,
        before: Instant,
        after: Instant,
    },
    ActivationEnded {
        activation: String,
        ending: Ending,
        at: Instant,
    },
    UsesSealed {
        activation: String,
        count: u64,
        digest: String,
    },
    PrincipalLocked {
        principal: String,
    },
    PrincipalUnlocked {
        principal: String,
    },
    CredentialsRevoked {
        principal: String,
        issued_before: Instant,
    },
    KeyRotated {
        public_key: String,
    },
    AnchorConfirmed {
        #[serde(skip_serializing_if = "Option::is_none")]
        expected: Option<ChainPoint>,
        found: ChainPoint,
    },
    JournalSucceeded {
        predecessor: ChainPoint,
        public_key: String,
    },
    /// What these records had typed beside them is gone.
    NotesErased {
        principal: String,
        count: u64,
        records: Vec<RecordRun>,
    },
    /// These records, the last of them of `until`, are gone; those of this cut are in the archive.
    JournalCut {
        records: Vec<RecordRun>,
        hash: String,
        until: Instant,
        archive: String,
        carried: String,
    },
}

/// What decides one case, frozen when it began.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Terms {
    policy: String,
    activation: Lengths,
    stages: Vec<Stage>,
    sign_in: SignIn,
    approver_sign_in: SignIn,
    #[serde(rename = "self")]
    own_request: Allowance,
    extend: Extend,
}

impl Record {
    /// The record as `viewer`, who may see it, is shown it.
    pub(in crate::portal) fn of(entry: &Entry, viewer: &Viewer, names: &IssuerNames) -> Self {
        let in_full = match &entry.actor {
            domain::Actor::Principal { principal, .. } => viewer.sees_principal(principal),
            domain::Actor::Configuration | domain::Actor::Hallpass | domain::Actor::Operator => true,
        };
        Self {
            sequence: entry.position.0,
            time: Instant(entry.time),
            actor: match &entry.actor {
                domain::Actor::Principal { principal, assurance } => Actor::Principal {
                    principal: names.of_principal(principal),
                    assurance: in_full.then(|| assurance.into()),
                },
                domain::Actor::Configuration => Actor::Configuration,
                domain::Actor::Hallpass => Actor::Hallpass,
                domain::Actor::Operator => Actor::Operator,
            },
            command: entry.command.to_string(),
            event: Event::of(&entry.event, names),
            detail: entry.detail.as_ref().map(|detail| Detail {
                name: detail.name.clone(),
                mail: detail.mail.clone().filter(|_| in_full),
                justification: detail.justification.clone(),
                ticket: detail.ticket.clone(),
                wanted: detail.wanted.as_ref().map(Wanted::from),
            }),
            erased: entry.erased,
            hash: HEXLOWER.encode(&entry.sealed.hash),
        }
    }
}

impl Event {
    fn of(event: &domain::Event, names: &IssuerNames) -> Self {
        let short = |principal: &Principal| names.of_principal(principal);
        match event {
            domain::Event::JournalOpened { realm, public_key } => {
                Self::JournalOpened { realm: realm.clone(), public_key: public_key.clone() }
            }
            domain::Event::ConfigurationApplied { digest } => Self::ConfigurationApplied { digest: digest.clone() },
            domain::Event::AssignmentMade { assignment } => {
                Self::AssignmentMade { assignment: Assignment::of(assignment, names) }
            }
            domain::Event::AssignmentChanged { assignment, before, after } => Self::AssignmentChanged {
                assignment: assignment.to_string(),
                before: (*before).into(),
                after: (*after).into(),
            },
            domain::Event::AssignmentEnded { assignment, ending, at } => {
                Self::AssignmentEnded { assignment: assignment.to_string(), ending: (*ending).into(), at: Instant(*at) }
            }
            domain::Event::ActivationRequested {
                activation,
                principal,
                role,
                eligibility,
                via,
                requested,
                lapses_at,
                terms,
            } => Self::ActivationRequested {
                activation: activation.to_string(),
                principal: short(principal),
                role: RoleName(role.clone()),
                eligibility: eligibility.to_string(),
                via: via.as_ref().map(|group| names.of_group(group)),
                requested: (*requested).into(),
                lapses_at: Instant(*lapses_at),
                terms: Box::new(Terms::of(terms, names)),
            },
            domain::Event::ActivationDecided { activation, approver, stage, choice, adjusted } => {
                Self::ActivationDecided {
                    activation: activation.to_string(),
                    approver: short(approver),
                    stage: *stage,
                    choice: (*choice).into(),
                    adjusted: adjusted.map(Requested::from),
                }
            }
            domain::Event::ActivationStarted { activation, window } => {
                Self::ActivationStarted { activation: activation.to_string(), window: (*window).into() }
            }
            domain::Event::ExtensionRequested { activation, ends_at, lapses_at } => Self::ExtensionRequested {
                activation: activation.to_string(),
                ends_at: Instant(*ends_at),
                lapses_at: Instant(*lapses_at),
            },
            domain::Event::ExtensionEnded { activation, ending, at } => {
                Self::ExtensionEnded { activation: activation.to_string(), ending: (*ending).into(), at: Instant(*at) }
            }
            domain::Event::ActivationExtended { activation, before, after } => Self::ActivationExtended {
                activation: activation.to_string(),
                before: Instant(*before),
                after: Instant(*after),
            },
            domain::Event::ActivationShortened { activation, before, after } => Self::ActivationShortened {
                activation: activation.to_string(),
                before: Instant(*before),
                after: Instant(*after),
            },
            domain::Event::ActivationEnded { activation, ending, at } => {
                Self::ActivationEnded { activation: activation.to_string(), ending: (*ending).into(), at: Instant(*at) }
            }
            domain::Event::UsesSealed { activation, count, digest } => {
                Self::UsesSealed { activation: activation.to_string(), count: *count, digest: digest.clone() }
            }
            domain::Event::PrincipalLocked { principal } => Self::PrincipalLocked { principal: short(principal) },
            domain::Event::PrincipalUnlocked { principal } => Self::PrincipalUnlocked { principal: short(principal) },
            domain::Event::CredentialsRevoked { principal, issued_before } => {
                Self::CredentialsRevoked { principal: short(principal), issued_before: Instant(*issued_before) }
            }
            domain::Event::KeyRotated { public_key } => Self::KeyRotated { public_key: public_key.clone() },
            domain::Event::AnchorConfirmed { expected, found } => {
                Self::AnchorConfirmed { expected: expected.as_ref().map(ChainPoint::from), found: found.into() }
            }
            domain::Event::JournalSucceeded { predecessor, public_key } => {
                Self::JournalSucceeded { predecessor: predecessor.into(), public_key: public_key.clone() }
            }
            domain::Event::NotesErased { principal, count, records } => Self::NotesErased {
                principal: short(principal),
                count: *count,
                records: records.iter().map(RecordRun::from).collect(),
            },
            domain::Event::JournalCut { records, hash, until, archive, carried } => Self::JournalCut {
                records: records.iter().map(RecordRun::from).collect(),
                hash: hash.clone(),
                until: Instant(*until),
                archive: archive.clone(),
                carried: carried.clone(),
            },
        }
    }
}

impl Terms {
    fn of(terms: &Frozen, names: &IssuerNames) -> Self {
        Self {
            policy: terms.policy.to_string(),
            activation: terms.activation.into(),
            stages: terms.stages.iter().map(|stage| Stage::of(stage, names)).collect(),
            sign_in: (&terms.assurance).into(),
            approver_sign_in: (&terms.approver_assurance).into(),
            own_request: terms.own_request.into(),
            extend: terms.extension.into(),
        }
    }
}
