//! Upgrades: after a correct 101 the gate only moves bytes, for as long as the right lasts.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use data_encoding::BASE64;
use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, UPGRADE};
use http::{Response, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::proxy::access::Record;
use crate::proxy::canonical::Upgrade;
use crate::proxy::core::Core;
use crate::proxy::frames::{Frames, close};
use crate::proxy::guard::{Ending, Right};
use crate::proxy::headers;
use crate::proxy::upstream::ForwardError;

/// Two connections that are about to become one tunnel.
pub(super) struct Tunnel {
    pub(super) upgrade: Upgrade,
    pub(super) client: OnUpgrade,
    pub(super) upstream: OnUpgrade,
    /// What the tunnel rests on.
    pub(super) right: Right,
}

/// Names the protocol in the headers of a request or of a 101. Of a WebSocket request it returns the proof that its
/// upstream must give.
pub(super) fn ask(headers: &mut HeaderMap, upgrade: &Upgrade) -> Option<String> {
    headers::add_upgrade(headers, upgrade);
    headers.get(WEBSOCKET_KEY).map(expected_accept)
}

/// RFC 6455, section 4.2.2.
fn expected_accept(key: &HeaderValue) -> String {
    let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY);
    digest.update(key.as_bytes());
    digest.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64.encode(digest.finish().as_ref())
}

/// The protocol an answer switches to, if it switches.
///
/// # Errors
/// [`ForwardError::WrongUpgrade`] when it switches to anything but what was asked for.
pub(super) fn switched<B>(
    response: &Response<B>,
    asked: Option<&Upgrade>,
    accept: Option<&str>,
) -> Result<Option<Upgrade>, ForwardError> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(None);
    }
    let correct = asked.filter(|asked| is_correct(response, asked, accept));
    correct.cloned().map(Some).ok_or(ForwardError::WrongUpgrade)
}

/// Whether an answer switches to exactly what was asked for.
fn is_correct<B>(response: &Response<B>, upgrade: &Upgrade, accept: Option<&str>) -> bool {
    let wanted = match upgrade {
        Upgrade::WebSocket => "websocket",
        Upgrade::Other(name) => name,
    };
    let headers = response.headers();
    let one = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
    };
    let says_upgrade = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|token| token.trim().eq_ignore_ascii_case("upgrade")));
    let proves = match upgrade {
        Upgrade::WebSocket => accept.is_some() && one(&WEBSOCKET_ACCEPT) == accept,
        Upgrade::Other(_) => true,
    };
    says_upgrade && one(&UPGRADE).is_some_and(|name| name.eq_ignore_ascii_case(wanted)) && proves
}

/// Moves bytes both ways until both sides are done, one fails, or the right ends.
pub(super) async fn run(core: Rc<Core>, tunnel: Tunnel, mut record: Box<Record>) {
    let Tunnel { upgrade, client, upstream, right } = tunnel;
    let Ok((client, upstream)) = tokio::try_join!(client, upstream) else {
        record.failure = Some("upgrade_failed");
        return;
    };
    core.meters.tunnels_open.inc();
    let mut outward = Half::new(upgrade == Upgrade::WebSocket);
    let mut inward = Half::new(false);
    let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
    let ending = {
        let copied = poll_fn(|cx| copy_both(cx, &core, &mut client, &mut upstream, &mut inward, &mut outward));
        tokio::select! {
            // the right is asked first: bytes that wait when it has ended go nowhere
            biased;
            ending = right.ended() => Some(ending),
            () = core.cut.cancelled() => Some(Ending::Draining),
            copied = copied => {
                if copied.is_err() {
                    record.failure = Some("tunnel_broke_off");
                }
                None
            }
        }
    };
    record.bytes = outward.passed;
    record.ending.set(ending);
    if let Some(ending) = ending {
        say_goodbye(&mut client, &outward, ending).await;
        // one revocation may cut thousands: all of them are cut before anything is noted of the first
        tokio::task::yield_now().await;
        tracing::info!(
            reason = ending.name(),
            route = record.route.as_ref().map(|route| &*route.name),
            "a tunnel was cut"
        );
    }
    core.meters.tunnels_open.dec();
    core.meters.tunnel_closed(ending);
}

/// Tells a WebSocket client why, if its last frame is whole; in the middle of a frame it would be read as payload.
async fn say_goodbye(client: &mut TokioIo<Upgraded>, outward: &Half, ending: Ending) {
    let said = async {
        if outward.frames.is_some_and(|frames| frames.is_between()) {
            let (code, reason) = match ending {
                Ending::Draining => (1001, "going away"),
                Ending::Expired | Ending::Revoked | Ending::SignedOut | Ending::RuleChanged | Ending::Unknown => {
                    (1008, "access ended")
                }
            };
            client.write_all(&close(code, reason)).await?;
        }
        client.shutdown().await
    };
    // a client that takes nothing is cut without a word
    let _ = tokio::time::timeout(GOODBYE_TIMEOUT, said).await;
}

/// One direction.
#[derive(Debug)]
struct Half {
    /// Read but not yet written.
    waiting: Vec<u8>,
    written: usize,
    passed: u64,
    /// Followed over what was written, when the protocol is known.
    frames: Option<Frames>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The reading side ended; the writing side is being told.
    Closing,
    Closed,
}

impl Half {
    fn new(framed: bool) -> Self {
        Self { waiting: Vec::new(), written: 0, passed: 0, frames: framed.then(Frames::new), state: State::Open }
    }

    fn wrote(&mut self, bytes: &[u8]) {
        self.passed = self.passed.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if let Some(frames) = &mut self.frames {
            frames.pass(bytes);
        }
    }
}

fn copy_both(
    cx: &mut Context<'_>,
    core: &Core,
    client: &mut TokioIo<Upgraded>,
    upstream: &mut TokioIo<Upgraded>,
    inward: &mut Half,
    outward: &mut Half,
) -> Poll<io::Result<()>> {
    let in_done = copy(cx, core, inward, client, upstream)?;
    let out_done = copy(cx, core, outward, upstream, client)?;
    if in_done.is_ready() && out_done.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
}

fn copy(
    cx: &mut Context<'_>,
    core: &Core,
    half: &mut Half,
    from: &mut TokioIo<Upgraded>,
    to: &mut TokioIo<Upgraded>,
) -> Poll<io::Result<()>> {
    // a side that always has more must not starve the other, nor the guard
    for _ in 0..TURNS_MAX {
        match half.state {
            State::Closed => return Poll::Ready(Ok(())),
            State::Closing => {
                ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                half.state = State::Closed;
                return Poll::Ready(Ok(()));
            }
            State::Open => {}
        }
        ready!(write_waiting(cx, half, to))?;
        let mut scratch = core.scratch.borrow_mut();
        let mut buffer = ReadBuf::new(&mut scratch);
        if Pin::new(&mut *from).poll_read(cx, &mut buffer)?.is_pending() {
            drop(scratch);
            ready!(Pin::new(&mut *to).poll_flush(cx))?;
            return Poll::Pending;
        }
        let bytes = buffer.filled();
        if bytes.is_empty() {
            half.state = State::Closing;
            continue;
        }
        // most often the other side takes all at once, and nothing is kept
        let taken = match Pin::new(&mut *to).poll_write(cx, bytes)? {
            Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(taken) => taken,
            Poll::Pending => 0,
        };
        half.wrote(bytes.get(..taken).unwrap_or_default());
        half.waiting.extend_from_slice(bytes.get(taken..).unwrap_or_default());
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

fn write_waiting(cx: &mut Context<'_>, half: &mut Half, to: &mut TokioIo<Upgraded>) -> Poll<io::Result<()>> {
    while half.written < half.waiting.len() {
        let left = half.waiting.get(half.written..).unwrap_or_default();
        let taken = ready!(Pin::new(&mut *to).poll_write(cx, left))?;
        if taken == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let from = half.written;
        half.written += taken;
        let passed = half.waiting.get(from..half.written).unwrap_or_default().to_vec();
        half.wrote(&passed);
    }
    if !half.waiting.is_empty() {
        // a tunnel that waits owns no buffer
        half.waiting = Vec::new();
        half.written = 0;
    }
    Poll::Ready(Ok(()))
}

const WEBSOCKET_KEY: HeaderName = HeaderName::from_static("sec-websocket-key");
const WEBSOCKET_ACCEPT: HeaderName = HeaderName::from_static("sec-websocket-accept");
const GOODBYE_TIMEOUT: Duration = Duration::from_millis(50);
const TURNS_MAX: usize = 16;
