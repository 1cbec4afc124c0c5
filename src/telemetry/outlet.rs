//! A thread that writes lines, so that nobody waits for whoever reads them.
//!
//! A pipe whose reader stopped, a terminal that was paused, a disk that hangs: what is handed over waits here, up to a
//! bound, and what is beyond it is given back.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;

/// The way to the writing thread, which ends when the last clone is gone. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Outlet(Arc<Owner>);

impl Outlet {
    /// Starts the thread `name`, which writes to `sink` and counts the lines that cannot be written.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(super) fn start(name: &str, sink: impl Write + Send + 'static, lost: Counter) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let theirs = Arc::clone(&queue);
        std::thread::Builder::new().name(name.to_owned()).spawn(move || theirs.write_to(sink, &lost))?;
        Ok(Self(Arc::new(Owner(queue))))
    }

    /// Hands over whole lines.
    ///
    /// # Errors
    /// The lines, while too much waits.
    pub(super) fn push(&self, lines: Vec<u8>) -> Result<(), Vec<u8>> {
        let Self(owner) = self;
        let mut waiting = owner.0.lock();
        let bytes = waiting.bytes.saturating_add(lines.len());
        if bytes > BYTES_MAX && waiting.bytes > 0 {
            return Err(lines);
        }
        waiting.bytes = bytes;
        waiting.chunks.push_back(lines);
        owner.0.changed.notify_all();
        Ok(())
    }

    /// Waits until all that was handed over is written, for as long as `patience`.
    pub(super) fn finish(&self, patience: Duration) {
        let Self(owner) = self;
        // whoever gives up leaves the rest to the thread, or to the end of the process
        let _ = owner.0.changed.wait_timeout_while(owner.0.lock(), patience, |waiting| waiting.bytes > 0);
    }
}

impl Write for Outlet {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        match self.push(lines.to_vec()) {
            Ok(()) => Ok(lines.len()),
            Err(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Closes the queue when it is gone.
#[derive(Debug)]
struct Owner(Arc<Queue>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_all();
    }
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    chunks: VecDeque<Vec<u8>>,
    /// Of these, and of the one that is being written.
    bytes: usize,
    is_closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, mut sink: impl Write, lost: &Counter) {
        while let Some(lines) = self.next() {
            // a reader that went away must not take the gate with it
            if sink.write_all(&lines).and_then(|()| sink.flush()).is_err() {
                let count = lines.iter().filter(|byte| **byte == b'\n').count();
                lost.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
            }
            let mut waiting = self.lock();
            waiting.bytes = waiting.bytes.saturating_sub(lines.len());
            self.changed.notify_all();
        }
    }

    /// What is to be written next; nothing once all is written and nobody is left to bring more.
    fn next(&self) -> Option<Vec<u8>> {
        let none_yet = |waiting: &mut Waiting| waiting.chunks.is_empty() && !waiting.is_closed;
        let waiting = self.changed.wait_while(self.lock(), none_yet);
        waiting.unwrap_or_else(PoisonError::into_inner).chunks.pop_front()
    }
}

/// What may wait; a chunk alone may be larger.
const BYTES_MAX: usize = 2 * 1024 * 1024;

#[cfg(test)]
pub(super) mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::telemetry::sink::Sink;

    /// Takes what is written once somebody reads: when the other end is told so, or dropped.
    pub(crate) struct Stuck<W>(Receiver<()>, W);

    impl<W: Write> Stuck<W> {
        pub(crate) fn before(sink: W) -> (Sender<()>, Self) {
            let (release, stuck) = channel();
            (release, Self(stuck, sink))
        }
    }

    impl<W: Write> Write for Stuck<W> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn all_of_it_arrives_in_order() {
        let sink = Sink::default();
        let outlet = Outlet::start("outlet", sink.clone(), Counter::default()).unwrap();
        let numbers: String = (0..1_000).map(|number| format!("{number}\n")).collect();
        numbers.lines().for_each(|line| outlet.push(format!("{line}\n").into()).unwrap());
        outlet.finish(LONG);
        assert_eq!(sink.text(), numbers);
    }

    #[test]
    fn whoever_hands_over_never_waits_and_gets_back_what_is_too_much() {
        let sink = Sink::default();
        let (release, stuck) = Stuck::before(sink.clone());
        let outlet = Outlet::start("outlet", stuck, Counter::default()).unwrap();
        let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
        let taken = (0..3_000).filter(|_| outlet.push(line.clone()).is_ok()).count();
        assert_eq!(taken, BYTES_MAX / 1024);
        outlet.finish(Duration::ZERO);
        drop(release);
        outlet.finish(LONG);
        assert_eq!(sink.text().lines().count(), taken);
        outlet.push(line).unwrap();
    }

    #[test]
    fn what_cannot_be_written_is_counted() {
        let lost = Counter::default();
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let outlet = Outlet::start("outlet", Gone, lost.clone()).unwrap();
        outlet.push(b"one\ntwo\n".to_vec()).unwrap();
        outlet.finish(LONG);
        assert_eq!(lost.get(), 2);
    }
}
