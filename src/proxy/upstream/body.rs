//! Bodies on their way to an upstream and back.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tokio::time::Sleep;

use super::pool::Lent;
use crate::clock::awake;
use crate::proxy::guard::Lease;

/// A request's body, streamed to the upstream as the client sends it. Trailers are dropped.
pub(in crate::proxy) struct RequestBody {
    sending: Option<Sending>,
}

struct Sending {
    incoming: Option<Incoming>,
    progress: Rc<Progress>,
    timeout: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    /// Takes what the upstream did not want to read.
    unread: mpsc::Sender<Incoming>,
    /// The connection is cut with the right for as long as the body runs. A body without it is short, and must be there
    /// within the timeout as a whole: nothing else would end it with the right it was begun under.
    lease: Option<Rc<Lease>>,
}

/// How a request's body is getting on; shared with who waits for the answer.
#[derive(Debug, Default)]
pub(super) struct Progress {
    ended_at: Cell<Option<Instant>>,
    failed: Cell<Option<Fault>>,
}

/// What went wrong with a request's body, on the client's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It paused for too long.
    Stalled,
    /// It broke off, or its framing is wrong.
    Broken,
}

impl Progress {
    /// When the whole body was sent.
    pub(super) fn ended_at(&self) -> Option<Instant> {
        self.ended_at.get()
    }

    pub(super) fn fault(&self) -> Option<Fault> {
        self.failed.get()
    }
}

/// The client broke off or paused for too long.
#[derive(Debug, thiserror::Error)]
#[error("the client did not send the whole body")]
pub(in crate::proxy) struct Unsent;

impl RequestBody {
    /// No body.
    pub(super) const fn none() -> Self {
        Self { sending: None }
    }

    pub(super) fn new(
        incoming: Incoming,
        timeout: Duration,
        unread: mpsc::Sender<Incoming>,
        lease: Option<Rc<Lease>>,
    ) -> (Self, Rc<Progress>) {
        let progress = Rc::new(Progress::default());
        let sending =
            Sending { incoming: Some(incoming), progress: Rc::clone(&progress), timeout, timer: None, unread, lease };
        (Self { sending: Some(sending) }, progress)
    }
}

impl Sending {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        loop {
            let Poll::Ready(frame) = Pin::new(&mut *incoming).poll_frame(cx) else {
                let timeout = self.timeout;
                let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
                ready!(timer.as_mut().poll(cx));
                return Poll::Ready(Some(Err(Fault::Stalled)));
            };
            if self.lease.is_some() {
                self.timer = None;
            }
            match frame {
                None => return Poll::Ready(None),
                Some(Err(_)) => return Poll::Ready(Some(Err(Fault::Broken))),
                Some(Ok(frame)) => {
                    // a trailer could only become a header further on
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
            }
        }
    }

    fn ended(&self) {
        if self.progress.ended_at.get().is_none() {
            self.progress.ended_at.set(Some(awake()));
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Unsent;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Unsent>>> {
        let Some(sending) = &mut self.sending else { return Poll::Ready(None) };
        match ready!(sending.poll_data(cx)) {
            Some(Ok(data)) => {
                if sending.incoming.as_ref().is_none_or(Body::is_end_stream) {
                    sending.ended();
                }
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Some(Err(fault)) => {
                sending.progress.failed.set(Some(fault));
                sending.incoming = None;
                Poll::Ready(Some(Err(Unsent)))
            }
            None => {
                sending.ended();
                sending.incoming = None;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.sending {
            None => true,
            Some(sending) => sending.incoming.as_ref().is_none_or(Body::is_end_stream),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.sending.as_ref().and_then(|sending| sending.incoming.as_ref()) {
            Some(incoming) => incoming.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(sending) = &mut self.sending else { return };
        let Some(incoming) = sending.incoming.take() else { return };
        if !incoming.is_end_stream() {
            // full queue: the client's connection is closed instead, which is what happens to a body nobody takes
            let _ = sending.unread.try_send(incoming);
        }
    }
}

/// The body of an upstream's answer. Gives its connection back when both sides of the exchange are whole.
pub(in crate::proxy) struct UpstreamBody {
    incoming: Incoming,
    whole: bool,
    lent: Option<Lent>,
    request: Option<Rc<Progress>>,
}

impl UpstreamBody {
    pub(super) const fn new(incoming: Incoming, lent: Option<Lent>, request: Option<Rc<Progress>>) -> Self {
        Self { incoming, whole: false, lent, request }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        loop {
            match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
                Some(Ok(frame)) if frame.is_data() => return Poll::Ready(Some(Ok(frame))),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    self.whole = true;
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.whole || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for UpstreamBody {
    fn drop(&mut self) {
        let sent = self.request.as_ref().is_none_or(|progress| progress.ended_at.get().is_some());
        let received = self.whole || self.incoming.is_end_stream();
        if let Some(lent) = self.lent.take().filter(|_| sent && received) {
            lent.give_back();
        }
    }
}
