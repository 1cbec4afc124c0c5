//! Writes down what time has already made true: lapsed, expired. No verdict waits for it.

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::command::{Caller, Command, Overdue};
use crate::domain::time::{Span, Timestamp};
use crate::standings::Standings;
use crate::store::{Reader, StoreError};
use crate::writer::{Purpose, Submission, Writer};

/// Writes down all that is overdue now, as far as the journal takes it.
///
/// # Errors
/// When what is overdue cannot be read.
pub async fn once(reader: &Reader, writer: &Writer, clock: &Clock) -> Result<(), StoreError> {
    sweep(reader, writer, clock).await.map(|_| ())
}

/// Sweeps until `stop`: at every due instant, and again when the journal moves and may have brought an earlier one.
pub async fn run(reader: Reader, writer: Writer, standings: Standings, clock: Clock, stop: CancellationToken) {
    let mut head = standings.watch();
    // an outage is told once, and not every second
    let mut is_told = false;
    // a journal in doubt takes none of it, for as long as this process lives
    while !stop.is_cancelled() && standings.doubted().is_none() {
        head.mark_unchanged();
        let next = match sweep(&reader, &writer, &clock).await {
            Ok(Swept::All { next_due }) => {
                is_told = false;
                next_due
            }
            Ok(Swept::Unable) => Some(clock.now().plus(RETRY)),
            Err(error) => {
                match std::mem::replace(&mut is_told, true) {
                    false => {
                        tracing::warn!(%error, "what is overdue could not be read; it is tried again every second")
                    }
                    true => tracing::debug!(%error, "what is overdue could still not be read"),
                }
                Some(clock.now().plus(RETRY))
            }
        };
        let due = async {
            match next {
                Some(at) => clock.wait_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = due => {}
            moved = head.changed() => if moved.is_err() { return },
        }
    }
}

enum Swept {
    /// All that was due is written down.
    All { next_due: Option<Timestamp> },
    /// The journal takes no commands now.
    Unable,
}

async fn sweep(reader: &Reader, writer: &Writer, clock: &Clock) -> Result<Swept, StoreError> {
    loop {
        let overdue = reader.overdue(clock.now(), CHUNK)?;
        if overdue.is_empty() {
            return Ok(Swept::All { next_due: reader.next_due()? });
        }
        // submitted together, so that they share commits
        let settled = futures_util::future::join_all(overdue.iter().map(|overdue| settle(writer, *overdue))).await;
        if settled.iter().any(|settled| !settled) {
            return Ok(Swept::Unable);
        }
    }
}

/// Whether something was written down.
async fn settle(writer: &Writer, overdue: Overdue) -> bool {
    let submission = Submission {
        caller: Caller::Hallpass,
        command: Command::Settle { overdue },
        idempotency: None,
        purpose: Purpose::Commit,
    };
    match writer.submit(submission).await {
        Ok(outcome) => !outcome.events.is_empty(),
        Err(error) => {
            tracing::debug!(%error, "an overdue case could not be settled now");
            false
        }
    }
}

const CHUNK: usize = 100;
const RETRY: Span = Span::seconds(1);
