//! Who is asking: bearer tokens of several issuers, verified once and remembered per core, and sessions of people who signed
//! in with a browser.
//!
//! Everything the checks of a token need is in memory: keys are fetched beside the data path by the [`Refresher`] and never
//! on it. What is not understood is refused, and the reason a token was refused is a constant that holds nothing of it.
//!
//! 2026-11: the end of a token (`exp`) is exact. The leeway covers what another clock says has begun (`nbf`, `iat`,
//! `auth_time`), never what has ended, because identity and permit end at the same instant and a token accepted beyond it
//! would prove nobody. Rejected: a leeway for `exp` too, which would open streams only to cut them at once.

mod algorithm;
mod authenticator;
mod budget;
mod cache;
mod claims;
mod credential;
mod error;
mod fetch;
mod identities;
mod issuer;
mod json;
mod keys;
mod metrics;
pub mod names;
mod random;
mod refresh;
mod secret;
mod session;
mod settings;
mod sign_in;
mod site;
mod token;
pub mod words;

#[cfg(test)]
mod tests;

pub use algorithm::Algorithm;
pub use authenticator::Authenticator;
pub use error::AuthnError;
pub use identities::{Identities, Proven};
pub use refresh::Refresher;
pub use secret::Secret;
pub use session::{FileError, Session};
pub use settings::{
    ASSERTION_TYPE, ClaimPath, ClaimPaths, IssuerSettings, KeySource, Settings, SignInSettings, UnusableSettings,
};
#[cfg(test)]
pub(crate) use sign_in::Patience;
pub use sign_in::{
    Asked, Begun, Fault, FellShort, Finished, NoticeError, Offer, Presence, SignInError, SignInWorker, SignIns,
    SignedOut,
};
pub use site::Site;
