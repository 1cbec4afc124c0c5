//! The steps of the pipeline that need more than a line.

use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, ORIGIN, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use http_body::Body;
use hyper::body::Incoming;

use crate::domain::authorize::Denial;
use crate::domain::id::ActivationId;
use crate::domain::identity::Identity;
use crate::domain::rule::{Demand, Enforcement, Rule};
use crate::identity::{AuthnError, Proven};
use crate::proxy::Asking;
use crate::proxy::access::Record;
use crate::proxy::canonical::{BadRequest, Canonical};
use crate::proxy::core::{Core, View};
use crate::proxy::denial::Refused;
use crate::proxy::headers::{self, Scheme, TrustedProxies};
use crate::proxy::route::Route;
use crate::proxy::standing::{Judged, NotPermitted};
use crate::proxy::upstream::ForwardError;
use crate::uses::{Taken, Use};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Store, keys or journal cannot be used.
pub(super) const UNAVAILABLE: Refused = Refused::Unavailable { retry_after: Duration::from_secs(5) };

/// The connection as headers tell of it; made once for as long as the list of trusted proxies stays. A Unix socket has no
/// address: one that no list of trusted proxies can hold stands for it.
pub(super) fn from(asking: &Asking<'_>) -> Rc<Origin> {
    let trusted = &asking.view.rules.trusted_proxies;
    if let Some(known) = asking.connection.recall::<Origin>().filter(|known| Arc::ptr_eq(&known.trusted, trusted)) {
        return known;
    }
    let peer = asking.connection.peer.ip().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let scheme = if asking.connection.encrypted { Scheme::Https } else { Scheme::Http };
    let connection = headers::Connection::new(peer, scheme, trusted);
    let origin = Rc::new(Origin { trusted: Arc::clone(trusted), connection });
    asking.connection.remember(origin.clone());
    origin
}

/// Where requests of one connection come from.
pub(super) struct Origin {
    trusted: Arc<TrustedProxies>,
    pub(super) connection: headers::Connection,
}

/// The route of a request; what no route names is denied.
pub(super) fn find<'v>(view: &'v View, canonical: &Canonical, record: &mut Record) -> Result<&'v Arc<Route>, Refused> {
    match view.rules.routes.find(canonical).map_err(Refused::BadRequest)? {
        Some(route) => {
            record.route = Some(Arc::clone(route));
            Ok(route)
        }
        None => {
            record.decided(None, Err("no_route"));
            Err(Refused::Denied(Denial::Forbidden))
        }
    }
}

/// A WebSocket is opened by a page that is known, or by no page.
pub(super) fn check_opener(
    asking: &Asking<'_>,
    rule: &Rule,
    headers: &HeaderMap,
    record: &mut Record,
) -> Result<(), Refused> {
    check_origin(asking, headers).map_err(|refused| denied(rule, refused, record))
}

/// What comes from a page comes from one whose origin is known; whatever is no page sends none.
fn check_origin(asking: &Asking<'_>, headers: &HeaderMap) -> Result<(), Refused> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let listener = asking.view.rules.listeners.get(asking.listener).ok_or(Refused::Internal)?;
    match (origins.next(), origins.next()) {
        (None, _) => Ok(()),
        (Some(origin), None) if listener.takes_origin(origin.as_bytes()) => Ok(()),
        (Some(_), _) => Err(Refused::ForeignOrigin),
    }
}

/// A session comes along with whatever a browser sends, so what may change something must come from a page that is known.
/// Browsers say where from: `Sec-Fetch-Site` (W3C Fetch Metadata), or at least `Origin` with each method that is not safe.
pub(super) fn check_sender(asking: &Asking<'_>, parts: &Parts) -> Result<(), Refused> {
    if parts.method.is_safe() {
        return Ok(());
    }
    let mut sites = parts.headers.get_all(SEC_FETCH_SITE).iter();
    match (sites.next().map(HeaderValue::as_bytes), sites.next()) {
        (Some(b"same-origin" | b"none"), None) => Ok(()),
        // no page known here asks from elsewhere without saying its origin
        (Some(_), _) if !parts.headers.contains_key(ORIGIN) => Err(Refused::ForeignOrigin),
        (_, _) => check_origin(asking, &parts.headers),
    }
}

/// Who asks. Public routes do not want to know; shadow routes let those pass of whom it cannot be known, and those in whose name
/// a page asks that is not known.
pub(super) async fn identify(
    asking: &Asking<'_>,
    rule: &Rule,
    parts: &Parts,
    record: &mut Record,
) -> Result<Option<Arc<Identity>>, Refused> {
    if matches!(rule.demand, Demand::Public | Demand::Nobody) {
        return Ok(None);
    }
    let is_shadow = rule.enforcement == Enforcement::Shadow;
    let site = &asking.view.rules.listeners.get(asking.listener).ok_or(Refused::Internal)?.site;
    let now = asking.core.judge.clock().now();
    match asking.core.identities.prove(&parts.headers, site, now).await {
        Ok(None) => Ok(None),
        Ok(Some(Proven { identity, session })) => {
            let known = if session.is_some() { check_sender(asking, parts) } else { Ok(()) };
            if is_shadow && known.is_err() {
                return Ok(None);
            }
            record.identity = Some(Arc::clone(&identity));
            record.session = session;
            known.map_err(|refused| denied(rule, refused, record))?;
            Ok(Some(identity))
        }
        Err(
            AuthnError::InvalidToken(_)
            | AuthnError::KeysUnavailable
            | AuthnError::SessionUnavailable
            | AuthnError::Overloaded,
        ) if is_shadow => Ok(None),
        Err(error) => Err(denied(rule, error.into(), record)),
    }
}

/// The verdict, now.
pub(super) fn judge(
    core: &Core,
    rule: &Rule,
    identity: Option<&Identity>,
    record: &mut Record,
) -> Result<Judged, Refused> {
    core.judge.judge(rule, identity).map_err(|not| {
        let refused = match not {
            NotPermitted::Denied(denial) => Refused::Denied(denial),
            NotPermitted::Unknown if core.judge.standings().doubted().is_some() => Refused::Doubted,
            NotPermitted::Unknown if core.judge.clock().is_lost() => Refused::ClockBehind,
            NotPermitted::Unknown => UNAVAILABLE,
        };
        denied(rule, refused, record)
    })
}

/// Notes that the verdict was no.
fn denied(rule: &Rule, refused: Refused, record: &mut Record) -> Refused {
    record.decided(Some(rule), Err(refused.code()));
    refused
}

/// Records one use for each activation the request passes by, if there is room: then nothing waited, and the verdict stands.
/// `false` when one must wait; some may be recorded then.
pub(super) fn try_record_uses(
    core: &Core,
    route: &Route,
    identity: Option<&Identity>,
    judged: &Judged,
    record: &Record,
    recorded: &mut Vec<ActivationId>,
) -> Result<Taken, Refused> {
    for (_, activation) in judged.permit.activations() {
        let used = use_of(activation, route, identity, judged, record).ok_or(Refused::Internal)?;
        match core.uses.try_record(&used).map_err(|_| UNAVAILABLE)? {
            Taken::Yes => recorded.push(activation),
            Taken::Full => return Ok(Taken::Full),
        }
    }
    Ok(Taken::Yes)
}

/// Records what `recorded` does not hold yet, and waits for room. A verdict that had to wait is given anew.
pub(super) async fn record_uses(
    core: &Core,
    route: &Route,
    identity: Option<&Identity>,
    mut judged: Judged,
    record: &mut Record,
    mut recorded: Vec<ActivationId>,
) -> Result<Judged, Refused> {
    for _ in 0..VERDICTS_MAX {
        let missing: Vec<ActivationId> =
            judged.permit.activations().map(|(_, id)| id).filter(|id| !recorded.contains(id)).collect();
        if missing.is_empty() {
            return Ok(judged);
        }
        for activation in missing {
            let used = use_of(activation, route, identity, &judged, record).ok_or(Refused::Internal)?;
            core.uses.record(&used).await.map_err(|_| UNAVAILABLE)?;
            recorded.push(activation);
        }
        let now = core.judge.clock().now();
        let stands = judged.permit.ends_at().is_none_or(|ends_at| now < ends_at);
        if !stands || judged.stamp != core.judge.standings().stamp() {
            judged = judge(core, &route.rule, identity, record)?;
        }
    }
    Err(UNAVAILABLE)
}

fn use_of<'u>(
    activation: ActivationId,
    route: &'u Route,
    identity: Option<&Identity>,
    judged: &Judged,
    record: &'u Record,
) -> Option<Use<'u>> {
    let asked = record.asked.as_ref()?;
    Some(Use {
        activation,
        principal: identity?.principal.clone(),
        at: judged.at,
        request_id: asked.exchange.request_id().into(),
        method: asked.canonical.method.as_str().into(),
        host: asked.canonical.host.text().into(),
        path: asked.canonical.path().into(),
        route: (&*route.name).into(),
    })
}

/// Makes the headers of a request those of the client that the application is to see.
pub(super) fn prepare(headers: &mut HeaderMap, forward_authorization: bool, body: Option<&Incoming>) {
    if !forward_authorization {
        headers.remove(AUTHORIZATION);
    }
    // exactly one framing, made below from what hyper understood; the coding goes with what belongs to one connection only,
    // and so does `TE`, since trailers are not passed on
    let had_length = headers.remove(CONTENT_LENGTH).is_some();
    headers::strip_inbound(headers);
    match body.map(|body| body.size_hint().exact()) {
        Some(Some(length)) => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        Some(None) => {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        None if had_length => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        None => {}
    }
}

/// Whether a body may outlive the right it was begun under: its length is unknown, or not small.
pub(super) fn is_long(body: &impl Body) -> bool {
    body.size_hint().exact().is_none_or(|length| length > SHORT_BYTES_MAX)
}

/// Whether an answer is a stream of events, which ends only when somebody ends it.
pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        essence.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
    })
}

/// Whose fault it is decides the answer; logged here, once.
pub(super) fn refused_by_upstream(error: &ForwardError, route: &Route) -> Refused {
    let refused = match error {
        ForwardError::Unreachable(_)
        | ForwardError::Broken(_)
        | ForwardError::Ambiguous
        | ForwardError::WrongUpgrade => Refused::UpstreamFailed,
        ForwardError::TimedOut => Refused::UpstreamTimeout,
        ForwardError::BodyStalled => Refused::RequestTimeout,
        ForwardError::BodyBroken => Refused::BadRequest(BadRequest::Malformed),
    };
    if matches!(refused, Refused::UpstreamFailed | Refused::UpstreamTimeout) {
        let cause = std::error::Error::source(error);
        tracing::warn!(upstream = &*route.upstream, route = &*route.name, cause, "{error}");
    }
    refused
}

/// Bodies up to this size finish under the permit they began with.
const SHORT_BYTES_MAX: u64 = 64 * 1024;
/// How often a verdict is given anew because recording its uses took long.
const VERDICTS_MAX: usize = 4;
