//! One canonical form of method, host, path and framing, decided once; decision, log and upstream use exactly this.

mod bad_request;
mod framing;
pub(in crate::proxy) mod path;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Method, Version};

pub use bad_request::BadRequest;
use path::Seen;

use crate::proxy::host::Host;

/// A request in its one canonical form.
#[derive(Debug, Clone)]
pub struct Canonical {
    /// The method, one of the allowed.
    pub method: Method,
    /// The host it was sent to.
    pub host: Host,
    /// What the client wants to switch to, when it asked rightly for an allowed protocol.
    pub upgrade: Option<Upgrade>,
    target: PathAndQuery,
    /// What is matched, when it is not the path itself; see [`path`].
    key: Option<Box<str>>,
    /// How the key was made.
    case: Case,
    encoded_slashes: Seen,
    parameters: Seen,
}

/// An allowed protocol that a client asked to switch to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upgrade {
    /// `websocket` (RFC 6455).
    WebSocket,
    /// Another protocol of the allow-list, in lower case.
    Other(Arc<str>),
}

/// How requests are read.
#[derive(Debug, Clone, Default)]
pub struct CanonicalSettings {
    /// What the routes say about paths and methods; from [`Routes::spelling`](crate::proxy::route::Routes::spelling).
    pub spelling: Spelling,
    /// What happens to header names with an underscore.
    pub underscores: Underscores,
    /// Protocols besides `websocket` that a client may switch to, in lower case.
    pub upgrades: Vec<Arc<str>>,
}

/// What routes say about the spelling of paths and methods.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spelling {
    /// Methods beyond the usual seven that some route names.
    pub methods: Vec<Method>,
    /// Escaped slashes; kept when any route keeps them.
    pub encoded_slashes: EncodedSlashes,
    /// Semicolon parameters; stripped when any route strips them.
    pub parameters: PathParameters,
    /// Letter case; ignored by all rules when any route's application ignores it.
    pub case: Case,
}

/// What happens to `%2F` and `%5C` in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EncodedSlashes {
    /// The request is refused.
    #[default]
    Refuse,
    /// They are data inside their segment and stay escaped.
    Keep,
}

/// What happens to `;name=value` in a path's segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PathParameters {
    /// The request is refused.
    #[default]
    Refuse,
    /// They are taken away, for the decision and for the upstream.
    Strip,
}

/// Whether letter case tells paths apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Case {
    /// It does.
    #[default]
    Sensitive,
    /// It does not: the application ignores it.
    Ignored,
}

/// What happens to header names with an underscore, which many applications cannot tell from a dash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Underscores {
    /// The request is refused.
    #[default]
    Refuse,
    /// The header is dropped.
    Drop,
}

/// Reads a request into its canonical form, before anything is removed from it.
///
/// # Errors
/// [`BadRequest`] for whatever could be understood in two ways.
pub fn canonicalise(parts: &Parts, settings: &CanonicalSettings) -> Result<Canonical, BadRequest> {
    check_method(&parts.method, &settings.spelling)?;
    framing::check_fields(&parts.headers, settings.underscores)?;
    let host = read_host(parts)?;
    let body = framing::check_body(parts)?;
    framing::check_expectation(&parts.headers)?;
    let upgrade = framing::read_connection(parts, body, &settings.upgrades)?;
    let sent = parts.uri.path_and_query().ok_or(BadRequest::TargetForm)?;
    if !sent.as_str().starts_with('/') {
        return Err(BadRequest::TargetForm);
    }
    if sent.query().is_some_and(|query| !query.is_ascii()) {
        return Err(BadRequest::QueryCharacter);
    }
    let read = path::read(sent.path(), &settings.spelling)?;
    let target = match &read.text {
        None => sent.clone(),
        Some(text) => target_of(text, sent.query())?,
    };
    Ok(Canonical {
        method: parts.method.clone(),
        host,
        upgrade,
        target,
        key: read.key,
        case: settings.spelling.case,
        encoded_slashes: read.encoded_slashes,
        parameters: read.parameters,
    })
}

impl Canonical {
    /// Path and query as they go upstream.
    #[must_use]
    pub fn target(&self) -> PathAndQuery {
        self.target.clone()
    }

    /// The path as decided on, logged and forwarded.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.path()
    }

    /// The query as sent; never part of a decision.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.target.query()
    }

    /// The rest of the path below the reserved prefix `/.hallpass/`; `None` for paths of the application.
    #[must_use]
    pub fn reserved(&self) -> Option<&str> {
        match self.key().strip_prefix(RESERVED)? {
            // an application may read an escaped slash as one: what looks reserved to it is nobody's
            rest if rest.starts_with([path::KEPT_SLASH, '\\']) => Some(""),
            "" => Some(""),
            rest => rest.strip_prefix('/'),
        }
    }

    /// What the rules are matched against; see [`path`].
    pub(in crate::proxy) fn key(&self) -> &str {
        self.key.as_deref().unwrap_or_else(|| self.path())
    }

    /// Whether the key was made as these rules compare it: a request outlives a change of the configuration.
    pub(in crate::proxy) fn check_case(&self, case: Case) -> Result<(), BadRequest> {
        if self.case == case { Ok(()) } else { Err(BadRequest::LetterCase) }
    }

    /// Whether a route with these options takes the path as it was written.
    pub(in crate::proxy) fn check_options(
        &self,
        encoded_slashes: EncodedSlashes,
        parameters: PathParameters,
    ) -> Result<(), BadRequest> {
        if self.encoded_slashes == Seen::Yes && encoded_slashes == EncodedSlashes::Refuse {
            return Err(BadRequest::EncodedSlash);
        }
        if self.parameters == Seen::Yes && parameters == PathParameters::Refuse {
            return Err(BadRequest::PathParameters);
        }
        Ok(())
    }
}

/// Methods are compared letter by letter, capital by capital.
fn check_method(method: &Method, spelling: &Spelling) -> Result<(), BadRequest> {
    if *method == Method::CONNECT || *method == Method::TRACE {
        return Err(BadRequest::MethodRefused);
    }
    if METHODS.contains(method) || spelling.methods.contains(method) { Ok(()) } else { Err(BadRequest::UnknownMethod) }
}

/// The host of `Host`, or of the target: both must agree when both are there. Only HTTP/2 may leave `Host` out.
fn read_host(parts: &Parts) -> Result<Host, BadRequest> {
    let header = framing::once(&parts.headers, &HOST).map_err(|_| BadRequest::HostRepeated)?;
    let header = header.map(Host::parse).transpose().map_err(|_| BadRequest::HostMalformed)?;
    let Some(authority) = parts.uri.authority() else {
        return if parts.uri.scheme().is_some() {
            Err(BadRequest::TargetForm)
        } else {
            header.ok_or(BadRequest::HostMissing)
        };
    };
    let web = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&parts.uri.scheme());
    if !web || authority.as_str().contains('@') {
        return Err(BadRequest::TargetForm);
    }
    let authority = HeaderValue::from_str(authority.as_str()).map_err(|_| BadRequest::HostMalformed)?;
    let authority = Host::parse(&authority).map_err(|_| BadRequest::HostMalformed)?;
    match header {
        Some(header) if header == authority => Ok(header),
        Some(_) => Err(BadRequest::HostMismatch),
        None if parts.version == Version::HTTP_2 => Ok(authority),
        None => Err(BadRequest::HostMissing),
    }
}

fn target_of(path: &str, query: Option<&str>) -> Result<PathAndQuery, BadRequest> {
    let target = match query {
        None => path.to_owned(),
        Some(query) => format!("{path}?{query}"),
    };
    PathAndQuery::from_maybe_shared(Bytes::from(target)).map_err(|_| BadRequest::PathCharacter)
}

/// The usual methods; others pass only when a route names them.
pub(in crate::proxy) const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// Where everything belongs to hallpass and nothing to the application.
pub(in crate::proxy) const RESERVED: &str = "/.hallpass";
