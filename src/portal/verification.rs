//! Verifying the journal while it is in use: one at a time, beside everything else, up to the head it began with.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::domain::standing::Position;
use crate::domain::time::Timestamp;
use crate::journal::verify::{Fault, Verifier, Wrong};
use crate::store::{Head, Reader, RecordFilter, StoreError};

/// What is known of the last verification, or of the one under way.
#[derive(Debug, Clone, Default)]
pub(super) enum State {
    /// None since the start.
    #[default]
    Never,
    /// One is under way.
    Running {
        started_at: Timestamp,
        /// Records that are good so far.
        checked: u64,
        /// Records there were when it began.
        records: u64,
    },
    /// Every record up to this head is good.
    Whole {
        ended_at: Timestamp,
        head: Head,
        /// Records whose note was erased, which breaks nothing.
        erased: u64,
    },
    /// A record is wrong.
    Broken {
        ended_at: Timestamp,
        /// The first record that is wrong.
        sequence: u64,
        wrong: String,
    },
    /// It did not come to an end: the process stops, or the store could not be read.
    Unfinished { ended_at: Timestamp },
}

/// Verifies, one at a time. Cheap to clone.
#[derive(Clone)]
pub(super) struct Verification {
    state: Arc<Mutex<State>>,
    tasks: TaskTracker,
}

impl Verification {
    pub(super) fn new() -> Self {
        Self { state: Arc::default(), tasks: TaskTracker::new() }
    }

    /// How it stands.
    pub(super) fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// While this is held it does not go on.
    #[cfg(test)]
    pub(super) fn hold(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one, unless one is under way; how it stands then.
    pub(super) fn begin(&self, reader: Reader, clock: Clock, stop: CancellationToken) -> Result<State, StoreError> {
        let head = reader.head()?;
        let began = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if matches!(*state, State::Running { .. }) {
                return Ok(state.clone());
            }
            *state = State::Running { started_at: clock.now(), checked: 0, records: head.position.0 };
            state.clone()
        };
        let own = self.clone();
        self.tasks.spawn_blocking(move || {
            // also when it panics: nobody could begin another one otherwise
            let mut ending = Ending { verification: own, outcome: State::Unfinished { ended_at: clock.now() } };
            ending.outcome = ending.verification.run_unless_cut(&reader, head, &clock, &stop);
        });
        Ok(began)
    }

    /// Begins anew when records were cut meanwhile: what is gone then is no damage.
    fn run_unless_cut(&self, reader: &Reader, mut head: Head, clock: &Clock, stop: &CancellationToken) -> State {
        loop {
            let before = reader.cut();
            let ended = self.run(reader, head, clock, stop);
            if matches!(ended, State::Whole { .. }) {
                return ended;
            }
            if let (Ok(before), Ok(now), Ok(newest)) = (before, reader.cut(), reader.head())
                && before != now
                && !stop.is_cancelled()
            {
                head = newest;
                continue;
            }
            if let State::Broken { sequence, wrong, .. } = &ended {
                tracing::error!(sequence, wrong, "the journal is not whole");
            }
            return ended;
        }
    }

    fn run(&self, reader: &Reader, mut head: Head, clock: &Clock, stop: &CancellationToken) -> State {
        let mut verifier = Verifier::new(reader.public_key());
        loop {
            if let Err(ended) = self.verify_to(head, &mut verifier, reader, clock, stop) {
                return ended;
            }
            let missing = verifier.absent().missing();
            let Some(first) = missing.first() else {
                return State::Whole { ended_at: clock.now(), head, erased: verifier.absent().erased() };
            };
            // somebody may have been erased meanwhile: the record that orders it stands behind this head
            match reader.head() {
                Ok(newest) if newest.position > head.position => head = newest,
                Ok(_) => return broken(&Fault { sequence: first.first, wrong: Wrong::NoteMissing }, clock),
                Err(_) => return State::Unfinished { ended_at: clock.now() },
            }
        }
    }

    /// Goes on to `head`; how it ended when it does not come there.
    fn verify_to(
        &self,
        head: Head,
        verifier: &mut Verifier,
        reader: &Reader,
        clock: &Clock,
        stop: &CancellationToken,
    ) -> Result<(), State> {
        while verifier.tip().sequence < head.position.0 {
            let after = Position(verifier.tip().sequence);
            if stop.is_cancelled() {
                return Err(State::Unfinished { ended_at: clock.now() });
            }
            let records = match reader.exported(&RecordFilter::default(), after, BATCH) {
                Ok(records) => records,
                Err(StoreError::Damaged(wrong)) => {
                    return Err(State::Broken { ended_at: clock.now(), sequence: after.next().0, wrong });
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "the journal could not be verified");
                    return Err(State::Unfinished { ended_at: clock.now() });
                }
            };
            for record in records.iter().take_while(|record| record.sequence <= head.position.0) {
                let checked = verifier.check(record.sequence, &record.sealed, record.note.as_ref());
                checked.map_err(|fault| broken(&fault, clock))?;
            }
            // none, or none up to this head: they were cut
            if verifier.tip().sequence == after.0 {
                return Err(State::Unfinished { ended_at: clock.now() });
            }
            self.went_on(verifier.tip().sequence);
        }
        verifier.ended().map_err(|fault| broken(&fault, clock))?;
        if verifier.tip().hash == head.hash {
            return Ok(());
        }
        let wrong = "the head is not that of the last record".to_owned();
        Err(State::Broken { ended_at: clock.now(), sequence: head.position.0, wrong })
    }

    fn went_on(&self, sequence: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Running { checked, .. } = &mut *state {
            *checked = sequence;
        }
    }
}

fn broken(fault: &Fault, clock: &Clock) -> State {
    State::Broken { ended_at: clock.now(), sequence: fault.sequence, wrong: fault.wrong.to_string() }
}

/// Puts the outcome in place, whatever happens.
struct Ending {
    verification: Verification,
    outcome: State,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let outcome = std::mem::take(&mut self.outcome);
        *self.verification.state.lock().unwrap_or_else(PoisonError::into_inner) = outcome;
    }
}

/// Records read together.
const BATCH: usize = 500;

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::store::{self, Opened, Settings};

    #[test]
    fn when_all_up_to_its_head_was_cut_meanwhile_it_ends_unfinished() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { path: folder.path().join("store"), key_path: folder.path().join("key") };
        fs::copy("tests/golden/store-v3-cut.redb", &settings.path).unwrap();
        let key = [&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20], &[7; 32][..]].concat();
        fs::write(&settings.key_path, key).unwrap();
        fs::set_permissions(&settings.key_path, Permissions::from_mode(0o600)).unwrap();
        let (clock, _) = Clock::manual(Timestamp::from_seconds(20_000_000));
        let Opened { reader, .. } = store::open(&settings, clock.now()).unwrap();
        // it began when record 10 was the newest, and had come to record 1
        let head = Head { position: Position(10), hash: [7; 32], time: clock.now() };
        let mut verifier = Verifier::new(reader.public_key());
        let first = reader.exported(&RecordFilter::default(), Position(0), 1).unwrap().remove(0);
        verifier.check(first.sequence, &first.sealed, first.note.as_ref()).unwrap();
        let stop = CancellationToken::new();
        let ended = Verification::new().verify_to(head, &mut verifier, &reader, &clock, &stop);
        assert!(matches!(ended, Err(State::Unfinished { .. })), "{ended:?}");
    }
}
