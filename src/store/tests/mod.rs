//! Tests of the store: a store in a temporary folder, and events written by hand.

mod damaged;
pub(crate) mod disk;
mod files;
pub(crate) mod garbled;
mod golden;
mod lists;
mod recovery;
mod standing;

use tempfile::TempDir;

use super::*;
use crate::domain::activation::{Choice, Ending, Requested};
use crate::domain::assignment::{Assignment, AssignmentEnding, Origin};
use crate::domain::id::AssignmentId;
use crate::domain::identity::{Assurance, Identity};
use crate::domain::policy::{ActivationLimits, AssuranceRule, ExtensionRule, OwnRequest, PolicyRevision, Stage, Terms};
use crate::domain::principal::Group;
use crate::domain::time::{Span, Window};

/// A store in its own folder.
struct House {
    folder: TempDir,
    appender: Appender,
    reader: Reader,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let Opened { reader, appender } = open(&settings(&folder), at(0)).unwrap();
        Self { folder, appender, reader }
    }

    /// One command by hallpass itself, in its own transaction.
    fn commit(&mut self, time: Timestamp, events: &[Event]) -> Committed {
        self.commit_by(Actor::Hallpass, time, events, &Detail::default())
    }

    fn commit_by(&mut self, actor: Actor, time: Timestamp, events: &[Event], detail: &Detail) -> Committed {
        let mut transaction = self.appender.begin().unwrap();
        transaction.append(&header(actor, time), events, detail).unwrap();
        transaction.commit().unwrap()
    }

    /// Every index row is what the journal says.
    fn rows_equal_fold(&self) {
        self.reader.check_rows().unwrap();
    }
}

fn settings(folder: &TempDir) -> Settings {
    Settings { path: folder.path().join("store/hallpass.redb"), key_path: folder.path().join("keys/journal.key") }
}

fn header(actor: Actor, time: Timestamp) -> Header {
    let command = super::random_id().unwrap();
    Header { command, time, actor, idempotency: None }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_795_000_000 + seconds)
}

fn person(name: &str) -> Principal {
    Principal::new("https://id.example", name)
}

fn group(name: &str) -> Group {
    Group::new("https://id.example", name)
}

fn role(name: &str) -> RoleId {
    name.parse().unwrap()
}

fn by(name: &str) -> Actor {
    Actor::Principal { principal: person(name), assurance: Assurance::default() }
}

fn identity(name: &str, groups: &[&str]) -> Identity {
    let mut groups: Vec<Group> = groups.iter().map(|name| group(name)).collect();
    groups.sort();
    Identity {
        principal: person(name),
        name: None,
        mail: None,
        groups,
        assurance: Assurance::default(),
        issued_at: None,
        ends_at: Timestamp::MAX,
    }
}

fn act(number: u8) -> ActivationId {
    ActivationId::from_random([number; 16])
}

fn asg(number: u8) -> AssignmentId {
    AssignmentId::from_random([number; 16])
}

fn made(number: u8, kind: AssignmentKind, party: impl Into<Party>, role_name: &str) -> Event {
    Event::AssignmentMade {
        assignment: Assignment {
            id: asg(number),
            kind,
            role: role(role_name),
            party: party.into(),
            window: Window::permanent(at(0)),
            origin: Origin::Administrator,
            ended: None,
        },
    }
}

fn stage(approvers: &[Party], quorum: u32) -> Stage {
    Stage { approvers: approvers.to_vec(), quorum, deny_threshold: 1 }
}

/// The terms that most cases written by hand have.
pub(crate) fn terms(stages: Vec<Stage>) -> Terms {
    Terms {
        policy: PolicyRevision::new("p1"),
        activation: ActivationLimits {
            min: Span::seconds(1),
            max: Span::hours(8),
            default: Span::hours(1),
            total_max: Span::hours(24),
            start_ahead_max: Span::days(7),
        },
        stages,
        approver_assurance: AssuranceRule::default(),
        own_request: OwnRequest::Forbidden,
        extension: ExtensionRule::SameApproval,
        assurance: AssuranceRule::default(),
    }
}

fn requested(number: u8, who: &str, role_name: &str, stages: Vec<Stage>, lapses_at: Timestamp) -> Event {
    Event::ActivationRequested {
        activation: act(number),
        principal: person(who),
        role: role(role_name),
        eligibility: asg(1),
        via: None,
        requested: Requested { starts_at: None, duration: Span::hours(1) },
        lapses_at,
        terms: Box::new(terms(stages)),
    }
}

fn started(number: u8, from: i64, until: i64) -> Event {
    Event::ActivationStarted { activation: act(number), window: Window::new(at(from), at(until)) }
}

fn ended(number: u8, ending: Ending, when: i64) -> Event {
    Event::ActivationEnded { activation: act(number), ending, at: at(when) }
}

fn decided(number: u8, approver: &str, stage: u32, choice: Choice) -> Event {
    Event::ActivationDecided { activation: act(number), approver: person(approver), stage, choice, adjusted: None }
}

fn assignment_ended(number: u8, when: i64) -> Event {
    Event::AssignmentEnded { assignment: asg(number), ending: AssignmentEnding::Removed, at: at(when) }
}
