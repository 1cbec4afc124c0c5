//! Keys and their rotation; what is signed is verified by a library that knows nothing of hallpass.

use std::os::unix::fs::PermissionsExt;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};

use super::*;
use crate::domain::authorize::authorize;
use crate::domain::identity::Assurance;
use crate::domain::principal::{Group, Principal};
use crate::domain::rule::{Demand, Rule};
use crate::domain::standing::Standing;
use crate::domain::time::Span;

const ISSUER: &str = "https://id.test";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000).plus(Span::seconds(seconds.unsigned_abs()))
}

fn ada(ends_at: Timestamp) -> Identity {
    Identity {
        principal: Principal::new(ISSUER, "ada, \u{e9}"),
        name: Some("Ada".into()),
        mail: Some("ada@shop.test".into()),
        groups: vec![Group::new(ISSUER, "engineers"), Group::new(ISSUER, "on, call")],
        assurance: Assurance::default(),
        issued_at: None,
        ends_at,
    }
}

fn signed(keys: &Keys, ends_at: Timestamp, now: Timestamp) -> Assertion {
    let identity = ada(ends_at);
    let permit =
        authorize(&Rule::enforce(Demand::SignedIn), Some(&identity), &[&Standing::default()], now).expect("a permit");
    let names = IssuerNames::new([("corp".into(), ISSUER.into())]);
    let statement = Statement {
        issuer: "https://shop.test",
        audience: "shop",
        identity: &identity,
        permit: &permit,
        names: &names,
    };
    Assertion::sign(keys, &statement, now).expect("signed")
}

/// The claims, for who asks as `audience`; time is looked at by the tests themselves.
fn verified(set: &str, assertion: &Assertion, audience: &str) -> Result<Value, jsonwebtoken::errors::Error> {
    let token = assertion.value.to_str().expect("text");
    let header = decode_header(token)?;
    assert_eq!(header.typ.as_deref(), Some("hallpass-assertion+jwt"));
    let set: JwkSet = serde_json::from_str(set)?;
    let key = DecodingKey::from_jwk(set.find(&header.kid.expect("a key id")).expect("its key"))?;
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&[audience]);
    validation.set_issuer(&["https://shop.test"]);
    validation.validate_exp = false;
    Ok(decode(token, &key, &validation)?.claims)
}

#[test]
fn an_assertion_says_who_asks_and_verifies_by_the_served_keys() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::load(&folder.path().join("assertion.key"), None, at(0)).unwrap();
    let assertion = signed(&keys, at(3600), at(0));
    let claims = verified(&keys.set(at(0)), &assertion, "shop").unwrap();
    assert_eq!(
        claims,
        json!({
            "iss": "https://shop.test", "aud": "shop", "sub": "corp:ada, \u{e9}",
            "email": "ada@shop.test", "preferred_username": "Ada",
            "groups": ["corp:engineers", "corp:on, call"], "roles": [], "activations": [],
            "iat": at(0).as_seconds(), "exp": at(60).as_seconds(),
        })
    );
    assert!(verified(&keys.set(at(0)), &assertion, "another").is_err(), "for one application only");
    let other = Keys::load(&folder.path().join("other.key"), None, at(0)).unwrap();
    let mut stranger: Value = serde_json::from_str(&other.set(at(0))).unwrap();
    stranger["keys"][0]["kid"] = json!(keys.signing_id());
    assert!(verified(&stranger.to_string(), &assertion, "shop").is_err(), "by one key only");
}

#[test]
fn it_ends_with_the_right_and_is_made_anew_at_half_its_life() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::load(&folder.path().join("assertion.key"), None, at(0)).unwrap();
    let expires = |assertion: &Assertion| {
        verified(&keys.set(at(0)), assertion, "shop").unwrap()["exp"].as_i64().map(Timestamp::from_seconds)
    };
    let long = signed(&keys, at(3600), at(0));
    assert_eq!(expires(&long), Some(at(60)));
    assert_eq!([29, 30, 60].map(|later| long.is_old(at(later))), [false, true, true]);
    let short = signed(&keys, at(12).plus(Span::seconds(1)), at(0));
    assert_eq!(expires(&short), Some(at(13)));
    assert!(!short.is_old(at(12)), "a new one would live no longer");
}

#[test]
fn keys_are_rotated_without_breaking_what_was_signed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("assertion.key");
    let first = Keys::load(&path, None, at(0)).unwrap();
    assert_eq!(Keys::load(&path, None, at(0)).unwrap().signing_id(), first.signing_id(), "made once");
    let old = signed(&first, at(3600), at(0));
    let before = std::fs::read_to_string(&path).unwrap();

    std::fs::remove_file(&path).unwrap();
    let second = Keys::load(&path, Some(&first), at(10)).unwrap();
    assert_ne!(second.signing_id(), first.signing_id());
    let ids = |keys: &Keys, now| serde_json::from_str::<JwkSet>(&keys.set(now)).unwrap().keys.len();
    assert!(verified(&second.set(at(609)), &old, "shop").is_ok(), "replaced, and served for ten minutes more");
    assert_eq!((ids(&second, at(609)), ids(&second, at(610))), (2, 1));
    let again = Keys::load(&path, Some(&second), at(20)).unwrap();
    assert_eq!((ids(&again, at(609)), ids(&again, at(610))), (2, 1), "another reload neither forgets nor prolongs");

    let both = std::fs::read_to_string(&path).unwrap() + &before;
    std::fs::write(&path, both).unwrap();
    let both = Keys::load(&path, None, at(10_000)).unwrap();
    assert_eq!(both.signing_id(), second.signing_id(), "the first key of the file signs");
    assert!(
        verified(&both.set(at(20_000)), &old, "shop").is_ok(),
        "the others are served for as long as they stand there"
    );
}

#[test]
fn a_key_that_others_may_read_or_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("assertion.key");
    Keys::load(&path, None, at(0)).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    let refused = Keys::load(&path, None, at(0)).unwrap_err().to_string();
    assert!(refused.contains("has mode 0644"), "{refused}");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    for text in ["", "nothing", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
        std::fs::write(&path, text).unwrap();
        let refused = Keys::load(&path, None, at(0)).unwrap_err().to_string();
        assert!(refused.contains("must hold private keys on the curve P-256"), "{refused}");
    }
}
