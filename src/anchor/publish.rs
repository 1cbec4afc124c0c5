//! When heads are published, and what came of it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::HEXLOWER;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::anchor::webhook::Webhook;
use crate::anchor::{AnchorFile, Settings};
use crate::clock::Clock;
use crate::domain::standing::Position;
use crate::domain::time::{Span, Timestamp};
use crate::journal::SignedCheckpoint;
use crate::store::Reader;
use crate::telemetry::Metrics;

/// Asks for an anchor now. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Anchors {
    asked: mpsc::Sender<oneshot::Sender<Published>>,
}

/// An anchor as it was published.
#[derive(Debug, Clone)]
pub struct Published {
    /// What was published.
    pub checkpoint: SignedCheckpoint,
    /// Where it is now, in the order of trying.
    pub reached: Vec<&'static str>,
    /// Where it is not, and why.
    pub missed: Vec<(&'static str, String)>,
}

/// Nothing was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no anchor could be published at present")]
pub struct NotPublished;

impl Anchors {
    /// Publishes the head as it is now.
    ///
    /// # Errors
    /// [`NotPublished`] when the journal cannot be read, or nothing is published because it is in doubt.
    pub async fn publish(&self) -> Result<Published, NotPublished> {
        let (answer, answered) = oneshot::channel();
        self.asked.try_send(answer).map_err(|_| NotPublished)?;
        answered.await.map_err(|_| NotPublished)
    }
}

/// Publishes until it is stopped.
pub struct Publisher {
    reader: Reader,
    clock: Clock,
    head: watch::Receiver<Position>,
    asked: mpsc::Receiver<oneshot::Sender<Published>>,
    file: Option<AnchorFile>,
    webhook: Option<Webhook>,
    interval: Span,
    records_max: u64,
    told: Told,
    last: Position,
    /// How long until what was missed is tried again; nothing when all was reached.
    pause: Option<Span>,
}

/// A publisher of the heads of the store at `store`, and the handle by which it is asked. It publishes nothing before it runs.
///
/// # Errors
/// When the webhook's secret or address cannot be used.
pub fn start(
    settings: &Settings,
    store: &Path,
    reader: Reader,
    head: watch::Receiver<Position>,
    clock: Clock,
    metrics: &Metrics,
) -> anyhow::Result<(Anchors, Publisher)> {
    let (sender, asked) = mpsc::channel(ASKED_MAX);
    let webhook = settings.webhook.as_ref().map(Webhook::new).transpose()?;
    let told = Told::new(settings, clock.clone(), metrics);
    let publisher = Publisher {
        reader,
        clock,
        head,
        asked,
        file: settings.file.as_deref().map(|file| AnchorFile::new(file, store)),
        webhook,
        interval: settings.interval,
        records_max: settings.records_max,
        told,
        last: Position(0),
        pause: None,
    };
    Ok((Anchors { asked: sender }, publisher))
}

/// How far a head is carried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// To every place.
    All,
    /// Nobody else is waited for: hallpass stops.
    ThisMachine,
}

impl Publisher {
    /// Publishes at once, at every interval, whenever many records came, and when somebody asks; until `stop`. The last
    /// head is published on the way out.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            self.publish(Reach::All).await;
            let mut due = self.clock.now().plus(self.pause.unwrap_or(self.interval));
            loop {
                let clock = self.clock.clone();
                tokio::select! {
                    () = stop.cancelled() => {
                        if self.head.borrow().0 > self.last.0 {
                            self.publish(Reach::ThisMachine).await;
                        }
                        return;
                    }
                    () = clock.wait_until(due) => break,
                    Some(answer) = self.asked.recv() => {
                        if let Some(published) = self.publish(Reach::All).await {
                            // whoever asked may be gone
                            let _ = answer.send(published);
                        }
                        due = self.clock.now().plus(self.pause.unwrap_or(self.interval));
                    }
                    moved = self.head.changed() => {
                        if moved.is_err() { return }
                        let head = *self.head.borrow_and_update();
                        if head.0.saturating_sub(self.last.0) >= self.records_max && self.pause.is_none() { break }
                    }
                }
            }
        }
    }

    async fn publish(&mut self, reach: Reach) -> Option<Published> {
        let (reader, now) = (self.reader.clone(), self.clock.now());
        let read = tokio::task::spawn_blocking(move || reader.checkpoint(now)).await;
        let note = match read {
            Ok(Ok(note)) => note,
            Ok(Err(error)) => return self.nothing(&error),
            Err(error) => return self.nothing(&error),
        };
        let mut published = Published { checkpoint: note, reached: Vec::new(), missed: Vec::new() };
        self.to_log(&mut published);
        self.to_file(&mut published).await;
        if reach == Reach::All {
            self.to_webhook(&mut published).await;
        }
        self.last = Position(published.checkpoint.checkpoint.sequence);
        self.pause = match (published.missed.is_empty(), self.pause) {
            (true, _) => None,
            (false, None) => Some(FIRST_PAUSE.min(self.interval)),
            (false, Some(pause)) => Some(Span::seconds(pause.as_seconds().saturating_mul(2)).min(self.interval)),
        };
        for (target, why) in &published.missed {
            tracing::error!(target_name = target, why, "an anchor could not be published; the next one stands for it");
        }
        Some(published)
    }

    fn nothing(&mut self, error: &(dyn std::error::Error + 'static)) -> Option<Published> {
        tracing::error!(error, "no anchor could be published: the head cannot be read");
        self.pause = Some(FIRST_PAUSE.min(self.interval));
        None
    }

    fn to_log(&self, published: &mut Published) {
        let said = &published.checkpoint.checkpoint;
        let (sequence, hash) = (said.sequence, HEXLOWER.encode(&said.hash));
        let checkpoint = published.checkpoint.to_string();
        tracing::info!(target: TARGET, { anchor.sequence = sequence, anchor.hash = hash, checkpoint }, "the journal's head");
        // a filter may leave these lines out: then the log was not reached
        if tracing::enabled!(target: TARGET, tracing::Level::INFO) {
            self.told.reached(published, "log", said.time);
        }
    }

    async fn to_file(&self, published: &mut Published) {
        let Some(file) = self.file.clone() else { return };
        let (note, at) = (published.checkpoint.clone(), published.checkpoint.checkpoint.time);
        let path = file.path().display().to_string();
        let written = tokio::task::spawn_blocking(move || file.append(&note)).await;
        match written {
            Ok(Ok(())) => self.told.reached(published, "file", at),
            Ok(Err(error)) => self.told.missed(published, "file", format!("`{path}`: {error}")),
            Err(error) => self.told.missed(published, "file", error.to_string()),
        }
    }

    async fn to_webhook(&self, published: &mut Published) {
        let Some(webhook) = &self.webhook else { return };
        let at = published.checkpoint.checkpoint.time;
        match webhook.post(&published.checkpoint, self.clock.now()).await {
            Ok(()) => self.told.reached(published, "webhook", at),
            Err(error) => self.told.missed(published, "webhook", error.to_string()),
        }
    }
}

/// What metrics tell: how old the newest anchor is at each place, and how often one was missed.
#[derive(Debug, Clone)]
struct Told {
    newest: Arc<Mutex<Vec<(&'static str, Timestamp)>>>,
    failures: Family<TargetLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TargetLabels {
    target: &'static str,
}

impl Told {
    fn new(settings: &Settings, clock: Clock, metrics: &Metrics) -> Self {
        // a place that was never reached is as old as the process
        let (began, mut newest) = (clock.now(), vec![("log", clock.now())]);
        let failures = Family::<TargetLabels, Counter>::default();
        for (target, is_there) in [("file", settings.file.is_some()), ("webhook", settings.webhook.is_some())] {
            if is_there {
                newest.push((target, began));
                drop(failures.get_or_create(&TargetLabels { target }));
            }
        }
        let told = Self { newest: Arc::new(Mutex::new(newest)), failures };
        metrics.register(|registry| {
            registry.register_collector(Box::new(Ages { newest: Arc::clone(&told.newest), clock }));
            registry.register("anchor_failures", "anchors that could not be published", told.failures.clone());
        });
        told
    }

    fn reached(&self, published: &mut Published, target: &'static str, at: Timestamp) {
        published.reached.push(target);
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, newest) in newest.iter_mut().filter(|(name, _)| *name == target) {
            *newest = at;
        }
    }

    fn missed(&self, published: &mut Published, target: &'static str, why: String) {
        published.missed.push((target, why));
        self.failures.get_or_create(&TargetLabels { target }).inc();
    }
}

#[derive(Debug)]
struct Ages {
    newest: Arc<Mutex<Vec<(&'static str, Timestamp)>>>,
    clock: Clock,
}

impl Collector for Ages {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let help = "how long ago the newest anchor was published, or, while there was none, hallpass was started";
        let mut family = encoder.encode_descriptor("anchor_age_seconds", help, None, MetricType::Gauge)?;
        for (target, at) in newest {
            let age = self.clock.now().as_millis().saturating_sub(at.as_millis()).max(0) / 1000;
            ConstGauge::new(age).encode(family.encode_family(&TargetLabels { target })?)?;
        }
        Ok(())
    }
}

/// Lines that tell a head, for whoever collects them.
const TARGET: &str = "hallpass::anchor";
/// What was missed is tried again after this long, then after twice as long, up to the interval.
const FIRST_PAUSE: Span = Span::seconds(5);
/// So many may wait for an anchor on demand.
const ASKED_MAX: usize = 16;
