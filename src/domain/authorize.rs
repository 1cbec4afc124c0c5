//! The verdict: a rule, an identity and its standings at one instant become a [`Permit`] or a [`Denial`].
//!
//! A `Permit` cannot be made anywhere else, and the proxy forwards nothing without one.

use crate::domain::id::ActivationId;
use crate::domain::identity::Identity;
use crate::domain::policy::{AssuranceGap, AssuranceRule};
use crate::domain::role::RoleId;
use crate::domain::rule::{Demand, Enforcement, Rule};
use crate::domain::standing::{Basis, Held, Lock, Pending, Standing};
use crate::domain::time::Timestamp;

/// Proof that a request may pass. Only [`authorize`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    held: Vec<HeldRole>,
    ends_at: Option<Timestamp>,
    shadowed: Option<Box<Denial>>,
}

/// A role that made a request pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRole {
    /// The role.
    pub role: RoleId,
    /// Why it is held.
    pub basis: Basis,
    /// When it ends; `None` is permanent.
    pub ends_at: Option<Timestamp>,
}

impl Permit {
    /// The roles that made the request pass; none for public and signed-in routes.
    #[must_use]
    pub fn held(&self) -> &[HeldRole] {
        &self.held
    }

    /// When this permit ends: the earliest end of its roles and of the identity's own proof. `None` only where nobody had
    /// to prove anything.
    #[must_use]
    pub const fn ends_at(&self) -> Option<Timestamp> {
        self.ends_at
    }

    /// The activations that made the request pass.
    pub fn activations(&self) -> impl Iterator<Item = (&HeldRole, ActivationId)> {
        self.held.iter().filter_map(|held| match held.basis {
            Basis::Activation(id) => Some((held, id)),
            Basis::Assignment(_) => None,
        })
    }

    /// The denial that a shadow route did not carry out.
    #[must_use]
    pub fn shadowed(&self) -> Option<&Denial> {
        self.shadowed.as_deref()
    }

    /// Whether the application may be told who asks: a shadow route lets pass whoever it is, but speaks for nobody whose
    /// proof does not count.
    #[must_use]
    pub fn vouches(&self) -> bool {
        !matches!(self.shadowed(), Some(Denial::NotSignedIn | Denial::CredentialRevoked))
    }
}

/// Why a request may not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// Nobody proved who they are.
    NotSignedIn,
    /// All credentials of this age were revoked.
    CredentialRevoked,
    /// The sign-in is too weak or too old for this route.
    StepUp {
        /// What is demanded.
        rule: AssuranceRule,
        /// How it falls short.
        gaps: Vec<AssuranceGap>,
    },
    /// Activating these roles would cure it; `Any` of them, or all.
    Requestable(Vec<Curable>),
    /// Nothing this identity can do would cure it. Names nothing.
    Forbidden,
}

/// A role that the identity may activate, and how far it is on that way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Curable {
    /// The role.
    pub role: RoleId,
    /// The request that already waits.
    pub pending: Option<Pending>,
    /// When an activation that is already granted begins.
    pub starts_at: Option<Timestamp>,
}

/// Permit or denial.
pub type Verdict = Result<Permit, Denial>;

/// Decides whether `identity` may pass `rule` at `now`.
///
/// `standings` are the identity's own, first, and then those of the groups it carries. Fewer standings never allow more:
/// a caller may try with the own standing alone and add the groups' only when that denies. The first standing also tells
/// whether the principal is locked.
///
/// # Errors
/// The [`Denial`], which in shadow mode is kept inside the permit instead.
pub fn authorize(rule: &Rule, identity: Option<&Identity>, standings: &[&Standing], now: Timestamp) -> Verdict {
    match (judge(rule, identity, standings, now), rule.enforcement) {
        (Err(denial), Enforcement::Shadow) => Ok(Permit {
            held: Vec::new(),
            ends_at: identity.map(|identity| identity.ends_at),
            shadowed: Some(Box::new(denial)),
        }),
        (verdict, Enforcement::Enforce | Enforcement::Shadow) => verdict,
    }
}

fn judge(rule: &Rule, identity: Option<&Identity>, standings: &[&Standing], now: Timestamp) -> Verdict {
    match &rule.demand {
        Demand::Public => Ok(Permit { held: Vec::new(), ends_at: None, shadowed: None }),
        Demand::Nobody => Err(Denial::Forbidden),
        Demand::SignedIn => {
            let known = proven(rule, identity, standings, now)?;
            Ok(Permit { held: Vec::new(), ends_at: Some(known.ends_at), shadowed: None })
        }
        Demand::AnyRole(roles) => {
            let known = proven(rule, identity, standings, now)?;
            match roles.iter().filter_map(|role| holding(role, known, standings, now)).max_by_key(|held| end_of(held)) {
                Some(held) => Ok(permit(known, [held])),
                None => Err(curable(roles.iter(), known, standings, now)),
            }
        }
        Demand::AllRoles(roles) => {
            let known = proven(rule, identity, standings, now)?;
            let missing: Vec<_> = roles.iter().filter(|role| holding(role, known, standings, now).is_none()).collect();
            if roles.is_empty() {
                return Err(Denial::Forbidden);
            }
            if missing.is_empty() {
                return Ok(permit(known, roles.iter().filter_map(|role| holding(role, known, standings, now))));
            }
            let wanted = missing.len();
            match curable(missing.into_iter(), known, standings, now) {
                Denial::Requestable(roles) if roles.len() == wanted => Err(Denial::Requestable(roles)),
                _ => Err(Denial::Forbidden),
            }
        }
    }
}

/// The identity, when it is proven well enough for the rule and not locked.
fn proven<'i>(
    rule: &Rule,
    identity: Option<&'i Identity>,
    standings: &[&Standing],
    now: Timestamp,
) -> Result<&'i Identity, Denial> {
    let known = identity.filter(|identity| now < identity.ends_at).ok_or(Denial::NotSignedIn)?;
    // no standing is no knowledge of a lock: unknown means no
    let own = standings.first().ok_or(Denial::Forbidden)?;
    if !own.believes(known) {
        return Err(Denial::CredentialRevoked);
    }
    if own.lock == Lock::Locked {
        return Err(Denial::Forbidden);
    }
    let gaps = rule.assurance.gaps(&known.assurance, now);
    if gaps.is_empty() { Ok(known) } else { Err(Denial::StepUp { rule: rule.assurance.clone(), gaps }) }
}

fn holding<'s>(role: &RoleId, identity: &Identity, standings: &[&'s Standing], now: Timestamp) -> Option<&'s Held> {
    standings.iter().filter_map(|standing| standing.holding(role, identity, now)).max_by_key(|held| end_of(held))
}

fn end_of(held: &Held) -> Timestamp {
    held.window.ends_at.unwrap_or(Timestamp::MAX)
}

fn permit<'s>(identity: &Identity, held: impl IntoIterator<Item = &'s Held>) -> Permit {
    let held: Vec<HeldRole> = held
        .into_iter()
        .map(|held| HeldRole { role: held.role.clone(), basis: held.basis, ends_at: held.window.ends_at })
        .collect();
    let ends_at = held.iter().filter_map(|held| held.ends_at).fold(identity.ends_at, Timestamp::min);
    Permit { held, ends_at: Some(ends_at), shadowed: None }
}

/// The denial for missing roles: names those the identity may activate, and nothing when there is none.
fn curable<'r>(
    missing: impl Iterator<Item = &'r RoleId>,
    identity: &Identity,
    standings: &[&Standing],
    now: Timestamp,
) -> Denial {
    let roles: Vec<Curable> = missing
        .filter_map(|role| {
            let pending = standings.iter().find_map(|standing| standing.pending(role, now));
            let starts_at = standings
                .iter()
                .flat_map(|standing| &standing.held)
                .filter(|held| held.role == *role && now < held.window.starts_at)
                .filter(|held| held.via.as_ref().is_none_or(|group| identity.carries(group)))
                .map(|held| held.window.starts_at)
                .min();
            let eligible = standings.iter().any(|standing| standing.eligibility(role, now).is_some());
            (eligible || pending.is_some() || starts_at.is_some()).then(|| Curable {
                role: role.clone(),
                pending: pending.cloned(),
                starts_at,
            })
        })
        .collect();
    if roles.is_empty() { Denial::Forbidden } else { Denial::Requestable(roles) }
}
