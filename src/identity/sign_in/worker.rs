//! Where signing in waits: asking providers and writing sessions happens beside the data path, never on it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::domain::time::Span;

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Hands work to the worker.
#[derive(Debug, Clone)]
pub(super) struct Jobs {
    queue: mpsc::Sender<Job>,
}

/// There is more to do than can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Busy;

/// Does what signing in has to wait for. Belongs on the control runtime.
pub struct SignInWorker {
    queue: mpsc::Receiver<Job>,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for SignInWorker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignInWorker")
    }
}

impl Jobs {
    /// The way in, and the worker's end of it.
    pub(super) fn new() -> (Self, mpsc::Receiver<Job>) {
        let (queue, receiver) = mpsc::channel(QUEUE_LENGTH);
        (Self { queue }, receiver)
    }

    /// Has `work` done; whoever stops waiting does not stop it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Busy> {
        let (done, outcome) = oneshot::channel();
        let job: Job = Box::pin(async move {
            // nobody may be waiting any more
            let _ = done.send(work.await);
        });
        self.queue.try_send(job).map_err(|_| Busy)?;
        outcome.await.map_err(|_| Busy)
    }

    /// Has `work` done, where there is room for it, and waits for nothing.
    pub(super) fn start(&self, work: impl Future<Output = ()> + Send + 'static) {
        let _ = self.queue.try_send(Box::pin(work));
    }
}

impl SignInWorker {
    pub(super) const fn new(queue: mpsc::Receiver<Job>, shared: Arc<Shared>) -> Self {
        Self { queue, shared }
    }

    /// Runs until `stop`; then notes when sessions were last used.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut jobs = JoinSet::new();
        let mut sweep_at = self.shared.now().plus(SWEEP_EVERY);
        loop {
            let clock = self.shared.authenticator.clock().clone();
            tokio::select! {
                () = stop.cancelled() => break,
                Some(job) = self.queue.recv(), if jobs.len() < JOBS_MAX => drop(jobs.spawn(job)),
                Some(_) = jobs.join_next() => {}
                () = clock.wait_until(sweep_at) => {
                    sweep_at = self.shared.now().plus(SWEEP_EVERY);
                    let shared = Arc::clone(&self.shared);
                    jobs.spawn(async move { shared.sweep().await });
                }
            }
        }
        self.queue.close();
        jobs.shutdown().await;
        self.shared.sweep().await;
    }
}

impl Shared {
    /// Forgets and removes what is over.
    async fn sweep(self: &Arc<Self>) {
        let now = self.now();
        self.pending.sweep(now);
        self.replays.sweep(now);
        let shared = Arc::clone(self);
        match tokio::task::spawn_blocking(move || shared.sessions.sweep(now)).await {
            Ok(Ok(count)) => {
                self.authenticator.counters().sessions.set(i64::try_from(count).unwrap_or(i64::MAX));
            }
            Ok(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "sessions that are over cannot be removed");
            }
            Err(_) => tracing::error!("removing sessions ended in a panic"),
        }
    }
}

const QUEUE_LENGTH: usize = 1024;
const JOBS_MAX: usize = 256;
const SWEEP_EVERY: Span = Span::minutes(1);
