//! What lies in the larder: recipes that anybody signed in may read, and a vault.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};

use super::{Larder, identity, pages};

/// Recipes by name.
#[derive(Debug)]
pub(super) struct Records(RwLock<BTreeMap<String, String>>);

impl Default for Records {
    fn default() -> Self {
        let recipes = [("marmalade", "oranges, sugar, patience"), ("rye-bread", "rye, water, salt, a night")];
        Self(RwLock::new(recipes.map(|(name, text)| (name.to_owned(), text.to_owned())).into()))
    }
}

pub(super) async fn list(State(larder): State<Arc<Larder>>) -> Json<Value> {
    let records = larder.records.0.read().unwrap_or_else(PoisonError::into_inner);
    Json(json!({ "records": records.keys().collect::<Vec<_>>() }))
}

pub(super) async fn read(State(larder): State<Arc<Larder>>, Path(name): Path<String>) -> Response {
    let records = larder.records.0.read().unwrap_or_else(PoisonError::into_inner);
    match records.get(&name) {
        Some(text) => Json(json!({ "name": name, "text": text })).into_response(),
        None => absent(),
    }
}

pub(super) async fn write(
    State(larder): State<Arc<Larder>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    text: String,
) -> Response {
    let mut records = larder.records.0.write().unwrap_or_else(PoisonError::into_inner);
    let grows = !records.contains_key(&name);
    if text.len() > TEXT_BYTES_MAX || (grows && records.len() >= RECORDS_MAX) {
        return (StatusCode::PAYLOAD_TOO_LARGE, "the larder is small\n").into_response();
    }
    records.insert(name.clone(), text);
    Json(json!({ "name": name, "saved_by": identity(&headers) })).into_response()
}

pub(super) async fn delete(State(larder): State<Arc<Larder>>, Path(name): Path<String>) -> Response {
    let mut records = larder.records.0.write().unwrap_or_else(PoisonError::into_inner);
    match records.remove(&name) {
        Some(_) => StatusCode::NO_CONTENT.into_response(),
        None => absent(),
    }
}

/// The vault: a page for browsers, JSON for everybody else.
pub(super) async fn vault(headers: HeaderMap) -> Response {
    let keys: Vec<&str> = SECRETS.iter().map(|(name, _)| *name).collect();
    let opened_by = identity(&headers);
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if accepts.is_some_and(|accepts| accepts.contains("text/html")) {
        return pages::vault(&keys, &opened_by);
    }
    Json(json!({ "keys": keys, "opened_by": opened_by })).into_response()
}

pub(super) async fn secret(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match SECRETS.iter().find(|(known, _)| *known == name) {
        Some((_, secret)) => {
            Json(json!({ "name": name, "secret": secret, "opened_by": identity(&headers) })).into_response()
        }
        None => absent(),
    }
}

fn absent() -> Response {
    (StatusCode::NOT_FOUND, "there is no such record\n").into_response()
}

const SECRETS: [(&str, &str); 2] = [("cellar-door", "behind the third barrel"), ("truffle-map", "under the old oak")];
const RECORDS_MAX: usize = 100;
const TEXT_BYTES_MAX: usize = 64 * 1024;
