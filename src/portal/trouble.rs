//! What every page tells before anything else: that commands are not taken, or not all of them, and why.

use std::time::Duration;

use crate::portal::Portal;

impl Portal {
    /// What a visitor must know before giving a command that may be refused: the journal takes none, the disk is full, or
    /// the clock was set back; one sentence. Nothing when all is well.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let parts = &self.shared.parts;
        let clock = (parts.clock.behind() > BEHIND_MAX).then_some(CLOCK);
        let mut letters = parts.writer.health().state().explanation().or(clock)?.chars();
        let first = letters.next()?;
        Some(format!("{}{}.", first.to_uppercase(), letters.as_str()))
    }
}

/// As for the writer: a clock further behind grants nothing.
const BEHIND_MAX: Duration = Duration::from_secs(5);
const CLOCK: &str = "the clock was set back; rights can be ended, and nothing new is granted until it has caught up";
