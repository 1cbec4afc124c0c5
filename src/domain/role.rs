//! The name of a privilege, `app/role`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A role's name: application and role, each 1 to 64 letters, digits, `-`, `_` or `.`, joined by one slash.
///
/// ```
/// use hallpass::domain::role::RoleId;
/// let role: RoleId = "shop/vault-reader".parse().unwrap();
/// assert_eq!(role.app(), "shop");
/// assert!("vault".parse::<RoleId>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoleId(Arc<str>);

/// The text is not a role's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a role is written `app/role`, each part 1 to 64 of letters, digits, `-`, `_`, `.`")]
pub struct MalformedRole;

impl RoleId {
    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The application's part.
    #[must_use]
    pub fn app(&self) -> &str {
        self.0.split_once('/').map_or("", |(app, _)| app)
    }

    /// May assign, revoke, lock; see [`crate::domain::decide`].
    #[must_use]
    pub fn administrator() -> Self {
        Self("hallpass/administrator".into())
    }

    /// May read everything and change nothing.
    #[must_use]
    pub fn auditor() -> Self {
        Self("hallpass/auditor".into())
    }
}

fn is_part(part: &str) -> bool {
    (1..=64).contains(&part.len())
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

impl FromStr for RoleId {
    type Err = MalformedRole;

    fn from_str(text: &str) -> Result<Self, MalformedRole> {
        match text.split_once('/') {
            Some((app, role)) if is_part(app) && is_part(role) => Ok(Self(text.into())),
            _ => Err(MalformedRole),
        }
    }
}

impl fmt::Display for RoleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for RoleId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RoleId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
