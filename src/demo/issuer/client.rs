//! Who may send people here to sign in: the clients, and how they prove who they are (RFC 6749 section 2).

use axum::http::{HeaderMap, header};
use data_encoding::BASE64;
use percent_encoding::percent_decode_str;

use crate::demo::issuer::parameters::Parameters;

/// An application that people sign in to through this provider.
#[derive(Clone, PartialEq, Eq)]
pub struct Client {
    /// Its `client_id`.
    pub id: String,
    /// Its `client_secret`; without one it is a public client, and PKCE alone binds the code to it.
    pub secret: Option<String>,
    /// Where codes may be sent; compared to the byte.
    pub redirect_uris: Vec<String>,
    /// Where a browser may go after it signed out; compared to the byte.
    pub post_logout_redirect_uris: Vec<String>,
    /// Where it wants to be told that somebody signed out.
    pub backchannel_logout_uri: Option<String>,
}

impl Client {
    /// hallpass as a public client named `id`, with its gate and its portal at these URLs.
    #[must_use]
    pub fn hallpass(id: &str, gate: &str, portal: &str) -> Self {
        Self {
            id: id.to_owned(),
            secret: None,
            redirect_uris: vec![format!("{gate}/.hallpass/callback"), format!("{portal}/callback")],
            post_logout_redirect_uris: vec![format!("{gate}/.hallpass/signed-out"), format!("{portal}/signed-out")],
            backchannel_logout_uri: Some(format!("{portal}/backchannel-logout")),
        }
    }
}

/// Everything but the secret.
impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Client").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Who a request to the token endpoint says it is, and the proof it brings.
#[derive(PartialEq, Eq)]
pub(super) struct Claimed {
    pub(super) id: String,
    secret: Option<String>,
}

impl Claimed {
    /// From the header (`client_secret_basic`) or the body (`client_secret_post`, or `none`), never both.
    pub(super) fn read(headers: &HeaderMap, body: &Parameters) -> Result<Self, &'static str> {
        let (id, secret) = (body.one("client_id")?, body.one("client_secret")?);
        let Some(header) = headers.get(header::AUTHORIZATION) else {
            let id = id.ok_or("`client_id` is missing")?.to_owned();
            return Ok(Self { id, secret: secret.map(str::to_owned) });
        };
        if secret.is_some() {
            return Err("the client proves itself twice, by header and by body");
        }
        let claimed = header.to_str().ok().and_then(Self::basic).ok_or("the header `Authorization` cannot be read")?;
        match id {
            Some(id) if id != claimed.id => Err("header and body name different clients"),
            _ => Ok(claimed),
        }
    }

    /// RFC 6749 section 2.3.1: both parts are form-encoded before they are joined.
    fn basic(header: &str) -> Option<Self> {
        let (scheme, encoded) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let joined = String::from_utf8(BASE64.decode(encoded.as_bytes()).ok()?).ok()?;
        let (id, secret) = joined.split_once(':')?;
        let decoded = |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8().ok().map(Into::into);
        Some(Self { id: decoded(id)?, secret: Some(decoded(secret)?) })
    }

    /// Whether this proves to be `client`.
    pub(super) fn proves(&self, client: &Client) -> bool {
        use subtle::ConstantTimeEq as _;
        let secrets = match (&self.secret, &client.secret) {
            (Some(given), Some(kept)) => bool::from(given.as_bytes().ct_eq(kept.as_bytes())),
            (None, None) => true,
            _ => false,
        };
        self.id == client.id && secrets
    }
}
