//! A verification of the journal as JSON.

use data_encoding::HEXLOWER;
use serde::Serialize;
use utoipa::ToSchema;

use crate::portal::verification::State;
use crate::portal::wire::text::Instant;

/// How the verification of the journal stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(in crate::portal) enum Verification {
    /// None since the start.
    Never,
    /// One is under way.
    Running {
        started_at: Instant,
        /// Records that are good so far.
        checked: u64,
        /// Records there were when it began.
        records: u64,
    },
    /// Every record up to this one is good.
    Whole {
        ended_at: Instant,
        sequence: u64,
        /// Hexadecimal.
        hash: String,
        /// Records whose note was erased, which breaks nothing.
        erased: u64,
    },
    /// A record is wrong.
    Broken {
        ended_at: Instant,
        /// The first record that is wrong.
        sequence: u64,
        /// What is wrong with it.
        wrong: String,
    },
    /// It did not come to an end.
    Unfinished { ended_at: Instant },
}

impl From<State> for Verification {
    fn from(state: State) -> Self {
        match state {
            State::Never => Self::Never,
            State::Running { started_at, checked, records } => {
                Self::Running { started_at: Instant(started_at), checked, records }
            }
            State::Whole { ended_at, head, erased } => Self::Whole {
                ended_at: Instant(ended_at),
                sequence: head.position.0,
                hash: HEXLOWER.encode(&head.hash),
                erased,
            },
            State::Broken { ended_at, sequence, wrong } => {
                Self::Broken { ended_at: Instant(ended_at), sequence, wrong }
            }
            State::Unfinished { ended_at } => Self::Unfinished { ended_at: Instant(ended_at) },
        }
    }
}
