//! One connection: what the handler learns of it, and the task that drives it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::activity::{Activity, Deadlines, Stream};
use super::{Limits, Peer};

/// What a handler knows of the connection its request came on, and may ask of it.
pub struct Connection {
    /// The other end.
    pub peer: Peer,
    /// Whether the bytes came encrypted.
    pub encrypted: bool,
    watch: RefCell<Option<Watch>>,
    watch_is_new: Cell<bool>,
    tickets: Cell<u64>,
    memory: RefCell<Option<Rc<dyn Any>>>,
}

/// What a connection is cut by.
struct Watch {
    ticket: Ticket,
    ended: LocalBoxFuture<'static, ()>,
}

/// Names one request to cut a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u64);

impl Connection {
    pub(super) fn new(peer: Peer, encrypted: bool) -> Self {
        let (watch, watch_is_new, tickets) = (RefCell::new(None), Cell::new(false), Cell::new(0));
        Self { peer, encrypted, watch, watch_is_new, tickets, memory: RefCell::new(None) }
    }

    /// What the handler remembered last, if it is of this kind.
    pub fn recall<T: 'static>(&self) -> Option<Rc<T>> {
        self.memory.borrow().clone()?.downcast().ok()
    }

    /// Remembers something for the next request on this connection, in place of what was remembered before.
    pub fn remember(&self, what: Rc<dyn Any>) {
        let before = self.memory.borrow_mut().replace(what);
        drop(before);
    }

    /// Cuts the connection, in whatever state it is, as soon as `ended` completes. Polled by the connection's own task, so
    /// that it needs no bytes to move. Replaces what was asked before.
    pub fn cut_when(&self, ended: LocalBoxFuture<'static, ()>) -> Ticket {
        let ticket = Ticket(self.tickets.get());
        self.tickets.set(ticket.0.wrapping_add(1));
        let before = self.watch.borrow_mut().replace(Watch { ticket, ended });
        self.watch_is_new.set(true);
        drop(before);
        ticket
    }

    /// The connection is no longer to be cut, unless something else was asked since.
    pub fn keep(&self, ticket: Ticket) {
        let is_it = self.watch.borrow().as_ref().is_some_and(|watch| watch.ticket == ticket);
        // dropped outside the borrow: what it owns may call back
        let watch = if is_it { self.watch.borrow_mut().take() } else { None };
        drop(watch);
    }

    fn poll_watch(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.watch_is_new.set(false);
        // taken out, so that the future may itself use the connection
        let Some(mut watch) = self.watch.borrow_mut().take() else { return Poll::Pending };
        if watch.ended.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut slot = self.watch.borrow_mut();
        if slot.is_none() {
            *slot = Some(watch);
        }
        Poll::Pending
    }
}

/// An answer's body that tells its connection when the exchange is over.
pub struct Answered<B> {
    body: Option<B>,
    _exchange: ExchangeUnderway,
}

struct ExchangeUnderway(Arc<Activity>);

impl Drop for ExchangeUnderway {
    fn drop(&mut self) {
        self.0.exchange_ends();
    }
}

impl<B: Body + Unpin> Body for Answered<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// A cancellation as one task looks at it on each of its turns: waiting for it anew each time costs ten times a look.
struct Called {
    token: CancellationToken,
    waiting: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Called {
    const fn new(token: CancellationToken) -> Self {
        Self { token, waiting: None }
    }

    /// Ready once it was cancelled. Always to be called by the same task, which is woken then.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.waiting {
            Some(_) if self.token.is_cancelled() => Poll::Ready(()),
            Some(_) => Poll::Pending,
            None => {
                let waiting = self.waiting.insert(Box::pin(self.token.clone().cancelled_owned()));
                waiting.as_mut().poll(cx)
            }
        }
    }
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// By bytes that are no request; hyper has answered them.
    Malformed,
    /// In any other way.
    Otherwise,
}

/// Drives one connection until it is closed, cut, past a limit, or drained.
pub(super) async fn drive<H, F, B>(
    stream: Stream,
    activity: Arc<Activity>,
    connection: Rc<Connection>,
    limits: Limits,
    (draining, cut): (CancellationToken, CancellationToken),
    handler: Rc<H>,
) -> Ended
where
    H: Fn(Request<Incoming>, Rc<Connection>) -> F + 'static,
    F: Future<Output = Response<B>> + 'static,
    B: Body + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut deadlines = Deadlines::new(Arc::clone(&activity), limits);
    let service = hyper::service::service_fn(|request| {
        activity.exchange_begins();
        let underway = ExchangeUnderway(Arc::clone(&activity));
        // boxed: it is large, and moved from hand to hand before it is polled
        let answer = Box::pin(handler(request, Rc::clone(&connection)));
        async move {
            // a panic ends this request, not the others of this core
            let response = match AssertUnwindSafe(answer).catch_unwind().await {
                Ok(response) => response.map(|body| Answered { body: Some(body), _exchange: underway }),
                Err(_) => {
                    let mut response = Response::new(Answered { body: None, _exchange: underway });
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    response
                }
            };
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    // hyper's own limit costs nothing; any other makes it clear its tables for each head
    if limits.header_fields_max != HYPER_FIELDS_MAX {
        http.max_headers(limits.header_fields_max);
    }
    let http =
        http.max_header_size(limits.header_bytes_max).serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut http = pin!(http);
    let (mut draining, mut cut) = (Called::new(draining), Called::new(cut));
    let mut told = false;
    poll_fn(|cx| {
        if cut.poll(cx).is_ready() || connection.poll_watch(cx).is_ready() {
            return Poll::Ready(Ended::Otherwise);
        }
        if !told && draining.poll(cx).is_ready() {
            told = true;
            http.as_mut().graceful_shutdown();
        }
        loop {
            if let Poll::Ready(ended) = http.as_mut().poll(cx) {
                let malformed = ended.is_err_and(|error| error.is_parse());
                return Poll::Ready(if malformed { Ended::Malformed } else { Ended::Otherwise });
            }
            // what the handler has just asked for must be polled once to be woken by
            if !connection.watch_is_new.get() {
                break;
            }
            if connection.poll_watch(cx).is_ready() {
                return Poll::Ready(Ended::Otherwise);
            }
        }
        deadlines.poll_passed(cx).map(|()| Ended::Otherwise)
    })
    .await
}

const HYPER_FIELDS_MAX: usize = 100;
