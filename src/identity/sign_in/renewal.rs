//! Asking the provider again whether a session still holds.

use std::sync::Arc;

use super::Shared;
use super::exchange::{self, NoTokens};
use super::flow::proven_until;
use super::id_token::Expected;
use crate::domain::identity::{Assurance, Identity};
use crate::domain::time::Timestamp;
use crate::identity::error::AuthnError;
use crate::identity::issuer::UNKNOWN_KEY;
use crate::identity::session::{Content, Session};

/// The provider could not be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AskedInVain;

impl Shared {
    /// Asks once, however many want to know. Afterwards the session has moved: it says what the provider said anew, or it has
    /// ended by the provider's word.
    pub(super) async fn refresh(self: &Arc<Self>, session: &Arc<Session>) -> Result<(), AskedInVain> {
        let _turn = session.turn.lock().await;
        if session.has_moved() {
            return Ok(());
        }
        if !session.may_ask(self.now()) {
            return Err(AskedInVain);
        }
        let outcome = self.ask(session).await;
        if outcome.is_err() {
            session.asked_in_vain(self.now());
        }
        outcome
    }

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
                renewed.proven_until = proven_until(Timestamp::MAX, Some(life.unwrap_or(UNSAID_LIFE)), now);
                renewed.proven_at = now;
            }
            Some(text) => {
                let expected =
                    Expected { client_id: &sign_in.client_id, nonce: None, access_token: tokens.access_token.reveal() };
                match self.verified(&renewed.issuer, text, &expected).await {
                    Ok(proven) if proven.identity.principal.subject == renewed.subject => {
                        renewed.proven_until = proven_until(proven.identity.ends_at, tokens.expires_in, now);
                        renewed.proven_at = now;
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

/// What the provider says now. Groups it no longer names are gone; how somebody signed in stays, where it says nothing of it.
fn say(content: Content, identity: Identity) -> Content {
    let Assurance { amr, acr, auth_time } = identity.assurance;
    let before = content.assurance;
    Content {
        name: identity.name.or(content.name),
        mail: identity.mail.or(content.mail),
        groups: identity.groups.into_iter().map(|group| group.name).collect(),
        assurance: Assurance {
            amr: if amr.is_empty() { before.amr } else { amr },
            acr: acr.or(before.acr),
            auth_time: auth_time.or(before.auth_time),
        },
        ..content
    }
}

/// For an access token whose end nobody says.
const UNSAID_LIFE: crate::domain::time::Span = crate::domain::time::Span::minutes(5);
