//! What became of the records, in words. Pure.

use std::time::Duration;

use milena::Acknowledgement;
use milena::producer::DeliveryError;

/// Failures that are told one by one; of the others only the number.
const FAILURES_TOLD_MAX: u64 = 10;

/// Counts what became of the records that were sent.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) sent: u64,
    pub(crate) acknowledged: u64,
    pub(crate) failed: u64,
    /// Of the failed ones, those that may be in the log all the same.
    pub(crate) possibly_written: u64,
    /// Lines that are no record, or were not accepted.
    pub(crate) refused: u64,
}

impl Outcome {
    /// Takes note of a delivery. A failure gives a message for the user, which begins with the line, unless there were too many
    /// before.
    pub(crate) fn delivered(
        &mut self,
        line: u64,
        result: &Result<Acknowledgement, DeliveryError>,
    ) -> Option<String> {
        match result {
            Ok(_) => {
                self.acknowledged += 1;
                None
            }
            Err(error) => {
                self.failed += 1;
                self.possibly_written += u64::from(error.possibly_written());
                (self.failed <= FAILURES_TOLD_MAX).then(|| format!("{line}: {error}"))
            }
        }
    }

    /// Records that were sent and of which nothing is known.
    pub(crate) fn pending(&self) -> u64 {
        self.sent - self.acknowledged - self.failed
    }

    /// Whether every line became an acknowledged record.
    pub(crate) fn is_complete(&self) -> bool {
        self.acknowledged == self.sent && self.refused == 0
    }

    /// One line: `3 of 4 records acknowledged in 0.1 s; 1 failed (it may have been written)`.
    pub(crate) fn summary(&self, took: Duration) -> String {
        let Self { sent, acknowledged, failed, possibly_written, refused } = self;
        let of = if acknowledged == sent { String::new() } else { format!(" of {sent}") };
        let records = if *sent == 1 { "record" } else { "records" };
        let mut text = format!("{acknowledged}{of} {records} acknowledged in {:.2} s", took.as_secs_f64());
        if *failed > 0 {
            text += &format!("; {failed} failed");
            if *possibly_written > 0 {
                text += &format!(" ({possibly_written} of them may have been written)");
            }
        }
        if self.pending() > 0 {
            text += &format!("; {} not known, they may have been written", self.pending());
        }
        if *refused > 0 {
            let lines = if *refused == 1 { "line" } else { "lines" };
            text += &format!("; {refused} {lines} not sent");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_tells_only_what_happened() {
        let took = Duration::from_millis(120);
        let summary = |outcome: Outcome| outcome.summary(took);
        assert_eq!(
            summary(Outcome { sent: 1, acknowledged: 1, ..Default::default() }),
            "1 record acknowledged in 0.12 s"
        );
        let outcome = Outcome { sent: 9, acknowledged: 5, failed: 3, possibly_written: 2, refused: 1 };
        assert!(!outcome.is_complete());
        assert_eq!(
            summary(outcome),
            "5 of 9 records acknowledged in 0.12 s; 3 failed (2 of them may have been written); \
             1 not known, they may have been written; 1 line not sent"
        );
    }

    #[test]
    fn a_refused_line_makes_the_outcome_incomplete() {
        let done = Outcome { sent: 2, acknowledged: 2, ..Default::default() };
        assert!(done.is_complete());
        assert!(!Outcome { refused: 1, ..done }.is_complete());
    }
}
