//! Which tokens are refused.

use aws_lc_rs::hmac;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::forge::{EC, ED, ISSUER, NOW, PSS, RSA, Signer, World, at, b64, but, claims, jwks, with};
use crate::identity::{Algorithm, AuthnError, IssuerSettings, KeySource, Settings};

#[test]
fn good_tokens_of_every_family_pass() {
    let p384 = Signer::ec384("p384");
    let signers = [&*RSA, &*PSS, &*EC, &*ED, &p384];
    let world = World::new(&signers);
    for signer in signers {
        let identity = world.verify(&signer.token(&claims())).unwrap();
        assert_eq!((&*identity.principal.issuer, &*identity.principal.subject), (ISSUER, "ada"), "{}", signer.alg);
        assert_eq!(identity.ends_at, at(NOW + 3600));
    }
}

#[test]
fn the_algorithm_belongs_to_the_key() {
    let world = World::new(&[&RSA, &EC]);
    for alg in [
        "none", "None", "NONE", "nOnE", "", "HS256", "hs256", "rs256", "RS256 ", "ES512", "ES256K", "RSA-OAEP",
        "A256KW",
    ] {
        for signature in [String::new(), b64(b"x")] {
            let header = json!({"alg":alg,"kid":"rsa","typ":"JWT"});
            let token =
                format!("{}.{}.{signature}", b64(header.to_string().as_bytes()), b64(claims().to_string().as_bytes()));
            assert!(matches!(world.verify(&token), Err(AuthnError::InvalidToken(_))), "{alg}");
        }
    }
    for alg in [json!(null), json!(1), json!(["RS256"]), json!({"RS256":1}), json!(true)] {
        let header = json!({"alg":alg,"kid":"rsa"});
        world.refuses(&RSA.raw(&header.to_string(), &claims().to_string()), "algorithm");
    }
    world.refuses(&RSA.raw(r#"{"kid":"rsa"}"#, &claims().to_string()), "algorithm");

    // the key's own algorithm is not the one stated
    for (kid, alg) in [("rsa", "PS256"), ("rsa", "ES256"), ("ec", "RS256"), ("ec", "EdDSA"), ("ec", "ES384")] {
        let header = json!({"alg":alg,"kid":kid}).to_string();
        world.refuses(&RSA.raw(&header, &claims().to_string()), "another algorithm");
    }
    // PKCS #1 and PSS signatures of one key are not interchangeable
    let header = json!({"alg":"RS256","kid":"pss"}).to_string();
    World::new(&[&PSS]).refuses(&PSS.raw(&header, &claims().to_string()), "another algorithm");
}

#[test]
fn a_public_key_is_nobodys_secret() {
    let world = World::new(&[&RSA, &EC, &ED]);
    for signer in [&*RSA, &*EC, &*ED] {
        for secret in [signer.public_der(), signer.jwk().to_string().into_bytes(), jwks(&[signer]).into_bytes()] {
            for (alg, digest) in
                [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
            {
                let header = json!({"alg":alg,"kid":signer.id}).to_string();
                let message = format!("{}.{}", b64(header.as_bytes()), b64(claims().to_string().as_bytes()));
                let tag = hmac::sign(&hmac::Key::new(digest, &secret), message.as_bytes());
                world.refuses(&format!("{message}.{}", b64(tag.as_ref())), "algorithm");
                // the same bytes under the algorithm of the key
                let header = json!({"alg":signer.alg,"kid":signer.id}).to_string();
                let message = format!("{}.{}", b64(header.as_bytes()), b64(claims().to_string().as_bytes()));
                world.refuses(&format!("{message}.{}", b64(tag.as_ref())), "signature");
            }
        }
    }
}

#[test]
fn an_algorithm_must_be_allowed_for_the_issuer() {
    let world = World::with(&[&RSA, &EC], |issuer| issuer.algorithms = vec![Algorithm::Es256]);
    world.refuses(&RSA.token(&claims()), "not allowed for this issuer");
    assert!(world.verify(&EC.token(&claims())).is_ok());
}

#[test]
fn keys_are_named_by_the_issuer_alone() {
    let (world, thief) = (World::new(&[&RSA, &EC]), Signer::ec("thief"));
    let text = claims().to_string();
    for kid in [
        json!("thief"),
        json!("EC"),
        json!("ec "),
        json!(" ec"),
        json!("ec\u{0}"),
        json!("../ec"),
        json!(""),
        json!("' OR 1=1"),
    ] {
        let header = json!({"alg":"ES256","kid":kid}).to_string();
        world.refuses(&EC.raw(&header, &text), "no key");
    }
    for kid in [json!(1), json!(null), json!(["ec"]), json!({}), json!("k".repeat(257))] {
        let header = json!({"alg":"ES256","kid":kid}).to_string();
        world.refuses(&EC.raw(&header, &text), "`kid`");
    }
    // keys that come with the token are not looked at
    for (name, value) in [
        ("jwk", thief.jwk()),
        ("jku", json!("https://thief.example/keys")),
        ("x5u", json!("https://thief.example/c")),
        ("x5c", json!(["MIIB"])),
    ] {
        for kid in ["ec", "thief"] {
            let header = with(json!({"alg":"ES256","kid":kid}), &json!({name:value}));
            assert!(
                matches!(world.verify(&thief.raw(&header.to_string(), &text)), Err(AuthnError::InvalidToken(_))),
                "{name}"
            );
        }
    }
    // another's signature under a known name
    let header = json!({"alg":"ES256","kid":"ec"}).to_string();
    world.refuses(&thief.raw(&header, &text), "signature");
}

#[test]
fn without_kid_the_key_must_be_the_only_one_that_fits() {
    let header = r#"{"alg":"ES256"}"#;
    assert!(World::new(&[&EC, &RSA]).verify(&EC.raw(header, &claims().to_string())).is_ok());
    let twin = Signer::ec("twin");
    World::new(&[&EC, &twin]).refuses(&EC.raw(header, &claims().to_string()), "no key");
}

#[test]
fn extensions_and_other_types_are_refused() {
    let world = World::new(&[&EC]);
    let refuse = |changes: &Value, reason: &str| {
        world.refuses(&EC.raw(&with(EC.header(), changes).to_string(), &claims().to_string()), reason);
    };
    for extension in [
        json!({"crit":["exp"]}),
        json!({"crit":[]}),
        json!({"crit":"b64"}),
        json!({"b64":false}),
        json!({"zip":"DEF"}),
        json!({"enc":"A128GCM"}),
    ] {
        refuse(&extension, "extension");
    }
    for typ in [
        "logout+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "application/logout+jwt",
        "JWE",
        "",
        "JWT ",
        "a/jwt",
        "application/x/jwt",
        "id+jwt",
    ] {
        refuse(&json!({"typ":typ}), "type");
    }
    for typ in [json!(1), json!(["JWT"]), json!(false)] {
        refuse(&json!({"typ":typ}), "`typ`");
    }
    for typ in [
        json!("JWT"),
        json!("jwt"),
        json!("at+jwt"),
        json!("application/at+jwt"),
        json!("Application/AT+JWT"),
        json!(null),
    ] {
        let header = with(EC.header(), &json!({"typ":typ})).to_string();
        assert!(world.verify(&EC.raw(&header, &claims().to_string())).is_ok(), "{typ}");
    }
    let world = World::with(&[&EC], |issuer| issuer.token_types = vec!["at+jwt".to_owned()]);
    world.refuses(&EC.token(&claims()), "type");
}

#[test]
fn id_tokens_and_other_kinds_are_not_access_tokens() {
    let (strict, lenient) =
        (World::new(&[&EC]), World::with(&[&EC], |issuer| issuer.token_types.push("id_token".to_owned())));
    for mark in [
        json!({"at_hash":"x"}),
        json!({"c_hash":"x"}),
        json!({"nonce":"x"}),
        json!({"token_use":"id"}),
        json!({"typ":"ID"}),
    ] {
        let token = EC.token(&but(&mark));
        strict.refuses(&token, "ID token");
        assert!(lenient.verify(&token).is_ok(), "{mark}");
    }
    let bearer = EC.token(&but(&json!({"nonce":"x","typ":"Bearer"})));
    assert!(strict.verify(&bearer).is_ok());
    for world in [&strict, &lenient] {
        world.refuses(&EC.token(&but(&json!({"events":{}}))), "event");
        for typ in ["Refresh", "Offline", "Logout"] {
            world.refuses(&EC.token(&but(&json!({"typ":typ}))), "issuer itself");
        }
    }
}

#[test]
fn a_token_has_one_spelling() {
    let world = World::new(&[&EC]);
    let good = EC.token(&claims());
    assert!(world.verify(&good).is_ok());
    let parts: Vec<&str> = good.split('.').collect();
    for (token, reason) in [
        (String::new(), "parts"),
        ("a".to_owned(), "parts"),
        (format!("{}.{}", parts[0], parts[1]), "parts"),
        (format!("{good}."), "parts"),
        (format!("{good}.x"), "parts"),
        (format!("{}.{}.{}.{}.{}", parts[0], parts[1], parts[2], parts[1], parts[2]), "parts"),
        (format!("{good}="), "base64url"),
        (format!("{good}=="), "base64url"),
        (format!("{good}\n"), "base64url"),
        (format!(" {good}"), "base64url"),
        (format!("{}.{}=.{}", parts[0], parts[1], parts[2]), "base64url"),
        (format!("{}.{}.", parts[0], parts[1]), "without signature"),
        (format!(".{}.{}", parts[1], parts[2]), "header"),
        (format!("{}..{}", parts[0], parts[2]), "claims"),
        ("..".to_owned(), "without signature"),
        (json!({"protected":parts[0],"payload":parts[1],"signature":parts[2]}).to_string(), "parts"),
    ] {
        world.refuses(&token, reason);
    }
    // the stray bits of the last character: the bytes are the same, the spelling is not
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = good.bytes().last().unwrap();
    let next = alphabet[alphabet.iter().position(|char| *char == last).unwrap() | 1];
    world.refuses(&format!("{}{}", good.strip_suffix(char::from(last)).unwrap(), char::from(next)), "base64url");
    // base64 instead of base64url
    let token = EC.raw(&with(EC.header(), &json!({"x":"???>>>"})).to_string(), &claims().to_string());
    assert!(token.contains(['-', '_']) && world.verify(&token).is_ok());
    world.refuses(&token.replace('-', "+").replace('_', "/"), "base64url");
}

#[test]
fn size_is_limited_before_anything_is_parsed() {
    let world = World::new(&[&EC]);
    let padded = |length: usize| EC.token(&but(&json!({"x":"x".repeat(length)})));
    assert!(world.verify(&padded(11_000)).is_ok());
    world.refuses(&padded(12_500), "longer");
    world.refuses(&"a".repeat(10_000_000), "longer");
    world.refuses(&".".repeat(16 * 1024), "parts");
}

#[test]
fn issuers_do_not_speak_for_each_other() {
    let (a, b) = (Signer::ec("same"), Signer::ec("same"));
    let folder = tempfile::tempdir().unwrap();
    let issuer = |name: &str, signer: &Signer| {
        let path = folder.path().join(name);
        std::fs::write(&path, jwks(&[signer])).unwrap();
        IssuerSettings::new(
            name,
            &format!("https://{name}.example"),
            vec!["hallpass".to_owned()],
            KeySource::File(path),
        )
    };
    let settings = Settings { issuers: vec![issuer("a", &a), issuer("b", &b)] };
    assert_eq!(
        settings.names().principal("b:ada").map(|principal| principal.issuer.to_string()),
        Some("https://b.example".to_owned())
    );
    let world = World::of(settings, folder);
    let of_a = but(&json!({"iss":"https://a.example"}));
    let of_b = but(&json!({"iss":"https://b.example"}));
    world.refuses(&b.token(&of_a), "signature");
    world.refuses(&a.token(&of_b), "signature");
    let (ada_of_a, ada_of_b) = (world.verify(&a.token(&of_a)).unwrap(), world.verify(&b.token(&of_b)).unwrap());
    assert_eq!(ada_of_a.principal.subject, ada_of_b.principal.subject);
    assert_ne!(ada_of_a.principal, ada_of_b.principal);
    world.refuses(&a.token(&claims()), "of an issuer nobody named");
}

proptest! {
    #[test]
    fn a_changed_byte_is_never_accepted(place in any::<prop::sample::Index>(), to in any::<u8>(), signer in 0..3_usize) {
        let signer = [&*RSA, &*EC, &*ED][signer];
        let world = World::new(&[signer]);
        let token = signer.token(&claims());
        let mut bytes = token.clone().into_bytes();
        let place = place.index(bytes.len());
        prop_assume!(bytes[place] != to);
        bytes[place] = to;
        if let Ok(changed) = String::from_utf8(bytes) {
            prop_assert!(world.verify(&changed).is_err(), "{changed}");
        }
    }

    #[test]
    fn no_text_upsets_the_reader(token in "[A-Za-z0-9_.=-]{0,200}|\\PC{0,100}") {
        prop_assert!(World::new(&[&ED]).verify(&token).is_err());
    }
}
