//! Tests of sockets, limits, TLS and draining.

mod limits;
mod tls;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::tls::Certificate;
use super::{Accepting, Address, Connection, Gauges, Limits, bind, serve};

/// Listeners of two cores on one port, in one thread.
struct Served {
    address: SocketAddr,
    gauges: Gauges,
    tasks: TaskTracker,
    draining: CancellationToken,
    cut: CancellationToken,
}

impl Served {
    fn new(limits: Limits, certificate: Option<Arc<Certificate>>) -> Self {
        let (address, sockets) = bind(&"127.0.0.1:0".parse().unwrap(), 2).unwrap();
        let Address::Tcp(address) = address else { panic!("{address}") };
        let accepting =
            Accepting { certificate, limits, connections: Arc::new(AtomicUsize::new(0)), gauges: Gauges::default() };
        let served = Self {
            address,
            gauges: accepting.gauges.clone(),
            tasks: TaskTracker::new(),
            draining: CancellationToken::new(),
            cut: CancellationToken::new(),
        };
        for socket in sockets {
            let accepting = accepting.clone();
            let (tasks, draining, cut) = (served.tasks.clone(), served.draining.clone(), served.cut.clone());
            served
                .tasks
                .spawn_local(async move { serve(socket, accepting, tasks, draining, cut, answer).await.unwrap() });
        }
        served
    }

    /// Lets nobody in any more, and returns once everybody is gone.
    async fn ended(&self) {
        self.draining.cancel();
        self.tasks.close();
        soon(self.tasks.wait()).await;
        assert_eq!(self.gauges.open.get(), 0);
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and reads until the server hangs up.
    async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        until_closed(&mut stream).await
    }
}

/// Reads the whole body and says what was asked; `/big` has more to say than any buffer holds, and `/panic` is a mistake.
async fn answer(request: Request<Incoming>, connection: Rc<Connection>) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    assert_ne!(path, "/panic", "this is the mistake");
    if path == "/big" {
        return Response::new(Full::from(vec![b'x'; 50_000_000]));
    }
    Response::new(Full::from(format!("{path} {} {}", body.len(), connection.encrypted)))
}

async fn until_closed(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    let _ = soon(stream.read_to_end(&mut bytes)).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits for what must come, for so long that only what never comes is given up: a busy machine stalls for seconds.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it comes soon")
}

/// Runs a test where local tasks can be.
async fn locally(test: impl Future<Output = ()>) {
    tokio::task::LocalSet::new().run_until(test).await;
}
