//! Where `tracing` goes: one line per event, as JSON or as text, filtered.

use std::io::{self, Write};
use std::sync::LazyLock;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::MakeWriter;

use super::escape;
use super::outlet::Outlet;

/// How logs are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The shape of a line.
    pub format: Format,
    /// Directives such as `info,hallpass::proxy=debug`.
    pub filter: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { format: Format::Json, filter: "info".to_owned() }
    }
}

/// The shape of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object.
    Json,
    /// For people.
    Text,
}

/// Why logging cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error("the log filter cannot be read")]
    Filter(#[from] ParseError),
    /// The thread that writes cannot be started.
    #[error("the log cannot be started")]
    Thread(#[from] io::Error),
    /// The process has a subscriber already.
    #[error("logging is already set up")]
    Taken(#[from] tracing_subscriber::util::TryInitError),
}

/// The log of this process. Dropped at its end, it waits for what is not yet written, a second at most.
#[derive(Debug)]
#[must_use = "what is not yet written at the end is lost without it"]
pub struct Log(Outlet);

impl Drop for Log {
    fn drop(&mut self) {
        self.0.finish(PATIENCE);
    }
}

/// Events that could not be written, or not in time: nobody is kept from anything by a log that is full, stuck or gone.
pub(super) static LOST: LazyLock<Counter> = LazyLock::new(Counter::default);

/// Sends the events of this process to standard error from now on.
///
/// # Errors
/// [`LogError`] when the filter is malformed, logging was set up before, or there is no thread for it.
pub fn start(settings: &Settings) -> Result<Log, LogError> {
    use tracing_subscriber::util::SubscriberInitExt;
    let outlet = Outlet::start("log", io::stderr(), LOST.clone())?;
    let log = Log(outlet.clone());
    subscriber(settings, move || Escaping(outlet.clone(), LOST.clone()))?.try_init()?;
    Ok(log)
}

fn subscriber<M>(settings: &Settings, writer: M) -> Result<Box<dyn tracing::Subscriber + Send + Sync>, ParseError>
where
    M: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&settings.filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false);
    // told where events cannot be written, which would be a panic in whatever is at work
    let builder = builder.log_internal_errors(false);
    Ok(match settings.format {
        Format::Json => Box::new(builder.json().flatten_event(true).with_current_span(false).finish()),
        Format::Text => Box::new(builder.finish()),
    })
}

/// Escapes what is not plain in each line. The subscriber hands over one event at a time, ended by a line feed.
#[derive(Debug)]
struct Escaping<W>(W, Counter);

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.write_all(event)?;
        Ok(event.len())
    }

    fn write_all(&mut self, event: &[u8]) -> io::Result<()> {
        let line = event.strip_suffix(b"\n").unwrap_or(event);
        let line = String::from_utf8_lossy(line);
        let mut escaped = escape::text(&line).into_owned();
        escaped.push('\n');
        if self.0.write_all(escaped.as_bytes()).is_err() {
            self.1.inc();
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        // what was not written was counted
        let _ = self.0.flush();
        Ok(())
    }
}

/// How long the end of a process waits for whoever reads.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::outlet::tests::Stuck;
    use crate::telemetry::sink::Sink;

    #[test]
    fn one_event_is_one_line_whatever_its_values() {
        for format in [Format::Json, Format::Text] {
            let sink = Sink::default();
            let writer = sink.clone();
            let settings = Settings { format, filter: "info".to_owned() };
            let subscriber = subscriber(&settings, move || Escaping(writer.clone(), Counter::default())).unwrap();
            tracing::subscriber::with_default(subscriber, || {
                tracing::info!(agent = "a\nb\u{202e}c\u{1b}[2J", "said");
                tracing::debug!("not at this level");
            });
            let text = sink.text();
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(text.trim_end_matches('\n').chars().all(escape::is_plain), "{text:?}");
            assert!(text.contains("said"));
        }
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_disturbs_nobody() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let lost = Counter::default();
        let counter = lost.clone();
        let subscriber = subscriber(&Settings::default(), move || Escaping(Full, counter.clone())).unwrap();
        tracing::subscriber::with_default(subscriber, || tracing::error!("nobody reads this"));
        assert_eq!(lost.get(), 1);
    }

    #[test]
    fn whoever_logs_does_not_wait_for_a_reader_that_stopped() {
        let sink = Sink::default();
        let (release, stuck) = Stuck::before(sink.clone());
        let lost = Counter::default();
        let outlet = Outlet::start("log", stuck, lost.clone()).unwrap();
        let (writer, counter) = (outlet.clone(), lost.clone());
        let subscriber = subscriber(&Settings::default(), move || Escaping(writer.clone(), counter.clone())).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let long = "x".repeat(1024);
            (0..4_000).for_each(|_| tracing::error!(long, "said"));
        });
        drop(release);
        outlet.finish(Duration::from_secs(60));
        let (written, lost) = (sink.text().lines().count() as u64, lost.get());
        assert!(lost > 0 && written > 0 && written + lost == 4_000, "{written} written, {lost} lost");
    }

    #[test]
    fn a_malformed_filter_is_refused() {
        let settings = Settings { format: Format::Json, filter: "=[".to_owned() };
        assert!(subscriber(&settings, io::sink).is_err());
    }
}
