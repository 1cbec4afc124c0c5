//! Who opens a page: somebody who is signed in, or somebody who is shown the way in. And the way to a stronger sign-in.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{Method, Uri};
use maud::{Markup, html};

use crate::domain::identity::Identity;
use crate::domain::policy::{AssuranceGap, AssuranceRule};
use crate::domain::refusal::Refusal;
use crate::domain::time::Timestamp;
use crate::identity::Asked;
use crate::portal::caller::{Commander, SignedIn};
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

/// What a sign-in must be to do what was asked. Whoever comes back from it with less is told so by the way back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::portal) struct StepUp {
    asked: Asked,
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
    let plain = sign_in_url(&Asked::default(), &back);
    match portal.sign_in() {
        SignIn::Absent => outside::page(portal, &parts.uri),
        SignIn::Offered if !parts.method.is_safe() => sign_in::ended(portal, &plain),
        SignIn::Offered if sign_in::hides_cookie(portal, &parts.headers) => sign_in::once_more(portal, &back),
        SignIn::Offered => see_other(&plain),
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
        let lacking = AssuranceRule {
            mfa_amr: if gaps.contains(&AssuranceGap::Mfa) { rule.mfa_amr.clone() } else { Vec::new() },
            acr: if gaps.contains(&AssuranceGap::Acr) { rule.acr.clone() } else { Vec::new() },
            max_age: rule.max_age.filter(|_| gaps.contains(&AssuranceGap::Age)),
        };
        (!gaps.is_empty()).then(|| Self { asked: Asked::of(&lacking) })
    }

    /// What the sign-in lacks by the refusals that `problem` tells; nothing when it suffices.
    pub(in crate::portal) fn for_problem(problem: &Problem) -> Option<Self> {
        let mut lacking = AssuranceRule::default();
        for refusal in problem.refusals()?.iter() {
            match refusal {
                Refusal::MfaRequired { amr } => lacking.mfa_amr.clone_from(amr),
                Refusal::AcrRequired { acr } => lacking.acr.clone_from(acr),
                Refusal::SignInTooOld { max_age } => lacking.max_age = Some(*max_age),
                _ => {}
            }
        }
        (lacking != AssuranceRule::default()).then(|| Self { asked: Asked::of(&lacking) })
    }

    /// What to do about it: a link that signs in again as is needed and comes back to `return_to`.
    pub(in crate::portal) fn remedy(&self, portal: &Portal, return_to: &str) -> Markup {
        let wanted = match (self.asked.second_factor, self.asked.acr_values.is_empty(), self.asked.max_age) {
            (true, ..) => "Sign in with a second factor",
            (false, false, _) => "Sign in more strongly",
            (false, true, _) => "Sign in again",
        };
        match portal.sign_in() {
            SignIn::Offered => html! {
                p { (link(Weight::Main, wanted, &sign_in_url(&self.asked, return_to))) }
                p .dim { "You come back here; what you filled in stays." }
            },
            SignIn::Absent => html! { p { (wanted) " at your identity provider, and come back with the new token." } },
        }
    }
}

/// Where a browser signs in as `asked` and comes back to `return_to`, a path of this origin.
fn sign_in_url(asked: &Asked, return_to: &str) -> String {
    format!("/sign-in?{}", asked.query(return_to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::refusal::Refusals;
    use crate::domain::time::Span;

    #[test]
    fn a_sign_in_comes_back_to_the_page_that_was_asked_for_or_whose_form_was_sent() {
        let page = |method, uri: &str| page_of(&method, &uri.parse().unwrap());
        assert_eq!(page(Method::GET, "/activate?role=a/b"), "/activate?role=a/b");
        assert_eq!(page(Method::POST, "/activations/act_1/extend"), "/activations/act_1");
        assert_eq!(page(Method::POST, "/activate"), "/activate");
        assert_eq!(page(Method::POST, "/"), "/");
    }

    #[test]
    fn a_refusal_says_as_much_of_the_sign_in_that_is_lacking_as_the_rule_does() {
        let rule = AssuranceRule {
            mfa_amr: vec!["mfa".to_owned(), "hwk".to_owned()],
            acr: vec!["gold".to_owned()],
            max_age: Some(Span::minutes(5)),
        };
        let refusals = vec![
            Refusal::JustificationMissing,
            Refusal::MfaRequired { amr: rule.mfa_amr.clone() },
            Refusal::AcrRequired { acr: rule.acr.clone() },
            Refusal::SignInTooOld { max_age: Span::minutes(5) },
        ];
        let problem = Problem::from(Refusals::none_of(refusals).unwrap_err());
        assert_eq!(StepUp::for_problem(&problem), Some(StepUp { asked: Asked::of(&rule) }));
        let other = Problem::from(Refusals::none_of(vec![Refusal::JustificationMissing]).unwrap_err());
        assert_eq!(StepUp::for_problem(&other), None);
    }
}
