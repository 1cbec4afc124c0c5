//! Problems as pages, and who gets them.

use axum::body::Body;
use http::{Method, Request};
use serde_json::json;

use super::super::world::{ADA, GRACE, PORTAL, VAULT, World, id};
use super::{sent, sound};
use crate::portal::Limits;
use crate::portal::pages::asset;

#[tokio::test]
async fn a_browser_gets_a_page_and_everybody_else_the_problem() {
    let world = World::new().await;
    let ask = |path: &str, accept: &str| {
        let request = Request::builder().uri(path).header("accept", accept).body(Body::empty()).unwrap();
        world.ask_plainly(request)
    };
    let page = ask("/nowhere", "text/html,*/*;q=0.8").await;
    sound(&page);
    assert_eq!(page.status, 404);
    assert!(page.text().contains("<h1>Not found</h1>"), "{}", page.text());
    assert_eq!(ask("/nowhere", "*/*").await.problem(404), "unknown");
    assert_eq!(ask("/api/v1/nowhere", "text/html").await.problem(404), "unknown", "the API stays JSON");
    let wrong = Request::builder().method(Method::PUT).uri("/activate").header("sec-fetch-mode", "navigate");
    let wrong = world.ask_plainly(wrong.body(Body::empty()).unwrap()).await;
    sound(&wrong);
    assert_eq!((wrong.status.as_u16(), wrong.header("allow")), (405, "GET,HEAD,POST"));
}

#[tokio::test]
async fn what_one_may_not_see_looks_like_what_is_not_there() {
    let world = World::new().await;
    let there = world.requested(&ADA, VAULT).await;
    let absent = world.page(&super::super::world::BEN, "/activations/act_00000000000000000000000001").await;
    assert_eq!(absent.status, 404);
    for path in [format!("/activations/{}", id(&there)), "/activations/nonsense".to_owned()] {
        let answer = world.page(&super::super::world::BEN, &path).await;
        assert_eq!((answer.status, &answer.bytes), (absent.status, &absent.bytes), "{path}");
    }
}

#[tokio::test]
async fn too_much_at_once_is_a_page_too() {
    let world = World::with(Limits { requests_max: 0, ..Limits::default() }).await;
    let answer = world.page(&ADA, "/").await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "1"));
}

#[tokio::test]
async fn forms_are_taken_from_our_own_pages_only() {
    let world = World::new().await;
    let case = world.requested(&ADA, VAULT).await;
    let path = format!("/activations/{}/approve", id(&case));
    let fields = [("revision", "1"), ("justification", "go ahead, I am watching")];
    let form = "application/x-www-form-urlencoded";
    for (headers, status) in [
        (vec![("content-type", form)], 403),
        (vec![("content-type", form), ("origin", "https://shop.example")], 403),
        (vec![("content-type", form), ("origin", "null")], 403),
        (vec![("content-type", form), ("origin", PORTAL), ("sec-fetch-site", "cross-site")], 403),
        (vec![("content-type", form), ("origin", PORTAL), ("sec-fetch-site", "same-site")], 403),
        (vec![("origin", PORTAL)], 415),
        (vec![("origin", PORTAL), ("content-type", "text/plain")], 415),
        (vec![("origin", PORTAL), ("content-type", "multipart/form-data; boundary=x")], 415),
        (vec![("origin", PORTAL), ("content-type", "application/json")], 415),
    ] {
        let mut request = world.visit(&GRACE, Method::POST, &path);
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let answer = world.ask_plainly(request.body(sent(&fields)).unwrap()).await;
        sound(&answer);
        assert_eq!(answer.status, status, "{headers:?}");
    }
    for verb in ["cancel", "deactivate", "extend", "revoke", "approve", "deny"] {
        let answer = world.page(&GRACE, &format!("/activations/{}/{verb}", id(&case))).await;
        assert_eq!(answer.status, 405, "nothing is done by GET: {verb}");
    }
    let unchanged = world.get(&ADA, &format!("/activations/{}", id(&case))).await.expect(200);
    assert_eq!(unchanged["revision"], json!(1), "nothing happened");
    for stray in [("state", "active"), ("revision", "2")] {
        let fields: Vec<_> = fields.iter().copied().chain([stray]).collect();
        assert_eq!(world.form(&GRACE, &path, &fields).await.status, 400, "{stray:?}");
    }
    assert_eq!(world.form(&GRACE, &path, &fields).await.status, 303);
}

#[tokio::test]
async fn assets_are_kept_for_ever_under_a_name_that_changes_with_them() {
    let world = World::new().await;
    let ask = |path: String| world.ask_plainly(Request::builder().uri(path).body(Body::empty()).unwrap());
    for (path, media_type) in [
        (asset::style_path(), "text/css; charset=utf-8"),
        (asset::script_path(), "text/javascript; charset=utf-8"),
        (asset::icon_path(), "image/svg+xml"),
    ] {
        let answer = ask(path.to_owned()).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, media_type));
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        let (folder, name) = path.rsplit_once('/').unwrap();
        for wrong in [format!("{folder}/0{name}"), format!("{path}.gz"), format!("{folder}/style.css")] {
            let answer = ask(wrong).await;
            assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (404, "no-store"));
        }
    }
}
