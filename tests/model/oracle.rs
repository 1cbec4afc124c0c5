//! What ought to happen, said as plainly as possible and without looking at events: lists, loops, comparisons.

use std::collections::{HashMap, HashSet};

use hallpass::domain::activation::Choice;
use hallpass::domain::assignment::AssignmentKind;
use hallpass::domain::command::{Adjusted, Command};
use hallpass::domain::id::{ActivationId, AssignmentId};
use hallpass::domain::identity::Identity;
use hallpass::domain::policy::ExtensionRule;
use hallpass::domain::principal::{Party, Principal};
use hallpass::domain::role::RoleId;
use hallpass::domain::time::{Span, Timestamp};

use crate::states::*;
use crate::universe::*;

#[derive(Clone, Default)]
pub struct Oracle {
    pub grants: HashMap<AssignmentId, Grant>,
    pub cases: HashMap<ActivationId, CaseState>,
    pub locked: HashSet<Principal>,
}

impl Oracle {
    /// Whether `who`, presenting these groups, holds `role` at `now`.
    pub fn holds(&self, identity: &Identity, role: &RoleId, now: Timestamp) -> bool {
        let by_case = self.cases.values().any(|case| {
            case.who == identity.principal
                && case.role == *role
                && case.via.as_ref().is_none_or(|via| identity.is(via))
                && matches!(case.state, State::Held { from, until, .. } if from <= now && now < until)
        });
        let by_grant = self.grants.values().any(|grant| {
            grant.kind == AssignmentKind::Active
                && grant.role == *role
                && identity.is(&grant.party)
                && stands(grant, now)
        });
        !self.locked.contains(&identity.principal) && (by_case || by_grant)
    }

    fn is_administrator(&self, identity: &Identity, now: Timestamp) -> bool {
        self.holds(identity, &RoleId::administrator(), now)
    }

    fn approves(identity: &Identity, role: &RoleId) -> bool {
        stages(role).iter().flat_map(|stage| &stage.approvers).any(|party| identity.is(party))
    }

    fn sees(&self, identity: &Identity, case: &CaseState, now: Timestamp) -> bool {
        identity.principal == case.who
            || Self::approves(identity, &case.role)
            || self.is_administrator(identity, now)
            || self.holds(identity, &RoleId::auditor(), now)
    }

    /// Time alone: what ran out is over.
    pub fn pass(&mut self, now: Timestamp) {
        for case in self.cases.values_mut() {
            match &mut case.state {
                State::Waiting { votes, .. } if votes.lapses <= now => case.state = State::Over,
                State::Held { until, .. } if *until <= now => case.state = State::Over,
                State::Held { longer, .. } if longer.as_ref().is_some_and(|(votes, _)| votes.lapses <= now) => {
                    *longer = None;
                    case.revision += 1;
                }
                State::Waiting { .. } | State::Held { .. } | State::Over => {}
            }
        }
    }

    /// Carries out `command` and says whether it ought to be accepted.
    pub fn accepts(&mut self, identity: &Identity, command: &Command, now: Timestamp) -> bool {
        let locked = self.locked.contains(&identity.principal);
        match command {
            Command::RequestActivation { id, role, duration, starts_at, .. } => {
                !locked && self.request(identity, *id, role, duration.unwrap_or(USUAL), *starts_at, now)
            }
            Command::Decide { id, choice, revision, adjusted, .. } => {
                !locked && self.vote(identity, *id, *choice, *revision, adjusted.unwrap_or_default(), now)
            }
            Command::Cancel { id } => self.cancel(identity, *id, now),
            Command::Deactivate { id } => {
                let own = |case: &CaseState| case.who == identity.principal && matches!(case.state, State::Held { .. });
                self.end_if(*id, own)
            }
            Command::Revoke { id, .. } => {
                let administrator = self.is_administrator(identity, now);
                let allowed = |case: &CaseState| {
                    (administrator || Self::approves(identity, &case.role)) && !matches!(case.state, State::Over)
                };
                !locked && self.end_if(*id, allowed)
            }
            Command::Extend { id, duration, .. } => !locked && self.extend(identity, *id, *duration, now),
            Command::Assign { id, kind, role, party, starts_at, ends_at, .. } => {
                let (from, until) = (starts_at.unwrap_or(now).max(now), ends_at.unwrap_or(Timestamp::MAX));
                let good = self.is_administrator(identity, now) && until > from;
                if good {
                    let grant =
                        Grant { kind: *kind, role: role.clone(), party: party.clone(), from, until, over: false };
                    self.grants.insert(*id, grant);
                }
                good
            }
            Command::RemoveAssignment { id, .. } => self.remove(identity, *id, now),
            Command::Lock { principal, .. } => self.lock(identity, principal, now),
            Command::Unlock { principal, .. } => {
                self.is_administrator(identity, now) && {
                    self.locked.remove(principal);
                    true
                }
            }
            _ => unreachable!("not among the random commands"),
        }
    }

    fn request(
        &mut self,
        identity: &Identity,
        id: ActivationId,
        role: &RoleId,
        length: Span,
        from: Option<Timestamp>,
        now: Timestamp,
    ) -> bool {
        let too_early = from.is_some_and(|from| from < now.minus(Span::seconds(60)));
        let waits = self.cases.values().any(|case| {
            case.who == identity.principal && case.role == *role && matches!(case.state, State::Waiting { .. })
        });
        if length < SHORTEST || length > LONGEST || too_early || waits {
            return false;
        }
        let mut start = from.unwrap_or(now).max(now);
        let mut held: Vec<_> = self
            .cases
            .values()
            .filter(|case| case.who == identity.principal && case.role == *role)
            .filter_map(|case| match case.state {
                State::Held { from, until, .. } => Some((from, until)),
                State::Waiting { .. } | State::Over => None,
            })
            .collect();
        held.sort();
        for &(from, until) in &held {
            if from < start.plus(length) && start < until {
                start = until;
            }
        }
        let follows = held.iter().any(|(from, until)| *from <= now && now < *until && *until == start);
        let scheduled = held.iter().filter(|(from, _)| *from > now).count();
        if (start > now.plus(AHEAD) && !follows) || scheduled >= SCHEDULED_MAX {
            return false;
        }
        let end = start.plus(length);
        let ways = std::iter::once(Party::Principal(identity.principal.clone()))
            .chain(identity.groups.iter().cloned().map(Party::Group));
        let grant = ways.into_iter().find_map(|party| {
            let mut fitting: Vec<_> = self
                .grants
                .iter()
                .filter(|(_, grant)| grant.kind == AssignmentKind::Eligible && grant.role == *role)
                .filter(|(_, grant)| grant.party == party && stands(grant, now))
                .filter(|(_, grant)| grant.from <= start && end <= grant.until)
                .map(|(id, grant)| (grant.until, *id))
                .collect();
            fitting.sort();
            fitting.last().map(|(_, id)| (*id, party))
        });
        let Some((grant, party)) = grant else { return false };
        let wish = Wish { from: (start > now).then_some(start), length };
        let state = if stages(role).is_empty() {
            State::Held { from: start, until: end, longer: None }
        } else {
            State::Waiting { votes: Votes::opening(now.plus(PENDING_AFTER)), wish }
        };
        let via = matches!(party, Party::Group(_)).then_some(party);
        let revision = if stages(role).is_empty() { 2 } else { 1 };
        self.cases
            .insert(id, CaseState { who: identity.principal.clone(), role: role.clone(), grant, via, state, revision });
        true
    }

    fn vote(
        &mut self,
        identity: &Identity,
        id: ActivationId,
        choice: Choice,
        revision: u32,
        adjusted: Adjusted,
        now: Timestamp,
    ) -> bool {
        let Some(case) = self.cases.get(&id) else { return false };
        if !self.sees(identity, case, now) || case.who == identity.principal || case.revision != revision {
            return false;
        }
        let grant = self.grants.get(&case.grant).filter(|grant| stands(grant, now)).map(|grant| grant.until);
        let Some(case) = self.cases.get_mut(&id) else { return false };
        let role = case.role.clone();
        let (votes, longer) = match &mut case.state {
            State::Waiting { votes, .. } => (votes, false),
            State::Held { longer: Some((votes, _)), .. } => (votes, true),
            State::Held { longer: None, .. } | State::Over => return false,
        };
        let stage = votes.stage(&role);
        let named =
            stages(&role).get(stage).is_some_and(|stage| stage.approvers.iter().any(|party| identity.is(party)));
        if !named || votes.yes.iter().any(|(_, who)| *who == identity.principal) {
            return false;
        }
        if choice == Choice::Deny {
            match &mut case.state {
                State::Held { longer, .. } => *longer = None,
                state => *state = State::Over,
            }
            case.revision += 2;
            return true;
        }
        if longer && adjusted != Adjusted::default() {
            unreachable!("extensions are not adjusted by the random commands");
        }
        if let State::Waiting { wish, .. } = &case.state {
            let too_long = adjusted.duration.is_some_and(|length| length > wish.length || length < SHORTEST);
            let bad_start = adjusted.starts_at.is_some_and(|from| {
                from < now || wish.from.is_some_and(|wished| from < wished) || from > now.plus(AHEAD)
            });
            if too_long || bad_start {
                return false;
            }
        }
        let before = case.clone();
        if let State::Waiting { wish, .. } = &mut case.state {
            wish.length = adjusted.duration.unwrap_or(wish.length);
            wish.from = adjusted.starts_at.or(wish.from);
        }
        case.revision += 1;
        let carried = case.vote_yes(stage, identity.principal.clone());
        if carried && !case.begin(grant, now) {
            *case = before;
            return false;
        }
        true
    }

    fn cancel(&mut self, identity: &Identity, id: ActivationId, now: Timestamp) -> bool {
        let administrator = self.is_administrator(identity, now);
        let Some(case) = self.cases.get_mut(&id) else { return false };
        if !administrator && case.who != identity.principal {
            return false;
        }
        match &mut case.state {
            State::Waiting { .. } => case.state = State::Over,
            State::Held { longer: longer @ Some(_), .. } => *longer = None,
            State::Held { longer: None, .. } | State::Over => return false,
        }
        case.revision += 1;
        true
    }

    fn end_if(&mut self, id: ActivationId, allowed: impl Fn(&CaseState) -> bool) -> bool {
        match self.cases.get_mut(&id).filter(|case| allowed(case)) {
            Some(case) => {
                case.state = State::Over;
                true
            }
            None => false,
        }
    }

    fn extend(&mut self, identity: &Identity, id: ActivationId, by: Span, now: Timestamp) -> bool {
        let Some(case) = self.cases.get_mut(&id).filter(|case| case.who == identity.principal) else { return false };
        let grant = self.grants.get(&case.grant).filter(|grant| stands(grant, now));
        let State::Held { from, until, longer } = &mut case.state else { return false };
        let end = until.plus(by);
        let total = end.millis_since(*from) / 1000;
        let good = *from <= now
            && longer.is_none()
            && by > Span::ZERO
            && by <= LONGEST
            && total <= TOTAL.as_seconds()
            && grant.is_some_and(|grant| end <= grant.until)
            && case.via.as_ref().is_none_or(|via| identity.is(via));
        if !good {
            return false;
        }
        match extension_rule(&case.role) {
            ExtensionRule::None => return false,
            ExtensionRule::Free => *until = end,
            ExtensionRule::SameApproval => {
                *longer = Some((Votes::opening(now.plus(PENDING_AFTER).min(*until)), end));
            }
        }
        case.revision += 1;
        true
    }

    fn remove(&mut self, identity: &Identity, id: AssignmentId, now: Timestamp) -> bool {
        let administrator = self.is_administrator(identity, now);
        let others = self.grants.iter().any(|(other, grant)| *other != id && self.relies_on(grant, now));
        let is_one = self.grants.get(&id).is_some_and(|grant| self.relies_on(grant, now));
        let Some(grant) = self.grants.get_mut(&id).filter(|grant| administrator && !grant.over && now < grant.until)
        else {
            return false;
        };
        if is_one && !others {
            return false;
        }
        grant.over = true;
        self.cases.values_mut().filter(|case| case.grant == id).for_each(|case| case.state = State::Over);
        true
    }

    /// Whether somebody is administrator by `grant`: the locked hold nothing.
    fn relies_on(&self, grant: &Grant, now: Timestamp) -> bool {
        let locked = matches!(&grant.party, Party::Principal(principal) if self.locked.contains(principal));
        administrates(grant, now) && !locked
    }

    fn lock(&mut self, identity: &Identity, principal: &Principal, now: Timestamp) -> bool {
        if !self.is_administrator(identity, now) {
            return false;
        }
        if self.locked.contains(principal) {
            return true;
        }
        let party = Party::Principal(principal.clone());
        let is_one = self.grants.values().any(|grant| grant.party == party && self.relies_on(grant, now));
        let others = self.grants.values().any(|grant| grant.party != party && self.relies_on(grant, now));
        if is_one && !others {
            return false;
        }
        self.locked.insert(principal.clone());
        let active = self.grants.values_mut().filter(|grant| grant.kind == AssignmentKind::Active);
        active.filter(|grant| grant.party == party).for_each(|grant| grant.over = true);
        self.cases.values_mut().filter(|case| case.who == *principal).for_each(|case| case.state = State::Over);
        true
    }
}
