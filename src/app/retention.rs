//! Retention: what is older than it is to be kept is cut out of the journal by itself, once an archive holds it.
//!
//! Planning and archiving read a snapshot, beside everything else; only the cut itself takes a turn at the writer, and so little
//! goes at once that nobody waits for long. Cut off anywhere, the next look ends what was begun: an archive without its cut is
//! removed, uses of cases that were cut are forgotten.
//!
//! Decided (2026-11): what goes spans a week at least, because the record of a cut is never cut itself. Rejected: to stop
//! hallpass or to shut anything when archives cannot be written. Old records endanger nobody, a gate that is shut does.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::anchor::{AnchorFile, Compared, compare};
use crate::backup::{self, Archived};
use crate::clock::{Clock, awake};
use crate::domain::event::Detail;
use crate::domain::time::{Span, Timestamp};
use crate::standings::Standings;
use crate::store::{Bound, Plan, Planned, Reader, Retention, Wanted};
use crate::telemetry::Metrics;
use crate::uses::{self, Keeping, UseReader};
use crate::writer::{CutError, Writer};

/// Looks at the start, daily, and when the settings change.
pub(super) struct Retaining {
    pub(super) settings: watch::Receiver<Option<Retention>>,
    pub(super) parts: Parts,
    pub(super) told: Told,
}

/// What it works on. Cheap to clone.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) clock: Clock,
    pub(super) reader: Reader,
    pub(super) standings: Standings,
    pub(super) writer: Writer,
    pub(super) uses: UseReader,
    pub(super) uses_health: uses::Health,
    pub(super) anchors: Option<AnchorFile>,
}

/// How a look ended.
enum Looked {
    /// Nothing is left to cut.
    Whole,
    /// hallpass stops.
    Stopped,
}

/// Archives that wait for their cut.
struct Ready {
    plan: Box<Plan>,
    archived: Archived,
    path: PathBuf,
}

impl Retaining {
    pub(super) async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let settings = self.settings.borrow_and_update().clone();
            self.told.applies(settings.as_ref(), self.parts.clock.now());
            let next = match &settings {
                Some(settings) => self.look(settings, &stop).await,
                None => None,
            };
            let due = async {
                match next {
                    Some(at) => self.parts.clock.wait_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                changed = self.settings.changed() => if changed.is_err() { return },
                () = due => {}
            }
        }
    }

    /// Cuts all that may go; when to look again.
    async fn look(&self, settings: &Retention, stop: &CancellationToken) -> Option<Timestamp> {
        let began = self.parts.clock.now();
        match self.cut_all(settings, stop).await {
            Ok(Looked::Whole) => {
                self.told.succeeded(self.parts.clock.now());
                Some(began.plus(LOOK_AFTER))
            }
            Ok(Looked::Stopped) => None,
            Err(error) => {
                self.told.failures.inc();
                tracing::warn!("old records could not be cut, and stay until they can: {error:#}");
                // what broke off a commit is not to do so every hour
                let broke_off =
                    error.downcast_ref::<CutError>().is_some_and(|error| matches!(error, CutError::Failed(_)));
                Some(began.plus(if broke_off { LOOK_AFTER } else { RETRY_AFTER }))
            }
        }
    }

    async fn cut_all(&self, settings: &Retention, stop: &CancellationToken) -> anyhow::Result<Looked> {
        let (parts, folder) = (self.parts.clone(), settings.archive.clone());
        beside(move || parts.begin(&folder)).await?;
        let mut overtaken = 0;
        while !stop.is_cancelled() {
            let began = awake();
            let (parts, owned) = (self.parts.clone(), settings.clone());
            let Some(ready) = beside(move || parts.prepare(&owned)).await? else { return Ok(Looked::Whole) };
            if stop.is_cancelled() {
                discard(&ready.path, &ready.archived);
                break;
            }
            let (records, cases, span) =
                (ready.plan.records, ready.plan.cases.len(), (ready.plan.first, ready.plan.last));
            let reason = Some(format!("retention: older than {}", settings.keep));
            let detail = Detail { justification: reason, ..Detail::default() };
            match self.parts.writer.cut(ready.plan, ready.archived.records, detail).await {
                Ok(made) => {
                    self.told.records.inc_by(records);
                    let parts = self.parts.clone();
                    let forgotten = beside(move || Ok(backup::forget_archived(&parts.uses, &parts.reader)?)).await;
                    tracing::info!(
                        records,
                        first = span.0,
                        last = span.1,
                        cases,
                        archive = %ready.path.display(),
                        digest = %ready.archived.records,
                        uses = ready.archived.uses.map(tracing::field::display),
                        record = made.position.0,
                        held_seconds = made.held.as_secs_f64(),
                        seconds = awake().duration_since(began).as_secs_f64(),
                        "old records were cut out of the journal: keep the archive, nothing else has them"
                    );
                    forgotten.context("uses of cases that were cut are still there")?;
                    overtaken = 0;
                }
                Err(error @ CutError::Failed(_)) => return Err(error.into()),
                Err(error) => {
                    discard(&ready.path, &ready.archived);
                    overtaken += 1;
                    if !matches!(error, CutError::Overtaken) || overtaken >= OVERTAKEN_MAX {
                        return Err(error.into());
                    }
                }
            }
        }
        Ok(Looked::Stopped)
    }
}

impl Parts {
    /// Whether anything may be cut at all; ends what an earlier cut was interrupted before.
    fn begin(&self, folder: &Path) -> anyhow::Result<()> {
        if let Some(reason) = self.standings.doubted() {
            bail!("nothing is cut from a journal in doubt: {reason}");
        }
        if self.uses_health.keeping() == Keeping::Out {
            bail!("uses cannot be written down at present");
        }
        // told at once, and not only when something is old enough
        let probe = tempfile::tempfile_in(folder);
        probe.with_context(|| format!("nothing can be written to the folder `{}`", folder.display()))?;
        let forgotten = backup::forget_archived(&self.uses, &self.reader)?;
        if forgotten > 0 {
            tracing::info!(
                cases = forgotten,
                "uses that an archive holds were forgotten: a cut was interrupted before"
            );
        }
        Ok(())
    }

    /// Plans the next cut and writes its archives; nothing when nothing may go.
    fn prepare(&self, settings: &Retention) -> anyhow::Result<Option<Ready>> {
        let look = || self.anchors.as_ref().map(|anchors| compare(anchors, &self.reader)).transpose();
        let anchored = match look()? {
            // the first anchor of all may have been written between two looks at its file
            Some(Compared::Mismatch(_)) => look()?,
            compared => compared,
        };
        let anchored = match anchored {
            Some(Compared::Mismatch(mismatch)) => bail!("nothing is cut from a journal in doubt: {mismatch}"),
            Some(Compared::Holds(newest)) => Some(newest.sequence),
            Some(Compared::Nothing) | None => None,
        };
        // before the journal: what is sealed there has its uses here
        let unsealed = self.uses.snapshot()?.unsealed()?;
        let snapshot = self.reader.snapshot()?;
        let now = self.clock.now();
        let span_min = Span::seconds(settings.keep.as_seconds() / SPAN_SHARE).min(SPAN_MIN);
        let wanted = Wanted {
            anchored,
            unsealed: &unsealed,
            records_max: RECORDS_MAX,
            span_min,
            ..Wanted::before(now.minus(settings.keep), now)
        };
        let plan = match snapshot.plan_cut(&wanted, &mut |_, _| {})? {
            Planned::Cut(plan) => plan,
            Planned::Nothing(bound) => {
                if matches!(bound, Bound::Case(_) | Bound::Follower(_) | Bound::Anchored) {
                    tracing::info!("records that are old enough stay: {bound}");
                }
                return Ok(None);
            }
        };
        let mut removed = backup::make_way(&snapshot, &plan, &settings.archive, &self.reader.archives()?)?;
        removed.extend(backup::remove_orphans(&self.uses.snapshot()?, &plan, &settings.archive)?);
        for path in removed {
            tracing::warn!(path = %path.display(), "an archive was removed: its cut never came to be, and the journal holds all of it");
        }
        let path = backup::path_of_archive(&settings.archive, &plan);
        let archived = backup::archive(&snapshot, &plan, Some(&self.uses), &path, &mut |_, _| {});
        let archived = archived.with_context(|| format!("the archive `{}` could not be written", path.display()));
        Ok(Some(Ready { archived: archived?, plan, path }))
    }
}

/// Removes archives whose cut will not be made. What cannot be removed now is when the next is written.
fn discard(path: &Path, archived: &Archived) {
    if let Err(error) = backup::discard(path, archived) {
        tracing::warn!(%error, path = %path.display(), "an archive without its cut could not be removed");
    }
}

/// Runs what blocks beside the tasks.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await.context("it ended in a panic")?
}

/// What metrics tell.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// When all was cut that could be; when retention was switched on, until then. Nothing while it is off.
    last: Arc<Mutex<Option<Timestamp>>>,
    records: Counter,
    failures: Counter,
}

impl Told {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let told = Self { last: Arc::default(), records: Counter::default(), failures: Counter::default() };
        metrics.register(|registry| {
            registry.register(
                "retention_records",
                "records cut out of the journal, after an archive held them",
                told.records.clone(),
            );
            registry.register(
                "retention_failures",
                "looks for old records that ended before all were cut",
                told.failures.clone(),
            );
            registry.register_collector(Box::new(LastSuccess(Arc::clone(&told.last))));
        });
        told
    }

    fn applies(&self, settings: Option<&Retention>, now: Timestamp) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = settings.and(last.or(Some(now)));
    }

    fn succeeded(&self, now: Timestamp) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }
}

#[derive(Debug)]
struct LastSuccess(Arc<Mutex<Option<Timestamp>>>);

impl Collector for LastSuccess {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(at) = *self.0.lock().unwrap_or_else(PoisonError::into_inner) else { return Ok(()) };
        let help = "when old records were last looked for and all were cut that could be, as a Unix time; absent without retention";
        let gauge = ConstGauge::new(at.as_seconds());
        gauge.encode(encoder.encode_descriptor("retention_last_success_seconds", help, None, MetricType::Gauge)?)
    }
}

/// How long until old records are looked for again.
const LOOK_AFTER: Span = Span::days(1);
/// And when that failed.
const RETRY_AFTER: Span = Span::hours(1);
/// What goes at once: no command is taken meanwhile.
const RECORDS_MAX: u64 = 5_000;
/// What goes spans so much time at least,
const SPAN_MIN: Span = Span::days(7);
/// or this part of what is kept, when that is less.
const SPAN_SHARE: u64 = 16;
/// So often a plan is made anew before it waits for the next look.
const OVERTAKEN_MAX: u32 = 8;
