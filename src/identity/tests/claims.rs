//! Which claims are refused.

use serde_json::{Value, json};

use super::forge::{EC, ED, ISSUER, NOW, RSA, World, at, b64, but, claims};
use crate::domain::time::Span;
use crate::identity::AuthnError;

#[test]
fn claims_are_one_plain_object() {
    let world = World::new(&[&EC]);
    let header = EC.header().to_string();
    let base = claims().to_string();
    let open = base.strip_suffix('}').unwrap();
    let twice = [r#","sub":"root"}"#, r#","\u0073ub":"root"}"#, r#","exp":9999999999}"#, r#","x":{"a":1,"a":2}}"#];
    for claims in twice.map(|rest| format!("{open}{rest}")).into_iter().chain(
        ["", "null", "[]", "\"x\"", "1", "{", "{}{}"].map(str::to_owned).into_iter().chain([
            format!("{base}{base}"),
            format!("[{base}]"),
            format!("\u{feff}{base}"),
            format!("{open},\"x\":{}1{}}}", "[".repeat(50), "]".repeat(50)),
            format!("{open},\"x\":{}1{}}}", "{\"a\":".repeat(1000), "}".repeat(1000)),
        ]),
    ) {
        world.refuses(&EC.raw(&header, &claims), "claims");
    }
    for header in [
        r#"{"alg":"ES256","alg":"ES256","kid":"ec"}"#,
        r#"{"alg":"none","alg":"ES256","kid":"ec"}"#,
        "[]",
        "",
        r#"{"alg":"ES256","kid":"ec","x":[[[[[[[[[[1]]]]]]]]]]}"#,
    ] {
        world.refuses(&EC.raw(header, &base), "header");
    }
    let message = format!("{}.{}", b64(header.as_bytes()), b64(&[open.as_bytes(), b",\"x\":\"\xff\"}"].concat()));
    world.refuses(&format!("{message}.{}", b64(&EC.sign(message.as_bytes()))), "claims");
}

#[test]
fn claims_of_a_wrong_type_or_value_are_refused() {
    let world = World::new(&[&RSA]);
    let wrong = [json!(1), json!(true), json!({}), json!({"x":1}), json!([[]])];
    for value in wrong.iter().chain(&[
        json!([ISSUER]),
        json!(""),
        json!("https://id.example/"),
        json!("HTTPS://id.example"),
        json!("https://id.example "),
        json!("https://evil.example"),
    ]) {
        let token = RSA.token(&but(&json!({"iss":value})));
        assert!(matches!(world.verify(&token), Err(AuthnError::InvalidToken(_))), "iss {value}");
    }
    for value in wrong.iter().chain(&[
        json!([]),
        json!("other"),
        json!("Hallpass"),
        json!(["other"]),
        json!(["hallpass", 1]),
        json!([null, "hallpass"]),
        json!({"hallpass":1}),
        json!([["hallpass"]]),
    ]) {
        world.refuses(&RSA.token(&but(&json!({"aud":value}))), "aud");
    }
    for value in [json!("hallpass"), json!(["hallpass"]), json!(["other", "hallpass"])] {
        assert!(world.verify(&RSA.token(&but(&json!({"aud":value})))).is_ok(), "{value}");
    }
    for value in wrong.iter().chain(&[
        json!(["ada"]),
        json!(""),
        json!("a\nb"),
        json!("a\u{0}"),
        json!("a\u{7f}"),
        json!("a".repeat(257)),
    ]) {
        world.refuses(&RSA.token(&but(&json!({"sub":value}))), "subject");
    }
    for name in ["exp", "nbf", "iat", "auth_time"] {
        for value in [
            json!((NOW + 60).to_string()),
            json!(1.5),
            json!(1e9),
            json!(-1),
            json!(true),
            json!([NOW]),
            json!({}),
            json!(u64::MAX),
        ] {
            world.refuses(&RSA.token(&but(&json!({name:value}))), "whole number");
        }
        let text = claims().to_string();
        let null = format!("{},\"{name}\":null}}", text.strip_suffix('}').unwrap());
        let null = if name == "exp" || name == "iat" {
            text.replacen(&format!("\"{name}\":"), &format!("\"{name}\":null,\"x\":"), 1)
        } else {
            null
        };
        world.refuses(&RSA.raw(&RSA.header().to_string(), &null), "whole number");
    }
    for name in ["iss", "aud", "sub", "exp"] {
        let token = RSA.token(&but(&json!({name:null})));
        assert!(matches!(world.verify(&token), Err(AuthnError::InvalidToken(_))), "without {name}");
    }
    for (name, value) in [
        ("amr", json!("mfa")),
        ("amr", json!([1])),
        ("amr", json!([""])),
        ("acr", json!(1)),
        ("acr", json!([])),
        ("groups", json!("admin")),
        ("groups", json!({"admin":1})),
        ("groups", json!([1])),
        ("groups", json!(["a", null])),
        ("groups", json!([""])),
        ("groups", json!(["a\nb"])),
    ] {
        world.refuses(&RSA.token(&but(&json!({name:value}))), "");
    }
}

#[test]
fn times_are_held_against_the_clock() {
    let world = World::with(&[&ED], |issuer| {
        issuer.leeway = Span::seconds(30);
        issuer.token_lifetime_max = Span::hours(2);
    });
    let passes = |changes: Value| world.verify(&ED.token(&but(&changes))).is_ok();
    assert!(passes(json!({"exp":NOW + 1})));
    assert!(!passes(json!({"exp":NOW})), "the end is exact and exclusive");
    assert!(!passes(json!({"exp":NOW - 1})));
    assert!(passes(json!({"nbf":NOW + 30})) && !passes(json!({"nbf":NOW + 31})));
    assert!(passes(json!({"iat":NOW + 30})) && !passes(json!({"iat":NOW + 31})));
    assert!(passes(json!({"auth_time":NOW + 30})) && !passes(json!({"auth_time":NOW + 31})));
    assert!(passes(json!({"iat":NOW - 100, "exp":NOW + 7100})) && !passes(json!({"iat":NOW - 100, "exp":NOW + 7101})));
    assert!(passes(json!({"iat":null, "exp":NOW + 7200})) && !passes(json!({"iat":null, "exp":NOW + 7201})));
    for far in [95_617_584_000_i64, 253_402_300_800, i64::MAX] {
        assert!(!passes(json!({"exp":far})) && !passes(json!({"exp":far,"iat":null})), "{far}");
    }
    let token = ED.token(&claims());
    world.manual.set(at(NOW + 3599));
    assert!(world.verify(&token).is_ok());
    world.manual.set(at(NOW + 3600));
    world.refuses(&token, "expired");
    world.manual.set(at(NOW));
    world.refuses(&token, "expired");
}
