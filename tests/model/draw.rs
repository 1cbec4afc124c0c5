//! Random commands, mostly about what exists, by people who may well give them.

use hallpass::domain::activation::Choice;
use hallpass::domain::assignment::AssignmentKind;
use hallpass::domain::command::{Adjusted, Command};
use hallpass::domain::id::{ActivationId, AssignmentId};
use hallpass::domain::principal::Party;
use hallpass::domain::role::RoleId;
use hallpass::domain::time::{Span, Timestamp};

use crate::oracle::Oracle;
use crate::states;
use crate::universe::*;

pub struct Draw {
    pub chance: Chance,
    cases: Vec<ActivationId>,
    grants: Vec<AssignmentId>,
}

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self { chance: Chance::new(seed), cases: Vec::new(), grants: Vec::new() }
    }

    /// One more random command; mostly about what exists.
    pub fn command(&mut self, name: &str, oracle: &Oracle, now: Timestamp) -> Command {
        let chance = &mut self.chance;
        let justification = None;
        match chance.below(16) {
            0..=4 => {
                let id = ActivationId::from_random(chance.bits());
                self.cases.push(id);
                let starts_at = chance.one_in(4).then(|| {
                    let shift = Span::seconds(chance.below(5000));
                    if chance.one_in(5) { now.minus(shift) } else { now.plus(shift) }
                });
                Command::RequestActivation {
                    id,
                    role: role(chance.pick(&ROLES).expect("roles")),
                    duration: chance.one_in(2).then(|| Span::seconds(chance.below(8000))),
                    starts_at,
                    justification,
                    ticket: None,
                    wanted: None,
                }
            }
            5..=8 => {
                let id = self.some_case();
                let chance = &mut self.chance;
                let case = oracle.cases.get(&id);
                let known = case.map_or(1, |case| case.revision);
                let revision = if chance.one_in(12) { known.saturating_sub(1) } else { known };
                let is_extension = case.is_some_and(|case| matches!(case.state, states::State::Held { .. }));
                let choice = if chance.one_in(6) { Choice::Deny } else { Choice::Approve };
                let adjusted = (choice == Choice::Approve && !is_extension && chance.one_in(4)).then(|| Adjusted {
                    duration: chance.one_in(2).then(|| Span::seconds(chance.below(3000))),
                    starts_at: chance.one_in(2).then(|| now.plus(Span::seconds(chance.below(3000)))),
                });
                Command::Decide { id, choice, revision, adjusted, justification }
            }
            9 => Command::Cancel { id: self.some_case() },
            10 => Command::Deactivate { id: self.some_case() },
            11 => Command::Revoke { id: self.some_case(), justification },
            12 => {
                let duration = Span::seconds(self.chance.below(9000));
                Command::Extend { id: self.some_case(), duration, justification }
            }
            13 | 14 => self.assignment(now),
            _ if name == "root" && self.chance.one_in(2) => {
                let (who, _) = *self.chance.pick(&PEOPLE).expect("people");
                let (principal, justification) = (person(who), Some("for the test".to_owned()));
                if self.chance.one_in(3) {
                    Command::Lock { principal, justification }
                } else {
                    Command::Unlock { principal, justification }
                }
            }
            _ => {
                // what configuration made, only configuration removes: draw from the others
                let id = self.chance.pick(&self.grants).copied().unwrap_or(AssignmentId::from_random([0; 16]));
                Command::RemoveAssignment { id, justification }
            }
        }
    }

    /// Somebody who may well be in a position to give this command.
    pub fn likely(&mut self, command: &Command, oracle: &Oracle, otherwise: &str) -> String {
        let chance = &mut self.chance;
        let approvers = ["grace", "hans", "bob", "root"];
        match command {
            Command::RequestActivation { .. } => chance.pick(&["ada", "bob", "hans"]).map(ToString::to_string),
            Command::Decide { .. } => chance.pick(&approvers).map(ToString::to_string),
            Command::Cancel { id } | Command::Deactivate { id } | Command::Extend { id, .. } => {
                oracle.cases.get(id).map(|case| case.who.subject.to_string())
            }
            Command::Assign { .. } | Command::RemoveAssignment { .. } => Some("root".to_owned()),
            _ => None,
        }
        .unwrap_or_else(|| otherwise.to_owned())
    }

    fn assignment(&mut self, now: Timestamp) -> Command {
        let chance = &mut self.chance;
        let id = AssignmentId::from_random(chance.bits());
        self.grants.push(id);
        let party = if chance.one_in(3) {
            Party::Group(group(if chance.one_in(2) { "engineers" } else { "leads" }))
        } else {
            Party::Principal(person(chance.pick(&PEOPLE).expect("people").0))
        };
        let kind = if chance.one_in(5) { AssignmentKind::Active } else { AssignmentKind::Eligible };
        let administrative = kind == AssignmentKind::Active && chance.one_in(4);
        let role = if administrative { RoleId::administrator() } else { role(chance.pick(&ROLES).expect("roles")) };
        Command::Assign {
            id,
            kind,
            role,
            party,
            starts_at: chance.one_in(5).then(|| now.plus(Span::seconds(chance.below(2000)))),
            ends_at: chance.one_in(2).then(|| now.plus(Span::seconds(1 + chance.below(20_000)))),
            justification: Some("for the test".to_owned()),
        }
    }

    /// Mostly a recent case: those are still open.
    fn some_case(&mut self) -> ActivationId {
        let recent = self.cases.len().saturating_sub(12);
        let from = if self.chance.one_in(5) { 0 } else { recent };
        let among = self.cases.get(from..).unwrap_or_default();
        self.chance.pick(among).copied().unwrap_or(ActivationId::from_random([0; 16]))
    }
}
