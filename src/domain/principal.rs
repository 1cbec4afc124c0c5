//! Who can be named: principals, groups, and the party that is one or the other.
//!
//! Every name is scoped by its issuer and compared byte for byte: two issuers that both say `ada` speak of two people.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A person or workload: an issuer and the subject it vouches for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Principal {
    /// The issuer exactly as in the token's `iss`.
    pub issuer: Arc<str>,
    /// The subject exactly as in the token's `sub`.
    pub subject: Arc<str>,
}

impl Principal {
    /// A principal of this issuer.
    #[must_use]
    pub fn new(issuer: &str, subject: &str) -> Self {
        Self { issuer: issuer.into(), subject: subject.into() }
    }
}

/// Unambiguous: an issuer is a URL and holds no space. For logs; people see the short form of `conventions`.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.issuer, self.subject)
    }
}

/// A group an issuer says somebody belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Group {
    /// The issuer exactly as in the token's `iss`.
    pub issuer: Arc<str>,
    /// The group's name exactly as in the token.
    pub name: Arc<str>,
}

impl Group {
    /// A group of this issuer.
    #[must_use]
    pub fn new(issuer: &str, name: &str) -> Self {
        Self { issuer: issuer.into(), name: name.into() }
    }
}

/// A principal or a group, wherever either may be named: assignments, approvers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// One person or workload.
    Principal(Principal),
    /// Whoever presents this group at the moment of use.
    Group(Group),
}

impl Party {
    /// The group, when it is one.
    #[must_use]
    pub const fn group(&self) -> Option<&Group> {
        match self {
            Self::Principal(_) => None,
            Self::Group(group) => Some(group),
        }
    }
}

impl From<Principal> for Party {
    fn from(principal: Principal) -> Self {
        Self::Principal(principal)
    }
}

impl From<Group> for Party {
    fn from(group: Group) -> Self {
        Self::Group(group)
    }
}
