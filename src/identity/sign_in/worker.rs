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

/// Hands work to the worker. Each kind has a queue and places of its own, so that what anybody can cause never keeps waiting
/// what sessions live by, and a provider that is slow never what ends them.
#[derive(Debug, Clone)]
pub(super) struct Jobs {
    /// Asking a provider for what it says of itself, and for tokens for a code: whatever browsers that are nobody cause.
    pub(super) signing_in: Queue,
    /// Asking a provider whether a session still holds.
    pub(super) refreshing: Queue,
    /// Ends of sessions, which wait for nothing but the file.
    pub(super) ending: Queue,
}

/// The way in for one kind of work.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    jobs: mpsc::Sender<Job>,
}

/// There is more to do than can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Busy;

/// Does what signing in has to wait for. Belongs on the control runtime.
pub struct SignInWorker {
    pools: [Pool; 3],
    shared: Arc<Shared>,
}

/// The worker's end of a queue, and the jobs under way.
pub(super) struct Pool {
    queue: mpsc::Receiver<Job>,
    jobs: JoinSet<()>,
    jobs_max: usize,
}

impl std::fmt::Debug for SignInWorker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignInWorker")
    }
}

impl Jobs {
    /// The ways in, and the worker's ends of them.
    pub(super) fn new() -> (Self, [Pool; 3]) {
        let (signing_in, asking) = queue(SIGNING_IN_QUEUE, SIGNING_IN_MAX);
        let (refreshing, renewing) = queue(REFRESHING_QUEUE, REFRESHING_MAX);
        let (ending, leaving) = queue(ENDING_QUEUE, ENDING_MAX);
        (Self { signing_in, refreshing, ending }, [leaving, renewing, asking])
    }
}

fn queue(length: usize, jobs_max: usize) -> (Queue, Pool) {
    let (jobs, queue) = mpsc::channel(length);
    (Queue { jobs }, Pool { queue, jobs: JoinSet::new(), jobs_max })
}

impl Queue {
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
        self.jobs.try_send(job).map_err(|_| Busy)?;
        outcome.await.map_err(|_| Busy)
    }

    /// Has `work` done, where there is room for it, and waits for nothing.
    pub(super) fn start(&self, work: impl Future<Output = ()> + Send + 'static) {
        let _ = self.jobs.try_send(Box::pin(work));
    }
}

impl Pool {
    /// Takes up jobs for as long as it is polled; may be dropped at any time.
    async fn work(&mut self) {
        loop {
            tokio::select! {
                Some(job) = self.queue.recv(), if self.jobs.len() < self.jobs_max => drop(self.jobs.spawn(job)),
                Some(_) = self.jobs.join_next() => {}
                // nobody is left who could bring any
                else => std::future::pending().await,
            }
        }
    }

    async fn stop(&mut self) {
        self.queue.close();
        self.jobs.shutdown().await;
    }
}

impl SignInWorker {
    pub(super) const fn new(pools: [Pool; 3], shared: Arc<Shared>) -> Self {
        Self { pools, shared }
    }

    /// Runs until `stop`; then notes when sessions were last used.
    pub async fn run(mut self, stop: CancellationToken) {
        let clock = self.shared.authenticator.clock().clone();
        let [leaving, renewing, asking] = &mut self.pools;
        let sweeping = async {
            loop {
                clock.wait_until(self.shared.now().plus(SWEEP_EVERY)).await;
                self.shared.sweep().await;
            }
        };
        let working = async { tokio::join!(leaving.work(), renewing.work(), asking.work(), sweeping) };
        let _ = stop.run_until_cancelled(working).await;
        for pool in &mut self.pools {
            pool.stop().await;
        }
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

/// How many codes providers are asked about at the same time; who comes back beyond waits.
const SIGNING_IN_MAX: usize = 32;
const SIGNING_IN_QUEUE: usize = 256;
const REFRESHING_MAX: usize = 256;
const REFRESHING_QUEUE: usize = 1024;
/// The file takes one end after the other.
const ENDING_MAX: usize = 32;
const ENDING_QUEUE: usize = 1024;
const SWEEP_EVERY: Span = Span::minutes(1);
