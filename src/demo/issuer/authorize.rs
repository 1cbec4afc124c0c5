//! The authorization endpoint: what a client may ask, whom the browser is, and the way back with a code (OpenID Connect Core
//! section 3.1.2, RFC 7636, RFC 9207).

use std::sync::Arc;

use axum::extract::{Form, Query, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use data_encoding::BASE64URL_NOPAD;

use crate::demo::issuer::keys::{Unusable, random_id};
use crate::demo::issuer::pages::{self, Asking};
use crate::demo::issuer::parameters::Parameters;
use crate::demo::issuer::people::{PASSWORD, Person, TWO_FACTORS};
use crate::demo::issuer::sign_in::{Code, Grant, SignIn};
use crate::demo::issuer::{Shared, browser};
use crate::domain::time::Timestamp;

/// A request that may be answered to the client it came from.
#[derive(Debug)]
struct Request {
    client_id: String,
    redirect_uri: String,
    state: String,
    nonce: String,
    challenge: String,
    scope: String,
    prompt: Prompt,
    /// Only those this provider knows: to ask for others is to ask in vain.
    acr_values: Vec<String>,
    /// In seconds.
    max_age: Option<u64>,
    login_hint: Option<String>,
}

/// Whether the person may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prompt {
    /// When needed.
    Open,
    /// In no case.
    Never,
    /// In any case.
    Always,
}

/// What is wrong with a request.
#[derive(Debug)]
enum Wrong {
    /// There is nobody it could be answered to: the person is told.
    Stray(String),
    /// The client is told.
    Answer { redirect_uri: String, state: Option<String>, error: &'static str, description: String },
}

impl Request {
    fn read(shared: &Shared, asked: &Parameters) -> Result<Self, Wrong> {
        let stray = |told: &str| Wrong::Stray(told.to_owned());
        let client_id = asked.needed("client_id").map_err(Wrong::Stray)?;
        let redirect_uri = asked.needed("redirect_uri").map_err(Wrong::Stray)?;
        {
            let memory = shared.memory();
            let client =
                memory.client(client_id).ok_or_else(|| stray("no client is registered under this `client_id`"))?;
            if !client.redirect_uris.iter().any(|registered| registered == redirect_uri) {
                return Err(stray("`redirect_uri` is not registered for this client"));
            }
        }
        let wrong = |error, description: &str| Wrong::Answer {
            redirect_uri: redirect_uri.to_owned(),
            state: asked.one("state").ok().flatten().map(str::to_owned),
            error,
            description: description.to_owned(),
        };
        let invalid = |description: &str| wrong("invalid_request", description);
        let one = |name| asked.one(name).map_err(invalid);
        let needed = |name| asked.needed(name).map_err(|told| invalid(&told));

        if needed("response_type")? != "code" {
            return Err(wrong("unsupported_response_type", "only `code` is supported"));
        }
        for (name, error) in [("request", "request_not_supported"), ("request_uri", "request_uri_not_supported")] {
            if one(name)?.is_some() {
                return Err(wrong(error, "requests come as plain parameters here"));
            }
        }
        if one("response_mode")?.is_some_and(|mode| mode != "query") {
            return Err(invalid("`response_mode` can only be `query`"));
        }
        let scope = needed("scope")?;
        if !scope.split(' ').any(|scope| scope == "openid") {
            return Err(wrong("invalid_scope", "`scope` does not name `openid`"));
        }
        let challenge = needed("code_challenge")?;
        if one("code_challenge_method")? != Some("S256") {
            return Err(invalid("`code_challenge_method` must be `S256`"));
        }
        if !BASE64URL_NOPAD.decode(challenge.as_bytes()).is_ok_and(|digest| digest.len() == 32) {
            return Err(invalid("`code_challenge` is not a SHA-256 digest in base64url"));
        }
        let (max_age, acr_values) = (one("max_age")?, one("acr_values")?.unwrap_or_default());
        Ok(Self {
            state: needed("state")?.to_owned(),
            nonce: needed("nonce")?.to_owned(),
            challenge: challenge.to_owned(),
            scope: scope.to_owned(),
            prompt: prompt(one("prompt")?.unwrap_or_default())
                .ok_or_else(|| invalid("`prompt` joins `none` and others"))?,
            acr_values: acr_values.split(' ').filter(|acr| ACR_VALUES.contains(acr)).map(str::to_owned).collect(),
            max_age: max_age
                .map(str::parse)
                .transpose()
                .map_err(|_| invalid("`max_age` is not a number of seconds"))?,
            login_hint: one("login_hint")?.map(str::to_owned),
            client_id: client_id.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
        })
    }

    /// Whether this sign-in is recent and strong enough to answer with.
    fn is_met_by(&self, sign_in: &SignIn, now: Timestamp) -> bool {
        let age = now.millis_since(sign_in.at);
        // a `max_age` of zero asks for a new sign-in even within the same instant
        let fresh = self.max_age.is_none_or(|seconds| seconds > 0 && age <= seconds.saturating_mul(1000));
        let strong = self.acr_values.is_empty() || self.acr_values.iter().any(|acr| acr == sign_in.acr());
        self.prompt != Prompt::Always && fresh && strong
    }

    /// Back to the client with a code.
    fn granted(&self, shared: &Shared, sign_in: &SignIn) -> Result<Response, Unusable> {
        let code = Code {
            grant: Grant {
                family: random_id()?,
                client_id: self.client_id.clone(),
                scope: self.scope.clone(),
                sign_in: sign_in.clone(),
            },
            redirect_uri: self.redirect_uri.clone(),
            challenge: self.challenge.clone(),
            nonce: self.nonce.clone(),
            used: false,
        };
        let code = shared.memory().codes.out(code, shared.clock.now())?;
        Ok(back(shared, &self.redirect_uri, Some(&self.state), &[("code", &code)]))
    }

    fn refused(self, error: &'static str, description: &str) -> Wrong {
        let (redirect_uri, state) = (self.redirect_uri, Some(self.state));
        Wrong::Answer { redirect_uri, state, error, description: description.to_owned() }
    }

    fn asking(&self, signed_in: Option<&SignIn>) -> Asking {
        let signed_in = signed_in.map(|sign_in| sign_in.person);
        let stronger = self.acr_values.iter().any(|acr| acr == TWO_FACTORS);
        let hinted = self.login_hint.as_deref().and_then(Person::named);
        Asking {
            for_whom: origin_of(&self.redirect_uri),
            signed_in,
            first: signed_in.or(hinted),
            wants_second_factor: stronger,
            second_factor: stronger || self.acr_values.is_empty(),
        }
    }
}

impl Wrong {
    fn into_response(self, shared: &Shared) -> Response {
        match self {
            Self::Stray(told) => pages::problem(
                StatusCode::BAD_REQUEST,
                "This link cannot be used",
                &[
                    &format!("The application that sent you here asked in a way it may not: {told}."),
                    "Nothing was sent back to it. Go back, and tell whoever runs it.",
                ],
            ),
            Self::Answer { redirect_uri, state, error, description } => {
                let told = [("error", error), ("error_description", &description)];
                back(shared, &redirect_uri, state.as_deref(), &told)
            }
        }
    }
}

/// A client sent a browser here.
pub(super) async fn page(
    State(shared): State<Arc<Shared>>,
    Query(asked): Query<Vec<(String, String)>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let request = match Request::read(&shared, &Parameters(asked)) {
        Ok(request) => request,
        Err(wrong) => return wrong.into_response(&shared),
    };
    let now = shared.clock.now();
    let signed_in = browser::cookie(&headers).and_then(|cookie| shared.memory().sign_ins.find(&cookie, now).cloned());
    match &signed_in {
        Some(sign_in) if request.is_met_by(sign_in, now) => {
            request.granted(&shared, sign_in).unwrap_or_else(|unusable| pages::broken(&unusable))
        }
        _ if request.prompt == Prompt::Never => {
            request.refused("login_required", "the person would have to be asked").into_response(&shared)
        }
        _ => pages::choose(&request.asking(signed_in.as_ref()), &query.unwrap_or_default()),
    }
}

/// Somebody chose who to be.
pub(super) async fn chosen(
    State(shared): State<Arc<Shared>>,
    Query(asked): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    Form(form): Form<Vec<(String, String)>>,
) -> Response {
    if !browser::is_from_here(&headers, &shared) {
        return pages::foreign();
    }
    let request = match Request::read(&shared, &Parameters(asked)) {
        Ok(request) => request,
        Err(wrong) => return wrong.into_response(&shared),
    };
    let form = Parameters(form);
    if form.one("decline").ok().flatten().is_some() {
        return request.refused("access_denied", "the person did not want to sign in").into_response(&shared);
    }
    let (person, factor) = (form.one("person").ok().flatten(), form.one("second_factor").ok().flatten());
    let Some(person) = person.and_then(Person::named) else {
        return pages::problem(StatusCode::BAD_REQUEST, "Nobody was chosen", &["Go back, and choose somebody."]);
    };
    let (former, now) = (browser::cookie(&headers), shared.clock.now());
    let signed_in = shared.memory().sign_in(former.as_deref(), person, factor == Some("yes"), now);
    let answer = signed_in.and_then(|(cookie, sign_in)| Ok((cookie, request.granted(&shared, &sign_in)?)));
    match answer {
        Ok((cookie, response)) => ([browser::remember(&cookie)], response).into_response(),
        Err(unusable) => pages::broken(&unusable),
    }
}

/// `none` stands alone (OpenID Connect Core section 3.1.2.1).
fn prompt(value: &str) -> Option<Prompt> {
    let asked: Vec<_> = value.split(' ').filter(|prompt| !prompt.is_empty()).collect();
    match asked.as_slice() {
        ["none"] => Some(Prompt::Never),
        several if several.contains(&"none") => None,
        several if several.contains(&"login") || several.contains(&"select_account") => Some(Prompt::Always),
        _ => Some(Prompt::Open),
    }
}

/// To a registered address, with the answer in its query, and who answers (RFC 9207).
fn back(shared: &Shared, redirect_uri: &str, state: Option<&str>, answer: &[(&str, &str)]) -> Response {
    let state = state.map(|state| ("state", state));
    let parameters = answer.iter().copied().chain(state).chain([("iss", shared.url.as_str())]);
    Redirect::to(&browser::with_query(redirect_uri, parameters)).into_response()
}

/// Scheme, host and port.
fn origin_of(url: &str) -> String {
    let parsed: Option<Uri> = url.parse().ok();
    let parts = parsed.as_ref().and_then(|uri| Some((uri.scheme_str()?, uri.authority()?)));
    parts.map(|(scheme, authority)| format!("{scheme}://{authority}")).unwrap_or_default()
}

/// What a sign-in here can reach.
pub(super) const ACR_VALUES: [&str; 2] = [TWO_FACTORS, PASSWORD];
