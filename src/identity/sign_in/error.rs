//! Why a sign-in came to nothing, in words for the person before the browser.

use crate::identity::random::NoRandomBits;
use crate::identity::session::FileError;

/// Why a sign-in came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// No provider is configured.
    #[error("nobody can sign in here")]
    NotOffered,
    /// The link names a provider that is none.
    #[error("there is no such provider")]
    UnknownProvider,
    /// The provider does not answer.
    #[error("the provider `{issuer}` cannot be reached")]
    Unreachable {
        /// Its short name.
        issuer: String,
    },
    /// The provider answers, but not as it must.
    #[error("the provider `{issuer}` cannot be used: {why}")]
    Unusable {
        /// Its short name.
        issuer: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The answer belongs to no sign-in that is under way.
    #[error("no such sign-in is under way")]
    NotPending,
    /// The answer belongs to a sign-in of another browser, or the browser keeps no cookies.
    #[error("the sign-in was begun in another browser")]
    Elsewhere,
    /// The answer cannot be read in one way.
    #[error("the provider's answer cannot be read")]
    Malformed,
    /// The provider said no.
    #[error("the provider `{issuer}` refused: {code}")]
    Refused {
        /// Its short name.
        issuer: String,
        /// Its `error`.
        code: String,
        /// Its `error_description`.
        description: Option<String>,
    },
    /// The answer is not to be trusted.
    #[error("the answer is not to be trusted: {why}")]
    Untrusted {
        /// What is wrong with it; a constant that holds nothing of it.
        why: &'static str,
    },
    /// Somebody signed in, but not as was asked.
    #[error("the sign-in is not what was asked for")]
    FellShort(Box<FellShort>),
    /// Somebody wants to be signed out, and nobody can tell whether that was done.
    #[error("the end of the session cannot be written")]
    NotSignedOut,
    /// Nothing can be begun or kept right now.
    #[error("sign-in does not work at present")]
    Unavailable,
}

/// A sign-in that is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FellShort {
    /// Short name of the provider.
    pub issuer: String,
    /// What was asked, in words.
    pub asked: String,
    /// What came, in words.
    pub came: String,
    /// The query of a link that asks again and has everything entered anew; `None` where that was done.
    pub again: Option<String>,
    /// Where the person wanted to go, absolute.
    pub return_to: String,
}

/// Whose fault it is that a sign-in came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There is nothing of the kind here.
    Nothing,
    /// The request cannot be used.
    Request,
    /// Whoever signs in may not, or not so.
    Person,
    /// The provider's.
    Provider,
    /// Nobody's who asks: it may work in a moment.
    Moment,
}

impl SignInError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NotOffered | Self::UnknownProvider => Fault::Nothing,
            Self::NotPending | Self::Elsewhere | Self::Malformed | Self::Untrusted { .. } => Fault::Request,
            Self::Refused { .. } | Self::FellShort(_) => Fault::Person,
            Self::Unusable { .. } => Fault::Provider,
            Self::Unreachable { .. } | Self::NotSignedOut | Self::Unavailable => Fault::Moment,
        }
    }

    /// Stable name, for logs and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotOffered => "sign_in_not_offered",
            Self::UnknownProvider => "unknown_provider",
            Self::Unreachable { .. } => "provider_unreachable",
            Self::Unusable { .. } => "provider_unusable",
            Self::NotPending => "sign_in_not_pending",
            Self::Elsewhere => "sign_in_elsewhere",
            Self::Malformed => "sign_in_malformed",
            Self::Refused { .. } => "sign_in_refused",
            Self::Untrusted { .. } => "sign_in_untrusted",
            Self::FellShort(_) => "sign_in_fell_short",
            Self::NotSignedOut => "not_signed_out",
            Self::Unavailable => "sign_in_unavailable",
        }
    }

    /// A heading.
    #[must_use]
    pub const fn title(&self) -> &'static str {
        match self {
            Self::NotOffered | Self::UnknownProvider => "Nothing to sign in with",
            Self::Unreachable { .. } | Self::Unusable { .. } => "The sign-in service does not answer properly",
            Self::NotPending => "This sign-in is over",
            Self::Elsewhere => "This sign-in belongs to another browser",
            Self::Malformed | Self::Untrusted { .. } => "This sign-in cannot be trusted",
            Self::Refused { .. } => "You were not signed in",
            Self::FellShort(_) => "A stronger sign-in was needed",
            Self::NotSignedOut => "You may still be signed in",
            Self::Unavailable => "Sign-in does not work right now",
        }
    }

    /// What is wrong and what to do, a sentence each; what stands between backticks is code.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let text = |sentences: &[&str]| sentences.iter().map(|sentence| (*sentence).to_owned()).collect::<Vec<_>>();
        match self {
            Self::NotOffered => text(&["Nobody signs in with a browser here: programs send an access token."]),
            Self::UnknownProvider => text(&["The link names a sign-in service that is not configured here."]),
            Self::Unreachable { issuer } => vec![
                format!("The sign-in service `{issuer}` cannot be reached."),
                "Nothing is wrong with you or your link: try again in a moment.".to_owned(),
            ],
            Self::Unusable { issuer, why } => vec![
                format!("The sign-in service `{issuer}` cannot be used: {why}."),
                "Trying again will not help: tell the operators of hallpass.".to_owned(),
            ],
            Self::NotPending => text(&[
                "It was used before, took longer than ten minutes, or was overtaken by others begun in this browser.",
                "If you signed in meanwhile, just go on.",
            ]),
            Self::Elsewhere => text(&[
                "It was begun in another browser or at another address, or this browser keeps no cookies.",
                "If you did not begin it yourself, somebody may have sent you the link: do not use it.",
            ]),
            Self::Malformed => text(&["The answer of the sign-in service cannot be read in one way. Sign in again."]),
            Self::Untrusted { why } => vec![
                format!("What came back from the sign-in service cannot be trusted: {why}."),
                "Sign in again; if that does not help, tell the operators of hallpass.".to_owned(),
            ],
            Self::Refused { issuer, code, description } => {
                let mut sentences = vec![format!("The sign-in service `{issuer}` answered `{code}`.")];
                sentences.extend(description.as_ref().map(|description| format!("It says: {description}")));
                sentences.push(advice(code).to_owned());
                sentences
            }
            Self::FellShort(short) => vec![
                format!("Asked was a sign-in {}.", short.asked),
                format!("What came back from `{}` says {}.", short.issuer, short.came),
                format!(
                    "You stay signed in as before. If you did what was asked, ask the operators of `{}`: it has to report \
                     it in `acr`, `amr` and `auth_time`.",
                    short.issuer
                ),
            ],
            Self::NotSignedOut => text(&[
                "Your session could not be ended for good: act as if you were still signed in.",
                "Try again in a moment, and tell the operators of hallpass if that does not help.",
            ]),
            Self::Unavailable => text(&["Nothing is wrong with you or your link: try again in a moment."]),
        }
    }
}

/// What to do about an error code of OAuth 2.0 or OpenID Connect.
fn advice(code: &str) -> &'static str {
    match code {
        "access_denied" => "You or the sign-in service said no. Sign in again when you want to go on.",
        "unmet_authentication_requirements" => {
            "It cannot sign you in as strongly as was asked. Set up a second factor there, or ask its operators."
        }
        "login_required" | "interaction_required" | "consent_required" | "account_selection_required" => {
            "It needs something from you first. Sign in again."
        }
        "temporarily_unavailable" | "server_error" => "It has trouble of its own. Try again in a moment.",
        _ => "Trying again will hardly help: tell the operators of hallpass what it answered.",
    }
}

impl From<FileError> for SignInError {
    /// Logged here, once.
    fn from(error: FileError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "sessions cannot be kept");
        Self::Unavailable
    }
}

impl From<NoRandomBits> for SignInError {
    fn from(_: NoRandomBits) -> Self {
        Self::Unavailable
    }
}
