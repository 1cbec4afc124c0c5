//! A principal together with what was proven about it on this request.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::principal::{Group, Party, Principal};
use crate::domain::time::Timestamp;

/// Who asks, as proven by a credential that was verified on this request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The one who asks.
    pub principal: Principal,
    /// Name for people to read; never compared.
    pub name: Option<Arc<str>>,
    /// Mail address for people to read; never compared.
    pub mail: Option<Arc<str>>,
    /// Groups of the same issuer, sorted and without repetition.
    pub groups: Vec<Group>,
    /// How and when they signed in.
    pub assurance: Assurance,
    /// When the credential was issued, or the session begun; `None` when the proof does not say.
    pub issued_at: Option<Timestamp>,
    /// When the proof itself ends; nothing granted on it outlives this instant.
    pub ends_at: Timestamp,
}

impl Identity {
    /// Whether `party` names this identity, directly or by a group it carries.
    #[must_use]
    pub fn is(&self, party: &Party) -> bool {
        match party {
            Party::Principal(principal) => *principal == self.principal,
            Party::Group(group) => self.carries(group),
        }
    }

    /// Whether this identity carries `group`.
    #[must_use]
    pub fn carries(&self, group: &Group) -> bool {
        self.groups.binary_search(group).is_ok()
    }
}

/// How strong and how fresh a sign-in was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assurance {
    /// Methods used (RFC 8176 `amr`), as the issuer spells them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// Named level (`acr`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// When the person actually signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<Timestamp>,
}
