//! What a provider says anew of somebody who signed in, and what that may change.

use serde_json::json;

use super::browser::{Manner, Street};
use crate::domain::time::Span;

#[tokio::test]
async fn a_refresh_tells_of_the_sign_in_there_was_and_never_of_a_better_one() {
    let street = Street::new().await;
    let signed_in_at = street.now().as_seconds();
    let now = signed_in_at + 360;
    // what the sign-in said, what the refresh says, and what is believed then: `auth_time`, `acr`, `amr`
    let table = [
        (json!({}), json!({"auth_time": now}), (Some(signed_in_at), None, vec!["pwd"])),
        (json!({}), json!({"auth_time": signed_in_at - 60}), (Some(signed_in_at - 60), None, vec!["pwd"])),
        (json!({"auth_time": null}), json!({"auth_time": now}), (None, None, vec!["pwd"])),
        (json!({}), json!({"acr": "gold", "amr": ["pwd", "hwk"]}), (Some(signed_in_at), None, vec!["pwd"])),
        (json!({"acr": "bronze"}), json!({"acr": "gold"}), (Some(signed_in_at), None, vec!["pwd"])),
        (json!({"acr": "gold"}), json!({"acr": "gold"}), (Some(signed_in_at), Some("gold"), vec!["pwd"])),
        (json!({"acr": "gold"}), json!({}), (Some(signed_in_at), Some("gold"), vec!["pwd"])),
        (json!({"amr": ["pwd", "otp"]}), json!({"amr": ["otp"]}), (Some(signed_in_at), None, vec!["otp"])),
        (json!({"amr": null}), json!({"amr": ["hwk"]}), (Some(signed_in_at), None, vec![])),
    ];
    for (first, then, (auth_time, acr, amr)) in table {
        let street = Street::new().await;
        street.behave(Manner { claims: first.clone(), ..Manner::default() });
        let browser = street.signed_in().await;
        // a provider that leaves `auth_time` out of the second token unless the row says otherwise
        let mut said = json!({"auth_time": null});
        said.as_object_mut().unwrap().extend(then.as_object().unwrap().clone());
        street.behave(Manner { claims: said, ..Manner::default() });
        street.pass(Span::minutes(6));
        let session = street.who(&browser, &street.gate).await.unwrap();
        assert_eq!(street.asked().len(), 2);
        let came = &session.identity().assurance;
        let told = (came.auth_time.map(|at| at.as_seconds()), came.acr.as_deref());
        assert_eq!(told, (auth_time, acr), "{first} {then}");
        assert_eq!(came.amr, amr, "{first} {then}");
    }
}

#[tokio::test]
async fn a_provider_that_never_says_again_who_it_is_is_believed_for_the_stated_time() {
    let street = Street::with(|settings| settings.session_unrefreshed_max = Span::minutes(45)).await;
    let browser = street.signed_in().await;
    street.behave(Manner { response: json!({"id_token": null}), ..Manner::default() });
    for _ in 0..11 {
        street.pass(Span::minutes(4));
        assert!(street.is_in(&browser, &street.gate).await, "its refresh token still works");
    }
    street.pass(Span::minutes(1));
    assert!(!street.is_in(&browser, &street.gate).await, "its groups are 45 minutes old");
    // one that does is asked for as long as the session may last
    street.behave(Manner::default());
    let browser = street.signed_in().await;
    for _ in 0..30 {
        street.pass(Span::minutes(4));
        assert!(street.is_in(&browser, &street.gate).await);
    }
}
