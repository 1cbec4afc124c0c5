//! Signing out: asked for by a client through the browser (OpenID Connect RP-Initiated Logout 1.0) or here, and told to every
//! client that has tokens of the sign-in (Back-Channel Logout 1.0).

use std::sync::Arc;

use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::demo::issuer::keys::{Unusable, random_id};
use crate::demo::issuer::parameters::Parameters;
use crate::demo::issuer::sign_in::{Ended, SignIn};
use crate::demo::issuer::{Shared, browser, pages};
use crate::domain::time::Span;

/// What a client asks for.
#[derive(Debug)]
struct Request {
    /// The sign-in that is meant, when the client can name one: its `sid`.
    meant: Option<String>,
    /// Where to go afterwards.
    target: Option<String>,
}

impl Request {
    fn read(shared: &Shared, asked: &Parameters) -> Result<Self, String> {
        let hint = asked
            .one("id_token_hint")?
            .map(|token| shared.keys().proven(token).ok_or("`id_token_hint` was not made here, or its key is gone"));
        let hint = hint.transpose()?;
        let claim = |name: &str| hint.as_ref().and_then(|claims| claims.get(name)).and_then(Value::as_str);
        let client_id = match (asked.one("client_id")?, claim("aud")) {
            (Some(given), Some(hinted)) if given != hinted => {
                return Err("`client_id` is not the one `id_token_hint` was made for".to_owned());
            }
            (given, hinted) => given.or(hinted),
        };
        let target = asked.one("post_logout_redirect_uri")?;
        if let Some(target) = target {
            let memory = shared.memory();
            let client = client_id.and_then(|id| memory.client(id)).ok_or("nobody says which client asks")?;
            if !client.post_logout_redirect_uris.iter().any(|registered| registered == target) {
                return Err("`post_logout_redirect_uri` is not registered for this client".to_owned());
            }
        }
        let state = asked.one("state")?.map(|state| ("state", state));
        Ok(Self {
            meant: claim("sid").map(str::to_owned),
            target: target.map(|target| browser::with_query(target, state)),
        })
    }
}

/// A client sent a browser here to sign out.
pub(super) async fn asked(
    State(shared): State<Arc<Shared>>,
    Query(asked): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    ended(&shared, &Parameters(asked), &headers, false).await
}

/// The same by a form: from a client, or from the question here.
pub(super) async fn asked_by_form(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Form(asked): Form<Vec<(String, String)>>,
) -> Response {
    let asked = Parameters(asked);
    let confirmed = asked.one("confirmed").ok().flatten() == Some("yes") && browser::is_from_here(&headers, &shared);
    ended(&shared, &asked, &headers, confirmed).await
}

async fn ended(shared: &Shared, asked: &Parameters, headers: &HeaderMap, confirmed: bool) -> Response {
    let request = match Request::read(shared, asked) {
        Ok(request) => request,
        Err(told) => {
            let told = format!("The application that sent you here asked in a way it may not: {told}.");
            return pages::problem(
                StatusCode::BAD_REQUEST,
                "This link cannot be used",
                &[&told, "You are still signed in here."],
            );
        }
    };
    let now = shared.clock.now();
    let here = browser::cookie(headers).and_then(|cookie| shared.memory().sign_ins.find(&cookie, now).cloned());
    if let Some(here) = &here
        && !confirmed
        && request.meant.as_ref() != Some(&here.id)
    {
        // whoever can make a browser load a page could sign people out otherwise
        return pages::sign_out(&here.person, asked);
    }
    let sids: Vec<String> = here.map(|here| here.id).into_iter().chain(request.meant).collect();
    end(shared, |sign_in| sids.contains(&sign_in.id)).await;
    let response = match &request.target {
        Some(target) => Redirect::to(target).into_response(),
        None => pages::signed_out(),
    };
    ([browser::forget()], response).into_response()
}

/// Ends what `which` says, and returns once every client was told, or could not be.
pub(super) async fn end(shared: &Shared, which: impl Fn(&SignIn) -> bool) -> usize {
    let ended = shared.memory().end(which);
    let mut told = Vec::new();
    for Ended { sign_in, clients } in &ended {
        for client in clients {
            let Some(url) = &client.backchannel_logout_uri else { continue };
            let Ok(token) = logout_token(shared, sign_in, &client.id) else { continue };
            told.push(async move {
                let form = browser::with_query("", [("logout_token", token.as_str())]);
                let request = shared.http.post(url).header("content-type", "application/x-www-form-urlencoded");
                request
                    .body(form.trim_start_matches('?').to_owned())
                    .send()
                    .await
                    .is_ok_and(|answer| answer.status().is_success())
            });
        }
    }
    join_all(told).await.into_iter().filter(|told| *told).count()
}

/// Says that a sign-in ended (Back-Channel Logout section 2.4).
fn logout_token(shared: &Shared, sign_in: &SignIn, client_id: &str) -> Result<String, Unusable> {
    let now = shared.clock.now();
    let keys = shared.keys();
    let header = json!({ "alg": "ES256", "typ": "logout+jwt", "kid": keys.current_id() });
    let claims = json!({
        "iss": shared.url,
        "aud": client_id,
        "sub": sign_in.person.subject,
        "sid": sign_in.id,
        "iat": now.as_seconds(),
        "exp": now.plus(Span::minutes(2)).as_seconds(),
        "jti": random_id()?,
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    });
    keys.sign(header.to_string().as_bytes(), claims.to_string().as_bytes())
}
