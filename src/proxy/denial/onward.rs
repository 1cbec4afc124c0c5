//! Where a browser goes instead of reading a refusal: to sign in, as strongly and freshly as the route demands.

use http::StatusCode;

use crate::domain::authorize::Denial;
use crate::identity::Asked;
use crate::proxy::denial::{Form, Occasion, Refused};

/// Status and address; `None` when signing in would not help, or whoever asks is no browser on its way.
pub(super) fn to_sign_in(refused: &Refused, occasion: &Occasion<'_>) -> Option<(StatusCode, String)> {
    if occasion.audience.form != Form::Browser || !occasion.signs_in {
        return None;
    }
    let asked = match refused {
        Refused::Denied(Denial::NotSignedIn | Denial::CredentialRevoked) | Refused::InvalidToken => Asked::default(),
        Refused::Denied(Denial::StepUp { rule, .. }) => Asked::of(rule),
        _ => return None,
    };
    let canonical = occasion.canonical?;
    let target = canonical.target();
    let back = [target.as_str(), target.path(), "/"].into_iter().find(|target| target.len() <= BACK_BYTES_MAX)?;
    // what was sent with an unsafe method is not sent again
    let status = if canonical.method.is_safe() { StatusCode::FOUND } else { StatusCode::SEE_OTHER };
    let gate = occasion.links.gate_url.trim_end_matches('/');
    Some((status, format!("{gate}/.hallpass/sign-in?{}", asked.query(back))))
}

const BACK_BYTES_MAX: usize = 2048;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::authorize::Curable;
    use crate::domain::pace::Paces;
    use crate::domain::policy::{AssuranceGap, AssuranceRule, Policies};
    use crate::domain::time::{Span, Timestamp};
    use crate::identity::names::IssuerNames;
    use crate::proxy::denial::{Audience, Body, Links, refuse};

    #[test]
    fn a_browser_that_signing_in_would_help_is_sent_there_and_nobody_else() {
        let rule = AssuranceRule {
            mfa_amr: vec!["mfa".to_owned()],
            acr: vec!["gold".to_owned()],
            max_age: Some(Span::minutes(5)),
        };
        let step_up = Refused::from(Denial::StepUp { rule, gaps: vec![AssuranceGap::Acr] });
        let links = Links { portal_url: "https://portal.test".into(), gate_url: "https://shop.test".into() };
        let plain = "https://shop.test/.hallpass/sign-in?return_to=%2Fvault%2Fk%3Fa%3D1";
        let stronger = format!("{plain}&acr_values=gold&amr=mfa&max_age=300");
        let table = [
            (Refused::from(Denial::NotSignedIn), Some(plain)),
            (Refused::from(Denial::CredentialRevoked), Some(plain)),
            (Refused::InvalidToken, Some(plain)),
            (step_up, Some(stronger.as_str())),
            (Refused::from(Denial::Forbidden), None),
            (
                Refused::from(Denial::Requestable(vec![Curable {
                    role: "shop/a".parse().unwrap(),
                    pending: None,
                    starts_at: None,
                }])),
                None,
            ),
            (Refused::Unavailable { retry_after: Duration::from_secs(1) }, None),
            (Refused::AmbiguousCredential, None),
            (Refused::NotFound, None),
        ];
        for (refused, expected) in &table {
            for form in [Form::Browser, Form::Api, Form::Grpc, Form::Kubernetes] {
                for signs_in in [true, false] {
                    for (method, status) in [("GET", 302), ("HEAD", 302), ("POST", 303), ("DELETE", 303)] {
                        let asked =
                            http::Request::builder().method(method).uri("/vault/k?a=1").header("host", "shop.test");
                        let (parts, ()) = asked.body(()).unwrap().into_parts();
                        let canonical = crate::proxy::canonical::canonicalise(&parts, &Default::default()).unwrap();
                        let occasion = Occasion {
                            audience: Audience { form, body: Body::Sent },
                            links: &links,
                            canonical: Some(&canonical),
                            request_id: "req-1",
                            now: Timestamp::from_seconds(0),
                            signs_in,
                            demand: None,
                            policies: &Policies::default(),
                            paces: &Paces::default(),
                            names: &IssuerNames::default(),
                        };
                        let answer = refuse(refused, &occasion);
                        let location = answer.headers().get("location").map(|location| location.to_str().unwrap());
                        let sent = form == Form::Browser && signs_in && expected.is_some();
                        assert_eq!(location, expected.filter(|_| sent), "{refused:?} {form:?} {signs_in} {method}");
                        assert_eq!(
                            answer.status().as_u16() == status,
                            sent,
                            "{refused:?} {form:?} {signs_in} {method}"
                        );
                        assert_eq!(answer.headers()["cache-control"], "no-store");
                    }
                }
            }
        }
    }
}
