//! What the operator says about issuers, and what is wrong with it.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::algorithm::Algorithm;
use super::fetch;
use super::names::IssuerNames;
use super::secret::Secret;
use super::token::normal_type;
use crate::domain::time::Span;

/// All issuers whose tokens are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The issuers; names and issuers are unique.
    pub issuers: Vec<IssuerSettings>,
}

/// One issuer and what is demanded of its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerSettings {
    /// Short name for people, as in `demo:ada`.
    pub name: Arc<str>,
    /// The `iss` of its tokens, compared byte for byte.
    pub issuer: Arc<str>,
    /// One of these must be among the token's `aud`.
    pub audiences: Vec<String>,
    /// Where its keys come from.
    pub keys: KeySource,
    /// Algorithms its keys may sign with.
    pub algorithms: Vec<Algorithm>,
    /// Accepted `typ` header values; a token without one counts as `jwt`. The word [`ID_TOKEN`](Self::ID_TOKEN) admits
    /// ID tokens besides access tokens.
    pub token_types: Vec<String>,
    /// Longest time between `iat` (or now, without one) and `exp`.
    pub token_lifetime_max: Span,
    /// How far the issuer's clock may be ahead, at most [`LEEWAY_MAX`](Self::LEEWAY_MAX). Never applies to `exp`.
    pub leeway: Span,
    /// How long keys serve after they could last be had.
    pub keys_max_age: Span,
    /// Where in the token things are said.
    pub claims: ClaimPaths,
    /// How people sign in with a browser; `None` where they do not.
    pub sign_in: Option<SignInSettings>,
}

/// How people sign in with a browser: hallpass as client of the issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInSettings {
    /// The name the issuer knows hallpass by.
    pub client_id: String,
    /// Proves to the issuer that it is hallpass; a public client has none.
    pub client_secret: Option<Secret>,
    /// What is asked for; `openid` is among them.
    pub scopes: Vec<String>,
    /// Longest time from sign-in to the end of a session.
    pub session_max: Span,
    /// A session that nobody uses for so long is over.
    pub session_idle: Span,
    /// How long a sign-in is believed where the issuer gives no refresh token, so that it cannot be asked again.
    pub session_unrefreshed_max: Span,
    /// What to ask the issuer for (`acr_values`) where a second factor is demanded and no level; empty asks for a sign-in anew.
    pub mfa_acr: Vec<String>,
}

impl SignInSettings {
    /// A public client with the defaults for all that may be left out.
    #[must_use]
    pub fn new(client_id: &str) -> Self {
        Self {
            client_id: client_id.to_owned(),
            client_secret: None,
            scopes: ["openid", "profile", "email"].map(str::to_owned).to_vec(),
            session_max: Span::hours(12),
            session_idle: Span::hours(1),
            session_unrefreshed_max: Span::hours(1),
            mfa_acr: Vec::new(),
        }
    }
}

impl IssuerSettings {
    /// The most that `leeway` may be.
    pub const LEEWAY_MAX: Span = Span::seconds(60);
    /// The word among `token_types` that admits ID tokens.
    pub const ID_TOKEN: &'static str = "id_token";

    /// An issuer with the defaults for all that may be left out.
    #[must_use]
    pub fn new(name: &str, issuer: &str, audiences: Vec<String>, keys: KeySource) -> Self {
        Self {
            name: name.into(),
            issuer: issuer.into(),
            audiences,
            keys,
            algorithms: vec![Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa],
            token_types: vec!["at+jwt".to_owned(), "jwt".to_owned()],
            token_lifetime_max: Span::hours(24),
            leeway: Span::seconds(30),
            keys_max_age: Span::hours(24),
            claims: ClaimPaths::default(),
            sign_in: None,
        }
    }
}

/// Where the keys of an issuer come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A JWK set in a file, read again when its content changes.
    File(PathBuf),
    /// A JWK set behind an `https` URL (`http` for loopback hosts only).
    Url(String),
    /// The JWK set that the issuer's OpenID Connect discovery document names.
    Discovery,
}

impl std::fmt::Display for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => f.write_str(url),
            Self::Discovery => f.write_str("discovery"),
        }
    }
}

/// Where in the token things are said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPaths {
    /// Who it is.
    pub subject: ClaimPath,
    /// Name for people to read.
    pub name: ClaimPath,
    /// Mail address for people to read.
    pub mail: ClaimPath,
    /// Names of groups.
    pub groups: ClaimPath,
}

impl Default for ClaimPaths {
    fn default() -> Self {
        Self { subject: "sub".into(), name: "name".into(), mail: "email".into(), groups: "groups".into() }
    }
}

/// The way to one claim through nested objects: `realm_access.roles`.
///
/// A name with `://` in it is one member, dots and all, because that is how namespaced claims are spelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath {
    members: Vec<Box<str>>,
}

impl ClaimPath {
    /// The members to follow, from the outside in.
    pub(super) fn members(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(AsRef::as_ref)
    }

    fn is_usable(&self) -> bool {
        self.members.iter().all(|member| !member.is_empty())
    }
}

impl From<&str> for ClaimPath {
    fn from(text: &str) -> Self {
        let members = if text.contains("://") { vec![text.into()] } else { text.split('.').map(Into::into).collect() };
        Self { members }
    }
}

/// Everything that keeps these settings from being used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("; "))]
pub struct UnusableSettings {
    /// One sentence each, naming the issuer.
    pub problems: Vec<String>,
}

impl Settings {
    /// The short names of these issuers.
    #[must_use]
    pub fn names(&self) -> IssuerNames {
        IssuerNames::new(self.issuers.iter().map(|issuer| (Arc::clone(&issuer.name), Arc::clone(&issuer.issuer))))
    }

    /// Looks for everything that is wrong, without touching file or network.
    ///
    /// # Errors
    /// [`UnusableSettings`] with all problems at once.
    pub fn check(&self) -> Result<(), UnusableSettings> {
        let (mut names, mut issuers, mut problems) = (HashSet::new(), HashSet::new(), Vec::new());
        for issuer in &self.issuers {
            let mut problem = |text: &str| problems.push(format!("issuer `{}`: {text}", issuer.name));
            if issuer.name.is_empty() || issuer.name.contains([':', '<', '>']) || issuer.name.contains(char::is_control)
            {
                problem("the name is empty or holds `:`, `<`, `>` or a control character");
            }
            if !names.insert(&issuer.name) {
                problem("the name is used twice");
            }
            if issuer.issuer.is_empty() || issuer.issuer.contains([' ', '\t', '\r', '\n']) {
                problem("`issuer` is empty or holds white space");
            }
            if !issuers.insert(&issuer.issuer) {
                problem("`issuer` is used twice");
            }
            issuer.check(&mut problem);
        }
        if problems.is_empty() { Ok(()) } else { Err(UnusableSettings { problems }) }
    }
}

impl IssuerSettings {
    fn check(&self, problem: &mut impl FnMut(&str)) {
        if self.audiences.is_empty() || self.audiences.iter().any(String::is_empty) {
            problem("`audience` is missing or empty");
        }
        if self.algorithms.is_empty() {
            problem("`algorithms` is empty");
        }
        if self.token_types.iter().all(|typ| typ == Self::ID_TOKEN) {
            problem("`token_types` names no value of the `typ` header");
        }
        if self.token_types.iter().any(|typ| NEVER_ACCESS.contains(&normal_type(typ).as_str())) {
            problem("`token_types` names tokens that never grant access");
        }
        if self.leeway > Self::LEEWAY_MAX {
            problem("`leeway` is more than 60s");
        }
        if self.token_lifetime_max == Span::ZERO || self.keys_max_age == Span::ZERO {
            problem("`token_lifetime_max` and `keys_max_age` must not be 0");
        }
        if self.sign_in.is_some() && fetch::permitted(&self.issuer).is_none() {
            problem("people sign in over https only, or over http at a loopback host");
        }
        let claims = &self.claims;
        if ![&claims.subject, &claims.name, &claims.mail, &claims.groups].into_iter().all(ClaimPath::is_usable) {
            problem("a claim path has an empty member");
        }
        let url = match &self.keys {
            KeySource::File(_) => return,
            KeySource::Url(url) => fetch::permitted(url),
            KeySource::Discovery => fetch::permitted(&self.issuer),
        };
        if url.is_none() {
            problem("keys are fetched over https only, or over http from a loopback host");
        }
    }
}

/// Kinds of token that say something else than "let me in".
const NEVER_ACCESS: [&str; 6] =
    ["logout+jwt", "dpop+jwt", "secevent+jwt", "kb+jwt", "oauth-authz-req+jwt", ASSERTION_TYPE];
/// The header `typ` of what the gate signs for applications: never a credential, neither here nor elsewhere.
pub const ASSERTION_TYPE: &str = "hallpass-assertion+jwt";
