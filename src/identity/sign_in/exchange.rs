//! What hallpass asks a provider directly: tokens for a code, and fresh ones for a refresh token.

use std::pin::Pin;

use oauth2::basic::{
    BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
    BasicTokenType,
};
use oauth2::{
    AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet,
    ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError,
    StandardRevocableToken, StandardTokenResponse, TokenResponse as _, TokenUrl,
};
use serde::{Deserialize, Serialize};

use super::provider::{Authentication, Provider};
use crate::domain::time::Span;
use crate::identity::fetch::{FetchError, Fetcher};
use crate::identity::secret::Secret;
use crate::identity::settings::SignInSettings;

/// What a provider hands out.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) access_token: Secret,
    pub(super) refresh_token: Option<Secret>,
    pub(super) id_token: Option<Secret>,
    pub(super) expires_in: Option<Span>,
}

/// Why a provider handed out nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoTokens {
    /// It said no, with this code.
    Refused(String),
    /// It does not know this client: that is the operators' to mend, and nothing about the person.
    UnknownClient,
    /// It cannot be reached, or answers nonsense.
    Unreachable,
}

/// The member that OpenID Connect adds to a token response.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct IdTokenMember {
    #[serde(default)]
    id_token: Option<String>,
}

impl ExtraTokenFields for IdTokenMember {}

type TokenResponse = StandardTokenResponse<IdTokenMember, BasicTokenType>;

/// hallpass as client of a provider.
pub(super) type Client = oauth2::Client<
    BasicErrorResponse,
    TokenResponse,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// The client that `settings` describe.
pub(super) fn client(provider: &Provider, settings: &SignInSettings) -> Client {
    let client: oauth2::Client<_, TokenResponse, _, _, _> =
        oauth2::Client::new(ClientId::new(settings.client_id.clone()));
    let client = match &settings.client_secret {
        Some(secret) => client.set_client_secret(ClientSecret::new(secret.reveal().to_owned())),
        None => client,
    };
    client
        .set_auth_type(match provider.authentication {
            Authentication::Basic => AuthType::BasicAuth,
            Authentication::Post => AuthType::RequestBody,
        })
        .set_auth_uri(AuthUrl::from_url(provider.authorization.clone()))
        .set_token_uri(TokenUrl::from_url(provider.token.clone()))
}

/// Tokens on their way.
type Asking<'a> = Pin<Box<dyn Future<Output = Result<Tokens, NoTokens>> + Send + 'a>>;

/// Tokens for a code.
pub(super) fn redeem<'a>(
    client: &'a Client,
    fetcher: &'a Fetcher,
    code: String,
    verifier: &Secret,
    redirect: RedirectUrl,
) -> Asking<'a> {
    let asked = client
        .exchange_code(AuthorizationCode::new(code))
        .set_pkce_verifier(PkceCodeVerifier::new(verifier.reveal().to_owned()))
        .set_redirect_uri(std::borrow::Cow::Owned(redirect));
    Box::pin(async move { asked.request_async(fetcher).await.map(|response| tokens(&response)).map_err(failure) })
}

/// Fresh tokens for a refresh token.
pub(super) fn refresh<'a>(client: &'a Client, fetcher: &'a Fetcher, token: &Secret) -> Asking<'a> {
    let token = RefreshToken::new(token.reveal().to_owned());
    Box::pin(async move {
        let response = client.exchange_refresh_token(&token).request_async(fetcher).await;
        response.map(|response| tokens(&response)).map_err(failure)
    })
}

impl<'c> AsyncHttpClient<'c> for Fetcher {
    type Error = FetchError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, FetchError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

fn tokens(response: &TokenResponse) -> Tokens {
    Tokens {
        access_token: Secret::new(response.access_token().secret().clone()),
        refresh_token: response.refresh_token().map(|token| Secret::new(token.secret().clone())),
        id_token: response.extra_fields().id_token.clone().map(Secret::new),
        expires_in: response.expires_in().map(|life| Span::seconds(life.as_secs())),
    }
}

fn failure(error: RequestTokenError<FetchError, BasicErrorResponse>) -> NoTokens {
    let error = match error {
        RequestTokenError::ServerResponse(error) => error,
        RequestTokenError::Request(error) => {
            tracing::warn!(%error, "a provider gave no tokens");
            return NoTokens::Unreachable;
        }
        // what it answered may hold tokens
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            tracing::warn!("a provider answered with something that is no token response");
            return NoTokens::Unreachable;
        }
    };
    match error.error() {
        BasicErrorResponseType::InvalidClient => NoTokens::UnknownClient,
        BasicErrorResponseType::Extension(code) if TRANSIENT.contains(&code.as_str()) => NoTokens::Unreachable,
        code => NoTokens::Refused(code.as_ref().to_owned()),
    }
}

/// Codes that speak of the provider's own state.
const TRANSIENT: [&str; 3] = ["server_error", "temporarily_unavailable", "slow_down"];
