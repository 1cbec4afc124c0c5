//! How far a long command has come, for people at a terminal; for everybody else nothing.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::clock::awake;

/// A bar that is gone when it is dropped. It moves now and then, and what is done in a moment shows none.
pub(super) struct Bar {
    heading: &'static str,
    bar: Option<ProgressBar>,
    /// When it moves next.
    due: Instant,
}

impl Bar {
    /// A bar under this heading, which shows nothing unless standard error is a terminal.
    pub(super) fn new(heading: &'static str) -> Self {
        Self { heading, bar: None, due: awake() + EACH }
    }

    /// `done` of `all`.
    pub(super) fn show(&mut self, done: u64, all: u64) {
        let now = awake();
        if now < self.due {
            return;
        }
        self.due = now + EACH;
        let bar = self.bar.get_or_insert_with(|| drawn(self.heading, all));
        if bar.length() != Some(all) {
            bar.set_length(all);
        }
        bar.set_position(done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn drawn(heading: &'static str, all: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(all), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{msg:<10} {bar:40} {human_pos}/{human_len} {eta} left") {
        bar.set_style(style);
    }
    bar.set_message(heading);
    bar
}

const EACH: Duration = Duration::from_millis(100);
