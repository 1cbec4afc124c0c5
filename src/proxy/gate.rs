//! The running gate: one thread with one runtime per core, started and drained together.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::proxy::core::{Core, Services, Shared};
use crate::proxy::measure::Meters;
use crate::proxy::settings::{ListenerSettings, Rules, Settings, SettingsError};
use crate::server::tls::Certificate;
use crate::server::{self, Accepting, Address, ServerError, Socket};
use crate::telemetry::Metrics;

/// Why the gate cannot start or take new settings.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The sockets or certificates cannot be used.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A thread or runtime cannot be had.
    #[error("cannot start a core")]
    Core(#[source] std::io::Error),
}

/// A gate that serves. Dropping it closes everything at once; [`drain`](Self::drain) is the polite way.
pub struct RunningGate {
    addresses: Vec<Address>,
    listeners: Vec<ListenerSettings>,
    certificates: Vec<Option<Arc<Certificate>>>,
    shared: Arc<Shared>,
    draining: CancellationToken,
    cut: CancellationToken,
    threads: Vec<JoinHandle<()>>,
    clock: Clock,
    /// Closed when the last core has ended.
    ended: mpsc::Receiver<()>,
}

/// Settings that can be taken: nothing about them can fail any more.
#[derive(Debug)]
pub struct Prepared {
    rules: Arc<Rules>,
    certificates: Vec<(Arc<Certificate>, Certificate)>,
}

/// What one core needs to serve one listener.
struct Serving {
    socket: Socket,
    accepting: Accepting,
}

impl RunningGate {
    /// Binds every listener and starts every core.
    ///
    /// # Errors
    /// [`ProxyError`]; nothing is left running then.
    pub fn start(settings: &Settings, services: &Services, metrics: &Metrics) -> Result<Self, ProxyError> {
        let cores = settings.cores.max(1);
        let rules = Rules::resolve(settings, None, services.clock.now())?;
        let meters = Meters::new(metrics);
        let mut serving: Vec<Vec<Serving>> = (0..cores).map(|_| Vec::new()).collect();
        let (mut addresses, mut certificates) = (Vec::new(), Vec::new());
        for (listener, rules) in settings.listeners.iter().zip(&rules.listeners) {
            let certificate = match &listener.tls {
                Some(tls) => Some(meters.certificate(Certificate::load(tls).map_err(ServerError::from)?)),
                None => None,
            };
            let (address, sockets) = server::bind(&listener.bind, cores)?;
            let accepting = Accepting {
                certificate: certificate.clone(),
                limits: listener.limits,
                connections: Arc::new(AtomicUsize::new(0)),
                gauges: meters.connections(&rules.name),
            };
            for (core, socket) in serving.iter_mut().zip(sockets) {
                core.push(Serving { socket, accepting: accepting.clone() });
            }
            addresses.push(address);
            certificates.push(certificate);
        }
        let (end, ended) = mpsc::channel(1);
        let mut gate = Self {
            addresses,
            listeners: settings.listeners.clone(),
            certificates,
            shared: Arc::new(Shared { rules: ArcSwap::from_pointee(rules), moved: watch::Sender::new(()), meters }),
            draining: CancellationToken::new(),
            cut: CancellationToken::new(),
            threads: Vec::with_capacity(cores),
            clock: services.clock.clone(),
            ended,
        };
        for (number, serving) in serving.into_iter().enumerate() {
            let thread = gate.start_core(number, serving, services.clone(), settings.tokens_max, end.clone())?;
            gate.threads.push(thread);
        }
        Ok(gate)
    }

    fn start_core(
        &self,
        number: usize,
        serving: Vec<Serving>,
        services: Services,
        tokens_max: usize,
        end: mpsc::Sender<()>,
    ) -> Result<JoinHandle<()>, ProxyError> {
        let shared = Arc::clone(&self.shared);
        // tokens of its own: cores do not meet at a lock when connections come and go
        let (draining, cut) = (self.draining.child_token(), self.cut.child_token());
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name(format!("gate-{number}"))
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build_local(tokio::runtime::LocalOptions::default());
                let runtime = match runtime {
                    Ok(runtime) => runtime,
                    Err(error) => {
                        let _ = ready.send(Err(error));
                        return;
                    }
                };
                let _ = ready.send(Ok(()));
                runtime.block_on(async move {
                    let core = Core::new(&shared, services, tokens_max, draining, cut);
                    run(&core, serving).await;
                });
                drop(runtime);
                drop(end);
            })
            .map_err(ProxyError::Core)?;
        match started.recv() {
            Ok(Ok(())) => Ok(thread),
            Ok(Err(error)) => Err(ProxyError::Core(error)),
            Err(_) => Err(ProxyError::Core(std::io::Error::other("the thread of a core ended"))),
        }
    }

    /// Where it listens, in the order of the settings.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Takes new settings, whole or not at all.
    ///
    /// # Errors
    /// [`ProxyError`]; the present settings stay.
    pub fn reload(&self, settings: &Settings) -> Result<(), ProxyError> {
        self.take(self.prepare(settings)?);
        Ok(())
    }

    /// Resolves new settings and reads what they name, without taking them yet.
    ///
    /// # Errors
    /// [`ProxyError`]; the present settings stay.
    pub fn prepare(&self, settings: &Settings) -> Result<Prepared, ProxyError> {
        let is_same = |(new, old): (&ListenerSettings, &ListenerSettings)| {
            new.bind == old.bind && new.tls.is_some() == old.tls.is_some() && new.limits == old.limits
        };
        let same_count = settings.listeners.len() == self.listeners.len();
        if !same_count || !settings.listeners.iter().zip(&self.listeners).all(is_same) {
            return Err(SettingsError::ListenersChanged.into());
        }
        let rules = Rules::resolve(settings, Some(&self.shared.rules.load()), self.clock.now())?;
        let mut certificates = Vec::new();
        for (listener, certificate) in settings.listeners.iter().zip(&self.certificates) {
            if let (Some(tls), Some(certificate)) = (&listener.tls, certificate) {
                certificates.push((Arc::clone(certificate), Certificate::load(tls).map_err(ServerError::from)?));
            }
        }
        Ok(Prepared { rules: Arc::new(rules), certificates })
    }

    /// Takes what was prepared. Requests under way keep the old settings; long exchanges are judged again.
    pub fn take(&self, prepared: Prepared) {
        for (certificate, new) in prepared.certificates {
            self.shared.meters.certificate_replaced(&certificate, &new);
            certificate.replace(new);
        }
        self.shared.rules.store(prepared.rules);
        self.shared.moved.send_replace(());
    }

    /// Takes no more connections, and lets each open one go after what runs on it. What would never end by itself is ended.
    pub fn stop_accepting(&self) {
        self.draining.cancel();
    }

    /// Stops accepting, ends what would never end by itself, lets the rest finish until `deadline` has passed, then cuts.
    pub async fn drain(mut self, deadline: Duration) {
        self.stop_accepting();
        if tokio::time::timeout(deadline, self.ended.recv()).await.is_err() {
            tracing::warn!("the drain deadline has passed: open exchanges are cut");
        }
        self.cut.cancel();
        // what is cut ends within moments
        let _ = tokio::time::timeout(CUT_TIMEOUT, self.ended.recv()).await;
    }
}

impl Drop for RunningGate {
    fn drop(&mut self) {
        self.draining.cancel();
        self.cut.cancel();
    }
}

/// The life of one core, from its first connection to its last.
async fn run(core: &Rc<Core>, serving: Vec<Serving>) {
    for (listener, Serving { socket, accepting }) in serving.into_iter().enumerate() {
        let answering = Rc::clone(core);
        let accepted = server::serve(
            socket,
            accepting,
            core.exchanges.clone(),
            core.draining.clone(),
            core.cut.clone(),
            move |request, connection| super::answer(Rc::clone(&answering), listener, request, connection),
        );
        core.exchanges.spawn_local(async move {
            if let Err(error) = accepted.await {
                tracing::error!(%error, "a listener cannot be used");
            }
        });
    }
    core.draining.cancelled().await;
    core.exchanges.close();
    core.exchanges.wait().await;
}

const CUT_TIMEOUT: Duration = Duration::from_secs(2);
