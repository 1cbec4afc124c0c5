//! What the oracle knows of one grant and one case.

use hallpass::domain::assignment::AssignmentKind;
use hallpass::domain::id::AssignmentId;
use hallpass::domain::principal::{Party, Principal};
use hallpass::domain::role::RoleId;
use hallpass::domain::time::{Span, Timestamp};

use crate::universe::*;

#[derive(Clone)]
pub struct Grant {
    pub kind: AssignmentKind,
    pub role: RoleId,
    pub party: Party,
    pub from: Timestamp,
    pub until: Timestamp,
    pub over: bool,
}

#[derive(Clone)]
pub struct CaseState {
    pub who: Principal,
    pub role: RoleId,
    pub grant: AssignmentId,
    pub via: Option<Party>,
    pub state: State,
    /// Revision, as far as decisions can tell: the number of changes after the request.
    pub revision: u32,
}

#[derive(Clone)]
pub enum State {
    Waiting { votes: Votes, wish: Wish },
    Held { from: Timestamp, until: Timestamp, longer: Option<(Votes, Timestamp)> },
    Over,
}

#[derive(Clone)]
pub struct Votes {
    pub lapses: Timestamp,
    pub yes: Vec<(usize, Principal)>,
}

#[derive(Clone, Copy)]
pub struct Wish {
    pub from: Option<Timestamp>,
    pub length: Span,
}

impl Votes {
    pub fn opening(lapses: Timestamp) -> Self {
        Self { lapses, yes: Vec::new() }
    }

    /// The stage that is open, when `n` people must agree in each.
    pub fn stage(&self, role: &RoleId) -> usize {
        let stages = stages(role);
        let full = |index: &usize| {
            let count = self.yes.iter().filter(|(stage, _)| stage == index).count();
            stages.get(*index).is_some_and(|stage| count >= stage.quorum as usize)
        };
        (0..stages.len()).take_while(full).count()
    }
}

impl CaseState {
    /// Counts a yes; whether all stages are full now.
    pub fn vote_yes(&mut self, stage: usize, who: Principal) -> bool {
        let role = self.role.clone();
        match &mut self.state {
            State::Waiting { votes, .. } | State::Held { longer: Some((votes, _)), .. } => {
                votes.yes.push((stage, who));
                votes.stage(&role) == stages(&role).len()
            }
            State::Held { longer: None, .. } | State::Over => false,
        }
    }

    /// The last yes was given: the role begins, or its end moves. Not when the eligibility is gone.
    pub fn begin(&mut self, grant: Option<Timestamp>, now: Timestamp) -> bool {
        let Some(grant) = grant else { return false };
        self.revision += 1;
        match &mut self.state {
            State::Waiting { wish, .. } => {
                let from = wish.from.unwrap_or(now).max(now);
                let until = from.plus(wish.length).min(grant);
                let good = until > from;
                self.state = State::Held { from, until, longer: None };
                good
            }
            State::Held { from, until, longer } => {
                let end = longer.take().map_or(*until, |(_, end)| end).min(grant).min(from.plus(TOTAL));
                let good = end > *until;
                *until = end;
                good
            }
            State::Over => false,
        }
    }
}

pub fn stands(grant: &Grant, now: Timestamp) -> bool {
    !grant.over && grant.from <= now && now < grant.until
}

pub fn administrates(grant: &Grant, now: Timestamp) -> bool {
    grant.kind == AssignmentKind::Active && grant.role == RoleId::administrator() && stands(grant, now)
}
