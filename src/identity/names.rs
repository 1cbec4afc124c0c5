//! The short form of principals and groups, `issuer:subject`, where `issuer` is the name configuration gives to an issuer.
//!
//! People read and type it in configuration, API, pages and command line; the journal holds the whole issuer.

use std::sync::Arc;

use crate::domain::principal::{Group, Party, Principal};

/// Names of issuers, both ways.
#[derive(Debug, Clone, Default)]
pub struct IssuerNames {
    /// Name and issuer.
    pairs: Vec<(Arc<str>, Arc<str>)>,
}

impl IssuerNames {
    /// Names of these issuers: `(name, issuer)`.
    #[must_use]
    pub fn new(pairs: impl IntoIterator<Item = (Arc<str>, Arc<str>)>) -> Self {
        Self { pairs: pairs.into_iter().collect() }
    }

    /// The principal that `name:subject` means; `None` when no issuer has that name or the subject is empty.
    #[must_use]
    pub fn principal(&self, short: &str) -> Option<Principal> {
        let (issuer, subject) = self.split(short)?;
        Some(Principal { issuer: Arc::clone(issuer), subject: subject.into() })
    }

    /// The group that `name:group` means.
    #[must_use]
    pub fn group(&self, short: &str) -> Option<Group> {
        let (issuer, name) = self.split(short)?;
        Some(Group { issuer: Arc::clone(issuer), name: name.into() })
    }

    /// Whether configuration names this issuer.
    #[must_use]
    pub fn knows(&self, issuer: &str) -> bool {
        self.pairs.iter().any(|(_, known)| **known == *issuer)
    }

    /// The short form of a principal; with the whole issuer when configuration no longer names it.
    #[must_use]
    pub fn of_principal(&self, principal: &Principal) -> String {
        self.short(&principal.issuer, &principal.subject)
    }

    /// The short form of a group.
    #[must_use]
    pub fn of_group(&self, group: &Group) -> String {
        self.short(&group.issuer, &group.name)
    }

    /// The short form of whichever it is.
    #[must_use]
    pub fn of_party(&self, party: &Party) -> String {
        match party {
            Party::Principal(principal) => self.of_principal(principal),
            Party::Group(group) => self.of_group(group),
        }
    }

    fn split<'t>(&self, short: &'t str) -> Option<(&Arc<str>, &'t str)> {
        let (name, rest) = short.split_once(':').filter(|(_, rest)| !rest.is_empty())?;
        let (_, issuer) = self.pairs.iter().find(|(known, _)| **known == *name)?;
        Some((issuer, rest))
    }

    fn short(&self, issuer: &str, rest: &str) -> String {
        match self.pairs.iter().find(|(_, known)| **known == *issuer) {
            Some((name, _)) => format!("{name}:{rest}"),
            None => format!("<{issuer}>:{rest}"),
        }
    }
}
