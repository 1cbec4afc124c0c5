//! The accept loop of one core.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use futures_util::FutureExt;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::activity::{Activity, Counted, Stream, Transport};
use super::connection::{Connection, Ended, drive};
use super::tls::Certificate;
use super::{Limits, Peer, Socket};

/// What the accept loops of one listener have in common, whatever their core.
#[derive(Debug, Clone)]
pub struct Accepting {
    /// The listener's certificate, when it speaks TLS.
    pub certificate: Option<Arc<Certificate>>,
    /// Its limits.
    pub limits: Limits,
    /// Connections open now.
    pub connections: Arc<AtomicUsize>,
    /// What is measured.
    pub gauges: Gauges,
}

/// What is measured of one listener's connections.
#[derive(Debug, Clone, Default)]
pub struct Gauges {
    /// Open connections, tunnels included.
    pub open: Gauge,
    /// Connections closed at once because there were too many.
    pub refused: Counter,
    /// Connections whose TLS handshake failed.
    pub handshakes_failed: Counter,
    /// Connections closed because what came was no HTTP, or a head beyond the limits.
    pub malformed: Counter,
}

/// Accepts on `socket` and answers with `handler` until `draining` is cancelled; then serves what already waits in the
/// kernel's queue and stops. Connections run as local tasks of `tasks`; those still there when `cut` is cancelled are
/// closed.
pub async fn serve<H, F, B>(
    socket: Socket,
    accepting: Accepting,
    tasks: TaskTracker,
    draining: CancellationToken,
    cut: CancellationToken,
    handler: H,
) -> io::Result<()>
where
    H: Fn(Request<Incoming>, Rc<Connection>) -> F + 'static,
    F: Future<Output = Response<B>> + 'static,
    B: Body + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let listener = Listener::adopt(socket)?;
    let handler = Rc::new(handler);
    loop {
        let accepted = tokio::select! {
            biased;
            () = draining.cancelled() => match listener.accept().now_or_never() {
                Some(accepted) => accepted,
                None => return Ok(()),
            },
            accepted = listener.accept() => accepted,
        };
        let Some((transport, peer)) = ready_transport(accepted).await else { continue };
        let Some(counted) =
            Counted::take(&accepting.connections, accepting.limits.connections_max, &accepting.gauges.open)
        else {
            accepting.gauges.refused.inc();
            continue;
        };
        let (accepting, handler) = (accepting.clone(), Rc::clone(&handler));
        let (draining, cut) = (draining.clone(), cut.clone());
        tasks.spawn_local(async move {
            let activity = Arc::new(Activity::default());
            let encrypted = accepting.certificate.is_some();
            let transport = match &accepting.certificate {
                None => transport,
                Some(certificate) => match Box::pin(handshake(transport, certificate, accepting.limits)).await {
                    Some(transport) => transport,
                    None => {
                        accepting.gauges.handshakes_failed.inc();
                        return;
                    }
                },
            };
            let stream = Stream::new(transport, Arc::clone(&activity), counted);
            let connection = Rc::new(Connection::new(peer, encrypted));
            let ended = drive(stream, activity, connection, accepting.limits, (draining, cut), handler).await;
            if ended == Ended::Malformed {
                accepting.gauges.malformed.inc();
            }
        });
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn adopt(socket: Socket) -> io::Result<Self> {
        match socket {
            Socket::Tcp(socket) => TcpListener::from_std(socket).map(Self::Tcp),
            Socket::Unix(socket) => UnixListener::from_std(socket).map(Self::Unix),
        }
    }

    async fn accept(&self) -> io::Result<(Transport, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // heads and events are small and must not wait for more; a client that vanished must not hold its tunnel
                let _ = stream.set_nodelay(true);
                let _ = socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive());
                Ok((Transport::Tcp(stream), Peer::network(address)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Transport::Unix(stream), Peer::Local))
            }
        }
    }
}

async fn ready_transport(accepted: io::Result<(Transport, Peer)>) -> Option<(Transport, Peer)> {
    match accepted {
        Ok(accepted) => Some(accepted),
        Err(error) if is_of_the_connection(&error) => None,
        Err(error) => {
            // out of descriptors or memory: give others time to give some back
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// Whether only the connection that was about to be accepted is at fault.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

async fn handshake(transport: Transport, certificate: &Certificate, limits: Limits) -> Option<Transport> {
    match transport {
        Transport::Tcp(stream) => encrypt::<TcpStream>(stream, certificate, limits).await.map(Transport::Tls),
        Transport::Unix(stream) => encrypt::<UnixStream>(stream, certificate, limits).await.map(Transport::UnixTls),
        Transport::Tls(_) | Transport::UnixTls(_) => None,
    }
}

async fn encrypt<T: AsyncRead + AsyncWrite + Unpin>(
    stream: T,
    certificate: &Certificate,
    limits: Limits,
) -> Option<Box<TlsStream<T>>> {
    let accepted = TlsAcceptor::from(certificate.current()).accept(stream);
    match tokio::time::timeout(limits.handshake_timeout, accepted).await {
        Ok(Ok(stream)) => Some(Box::new(stream)),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}

fn keepalive() -> socket2::TcpKeepalive {
    socket2::TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15))
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
