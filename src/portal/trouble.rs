//! What every page tells before anything else: that roles open nothing, or that commands are not taken, or not all of them.

use std::time::Duration;

use crate::clock::Clock;
use crate::portal::Portal;
use crate::writer::StoreState;

/// Something that keeps hallpass from doing all it is there for. Sentences for people, with code between backticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::portal) struct Trouble {
    /// What it means for everybody.
    pub(in crate::portal) means: &'static str,
    /// What everybody can do meanwhile.
    pub(in crate::portal) meanwhile: &'static str,
    /// Why, for those who run hallpass.
    pub(in crate::portal) reason: String,
    /// What those who run hallpass do about it.
    pub(in crate::portal) remedy: &'static str,
}

impl Portal {
    /// What a visitor must know before giving a command that may be refused, the gravest first; nothing when all is well.
    pub(in crate::portal) fn trouble(&self) -> Option<Trouble> {
        let parts = &self.shared.parts;
        let doubt = parts.standings.doubted().map(|reason| of_doubt(reason));
        let store = || of_store(parts.writer.health().state());
        let lost = || of_lost_clock(&parts.clock);
        doubt.or_else(lost).or_else(store).or_else(|| of_clock(parts.clock.behind()))
    }
}

fn of_doubt(reason: &str) -> Trouble {
    Trouble {
        means: "No role opens anything at present, and nothing new is granted: the journal may not be the right one.",
        meanwhile: "What needs no role works as ever. For the rest, turn to whoever runs hallpass.",
        reason: reason.to_owned(),
        remedy: "Stop hallpass. Put the right store in place, or, when this one is to go on, run \
                 `hallpass anchor confirm --config FILE --because '…'`. Then start it again.",
    }
}

fn of_store(state: StoreState) -> Option<Trouble> {
    let trouble = |means, meanwhile, remedy| {
        let reason = state.explanation().unwrap_or_default().to_owned();
        Some(Trouble { means, meanwhile, reason, remedy })
    };
    match state {
        StoreState::Open => None,
        StoreState::EndsOnly => trouble(
            "Nothing new is granted at present: there is no room left to write it down.",
            "Roles that are held last until their end, and can be handed back and taken away. Try the rest later.",
            "Make room on the volume that holds the store, 8 MiB at least. hallpass looks again every few seconds and needs no restart.",
        ),
        StoreState::Out => trouble(
            "Nothing new is granted at present: the journal cannot be written.",
            "Roles that are held last until their end. What is handed back or taken away ends at once, and is written down \
             later. Try the rest later.",
            "hallpass reopens and verifies the store by itself, at least every 30 seconds. Look at its log for the error, \
             and at the volume that holds the store: full, read-only or failing.",
        ),
        StoreState::Damaged => trouble(
            "No role opens anything at present, and nothing new is granted: the journal is damaged.",
            "What needs no role works as ever. For the rest, turn to whoever runs hallpass.",
            "Stop hallpass and run `hallpass store check STORE`: it says whether to restore a backup (`hallpass restore`) or \
             to make the tables again (`hallpass store rebuild STORE`).",
        ),
    }
}

fn of_lost_clock(clock: &Clock) -> Option<Trouble> {
    clock.is_lost().then(|| Trouble {
        means: "No role opens anything at present, and nothing new is granted: the clock of this machine is wrong.",
        meanwhile: "What needs no role works as ever, and roles that are held can be handed back and taken away.",
        reason: format!(
            "when hallpass started, the clock lay behind the newest record of its journal, by {} seconds now: nobody can \
             tell how long it was stopped, and which roles have ended",
            clock.behind().as_secs()
        ),
        remedy: "Correct the machine's clock. Once it has caught up, hallpass goes on by itself.",
    })
}

fn of_clock(behind: Duration) -> Option<Trouble> {
    (behind > BEHIND_MAX).then(|| Trouble {
        means: "Nothing new is granted at present: the clock of this machine was set back.",
        meanwhile: "Roles that are held can be handed back and taken away. Try the rest later.",
        reason: format!("the clock lies {} seconds behind what it told before", behind.as_secs()),
        remedy: "Correct the machine's clock. What ended stays ended; once the clock has caught up, hallpass goes on by itself.",
    })
}

/// As for the writer: a clock further behind grants nothing.
const BEHIND_MAX: Duration = Duration::from_secs(5);
