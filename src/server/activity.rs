//! What a connection is doing, told by its bytes, and by when it must have done it.
//!
//! hyper's own header timeout makes a new timer for each request. Here the socket only raises flags; the task that drives
//! the connection looks at them after each turn and keeps one timer for all limits, which on a busy connection is almost
//! never set anew.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use super::Limits;
use crate::clock::{Alarm, awake};

/// Flags shared by a socket, the exchanges on it and the task that drives it; all on one core.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// An exchange runs.
    busy: AtomicBool,
    /// Exchanges that ended.
    ended: AtomicU32,
    /// Bytes came in since it was last looked at.
    heard: AtomicBool,
    /// The socket took no bytes at the last try.
    blocked: AtomicBool,
    /// Writes that got on.
    written: AtomicU32,
}

impl Activity {
    pub(super) fn exchange_begins(&self) {
        self.busy.store(true, Ordering::Relaxed);
        self.heard.store(false, Ordering::Relaxed);
    }

    pub(super) fn exchange_ends(&self) {
        self.busy.store(false, Ordering::Relaxed);
        self.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// The limits in time of one connection.
#[derive(Debug)]
pub(super) struct Deadlines {
    activity: Arc<Activity>,
    limits: Limits,
    reading: Reading,
    reading_until: Option<Instant>,
    ended: u32,
    written: u32,
    writing_until: Option<Instant>,
    alarm: Alarm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Waits for a request to begin.
    Idle,
    /// A head is on its way.
    Head,
    /// An exchange runs and has limits of its own.
    Exchange,
}

impl Deadlines {
    /// Starts the clock for the first head.
    pub(super) fn new(activity: Arc<Activity>, limits: Limits) -> Self {
        Self {
            activity,
            limits,
            reading: Reading::Head,
            reading_until: Some(awake() + limits.header_timeout),
            ended: 0,
            written: 0,
            writing_until: None,
            alarm: Alarm::default(),
        }
    }

    /// Ready when a limit is passed. To be called after each turn of the connection.
    pub(super) fn poll_passed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.look();
        match [self.reading_until, self.writing_until].into_iter().flatten().min() {
            Some(until) => self.alarm.poll_passed(cx, until),
            None => Poll::Pending,
        }
    }

    fn look(&mut self) {
        let busy = self.activity.busy.load(Ordering::Relaxed);
        let ended = self.activity.ended.load(Ordering::Relaxed);
        if busy {
            self.reading = Reading::Exchange;
            self.reading_until = None;
        } else if ended != self.ended {
            self.reading = Reading::Idle;
            self.reading_until = Some(awake() + self.limits.idle_timeout);
        }
        self.ended = ended;
        if self.activity.heard.load(Ordering::Relaxed) && self.reading == Reading::Idle {
            self.reading = Reading::Head;
            self.reading_until = Some(awake() + self.limits.header_timeout);
        }
        if !busy {
            self.activity.heard.store(false, Ordering::Relaxed);
        }
        let written = self.activity.written.load(Ordering::Relaxed);
        if !self.activity.blocked.load(Ordering::Relaxed) {
            self.writing_until = None;
        } else if self.writing_until.is_none() || written != self.written {
            self.writing_until = Some(awake() + self.limits.write_timeout);
        }
        self.written = written;
    }
}

/// A connection's bytes, plain or decrypted, watched.
#[derive(Debug)]
pub struct Stream {
    transport: Transport,
    activity: Arc<Activity>,
    _counted: Counted,
}

/// What carries the bytes.
#[derive(Debug)]
pub(super) enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
    UnixTls(Box<TlsStream<UnixStream>>),
}

/// One of the connections that are counted; given back when it is dropped, also by a tunnel.
#[derive(Debug)]
pub(super) struct Counted {
    count: Arc<AtomicUsize>,
    open: prometheus_client::metrics::gauge::Gauge,
}

impl Counted {
    /// Takes a place; `None` when there is none left.
    pub(super) fn take(
        count: &Arc<AtomicUsize>,
        max: usize,
        open: &prometheus_client::metrics::gauge::Gauge,
    ) -> Option<Self> {
        if count.fetch_add(1, Ordering::Relaxed) >= max {
            count.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        open.inc();
        Some(Self { count: Arc::clone(count), open: open.clone() })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.open.dec();
    }
}

impl Stream {
    pub(super) fn new(transport: Transport, activity: Arc<Activity>, counted: Counted) -> Self {
        Self { transport, activity, _counted: counted }
    }

    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &result {
            Poll::Ready(_) => {
                self.activity.blocked.store(false, Ordering::Relaxed);
                self.activity.written.fetch_add(1, Ordering::Relaxed);
            }
            Poll::Pending => self.activity.blocked.store(true, Ordering::Relaxed),
        }
        result
    }
}

macro_rules! transport {
    ($stream:expr, $inner:ident => $call:expr) => {
        match &mut $stream.transport {
            Transport::Tcp($inner) => $call,
            Transport::Unix($inner) => $call,
            Transport::Tls($inner) => $call,
            Transport::UnixTls($inner) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let filled = buffer.filled().len();
        let result = transport!(self, inner => Pin::new(inner).poll_read(cx, buffer));
        if buffer.filled().len() > filled {
            self.activity.heard.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = transport!(self, inner => Pin::new(inner).poll_write(cx, bytes));
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = transport!(self, inner => Pin::new(inner).poll_write_vectored(cx, slices));
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Tcp(inner) => inner.is_write_vectored(),
            Transport::Unix(inner) => inner.is_write_vectored(),
            Transport::Tls(inner) => inner.is_write_vectored(),
            Transport::UnixTls(inner) => inner.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        transport!(self, inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        transport!(self, inner => Pin::new(inner).poll_shutdown(cx))
    }
}
