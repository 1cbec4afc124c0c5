//! What both planes stand on: clock, store, standings, writer, uses; and the portal and chores that need all of them.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::anchor::{self, AnchorFile, Anchors, Compared, Publisher};
use crate::app::pace::Pacing;
use crate::app::retention::{self, Retaining};
use crate::app::sealing::Sealing;
use crate::app::serving::RunningListener;
use crate::app::{CLOCK_BEHIND_MAX, STANDINGS_MAX, Swapped, Threads, settings};
use crate::backup;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::event::Event;
use crate::domain::pace::Paces;
use crate::domain::standing::Position;
use crate::identity::{Authenticator, SignIns};
use crate::portal::{self, Portal};
use crate::standings::Standings;
use crate::store::{self, Entry, Reader, RecordFilter, Retention, StoreError};
use crate::telemetry::Metrics;
use crate::uses::{self, UseReader, UseRecorder};
use crate::writer::{self, Writer, sweep};

/// What both planes stand on.
pub(super) struct Ground {
    pub(super) clock: Clock,
    pub(super) reader: Reader,
    pub(super) standings: Standings,
    pub(super) writer: Writer,
    uses: UseReader,
    anchors: Anchors,
    publisher: Option<Publisher>,
    pub(super) swapped: Swapped,
    /// How fast each role is decided on.
    pub(super) paces: Arc<ArcSwap<Paces>>,
}

impl Ground {
    pub(super) fn lay(
        config: &Config,
        clock: Clock,
        metrics: &Metrics,
    ) -> anyhow::Result<(Self, Threads, UseRecorder)> {
        backup::takes_over_no_uses(&config.store).context("no journal is begun")?;
        let opened = store::open(&config.store, clock.now()).map_err(|error| not_opened(&config.store.path, error))?;
        let reader = opened.reader;
        let newest = reader.head().context("the head of the journal cannot be read")?.time;
        clock.resume(newest, CLOCK_BEHIND_MAX);
        let standings = Standings::new(reader.clone(), STANDINGS_MAX).context("the journal cannot be read")?;
        look_for_doubt(config, &reader, &standings, metrics);
        let (anchors, publisher) = anchor::start(
            &config.anchor,
            &config.store.path,
            reader.clone(),
            standings.watch(),
            clock.clone(),
            metrics,
        )
        .context("anchors cannot be published")?;
        let swapped = Swapped {
            policies: Arc::new(ArcSwap::from_pointee(config.policies.clone())),
            names: Arc::new(ArcSwap::from_pointee(config.names.clone())),
            routes: Arc::new(ArcSwap::from_pointee(settings::routes_by_role(config))),
            retention: watch::Sender::new(config.retention.clone()),
        };
        let (writer, writer_thread) = writer::start(
            opened.appender,
            standings.clone(),
            clock.clone(),
            settings::writer(config, &swapped.policies),
            metrics,
        )
        .context("the writer cannot be started")?;
        let path_of_uses = config.store.path.with_extension("uses");
        let (recorder, uses, uses_thread) = uses::start(&path_of_uses, uses::Settings::default(), metrics)
            .with_context(|| cannot_be_opened(&path_of_uses))?;
        look_for_lost_uses(&path_of_uses, &uses, &reader).context("the record of uses cannot be read")?;
        let threads = Threads { writer: writer_thread, uses: uses_thread };
        // a head in doubt is told to nobody: the newest anchor must stay the one that was right
        let publisher = standings.doubted().is_none().then_some(publisher);
        let paces = Arc::default();
        let ground = Self { clock, reader, standings, writer, uses, anchors, publisher, swapped, paces };
        Ok((ground, threads, recorder))
    }

    pub(super) fn portal(
        &self,
        config: &Config,
        (authenticator, sign_ins): (Authenticator, SignIns),
        stop: CancellationToken,
        metrics: &Metrics,
    ) -> anyhow::Result<RunningListener> {
        let parts = portal::Parts {
            writer: self.writer.clone(),
            reader: self.reader.clone(),
            uses: self.uses.clone(),
            standings: self.standings.clone(),
            anchors: self.anchors.clone(),
            authenticator,
            sign_ins,
            names: Arc::clone(&self.swapped.names),
            policies: Arc::clone(&self.swapped.policies),
            routes: Arc::clone(&self.swapped.routes),
            paces: Arc::clone(&self.paces),
            clock: self.clock.clone(),
            settings: settings::portal(config),
            stop,
        };
        let portal = Portal::new(parts, metrics).ok().context("the system gives no random bits")?;
        let (bind, tls) = (&config.portal.listen, config.portal.tls.as_ref());
        let running = RunningListener::start("portal", bind, tls, config.limits.connection, portal::router(portal))
            .context("the portal cannot be started")?;
        if let Some((file, Some(ends_at))) = running.validity() {
            metrics.certificates().ends(&file, ends_at);
        }
        Ok(running)
    }

    /// Cuts what is older than `settings` say, as long as they say something.
    pub(super) fn retaining(
        &self,
        config: &Config,
        settings: watch::Receiver<Option<Retention>>,
        uses_health: uses::Health,
        metrics: &Metrics,
    ) -> Retaining {
        let anchors = config.anchor.file.as_deref().map(|file| AnchorFile::new(file, &config.store.path));
        let Self { clock, reader, standings, writer, uses, .. } = self;
        let parts = retention::Parts {
            clock: clock.clone(),
            reader: reader.clone(),
            standings: standings.clone(),
            writer: writer.clone(),
            uses: uses.clone(),
            uses_health,
            anchors,
        };
        Retaining { settings, parts, told: retention::Told::new(metrics) }
    }

    pub(super) fn start_chores(&mut self, tasks: &TaskTracker, stop: &CancellationToken, closing: uses::Closing) {
        if let Some(publisher) = self.publisher.take() {
            tasks.spawn(publisher.run(stop.clone()));
        }
        let Self { clock, reader, standings, writer, uses, .. } = self;
        let jumps = clock.clone();
        tasks.spawn(stop.clone().run_until_cancelled_owned(async move { jumps.watch_for_jumps().await }));
        tasks.spawn(sweep::run(reader.clone(), writer.clone(), standings.clone(), clock.clone(), stop.clone()));
        let sealing = Sealing {
            uses: uses.clone(),
            closing,
            reader: reader.clone(),
            writer: writer.clone(),
            clock: clock.clone(),
        };
        tasks.spawn(sealing.run(stop.clone()));
        let pacing = Pacing {
            reader: reader.clone(),
            standings: standings.clone(),
            policies: Arc::clone(&self.swapped.policies),
            paces: Arc::clone(&self.paces),
            clock: clock.clone(),
        };
        tasks.spawn(pacing.run(stop.clone()));
    }
}

fn not_opened(path: &Path, error: StoreError) -> anyhow::Error {
    let path = path.display();
    let what_to_do = match error {
        StoreError::Damaged(_) => format!(" (`hallpass store check {path}` says whether it can be made sound again)"),
        _ => String::new(),
    };
    anyhow::Error::new(error).context(format!("the store `{path}` cannot be opened{what_to_do}"))
}

/// What was done under past activations is proven by the journal, but kept in a file of its own: tells when that was lost.
fn look_for_lost_uses(path: &Path, uses: &UseReader, reader: &Reader) -> Result<(), StoreError> {
    let filter = RecordFilter { event: Some("uses_sealed".to_owned()), ..RecordFilter::default() };
    let is_used = |entry: &Entry| matches!(entry.event, Event::UsesSealed { count, .. } if count > 0);
    if uses.is_empty()? && reader.records(&filter, Position(0), 100)?.iter().any(is_used) {
        tracing::warn!(
            file = %path.display(),
            "the file of uses was missing or empty although the journal has sealed uses: what was done under past activations \
             cannot be shown any more; `hallpass store check` names them, and a backup may still hold them"
        );
    }
    Ok(())
}

/// Holds the journal against its newest anchor. When it does not fit, or nobody can tell, no role opens anything.
fn look_for_doubt(config: &Config, reader: &Reader, standings: &Standings, metrics: &Metrics) {
    let doubted = Gauge::<i64>::default();
    let help = "whether the journal is not the one that was anchored, so that no role opens anything";
    metrics.register(|registry| registry.register("journal_doubted", help, doubted.clone()));
    let Some(path) = &config.anchor.file else { return tell_of_former(config) };
    let reason = match anchor::compare(&AnchorFile::new(path, &config.store.path), reader) {
        Ok(Compared::Holds(anchor)) => {
            return tracing::info!(anchor.sequence = anchor.sequence, "the journal holds what its newest anchor names");
        }
        Ok(Compared::Nothing) => {
            return tracing::warn!(file = %path.display(), "there is no anchor yet: nothing vouches for the journal's end");
        }
        Ok(Compared::Mismatch(mismatch)) => mismatch.to_string(),
        Err(error) => format!("{:#}", anyhow::Error::new(error)),
    };
    doubted.set(1);
    standings.doubt(&reason);
    tracing::error!(
        reason,
        "the journal is not the one that was anchored: routes that demand a role are shut and nothing is granted; stop \
         hallpass, then restore the right store or the file of anchors, or go on with this one by `hallpass anchor confirm`"
    );
}

/// No file of anchors is configured, but heads were told to one before.
fn tell_of_former(config: &Config) {
    // the mark's name does not depend on where the file is
    if let Ok(Some(mark)) = AnchorFile::new(Path::new(""), &config.store.path).mark() {
        tracing::warn!(
            file = %mark.path.display(),
            "heads were written to a file until now, and `anchor.file` is not configured any more: the journal is compared with nothing"
        );
    }
}

/// What to do about a file of uses that is damaged. Rights do not hang on it, but what was done under them is proven by it.
fn cannot_be_opened(uses: &Path) -> String {
    let shown = uses.display();
    format!(
        "the file of uses `{shown}` cannot be opened. When it is damaged, move it aside and start again: a new one is begun, and \
         `hallpass store check` names the activations whose sealed uses are in the old one, or in a backup, only"
    )
}
