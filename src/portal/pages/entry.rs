//! Who opens a page: somebody who is signed in, or somebody who is shown the way in. And the way to a stronger sign-in.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{Method, Uri};
use maud::{Markup, html};

use crate::domain::identity::Identity;
use crate::domain::policy::{AssuranceGap, AssuranceRule};
use crate::domain::refusal::{Refusal, Refusals};
use crate::domain::time::{Span, Timestamp};
use crate::portal::caller::{Commander, SignedIn};
use crate::portal::pages::form::url;
use crate::portal::pages::layout::see_other;
use crate::portal::pages::outside;
use crate::portal::pages::parts::button::{Weight, link};
use crate::portal::pages::sign_in;
use crate::portal::problem::{Kind, Problem};
use crate::portal::{Portal, SignIn};

/// Somebody who is signed in and looks at a page.
pub(in crate::portal) struct Visitor {
    pub(in crate::portal) identity: Arc<Identity>,
}

/// Somebody who is signed in and sends a form: counted against the limit of commands.
pub(in crate::portal) struct Sender {
    pub(in crate::portal) commander: Commander,
}

/// What a sign-in must be to do what was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::portal) struct StepUp {
    mfa: bool,
    /// What counts as a second factor, where that is known: then whoever comes back without one is told at once.
    amr: Vec<String>,
    acr_values: Vec<String>,
    max_age: Option<Span>,
}

impl Sender {
    pub(in crate::portal) const fn identity(&self) -> &Arc<Identity> {
        &self.commander.identity
    }
}

impl FromRequestParts<Portal> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Response> {
        match SignedIn::from_request_parts(parts, portal).await {
            Ok(SignedIn { identity, .. }) => Ok(Self { identity }),
            Err(problem) => Err(way_in(portal, parts, problem)),
        }
    }
}

impl FromRequestParts<Portal> for Sender {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Response> {
        match Commander::from_request_parts(parts, portal).await {
            Ok(commander) => Ok(Self { commander }),
            Err(problem) => Err(way_in(portal, parts, problem)),
        }
    }
}

/// Where somebody is sent whose `problem` is that they are not signed in: to sign in, and back here; or, where browsers
/// cannot sign in, to a page that says how to go on with a token.
fn way_in(portal: &Portal, parts: &Parts, problem: Problem) -> Response {
    if problem.code() != Kind::NOT_SIGNED_IN.code {
        return problem.into_response();
    }
    let back = page_of(&parts.method, &parts.uri);
    match portal.sign_in() {
        SignIn::Absent => outside::page(portal, &parts.uri),
        SignIn::Offered if !parts.method.is_safe() => sign_in::ended(portal, &sign_in_url(&back, &StepUp::default())),
        SignIn::Offered if sign_in::hides_cookie(portal, &parts.headers) => sign_in::once_more(portal, &back),
        SignIn::Offered => see_other(&sign_in_url(&back, &StepUp::default())),
    }
}

/// The page itself, or the one whose form was sent: a form's own address is no page, but the one above it is.
fn page_of(method: &Method, uri: &Uri) -> String {
    if method.is_safe() {
        return uri.path_and_query().map_or("/", |whole| whole.as_str()).to_owned();
    }
    match uri.path().trim_matches('/').split('/').collect::<Vec<_>>().as_slice() {
        ["activations", id, _] => format!("/activations/{id}"),
        [first, ..] => format!("/{first}"),
        [] => "/".to_owned(),
    }
}

impl StepUp {
    /// What `rule` demands and the visitor's sign-in lacks at `now`; nothing when it suffices.
    pub(in crate::portal) fn for_rule(rule: &AssuranceRule, identity: &Identity, now: Timestamp) -> Option<Self> {
        let gaps = rule.gaps(&identity.assurance, now);
        (!gaps.is_empty()).then(|| Self {
            mfa: gaps.contains(&AssuranceGap::Mfa),
            amr: if gaps.contains(&AssuranceGap::Mfa) { rule.mfa_amr.clone() } else { Vec::new() },
            acr_values: if gaps.contains(&AssuranceGap::Acr) { rule.acr.clone() } else { Vec::new() },
            max_age: rule.max_age.filter(|_| gaps.contains(&AssuranceGap::Age)),
        })
    }

    /// What the sign-in lacks by these refusals; nothing when it suffices.
    pub(in crate::portal) fn for_refusals(refusals: &Refusals) -> Option<Self> {
        let mut step_up = Self::default();
        for refusal in refusals.iter() {
            match refusal {
                Refusal::MfaRequired => step_up.mfa = true,
                Refusal::AcrRequired { acr } => step_up.acr_values.clone_from(acr),
                Refusal::SignInTooOld { max_age } => step_up.max_age = Some(*max_age),
                _ => {}
            }
        }
        (step_up != Self::default()).then_some(step_up)
    }

    /// What to do about it: a link that signs in again as is needed and comes back to `return_to`.
    pub(in crate::portal) fn remedy(&self, portal: &Portal, return_to: &str) -> Markup {
        let wanted = match (self.mfa, self.acr_values.is_empty(), self.max_age) {
            (true, ..) => "Sign in with a second factor",
            (false, false, _) => "Sign in more strongly",
            (false, true, _) => "Sign in again",
        };
        match portal.sign_in() {
            SignIn::Offered => html! {
                p { (link(Weight::Main, wanted, &sign_in_url(return_to, self))) }
                p .dim { "You come back here; what you filled in stays." }
            },
            SignIn::Absent => html! { p { (wanted) " at your identity provider, and come back with the new token." } },
        }
    }
}

/// Where a browser signs in and comes back to `return_to`, a path of this origin.
fn sign_in_url(return_to: &str, step_up: &StepUp) -> String {
    let max_age = step_up.max_age.map(|age| age.as_seconds().to_string()).unwrap_or_default();
    let acr_values = step_up.acr_values.join(" ");
    let amr = step_up.amr.join(" ");
    let second_factor = if step_up.mfa && amr.is_empty() { "yes" } else { "" };
    let asked =
        [("acr_values", acr_values.as_str()), ("amr", &amr), ("second_factor", second_factor), ("max_age", &max_age)];
    url("/sign-in", &[[("return_to", return_to)].as_slice(), &asked].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_comes_back_to_the_page_that_was_asked_for_or_whose_form_was_sent() {
        let page = |method, uri: &str| page_of(&method, &uri.parse().unwrap());
        assert_eq!(page(Method::GET, "/activate?role=a/b"), "/activate?role=a/b");
        assert_eq!(page(Method::POST, "/activations/act_1/extend"), "/activations/act_1");
        assert_eq!(page(Method::POST, "/activate"), "/activate");
        assert_eq!(page(Method::POST, "/"), "/");
    }

    #[test]
    fn the_sign_in_asks_for_what_is_lacking() {
        let acr_values = vec!["a".into(), "b".into()];
        let step_up = StepUp { acr_values, max_age: Some(Span::minutes(5)), ..StepUp::default() };
        assert_eq!(sign_in_url("/", &step_up), "/sign-in?return_to=%2F&acr_values=a%20b&max_age=300");
        assert_eq!(
            sign_in_url("/", &StepUp { mfa: true, ..StepUp::default() }),
            "/sign-in?return_to=%2F&second_factor=yes"
        );
        let known = StepUp { mfa: true, amr: vec!["mfa".into(), "hwk".into()], ..StepUp::default() };
        assert_eq!(sign_in_url("/", &known), "/sign-in?return_to=%2F&amr=mfa%20hwk");
        assert_eq!(sign_in_url("/", &StepUp::default()), "/sign-in?return_to=%2F");
    }
}
