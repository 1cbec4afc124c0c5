//! Out of a session again, here and at the provider.

use std::sync::Arc;

use http::HeaderMap;
use reqwest::Url;

use super::error::SignInError;
use super::provider::Provider;
use super::{Shared, SignIns, SignedOut};
use crate::domain::time::Timestamp;
use crate::identity::secret::Secret;
use crate::identity::session::{Session, sid_finder};
use crate::identity::settings::SignInSettings;
use crate::identity::site::Site;

impl SignIns {
    /// Ends the session of the request, here and for good.
    ///
    /// # Errors
    /// [`SignInError::NotSignedOut`] when the session cannot be found in its file, or its end not be written there.
    pub async fn sign_out(&self, site: &Site, headers: &HeaderMap) -> Result<SignedOut, SignInError> {
        let now = self.shared.now();
        let cookies = vec![site.clear_session()];
        let session = self.present(site, headers, now).map_err(|_| SignInError::NotSignedOut)?;
        let Some(session) = session else { return Ok(SignedOut { cookies, onward: None }) };
        let (shared, ending) = (Arc::clone(&self.shared), Arc::clone(&session));
        let ended = self.jobs.ending.run(async move { shared.end(&ending).await }).await;
        let hint = ended.ok().and_then(Result::ok).ok_or(SignInError::NotSignedOut)?;
        tracing::info!(principal = %session.identity().principal, site = site.origin(), "signed out");
        // whoever signed out is signed out here, also when the provider does not answer
        let onward = self.onward(&session, hint.as_ref(), site, now).await;
        Ok(SignedOut { cookies, onward })
    }

    /// Where to sign out at the provider of a session.
    async fn onward(&self, session: &Session, hint: Option<&Secret>, site: &Site, now: Timestamp) -> Option<String> {
        let (issuer, sign_in) = self.shared.provider(&session.identity().principal.issuer)?;
        let provider = match self.shared.providers.known_of(&issuer.issuer) {
            Some(provider) => provider,
            None => self.provider(&issuer, now).await.ok()?,
        };
        end_session(&provider, &sign_in, hint, site)
    }
}

impl Shared {
    /// Ends a session and those of the same session at the provider; returns what to show there.
    async fn end(self: &Arc<Self>, session: &Session) -> Result<Option<Secret>, SignInError> {
        let content = self.sessions.content(session)?;
        let (key, issuer) = (*session.key(), Arc::clone(&session.identity().principal.issuer));
        let finder = content.as_ref().and_then(|content| content.sid.as_ref()).map(|sid| sid_finder(&issuer, sid));
        self.blocking(move |shared| {
            shared.sessions.end(&[key])?;
            finder.map_or(Ok(0), |finder| shared.sessions.end_found_by(&finder))
        })
        .await??;
        Ok(content.and_then(|content| content.id_token))
    }
}

/// Where to sign out at the provider (OpenID Connect RP-Initiated Logout 1.0).
fn end_session(provider: &Provider, sign_in: &SignInSettings, hint: Option<&Secret>, site: &Site) -> Option<String> {
    let mut url: Url = provider.end_session.clone()?;
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("client_id", &sign_in.client_id);
        query.append_pair("post_logout_redirect_uri", &site.signed_out());
        if let Some(hint) = hint.filter(|hint| hint.reveal().len() <= HINT_BYTES_MAX) {
            query.append_pair("id_token_hint", hint.reveal());
        }
    }
    Some(url.into())
}

/// A longer hint would not fit a URL everywhere.
const HINT_BYTES_MAX: usize = 6 * 1024;
