//! Who may read what: pure, one place. What a caller may not see is answered like what does not exist.
//!
//! Reading is not commanding: whether a command may be given is decided in the domain alone.

use std::collections::HashSet;
use std::sync::Arc;

use crate::domain::activation::Activation;
use crate::domain::assignment::Assignment;
use crate::domain::identity::Identity;
use crate::domain::policy::{Policies, RolePolicy};
use crate::domain::principal::{Group, Party, Principal};
use crate::domain::role::RoleId;
use crate::domain::standing::{Lock, Standing};
use crate::domain::time::Timestamp;

/// A caller with all it holds, at one instant.
#[derive(Debug, Clone)]
pub(super) struct Viewer {
    identity: Arc<Identity>,
    /// The own standing.
    own: Arc<Standing>,
    /// Standings of the groups the identity carries, in their order.
    groups: Vec<Arc<Standing>>,
    /// Who approves what today.
    policies: Arc<Policies>,
    now: Timestamp,
}

impl Viewer {
    /// `groups` are the standings of the identity's groups, in the identity's order.
    pub(super) fn new(
        identity: Arc<Identity>,
        own: Arc<Standing>,
        groups: Vec<Arc<Standing>>,
        policies: Arc<Policies>,
        now: Timestamp,
    ) -> Self {
        Self { identity, own, groups, policies, now }
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// Its standings; those of groups with the group.
    pub(super) fn standings(&self) -> impl Iterator<Item = (Option<&Group>, &Standing)> {
        let groups = self.identity.groups.iter().map(Some).zip(self.groups.iter().map(|standing| &**standing));
        std::iter::once((None, &*self.own)).chain(groups)
    }

    /// A locked principal reads nothing but that it is locked.
    pub(super) fn is_locked(&self) -> bool {
        self.own.lock == Lock::Locked
    }

    pub(super) fn is_administrator(&self) -> bool {
        self.holds(&RoleId::administrator())
    }

    pub(super) fn is_auditor(&self) -> bool {
        self.holds(&RoleId::auditor())
    }

    /// Whether everything may be read.
    pub(super) fn sees_all(&self) -> bool {
        self.is_administrator() || self.is_auditor()
    }

    /// Own case, or one the caller may decide on, by its own terms or today's, or has decided on.
    pub(super) fn sees_activation(&self, case: &Activation) -> bool {
        let approver = || {
            let today = self.policies.role(&case.role).map(|policy| policy.approval.stages.as_slice());
            let stages = case.terms.stages.iter().chain(today.unwrap_or_default());
            let decided = case.decisions.iter().any(|decision| decision.approver == self.identity.principal);
            decided || stages.flat_map(|stage| &stage.approvers).any(|party| self.identity.is(party))
        };
        !self.is_locked() && (case.principal == self.identity.principal || approver() || self.sees_all())
    }

    /// Own assignment, or that of a group the caller carries.
    pub(super) fn sees_assignment(&self, assignment: &Assignment) -> bool {
        !self.is_locked() && (self.identity.is(&assignment.party) || self.sees_all())
    }

    /// Roles the caller holds, or may activate now or later.
    pub(super) fn roles(&self) -> HashSet<&RoleId> {
        let mut roles = HashSet::new();
        for (_, standing) in self.standings() {
            let held = standing.held.iter().filter(|held| {
                !held.window.is_over(self.now) && held.via.as_ref().is_none_or(|group| self.identity.carries(group))
            });
            let eligible = standing.eligible.iter().filter(|eligible| !eligible.window.is_over(self.now));
            roles.extend(held.map(|held| &held.role).chain(eligible.map(|eligible| &eligible.role)));
        }
        roles
    }

    /// One of the caller's [`roles`](Self::roles), or one it approves.
    pub(super) fn sees_role(&self, policy: &RolePolicy, own: &HashSet<&RoleId>) -> bool {
        let approver = || {
            let mut named = policy.approval.stages.iter().flat_map(|stage| &stage.approvers);
            named.any(|party| self.identity.is(party))
        };
        !self.is_locked() && (own.contains(&policy.role) || approver() || self.sees_all())
    }

    /// Journal and uses as a whole, with all that people typed: what a store can be made from.
    pub(super) fn may_back_up(&self) -> bool {
        self.is_administrator()
    }

    /// What is known of this principal beyond its cases: its locks.
    pub(super) fn sees_principal(&self, principal: &Principal) -> bool {
        !self.is_locked() && (*principal == self.identity.principal || self.sees_all())
    }

    /// The parties the caller is: itself and its groups.
    pub(super) fn parties(&self) -> impl Iterator<Item = Party> {
        let groups = self.identity.groups.iter().cloned().map(Party::Group);
        std::iter::once(Party::Principal(self.identity.principal.clone())).chain(groups)
    }

    fn holds(&self, role: &RoleId) -> bool {
        !self.is_locked()
            && self.now < self.identity.ends_at
            && self.standings().any(|(_, standing)| standing.holding(role, &self.identity, self.now).is_some())
    }
}
