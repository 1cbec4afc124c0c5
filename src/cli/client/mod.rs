//! The portal as seen from a command line: where it is, whose token is shown, one answer per question.
//!
//! A command carries a fresh idempotency key. When the connection fails it is sent once more with the same key, so that it is
//! never done twice; after that the person decides. Redirects are not followed: the token goes to the portal or nowhere.

pub(in crate::cli) mod events;
pub mod problem;
mod token;

use std::time::Duration;

use clap::Args;
use reqwest::header::{ACCEPT, HeaderValue, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cli::client::problem::Problem;
use crate::cli::client::token::TokenSource;
use crate::cli::failure::Failure;

/// Where the portal is, and as whom to speak to it.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Portal")]
pub struct Options {
    /// Where the portal is; its URL.
    #[arg(long, value_name = "URL", env = "HALLPASS_PORTAL", hide_env_values = true)]
    #[arg(help = "The portal's address, such as https://portal.example")]
    pub portal: Option<String>,
    /// Read the token from this file, anew for every request [env: HALLPASS_TOKEN_FILE, or the token itself in HALLPASS_TOKEN]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<std::path::PathBuf>,
    /// Send the token without TLS to a portal on another machine
    #[arg(long)]
    pub plain_http: bool,
    /// Print JSON instead: the portal's answer as it came
    #[arg(long)]
    pub json: bool,
}

impl Options {
    /// The portal's address, when one is named; an empty variable names none.
    pub(super) fn named(&self) -> Option<&str> {
        self.portal.as_deref().filter(|portal| !portal.is_empty())
    }
}

/// Speaks to one portal. Clones share connections.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    token: TokenSource,
    patience: Duration,
}

/// What the portal answered when it did not refuse.
#[derive(Debug)]
pub(super) struct Answer {
    body: Vec<u8>,
    /// Whether it tells of something done.
    purpose: Purpose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Question,
    Command,
}

/// Members of a query string.
pub(super) type Query<'q> = &'q [(&'q str, &'q str)];

impl Client {
    /// For the portal that `options` and the environment name.
    pub(super) fn new(options: &Options) -> Result<Self, Failure> {
        let Some(portal) = options.named() else {
            return Err(Failure::Usage("no portal: give --portal URL or set HALLPASS_PORTAL".to_owned()));
        };
        let base = read_base(portal, options.plain_http)?;
        let token = TokenSource::from_environment(options.token_file.as_deref())?;
        Self::speaking_to(base, token, ANSWER_TIMEOUT)
    }

    pub(super) fn speaking_to(base: Url, token: TokenSource, patience: Duration) -> Result<Self, Failure> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("hallpass/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT.min(patience));
        if base.scheme() == "http" {
            // a machine without any certificate authority can still speak to its own portal
            builder = builder.tls_certs_only([]);
        }
        if is_loopback(&base) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| Failure::Internal(anyhow::Error::new(error)))?;
        Ok(Self { http, base, token, patience })
    }

    /// Asks for something.
    pub(super) async fn get(&self, path: &str, query: Query<'_>) -> Result<Answer, Failure> {
        let url = self.url(path, query);
        let request = || Ok(self.request(Method::GET, &url)?.timeout(self.patience));
        self.answer(self.send_twice(request).await?).await
    }

    /// Commands something, at most once.
    pub(super) async fn post(&self, path: &str, query: Query<'_>, body: &Value) -> Result<Answer, Failure> {
        let url = self.url(path, query);
        let key = fresh_key()?;
        let request = || {
            let request = self.request(Method::POST, &url)?.timeout(self.patience);
            Ok(request.header("idempotency-key", &key).json(body))
        };
        let answer = match self.send_twice(request).await {
            Ok(response) => self.answer(response).await,
            Err(failure) => Err(failure),
        };
        answer.map(|answer| Answer { purpose: Purpose::Command, ..answer }).map_err(|failure| match failure {
            Failure::Unreachable(why) => Failure::Unreachable(format!(
                "{why}; it is not known whether the command was carried out: see hallpass list"
            )),
            other => other,
        })
    }

    /// Asks for something without end or too long to hold: the caller reads the body.
    pub(super) async fn open(
        &self,
        path: &str,
        query: Query<'_>,
        last_event: Option<&str>,
    ) -> Result<Response, Failure> {
        let url = self.url(path, query);
        let request = || {
            let mut request = self.request(Method::GET, &url)?;
            if path == events::PATH {
                request = request.header(ACCEPT, HeaderValue::from_static("text/event-stream"));
            }
            if let Some(id) = last_event.and_then(|id| HeaderValue::from_str(id).ok()) {
                request = request.header("last-event-id", id);
            }
            Ok(request)
        };
        let response = tokio::time::timeout(self.patience, self.send_twice(request)).await;
        let response = response.map_err(|_| self.silent())??;
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response).await) }
    }

    /// What to tell when a body that was being read broke off.
    pub(super) fn broken_off(&self, error: &reqwest::Error) -> Failure {
        Failure::Unreachable(format!("the answer of {} broke off: {}", self.base, causes(error)))
    }

    fn url(&self, path: &str, query: Query<'_>) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{API}{path}", self.base.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    fn request(&self, method: Method, url: &Url) -> Result<RequestBuilder, Failure> {
        let token = self.token.read()?;
        Ok(self.http.request(method, url.clone()).header(reqwest::header::AUTHORIZATION, token))
    }

    async fn send_twice(&self, request: impl Fn() -> Result<RequestBuilder, Failure>) -> Result<Response, Failure> {
        match request()?.send().await {
            Err(error) if is_connection_failure(&error) => request()?.send().await,
            other => other,
        }
        .map_err(|error| self.unreachable(&error))
    }

    async fn answer(&self, response: Response) -> Result<Answer, Failure> {
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let body = read_body(response).await.map_err(|error| self.broken_off(&error))?;
        body.map(|body| Answer { body, purpose: Purpose::Question })
            .ok_or_else(|| Failure::Unreachable(format!("what answers at {} says more than a portal would", self.base)))
    }

    async fn refusal(&self, response: Response) -> Failure {
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let body = read_body(response).await.ok().flatten().unwrap_or_default();
        let mut problem = Problem::read(status, &body);
        problem.retry_after = retry_after;
        Failure::Refused { problem: Box::new(problem), body }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        if error.is_timeout() && !error.is_connect() {
            return self.silent();
        }
        let why = causes(error);
        let hint = match self.base.scheme() {
            "https" if why.contains("InvalidContentType") => {
                "; what listens there speaks no TLS: is its address http://?"
            }
            _ if error.is_connect() => "; is --portal right, and does hallpass run there?",
            _ => "",
        };
        Failure::Unreachable(format!("cannot reach {}: {why}{hint}", self.base))
    }

    fn silent(&self) -> Failure {
        Failure::Unreachable(format!("{} did not answer within {} s", self.base, self.patience.as_secs_f32()))
    }
}

impl Answer {
    /// What it says.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let mut json = serde_json::Deserializer::from_slice(&self.body);
        serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let done = match self.purpose {
                Purpose::Command => "; yet the command was carried out: see hallpass list",
                Purpose::Question => "",
            };
            let strange = format!("the answer is not that of a hallpass portal ({error}); is --portal right?");
            Failure::Unreachable(format!("{strange}{done}"))
        })
    }

    /// Its words as they came.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

const API: &str = "/api/v1";
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const BODY_BYTES_MAX: usize = 16 << 20;

fn read_base(portal: &str, plain_http: bool) -> Result<Url, Failure> {
    let wrong = |why: &str| Failure::Usage(format!("`{portal}` cannot be the portal's address: {why}"));
    let url = Url::parse(portal).map_err(|error| wrong(&error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it may not hold a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it may not hold a query or fragment"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if plain_http || is_loopback(&url) => Ok(url),
        "http" => {
            Err(wrong("the token would travel unprotected; use https, or --plain-http when the way there is safe"))
        }
        _ => Err(wrong("it has to begin with https://")),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

fn is_connection_failure(error: &reqwest::Error) -> bool {
    error.is_connect() || (error.is_request() && !error.is_timeout())
}

/// The body, unless it is longer than any answer of a portal.
async fn read_body(mut response: Response) -> reqwest::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// The innermost causes say what happened; the outermost repeats the address.
fn causes(error: &reqwest::Error) -> String {
    let chain = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let causes: Vec<String> = chain.map(ToString::to_string).collect();
    causes.last().cloned().unwrap_or_else(|| error.to_string())
}

fn fresh_key() -> Result<String, Failure> {
    let mut bits = [0; 16];
    aws_lc_rs::rand::fill(&mut bits).map_err(|_| Failure::Internal(anyhow::anyhow!("no randomness to be had")))?;
    Ok(data_encoding::HEXLOWER.encode(&bits))
}

#[cfg(test)]
mod tests;
