//! How far it is: a line that is there only on a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A line that tells how far it is.
pub struct Progress(ProgressBar);

impl Progress {
    /// A line for that much.
    pub fn new(all: u64) -> Self {
        let bar = ProgressBar::new(all);
        let style = ProgressStyle::with_template(
            "{elapsed_precise} {wide_bar} {human_pos} of {human_len}, {per_sec}",
        );
        Self(match style {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        })
    }

    /// So much is done.
    pub fn at(&self, done: u64) {
        self.0.set_position(done);
    }

    /// The line is not needed any more.
    pub fn done(&self) {
        self.0.finish_and_clear();
    }
}
