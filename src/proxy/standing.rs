//! One core's standings, remembered for as long as nothing is published, and the verdict on them.
//!
//! The stamp is read before the standing; what was read under one stamp is reused only while the stamp is still the same.
//! Nothing here waits, so nothing can change between reading a standing and judging by it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::Clock;
use crate::domain::authorize::{Denial, Permit, Verdict, authorize};
use crate::domain::identity::Identity;
use crate::domain::principal::{Group, Party, Principal};
use crate::domain::rule::{Demand, Enforcement, Rule};
use crate::domain::standing::Standing;
use crate::domain::time::Timestamp;
use crate::standings::{Stamp, Standings};

/// One core's way to verdicts. Not shared.
pub(super) struct Judge {
    standings: Standings,
    clock: Clock,
    memo: RefCell<Memo>,
}

struct Memo {
    stamp: Stamp,
    principals: HashMap<Principal, Arc<Standing>>,
    groups: HashMap<Group, Arc<Standing>>,
}

/// A permit, and what it rests on.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) permit: Permit,
    /// When the verdict was given.
    pub(super) at: Timestamp,
    /// What was published then.
    pub(super) stamp: Stamp,
    /// The standings it was given on: the own one first; empty where nobody had to be known.
    pub(super) standings: Vec<Arc<Standing>>,
}

/// Why there is no permit.
#[derive(Debug)]
pub(super) enum NotPermitted {
    /// The rule says no.
    Denied(Denial),
    /// A standing cannot be read: unknown means no.
    Unknown,
}

impl Judge {
    pub(super) fn new(standings: Standings, clock: Clock) -> Self {
        let memo = Memo { stamp: standings.stamp(), principals: HashMap::new(), groups: HashMap::new() };
        Self { standings, clock, memo: RefCell::new(memo) }
    }

    pub(super) const fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) const fn standings(&self) -> &Standings {
        &self.standings
    }

    /// Judges a request now. The groups' standings are looked up only when the own one does not suffice.
    pub(super) fn judge(&self, rule: &Rule, identity: Option<&Identity>) -> Result<Judged, NotPermitted> {
        let stamp = self.standings.stamp();
        let judged = |permit, at, standings| Judged { permit, at, stamp, standings };
        let Some(identity) = identity.filter(|_| asks_who(&rule.demand)) else {
            let at = self.clock.now();
            return authorize(rule, None, &[], at)
                .map(|permit| judged(permit, at, Vec::new()))
                .map_err(NotPermitted::Denied);
        };
        if asks_roles(&rule.demand) && self.gives_no_role() {
            return self.without_standing(rule, stamp);
        }
        let Some(own) = self.of_principal(stamp, &identity.principal) else {
            return self.without_standing(rule, stamp);
        };
        let at = self.clock.now();
        let verdict = authorize(rule, Some(identity), &[&own], at);
        if !groups_may_help(&verdict, rule, identity) {
            return verdict.map(|permit| judged(permit, at, vec![own])).map_err(NotPermitted::Denied);
        }
        let mut standings = vec![own];
        for group in identity.groups.iter().take(GROUPS_MAX) {
            match self.of_group(stamp, group) {
                Some(standing) => standings.push(standing),
                None => return self.without_standing(rule, stamp),
            }
        }
        let at = self.clock.now();
        let all: Vec<&Standing> = standings.iter().map(AsRef::as_ref).collect();
        authorize(rule, Some(identity), &all, at)
            .map(|permit| judged(permit, at, standings))
            .map_err(NotPermitted::Denied)
    }

    /// Whether the same standings would be found now. Says nothing about time.
    pub(super) fn is_unchanged(&self, identity: &Identity, standings: &[Arc<Standing>]) -> bool {
        let stamp = self.standings.stamp();
        // what the journal says stays the same, and no longer counts
        if self.gives_no_role() {
            return false;
        }
        let Some((own, groups)) = standings.split_first() else { return true };
        let is_same =
            |found: Option<Arc<Standing>>, was: &Arc<Standing>| found.is_some_and(|found| Arc::ptr_eq(&found, was));
        is_same(self.of_principal(stamp, &identity.principal), own)
            && identity.groups.iter().zip(groups).all(|(group, was)| is_same(self.of_group(stamp, group), was))
    }

    /// A journal in doubt gives nobody a role, nor does one whose rights may have ended long ago.
    fn gives_no_role(&self) -> bool {
        self.standings.doubted().is_some() || self.clock.is_lost()
    }

    /// The principal's own standing and those of its groups, each with the group; `None` when one cannot be read.
    pub(super) fn all_of<'i>(&self, identity: &'i Identity) -> Option<Vec<(Option<&'i Group>, Arc<Standing>)>> {
        let stamp = self.standings.stamp();
        let own = self.of_principal(stamp, &identity.principal).map(|standing| (None, standing));
        let groups = identity.groups.iter().take(GROUPS_MAX);
        let groups = groups.map(|group| self.of_group(stamp, group).map(|standing| (Some(group), standing)));
        std::iter::once(own).chain(groups).collect()
    }

    /// A shadow rule lets everybody pass, also those of whom nothing can be known.
    fn without_standing(&self, rule: &Rule, stamp: Stamp) -> Result<Judged, NotPermitted> {
        match rule.enforcement {
            Enforcement::Enforce => Err(NotPermitted::Unknown),
            Enforcement::Shadow => {
                let at = self.clock.now();
                authorize(rule, None, &[], at)
                    .map(|permit| Judged { permit, at, stamp, standings: Vec::new() })
                    .map_err(NotPermitted::Denied)
            }
        }
    }

    fn of_principal(&self, stamp: Stamp, principal: &Principal) -> Option<Arc<Standing>> {
        let mut memo = self.memo.borrow_mut();
        memo.forget_unless(stamp);
        if let Some(standing) = memo.principals.get(principal) {
            return Some(Arc::clone(standing));
        }
        let standing = self.read(&Party::Principal(principal.clone()))?;
        memo.principals.insert(principal.clone(), Arc::clone(&standing));
        Some(standing)
    }

    fn of_group(&self, stamp: Stamp, group: &Group) -> Option<Arc<Standing>> {
        let mut memo = self.memo.borrow_mut();
        memo.forget_unless(stamp);
        if let Some(standing) = memo.groups.get(group) {
            return Some(Arc::clone(standing));
        }
        let standing = self.read(&Party::Group(group.clone()))?;
        memo.groups.insert(group.clone(), Arc::clone(&standing));
        Some(standing)
    }

    fn read(&self, party: &Party) -> Option<Arc<Standing>> {
        self.standings
            .of(party)
            .inspect_err(|error| tracing::error!(error = error as &dyn std::error::Error, "a standing cannot be read"))
            .ok()
    }
}

impl Memo {
    fn forget_unless(&mut self, stamp: Stamp) {
        let full = self.principals.len() + self.groups.len() >= MEMO_MAX;
        if self.stamp != stamp || full {
            self.principals.clear();
            self.groups.clear();
            self.stamp = stamp;
        }
    }
}

const fn asks_who(demand: &Demand) -> bool {
    match demand {
        Demand::SignedIn | Demand::AnyRole(_) | Demand::AllRoles(_) => true,
        Demand::Public | Demand::Nobody => false,
    }
}

const fn asks_roles(demand: &Demand) -> bool {
    matches!(demand, Demand::AnyRole(_) | Demand::AllRoles(_))
}

fn groups_may_help(verdict: &Verdict, rule: &Rule, identity: &Identity) -> bool {
    let denial = match verdict {
        Ok(permit) => permit.shadowed(),
        Err(denial) => Some(denial),
    };
    asks_roles(&rule.demand)
        && !identity.groups.is_empty()
        && matches!(denial, Some(Denial::Requestable(_) | Denial::Forbidden))
}

/// More groups than this cannot be looked up for one request; fewer standings never allow more.
const GROUPS_MAX: usize = 256;
/// Standings that one core remembers.
const MEMO_MAX: usize = 8192;
