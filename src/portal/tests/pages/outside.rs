//! The pages: useful without sign-in, and harmless whatever the link says.

use axum::body::Body;
use http::Request;

use super::super::world::{Answer, World};

async fn page(world: &World, path: &str) -> Answer {
    world.ask_plainly(Request::builder().uri(path).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn the_link_of_a_denial_shows_how_to_ask() {
    let world = World::new().await;
    let answer =
        page(&world, "/activate?role=shop/vault-reader&return_to=https%3A%2F%2Fshop.example%2Fvault%3Fa%3D1%26b").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    let text = answer.text();
    assert!(text.contains("hallpass request shop/vault-reader \\\n  --portal 'https://pim.example' \\\n"), "{text}");
    assert!(text.contains("curl 'https://pim.example/api/v1/activations'"), "{text}");
    assert!(text.contains("href=\"https://shop.example/vault?a=1&amp;b\""), "{text}");
    super::sound_to_a_stranger(&answer);
    let start = page(&world, "/").await.text();
    assert!(start.contains("/api/openapi.json") && start.contains("https://pim.example/api/v1"), "{start}");
}

#[tokio::test]
async fn the_link_of_a_pending_request_shows_how_to_see_it() {
    let world = World::new().await;
    let id = "act_0123456789abcdefghjkmnpqrs";
    let answer = page(&world, &format!("/activations/{id}?return_to=https%3A%2F%2Fshop.example%2Fvault")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    let text = answer.text();
    for line in [
        format!("hallpass cancel {id} --portal 'https://pim.example'"),
        format!("curl 'https://pim.example/api/v1/activations/{id}'"),
        format!("hallpass approve {id} --portal 'https://pim.example'"),
        "href=\"https://shop.example/vault\"".to_owned(),
    ] {
        assert!(text.contains(&line), "{line}: {text}");
    }
    for wrong in ["act_", "act_%3Cb%3E", "asg_0123456789abcdefghjkmnpqrs"] {
        let answer = page(&world, &format!("/activations/{wrong}")).await;
        assert_eq!(answer.status, 400, "{wrong}");
        assert!(!answer.text().contains("<b>"), "{wrong}");
    }
    let elsewhere = page(&world, &format!("/activations/{id}?return_to=https%3A%2F%2Fevil.example%2F")).await.text();
    assert!(!elsewhere.contains("evil"), "{elsewhere}");
}

#[tokio::test]
async fn what_a_link_brings_never_becomes_markup_or_a_way_elsewhere() {
    let world = World::new().await;
    for role in ["", "vault", "%3Cscript%3Ealert(1)%3C%2Fscript%3E", "a/b%20c", "a/b%0A", "a/b'%3B%20rm%20-rf%20%2F"] {
        let answer = page(&world, &format!("/activate?role={role}")).await;
        assert_eq!(answer.status, 400, "{role}");
        assert!(!answer.text().contains("alert") && !answer.text().contains("rm -rf"), "{}", answer.text());
    }
    assert_eq!(page(&world, "/activate").await.status, 400);
    for elsewhere in [
        "https%3A%2F%2Fevil.example%2F",
        "javascript%3Aalert(1)",
        "%2F%2Fevil.example",
        "https%3A%2F%2Fshop.example%40evil.example%2F",
    ] {
        let text = page(&world, &format!("/activate?role=a/b&return_to={elsewhere}")).await.text();
        assert!(!text.contains("evil") && !text.contains("alert"), "{text}");
    }
    let quoted = page(&world, "/activate?role=a/b&return_to=https%3A%2F%2Fshop.example%2F%22%3E%3Cb%3E").await.text();
    assert!(!quoted.contains("<b>"), "{quoted}");
}
