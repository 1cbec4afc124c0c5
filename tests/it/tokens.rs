//! Tokens at the gate: two issuers at once, wrong tokens, rotation.

use hallpass::demo::issuer::{ADA, Issuer, TokenOptions};
use hallpass::domain::time::Span;
use serde_json::json;

use crate::support::{House, Who, until};

#[tokio::test]
async fn wrong_tokens_are_refused_and_say_so() {
    let house = House::new().await;
    let good = house.ada().token;
    let (head, rest) = good.split_once('.').expect("three parts");
    let with = |options: TokenOptions| Who::with(&house, &ADA, &options).token;
    let claim = |name: &str, value: serde_json::Value| {
        let mut options = TokenOptions::default();
        options.claims.insert(name.to_owned(), value);
        with(options)
    };
    let header = |name: &str, value: serde_json::Value| {
        let mut options = TokenOptions::default();
        options.header.insert(name.to_owned(), value);
        with(options)
    };
    let table = [
        ("nonsense", "nonsense".to_owned()),
        ("two parts", format!("{head}.{}", rest.split('.').next().expect("a payload"))),
        ("an altered signature", format!("{}x", good.get(..good.len() - 1).expect("a token"))),
        ("another audience", claim("aud", json!("somebody-else"))),
        ("another issuer", claim("iss", json!("https://evil.test"))),
        ("an issuer in a list", claim("iss", json!([house.issuer.url()]))),
        ("no end", claim("exp", json!(null))),
        ("an end as text", claim("exp", json!("4000000000"))),
        ("an end far away", claim("exp", json!(95_617_584_000_u64))),
        ("no subject", claim("sub", json!(null))),
        ("not yet valid", claim("nbf", json!(4_000_000_000_u64))),
        ("no algorithm", header("alg", json!("none"))),
        ("another algorithm", header("alg", json!("HS256"))),
        ("a critical extension", header("crit", json!(["exp"]))),
        ("an unknown key", header("kid", json!("other"))),
        ("a logout token", header("typ", json!("logout+jwt"))),
    ];
    for (what, token) in table {
        let request = house.http.get(format!("{}/account", house.gate())).bearer_auth(token);
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 401, "{what}");
        let challenge = response.headers()["www-authenticate"].to_str().expect("text");
        assert!(challenge.contains(r#"error="invalid_token""#), "{what}: {challenge}");
    }
    house.stop().await;
}

#[tokio::test]
async fn a_token_ends_when_it_says_also_when_it_is_remembered() {
    let house = House::new().await;
    let ada = house.ada();
    assert_eq!(ada.get("/account").await.status, 200);
    house.pass(Span::seconds(3599));
    assert_eq!(ada.get("/account").await.status, 200);
    house.pass(Span::seconds(1));
    assert_eq!(ada.get("/account").await.status, 401);
    house.stop().await;
}

#[tokio::test]
async fn rotated_keys_are_found_and_withdrawn_ones_are_not_believed() {
    let house = House::new().await;
    let old = house.ada();
    assert_eq!(old.get("/account").await.status, 200);
    house.issuer.rotate().expect("rotated");
    house.issuer.forget_former_keys();
    let new = house.ada();
    // a wish for keys is granted after half a minute; one that failed, by the next. Few of them, or the token is over
    let mut looks = 0;
    until("the new key is found", async || {
        if looks % 500 == 1 {
            house.pass(Span::seconds(31));
        }
        looks += 1;
        new.get("/account").await.status == 200
    })
    .await;
    assert_eq!(old.get("/account").await.status, 401, "its key is gone");
    house.stop().await;
}

#[tokio::test]
async fn two_issuers_who_say_the_same_name_speak_of_two_people() {
    let (clock, _) = hallpass::clock::Clock::manual(hallpass::domain::time::Timestamp::from_seconds(1_795_420_800));
    let other = Issuer::start(clock).await.expect("another issuer");
    let more = format!(
        "[[issuer]]\nname = \"guest\"\nissuer = \"{}\"\naudience = [\"hallpass\"]\njwks_url = \"{}\"\n",
        other.url(),
        other.keys_url()
    );
    let house = House::with(&more).await;
    house.ada_holds_the_vault("10m").await;
    assert_eq!(house.ada().get("/vault").await.status, 200);
    let guest = Who { token: other.token(&ADA, &TokenOptions::default()).expect("a token"), ..house.ada() };
    until("the keys of the other issuer are there", async || guest.get("/account").await.status == 200).await;
    assert_eq!(guest.get("/vault").await.status, 403);
    assert_eq!(guest.read("/me").await.expect(200).json()["principal"], "guest:ada");
    house.stop().await;
}
