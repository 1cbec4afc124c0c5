//! Who lives in the demo, and what their tokens claim.

use serde_json::{Map, Value, json};

use crate::domain::time::{Span, Timestamp};

/// Somebody the issuer knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Person {
    /// The `sub` of their tokens, and the name to ask for.
    pub subject: &'static str,
    /// Name for people to read.
    pub name: &'static str,
    /// Mail address.
    pub mail: &'static str,
    /// Groups their tokens carry.
    pub groups: &'static [&'static str],
    /// What they do in the demo.
    pub about: &'static str,
}

/// May activate roles, and waits for approval like everybody else.
pub const ADA: Person = Person {
    subject: "ada",
    name: "Ada Okafor",
    mail: "ada@larder.example",
    groups: &["engineers"],
    about: "engineer; eligible for the roles of the shop",
};

/// Approves what engineers ask for.
pub const GRACE: Person = Person {
    subject: "grace",
    name: "Grace Lindqvist",
    mail: "grace@larder.example",
    groups: &["on-call-leads"],
    about: "on-call lead; approves requests for the vault",
};

/// Reads everything, changes nothing.
pub const VERA: Person = Person {
    subject: "vera",
    name: "Vera Castellanos",
    mail: "vera@larder.example",
    groups: &["audit"],
    about: "auditor; reads the whole journal, changes nothing",
};

/// Assigns, revokes and locks.
pub const ROOT: Person = Person {
    subject: "root",
    name: "Ruth Abara",
    mail: "root@larder.example",
    groups: &["administrators"],
    about: "administrator; assigns, revokes and locks",
};

/// Everybody.
pub const PEOPLE: [Person; 4] = [ADA, GRACE, VERA, ROOT];

impl Person {
    /// The person with this subject.
    #[must_use]
    pub fn named(subject: &str) -> Option<Self> {
        PEOPLE.into_iter().find(|person| person.subject == subject)
    }
}

/// How a token departs from a person's ordinary one.
#[derive(Debug, Clone)]
pub struct TokenOptions {
    /// Whether a second factor was used.
    pub second_factor: bool,
    /// How long the token is valid.
    pub lifetime: Span,
    /// How long ago the person actually signed in.
    pub signed_in_ago: Span,
    /// Groups instead of the person's own.
    pub groups: Option<Vec<String>>,
    /// Claims set over all others; null removes one.
    pub claims: Map<String, Value>,
    /// Header members set over all others; null removes one.
    pub header: Map<String, Value>,
}

impl Default for TokenOptions {
    fn default() -> Self {
        Self {
            second_factor: true,
            lifetime: Span::hours(1),
            signed_in_ago: Span::ZERO,
            groups: None,
            claims: Map::new(),
            header: Map::new(),
        }
    }
}

/// The claims of an access token (RFC 9068) for this person.
pub(super) fn claims(issuer: &str, id: &str, person: &Person, options: &TokenOptions, now: Timestamp) -> Value {
    let (amr, acr) = match options.second_factor {
        true => (json!(["pwd", "otp", "mfa"]), TWO_FACTORS),
        false => (json!(["pwd"]), PASSWORD),
    };
    let groups = options.groups.as_ref().map_or_else(|| json!(person.groups), |groups| json!(groups));
    let claims = json!({
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": person.subject,
        "client_id": "demo",
        "jti": id,
        "iat": now.as_seconds(),
        "exp": now.plus(options.lifetime).as_seconds(),
        "auth_time": now.minus(options.signed_in_ago).as_seconds(),
        "amr": amr,
        "acr": acr,
        "name": person.name,
        "email": person.mail,
        "email_verified": true,
        "groups": groups,
    });
    overlaid(claims, &options.claims)
}

/// The header of an access token signed by the key `kid`.
pub(super) fn header(kid: &str, options: &TokenOptions) -> Value {
    overlaid(json!({ "alg": "ES256", "typ": "at+jwt", "kid": kid }), &options.header)
}

fn overlaid(mut base: Value, over: &Map<String, Value>) -> Value {
    if let Some(members) = base.as_object_mut() {
        for (name, value) in over {
            match value {
                Value::Null => members.remove(name),
                value => members.insert(name.clone(), value.clone()),
            };
        }
    }
    base
}

/// The `acr` of a sign-in with a second factor.
pub const TWO_FACTORS: &str = "urn:hallpass:demo:two-factors";

/// The `acr` of a sign-in without.
pub const PASSWORD: &str = "urn:hallpass:demo:password";

/// The `aud` of every access token.
pub const AUDIENCE: &str = "hallpass";
