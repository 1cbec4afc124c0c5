//! Lines that are written too often for `tracing`: collected by each core, written by one thread.
//!
//! A core never waits for the writer. When the writer cannot keep up, a core holds its lines back, and when its buffer is
//! full too it drops them and counts what was dropped.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::Notify;

use super::Metrics;

/// The way to the writing thread. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lines {
    writer: Option<SyncSender<Vec<u8>>>,
    dropped: Counter,
}

/// The writing thread.
#[derive(Debug)]
pub struct LinesThread(JoinHandle<()>);

impl Lines {
    /// Starts the thread that writes to `sink`. It ends when the last [`Lines`] and [`Buffer`] are gone.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(sink: impl Write + Send + 'static, metrics: &Metrics) -> io::Result<(Self, LinesThread)> {
        let (sender, receiver) = sync_channel(CHUNKS_MAX);
        let dropped = Counter::default();
        metrics.register(|registry| {
            registry.register(
                "access_lines_dropped",
                "Access lines that could not be written, or not in time",
                dropped.clone(),
            );
        });
        let thread = std::thread::Builder::new().name("access-log".to_owned()).spawn({
            let dropped = dropped.clone();
            move || drain(&receiver, sink, &dropped)
        })?;
        Ok((Self { writer: Some(sender), dropped }, LinesThread(thread)))
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
}

impl LinesThread {
    /// Waits until everything is written. Every [`Lines`] and [`Buffer`] must be gone.
    pub fn join(self) {
        let _ = self.0.join();
    }
}

fn drain(receiver: &Receiver<Vec<u8>>, mut sink: impl Write, dropped: &Counter) {
    while let Ok(chunk) = receiver.recv() {
        // a reader that went away must not take the gate with it
        if sink.write_all(&chunk).and_then(|()| sink.flush()).is_err() {
            let lines = chunk.iter().filter(|byte| **byte == b'\n').count();
            dropped.inc_by(u64::try_from(lines).unwrap_or(u64::MAX));
        }
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
        match writer.try_send(bytes) {
            Ok(()) => self.count.set(0),
            Err(TrySendError::Full(bytes)) => self.bytes.replace(bytes).clear(),
            Err(TrySendError::Disconnected(_)) => {
                self.lines.dropped.inc_by(self.count.take());
            }
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
        // the last lines may wait for the writer: nothing else is left to do on this core
        if !bytes.is_empty() && writer.send(bytes).is_err() {
            self.lines.dropped.inc_by(self.count.take());
        }
    }
}

const CHUNK_BYTES: usize = 32 * 1024;
/// What most lines do not exceed.
const LINE_BYTES: usize = 4 * 1024;
const BUFFER_BYTES_MAX: usize = 1024 * 1024;
const CHUNKS_MAX: usize = 64;
const FLUSH_AFTER: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::sink::Sink;

    #[test]
    fn every_line_arrives_whole_and_in_order() {
        let sink = Sink::default();
        let (lines, thread) = Lines::start(sink.clone(), &Metrics::default()).unwrap();
        let buffer = lines.buffer();
        for number in 0..10_000 {
            buffer.add(|bytes| bytes.extend_from_slice(format!("line {number}\n").as_bytes()));
        }
        drop((buffer, lines));
        thread.join();
        let text = sink.text();
        assert!(text.lines().enumerate().all(|(number, line)| line == format!("line {number}")));
        assert_eq!(text.lines().count(), 10_000);
    }

    #[test]
    fn a_stuck_writer_costs_lines_and_never_the_core() {
        struct Stuck(std::sync::mpsc::Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (release, stuck) = std::sync::mpsc::channel();
        let metrics = Metrics::default();
        let (lines, thread) = Lines::start(Stuck(stuck), &metrics).unwrap();
        let buffer = lines.buffer();
        for _ in 0..5_000 {
            buffer.add(|bytes| bytes.extend_from_slice(&[b'x'; 1024]));
        }
        assert!(
            !metrics.encode().contains("hallpass_access_lines_dropped_total 0"),
            "the rest was dropped and counted"
        );
        drop(release);
        drop((buffer, lines));
        thread.join();
    }
}
