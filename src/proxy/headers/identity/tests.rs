//! Who asks, as the application is told it, whatever a claim holds.

use std::sync::Arc;

use http::{HeaderMap, Request};
use proptest::prelude::*;

use super::*;
use crate::domain::authorize::authorize;
use crate::domain::id::ActivationId;
use crate::domain::identity::Assurance;
use crate::domain::principal::{Group, Principal};
use crate::domain::rule::{Demand, Rule};
use crate::domain::standing::{Basis, Held, Lock, Position, Standing};
use crate::domain::time::{Timestamp, Window};
use crate::proxy::canonical::{CanonicalSettings, canonicalise};
use crate::proxy::headers::{Connection, Exchange, Scheme, TrustedProxies, add_outbound};

fn lines(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<_> =
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort();
    lines
}

fn exchange() -> Exchange {
    let request = Request::get("/vault/k").header("host", "shop.test").body(()).unwrap().into_parts().0;
    let canonical = canonicalise(&request, &CanonicalSettings::default()).unwrap();
    let connection = Connection::new([192, 0, 2, 7].into(), Scheme::Https, &Arc::new(TrustedProxies::default()));
    Exchange::read(&request.headers, &connection, &canonical).unwrap()
}

fn identity(name: &str, groups: &[&str]) -> Identity {
    let mut groups: Vec<_> = groups.iter().map(|group| Group::new("https://id.test", group)).collect();
    groups.sort();
    Identity {
        principal: Principal::new("https://id.test", "ada"),
        name: Some(name.into()),
        mail: Some("ada@test".into()),
        groups,
        assurance: Assurance::default(),
        issued_at: None,
        ends_at: Timestamp::from_seconds(10_000),
    }
}

fn names() -> IssuerNames {
    IssuerNames::new([("demo".into(), "https://id.test".into())])
}

#[test]
fn an_application_is_told_who_asks_and_why_it_passes() {
    let activation = ActivationId::from_random([7; 16]);
    let role = "shop/vault-reader".parse().unwrap();
    let held = Held {
        role: "shop/vault-reader".parse().unwrap(),
        window: Window::new(Timestamp::MIN, Timestamp::from_seconds(3600)),
        basis: Basis::Activation(activation),
        via: None,
    };
    let standing = Standing {
        position: Position(1),
        lock: Lock::Open,
        credentials_since: None,
        held: vec![held],
        eligible: Vec::new(),
        pending: Vec::new(),
    };
    let ada = identity("Ada, Countess\r\nX-Evil: 1 %\u{e4}", &["a,b", "c d"]);
    let rule = Rule::enforce(Demand::AnyRole(vec![role]));
    let permit = authorize(&rule, Some(&ada), &[&standing], Timestamp::from_seconds(60)).unwrap();
    let mut headers = HeaderMap::new();
    add_identity(&mut headers, &ada, &permit, &names());
    assert_eq!(
        lines(&headers),
        [
            "x-forwarded-email: ada@test",
            "x-forwarded-groups: demo:a%2Cb,demo:c%20d",
            "x-forwarded-preferred-username: Ada%2C%20Countess%0D%0AX-Evil:%201%20%25%C3%A4",
            "x-forwarded-user: demo:ada",
            &format!("x-hallpass-activation: {activation}"),
            "x-hallpass-expires: 1970-01-01T01:00:00.000Z",
            "x-hallpass-role: shop/vault-reader",
        ]
    );
    let mut answer = HeaderMap::new();
    let exchange = exchange();
    add_outbound(&mut answer, &exchange, &PermitHeaders::of(&permit));
    assert_eq!(answer["x-hallpass-expires"], "1970-01-01T01:00:00.000Z");
    assert_eq!(answer["x-request-id"], exchange.request_id());

    let open = authorize(&Rule::enforce(Demand::SignedIn), Some(&ada), &[&standing], Timestamp::MIN).unwrap();
    let (mut headers, mut answer) = (HeaderMap::new(), HeaderMap::new());
    add_permit(&mut headers, &open);
    add_outbound(&mut answer, &exchange, &PermitHeaders::of(&open));
    assert!(headers.is_empty() && !answer.contains_key("x-hallpass-expires"));
}

proptest! {
    #[test]
    fn claims_come_out_as_they_went_in(name in "\\PC{0,12}|[\\x00-\\x7f]{0,12}", groups in prop::collection::vec("[a-c ,%\\r\\n\u{e4}:]{1,4}", 1..5)) {
        let texts: Vec<&str> = groups.iter().map(String::as_str).collect();
        let identity = identity(&name, &texts);
        let mut headers = HeaderMap::new();
        IdentityHeaders::of(&identity, &names()).add(&mut headers);
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
        for value in headers.values() {
            prop_assert!(value.as_bytes().iter().all(u8::is_ascii_graphic));
        }
        prop_assert_eq!(decode(headers["x-forwarded-preferred-username"].to_str().unwrap()), name);
        let told: Vec<String> = headers["x-forwarded-groups"].to_str().unwrap().split(',').map(decode).collect();
        let meant: Vec<String> = identity.groups.iter().map(|group| format!("demo:{}", group.name)).collect();
        prop_assert_eq!(told, meant);
    }
}
