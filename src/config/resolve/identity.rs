//! Issuers, and the principals and groups they vouch for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::config::forms::{Filled, Form, Origin, Text};
use crate::config::raw;
use crate::config::resolve::context::{Context, element};
use crate::config::resolve::secret::secret;
use crate::config::schema::nearest;
use crate::config::tree::Path;
use crate::domain::principal::{Group, Principal};
use crate::domain::time::Span;
use crate::identity::names::IssuerNames;
use crate::identity::{Algorithm, ClaimPath, ClaimPaths, IssuerSettings, KeySource, Settings, SignInSettings};

/// The issuers as resolved.
pub(crate) fn issuers(raw: &[raw::Issuer], context: &mut Context<'_>) -> Settings {
    let (mut names, mut urls) = (BTreeSet::new(), BTreeSet::new());
    let mut issuers = Vec::new();
    for (index, issuer) in raw.iter().enumerate() {
        let path = element("issuer", index);
        if !names.insert(&issuer.name.0.0) {
            context.error(&path.key("name"), format!("there are two issuers named `{}`", issuer.name.0.0));
        }
        if !urls.insert(&issuer.issuer.0.0) {
            context.error(&path.key("issuer"), format!("there are two issuers `{}`", issuer.issuer.0.0));
        }
        if issuer.audience.is_empty() {
            context.error(&path.key("audience"), "without an audience every token of this issuer would be accepted");
        }
        if issuer.algorithms.is_empty() {
            context.error(&path.key("algorithms"), "without an algorithm no token can be accepted");
        }
        if issuer.token_types.is_empty() {
            context.error(&path.key("token_types"), "without a token type no token can be accepted");
        }
        within(context, &path.key("leeway"), &issuer.leeway, Span::ZERO, IssuerSettings::LEEWAY_MAX);
        within(context, &path.key("token_lifetime_max"), &issuer.token_lifetime_max, Span::seconds(1), Span::days(365));
        within(context, &path.key("keys_max_age"), &issuer.keys_max_age, Span::minutes(1), Span::days(30));
        let claims = path.key("claims");
        let claim = |key: &str, text: &Text<Filled>, context: &mut Context<'_>| claim(text, &claims.key(key), context);
        let Some(keys) = keys(issuer, &path, context) else { continue };
        issuers.push(IssuerSettings {
            name: issuer.name.0.0.as_str().into(),
            issuer: issuer.issuer.0.0.as_str().into(),
            audiences: issuer.audience.iter().map(|audience| audience.0.0.clone()).collect(),
            keys,
            algorithms: issuer.algorithms.iter().copied().map(algorithm).collect(),
            token_types: issuer.token_types.iter().map(|kind| kind.0.0.clone()).collect(),
            token_lifetime_max: issuer.token_lifetime_max.0,
            leeway: issuer.leeway.0,
            keys_max_age: issuer.keys_max_age.0,
            claims: ClaimPaths {
                subject: claim("subject", &issuer.claims.subject, context),
                name: claim("name", &issuer.claims.name, context),
                mail: claim("mail", &issuer.claims.mail, context),
                groups: claim("groups", &issuer.claims.groups, context),
            },
            sign_in: sign_in(issuer, &path, context),
        });
    }
    Settings { issuers }
}

/// How people sign in with a browser.
fn sign_in(issuer: &raw::Issuer, path: &Path, context: &mut Context<'_>) -> Option<SignInSettings> {
    let raw = issuer.sign_in.as_ref()?;
    over_tls(&issuer.issuer.0.0, &path.key("issuer"), context);
    let path = path.key("sign_in");
    let key = (&path, "client_secret");
    let client_secret = secret(key, raw.client_secret.as_ref(), raw.client_secret_file.as_ref(), context);
    for (key, span) in [
        ("session_max", &raw.session_max),
        ("session_idle", &raw.session_idle),
        ("session_unrefreshed_max", &raw.session_unrefreshed_max),
    ] {
        within(context, &path.key(key), span, Span::minutes(1), Span::days(30));
    }
    let client_id = raw.client_id.0.0.clone();
    if issuer.audience.iter().any(|audience| audience.0.0 == client_id) {
        let message = format!(
            "`{client_id}` is also an `audience`: ID tokens, which browsers come to see when people sign out, are told from \
             access tokens by what they carry only"
        );
        context.warning(&path.key("client_id"), message);
    }
    let texts = |texts: &[Text<Filled>]| texts.iter().map(|text| text.0.0.clone()).collect();
    Some(SignInSettings {
        client_id,
        client_secret,
        scopes: texts(&raw.scopes),
        session_max: raw.session_max.0,
        session_idle: raw.session_idle.0,
        session_unrefreshed_max: raw.session_unrefreshed_max.0,
        mfa_acr: texts(&raw.mfa_acr),
    })
}

/// Where people sign in, sessions travel: over https, or not over a wire.
pub(crate) fn sites(raw: &raw::Configuration, context: &mut Context<'_>) {
    if raw.issuer.iter().all(|issuer| issuer.sign_in.is_none()) {
        return;
    }
    let gates = raw.listener.iter().enumerate().map(|(index, gate)| (element("listener", index), &gate.public_url.0));
    for (path, url) in std::iter::once((Path::default().key("portal"), &raw.portal.public_url.0)).chain(gates) {
        if url.scheme == "http" && !url.is_loopback() {
            let message =
                format!("people sign in, so `{url}` must be `https`: anybody on the way could take their sessions");
            context.error(&path.key("public_url"), message);
        }
    }
}

/// The way to a claim; every part of it has a name.
fn claim(text: &Text<Filled>, path: &Path, context: &mut Context<'_>) -> ClaimPath {
    if !text.0.0.contains("://") && text.0.0.split('.').any(str::is_empty) {
        context.error(
            path,
            format!("`{}` is not the way to a claim like `realm_access.roles`: a part is empty", text.0.0),
        );
    }
    ClaimPath::from(text.0.0.as_str())
}

/// Short names of all issuers that were written, also of those with other faults, so that these cause no further ones.
pub(crate) fn names(raw: &[raw::Issuer]) -> IssuerNames {
    IssuerNames::new(
        raw.iter().map(|issuer| (Arc::from(issuer.name.0.0.as_str()), Arc::from(issuer.issuer.0.0.as_str()))),
    )
}

fn keys(issuer: &raw::Issuer, path: &Path, context: &mut Context<'_>) -> Option<KeySource> {
    match (&issuer.jwks_file, &issuer.jwks_url, issuer.discovery) {
        (Some(file), None, false) => Some(KeySource::File(context.file(&file.0.0, &path.key("jwks_file")))),
        (None, Some(url), false) => {
            over_tls(&url.0.0, &path.key("jwks_url"), context);
            Some(KeySource::Url(url.0.0.clone()))
        }
        (None, None, true) => {
            over_tls(&issuer.issuer.0.0, &path.key("issuer"), context);
            Some(KeySource::Discovery)
        }
        (None, None, false) => {
            context
                .error(path, "the keys of this issuer are nowhere: name `jwks_file`, `jwks_url` or `discovery = true`");
            None
        }
        _ => {
            context.error(path, "name only one of `jwks_file`, `jwks_url` and `discovery`");
            None
        }
    }
}

/// Whoever stands between could hand out keys of their own.
fn over_tls(url: &str, path: &Path, context: &mut Context<'_>) {
    let Some(rest) = url.strip_prefix("http://") else { return };
    let host = rest.split('/').next().unwrap_or_default();
    if !Origin::read(&format!("http://{host}")).is_ok_and(|origin| origin.is_loopback()) {
        context.error(path, format!("keys are not fetched over plain http from another machine: `{url}`"));
    }
}

/// The principal that `short` means, told when there is none.
pub(crate) fn principal(short: &str, names: &Names<'_>, path: &Path, context: &mut Context<'_>) -> Option<Principal> {
    let found = names.names.principal(short);
    if found.is_none() {
        names.stranger(short, "a principal", "demo:ada", path, context);
    }
    found
}

/// The group that `short` means, told when there is none.
pub(crate) fn group(short: &str, names: &Names<'_>, path: &Path, context: &mut Context<'_>) -> Option<Group> {
    let found = names.names.group(short);
    if found.is_none() {
        names.stranger(short, "a group", "demo:engineers", path, context);
    }
    found
}

/// Names of issuers, with the words to suggest from.
pub(crate) struct Names<'n> {
    pub(crate) names: &'n IssuerNames,
    pub(crate) issuers: &'n [raw::Issuer],
}

impl Names<'_> {
    fn stranger(&self, short: &str, what: &str, example: &str, path: &Path, context: &mut Context<'_>) {
        let Some((issuer, rest)) = short.split_once(':') else {
            return context
                .error(path, format!("`{short}` is not {what} like `{example}`: the issuer's name comes first"));
        };
        if rest.is_empty() {
            return context.error(path, format!("`{short}` is not {what} like `{example}`: nothing follows the colon"));
        }
        let known = self.issuers.iter().map(|issuer| issuer.name.0.0.as_str());
        let help = nearest(issuer, known).map(|meant| format!("did you mean `{meant}:{rest}`?"));
        context.error_with(path, format!("there is no issuer named `{issuer}`"), help);
    }
}

/// Tells when a span lies outside its bounds.
pub(crate) fn within(context: &mut Context<'_>, path: &Path, span: &Text<Span>, min: Span, max: Span) {
    if span.0 < min || max < span.0 {
        context.error(path, format!("`{}` is not between {min} and {max}", span.0));
    }
}

pub(crate) const fn duration(span: &Text<Span>) -> Duration {
    Duration::from_secs(span.0.as_seconds())
}

const fn algorithm(algorithm: raw::Algorithm) -> Algorithm {
    match algorithm {
        raw::Algorithm::Es256 => Algorithm::Es256,
        raw::Algorithm::Es384 => Algorithm::Es384,
        raw::Algorithm::EdDsa => Algorithm::EdDsa,
        raw::Algorithm::Rs256 => Algorithm::Rs256,
        raw::Algorithm::Rs384 => Algorithm::Rs384,
        raw::Algorithm::Rs512 => Algorithm::Rs512,
        raw::Algorithm::Ps256 => Algorithm::Ps256,
        raw::Algorithm::Ps384 => Algorithm::Ps384,
        raw::Algorithm::Ps512 => Algorithm::Ps512,
    }
}
