//! Issuers as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::forms::{Filled, Hidden, Name, Text, Url};
use crate::config::raw::seconds;
use crate::domain::time::Span;

/// Who vouches for people.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Issuer {
    /// What people call it: `demo` in `demo:ada`.
    pub(crate) name: Text<Name>,
    /// Exactly the token's `iss`.
    pub(crate) issuer: Text<Url>,
    /// A token must be meant for one of these (`aud`).
    pub(crate) audience: Vec<Text<Filled>>,
    /// File with the issuer's keys; one of `jwks_file`, `jwks_url` and `discovery`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) jwks_file: Option<Text<Filled>>,
    /// Address of the issuer's keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) jwks_url: Option<Text<Url>>,
    /// Whether the keys are found by the issuer's own `/.well-known/openid-configuration`.
    #[serde(default)]
    pub(crate) discovery: bool,
    /// Signatures that are accepted; never by what a token says of itself.
    #[serde(default = "algorithms")]
    pub(crate) algorithms: Vec<Algorithm>,
    /// Values of the header `typ` that are accepted; the word `id_token` admits ID tokens besides.
    #[serde(default = "token_types")]
    pub(crate) token_types: Vec<Text<Filled>>,
    /// A token that is valid for longer is refused.
    #[serde(default = "token_lifetime_max")]
    pub(crate) token_lifetime_max: Text<Span>,
    /// How far the issuer's clock may be off.
    #[serde(default = "leeway")]
    pub(crate) leeway: Text<Span>,
    /// Keys that could not be fetched anew for so long are used no more.
    #[serde(default = "keys_max_age")]
    pub(crate) keys_max_age: Text<Span>,
    /// Which claim says what.
    #[serde(default)]
    pub(crate) claims: Claims,
    /// How people sign in with a browser; without it none do, and no cookie is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sign_in: Option<SignIn>,
}

/// How people sign in with a browser: hallpass as a client of the issuer, found by its discovery.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct SignIn {
    /// The name the issuer knows hallpass by.
    pub(crate) client_id: Text<Filled>,
    /// Proves to the issuer that it is hallpass; neither this nor the file for a public client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_secret: Option<Text<Hidden>>,
    /// File with that secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_secret_file: Option<Text<Filled>>,
    /// What is asked for; `openid` always is. Some issuers want `offline_access` for a refresh token.
    #[serde(default = "scopes")]
    pub(crate) scopes: Vec<Text<Filled>>,
    /// Whoever signed in longer ago signs in again, whatever happened since.
    #[serde(default = "session_max")]
    pub(crate) session_max: Text<Span>,
    /// So does whoever did nothing for so long.
    #[serde(default = "session_idle")]
    pub(crate) session_idle: Text<Span>,
    /// How long a sign-in is believed where the issuer gives no refresh token and so cannot be asked again.
    #[serde(default = "session_unrefreshed_max")]
    pub(crate) session_unrefreshed_max: Text<Span>,
    /// What to ask the issuer for (`acr_values`) when a second factor is needed; empty has everything entered anew.
    #[serde(default)]
    pub(crate) mfa_acr: Vec<Text<Filled>>,
}

fn scopes() -> Vec<Text<Filled>> {
    ["openid", "profile", "email"].map(|text| Text(Filled(text.to_owned()))).to_vec()
}

fn session_max() -> Text<Span> {
    seconds(12 * 3600)
}

fn session_idle() -> Text<Span> {
    seconds(3600)
}

fn session_unrefreshed_max() -> Text<Span> {
    seconds(3600)
}

fn algorithms() -> Vec<Algorithm> {
    vec![Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa]
}

fn token_types() -> Vec<Text<Filled>> {
    ["at+jwt", "jwt"].map(|text| Text(Filled(text.to_owned()))).to_vec()
}

fn token_lifetime_max() -> Text<Span> {
    seconds(24 * 3600)
}

fn leeway() -> Text<Span> {
    seconds(30)
}

fn keys_max_age() -> Text<Span> {
    seconds(24 * 3600)
}

/// A signature that is accepted; all of them asymmetric, so that who verifies cannot sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum Algorithm {
    /// ECDSA on P-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384.
    #[serde(rename = "ES384")]
    Es384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// RSA, PKCS#1 v1.5, SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSA, PKCS#1 v1.5, SHA-384.
    #[serde(rename = "RS384")]
    Rs384,
    /// RSA, PKCS#1 v1.5, SHA-512.
    #[serde(rename = "RS512")]
    Rs512,
    /// RSA-PSS, SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// RSA-PSS, SHA-384.
    #[serde(rename = "PS384")]
    Ps384,
    /// RSA-PSS, SHA-512.
    #[serde(rename = "PS512")]
    Ps512,
}

/// Which claim says what; a dot leads into an object, as in `realm_access.roles`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Claims {
    /// Who it is; never reassigned by the issuer.
    pub(crate) subject: Text<Filled>,
    /// Name for people to read.
    pub(crate) name: Text<Filled>,
    /// Mail address for people to read.
    pub(crate) mail: Text<Filled>,
    /// Groups.
    pub(crate) groups: Text<Filled>,
}

impl Default for Claims {
    fn default() -> Self {
        let claim = |name: &str| Text(Filled(name.to_owned()));
        Self { subject: claim("sub"), name: claim("name"), mail: claim("email"), groups: claim("groups") }
    }
}
