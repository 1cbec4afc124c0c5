//! Why nobody was proven.

/// Why a credential proves nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthnError {
    /// The request carries more than one credential, or one that is not a bearer token: the request is at fault (400).
    #[error("the request carries several credentials, or one that cannot be read")]
    AmbiguousCredential,
    /// The token is not valid (401 `invalid_token`); the reason is for logs only and holds nothing of the token.
    #[error("the token is not valid: {0}")]
    InvalidToken(&'static str),
    /// The keys of this issuer cannot be had, or are older than allowed (503).
    #[error("the keys of the issuer cannot be used")]
    KeysUnavailable,
    /// The session cannot be read, or its provider cannot be asked whether it still holds (503).
    #[error("whether the session still holds cannot be known at present")]
    SessionUnavailable,
    /// Too many new tokens at once on this core (503, Retry-After).
    #[error("too many new tokens at once")]
    Overloaded,
}

/// The token is refused for this reason.
pub(super) const fn invalid<T>(reason: &'static str) -> Result<T, AuthnError> {
    Err(AuthnError::InvalidToken(reason))
}
