//! Which keys are used, and which settings.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use super::forge::{EC, ED, ISSUER, PSS, RSA, Signer, World, b64, claims, with};
use crate::domain::time::Span;
use crate::identity::algorithm::Algorithm;
use crate::identity::keys::KeySet;
use crate::identity::{Authenticator, IssuerSettings, KeySource, Settings};
use crate::telemetry::Metrics;

fn settings() -> IssuerSettings {
    IssuerSettings::new("demo", ISSUER, vec!["hallpass".to_owned()], KeySource::Discovery)
}

/// Parses a set of this key beside a good one; the reason when it was left out.
fn beside_a_good_one(jwk: &Value) -> Result<usize, &'static str> {
    let good = Signer::ec("good");
    let set = json!({"keys":[jwk, good.jwk()]}).to_string();
    let (set, refused) = KeySet::parse(set.as_bytes(), &settings()).expect("the good key serves on");
    assert!(set.find(Some("good"), Algorithm::Es256).is_some());
    match refused.first() {
        Some(refused) => Err(refused.reason),
        None => Ok([Algorithm::Rs256, Algorithm::Ps256, Algorithm::EdDsa]
            .iter()
            .filter(|alg| set.find(None, **alg).is_some())
            .count()),
    }
}

fn rsa_of(bits: usize) -> Value {
    let mut modulus = vec![0xff; bits / 8];
    modulus[0] = 0x80;
    with(RSA.jwk(), &json!({"n":b64(&modulus)}))
}

#[test]
fn weak_odd_and_foreign_keys_are_left_out_and_the_rest_serve_on() {
    for (jwk, reason) in [
        (rsa_of(1024), "2048"),
        (rsa_of(2040), "2048"),
        (with(RSA.jwk(), &json!({"n":b64(&[&[0_u8; 200][..], &[0xff; 128][..]].concat())})), "2048"),
        (rsa_of(16384), "odd"),
        (with(RSA.jwk(), &json!({"e":b64(&[1])})), "odd"),
        (with(RSA.jwk(), &json!({"e":b64(&[2])})), "odd"),
        (with(RSA.jwk(), &json!({"e":""})), "odd"),
        (with(RSA.jwk(), &json!({"e":null})), "missing"),
        (with(RSA.jwk(), &json!({"n":"!!"})), "base64url"),
        (with(RSA.jwk(), &json!({"use":"enc"})), "signatures"),
        (with(RSA.jwk(), &json!({"use":1})), "signatures"),
        (with(RSA.jwk(), &json!({"key_ops":["encrypt"]})), "verifying"),
        (with(RSA.jwk(), &json!({"key_ops":"verify"})), "verifying"),
        (with(RSA.jwk(), &json!({"alg":"ES256"})), "fit"),
        (with(RSA.jwk(), &json!({"alg":"HS256"})), "supported"),
        (with(RSA.jwk(), &json!({"alg":"RSA-OAEP"})), "supported"),
        (with(RSA.jwk(), &json!({"alg":"RS512"})), "allowed"),
        (with(RSA.jwk(), &json!({"d":"AQAB"})), "private"),
        (with(RSA.jwk(), &json!({"kid":5})), "kid"),
        (with(RSA.jwk(), &json!({"kid":"k".repeat(257)})), "kid"),
        (with(RSA.jwk(), &json!({"issuer":"https://other.example"})), "another issuer"),
        (with(EC.jwk(), &json!({"crv":"P-521"})), "curve"),
        (with(EC.jwk(), &json!({"crv":"secp256k1"})), "curve"),
        (with(EC.jwk(), &json!({"crv":"P-384","alg":null})), "length"),
        (with(EC.jwk(), &json!({"x":EC.jwk()["y"],"y":EC.jwk()["x"]})), "point"),
        (with(EC.jwk(), &json!({"x":b64(&[0; 32]),"y":b64(&[0; 32])})), "point"),
        (with(EC.jwk(), &json!({"alg":"RS256"})), "fit"),
        (with(ED.jwk(), &json!({"crv":"X25519"})), "curve"),
        (with(ED.jwk(), &json!({"crv":"Ed448"})), "curve"),
        (with(ED.jwk(), &json!({"x":b64(&[1; 31])})), "point"),
        (json!({"kty":"oct","k":"c2VjcmV0","alg":"HS256","kid":"s"}), "symmetric"),
        (json!({"kid":"nothing"}), "kty"),
    ] {
        let refused = beside_a_good_one(&jwk).expect_err(&jwk.to_string());
        assert!(refused.contains(reason), "left out because `{refused}`, not because `{reason}`: {jwk}");
    }
    assert_eq!(
        beside_a_good_one(&json!({"kty":"AKP","kid":"future","alg":"ML-DSA-65","pub":"x"})),
        Ok(0),
        "unknown kinds are skipped"
    );
    assert_eq!(beside_a_good_one(&RSA.jwk()), Ok(1));
    assert_eq!(beside_a_good_one(&with(RSA.jwk(), &json!({"use":null,"key_ops":["verify"],"x5c":["x"]}))), Ok(1));
    assert_eq!(beside_a_good_one(&with(RSA.jwk(), &json!({"issuer":"https://login.example/{tenantid}/v2.0"}))), Ok(1));
}

#[test]
fn a_leading_zero_does_not_make_another_key() {
    let modulus = BASE64URL_NOPAD.decode(RSA.jwk()["n"].as_str().unwrap().as_bytes()).unwrap();
    let padded = with(RSA.jwk(), &json!({"n":b64(&[&[0][..], &modulus].concat())}));
    let parse = |jwk: &Value| KeySet::parse(json!({"keys":[jwk]}).to_string().as_bytes(), &settings()).unwrap().0;
    assert!(parse(&padded).equals(&parse(&RSA.jwk())));
    assert!(!parse(&PSS.jwk()).equals(&parse(&RSA.jwk())));
}

#[test]
fn namesakes_are_both_left_out() {
    let (a, b) = (Signer::ec("same"), Signer::ed("same"));
    let set = json!({"keys":[a.jwk(), b.jwk(), RSA.jwk()]}).to_string();
    let (set, refused) = KeySet::parse(set.as_bytes(), &settings()).unwrap();
    assert_eq!(refused.len(), 2);
    assert!(set.find(Some("same"), Algorithm::Es256).is_none() && set.find(Some("rsa"), Algorithm::Rs256).is_some());
}

#[test]
fn an_rsa_key_without_algorithm_gets_exactly_one() {
    let set = json!({"keys":[with(RSA.jwk(), &json!({"alg":null}))]}).to_string();
    let algorithm = |allowed: &[Algorithm]| {
        let settings = IssuerSettings { algorithms: allowed.to_vec(), ..settings() };
        let (set, _) = KeySet::parse(set.as_bytes(), &settings).ok()?;
        set.find(Some("rsa"), Algorithm::Rs256).map(|key| key.algorithm)
    };
    assert_eq!(algorithm(&[Algorithm::Ps256, Algorithm::Rs256]), Some(Algorithm::Rs256));
    assert_eq!(algorithm(&[Algorithm::Es256, Algorithm::Ps384]), Some(Algorithm::Ps384));
    assert_eq!(algorithm(&[Algorithm::Es256]), None);
}

#[test]
fn a_set_without_usable_key_is_no_set() {
    let many = json!({"keys":vec![json!({"kty":"AKP"}); 257]}).to_string();
    for set in [
        "",
        "{}",
        "[]",
        "null",
        r#"{"keys":[]}"#,
        r#"{"keys":{}}"#,
        r#"{"keys":[1]}"#,
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[{"kty":"oct","k":"eA"}]}"#,
        &many,
    ] {
        assert!(KeySet::parse(set.as_bytes(), &settings()).is_err(), "{set:.60}");
    }
}

#[test]
fn a_refused_key_is_counted() {
    let world = World::new(&[&RSA]);
    world.write_keys(&json!({"keys":[RSA.jwk(), rsa_of(1024)]}).to_string());
    world.authenticator.reload(Settings { issuers: vec![world.settings()] }).unwrap();
    assert!(world.verify(&RSA.token(&claims())).is_ok());
    let text = world.metrics.encode();
    let line = r#"hallpass_jwks_keys_refused_total{issuer="demo",reason="RSA of less than 2048 bits"} 1"#;
    assert!(text.contains(line), "{text}");
}

#[test]
fn settings_are_refused_with_every_problem() {
    let good = settings();
    let settings = Settings {
        issuers: vec![
            IssuerSettings { name: "a:b".into(), audiences: Vec::new(), ..good.clone() },
            IssuerSettings { leeway: Span::seconds(61), keys_max_age: Span::ZERO, ..good.clone() },
            IssuerSettings {
                issuer: "https://b.example".into(),
                token_types: vec!["Logout+JWT".to_owned()],
                ..good.clone()
            },
            IssuerSettings { name: "c".into(), issuer: "http://c.example".into(), ..good.clone() },
            IssuerSettings {
                name: "d".into(),
                issuer: "d".into(),
                keys: KeySource::Url("http://10.0.0.1/".to_owned()),
                algorithms: Vec::new(),
                ..good
            },
        ],
    };
    let problems = settings.check().unwrap_err().problems;
    for expected in [
        "`:`",
        "`audience`",
        "`issuer` is used twice",
        "60s",
        "must not be 0",
        "used twice",
        "never grant access",
        "`c`: keys",
        "`d`: keys",
        "`algorithms`",
    ] {
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected} in {problems:#?}");
    }
    assert_eq!(problems.len(), 10, "{problems:#?}");
}

#[test]
fn a_key_file_that_cannot_be_used_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, _) = crate::clock::Clock::manual(super::forge::at(super::forge::NOW));
    for content in [None, Some("{}")] {
        if let Some(content) = content {
            std::fs::write(folder.path().join("keys.json"), content).unwrap();
        }
        let settings = Settings { issuers: vec![super::forge::from_file(&folder)] };
        let refused = Authenticator::new(settings, clock.clone(), &Metrics::default()).unwrap_err();
        assert!(refused.to_string().contains("keys.json"), "{refused}");
    }
}
