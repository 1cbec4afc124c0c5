//! What a route demands.

use crate::domain::policy::AssuranceRule;
use crate::domain::role::RoleId;

/// What one route demands of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Who may pass.
    pub demand: Demand,
    /// How they must have signed in; never asked of `public` and `deny`.
    pub assurance: AssuranceRule,
    /// Whether a denial is carried out or only recorded.
    pub enforcement: Enforcement,
}

/// Who may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Demand {
    /// Everybody, known or not.
    Public,
    /// Whoever proves who they are.
    SignedIn,
    /// Who holds one of these roles now; empty is nobody.
    AnyRole(Vec<RoleId>),
    /// Who holds all of these roles now; empty is nobody.
    AllRoles(Vec<RoleId>),
    /// Nobody, whatever they hold.
    Nobody,
}

/// Whether a denial is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enforcement {
    /// A denied request is refused.
    Enforce,
    /// A denied request passes, and the denial is recorded.
    Shadow,
}

impl Rule {
    /// A rule that carries out its demand and asks for no special sign-in.
    #[must_use]
    pub fn enforce(demand: Demand) -> Self {
        Self { demand, assurance: AssuranceRule::default(), enforcement: Enforcement::Enforce }
    }
}
