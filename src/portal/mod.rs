//! The control plane: API and pages on their own listener and origin. The only place where people change anything.
//!
//! The portal says who asks and passes the command on; whether it may be done is decided in the domain. What may be *read*
//! is decided in `sight`, and what may not be seen is answered like what is not there.

mod api;
mod body;
mod caller;
mod csrf;
mod cursor;
mod cut;
mod desk;
mod idempotency;
mod lasting;
mod limits;
mod metrics;
mod pages;
mod problem;
mod shield;
mod sight;
#[cfg(test)]
mod tests;
mod trouble;
mod verification;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::error::Unspecified;
use tokio_util::sync::CancellationToken;

use crate::anchor::Anchors;
use crate::clock::Clock;
use crate::domain::pace::Paces;
use crate::domain::policy::Policies;
use crate::domain::role::RoleId;
use crate::identity::names::IssuerNames;
use crate::identity::{Authenticator, SignIns, Site};
use crate::portal::caller::SignedIn;
use crate::portal::problem::Problem;
use crate::standings::Standings;
use crate::store::Reader;
use crate::telemetry::Metrics;
use crate::uses::UseReader;
use crate::writer::Writer;

pub use limits::Limits;

/// What the portal is told by configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where browsers and clients find the portal, without a slash at its end.
    pub public_url: String,
    /// Where the gates are found: a way back may lead nowhere else.
    pub gate_urls: Vec<String>,
    /// What a client may use of the portal.
    pub limits: Limits,
}

/// Whether a browser can sign in at the portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SignIn {
    /// At `/sign-in`.
    Offered,
    /// Only bearer tokens are known.
    Absent,
}

/// The routes each role opens, for people to read.
pub type RoutesByRole = BTreeMap<RoleId, Vec<String>>;

/// What the portal works with.
pub struct Parts {
    /// Takes commands.
    pub writer: Writer,
    /// Reads the store.
    pub reader: Reader,
    /// Reads requests made under an elevation.
    pub uses: UseReader,
    /// Knows what the caller holds, and when the journal moved.
    pub standings: Standings,
    /// Publishes the head elsewhere on demand.
    pub anchors: Anchors,
    /// Verifies tokens.
    pub authenticator: Authenticator,
    /// Knows who signed in with a browser.
    pub sign_ins: SignIns,
    /// Names of issuers; swapped on reload.
    pub names: Arc<ArcSwap<IssuerNames>>,
    /// Settings of all roles; swapped on reload.
    pub policies: Arc<ArcSwap<Policies>>,
    /// The routes each role opens; swapped on reload.
    pub routes: Arc<ArcSwap<RoutesByRole>>,
    /// How fast each role is decided on; swapped as people decide.
    pub paces: Arc<ArcSwap<Paces>>,
    /// Tells the time.
    pub clock: Clock,
    /// What configuration says.
    pub settings: Settings,
    /// Once cancelled, event streams and exports end: the process drains.
    pub stop: CancellationToken,
}

/// The portal, shared by all its requests. Cheap to clone.
#[derive(Clone)]
pub struct Portal {
    shared: Arc<Shared>,
}

struct Shared {
    parts: Parts,
    /// Origin of `public_url`, as browsers write it.
    origin: String,
    /// Where people sign in, and whose sessions count.
    site: Site,
    cursors: cursor::Cursors,
    usage: limits::Usage,
    metrics: metrics::PortalMetrics,
    verification: verification::Verification,
}

impl Portal {
    /// A portal over `parts`.
    ///
    /// # Errors
    /// When the system gives no random bits.
    pub fn new(parts: Parts, metrics: &Metrics) -> Result<Self, Unspecified> {
        let shared = Shared {
            origin: csrf::origin_of(&parts.settings.public_url).unwrap_or_default(),
            site: Site::portal(&parts.settings.public_url),
            cursors: cursor::Cursors::fresh()?,
            usage: limits::Usage::new(&parts.settings.limits),
            metrics: metrics::PortalMetrics::new(metrics),
            verification: verification::Verification::new(),
            parts,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Whether a browser can sign in here.
    fn sign_in(&self) -> SignIn {
        if self.shared.parts.sign_ins.is_offered() { SignIn::Offered } else { SignIn::Absent }
    }
}

/// Everything the portal serves.
pub fn router(portal: Portal) -> axum::Router {
    let (api, document) = api::router().split_for_parts();
    let document = api::document::finish(document);
    let router = api.merge(pages::router()).merge(api::document::router(document));
    // asks who it is, so that a page that is not there has the visitor's frame
    let router = router.fallback(|_: Result<SignedIn, Problem>| async { Problem::unknown() });
    let router = router.with_state(portal.clone());
    shield::around(router, portal)
}

/// The OpenAPI document of the API, for tools and tests.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    api::document::finish(api::router().into_openapi())
}
