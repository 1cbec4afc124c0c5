//! Out of a session again, here and at the provider.

use std::sync::Arc;

use http::HeaderMap;
use reqwest::Url;

use super::error::SignInError;
use super::provider::Provider;
use super::{Shared, SignIns, SignedOut};
use crate::identity::secret::Secret;
use crate::identity::session::{Session, sid_finder};
use crate::identity::settings::SignInSettings;
use crate::identity::site::Site;

impl SignIns {
    /// Ends the session of the request, here and for good.
    ///
    /// # Errors
    /// [`SignInError::Unavailable`] when that could not be written down; it is in force all the same.
    pub async fn sign_out(&self, site: &Site, headers: &HeaderMap) -> Result<SignedOut, SignInError> {
        let cookies = vec![site.clear_session()];
        let Some(session) = self.present(site, headers, self.shared.now()) else {
            return Ok(SignedOut { cookies, onward: None });
        };
        let (shared, site) = (Arc::clone(&self.shared), site.clone());
        let work = async move { shared.end(&session, &site).await };
        let onward = self.jobs.run(work).await.map_err(|_| SignInError::Unavailable)??;
        Ok(SignedOut { cookies, onward })
    }
}

impl Shared {
    /// Ends a session and those of the same session at the provider; returns where to sign out there.
    async fn end(self: &Arc<Self>, session: &Arc<Session>, site: &Site) -> Result<Option<String>, SignInError> {
        let content = self.sessions.content(session)?;
        let (key, issuer) = (*session.key(), Arc::clone(&session.identity().principal.issuer));
        let finder = content.as_ref().and_then(|content| content.sid.as_ref()).map(|sid| sid_finder(&issuer, sid));
        self.blocking(move |shared| {
            shared.sessions.end(&[key])?;
            finder.map_or(Ok(0), |finder| shared.sessions.end_found_by(&finder))
        })
        .await??;
        let principal = &session.identity().principal;
        tracing::info!(%principal, site = site.origin(), "signed out");
        let Some((issuer, sign_in)) = self.provider(&issuer) else { return Ok(None) };
        let provider = match self.providers.known_of(&issuer.issuer) {
            Some(provider) => Some(provider),
            // whoever signed out is signed out here, also when the provider does not answer
            None => self.providers.of(&issuer, self.now()).await.ok(),
        };
        let hint = content.and_then(|content| content.id_token);
        Ok(provider.and_then(|provider| end_session(&provider, &sign_in, hint.as_ref(), site)))
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
