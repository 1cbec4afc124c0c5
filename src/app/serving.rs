//! A listener of the control plane on a thread of its own, away from the data path.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::domain::time::Timestamp;
use crate::server::tls::{self, Certificate};
use crate::server::{self, Accepting, Address, Bind, Gauges, Limits};

/// A listener that serves.
pub(super) struct RunningListener {
    address: Address,
    certificate: Option<Arc<Certificate>>,
    draining: CancellationToken,
    cut: CancellationToken,
    ended: oneshot::Receiver<()>,
}

impl RunningListener {
    pub(super) fn start(
        name: &'static str,
        bind: &Bind,
        tls: Option<&tls::Settings>,
        limits: Limits,
        router: Router,
    ) -> anyhow::Result<Self> {
        let certificate = tls.map(Certificate::load).transpose()?.map(Arc::new);
        let (address, mut sockets) = server::bind(bind, 1)?;
        let socket = sockets.pop().context("no socket")?;
        let accepting = Accepting {
            certificate: certificate.clone(),
            limits,
            connections: Arc::new(AtomicUsize::new(0)),
            gauges: Gauges::default(),
        };
        let (draining, cut) = (CancellationToken::new(), CancellationToken::new());
        let (end, ended) = oneshot::channel();
        let (drains, cuts) = (draining.clone(), cut.clone());
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // a local runtime stays on the thread that made it
            let built = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build_local(tokio::runtime::LocalOptions::default());
            match built {
                Ok(runtime) => runtime.block_on(serve(socket, accepting, router, drains, cuts)),
                Err(error) => tracing::error!(%error, listener = name, "a listener has no runtime"),
            }
            // nobody may be waiting any more
            let _ = end.send(());
        })?;
        Ok(Self { address, certificate, draining, cut, ended })
    }

    pub(super) const fn address(&self) -> &Address {
        &self.address
    }

    /// The file of its certificate, and when that ends.
    pub(super) fn validity(&self) -> Option<(PathBuf, Option<Timestamp>)> {
        self.certificate.as_ref().map(|certificate| certificate.validity())
    }

    /// Stops accepting, lets open answers finish within `timeout`, then cuts them.
    pub(super) async fn drain(mut self, timeout: Duration) {
        self.draining.cancel();
        if tokio::time::timeout(timeout, &mut self.ended).await.is_err() {
            self.cut.cancel();
            let _ = (&mut self.ended).await;
        }
    }
}

impl Drop for RunningListener {
    fn drop(&mut self) {
        self.draining.cancel();
        self.cut.cancel();
    }
}

async fn serve(
    socket: server::Socket,
    accepting: Accepting,
    router: Router,
    draining: CancellationToken,
    cut: CancellationToken,
) {
    let tasks = TaskTracker::new();
    let answer = move |request: http::Request<hyper::body::Incoming>, _| {
        let router = router.clone();
        async move {
            match router.oneshot(request.map(Body::new)).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }
    };
    if let Err(error) = server::serve(socket, accepting, tasks.clone(), draining, cut, answer).await {
        tracing::error!(%error, "a listener cannot be used");
    }
    tasks.close();
    tasks.wait().await;
}
