//! The composition root: a configuration becomes a running hallpass, and everything stops in good order again.
//!
//! Order of starting: store → configuration reconciled → gate, portal, admin → ready. Order of stopping is the reverse:
//! nobody new is let in, open exchanges finish, then those who write, then the store.

mod chores;
mod ground;
mod pace;
mod retention;
mod sealing;
mod serving;
mod settings;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::{self, Readiness};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::command::{Caller, Command};
use crate::domain::policy::Policies;
use crate::identity::names::IssuerNames;
use crate::identity::{self, Authenticator, SignIns};
use crate::portal::RoutesByRole;
use crate::proxy::{RunningGate, Services};
use crate::server::Address;
use crate::store::Retention;
use crate::telemetry::Metrics;
use crate::telemetry::lines::Lines;
use crate::uses;
use crate::writer::{self, Purpose, Submission, SubmitError, Writer, sweep};
use ground::Ground;
use serving::RunningListener;

/// A running hallpass.
pub struct App {
    gate: RunningGate,
    portal: RunningListener,
    admin: RunningListener,
    writer: Writer,
    authenticator: Authenticator,
    sign_ins: SignIns,
    /// The issuers in force; held while a configuration is taken, so that there is one at a time.
    identity: tokio::sync::Mutex<identity::Settings>,
    swapped: Swapped,
    readiness: Readiness,
    reloads: chores::Reloads,
    drain_timeout: Duration,
    tasks: TaskTracker,
    stop: CancellationToken,
    threads: Threads,
    lines: Lines,
}

/// Where the parts listen.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// The gates, in the order of the configuration. Those on Unix sockets are left out.
    pub gates: Vec<SocketAddr>,
    /// The portal.
    pub portal: Address,
    /// Health and metrics.
    pub admin: Address,
}

/// What a reload replaces as a whole.
struct Swapped {
    policies: Arc<ArcSwap<Policies>>,
    names: Arc<ArcSwap<IssuerNames>>,
    routes: Arc<ArcSwap<RoutesByRole>>,
    retention: watch::Sender<Option<Retention>>,
}

/// Threads that end when all who feed them are gone.
struct Threads {
    writer: writer::Running,
    uses: uses::Running,
}

impl App {
    /// Starts everything. What readiness may still wait for when this returns are the keys of issuers.
    ///
    /// # Errors
    /// When a part cannot start; what had started is stopped.
    pub async fn start(config: Config, clock: Clock) -> anyhow::Result<Self> {
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        let metrics = Arc::new(Metrics::default());
        let (mut ground, threads, recorder) = Ground::lay(&config, clock, &metrics)?;
        reconcile(&ground.writer, &config).await?;
        sweep::once(&ground.reader, &ground.writer, &ground.clock).await.context("the journal cannot be read")?;

        let lines = access_log(&metrics)?;
        let (authenticator, refresher) = Authenticator::new(config.identity.clone(), ground.clock.clone(), &metrics)
            .context("the issuers cannot be used")?;
        let sessions = config.store.path.with_extension("sessions");
        let (sign_ins, sign_in_worker) = SignIns::new(authenticator.clone(), sessions.clone())
            .with_context(|| format!("the file of sessions `{}` cannot be opened", sessions.display()))?;
        let closing = recorder.closing();
        let services = Services {
            authenticator: authenticator.clone(),
            sign_ins: sign_ins.clone(),
            standings: ground.standings.clone(),
            clock: ground.clock.clone(),
            uses: recorder,
            lines: lines.clone(),
            policies: Arc::clone(&ground.swapped.policies),
            paces: Arc::clone(&ground.paces),
        };
        let gate =
            RunningGate::start(&settings::gate(&config), &services, &metrics).context("the gate cannot be started")?;
        let stop = CancellationToken::new();
        let portal = ground.portal(&config, (authenticator.clone(), sign_ins.clone()), stop.clone(), &metrics)?;
        let readiness = Readiness::new();
        let admin = admin_listener(&config, readiness.clone(), Arc::clone(&metrics))?;

        let tasks = TaskTracker::new();
        tasks.spawn(refresher.run(stop.clone()));
        tasks.spawn(sign_in_worker.run(stop.clone()));
        ground.start_chores(&tasks, &stop, closing.clone());
        let watched = chores::Watched {
            health: ground.writer.health().clone(),
            uses: closing.health().clone(),
            clock: ground.clock.clone(),
            authenticator: authenticator.clone(),
            issuers: config.identity.issuers.len(),
            alarm: chores::ClockAlarm::new(&metrics),
        };
        watched.report(&readiness);
        if let Some(reason) = ground.standings.doubted() {
            readiness.missing(
                "anchor",
                format!("{reason}; no role opens anything until the journal is restored or confirmed"),
            );
        }
        let retention = ground.swapped.retention.subscribe();
        let retaining = ground.retaining(&config, retention, watched.uses.clone(), &metrics);
        tasks.spawn(retaining.run(stop.clone()));
        tasks.spawn(chores::watch_health(watched, readiness.clone(), stop.clone()));
        chores::count_activations(ground.reader.clone(), &metrics);
        readiness.started();
        let app = Self {
            gate,
            portal,
            admin,
            writer: ground.writer,
            authenticator,
            sign_ins,
            identity: tokio::sync::Mutex::new(config.identity.clone()),
            swapped: ground.swapped,
            readiness,
            reloads: chores::Reloads::new(&metrics),
            drain_timeout: config.limits.drain_timeout,
            tasks,
            stop,
            threads,
            lines,
        };
        app.tell_started(&config);
        Ok(app)
    }

    /// The first thing whoever reads the log looks for.
    fn tell_started(&self, config: &Config) {
        let gates: Vec<String> = self.gate.addresses().iter().map(ToString::to_string).collect();
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            configuration.digest = config.digest,
            gate = gates.join(" "),
            portal = %self.portal.address(),
            admin = %self.admin.address(),
            store = %config.store.path.display(),
            "hallpass has started"
        );
        for site in config.sites() {
            let (redirect, signed_out) = (site.callback(), site.signed_out());
            tracing::info!(
                redirect,
                signed_out,
                "people can sign in here, when these are registered with their issuer"
            );
        }
    }

    /// Where the parts listen.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        let gates = self.gate.addresses().iter().filter_map(|address| match address {
            Address::Tcp(address) => Some(*address),
            Address::Unix(_) => None,
        });
        Addresses { gates: gates.collect(), portal: self.portal.address().clone(), admin: self.admin.address().clone() }
    }

    /// Takes another configuration, whole or not at all. What ends a right is in force when this returns.
    ///
    /// # Errors
    /// When a part cannot take it; the present configuration stays.
    pub async fn reload(&self, config: Config) -> anyhow::Result<()> {
        let digest = config.digest.clone();
        let reloaded = self.take(config).await;
        // counted before it is told: whoever reads the log finds the metric true
        self.reloads.count(if reloaded.is_ok() { chores::Reloaded::Whole } else { chores::Reloaded::Not });
        if reloaded.is_ok() {
            tracing::info!(configuration.digest = digest, "the configuration was reloaded");
        }
        reloaded
    }

    /// Counts a configuration that could not even be read: the last good one stays.
    pub fn reload_failed(&self) {
        self.reloads.count(chores::Reloaded::Not);
    }

    /// Everything that can fail comes before the first thing that cannot be taken back.
    async fn take(&self, config: Config) -> anyhow::Result<()> {
        let mut identity = self.identity.lock().await;
        let prepared = self.gate.prepare(&settings::gate(&config)).context("the gate cannot take it")?;
        self.sign_ins.prepare(&config.identity).context("sessions cannot be kept")?;
        self.authenticator.reload(config.identity.clone()).context("the issuers cannot be used")?;
        let policies = self.swapped.policies.swap(Arc::new(config.policies.clone()));
        if let Err(error) = reconcile(&self.writer, &config).await {
            self.swapped.policies.store(policies);
            self.authenticator.reload(identity.clone()).context("the former issuers cannot be used any more")?;
            self.sign_ins.reconsider();
            return Err(error);
        }
        self.sign_ins.reconsider();
        self.gate.take(prepared);
        self.swapped.names.store(Arc::new(config.names.clone()));
        self.swapped.routes.store(Arc::new(settings::routes_by_role(&config)));
        self.swapped.retention.send_if_modified(|settings| {
            let former = std::mem::replace(settings, config.retention.clone());
            *settings != former
        });
        *identity = config.identity;
        Ok(())
    }

    /// Lets nobody new in, lets open exchanges finish within the drain timeout, and stops everything.
    pub async fn shutdown(self) {
        self.readiness.missing("serving", "shutting down");
        tracing::info!(
            drain_timeout_seconds = self.drain_timeout.as_secs(),
            "stopping: nobody new is let in, open exchanges may finish"
        );
        self.gate.drain(self.drain_timeout).await;
        self.stop.cancel();
        self.portal.drain(PORTAL_DRAIN).await;
        self.admin.drain(Duration::ZERO).await;
        self.tasks.close();
        self.tasks.wait().await;
        drop((self.writer, self.authenticator, self.sign_ins));
        let (Threads { writer, uses }, lines) = (self.threads, self.lines);
        let joined = tokio::task::spawn_blocking(move || {
            uses.join();
            // what is lost is in the log, one line each
            drop(writer.join());
            lines.finish();
        });
        if joined.await.is_err() {
            tracing::error!("a thread could not be joined");
        }
        tracing::info!("stopped");
    }
}

/// Access lines go by the same filter as all others; there is no log when nobody wants them.
fn access_log(metrics: &Metrics) -> anyhow::Result<Lines> {
    if !tracing::enabled!(target: "hallpass::access", tracing::Level::INFO) {
        return Ok(Lines::off());
    }
    Lines::start(std::io::stdout(), metrics).context("the access log cannot be started")
}

fn admin_listener(config: &Config, readiness: Readiness, metrics: Arc<Metrics>) -> anyhow::Result<RunningListener> {
    let router = admin::router(admin::Admin { readiness, metrics, hosts: Arc::from([]) });
    RunningListener::start("admin", &config.admin.listen, None, config.limits.connection, router)
        .context("the admin listener cannot be started")
}

/// Brings what the configuration declares into the journal.
async fn reconcile(writer: &Writer, config: &Config) -> anyhow::Result<()> {
    let command = Command::Reconcile { declared: config.declared.clone(), digest: config.digest.clone() };
    let submission = Submission { caller: Caller::Configuration, command, idempotency: None, purpose: Purpose::Commit };
    match writer.submit(submission).await {
        Ok(_) => Ok(()),
        // whoever it declares gets nothing from this journal anyway
        Err(error @ SubmitError::Doubted(_)) => {
            tracing::warn!(%error, "what the configuration declares is not in force");
            Ok(())
        }
        Err(error) => Err(error).context("the configuration cannot be written into the journal"),
    }
}

/// Standings kept in memory; beyond them the store is read again.
const STANDINGS_MAX: u64 = 100_000;
/// A clock further behind the journal than this grants nothing new.
const CLOCK_BEHIND_MAX: Duration = Duration::from_secs(5);
/// How long answers of the portal may take to finish.
const PORTAL_DRAIN: Duration = Duration::from_secs(5);
