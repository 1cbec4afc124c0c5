//! How far a long command has come, for people at a terminal; for everybody else nothing.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar that is gone when it is dropped.
pub(super) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// A bar under this heading, which shows nothing unless standard error is a terminal.
    pub(super) fn new(heading: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{msg:<10} {bar:40} {human_pos}/{human_len} {eta} left") {
            bar.set_style(style);
        }
        bar.set_message(heading);
        Self { bar }
    }

    /// `done` of `all`.
    pub(super) fn show(&mut self, done: u64, all: u64) {
        if self.bar.length() != Some(all) {
            self.bar.set_length(all);
        }
        self.bar.set_position(done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
