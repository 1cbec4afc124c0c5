//! The document and the router name the same routes.

use std::collections::BTreeSet;

use axum::body::Body;
use http::{Method, Request};
use serde_json::Value;

use super::schema::DOCUMENT;
use super::world::World;

/// The API as it was agreed on.
const ROUTES: &str = "\
GET /api/v1/activations
POST /api/v1/activations
POST /api/v1/activations/decisions
GET /api/v1/activations/{id}
POST /api/v1/activations/{id}/approve
POST /api/v1/activations/{id}/cancel
POST /api/v1/activations/{id}/deactivate
POST /api/v1/activations/{id}/deny
POST /api/v1/activations/{id}/extend
POST /api/v1/activations/{id}/revoke
GET /api/v1/active-assignments
POST /api/v1/active-assignments
DELETE /api/v1/active-assignments/{id}
GET /api/v1/active-assignments/{id}
PATCH /api/v1/active-assignments/{id}
GET /api/v1/audit
POST /api/v1/audit/anchors
GET /api/v1/audit/checkpoint
GET /api/v1/audit/export
GET /api/v1/audit/head
GET /api/v1/audit/verification
POST /api/v1/audit/verification
GET /api/v1/backup
GET /api/v1/eligible-assignments
POST /api/v1/eligible-assignments
DELETE /api/v1/eligible-assignments/{id}
GET /api/v1/eligible-assignments/{id}
PATCH /api/v1/eligible-assignments/{id}
GET /api/v1/events
GET /api/v1/me
POST /api/v1/principals/{principal}/erase
DELETE /api/v1/principals/{principal}/lock
POST /api/v1/principals/{principal}/lock
POST /api/v1/principals/{principal}/revoke-credentials
GET /api/v1/roles
GET /api/v1/roles/{app}/{role}
GET /api/v1/uses
";

fn operations() -> Vec<(String, String, &'static Value)> {
    let mut all = Vec::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for method in ["delete", "get", "patch", "post", "put"] {
            if let Some(operation) = item.get(method) {
                all.push((method.to_uppercase(), path.clone(), operation));
            }
        }
    }
    all
}

#[test]
fn the_document_holds_the_api_agreed_on() {
    let routes: String = operations().iter().map(|(method, path, _)| format!("{method} {path}\n")).collect();
    assert_eq!(routes, ROUTES);
    assert!(DOCUMENT["openapi"].as_str().unwrap().starts_with("3.1"));
    let ids: BTreeSet<_> =
        operations().iter().map(|(_, _, operation)| operation["operationId"].clone().to_string()).collect();
    assert_eq!(ids.len(), operations().len(), "{ids:?}");
    for (method, path, operation) in operations() {
        assert!(
            operation["responses"]["default"]["content"]["application/problem+json"].is_object(),
            "{method} {path}"
        );
    }
}

/// The schemas that requests are read by: each refuses members it does not name.
#[test]
fn every_body_that_is_read_is_closed() {
    for (method, path, operation) in operations() {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let Some(reference) = schema["$ref"].as_str() else { continue };
        let name = reference.rsplit('/').next().unwrap();
        let closed = &DOCUMENT["components"]["schemas"][name]["additionalProperties"];
        assert_eq!(closed, &Value::Bool(false), "{method} {path}: {name}");
    }
}

#[tokio::test]
async fn the_router_serves_what_the_document_names_and_no_other_method() {
    let world = World::new().await;
    for path in DOCUMENT["paths"].as_object().unwrap().keys() {
        let item = &DOCUMENT["paths"][path];
        let concrete = path.replace(['{', '}'], "");
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let request = Request::builder().method(method.clone()).uri(&concrete).body(Body::empty()).unwrap();
            let answer = world.ask_plainly(request).await;
            // nobody is signed in: what is served says so, whatever else would be wrong
            let served = item.get(method.as_str().to_lowercase()).is_some();
            assert_eq!(answer.status, if served { 401 } else { 405 }, "{method} {concrete}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn the_document_is_served_as_it_is() {
    let world = World::new().await;
    let request = Request::builder().uri("/api/openapi.json").body(Body::empty()).unwrap();
    let answer = world.ask_plainly(request).await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.json(), *DOCUMENT);
}
