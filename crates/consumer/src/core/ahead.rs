//! How far ahead of the application one broker is asked: as far as it takes to keep the application busy. Pure.
//!
//! What waits in memory makes nothing faster, and what does not fit into the processor's caches makes everything slower. So answers
//! are small at first. They double when the application has nothing left and waits for answers to begin: then longer ones
//! give it more to do until the next comes. Waiting for the rest of an answer that has begun does not count, since a longer
//! one would take longer.

use std::time::{Duration, Instant};

/// What an answer brings at first, and at least: enough that what a request and its answer cost does not matter, and it stays
/// in the caches of most processors.
pub(crate) const ANSWER_BYTES_MIN: usize = 1 << 20;
/// One answer is read while another waits and a third one comes.
const ANSWERS: usize = 3;
/// The application has waited for long if it was for more than one part in so many of the time that the fetch took.
const LONG_WAIT_PART: u32 = 4;
/// Long waits in a row after which answers become longer: once, a broker may just have had something else to do.
const LONG_WAITS: u32 = 3;
/// Answers in a row without a long wait after which they become smaller again.
const SMOOTH_ANSWERS: u32 = 64;

/// How far ahead one broker is asked.
#[derive(Debug)]
pub(crate) struct Ahead {
    answer_bytes: usize,
    answer_bytes_min: usize,
    /// Answers in a row for which the application waited long.
    awaited: u32,
    /// Answers in a row for which it did not.
    smooth: u32,
}

/// When a fetch was sent and when its answer came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) sent_at: Instant,
    /// When the answer began to come.
    pub(crate) first_byte_at: Instant,
    /// When all of it was there.
    pub(crate) received_at: Instant,
}

impl Ahead {
    /// `answer_bytes` is what an answer brings at first, and at least.
    pub(crate) fn new(answer_bytes: usize) -> Self {
        Self { answer_bytes, answer_bytes_min: answer_bytes, awaited: 0, smooth: 0 }
    }

    /// What one answer may bring.
    pub(crate) fn answer_bytes(&self) -> usize {
        self.answer_bytes
    }

    /// What may be on its way from the broker or wait for the application.
    pub(crate) fn bytes(&self) -> usize {
        self.answer_bytes.saturating_mul(ANSWERS)
    }

    /// An answer came that was about as long as it was allowed to be. The application has had nothing since `dry_since`, if it has
    /// nothing. Answers do not become longer than `longest` by it.
    pub(crate) fn handle_full_answer(&mut self, round: Round, dry_since: Option<Instant>, longest: usize) {
        let waited = dry_since.map_or(Duration::ZERO, |since| {
            round.first_byte_at.saturating_duration_since(since.max(round.sent_at))
        });
        let lasted = round.received_at.saturating_duration_since(round.sent_at);
        if waited > lasted / LONG_WAIT_PART {
            self.smooth = 0;
            self.awaited += 1;
            if self.awaited == LONG_WAITS {
                self.awaited = 0;
                let doubled = self.answer_bytes.saturating_mul(2).min(longest);
                self.answer_bytes = self.answer_bytes.max(doubled);
            }
        } else {
            self.awaited = 0;
            self.smooth += 1;
            if self.smooth == SMOOTH_ANSWERS {
                self.smooth = 0;
                self.answer_bytes = (self.answer_bytes / 2).max(self.answer_bytes_min);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A round that begins now, with the answer's first byte and its last so many milliseconds later.
    fn round(first_byte: u32, received: u32) -> Round {
        let sent_at = crate::testing::now();
        Round { sent_at, first_byte_at: sent_at + first_byte * MS, received_at: sent_at + received * MS }
    }

    /// Some answers, all of them this way.
    fn handle(ahead: &mut Ahead, answers: u32, round: Round, dry_since: Option<Instant>) {
        for _ in 0..answers {
            ahead.handle_full_answer(round, dry_since, 1 << 20);
        }
    }

    #[test]
    fn who_waits_for_answers_to_begin_gets_longer_ones() {
        let mut ahead = Ahead::new(1_000);
        let round = round(100, 101);
        for doublings in 1..5 {
            handle(&mut ahead, LONG_WAITS, round, Some(round.sent_at));
            assert_eq!(ahead.answer_bytes(), 1_000 << doublings);
        }
        assert_eq!(ahead.bytes(), 3 * ahead.answer_bytes());
    }

    #[test]
    fn other_limits_bound_answers_which_become_smaller_as_ever() {
        let mut ahead = Ahead::new(1_000);
        let round = round(100, 101);
        for _ in 0..5 * LONG_WAITS {
            ahead.handle_full_answer(round, Some(round.sent_at), 3_000);
        }
        assert_eq!(ahead.answer_bytes(), 3_000);
        for _ in 0..LONG_WAITS {
            ahead.handle_full_answer(round, Some(round.sent_at), 500);
        }
        assert_eq!(ahead.answer_bytes(), 3_000);
        for _ in 0..SMOOTH_ANSWERS {
            ahead.handle_full_answer(round, None, 500);
        }
        assert_eq!(ahead.answer_bytes(), 1_500);
    }

    #[test]
    fn a_broker_may_be_late_now_and_then() {
        let mut ahead = Ahead::new(1_000);
        let round = round(100, 101);
        for _ in 0..100 {
            handle(&mut ahead, LONG_WAITS - 1, round, Some(round.sent_at));
            handle(&mut ahead, 1, round, None);
        }
        assert_eq!(ahead.answer_bytes(), 1_000);
    }

    #[test]
    fn who_was_busy_until_answers_began_or_nearly_so_does_not() {
        let mut ahead = Ahead::new(1_000);
        let round = round(80, 200);
        handle(&mut ahead, LONG_WAITS, round, None);
        handle(&mut ahead, LONG_WAITS, round, Some(round.sent_at + 30 * MS));
        handle(&mut ahead, LONG_WAITS, round, Some(round.sent_at + 150 * MS));
        assert_eq!(ahead.answer_bytes(), 1_000);
        handle(&mut ahead, LONG_WAITS, round, Some(round.sent_at + 29 * MS));
        assert_eq!(ahead.answer_bytes(), 2_000);
    }

    #[test]
    fn waiting_from_before_the_fetch_counts_from_the_fetch_on() {
        let mut ahead = Ahead::new(1_000);
        let round = round(10, 100);
        handle(&mut ahead, LONG_WAITS, round, Some(round.sent_at - 1_000 * MS));
        assert_eq!(ahead.answer_bytes(), 1_000);
    }

    #[test]
    fn answers_become_smaller_again_when_nobody_has_waited_in_a_long_time() {
        let mut ahead = Ahead::new(1_000);
        let slow = round(100, 100);
        handle(&mut ahead, 2 * LONG_WAITS, slow, Some(slow.sent_at));
        handle(&mut ahead, SMOOTH_ANSWERS - 1, slow, None);
        assert_eq!(ahead.answer_bytes(), 4_000);
        handle(&mut ahead, 1, slow, None);
        assert_eq!(ahead.answer_bytes(), 2_000);
        handle(&mut ahead, 2 * SMOOTH_ANSWERS, slow, None);
        assert_eq!(ahead.answer_bytes(), 1_000, "and no smaller");
    }
}
