//! The token endpoint: codes and refresh tokens of browsers' sign-ins, and plain tokens for the asking, for `curl`.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Json;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq as _;

use crate::demo::issuer::Shared;
use crate::demo::issuer::client::{Claimed, Client};
use crate::demo::issuer::keys::Unusable;
use crate::demo::issuer::parameters::Parameters;
use crate::demo::issuer::people::{PEOPLE, Person, TokenOptions};
use crate::demo::issuer::sign_in::{Grant, Memory, Refresh};
use crate::domain::time::{Span, Timestamp};

/// An error of RFC 6749 section 5.2.
#[derive(Debug)]
struct Refused {
    status: StatusCode,
    error: &'static str,
    description: String,
}

impl Refused {
    fn new(error: &'static str, description: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description: description.into() }
    }

    fn invalid(description: impl Into<String>) -> Self {
        Self::new("invalid_request", description)
    }

    fn grant(description: &str) -> Self {
        Self::new("invalid_grant", description)
    }

    fn client(description: &str) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, ..Self::new("invalid_client", description) }
    }
}

impl From<Unusable> for Refused {
    fn from(unusable: Unusable) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, ..Self::new("server_error", unusable.to_string()) }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error, "error_description": self.description });
        let mut response = (self.status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = axum::http::HeaderValue::from_static("Basic realm=\"hallpass demo\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// What was handed out, as OAuth has it.
struct Answer(Value);

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        ([(header::CACHE_CONTROL, "no-store")], Json(self.0)).into_response()
    }
}

pub(super) async fn endpoint(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Form(body): Form<Vec<(String, String)>>,
) -> Response {
    let body = Parameters(body);
    let answered = match body.one("grant_type") {
        Err(told) => Err(Refused::invalid(told)),
        Ok(None) => plain(&shared, &body),
        Ok(Some("authorization_code")) => redeemed(&shared, &headers, &body).map(IntoResponse::into_response),
        Ok(Some("refresh_token")) => refreshed(&shared, &headers, &body).map(IntoResponse::into_response),
        Ok(Some(_)) => {
            Err(Refused::new("unsupported_grant_type", "there are `authorization_code` and `refresh_token`"))
        }
    };
    answered.unwrap_or_else(IntoResponse::into_response)
}

/// A code becomes tokens, once (RFC 6749 section 4.1.3, RFC 7636 section 4.6).
fn redeemed(shared: &Shared, headers: &HeaderMap, body: &Parameters) -> Result<Answer, Refused> {
    let now = shared.clock.now();
    let mut memory = shared.memory();
    let client = proven(&memory, headers, body)?;
    let name = body.needed("code").map_err(Refused::invalid)?;
    let verifier = body.needed("code_verifier").map_err(Refused::invalid)?;
    let redirect_uri = body.needed("redirect_uri").map_err(Refused::invalid)?;
    let Some(code) = memory.codes.find(name, now) else {
        return Err(Refused::grant("the code is unknown or too old"));
    };
    if code.grant.client_id != client.id {
        return Err(Refused::grant("the code was made for another client"));
    }
    if std::mem::replace(&mut code.used, true) {
        let family = code.grant.family.clone();
        memory.revoke(&family);
        return Err(Refused::grant("the code was used before; what came of it is worth nothing now"));
    }
    if code.redirect_uri != redirect_uri {
        return Err(Refused::grant("`redirect_uri` is not the one the code was sent to"));
    }
    let challenge = BASE64URL_NOPAD.encode(digest(&SHA256, verifier.as_bytes()).as_ref());
    if !bool::from(challenge.as_bytes().ct_eq(code.challenge.as_bytes())) {
        return Err(Refused::grant("`code_verifier` is not the one the code was asked with"));
    }
    let (grant, nonce) = (code.grant.clone(), code.nonce.clone());
    handed_out(shared, &mut memory, grant, Some(&nonce), now)
}

/// A refresh token becomes tokens and another refresh token, once.
fn refreshed(shared: &Shared, headers: &HeaderMap, body: &Parameters) -> Result<Answer, Refused> {
    let now = shared.clock.now();
    let mut memory = shared.memory();
    let client = proven(&memory, headers, body)?;
    let name = body.needed("refresh_token").map_err(Refused::invalid)?;
    let Some(refresh) = memory.refreshes.find(name, now) else {
        return Err(Refused::grant("the refresh token is unknown, too old, or its sign-in has ended"));
    };
    if refresh.grant.client_id != client.id {
        return Err(Refused::grant("the refresh token was made for another client"));
    }
    if std::mem::replace(&mut refresh.used, true) {
        let family = refresh.grant.family.clone();
        memory.revoke(&family);
        return Err(Refused::grant("the refresh token was used before; what came of it is worth nothing now"));
    }
    let grant = refresh.grant.clone();
    if !memory.stands(&grant.sign_in) {
        return Err(Refused::grant("the person has signed out"));
    }
    handed_out(shared, &mut memory, grant, None, now)
}

fn proven(memory: &Memory, headers: &HeaderMap, body: &Parameters) -> Result<Client, Refused> {
    let claimed = Claimed::read(headers, body).map_err(Refused::invalid)?;
    let client = memory.client(&claimed.id).filter(|client| claimed.proves(client));
    client.cloned().ok_or_else(|| Refused::client("there is no such client, or this is not its secret"))
}

/// Access token, ID token and refresh token.
fn handed_out(
    shared: &Shared,
    memory: &mut Memory,
    grant: Grant,
    nonce: Option<&str>,
    now: Timestamp,
) -> Result<Answer, Refused> {
    let sign_in = &grant.sign_in;
    memory.used_by(sign_in, &grant.client_id);
    let mut options = TokenOptions {
        second_factor: sign_in.second_factor,
        lifetime: LIFETIME,
        signed_in_ago: Span::seconds(now.millis_since(sign_in.at) / 1000),
        claims: Map::new(),
        ..TokenOptions::default()
    };
    options.claims.insert("client_id".to_owned(), json!(grant.client_id));
    options.claims.insert("sid".to_owned(), json!(sign_in.id));
    options.claims.insert("scope".to_owned(), json!(grant.scope));
    options.claims.extend(memory.changes_of(&sign_in.person));
    let access_token = shared.token(&sign_in.person, &options)?;

    options.header.insert("typ".to_owned(), json!("JWT"));
    options.claims.extend([
        ("aud".to_owned(), json!(grant.client_id)),
        ("client_id".to_owned(), Value::Null),
        ("scope".to_owned(), Value::Null),
    ]);
    if let Some(nonce) = nonce {
        options.claims.insert("nonce".to_owned(), json!(nonce));
    }
    let id_token = shared.token(&sign_in.person, &options)?;
    let scope = grant.scope.clone();
    let refresh_token = memory.refreshes.out(Refresh { grant, used: false }, now)?;
    Ok(Answer(json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": LIFETIME.as_seconds(),
        "id_token": id_token,
        "refresh_token": refresh_token,
        "scope": scope,
    })))
}

/// A token for the asking: who wants one says who they are, and is believed.
fn plain(shared: &Shared, body: &Parameters) -> Result<Response, Refused> {
    let known = ["person", "mfa", "minutes", "as"];
    if let Some((name, _)) = body.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        let told = format!("`{name}` means nothing here; there are {}", known.join(", "));
        return Err(Refused { status: StatusCode::UNPROCESSABLE_ENTITY, ..Refused::invalid(told) });
    }
    let one = |name| body.one(name).map_err(Refused::invalid);
    let Some(person) = one("person")?.and_then(Person::named) else {
        let names: Vec<_> = PEOPLE.iter().map(|person| person.subject).collect();
        return Err(Refused::invalid(format!("nobody here has that name; there are {}", names.join(", "))));
    };
    let second_factor = match one("mfa")? {
        None | Some("true") => true,
        Some("false") => false,
        Some(_) => return Err(Refused::invalid("`mfa` is `true` or `false`")),
    };
    let minutes: u64 =
        one("minutes")?.map_or(Ok(60), str::parse).map_err(|_| Refused::invalid("`minutes` is no number"))?;
    let lifetime = Span::minutes(minutes.clamp(1, 60));
    let claims = shared.memory().changes_of(&person);
    let options = TokenOptions { second_factor, lifetime, claims, ..TokenOptions::default() };
    let token = shared.token(&person, &options)?;
    match one("as")? {
        Some("text") => Ok(([(header::CACHE_CONTROL, "no-store")], token).into_response()),
        None | Some("json") => {
            let told = json!({ "access_token": token, "token_type": "Bearer", "expires_in": lifetime.as_seconds() });
            Ok(Answer(told).into_response())
        }
        Some(_) => Err(Refused::invalid("`as` is `json` or `text`")),
    }
}

/// Of a browser's tokens: short, so that what changes here soon shows there.
const LIFETIME: Span = Span::minutes(10);
