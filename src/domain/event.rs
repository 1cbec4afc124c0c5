//! What happened: facts in past tense, resolved so that folding needs neither clock nor configuration.
//!
//! An event never holds text a person typed, nor their name or mail: those are [`Detail`], stored beside the record so
//! that they can be erased.

use serde::{Deserialize, Serialize};

use crate::domain::activation::{Choice, Ending, Requested};
use crate::domain::assignment::{Assignment, AssignmentEnding};
use crate::domain::id::{ActivationId, AssignmentId};
use crate::domain::identity::Assurance;
use crate::domain::policy::Terms;
use crate::domain::principal::{Group, Principal};
use crate::domain::role::RoleId;
use crate::domain::time::{Timestamp, Window};

/// Who caused an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// Somebody, with the sign-in they proved at that moment.
    Principal {
        /// The one who acted.
        principal: Principal,
        /// How they had signed in.
        assurance: Assurance,
    },
    /// The configuration, at start or reload.
    Configuration,
    /// hallpass itself, writing down what time has made true.
    Hallpass,
    /// Whoever runs hallpass on its machine, by a command given there while it was stopped.
    Operator,
}

/// A place in a chain: the record that stood there, or was said to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainPoint {
    /// Names the chain.
    pub realm: String,
    /// The record's sequence.
    pub sequence: u64,
    /// Its hash, hexadecimal.
    pub hash: String,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// The journal began.
    JournalOpened {
        /// Names this chain; part of every hash.
        realm: String,
        /// Ed25519 public key of the root of trust, hexadecimal.
        public_key: String,
    },
    /// Another configuration came into force.
    ConfigurationApplied {
        /// SHA-256 over it, hexadecimal.
        digest: String,
    },
    /// An eligible or active assignment was made.
    AssignmentMade {
        /// The assignment as made.
        assignment: Assignment,
    },
    /// An assignment was given another window.
    AssignmentChanged {
        /// Which.
        assignment: AssignmentId,
        /// The window it had.
        before: Window,
        /// The window it has.
        after: Window,
    },
    /// An assignment ended.
    AssignmentEnded {
        /// Which.
        assignment: AssignmentId,
        /// Why.
        ending: AssignmentEnding,
        /// From when on it no longer counts.
        at: Timestamp,
    },
    /// Somebody asked to activate a role.
    ActivationRequested {
        /// The case.
        activation: ActivationId,
        /// Who asked.
        principal: Principal,
        /// For which role.
        role: RoleId,
        /// The eligible assignment that allows it.
        eligibility: AssignmentId,
        /// The group that carries the eligibility, when it is not the principal's own.
        via: Option<Group>,
        /// What was asked for.
        requested: Requested,
        /// The case lapses then when it is still pending.
        lapses_at: Timestamp,
        /// What decides this case, frozen.
        terms: Box<Terms>,
    },
    /// An approver agreed or refused.
    ActivationDecided {
        /// The case.
        activation: ActivationId,
        /// Who decided.
        approver: Principal,
        /// In which stage, counted from 0.
        stage: u32,
        /// Agreed or refused.
        choice: Choice,
        /// What the approver changed; `None` when nothing.
        adjusted: Option<Requested>,
    },
    /// The role is held from `window.starts_at` on.
    ActivationStarted {
        /// The case.
        activation: ActivationId,
        /// When the role is held.
        window: Window,
    },
    /// Its holder asked for a later end, and approval is needed.
    ExtensionRequested {
        /// The case.
        activation: ActivationId,
        /// The end asked for.
        ends_at: Timestamp,
        /// The wish lapses then.
        lapses_at: Timestamp,
    },
    /// The wish for a later end was refused or ran out.
    ExtensionEnded {
        /// The case.
        activation: ActivationId,
        /// Denied, cancelled or lapsed.
        ending: Ending,
        /// When.
        at: Timestamp,
    },
    /// The end moved.
    ActivationExtended {
        /// The case.
        activation: ActivationId,
        /// The end it had.
        before: Timestamp,
        /// The end it has.
        after: Timestamp,
    },
    /// The end moved closer, because the eligible assignment behind it was shortened.
    ActivationShortened {
        /// The case.
        activation: ActivationId,
        /// The end it had.
        before: Timestamp,
        /// The end it has.
        after: Timestamp,
    },
    /// The case is over.
    ActivationEnded {
        /// The case.
        activation: ActivationId,
        /// How.
        ending: Ending,
        /// From when on.
        at: Timestamp,
    },
    /// The requests made under an ended activation were counted and sealed.
    UsesSealed {
        /// The case.
        activation: ActivationId,
        /// How many requests passed because of it.
        count: u64,
        /// Running SHA-256 over all of them, hexadecimal.
        digest: String,
    },
    /// A principal was locked: holds nothing, may ask for nothing.
    PrincipalLocked {
        /// Who.
        principal: Principal,
    },
    /// A principal was unlocked.
    PrincipalUnlocked {
        /// Who.
        principal: Principal,
    },
    /// What was issued to a principal so far, tokens and sessions, proves nobody any more.
    CredentialsRevoked {
        /// Whose.
        principal: Principal,
        /// What was issued from then on counts.
        issued_before: Timestamp,
    },
    /// Another key signs from the next record on; this one is still signed by the key before.
    KeyRotated {
        /// Ed25519 public key that signs from now on, hexadecimal.
        public_key: String,
    },
    /// The operator goes on with this journal, although it is not the one that an anchor names.
    AnchorConfirmed {
        /// The newest anchor; `None` when the file of anchors held something, but no anchor.
        expected: Option<ChainPoint>,
        /// The head at that moment, before this record.
        found: ChainPoint,
    },
    /// This journal begins where another one, whose signing key was lost, was verified to end.
    JournalSucceeded {
        /// The last record of the other one.
        predecessor: ChainPoint,
        /// Its root public key, hexadecimal.
        public_key: String,
    },
    /// The notes of these records, which were a principal's or about it, are gone for good.
    NotesErased {
        /// Whose.
        principal: Principal,
        /// How many notes.
        count: u64,
        /// Which records had them; in order, and never this one or a later one.
        records: Vec<RecordRun>,
    },
    /// Old records were taken out of this journal, after they had been written to an archive.
    JournalCut {
        /// All that are gone now, those of earlier cuts included; in order, never the first, and never this one or a later
        /// one. The record behind the last of them is there.
        records: Vec<RecordRun>,
        /// Hash of the last of them, hexadecimal: the record behind it follows this one.
        hash: String,
        /// Time of the last of them.
        until: Timestamp,
        /// SHA-256 over the archive that holds those of this cut, hexadecimal.
        archive: String,
        /// SHA-256 over what they had come to and is carried on beside the journal, hexadecimal.
        carried: String,
    },
}

/// Records one after the other, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordRun {
    /// Sequence of the first.
    pub first: u64,
    /// Sequence of the last.
    pub last: u64,
}

/// What a person typed or is called, kept beside the record and erasable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detail {
    /// The actor's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The actor's mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<String>,
    /// Why, in the actor's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// The ticket named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// What the role is wanted for, as whoever asks for it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Wanted>,
}

/// The request that was denied for want of a role. Whoever asks for the role brings it along from the denial; nothing proves
/// it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Its method.
    pub method: String,
    /// Its address, with its query.
    pub url: String,
}

impl Detail {
    /// Whether there is nothing to keep.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Event {
    /// The case this event belongs to, when it belongs to one.
    #[must_use]
    pub const fn activation(&self) -> Option<ActivationId> {
        match self {
            Self::ActivationRequested { activation, .. }
            | Self::ActivationDecided { activation, .. }
            | Self::ActivationStarted { activation, .. }
            | Self::ExtensionRequested { activation, .. }
            | Self::ExtensionEnded { activation, .. }
            | Self::ActivationExtended { activation, .. }
            | Self::ActivationShortened { activation, .. }
            | Self::ActivationEnded { activation, .. }
            | Self::UsesSealed { activation, .. } => Some(*activation),
            Self::JournalOpened { .. }
            | Self::ConfigurationApplied { .. }
            | Self::AssignmentMade { .. }
            | Self::AssignmentChanged { .. }
            | Self::AssignmentEnded { .. }
            | Self::PrincipalLocked { .. }
            | Self::PrincipalUnlocked { .. }
            | Self::CredentialsRevoked { .. }
            | Self::KeyRotated { .. }
            | Self::AnchorConfirmed { .. }
            | Self::JournalSucceeded { .. }
            | Self::NotesErased { .. }
            | Self::JournalCut { .. } => None,
        }
    }

    /// The types of [those about the journal itself](Self::is_of_journal).
    pub const OF_JOURNAL: [&str; 5] =
        ["journal_opened", "key_rotated", "anchor_confirmed", "journal_succeeded", "journal_cut"];

    /// Whether it is about the journal itself: its beginning, its keys, its cuts, and what the operator accepted. Such records
    /// are never cut, so that the chain of keys and the proof of a cut stay with what remains.
    #[must_use]
    pub const fn is_of_journal(&self) -> bool {
        matches!(
            self,
            Self::JournalOpened { .. }
                | Self::KeyRotated { .. }
                | Self::AnchorConfirmed { .. }
                | Self::JournalSucceeded { .. }
                | Self::JournalCut { .. }
        )
    }
}
