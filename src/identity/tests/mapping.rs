//! What an identity holds of the claims.

use serde_json::{Value, json};

use super::forge::{ED, ISSUER, NOW, World, at, but};
use crate::domain::identity::Identity;
use crate::identity::{AuthnError, IssuerSettings};

fn identity(changes: &Value, settings: impl FnOnce(&mut IssuerSettings)) -> Result<Identity, AuthnError> {
    let world = World::with(&[&ED], settings);
    world.verify(&ED.token(&but(changes))).map(|identity| Identity::clone(&identity))
}

fn plain(changes: &Value) -> Identity {
    identity(changes, |_| {}).unwrap()
}

fn groups(identity: &Identity) -> Vec<&str> {
    assert!(identity.groups.iter().all(|group| &*group.issuer == ISSUER));
    identity.groups.iter().map(|group| &*group.name).collect()
}

#[test]
fn everything_a_token_says_is_kept_once() {
    let ada = plain(&json!({
        "name":"Ada Lovelace","email":"ada@example.com","groups":["ops","dev","ops","Dev"],
        "amr":["pwd","otp"],"acr":"aal2","auth_time":NOW - 60,
    }));
    assert_eq!((ada.name.as_deref(), ada.mail.as_deref()), (Some("Ada Lovelace"), Some("ada@example.com")));
    assert_eq!(groups(&ada), ["Dev", "dev", "ops"]);
    assert_eq!((ada.assurance.amr.join(" "), ada.assurance.acr.as_deref()), ("pwd otp".to_owned(), Some("aal2")));
    assert_eq!(ada.assurance.auth_time, Some(at(NOW - 60)));
    let bare = plain(&json!({}));
    assert_eq!((bare.name, bare.mail, bare.groups.len()), (None, None, 0));
}

#[test]
fn claims_are_found_where_the_operator_says() {
    let keycloak = json!({
        "oid":"0001","realm_access":{"roles":["admin"]},"https://example.com/groups":["namespaced"],"profile":{"label":"Ada"},
    });
    let nested = identity(&keycloak, |issuer| {
        issuer.claims.subject = "oid".into();
        issuer.claims.groups = "realm_access.roles".into();
        issuer.claims.name = "profile.label".into();
    })
    .unwrap();
    assert_eq!((&*nested.principal.subject, nested.name.as_deref()), ("0001", Some("Ada")));
    assert_eq!(groups(&nested), ["admin"]);
    let namespaced = identity(&keycloak, |issuer| issuer.claims.groups = "https://example.com/groups".into()).unwrap();
    assert_eq!(groups(&namespaced), ["namespaced"]);
    let missing = identity(&keycloak, |issuer| issuer.claims.groups = "realm_access.roles.deeper".into()).unwrap();
    assert!(missing.groups.is_empty());
    assert!(identity(&keycloak, |issuer| issuer.claims.subject = "absent".into()).is_err());
    assert!(
        identity(&keycloak, |issuer| issuer.claims.groups = "realm_access".into()).is_err(),
        "an object is no list"
    );
}

#[test]
fn groups_that_were_left_out_are_unknown_and_grant_nothing() {
    for overage in [
        json!({"_claim_names":{"groups":"src1"},"_claim_sources":{"src1":{"endpoint":"https://graph.example/x"}}}),
        json!({"hasgroups":true}),
        json!({"hasgroups":"true","groups":["admin"]}),
        json!({"_claim_names":{"groups":"src1"},"groups":["admin"]}),
    ] {
        assert!(plain(&overage).groups.is_empty(), "{overage}");
    }
    assert_eq!(groups(&plain(&json!({"_claim_names":{"address":"src1"},"hasgroups":false,"groups":["dev"]}))), ["dev"]);
}

#[test]
fn groups_are_counted() {
    let many = |count: usize| json!({"groups":(0..count).map(|number| number.to_string()).collect::<Vec<_>>()});
    assert_eq!(plain(&many(1000)).groups.len(), 1000);
    assert_eq!(identity(&many(1001), |_| {}), Err(AuthnError::InvalidToken("too many groups")));
}

#[test]
fn what_is_shown_is_harmless() {
    for (name, shown) in [
        (json!("  Ada \r\n<b>"), Some("Ada <b>")),
        (json!("evil\u{202e}live"), Some("evillive")),
        (json!("\u{200b}\u{feff}\u{2066}"), None),
        (json!(""), None),
        (json!(7), None),
        (json!(["Ada"]), None),
    ] {
        assert_eq!(plain(&json!({"name":name})).name.as_deref(), shown, "{name}");
    }
    assert_eq!(plain(&json!({"name":"é".repeat(500)})).name.unwrap().chars().count(), 200);
    for mail in [
        "ada",
        "@example.com",
        "ada@",
        "a@b@c",
        "a b@example.com",
        "ada@exam\nple.com",
        "ada@\u{202e}x",
        &format!("{}@example.com", "a".repeat(250)),
    ] {
        assert_eq!(plain(&json!({"email":mail})).mail, None, "{mail}");
    }
    for (verified, kept) in [(json!(true), true), (json!(null), true), (json!(false), false), (json!("false"), false)] {
        let ada = plain(&json!({"email":"ada@example.com","email_verified":verified}));
        assert_eq!(ada.mail.is_some(), kept, "{verified}");
    }
}

#[test]
fn subjects_are_compared_byte_for_byte() {
    for subject in ["Ada", "ada ", "auth0|ada", "ada@example.com", "é", "e\u{301}"] {
        assert_eq!(&*plain(&json!({"sub":subject})).principal.subject, subject);
    }
}
