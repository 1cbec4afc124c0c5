//! The table of refusals, each for each audience, and what no answer may tell.

use http::{HeaderMap, Request};
use http_body_util::BodyExt;

use super::*;
use crate::domain::authorize::Curable;
use crate::domain::id::ActivationId;
use crate::domain::pace::Pace;
use crate::domain::policy::{
    ActivationLimits, ApprovalRule, AssignmentLimits, AssuranceGap, AssuranceRule, ExtensionRule, JustificationRule,
    Need, PendingLimits, Permanence, PolicyRevision, RolePolicy, Stage, TicketRule,
};
use crate::domain::principal::{Group, Party};
use crate::domain::standing::{Pending, Progress};
use crate::domain::time::Span;
use crate::proxy::canonical::{CanonicalSettings, canonicalise};

const FORMS: [Form; 4] = [Form::Browser, Form::Api, Form::Grpc, Form::Kubernetes];

fn links() -> Links {
    Links { portal_url: "https://portal.test/".to_owned(), gate_url: "https://shop.test".to_owned() }
}

fn canonical(target: &str) -> Canonical {
    // the host is forged: no link may lead there
    let request = Request::get(target).header("host", "evil.test").body(()).unwrap();
    canonicalise(&request.into_parts().0, &CanonicalSettings::default()).unwrap()
}

fn curable(role: &str) -> Curable {
    Curable { role: role.parse().unwrap(), pending: None, starts_at: None }
}

fn waiting(role: &str) -> Pending {
    Pending {
        activation: ActivationId::from_random([7; 16]),
        role: role.parse().unwrap(),
        requested_at: Timestamp::from_seconds(0),
        progress: Progress { stage: 0, stages: 2, agreed: 0, quorum: 1 },
        lapses_at: Timestamp::from_seconds(86_400),
    }
}

fn kinds() -> Vec<(&'static str, Refused)> {
    let retry_after = Duration::from_millis(2_500);
    let pending = Curable { pending: Some(waiting("shop/vault-reader")), ..curable("shop/vault-reader") };
    let scheduled = Curable { starts_at: Some(Timestamp::from_seconds(86_400)), ..curable("shop/vault-reader") };
    let step_up = |acr: &[&str], mfa: &[&str], max_age, gaps: &[AssuranceGap]| {
        let text = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        let rule = AssuranceRule { mfa_amr: text(mfa), acr: text(acr), max_age };
        Refused::Denied(Denial::StepUp { rule, gaps: gaps.to_vec() })
    };
    vec![
        ("not signed in", Denial::NotSignedIn.into()),
        ("bad token", Refused::InvalidToken),
        ("revoked token", Denial::CredentialRevoked.into()),
        ("several credentials", Refused::AmbiguousCredential),
        (
            "level and age",
            step_up(
                &["phr", "a\"b\\", "not ascii \u{e4}"],
                &[],
                Some(Span::minutes(5)),
                &[AssuranceGap::Acr, AssuranceGap::Age],
            ),
        ),
        ("second factor", step_up(&[], &["otp"], None, &[AssuranceGap::Mfa])),
        ("eligible", Denial::Requestable(vec![curable("shop/vault-reader")]).into()),
        ("pending", Denial::Requestable(vec![pending.clone()]).into()),
        ("scheduled", Denial::Requestable(vec![scheduled]).into()),
        ("eligible for several", Denial::Requestable(vec![curable("shop/a"), pending]).into()),
        ("forbidden", Denial::Forbidden.into()),
        ("unavailable", Refused::Unavailable { retry_after }),
        ("doubted", Refused::Doubted),
        ("clock behind", Refused::ClockBehind),
        ("overloaded", Refused::Overloaded { retry_after: Duration::ZERO }),
        ("upstream failed", Refused::UpstreamFailed),
        ("upstream timeout", Refused::UpstreamTimeout),
        ("nothing there", Refused::NotFound),
        ("foreign origin", Refused::ForeignOrigin),
        ("body too large", Refused::BodyTooLarge),
        ("request timeout", Refused::RequestTimeout),
        ("misdirected", Refused::Misdirected),
        ("internal", Refused::Internal),
        ("dot segment", BadRequest::DotSegment.into()),
        ("method refused", BadRequest::MethodRefused.into()),
        ("head too large", BadRequest::HeadTooLarge.into()),
    ]
}

/// Settings of `shop/vault-reader`; of other roles nothing is known.
fn policies() -> Policies {
    let limits = AssignmentLimits { permanent: Permanence::Allowed, max: Span::days(365) };
    let leads = Party::from(Group::new("https://id.test", "leads"));
    let vault = RolePolicy {
        role: "shop/vault-reader".parse().unwrap(),
        description: "read the vault <b>at night</b>".to_owned(),
        revision: PolicyRevision::new("aa"),
        activation: ActivationLimits {
            min: Span::minutes(5),
            max: Span::hours(2),
            default: Span::hours(1),
            total_max: Span::hours(24),
            start_ahead_max: Span::days(7),
        },
        justification: JustificationRule { need: Need::Required, ..JustificationRule::default() },
        ticket: TicketRule { need: Need::Required, pattern: None },
        assurance: AssuranceRule { mfa_amr: vec!["otp".to_owned()], ..AssuranceRule::default() },
        approval: ApprovalRule {
            stages: vec![Stage { approvers: vec![leads], quorum: 1, deny_threshold: 1 }],
            ..ApprovalRule::default()
        },
        extension: ExtensionRule::None,
        pending_after: Span::hours(24),
        eligible: limits,
        active: limits,
    };
    Policies::new([vault], PendingLimits::default())
}

fn paces() -> Paces {
    let mut paces = Paces::default();
    let pace = Pace { median: Span::minutes(12), decided: 9 };
    paces.set("shop/vault-reader".parse().unwrap(), Some(pace));
    paces
}

fn answer_to(refused: &Refused, form: Form, body: Body) -> (StatusCode, HeaderMap, String) {
    let canonical = canonical("/vault/k?q=%26&r=1");
    answer_with(refused, form, body, &canonical, &Demand::AnyRole(Vec::new()))
}

fn answer_with(
    refused: &Refused,
    form: Form,
    body: Body,
    canonical: &Canonical,
    demand: &Demand,
) -> (StatusCode, HeaderMap, String) {
    let occasion = Occasion {
        audience: Audience { form, body },
        links: &links(),
        canonical: Some(canonical),
        request_id: "req-1",
        now: Timestamp::from_seconds(600),
        signs_in: false,
        demand: Some(demand),
        policies: &policies(),
        paces: &paces(),
        names: &IssuerNames::new([("demo".into(), "https://id.test".into())]),
    };
    let (parts, body) = refuse(refused, &occasion).into_parts();
    let body = futures_util::FutureExt::now_or_never(body.collect()).unwrap().unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

/// Members by name, whichever order other crates ask `serde_json` to keep.
fn sorted(json: serde_json::Value) -> serde_json::Value {
    match json {
        serde_json::Value::Object(members) => {
            let members: std::collections::BTreeMap<_, _> = members.into_iter().collect();
            members.into_iter().map(|(name, value)| (name, sorted(value))).collect()
        }
        serde_json::Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}

fn told(refused: &Refused, form: Form) -> String {
    let (status, headers, body) = answer_to(refused, form, Body::Sent);
    let always = [
        "cache-control",
        "vary",
        "x-content-type-options",
        "x-request-id",
        "content-security-policy",
        "referrer-policy",
        "x-frame-options",
    ];
    let headers: Vec<String> = headers
        .iter()
        .filter(|(name, _)| !always.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    let body = match serde_json::from_str::<serde_json::Value>(&body) {
        Ok(json) => serde_json::to_string_pretty(&sorted(json)).unwrap(),
        Err(_) => body.split_once("</style>").map_or(String::new(), |(_, rest)| rest.replace("><", ">\n<")),
    };
    format!("{status}\n{}\n{body}\n", headers.join("\n"))
}

#[test]
fn every_refusal_for_every_audience() {
    for form in FORMS {
        let all: Vec<String> =
            kinds().iter().map(|(name, refused)| format!("=== {name}\n{}", told(refused, form))).collect();
        insta::assert_snapshot!(format!("{form:?}"), all.join("\n"));
    }
}

#[test]
fn the_page_says_what_a_role_takes_and_has_one_button() {
    let page = |refused: &Refused| answer_to(refused, Form::Browser, Body::Sent).2;
    let eligible = page(&Denial::Requestable(vec![curable("shop/vault-reader")]).into());
    for told in [
        "read the vault &lt;b&gt;at night&lt;/b&gt;",
        "<code>GET /vault/k</code>",
        "by anyone in demo:leads",
        "about 12 minutes, as the last 9 decisions went",
        "with a second factor",
        "a reason and a ticket",
        "2 hours",
        "href=\"https://portal.test/activate?role=shop%2Fvault-reader&amp;return_to=https%3A%2F%2Fshop.test%2Fvault%2Fk",
    ] {
        assert!(eligible.contains(told), "{told}: {eligible}");
    }
    assert_eq!(eligible.matches("class=\"button").count(), 1);

    let pending = Curable { pending: Some(waiting("shop/vault-reader")), ..curable("shop/vault-reader") };
    let waits = page(&Denial::Requestable(vec![pending]).into());
    for told in [
        "stage 1 of 2, nobody has decided yet",
        "1970-01-01 00:00 UTC (10 minutes ago)",
        "1970-01-02 00:00 UTC (in 23 hours 50 minutes)",
        "See how it stands",
        "href=\"https://shop.test/vault/k?q=%26&amp;r=1\">Try again",
    ] {
        assert!(waits.contains(told), "{told}: {waits}");
    }
    assert!(!waits.contains("/activate?"), "{waits}");

    let unknown = page(&Denial::Requestable(vec![curable("shop/other")]).into());
    assert!(unknown.contains("Activate shop/other") && !unknown.contains("<dl>"), "{unknown}");
}

#[test]
fn several_roles_are_a_choice_or_a_sum() {
    let both: Refused = Denial::Requestable(vec![curable("shop/vault-reader"), curable("shop/other")]).into();
    let canonical = canonical("/vault");
    let page = |demand: &Demand| answer_with(&both, Form::Browser, Body::Sent, &canonical, demand).2;
    let any = page(&Demand::AnyRole(Vec::new()));
    assert!(any.contains("Any one of these roles will do"), "{any}");
    assert!(
        any.contains("approval by anyone in demo:leads · usually 12 minutes · with a second factor · a ticket"),
        "{any}"
    );
    assert_eq!(any.matches("class=\"button main\"").count(), 2);
    assert!(page(&Demand::AllRoles(Vec::new())).contains("All of these roles are needed"));
}

#[test]
fn what_was_no_look_at_a_page_says_so_in_its_link() {
    let request = Request::delete("/vault/k").header("host", "shop.test").body(()).unwrap();
    let canonical = canonicalise(&request.into_parts().0, &CanonicalSettings::default()).unwrap();
    let link = links().activation(&curable("shop/vault-reader"), Some(&canonical));
    assert!(link.ends_with("&method=DELETE&return_to=https%3A%2F%2Fshop.test%2Fvault%2Fk"), "{link}");
    let pending: Refused =
        Denial::Requestable(vec![Curable { pending: Some(waiting("a/b")), ..curable("a/b") }]).into();
    let demand = Demand::AnyRole(Vec::new());
    let (_, _, page) = answer_with(&pending, Form::Browser, Body::Sent, &canonical, &demand);
    assert!(!page.contains("Try again"), "a link would ask for something else: {page}");
}

#[test]
fn every_bad_request_has_its_own_code_and_says_what_to_do() {
    let rows: Vec<String> = BadRequest::ALL
        .iter()
        .map(|bad| format!("{} {}: {}", bad.status().as_u16(), bad.code(), bad.detail()))
        .collect();
    let codes: std::collections::BTreeSet<_> = BadRequest::ALL.iter().map(|bad| bad.code()).collect();
    assert_eq!(codes.len(), BadRequest::ALL.len());
    insta::assert_snapshot!(rows.join("\n"));
}

#[test]
fn every_answer_is_kept_by_nobody_and_guessed_by_nobody() {
    for (name, refused) in kinds() {
        for form in FORMS {
            let (_, headers, body) = answer_to(&refused, form, Body::Sent);
            assert_eq!(headers["cache-control"], "no-store", "{name}");
            assert_eq!(headers["x-content-type-options"], "nosniff", "{name}");
            assert_eq!(headers["vary"], VARY_ON, "{name}");
            assert_eq!(headers["x-request-id"], "req-1", "{name}");
            assert!(!format!("{headers:?}{body}").contains("evil.test"), "{name} names what the client sent");
            let (_, without, empty) = answer_to(&refused, form, Body::Omitted);
            assert_eq!((without, empty), (headers.clone(), String::new()), "{name} to HEAD");
            let page = headers.get("content-security-policy").map(|policy| policy.to_str().unwrap().to_owned());
            assert_eq!(page.is_some(), form == Form::Browser, "{name}");
            if let Some(policy) = page {
                assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"));
                assert!(!body.contains("<script") && !body.contains(" style=") && !body.contains("<form"));
            }
        }
    }
}

#[test]
fn the_style_sheet_is_the_one_that_its_hash_allows() {
    let (_, headers, body) = answer_to(&Denial::Forbidden.into(), Form::Browser, Body::Sent);
    let style = body.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let hash =
        data_encoding::BASE64.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, style.as_bytes()).as_ref());
    assert!(headers["content-security-policy"].to_str().unwrap().contains(&format!("'sha256-{hash}'")));
}

#[test]
fn forbidden_names_nothing() {
    for form in FORMS {
        let (_, headers, body) = answer_to(&Denial::Forbidden.into(), form, Body::Sent);
        let all = format!("{headers:?}{body}");
        for secret in ["role", "portal", "vault", "activat", "www-authenticate"] {
            assert!(!all.to_lowercase().contains(secret), "{form:?}: {all}");
        }
    }
}

#[test]
fn links_lead_to_configured_addresses_and_back_to_this_gate() {
    let wanted = curable("shop/vault-reader");
    let link = |target: &str| links().activation(&wanted, Some(&canonical(target)));
    assert_eq!(
        link("/vault/k?a=b&c=%2F"),
        "https://portal.test/activate?role=shop%2Fvault-reader&return_to=https%3A%2F%2Fshop.test%2Fvault%2Fk%3Fa%3Db%26c%3D%252F"
    );
    assert_eq!(links().activation(&wanted, None), "https://portal.test/activate?role=shop%2Fvault-reader");
    let long_query = link(&format!("/vault/k?{}", "q".repeat(3000)));
    assert!(long_query.ends_with("return_to=https%3A%2F%2Fshop.test%2Fvault%2Fk"), "{long_query}");
    let long_path = link(&format!("/{}", "p".repeat(3000)));
    assert_eq!(long_path, "https://portal.test/activate?role=shop%2Fvault-reader");
}

#[test]
fn the_audience_is_who_sent_the_request() {
    let navigation = ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
    for (headers, form) in [
        (&[navigation][..], Form::Browser),
        (&[navigation, ("sec-fetch-mode", "navigate")], Form::Browser),
        (&[("accept", "*/*"), ("sec-fetch-mode", "navigate")], Form::Browser),
        (&[navigation, ("sec-fetch-mode", "cors")], Form::Api),
        (&[navigation, ("authorization", "Bearer x")], Form::Api),
        (&[navigation, ("authorization", "\u{e4}")], Form::Api),
        (&[navigation, ("sec-fetch-mode", "navigate"), ("authorization", "Bearer x")], Form::Browser),
        (&[navigation, ("sec-fetch-mode", "cors"), ("authorization", "Bearer x")], Form::Api),
        (&[navigation, ("upgrade", "websocket")], Form::Api),
        (&[navigation, ("sec-fetch-mode", "navigate"), ("upgrade", "websocket")], Form::Api),
        (&[("accept", "application/json, text/html;q=0.9")], Form::Api),
        (&[("accept", "text/html;q=0.95, application/json;q=0.9")], Form::Browser),
        (&[("accept", "text/html, application/json")], Form::Api),
        (&[("accept", "text/html;q=0")], Form::Api),
        (&[("accept", "text/html;q=nonsense")], Form::Api),
        (&[("accept", "*/*")], Form::Api),
        (&[], Form::Api),
        (&[("content-type", "application/grpc")], Form::Grpc),
        (&[("content-type", "application/grpc+proto"), navigation], Form::Grpc),
        (&[("content-type", "Application/gRPC-web+proto")], Form::Grpc),
        (&[("content-type", "application/grpcx")], Form::Api),
        (
            &[("user-agent", "kubectl/v1.31.0 (linux/amd64) kubernetes/9edcffc"), ("authorization", "Bearer x")],
            Form::Kubernetes,
        ),
        (&[("user-agent", "notkubernetes/1")], Form::Api),
    ] {
        let mut request = Request::head("/");
        for (name, value) in headers {
            request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let audience = Audience::of(&request.body(()).unwrap().into_parts().0);
        assert_eq!(audience, Audience { form, body: Body::Omitted }, "{headers:?}");
    }
    assert_eq!(Audience::of(&Request::get("/").body(()).unwrap().into_parts().0).body, Body::Sent);
}
