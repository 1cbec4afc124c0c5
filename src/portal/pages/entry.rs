//! Who opens a page: somebody who is signed in, or somebody who is shown the way in.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::Uri;
use http::request::Parts;

use crate::domain::command::Caller;
use crate::domain::identity::Identity;
use crate::portal::Portal;
use crate::portal::caller::{Commander, SignedIn};
use crate::portal::pages::outside;
use crate::portal::problem::{Kind, Problem};

/// Somebody who is signed in and looks at a page.
pub(in crate::portal) struct Visitor {
    pub(in crate::portal) identity: Arc<Identity>,
}

/// Somebody who is signed in and sends a form: counted against the limit of commands.
pub(in crate::portal) struct Sender {
    pub(in crate::portal) commander: Commander,
}

impl Sender {
    pub(in crate::portal) fn identity(&self) -> &Arc<Identity> {
        &self.commander.identity
    }

    pub(in crate::portal) fn caller(&self) -> Caller {
        self.commander.caller()
    }
}

impl FromRequestParts<Portal> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Response> {
        match SignedIn::from_request_parts(parts, portal).await {
            Ok(SignedIn { identity, .. }) => Ok(Self { identity }),
            Err(problem) => Err(way_in(portal, &parts.uri, problem)),
        }
    }
}

impl FromRequestParts<Portal> for Sender {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Response> {
        match Commander::from_request_parts(parts, portal).await {
            Ok(commander) => Ok(Self { commander }),
            Err(problem) => Err(way_in(portal, &parts.uri, problem)),
        }
    }
}

/// Where somebody is sent whose `problem` is that they are not signed in. Without a sign-in in the browser, the page says
/// how to go on with a token.
fn way_in(portal: &Portal, uri: &Uri, problem: Problem) -> Response {
    if problem.code() == Kind::NOT_SIGNED_IN.code { outside::page(portal, uri) } else { problem.into_response() }
}
