//! The data plane: who asks, what the route demands, and whether it may pass right now.
//!
//! One request goes down `pass` from top to bottom and leaves it as an answer or as a [`Refused`]:
//!
//! canonical form → reserved prefix → route → identity → verdict → uses → forward → answer
//!
//! Nothing is forwarded without the [`Permit`](crate::domain::authorize::Permit) that the verdict gave, and between reading
//! a standing and the verdict on it nothing waits.

mod access;
mod answer;
mod assertion;
pub mod canonical;
mod core;
pub mod denial;
mod frames;
mod gate;
mod guard;
pub mod headers;
pub mod host;
mod lookout;
mod measure;
mod page;
mod reserved;
pub mod route;
mod settings;
mod sign_in;
mod standing;
mod steps;
#[cfg(test)]
mod tests;
mod tunnel;
mod upstream;

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

pub use assertion::AssertionKeyError;
pub use core::Services;
pub use gate::{ProxyError, RunningGate};
pub use settings::{ListenerSettings, Settings, SettingsError};
pub use upstream::{ForwardError, UpstreamSettings};

use crate::server;
use crate::uses::Taken;
use access::{Asked, Record};
use answer::AnswerBody;
use canonical::{Upgrade, canonicalise};
use core::{Core, View};
use denial::{Audience, Occasion, Refused, refuse};
use guard::{Drain, Lease, Right};
use headers::Exchange;
use tunnel::Tunnel;
use upstream::{Connection, Outgoing, OutgoingBody, UpstreamBody, forward};

/// A request on its way.
struct Asking<'a> {
    core: &'a Rc<Core>,
    view: &'a Rc<View>,
    listener: usize,
    connection: &'a Rc<server::Connection>,
    /// Taken by whoever reads it.
    body: Option<Incoming>,
}

/// How a request came through.
enum Passed {
    /// Answered by the gate itself.
    Own(Response<Bytes>),
    /// Answered by the application.
    Upstream(Response<UpstreamBody>, Option<Rc<Lease>>),
    /// The application switched protocols; the headers are of its 101.
    Switched(Box<(HeaderMap, Tunnel)>),
}

/// Answers one request.
async fn answer(
    core: Rc<Core>,
    listener: usize,
    request: Request<Incoming>,
    connection: Rc<server::Connection>,
) -> Response<AnswerBody> {
    let view = core.view();
    let mut record = Box::new(Record::new(&core, &view, listener));
    let (parts, body) = request.into_parts();
    let audience = Audience::of(&parts);
    let bears_token = parts.headers.contains_key(http::header::AUTHORIZATION);
    let waits_to_go_on = parts.headers.contains_key(http::header::EXPECT);
    let mut asking = Asking { core: &core, view: &view, listener, connection: &connection, body: Some(body) };
    let response = match pass(&mut asking, parts, &mut record).await {
        Ok(Passed::Upstream(response, lease)) => {
            record.status = response.status();
            return response.map(|body| AnswerBody::upstream(body, record, lease));
        }
        Ok(Passed::Switched(switched)) => {
            let (headers, tunnel) = *switched;
            record.status = StatusCode::SWITCHING_PROTOCOLS;
            core.exchanges.spawn_local(tunnel::run(Rc::clone(&core), tunnel, record));
            let mut response = Response::new(AnswerBody::switched());
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            *response.headers_mut() = headers;
            return response;
        }
        Ok(Passed::Own(response)) => response.map(Full::new),
        Err(refused) => refusal(&asking, &refused, (audience, bears_token), &mut record),
    };
    // a client that waits to be told to go on is not told; of any other the rest is read and forgotten
    if let Some(body) = asking.body.take().filter(|_| !waits_to_go_on) {
        core.ignore(body);
    }
    record.status = response.status();
    response.map(|body| AnswerBody::own(body, record))
}

fn refusal(
    asking: &Asking<'_>,
    refused: &Refused,
    (audience, bears_token): (Audience, bool),
    record: &mut Record,
) -> Response<Full<Bytes>> {
    record.failure = Some(refused.code());
    let Some(listener) = asking.view.rules.listeners.get(asking.listener) else { return Response::default() };
    let asked = record.asked.as_ref();
    let request_id = match asked {
        Some(asked) => asked.exchange.request_id().to_owned(),
        None => headers::fresh_request_id(),
    };
    let (policies, paces) = (asking.core.policies.load(), asking.core.paces.load());
    let mut response = refuse(
        refused,
        &Occasion {
            audience,
            links: &listener.links,
            canonical: asked.map(|asked| &*asked.canonical),
            request_id: &request_id,
            now: asking.core.judge.clock().now(),
            // a session beside a token would be one credential too many
            signs_in: !bears_token && asking.core.identities.sign_ins().is_some(),
            demand: record.route.as_ref().map(|route| &route.rule.demand),
            policies: &policies,
            paces: &paces,
            names: &asking.view.rules.names,
        },
    );
    if asked.is_none() {
        // after what could not be read in one way, nothing further on this connection can be
        response.headers_mut().insert(http::header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The pipeline.
async fn pass(asking: &mut Asking<'_>, parts: Parts, record: &mut Record) -> Result<Passed, Refused> {
    let (core, view) = (asking.core, asking.view);
    let canonical = Rc::new(canonicalise(&parts, &view.rules.canonical).map_err(Refused::BadRequest)?);
    let exchange = Exchange::read(&parts.headers, &steps::from(asking).connection, &canonical);
    let exchange = Rc::new(exchange.map_err(Refused::BadRequest)?);
    record.asked = Some(Asked { canonical: Rc::clone(&canonical), exchange: Rc::clone(&exchange) });

    if let Some(path) = canonical.reserved() {
        let asked = (&*canonical, path);
        let answer = reserved::answer(core, view, asking.listener, &parts.headers, asked, record);
        return Ok(Passed::Own(Box::pin(answer).await?));
    }
    let route = Arc::clone(steps::find(view, &canonical, record)?);
    if canonical.upgrade == Some(Upgrade::WebSocket) {
        steps::check_opener(asking, &route.rule, &parts.headers, record)?;
    }
    let identity = steps::identify(asking, &route.rule, &parts, record).await?;
    let mut judged = steps::judge(core, &route.rule, identity.as_deref(), record)?;
    let mut recorded = Vec::new();
    if steps::try_record_uses(core, &route, identity.as_deref(), &judged, record, &mut recorded)? == Taken::Full {
        judged = Box::pin(steps::record_uses(core, &route, identity.as_deref(), judged, record, recorded)).await?;
    }
    record.decided(Some(&route.rule), Ok(&judged.permit));

    let upstream = view.upstream(route.index).ok_or(Refused::Internal)?;
    // also where nobody had to be known: the rule may change
    let session = record.session.clone();
    let right = |drain| {
        let proven = (identity.as_ref(), session.as_ref());
        Right::new(core, view, &canonical, &route, proven, &judged, drain)
    };
    let body = asking.body.take().filter(|body| !body.is_end_stream());
    let mut headers = parts.headers;
    let authorization = upstream.target.settings.forward_authorization;
    steps::prepare(&mut headers, authorization, body.as_ref());
    let (mut passing, mut known, mut assertion) = (Rc::default(), None, None);
    if let Some(identity) = identity.as_ref().filter(|_| judged.permit.vouches()) {
        let what = view.known(identity);
        passing = what.passing(&judged.permit);
        assertion = view.assertion((asking.listener, route.index), (identity, &judged.permit), &passing, judged.at);
        record.passed = Some((Rc::clone(&what), Rc::clone(&passing)));
        known = Some(what);
    }
    let accept = canonical.upgrade.as_ref().and_then(|upgrade| tunnel::ask(&mut headers, upgrade));
    // all that the application is told by hallpass, and not by the client
    let told = |headers: &mut HeaderMap| {
        headers::add_forwarding(headers, &exchange);
        known.iter().for_each(|known| known.headers.add(headers));
        passing.headers.add(headers);
        assertion.iter().for_each(|assertion| assertion.add(headers));
    };
    let lease_of = |drain| Lease::new(asking.connection, right(drain), &record.ending);
    let mut lease = body.as_ref().filter(|body| steps::is_long(*body)).map(|_| lease_of(Drain::Waits));
    let outgoing = Outgoing {
        method: canonical.method.clone(),
        target: Uri::from(canonical.target()),
        headers,
        body: body.map(|incoming| OutgoingBody {
            incoming,
            timeout: view.rules.body_timeout,
            unread: core.unread(),
            lease: lease.clone(),
        }),
        connection: if canonical.upgrade.is_some() { Connection::Own } else { Connection::Shared },
    };
    let mut response = forward(&judged.permit, upstream, outgoing, told)
        .await
        .map_err(|error| steps::refused_by_upstream(&error, &route))?;

    *response.version_mut() = Version::HTTP_11;
    let protocol = tunnel::switched(&response, canonical.upgrade.as_ref(), accept.as_deref())
        .map_err(|error| steps::refused_by_upstream(&error, &route))?;
    let never_ends = steps::is_event_stream(response.headers());
    headers::strip_outbound(response.headers_mut());
    headers::add_outbound(response.headers_mut(), &exchange, &passing.headers);
    if record.session.is_some() {
        headers::keep_private(response.headers_mut());
    }
    if let Some(upgrade) = protocol {
        let client = parts.extensions.get::<OnUpgrade>().cloned().ok_or(Refused::Internal)?;
        let upstream = hyper::upgrade::on(&mut response);
        let mut headers = std::mem::take(response.headers_mut());
        let _ = tunnel::ask(&mut headers, &upgrade);
        let tunnel = Tunnel { upgrade, client, upstream, right: right(Drain::Ends) };
        return Ok(Passed::Switched(Box::new((headers, tunnel))));
    }
    if lease.is_none() && steps::is_long(response.body()) {
        lease = Some(lease_of(if never_ends { Drain::Ends } else { Drain::Waits }));
    }
    Ok(Passed::Upstream(response, lease))
}
