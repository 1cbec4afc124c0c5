//! What the provider remembers: who is signed in here in which browser, what it handed to clients, and who the clients are.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::demo::issuer::client::Client;
use crate::demo::issuer::handed::Handed;
use crate::demo::issuer::keys::{Unusable, random_id};
use crate::demo::issuer::people::{PASSWORD, Person, TWO_FACTORS};
use crate::domain::time::{Span, Timestamp};

/// Somebody signed in at the provider, in one browser.
#[derive(Debug, Clone)]
pub(super) struct SignIn {
    /// Its `sid`, which outlives a renewed sign-in of the same person.
    pub(super) id: String,
    pub(super) person: Person,
    pub(super) second_factor: bool,
    /// When they last proved who they are: `auth_time`.
    pub(super) at: Timestamp,
    /// Who got tokens of it, and is told when it ends.
    clients: BTreeSet<String>,
}

impl SignIn {
    pub(super) const fn acr(&self) -> &'static str {
        if self.second_factor { TWO_FACTORS } else { PASSWORD }
    }
}

/// What a code or a refresh token stands for.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    /// The same for a code and everything that came of it.
    pub(super) family: String,
    pub(super) client_id: String,
    pub(super) scope: String,
    /// The person and how they signed in, as it was when the code was made.
    pub(super) sign_in: SignIn,
}

/// A code, and what its redemption must match.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) grant: Grant,
    pub(super) redirect_uri: String,
    /// The PKCE challenge (RFC 7636, S256).
    pub(super) challenge: String,
    pub(super) nonce: String,
    /// Redeemed already; kept so that a second try is noticed.
    pub(super) used: bool,
}

/// A refresh token.
#[derive(Debug)]
pub(super) struct Refresh {
    pub(super) grant: Grant,
    /// Rotated away; kept so that a second try is noticed.
    pub(super) used: bool,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) clients: Vec<Client>,
    /// By the provider's own cookie.
    pub(super) sign_ins: Handed<SignIn>,
    pub(super) codes: Handed<Code>,
    pub(super) refreshes: Handed<Refresh>,
    /// Claims that differ from what people carry, by subject.
    pub(super) changed: Vec<(String, Map<String, Value>)>,
}

/// A sign-in that ended: who is to be told.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) sign_in: SignIn,
    pub(super) clients: Vec<Client>,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self {
            clients: Vec::new(),
            sign_ins: Handed::lasting(Span::hours(8)),
            codes: Handed::lasting(Span::minutes(1)),
            refreshes: Handed::lasting(Span::hours(8)),
            changed: Vec::new(),
        }
    }

    pub(super) fn client(&self, id: &str) -> Option<&Client> {
        self.clients.iter().find(|client| client.id == id)
    }

    /// The claims that differ from what this person carries.
    pub(super) fn changes_of(&self, person: &Person) -> Map<String, Value> {
        let changed = self.changed.iter().find(|(subject, _)| subject == person.subject);
        changed.map(|(_, claims)| claims.clone()).unwrap_or_default()
    }

    /// Somebody proved who they are: the cookie of this browser from now on. The former cookie is worth nothing any more; the
    /// same person's sign-in goes on under its `sid`; another person's ends, and like most providers this one tells no client.
    pub(super) fn sign_in(
        &mut self,
        former: Option<&str>,
        person: Person,
        second_factor: bool,
        now: Timestamp,
    ) -> Result<(String, SignIn), Unusable> {
        let (id, clients) = match former.and_then(|cookie| self.sign_ins.back(cookie)) {
            Some(former) if former.person.subject == person.subject => (former.id, former.clients),
            Some(former) => {
                self.forget(former);
                (random_id()?, BTreeSet::new())
            }
            None => (random_id()?, BTreeSet::new()),
        };
        let sign_in = SignIn { id, person, second_factor, at: now, clients };
        let cookie = self.sign_ins.out(sign_in.clone(), now)?;
        Ok((cookie, sign_in))
    }

    /// A client got tokens of this sign-in.
    pub(super) fn used_by(&mut self, sign_in: &SignIn, client_id: &str) {
        for kept in self.sign_ins.values_mut().filter(|kept| kept.id == sign_in.id) {
            kept.clients.insert(client_id.to_owned());
        }
    }

    /// Whether this sign-in still stands.
    pub(super) fn stands(&mut self, sign_in: &SignIn) -> bool {
        self.sign_ins.values_mut().any(|kept| kept.id == sign_in.id)
    }

    /// Ends every sign-in that `which` says.
    pub(super) fn end(&mut self, which: impl Fn(&SignIn) -> bool) -> Vec<Ended> {
        let ended: Vec<SignIn> =
            self.sign_ins.values_mut().filter(|kept| which(kept)).map(|kept| kept.clone()).collect();
        self.sign_ins.retain(|kept| !which(kept));
        ended.into_iter().map(|sign_in| self.forget(sign_in)).collect()
    }

    /// A code or token that was used twice is in the wrong hands: nothing that came of it is good any more.
    pub(super) fn revoke(&mut self, family: &str) {
        self.codes.retain(|code| code.grant.family != family);
        self.refreshes.retain(|refresh| refresh.grant.family != family);
    }

    fn forget(&mut self, sign_in: SignIn) -> Ended {
        self.codes.retain(|code| code.grant.sign_in.id != sign_in.id);
        self.refreshes.retain(|refresh| refresh.grant.sign_in.id != sign_in.id);
        let clients = sign_in.clients.iter().filter_map(|id| self.client(id).cloned()).collect();
        Ended { sign_in, clients }
    }
}
