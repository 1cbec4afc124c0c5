//! What goes back to the client, and the record that goes with it to its last byte.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use crate::proxy::access::Record;
use crate::proxy::guard::Lease;
use crate::proxy::upstream::UpstreamBody;

/// The body of an answer.
pub(super) struct AnswerBody {
    source: Source,
    record: Option<Box<Record>>,
    /// The connection is cut with the right for as long as the body runs.
    _lease: Option<Rc<Lease>>,
}

enum Source {
    Own(Full<Bytes>),
    Upstream(UpstreamBody),
}

impl AnswerBody {
    /// An answer of hallpass itself.
    pub(super) fn own(body: Full<Bytes>, record: Box<Record>) -> Self {
        Self { source: Source::Own(body), record: Some(record), _lease: None }
    }

    /// An answer of the application.
    pub(super) fn upstream(body: UpstreamBody, record: Box<Record>, lease: Option<Rc<Lease>>) -> Self {
        Self { source: Source::Upstream(body), record: Some(record), _lease: lease }
    }

    /// No body; the record stays with the tunnel that follows.
    pub(super) fn switched() -> Self {
        Self { source: Source::Own(Full::default()), record: None, _lease: None }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = match &mut self.source {
            Source::Own(body) => {
                ready!(Pin::new(body).poll_frame(cx)).map(|frame| frame.map_err(|never| match never {}))
            }
            Source::Upstream(body) => ready!(Pin::new(body).poll_frame(cx)),
        };
        if let Some(record) = &mut self.record {
            match &frame {
                Some(Ok(frame)) => {
                    let length = frame.data_ref().map_or(0, Bytes::len);
                    record.bytes = record.bytes.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
                }
                Some(Err(_)) => record.failure = Some("upstream_broke_off"),
                None => {}
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Own(body) => body.is_end_stream(),
            Source::Upstream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Own(body) => body.size_hint(),
            Source::Upstream(body) => body.size_hint(),
        }
    }
}
