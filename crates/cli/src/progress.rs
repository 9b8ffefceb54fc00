//! Progress bars: on standard error, at a terminal, and only for what takes a while.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What is done sooner needs no bar.
const DELAY: Duration = Duration::from_millis(500);

/// A bar that appears when the work turns out to be long.
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Whether it may still appear.
    waits: bool,
}

impl Progress {
    /// Counts bytes, of `total` if that is known.
    pub(crate) fn bytes(total: Option<u64>, wanted: bool) -> Self {
        let template = match total {
            Some(_) => "{bar:32} {bytes}/{total_bytes} {bytes_per_sec} {eta} left",
            None => "{spinner} {bytes} {bytes_per_sec}",
        };
        Self::new(total, template, wanted)
    }

    /// Counts records.
    pub(crate) fn records(total: u64, wanted: bool) -> Self {
        Self::new(Some(total), "{bar:32} {human_pos}/{human_len} records, {per_sec}", wanted)
    }

    /// Counts seconds.
    pub(crate) fn seconds(total: u64, wanted: bool) -> Self {
        Self::new(Some(total), "{bar:32} {human_pos}/{human_len} s", wanted)
    }

    fn new(total: Option<u64>, template: &str, wanted: bool) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        bar.set_style(ProgressStyle::with_template(template).expect("the templates here are well formed"));
        Self { bar, waits: wanted }
    }

    pub(crate) fn advance(&mut self, by: u64) {
        self.bar.inc(by);
        if self.waits && self.bar.elapsed() > DELAY {
            self.waits = false;
            // Hidden still where standard error is no terminal.
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Prints a line above the bar.
    pub(crate) fn note(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
