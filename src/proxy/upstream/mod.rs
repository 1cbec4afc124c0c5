//! Forwarding: the only way from the gate to an application, and it demands a [`Permit`].

mod body;
mod pool;
mod target;

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Response, Uri, Version};
use http_body::Body;
use hyper::body::Incoming;
use tokio::sync::mpsc;

pub(super) use body::UpstreamBody;
pub(super) use pool::Upstream;
pub(super) use target::Target;
pub use target::UpstreamSettings;

use crate::clock::awake;
use crate::domain::authorize::Permit;
use crate::proxy::guard::Lease;
use body::{Fault, Progress, RequestBody};
use pool::Lent;

/// A request as the application will see it.
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) target: Uri,
    /// Those of the client that pass, framing included.
    pub(super) headers: HeaderMap,
    pub(super) body: Option<OutgoingBody>,
    pub(super) connection: Connection,
}

/// A body that is still on its way from the client.
pub(super) struct OutgoingBody {
    pub(super) incoming: Incoming,
    pub(super) timeout: Duration,
    /// Takes what the application did not want to read.
    pub(super) unread: mpsc::Sender<Incoming>,
    pub(super) lease: Option<Rc<Lease>>,
}

/// Which connection an exchange takes, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    /// Any, and it may be used again.
    Shared,
    /// A new one that carries nothing else, because its protocol may change.
    Own,
}

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The application cannot be reached.
    #[error("cannot connect to the upstream")]
    Unreachable(#[source] std::io::Error),
    /// It did not answer in time.
    #[error("the upstream did not answer in time")]
    TimedOut,
    /// Its answer is broken, or it hung up.
    #[error("the upstream gave no proper answer")]
    Broken(#[source] hyper::Error),
    /// It can be told in more than one way where its answer ends, or what it is.
    #[error("the upstream framed its answer in more than one way")]
    Ambiguous,
    /// It switched to a protocol that nobody asked for, or wrongly.
    #[error("the upstream switched protocols in a wrong way")]
    WrongUpgrade,
    /// The client paused for too long inside its body.
    #[error("the client did not send its body in time")]
    BodyStalled,
    /// The client broke off inside its body, or framed it wrongly.
    #[error("the client's body is broken")]
    BodyBroken,
}

/// Sends a request that may pass, with the headers that `told` adds, and returns the answer as soon as its head is there.
///
/// A request without body whose method may be repeated is sent once more, on a new connection, when a kept connection dies
/// before any byte of an answer; so is any request of which nothing was written.
pub(super) async fn forward(
    _permit: &Permit,
    upstream: &Rc<Upstream>,
    outgoing: Outgoing,
    told: impl Fn(&mut HeaderMap),
) -> Result<Response<UpstreamBody>, ForwardError> {
    let shared = outgoing.connection == Connection::Shared;
    let repeatable = outgoing.body.is_none() && outgoing.method.is_idempotent();
    let (mut request, progress) = outgoing.into_request();
    let mut lent = match shared.then(|| upstream.take()).flatten() {
        Some(lent) => lent,
        None => connect(upstream).await?,
    };
    loop {
        let copy = (lent.reused && repeatable).then(|| copy_of(&request));
        // grown once for all that is to come
        request.headers_mut().reserve(HEADERS_ADDED);
        told(request.headers_mut());
        let failure = match send(&mut lent, request, progress.as_deref(), upstream).await {
            Ok(response) => {
                check_framing(response.headers())?;
                let lent = shared.then_some(lent);
                return Ok(response.map(|incoming| UpstreamBody::new(incoming, lent, progress)));
            }
            Err(failure) => failure,
        };
        let unsent = failure.unsent.or_else(|| copy.filter(|_| !lent.heard()));
        match unsent {
            Some(again) if lent.reused && !matches!(failure.error, ForwardError::TimedOut) => {
                request = again;
                lent = connect(upstream).await?;
            }
            _ => return Err(failure.error),
        }
    }
}

async fn connect(upstream: &Rc<Upstream>) -> Result<Lent, ForwardError> {
    // cold, and large: kept out of the future that every request pays for
    Box::pin(upstream.connect()).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::TimedOut => ForwardError::TimedOut,
        _ => ForwardError::Unreachable(error),
    })
}

struct Failure {
    error: ForwardError,
    /// The request, when nothing of it was written.
    unsent: Option<Request<RequestBody>>,
}

async fn send(
    lent: &mut Lent,
    request: Request<RequestBody>,
    progress: Option<&Progress>,
    upstream: &Upstream,
) -> Result<Response<Incoming>, Failure> {
    let timeout = upstream.target.settings.response_timeout;
    let mut answer = std::pin::pin!(lent.sender().try_send_request(request));
    loop {
        let until = awake() + timeout;
        let answered = poll_fn(|cx| match answer.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => lent.poll_passed(cx, until).map(|()| None),
        });
        match answered.await {
            Some(Ok(response)) => return Ok(response),
            Some(Err(mut failed)) => {
                let unsent = failed.take_message();
                let error = match progress.and_then(Progress::fault) {
                    Some(Fault::Stalled) => ForwardError::BodyStalled,
                    Some(Fault::Broken) => ForwardError::BodyBroken,
                    None => ForwardError::Broken(failed.into_error()),
                };
                return Err(Failure { error, unsent });
            }
            // the time to answer begins when the whole request is there; a body has a limit of its own
            None if progress.is_some_and(|progress| still_due(progress, timeout)) => {}
            None => return Err(Failure { error: ForwardError::TimedOut, unsent: None }),
        }
    }
}

fn still_due(progress: &Progress, timeout: Duration) -> bool {
    progress.ended_at().is_none_or(|ended_at| awake().saturating_duration_since(ended_at) < timeout)
}

/// hyper follows the coding and leaves a length beside it standing; a coding other than `chunked` it leaves to others, who
/// will not be told of it.
fn check_framing(headers: &HeaderMap) -> Result<(), ForwardError> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(only), None)
            if only.as_bytes().eq_ignore_ascii_case(b"chunked") && !headers.contains_key(CONTENT_LENGTH) =>
        {
            Ok(())
        }
        (Some(_), _) => Err(ForwardError::Ambiguous),
    }
}

fn copy_of(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(RequestBody::none());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

impl Outgoing {
    fn into_request(self) -> (Request<RequestBody>, Option<Rc<Progress>>) {
        let (body, progress) = match self.body {
            Some(body) if !body.incoming.is_end_stream() => {
                let (body, progress) = RequestBody::new(body.incoming, body.timeout, body.unread, body.lease);
                (body, Some(progress))
            }
            _ => (RequestBody::none(), None),
        };
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.target;
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = self.headers;
        (request, progress)
    }
}

/// As many headers as are usually added on the way to an application.
const HEADERS_ADDED: usize = 18;
