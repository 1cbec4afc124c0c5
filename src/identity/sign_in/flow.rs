//! From the link to sign in to the session.

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderMap;
use oauth2::{CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope};

use super::asked::{Asked, came_in_words};
use super::error::{FellShort, SignInError};
use super::exchange::{self, NoTokens, Tokens};
use super::id_token::{self, Expected, IdToken};
use super::pending::{LIFE, NotPending, Pending};
use super::provider::Provider;
use super::query::{Given, Query};
use super::{Begun, Finished, Offer, Shared, SignIns, return_to};
use crate::domain::time::{Span, Timestamp};
use crate::identity::error::AuthnError;
use crate::identity::issuer::UNKNOWN_KEY;
use crate::identity::random;
use crate::identity::secret::Secret;
use crate::identity::session::{Content, NotStarted, Session, State};
use crate::identity::settings::{IssuerSettings, SignInSettings};
use crate::identity::site::{Presented, Site};

impl SignIns {
    /// Begins a sign-in as the query of the link says: `return_to`, `issuer`, `acr_values`, `amr`, `max_age`, `prompt`.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn begin(&self, site: &Site, headers: &HeaderMap, query: &str) -> Result<Begun, SignInError> {
        let query = Query::read(query);
        let now = self.shared.now();
        let session = self.present(site, headers, now)?;
        let asked = Asked::read(&query);
        let return_to = return_to::read(site, query.one("return_to"));
        let issuer = match self.chosen(query.one("issuer"), session.as_deref())? {
            Chosen::One(issuer) => issuer,
            Chosen::Any(names) => {
                let back = return_to.strip_prefix(site.origin()).unwrap_or("/");
                let offer = |name: Arc<str>| Offer {
                    query: format!("{}&issuer={}", asked.query(back), super::asked::encoded(&name)),
                    name: name.to_string(),
                };
                return Ok(Begun::Choose(names.into_iter().map(offer).collect()));
            }
        };
        let sign_in = issuer.sign_in.clone().ok_or(SignInError::UnknownProvider)?;
        let provider = self.provider(&issuer, now).await?;

        let known = site.browser(headers).one().and_then(random::read);
        let browser = match known {
            Some(browser) => browser,
            None => random::bits()?,
        };
        let (state, nonce, verifier) = (random::text()?, random::text()?, random::text()?);
        let location = location(&provider, &sign_in, site, &asked, (&state, &nonce, &verifier))?;
        let pending = Pending {
            site: site.origin().to_owned(),
            issuer: issuer.issuer.to_string(),
            client_id: sign_in.client_id,
            nonce,
            verifier: Secret::new(verifier),
            return_to,
            asked,
            replaces: session.as_deref().map(|session| *session.key()),
        };
        self.shared.pending.begin(&state, &browser, pending, now);
        let mut cookies = vec![site.set_browser(&data_encoding::BASE64URL_NOPAD.encode(&browser), LIFE.as_seconds())];
        if session.is_none() && site.session(headers) != Presented::Nothing {
            cookies.push(site.clear_session());
        }
        Ok(Begun::Onward { location, cookies })
    }

    /// Finishes a sign-in by what the provider sent the browser back with.
    ///
    /// # Errors
    /// [`SignInError`]; nothing has changed for the person then.
    pub async fn finish(&self, site: &Site, headers: &HeaderMap, query: &str) -> Result<Finished, SignInError> {
        let outcome = self.finished(site, headers, query).await;
        let (issuer, result) = match &outcome {
            Ok((issuer, _)) => (issuer.as_str(), "success"),
            Err(error) => ("", error.code()),
        };
        self.shared.authenticator.counters().sign_in(issuer, result);
        if let Err(error) = &outcome {
            tracing::info!(site = site.origin(), reason = error.code(), %error, "a sign-in came to nothing");
        }
        outcome.map(|(_, finished)| finished)
    }

    async fn finished(&self, site: &Site, headers: &HeaderMap, query: &str) -> Result<(String, Finished), SignInError> {
        if !self.is_offered() {
            return Err(SignInError::NotOffered);
        }
        let query = Query::read(query);
        let now = self.shared.now();
        let Given::One(state) = query.given("state") else { return Err(SignInError::Malformed) };
        let browser = site.browser(headers).one().and_then(random::read);
        let pending = self.shared.pending.take(state, browser.as_ref(), site.origin(), now);
        let mut pending = pending.map_err(|not| match not {
            NotPending::Unknown => SignInError::NotPending,
            NotPending::Elsewhere => SignInError::Elsewhere,
        })?;
        // the cookie of the session comes along only where the way back is not strict
        if pending.replaces.is_none() {
            pending.replaces = self.present(site, headers, now)?.map(|session| *session.key());
        }
        let answer = Answer::read(&query)?;
        let (shared, site) = (Arc::clone(&self.shared), site.clone());
        let work = async move { shared.complete(&site, pending, answer).await };
        self.jobs.signing_in.run(work).await.map_err(|_| SignInError::Unavailable)?
    }

    /// The session of the request, whether its provider must be asked again or not.
    pub(super) fn present(
        &self,
        site: &Site,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Option<Arc<Session>>, SignInError> {
        let Some(cookie) = site.session(headers).one().filter(|_| self.is_offered()) else { return Ok(None) };
        let session = self.shared.sessions.find(cookie, site.origin())?;
        Ok(session.filter(|session| session.state(now) != State::Over))
    }

    /// What a provider says of itself. Only where that must be read anew it takes a place.
    pub(super) async fn provider(
        &self,
        issuer: &Arc<IssuerSettings>,
        now: Timestamp,
    ) -> Result<Arc<Provider>, SignInError> {
        if let Some(provider) = self.shared.providers.fresh(issuer, now) {
            return Ok(provider);
        }
        let (shared, issuer) = (Arc::clone(&self.shared), Arc::clone(issuer));
        let read = self.jobs.signing_in.run(async move { shared.providers.of(&issuer, now).await }).await;
        read.map_err(|_| SignInError::Unavailable)?
    }

    fn chosen(&self, name: Option<&str>, session: Option<&Session>) -> Result<Chosen, SignInError> {
        let mut offered: Vec<_> =
            self.shared.authenticator.settings().into_iter().filter(|issuer| issuer.sign_in.is_some()).collect();
        if offered.is_empty() {
            return Err(SignInError::NotOffered);
        }
        if let Some(name) = name {
            let named = offered.into_iter().find(|issuer| *issuer.name == *name);
            return named.map(Chosen::One).ok_or(SignInError::UnknownProvider);
        }
        let of_session = session.map(|session| &session.identity().principal.issuer);
        if let Some(at) = offered.iter().position(|issuer| Some(&issuer.issuer) == of_session) {
            return Ok(Chosen::One(offered.swap_remove(at)));
        }
        match offered.pop() {
            Some(only) if offered.is_empty() => Ok(Chosen::One(only)),
            last => Ok(Chosen::Any(offered.iter().chain(last.iter()).map(|issuer| Arc::clone(&issuer.name)).collect())),
        }
    }
}

enum Chosen {
    One(Arc<IssuerSettings>),
    Any(Vec<Arc<str>>),
}

/// What the provider sent the browser back with.
struct Answer {
    issuer: Option<String>,
    outcome: Result<String, Denied>,
}

/// The provider's no.
struct Denied {
    code: String,
    description: Option<String>,
}

impl Answer {
    fn read(query: &Query) -> Result<Self, SignInError> {
        let issuer = match query.given("iss") {
            Given::Nothing => None,
            Given::One(issuer) => Some(issuer.to_owned()),
            Given::Several => return Err(SignInError::Malformed),
        };
        let outcome = match (query.given("code"), query.given("error")) {
            (Given::One(code), Given::Nothing) if !code.is_empty() && code.len() <= CODE_BYTES_MAX => {
                Ok(code.to_owned())
            }
            (Given::Nothing, Given::One(code)) => Err(Denied {
                code: shown(code).unwrap_or_else(|| "error".to_owned()),
                description: query.one("error_description").and_then(shown),
            }),
            _ => return Err(SignInError::Malformed),
        };
        Ok(Self { issuer, outcome })
    }
}

/// Text of a stranger that is shown: short, and nothing in it that disturbs a line.
fn shown(text: &str) -> Option<String> {
    let harmless = |char: &char| !crate::identity::claims::disturbs(*char) && *char != '`';
    let shown: String = text.chars().filter(harmless).take(SHOWN_CHARS_MAX).collect();
    (!shown.trim().is_empty()).then_some(shown)
}

/// The provider's address with all that is asked of it.
fn location(
    provider: &Provider,
    sign_in: &SignInSettings,
    site: &Site,
    asked: &Asked,
    (state, nonce, verifier): (&str, &str, &str),
) -> Result<String, SignInError> {
    let client = exchange::client(provider, sign_in);
    let redirect = RedirectUrl::new(site.callback()).map_err(|_| SignInError::NotOffered)?;
    let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(verifier.to_owned()));
    let state = CsrfToken::new(state.to_owned());
    let mut request = client
        .authorize_url(move || state)
        .set_pkce_challenge(challenge)
        .set_redirect_uri(Cow::Owned(redirect))
        .add_extra_param("nonce", nonce.to_owned());
    if !sign_in.scopes.iter().any(|scope| scope == "openid") {
        request = request.add_scope(Scope::new("openid".to_owned()));
    }
    request = request.add_scopes(sign_in.scopes.iter().cloned().map(Scope::new));
    let levels = if asked.acr_values.is_empty() && asked.second_factor { &sign_in.mfa_acr } else { &asked.acr_values };
    if !levels.is_empty() {
        request = request.add_extra_param("acr_values", levels.join(" "));
    }
    if let Some(max_age) = asked.max_age {
        request = request.add_extra_param("max_age", max_age.as_seconds().to_string());
    }
    // a provider that is asked for nothing it knows would answer with the sign-in it has
    let unnamed = asked.second_factor && levels.is_empty();
    if asked.anew || unnamed || asked.max_age == Some(Span::ZERO) {
        request = request.add_extra_param("prompt", "login");
    }
    let (url, _) = request.url();
    Ok(url.into())
}

impl Shared {
    /// Redeems the code and begins a session.
    async fn complete(
        self: &Arc<Self>,
        site: &Site,
        pending: Pending,
        answer: Answer,
    ) -> Result<(String, Finished), SignInError> {
        let untrusted = |why| SignInError::Untrusted { why };
        let configured = self.provider(&pending.issuer).filter(|(_, sign_in)| sign_in.client_id == pending.client_id);
        let (issuer, sign_in) = configured.ok_or_else(|| untrusted("the service is not configured any more"))?;
        let provider = self.providers.of(&issuer, self.now()).await?;
        match &answer.issuer {
            Some(named) if *named != pending.issuer => return Err(untrusted("another service answered")),
            None if provider.names_itself => return Err(untrusted("the answer does not say whose it is")),
            Some(_) | None => {}
        }
        let code = answer.outcome.map_err(|denied| SignInError::Refused {
            issuer: issuer.name.to_string(),
            code: denied.code,
            description: denied.description,
        })?;
        let client = exchange::client(&provider, &sign_in);
        let redirect = RedirectUrl::new(site.callback()).map_err(|_| SignInError::NotOffered)?;
        let tokens = exchange::redeem(&client, self.providers.fetcher(), code, &pending.verifier, redirect).await;
        let tokens = tokens.map_err(|no| no_tokens(no, &issuer))?;
        let text = tokens.id_token.clone().ok_or_else(|| untrusted("it holds no ID token"))?;
        let expected = Expected {
            client_id: &sign_in.client_id,
            nonce: Some(&pending.nonce),
            access_token: tokens.access_token.reveal(),
        };
        let proven = self.verified(&pending.issuer, &text, &expected).await.map_err(|error| match error {
            AuthnError::InvalidToken(why) => {
                tracing::warn!(issuer = %issuer.name, reason = why, "an ID token was refused");
                untrusted("the proof of who you are does not hold")
            }
            _ => SignInError::Unreachable { issuer: issuer.name.to_string() },
        })?;
        let now = self.now();
        let slack = Span::seconds(issuer.leeway.as_seconds().saturating_add(RETURN_SLACK.as_seconds()));
        if !pending.asked.is_met(&proven.identity.assurance, now, slack) {
            return Err(fell_short(&pending, &proven, &issuer, site, now));
        }
        let principal = proven.identity.principal.clone();
        let content = content(site, &sign_in, proven, tokens, now);
        let secret = self.blocking(move |shared| shared.sessions.start(&content, now)).await?;
        let secret = secret.map_err(|not| match not {
            NotStarted::File(error) => error.into(),
            NotStarted::NotConfigured => untrusted("the service is not configured any more"),
            NotStarted::Full | NotStarted::Cryptography => {
                tracing::error!(error = %not, "a session cannot be begun");
                SignInError::Unavailable
            }
        })?;
        if let Some(former) = pending.replaces {
            self.blocking(move |shared| shared.sessions.end(&[former])).await??;
        }
        tracing::info!(issuer = %issuer.name, %principal, site = site.origin(), "signed in");
        let cookies = vec![site.set_session(&secret.secret, sign_in.session_max.as_seconds())];
        Ok((issuer.name.to_string(), Finished { return_to: pending.return_to, cookies }))
    }

    /// Verifies an ID token; waits a moment for a key that is newer than those known.
    pub(super) async fn verified(
        &self,
        issuer: &str,
        text: &Secret,
        expected: &Expected<'_>,
    ) -> Result<IdToken, AuthnError> {
        let mut pauses = 0..KEY_PAUSES;
        loop {
            let issuer = self.authenticator.issuer(issuer).ok_or(AuthnError::KeysUnavailable)?;
            let verified = id_token::verify(&issuer, text.reveal(), expected, self.now());
            let waits =
                matches!(&verified, Err(error) if *error == UNKNOWN_KEY || *error == AuthnError::KeysUnavailable);
            if !waits || pauses.next().is_none() {
                return verified;
            }
            tokio::time::sleep(KEY_PAUSE).await;
        }
    }
}

fn no_tokens(no: NoTokens, issuer: &IssuerSettings) -> SignInError {
    let name = issuer.name.to_string();
    match no {
        NoTokens::Refused(code) => {
            let code = shown(&code).unwrap_or_else(|| "error".to_owned());
            SignInError::Refused { issuer: name, code, description: None }
        }
        NoTokens::UnknownClient => {
            tracing::error!(
                issuer = name,
                "the provider does not know the client: look at `client_id` and `client_secret`"
            );
            SignInError::Unusable { issuer: name, why: "it does not accept hallpass as its client" }
        }
        NoTokens::Unreachable => SignInError::Unreachable { issuer: name },
    }
}

fn fell_short(
    pending: &Pending,
    proven: &IdToken,
    issuer: &IssuerSettings,
    site: &Site,
    now: Timestamp,
) -> SignInError {
    let back = pending.return_to.strip_prefix(site.origin()).unwrap_or("/");
    let again = Asked { anew: true, ..pending.asked.clone() };
    SignInError::FellShort(Box::new(FellShort {
        issuer: issuer.name.to_string(),
        asked: pending.asked.in_words(),
        came: came_in_words(&proven.identity.assurance, now),
        again: (!pending.asked.anew).then(|| again.query(back)),
        return_to: pending.return_to.clone(),
    }))
}

fn content(site: &Site, sign_in: &SignInSettings, proven: IdToken, tokens: Tokens, now: Timestamp) -> Content {
    let identity = proven.identity;
    Content {
        site: site.origin().to_owned(),
        proven_until: proven_until(identity.ends_at, tokens.expires_in, now),
        issuer: identity.principal.issuer,
        client_id: sign_in.client_id.clone(),
        subject: identity.principal.subject,
        name: identity.name,
        mail: identity.mail,
        groups: identity.groups.into_iter().map(|group| group.name).collect(),
        assurance: identity.assurance,
        sid: proven.sid,
        signed_in_at: now,
        proven_at: now,
        told_at: now,
        refresh_token: tokens.refresh_token,
        id_token: tokens.id_token,
    }
}

/// The provider's word ends with the first of its tokens, but never so soon that nobody could use it.
pub(super) fn proven_until(id_token: Timestamp, expires_in: Option<Span>, now: Timestamp) -> Timestamp {
    let access = expires_in.map_or(id_token, |life| now.plus(life));
    id_token.min(access).max(now.plus(PROVEN_MIN))
}

const CODE_BYTES_MAX: usize = 4096;
const SHOWN_CHARS_MAX: usize = 300;
/// How long the way back from the provider may take from a sign-in that was just in time.
const RETURN_SLACK: Span = Span::seconds(30);
const PROVEN_MIN: Span = Span::seconds(5);
const KEY_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);
const KEY_PAUSES: u32 = 40;
