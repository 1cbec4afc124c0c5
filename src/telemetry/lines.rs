//! Lines that are written too often for `tracing`: collected by each core, written by one thread.
//!
//! A core never waits for the writer. When the writer cannot keep up, a core holds its lines back, and when its buffer is
//! full too it drops them and counts what was dropped.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::Notify;

use super::Metrics;
use super::outlet::Outlet;

/// The way to the writing thread. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lines {
    writer: Option<Outlet>,
    dropped: Counter,
}

impl Lines {
    /// Starts the thread that writes to `sink`.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(sink: impl Write + Send + 'static, metrics: &Metrics) -> io::Result<Self> {
        let dropped = Counter::default();
        metrics.register(|registry| {
            registry.register(
                "access_lines_dropped",
                "Access lines that could not be written, or not in time",
                dropped.clone(),
            );
        });
        Ok(Self { writer: Some(Outlet::start("access-log", sink, dropped.clone())?), dropped })
    }

    /// Lines that nobody wants.
    #[must_use]
    pub fn off() -> Self {
        Self { writer: None, dropped: Counter::default() }
    }

    /// A buffer for one core.
    #[must_use]
    pub fn buffer(&self) -> Buffer {
        Buffer { lines: self.clone(), bytes: RefCell::default(), count: Cell::new(0), waiting: Notify::new() }
    }

    /// Waits until all that was handed over is written, a second at most. What a [`Buffer`] holds comes when that is gone.
    pub fn finish(&self) {
        self.writer.iter().for_each(|writer| writer.finish(PATIENCE));
    }
}

/// The lines of one core. Not shared.
#[derive(Debug)]
pub struct Buffer {
    lines: Lines,
    bytes: RefCell<Vec<u8>>,
    count: Cell<u64>,
    waiting: Notify,
}

impl Buffer {
    /// Whether anybody wants lines.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.lines.writer.is_some()
    }

    /// Adds one line; `write` ends it with a line feed.
    pub fn add(&self, write: impl FnOnce(&mut Vec<u8>)) {
        if !self.is_on() {
            return;
        }
        let length = {
            let mut bytes = self.bytes.borrow_mut();
            if bytes.len() >= BUFFER_BYTES_MAX {
                self.lines.dropped.inc();
                return;
            }
            if bytes.is_empty() {
                self.waiting.notify_one();
            }
            write(&mut bytes);
            bytes.len()
        };
        self.count.set(self.count.get().saturating_add(1));
        if length >= CHUNK_BYTES {
            self.flush();
            // lines come thick and fast: the next chunk need not grow step by step
            self.bytes.borrow_mut().reserve(CHUNK_BYTES + LINE_BYTES);
        }
    }

    /// Hands everything to the writer, unless it is busy.
    pub fn flush(&self) {
        let Some(writer) = &self.lines.writer else { return };
        let bytes = self.bytes.take();
        if bytes.is_empty() {
            return;
        }
        match writer.push(bytes) {
            Ok(()) => self.count.set(0),
            Err(bytes) => drop(self.bytes.replace(bytes)),
        }
    }

    /// Flushes a moment after the first line came in, for as long as it is polled. Sleeps while there are none.
    pub async fn run(&self) {
        loop {
            self.waiting.notified().await;
            while !self.bytes.borrow().is_empty() {
                tokio::time::sleep(FLUSH_AFTER).await;
                self.flush();
            }
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(writer) = self.lines.writer.take() else { return };
        let bytes = self.bytes.take();
        if bytes.is_empty() {
            return;
        }
        // the last lines may wait for the writer: nothing else is left to do on this core
        let left = writer.push(bytes).or_else(|bytes| {
            writer.finish(PATIENCE);
            writer.push(bytes)
        });
        if left.is_err() {
            self.lines.dropped.inc_by(self.count.take());
        }
    }
}

const CHUNK_BYTES: usize = 32 * 1024;
/// What most lines do not exceed.
const LINE_BYTES: usize = 4 * 1024;
const BUFFER_BYTES_MAX: usize = 1024 * 1024;
const FLUSH_AFTER: Duration = Duration::from_millis(50);
/// How long the end of a process waits for whoever reads.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::outlet::tests::Stuck;
    use crate::telemetry::sink::Sink;

    #[test]
    fn every_line_arrives_whole_and_in_order() {
        let sink = Sink::default();
        let lines = Lines::start(sink.clone(), &Metrics::default()).unwrap();
        let buffer = lines.buffer();
        for number in 0..10_000 {
            buffer.add(|bytes| bytes.extend_from_slice(format!("line {number}\n").as_bytes()));
        }
        drop(buffer);
        lines.writer.unwrap().finish(Duration::from_secs(60));
        let text = sink.text();
        assert!(text.lines().enumerate().all(|(number, line)| line == format!("line {number}")));
        assert_eq!(text.lines().count(), 10_000);
    }

    #[test]
    fn a_stuck_writer_costs_lines_and_never_the_core() {
        let metrics = Metrics::default();
        let (release, stuck) = Stuck::before(io::sink());
        let lines = Lines::start(stuck, &metrics).unwrap();
        let buffer = lines.buffer();
        for _ in 0..5_000 {
            buffer.add(|bytes| bytes.extend_from_slice(&[b'x'; 1024]));
        }
        assert!(
            !metrics.encode().contains("hallpass_access_lines_dropped_total 0"),
            "the rest was dropped and counted"
        );
        drop(release);
        drop(buffer);
    }
}
