//! Asking the provider again whether a session still holds.

use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use super::exchange::{self, NoTokens};
use super::flow::proven_until;
use super::id_token::Expected;
use super::{Shared, SignIns};
use crate::domain::identity::{Assurance, Identity};
use crate::domain::time::Timestamp;
use crate::identity::error::AuthnError;
use crate::identity::issuer::UNKNOWN_KEY;
use crate::identity::session::{Content, Session};

/// The provider could not be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AskedInVain;

impl SignIns {
    /// Asks once, however many want to know; they wait for their turn before they take anybody's place. Afterwards the session
    /// has moved: it says what the provider said anew, or it has ended by the provider's word.
    pub(super) async fn refresh(&self, session: &Arc<Session>) -> Result<(), AskedInVain> {
        let turn = Arc::clone(&session.turn).lock_owned().await;
        if session.has_moved() {
            return Ok(());
        }
        if !session.may_ask(self.shared.now()) {
            return Err(AskedInVain);
        }
        self.jobs
            .refreshing
            .run(refresh(Arc::clone(&self.shared), Arc::clone(session), turn))
            .await
            .unwrap_or(Err(AskedInVain))
    }

    /// Asks beside everything else, unless somebody does. Where there is no room somebody tries again in a moment.
    pub(super) fn begin_refresh(&self, session: &Arc<Session>) {
        let Ok(turn) = Arc::clone(&session.turn).try_lock_owned() else { return };
        if !session.has_moved() && session.may_ask(self.shared.now()) {
            let refresh = refresh(Arc::clone(&self.shared), Arc::clone(session), turn);
            self.jobs.refreshing.start(async {
                // whoever needs it next finds what came of it
                let _ = refresh.await;
            });
        }
    }
}

/// The turn goes along: whoever waits for it waits until the provider has answered, also when nobody else does any more.
async fn refresh(shared: Arc<Shared>, session: Arc<Session>, _turn: OwnedMutexGuard<()>) -> Result<(), AskedInVain> {
    let outcome = shared.ask(&session).await;
    if outcome.is_err() {
        session.asked_in_vain(shared.now());
    }
    outcome
}

impl Shared {
    async fn ask(self: &Arc<Self>, session: &Arc<Session>) -> Result<(), AskedInVain> {
        let content = self.sessions.content(session).map_err(|_| AskedInVain)?;
        let told = content.and_then(|content| Some((content.refresh_token.clone()?, content)));
        let Some((token, content)) = told else { return self.over(session, "it has nothing to ask with").await };
        let Some((issuer, sign_in)) =
            self.provider(&content.issuer).filter(|(_, now)| now.client_id == content.client_id)
        else {
            return self.over(session, "its provider is not configured any more").await;
        };
        let provider = self.providers.of(&issuer, self.now()).await.map_err(|_| AskedInVain)?;
        let client = exchange::client(&provider, &sign_in);
        let tokens = match exchange::refresh(&client, self.providers.fetcher(), &token).await {
            Ok(tokens) => tokens,
            Err(NoTokens::Refused(code)) => {
                tracing::info!(issuer = %issuer.name, code, "a provider ended a session");
                return self.over(session, "its provider refused to refresh it").await;
            }
            Err(NoTokens::UnknownClient) => {
                tracing::error!(issuer = %issuer.name, "the provider does not know the client: look at `client_secret`");
                return Err(AskedInVain);
            }
            Err(NoTokens::Unreachable) => return Err(AskedInVain),
        };
        let mut renewed = Content { refresh_token: tokens.refresh_token.or(Some(token)), ..content };
        let now = self.now();
        match &tokens.id_token {
            None => {
                let life = tokens.expires_in;
                // that a token still works does not say in which groups the person is
                let told_until = renewed.told_at.plus(sign_in.session_unrefreshed_max);
                if told_until <= now {
                    return self.over(session, "its provider has not said for long who it is").await;
                }
                renewed.proven_until =
                    proven_until(Timestamp::MAX, Some(life.unwrap_or(UNSAID_LIFE)), now).min(told_until);
                renewed.proven_at = now;
            }
            Some(text) => {
                let expected =
                    Expected { client_id: &sign_in.client_id, nonce: None, access_token: tokens.access_token.reveal() };
                match self.verified(&renewed.issuer, text, &expected).await {
                    Ok(proven) if proven.identity.principal.subject == renewed.subject => {
                        renewed.proven_until = proven_until(proven.identity.ends_at, tokens.expires_in, now);
                        (renewed.proven_at, renewed.told_at) = (now, now);
                        renewed.sid = proven.sid.or(renewed.sid);
                        renewed = say(renewed, proven.identity);
                        renewed.id_token = tokens.id_token;
                    }
                    Ok(_) => return self.over(session, "its provider answered for somebody else").await,
                    Err(error) if error == UNKNOWN_KEY || error == AuthnError::KeysUnavailable => {
                        // what was spent to get here must not be lost; the next one who asks will know the keys
                    }
                    Err(error) => {
                        tracing::error!(issuer = %issuer.name, %error, "a refreshed ID token was refused");
                        return self.over(session, "its provider's answer does not hold").await;
                    }
                }
            }
        }
        let renewing = Arc::clone(session);
        let written = self.blocking(move |shared| shared.sessions.renew(&renewing, &renewed)).await;
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a session cannot be renewed");
                Err(AskedInVain)
            }
            Err(_) => Err(AskedInVain),
        }
    }

    async fn over(self: &Arc<Self>, session: &Arc<Session>, why: &str) -> Result<(), AskedInVain> {
        let principal = &session.identity().principal;
        tracing::info!(%principal, why, "a session has ended");
        let key = *session.key();
        match self.blocking(move |shared| shared.sessions.end(&[key])).await {
            Ok(Ok(())) => Ok(()),
            // it has ended in memory, which is what counts until the next start
            Ok(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the end of a session cannot be written");
                Ok(())
            }
            Err(_) => Err(AskedInVain),
        }
    }
}

/// What the provider says now. Groups it no longer names are gone. How somebody signed in is what it was (OpenID Connect Core
/// 1.0, section 12.2), for nobody has signed in since: it can be taken back, but not become more.
fn say(content: Content, identity: Identity) -> Content {
    let Assurance { amr, acr, auth_time } = identity.assurance;
    let before = content.assurance;
    Content {
        name: identity.name.or(content.name),
        mail: identity.mail.or(content.mail),
        groups: identity.groups.into_iter().map(|group| group.name).collect(),
        assurance: Assurance {
            amr: before.amr.into_iter().filter(|method| amr.is_empty() || amr.contains(method)).collect(),
            // levels have no order that is known here
            acr: before.acr.filter(|level| acr.is_none_or(|said| said == *level)),
            auth_time: before.auth_time.map(|at| auth_time.map_or(at, |said| said.min(at))),
        },
        ..content
    }
}

/// For an access token whose end nobody says.
const UNSAID_LIFE: crate::domain::time::Span = crate::domain::time::Span::minutes(5);
