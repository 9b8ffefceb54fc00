//! The queue's rules one by one.

use std::time::{Duration, Instant};

use milena_client::Backoff;
use milena_protocol::ErrorCode;

use super::world::{seal, start};
use crate::core::outcome::Attempt;
use crate::core::queue::{
    Batch, BatchName, BatchSeries, Idle, PAUSE, QueueConfig, SendQueue, ToSend, Verdict,
};
use crate::core::sequencing::{NeedsProducerId, ProducerIdentity, Stamp};

const FIRST: ProducerIdentity = ProducerIdentity { producer_id: 7, producer_epoch: 0 };
const BACKOFF: Duration = Duration::from_millis(100);
const LEADER: i32 = 1;
const NEXT_LEADER: i32 = 2;

/// A queue of batches of one record each, and the time.
struct Setup {
    queue: SendQueue<()>,
    now: Instant,
    pushed: u64,
}

impl Setup {
    fn new(change: impl FnOnce(&mut QueueConfig)) -> Self {
        let mut config = QueueConfig {
            idempotent: true,
            in_flight_max: 5,
            retries_max: u32::MAX,
            retry_backoff: Backoff::new(BACKOFF, BACKOFF),
        };
        change(&mut config);
        Self { queue: SendQueue::new(config), now: start(), pushed: 0 }
    }

    /// A queue whose first batch is acknowledged.
    fn introduced() -> Self {
        let mut setup = Self::new(|_| {});
        setup.push(1);
        let first = setup.send();
        setup.queue.handle_written(first.name, setup.now).unwrap();
        setup
    }

    fn push(&mut self, batches: u64) {
        for _ in 0..batches {
            let deadline = self.now + Duration::from_secs(120);
            self.queue.push(Batch::new(self.pushed, seal(1), deadline, ()));
            self.pushed += 1;
        }
    }

    fn poll(&mut self) -> Result<ToSend, Idle> {
        self.queue.poll_send(self.now, LEADER, Some(FIRST))
    }

    fn send(&mut self) -> ToSend {
        self.poll().unwrap()
    }

    fn send_all(&mut self) -> Vec<ToSend> {
        std::iter::from_fn(|| self.poll().ok()).collect()
    }

    fn refuse(&mut self, name: BatchName, code: ErrorCode) -> Verdict<()> {
        self.queue.handle_failed(name, &Attempt::Refused(code), self.now, 0.5)
    }

    fn disconnect(&mut self, name: BatchName) {
        let attempt = Attempt::Disconnected { possibly_sent: true };
        assert!(matches!(self.queue.handle_failed(name, &attempt, self.now, 0.5), Verdict::Retry));
    }

    /// Sends a batch, loses the connection, and sends it again: the second attempt at what may be in the log.
    fn send_again(&mut self) -> ToSend {
        let sent = self.send();
        self.disconnect(sent.name);
        self.pass(BACKOFF);
        self.send()
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }
}

fn numbers(stamp: Option<Stamp>) -> (i16, i32) {
    let stamp = stamp.unwrap();
    (stamp.identity.producer_epoch, stamp.base_sequence)
}

fn firsts(sent: &[ToSend]) -> Vec<u64> {
    sent.iter().map(|to_send| to_send.name.first_record).collect()
}

#[test]
fn nothing_is_sent_without_a_producer_id() {
    let mut setup = Setup::new(|_| {});
    setup.push(1);
    let idle = setup.queue.poll_send(setup.now, LEADER, None).unwrap_err();
    assert_eq!(idle, Idle::NeedsProducerId(NeedsProducerId { exhausted: None }));
}

#[test]
fn the_first_batch_of_a_producer_goes_alone_and_then_five_are_in_flight() {
    let mut setup = Setup::new(|_| {});
    setup.push(9);
    let first = setup.send();
    assert_eq!(setup.poll().unwrap_err(), Idle::Waiting);
    setup.queue.handle_written(first.name, setup.now).unwrap();
    assert_eq!(firsts(&setup.send_all()), [1, 2, 3, 4, 5]);
}

#[test]
fn after_a_pause_one_batch_goes_alone_again() {
    let mut setup = Setup::introduced();
    setup.pass(PAUSE + Duration::from_millis(1));
    setup.push(2);
    let first = setup.send();
    assert_eq!(setup.poll().unwrap_err(), Idle::Waiting);
    setup.queue.handle_written(first.name, setup.now).unwrap();
    assert_eq!(numbers(setup.send().stamp), (0, 2));
}

#[test]
fn retry_keeps_base_sequence_and_place() {
    let mut setup = Setup::introduced();
    setup.push(3);
    let sent = setup.send_all();
    for to_send in &sent {
        setup.disconnect(to_send.name);
    }
    setup.pass(BACKOFF);
    let again = setup.send_all();
    assert_eq!(firsts(&again), [1, 2, 3]);
    assert_eq!(numbers(again[2].stamp), numbers(sent[2].stamp));
}

#[test]
fn a_batch_that_failed_behind_another_does_not_prolong_the_back_off() {
    let mut setup = Setup::introduced();
    setup.push(2);
    let sent = setup.send_all();
    setup.disconnect(sent[0].name);
    let until = setup.now + BACKOFF;
    setup.pass(BACKOFF / 2);
    setup.disconnect(sent[1].name);
    assert_eq!(setup.poll().unwrap_err(), Idle::Backoff(until));
}

#[test]
fn a_new_leader_gets_at_once_and_in_order_what_the_old_one_had_in_flight() {
    let mut setup = Setup::introduced();
    setup.push(3);
    let old = setup.send_all();
    setup.push(1);
    setup.disconnect(old[0].name);
    setup.queue.handle_new_leader();
    let mut sent = Vec::new();
    while let Ok(to_send) = setup.queue.poll_send(setup.now, NEXT_LEADER, Some(FIRST)) {
        sent.push(to_send);
    }
    assert_eq!(firsts(&sent), [1, 2, 3], "and nothing new before that is known");
    assert!(
        setup.queue.handle_written(old[1].name, setup.now).is_none(),
        "the old leader is not listened to"
    );
    assert!(setup.queue.handle_written(sent[1].name, setup.now).is_some());
}

#[test]
fn without_idempotence_a_new_leader_waits_for_the_answers_of_the_old_one() {
    let mut setup = Setup::new(|config| config.idempotent = false);
    setup.push(2);
    let first = setup.send();
    let to_next = |setup: &mut Setup| setup.queue.poll_send(setup.now, NEXT_LEADER, None);
    assert_eq!(to_next(&mut setup).unwrap_err(), Idle::Waiting);
    setup.queue.handle_written(first.name, setup.now).unwrap();
    assert_eq!(to_next(&mut setup).unwrap().name.first_record, 1);
}

#[test]
fn nothing_new_is_sent_while_a_possibly_written_batch_is_unresolved() {
    let mut setup = Setup::introduced();
    setup.push(9);
    let sent = setup.send_all();
    assert!(matches!(setup.refuse(sent[0].name, ErrorCode::RequestTimedOut), Verdict::Retry));
    for to_send in &sent[1..] {
        setup.queue.handle_written(to_send.name, setup.now).unwrap();
    }
    setup.pass(BACKOFF);
    let again = setup.send_all();
    assert_eq!(firsts(&again), [1], "five more would make the broker forget it");
    setup.queue.handle_written(again[0].name, setup.now).unwrap();
    assert_eq!(firsts(&setup.send_all()), [6, 7, 8, 9]);
}

#[test]
fn what_follows_a_failed_batch_is_renumbered_in_the_next_epoch() {
    let mut setup = Setup::introduced();
    setup.push(3);
    let sent = setup.send_all();
    assert!(matches!(setup.refuse(sent[0].name, ErrorCode::InvalidRecord), Verdict::Fail(_)));
    for to_send in &sent[1..] {
        let verdict = setup.refuse(to_send.name, ErrorCode::OutOfOrderSequenceNumber);
        assert!(matches!(verdict, Verdict::Retry));
    }
    setup.pass(BACKOFF);
    let next = setup.send();
    assert_eq!((next.name.first_record, numbers(next.stamp)), (2, (1, 0)));
}

#[test]
fn what_comes_out_of_order_behind_a_refused_batch_stays_in_the_epoch() {
    let mut setup = Setup::introduced();
    setup.push(2);
    let sent = setup.send_all();
    setup.refuse(sent[0].name, ErrorCode::NotEnoughReplicas);
    setup.refuse(sent[1].name, ErrorCode::OutOfOrderSequenceNumber);
    setup.pass(BACKOFF);
    let again: Vec<_> = setup.send_all().iter().map(|to_send| numbers(to_send.stamp)).collect();
    assert_eq!(again, [(0, 1), (0, 2)]);
}

#[test]
fn out_of_order_proves_nothing_while_a_predecessor_is_on_its_way() {
    let mut setup = Setup::introduced();
    setup.push(1);
    setup.pass(Duration::from_secs(50));
    setup.push(1);
    for to_send in setup.send_all() {
        setup.refuse(to_send.name, ErrorCode::RequestTimedOut);
    }
    setup.pass(BACKOFF);
    let again = setup.send_all();
    setup.refuse(again[0].name, ErrorCode::NotLeaderOrFollower);
    setup.refuse(again[1].name, ErrorCode::OutOfOrderSequenceNumber);
    setup.pass(Duration::from_secs(70));
    assert_eq!(setup.queue.expire(setup.now).len(), 1);
    // It may have come after the first.
    let last = setup.send();
    assert_eq!(numbers(last.stamp), (0, 2));
    setup.refuse(last.name, ErrorCode::OutOfOrderSequenceNumber);
    setup.pass(BACKOFF);
    assert_eq!(numbers(setup.send().stamp), (1, 0));
}

#[test]
fn what_was_answered_is_disproved_by_the_lack_of_its_predecessor() {
    let mut setup = Setup::introduced();
    setup.push(1);
    let sent = setup.send();
    setup.refuse(sent.name, ErrorCode::RequestTimedOut);
    setup.pass(BACKOFF);
    let again = setup.send();
    assert!(matches!(setup.refuse(again.name, ErrorCode::OutOfOrderSequenceNumber), Verdict::Retry));
    setup.pass(Duration::from_secs(1_000));
    let expired = setup.queue.expire(setup.now);
    assert_eq!(expired.iter().map(Batch::is_possibly_written).collect::<Vec<_>>(), [false]);
}

#[test]
fn what_was_not_answered_never_gets_other_numbers() {
    let mut setup = Setup::introduced();
    setup.push(1);
    // The network still has the first request, and the one before it.
    let again = setup.send_again();
    match setup.refuse(again.name, ErrorCode::OutOfOrderSequenceNumber) {
        Verdict::Fail(batch) => assert!(batch.is_possibly_written()),
        other => panic!("{other:?}"),
    }
    setup.push(1);
    assert_eq!(numbers(setup.send().stamp), (1, 0));
}

#[test]
fn what_was_not_answered_waits_for_the_predecessor_that_comes_again() {
    let mut setup = Setup::introduced();
    setup.push(2);
    let sent = setup.send_all();
    setup.refuse(sent[0].name, ErrorCode::NotEnoughReplicas);
    setup.disconnect(sent[1].name);
    setup.pass(BACKOFF);
    let again = setup.send_all();
    setup.refuse(again[0].name, ErrorCode::NotEnoughReplicas);
    assert!(matches!(setup.refuse(again[1].name, ErrorCode::OutOfOrderSequenceNumber), Verdict::Retry));
    setup.pass(BACKOFF);
    let third: Vec<_> = setup.send_all().iter().map(|to_send| numbers(to_send.stamp)).collect();
    assert_eq!(third, [(0, 1), (0, 2)]);
}

#[test]
fn a_gap_that_nothing_fills_is_closed_by_the_next_epoch_and_is_not_fatal() {
    let mut setup = Setup::introduced();
    setup.push(1);
    let sent = setup.send();
    // An unclean election has lost what was acknowledged.
    assert!(matches!(setup.refuse(sent.name, ErrorCode::OutOfOrderSequenceNumber), Verdict::Retry));
    setup.pass(BACKOFF);
    assert_eq!(numbers(setup.send().stamp), (1, 0));
}

#[test]
fn a_repetition_that_the_broker_recognises_is_written() {
    let mut setup = Setup::introduced();
    setup.push(1);
    let again = setup.send_again();
    let verdict = setup.refuse(again.name, ErrorCode::DuplicateSequenceNumber);
    assert!(matches!(verdict, Verdict::AlreadyWritten(_)));
}

#[test]
fn a_batch_that_cannot_be_in_the_log_is_not_taken_for_a_repetition() {
    let mut setup = Setup::introduced();
    setup.push(1);
    let sent = setup.send();
    assert!(matches!(setup.refuse(sent.name, ErrorCode::DuplicateSequenceNumber), Verdict::Retry));
    setup.pass(BACKOFF);
    assert_eq!(numbers(setup.send().stamp), (1, 0));
}

#[test]
fn a_forgotten_producer_repeats_only_what_is_certainly_not_written() {
    let mut setup = Setup::introduced();
    setup.push(2);
    let sent = setup.send_all();
    setup.disconnect(sent[0].name);
    setup.refuse(sent[1].name, ErrorCode::UnknownProducerId);
    setup.pass(BACKOFF);
    let again = setup.send();
    assert_eq!(again.name.first_record, 1);
    match setup.refuse(again.name, ErrorCode::UnknownProducerId) {
        Verdict::Fail(batch) => assert!(batch.is_possibly_written()),
        other => panic!("{other:?}"),
    }
    setup.pass(BACKOFF);
    let next = setup.send();
    assert_eq!((next.name.first_record, numbers(next.stamp)), (2, (1, 0)));
}

#[test]
fn a_topic_that_is_created_anew_gets_a_new_epoch() {
    let mut setup = Setup::introduced();
    setup.queue.handle_new_log();
    setup.push(1);
    assert_eq!(numbers(setup.send().stamp), (1, 0));
}

#[test]
fn pieces_take_the_place_and_the_numbers_of_the_whole() {
    let mut setup = Setup::introduced();
    setup.queue.push(Batch::new(1, seal(3), setup.now + Duration::from_secs(120), ()));
    setup.queue.push(Batch::new(4, seal(1), setup.now + Duration::from_secs(120), ()));
    let sent = setup.send_all();
    let Verdict::Split(_) = setup.refuse(sent[0].name, ErrorCode::MessageTooLarge) else { panic!() };
    let whole = setup.queue.take_refused(sent[0].name).unwrap();
    setup.queue.insert_pieces(BatchSeries::from(&whole), [(seal(2), ()), (seal(1), ())]);
    setup.refuse(sent[1].name, ErrorCode::OutOfOrderSequenceNumber);
    setup.pass(BACKOFF);
    let again = setup.send_all();
    let seen: Vec<_> = again.iter().map(|to| (to.name.first_record, numbers(to.stamp).1)).collect();
    assert_eq!(seen, [(1, 1), (3, 3), (4, 4)]);
    assert!(
        setup.queue.handle_written(sent[0].name, setup.now).is_none(),
        "a name of the whole names no piece"
    );
}

#[test]
fn a_batch_that_is_being_split_stays_in_its_place_and_is_certainly_not_written() {
    let split = || {
        let mut setup = Setup::introduced();
        setup.queue.push(Batch::new(1, seal(3), setup.now + Duration::from_secs(120), ()));
        let sent = setup.send();
        assert!(matches!(setup.refuse(sent.name, ErrorCode::MessageTooLarge), Verdict::Split(_)));
        (setup, sent)
    };
    let (mut setup, sent) = split();
    setup.pass(Duration::from_secs(120));
    let expired = setup.queue.expire(setup.now);
    assert!(!expired[0].is_possibly_written());
    assert!(setup.queue.take_refused(sent.name).is_none(), "it is gone, and so are its pieces");

    // A new leader gets it whole, and may refuse it, too.
    let (mut setup, sent) = split();
    let again = setup.queue.poll_send(setup.now, NEXT_LEADER, Some(FIRST)).unwrap();
    assert_eq!(again.stamp, sent.stamp);
    assert!(setup.queue.take_refused(sent.name).is_none());
    assert!(matches!(setup.refuse(again.name, ErrorCode::MessageTooLarge), Verdict::Split(_)));

    let (mut setup, sent) = split();
    assert!(!setup.queue.give_up_refused(sent.name).unwrap().is_possibly_written());
    setup.push(1);
    assert_eq!(numbers(setup.send().stamp), (1, 0), "its numbers left a gap");
}

#[test]
fn what_may_be_in_the_log_whole_is_not_split() {
    let mut setup = Setup::introduced();
    setup.queue.push(Batch::new(1, seal(3), setup.now + Duration::from_secs(120), ()));
    let again = setup.send_again();
    match setup.refuse(again.name, ErrorCode::MessageTooLarge) {
        Verdict::Fail(batch) => assert!(batch.is_possibly_written()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_batch_fails_when_its_retries_or_its_time_are_used_up() {
    let mut setup = Setup::new(|config| config.retries_max = 1);
    setup.push(1);
    let first = setup.send();
    assert!(matches!(setup.refuse(first.name, ErrorCode::NotEnoughReplicas), Verdict::Retry));
    setup.pass(BACKOFF);
    let second = setup.send();
    match setup.refuse(second.name, ErrorCode::NotEnoughReplicas) {
        Verdict::Fail(batch) => {
            assert_eq!((batch.attempts(), batch.is_possibly_written()), (2, false));
            assert_eq!(batch.last_attempt(), Some(&Attempt::Refused(ErrorCode::NotEnoughReplicas)));
        }
        other => panic!("{other:?}"),
    }
    setup.push(2);
    let sent = setup.send();
    setup.pass(Duration::from_secs(120));
    let expired = setup.queue.expire(setup.now);
    let seen: Vec<_> =
        expired.iter().map(|batch| (batch.first_record, batch.is_possibly_written())).collect();
    assert_eq!(seen, [(1, true), (2, false)]);
    assert!(matches!(setup.refuse(sent.name, ErrorCode::NotEnoughReplicas), Verdict::Stale));
    assert!(setup.queue.is_empty());
    setup.push(1);
    assert_eq!(numbers(setup.send().stamp), (numbers(sent.stamp).0 + 1, 0), "they left a gap");
}

#[test]
fn errors_of_the_whole_producer_are_fatal() {
    let mut setup = Setup::introduced();
    setup.push(1);
    let sent = setup.send();
    assert!(matches!(setup.refuse(sent.name, ErrorCode::ClusterAuthorizationFailed), Verdict::Fatal(_)));
}
