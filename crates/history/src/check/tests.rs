//! Each check accepts a good history and catches a bad one.

use super::*;
use crate::event::{Entry, Isolation, Name, RecordId};

/// A history in the making: topic `t`, producer `p`, consumer `c`, final reader `final`.
struct Script {
    entries: Vec<Entry>,
    now_us: u64,
}

const SECOND: u64 = 1_000_000;

fn name(text: &str) -> Name {
    text.into()
}

impl Script {
    fn new() -> Self {
        let mut script = Self { entries: Vec::new(), now_us: 0 };
        script.push(Event::Meta {
            final_committed: Vec::new(),
            final_uncommitted: vec![name("final")],
            eos: Vec::new(),
            idempotent: true,
            partitions_added: false,
        });
        script.note(Note::Producer {
            client: name("p"),
            idempotent: true,
            pipelined: true,
            acknowledged: true,
            max_block_us: 2 * SECOND,
            delivery_timeout_us: 5 * SECOND,
            buffer_bytes: 100,
        })
    }

    fn push(&mut self, event: Event) {
        self.entries.push(Entry { at_us: self.now_us, event });
    }

    fn event(mut self, event: Event) -> Self {
        self.push(event);
        self
    }

    fn note(self, note: Note) -> Self {
        self.event(Event::Note(note))
    }

    fn wait(mut self, us: u64) -> Self {
        self.now_us += us;
        self
    }

    /// A send with `id` as its number, accepted at once.
    fn send(self, id: RecordId) -> Self {
        self.send_to(id, Some(0), None).admit(id, true)
    }

    fn send_to(self, id: RecordId, partition: Option<i32>, key: Option<&str>) -> Self {
        self.event(Event::Send {
            client: name("p"),
            id,
            topic: name("t"),
            seq: id,
            key: key.map(name),
            partition,
            txn: None,
            src: None,
        })
    }

    fn admit(self, id: RecordId, observed: bool) -> Self {
        self.note(Note::Admitted { client: name("p"), id, bytes: 40, observed })
    }

    fn ack(self, id: RecordId, offset: i64) -> Self {
        self.ack_in(id, 0, offset)
    }

    fn ack_in(self, id: RecordId, partition: i32, offset: i64) -> Self {
        self.event(Event::Ack { client: name("p"), id, topic: name("t"), partition, offset })
    }

    fn fail(self, id: RecordId, definite: bool) -> Self {
        self.event(Event::Fail { client: name("p"), id, error: "no".to_owned(), definite })
    }

    fn poll(self, client: &str, partition: i32, offset: i64, id: RecordId) -> Self {
        let isolation = Isolation::ReadUncommitted;
        let (client, topic) = (name(client), name("t"));
        self.event(Event::Poll { client, topic, partition, offset, id, isolation })
    }

    /// The final reader is shown these records of partition 0, from offset 0 on.
    fn log(self, ids: &[RecordId]) -> Self {
        (0..).zip(ids).fold(self, |script, (offset, id)| script.poll("final", 0, offset, *id))
    }

    fn seek(self, offset: i64) -> Self {
        self.event(Event::Seek { client: name("c"), topic: name("t"), partition: 0, offset })
    }

    fn flush_start(self) -> Self {
        self.note(Note::FlushStart { client: name("p") })
    }

    fn flushed(self, failed: u64) -> Self {
        self.note(Note::Flushed { client: name("p"), failed })
    }

    fn broken(self) -> Vec<Broken> {
        let violations = check(&History { entries: self.entries });
        violations.into_iter().map(|violation| violation.kind).collect()
    }
}

fn unordered() -> Note {
    Note::Producer {
        client: name("p"),
        idempotent: false,
        pipelined: true,
        acknowledged: true,
        max_block_us: 2 * SECOND,
        delivery_timeout_us: 5 * SECOND,
        buffer_bytes: 100,
    }
}

#[test]
fn a_run_in_which_all_is_well_is_accepted() {
    let script = Script::new()
        .send(1)
        .send(2)
        .wait(SECOND)
        .ack(1, 0)
        .ack(2, -1)
        .send(3)
        .fail(3, false)
        .flush_start()
        .flushed(0)
        .seek(0)
        .poll("c", 0, 0, 1)
        .poll("c", 0, 1, 2)
        .log(&[1, 2, 3]);
    assert_eq!(script.broken(), []);
}

#[test]
fn a_lost_write_is_caught() {
    assert_eq!(Script::new().send(1).ack(1, 0).send(2).ack(2, 1).log(&[1]).broken(), [Broken::LostWrite]);
}

#[test]
fn a_damaged_record_is_not_lost() {
    let damaged = Note::Unreadable { topic: name("t"), partition: 0, from: 1, to: 2 };
    let script = Script::new().send(1).ack(1, 0).send(2).ack(2, 1).note(damaged).log(&[1]);
    assert_eq!(script.broken(), []);
}

#[test]
fn what_may_have_been_in_a_partition_that_is_damaged_whole_is_not_lost_unnoticed() {
    let damaged = Note::Unreadable { topic: name("t"), partition: 1, from: 0, to: 5 };
    let script = Script::new().send(1).ack(1, 0).send_to(2, None, None).admit(2, false).note(damaged);
    assert_eq!(script.flush_start().flushed(0).log(&[1]).broken(), []);
}

#[test]
fn the_other_copy_of_a_damaged_record_is_not_at_a_wrong_offset() {
    let damaged = Note::Unreadable { topic: name("t"), partition: 0, from: 0, to: 1 };
    let script = Script::new().note(unordered()).send(1).ack(1, 0).note(damaged);
    assert_eq!(script.poll("final", 0, 7, 1).broken(), []);
}

#[test]
fn a_duplicate_is_caught_where_there_must_be_none() {
    assert_eq!(Script::new().send(1).ack(1, 0).log(&[1, 1]).broken(), [Broken::Duplicate]);
    assert_eq!(Script::new().note(unordered()).send(1).ack(1, 0).log(&[1, 1]).broken(), []);
}

#[test]
fn a_wrong_offset_is_caught() {
    let script = Script::new().send(1).send(2).ack(1, 1).ack(2, 0).log(&[1, 2]);
    assert_eq!(script.broken(), [Broken::WrongOffset, Broken::WrongOffset]);
}

#[test]
fn a_record_in_another_partition_than_asked_for_is_caught() {
    let script = Script::new().send(1).ack_in(1, 1, 0).poll("final", 1, 0, 1);
    assert_eq!(script.broken(), [Broken::WrongPlace]);
}

#[test]
fn a_record_that_nobody_sent_is_caught() {
    assert_eq!(Script::new().log(&[9]).broken(), [Broken::NobodySent]);
}

#[test]
fn a_definite_failure_in_the_log_is_caught_and_an_uncertain_one_is_not() {
    assert_eq!(Script::new().send(1).fail(1, true).log(&[1]).broken(), [Broken::FailedButWritten]);
    assert_eq!(Script::new().send(1).fail(1, false).log(&[1]).broken(), []);
}

#[test]
fn a_reorder_is_caught_where_order_is_promised() {
    let script = |script: Script| script.send(1).send(2).ack(1, 1).ack(2, 0).log(&[2, 1]);
    assert_eq!(script(Script::new()).broken(), [Broken::Reordered]);
    assert_eq!(script(Script::new().note(unordered())).broken(), []);
}

#[test]
fn a_key_that_moved_is_caught() {
    let script = |second: i32| {
        let script = Script::new().send_to(1, None, Some("k")).ack(1, 0).send_to(2, None, Some("k"));
        script.ack_in(2, second, 1).log(&[1]).poll("final", second, 1, 2)
    };
    assert_eq!(script(1).broken(), [Broken::KeyMoved]);
    assert_eq!(script(0).broken(), []);
}

#[test]
fn a_send_that_is_never_resolved_is_caught_unless_nobody_looks() {
    assert_eq!(Script::new().send(1).log(&[1]).broken(), [Broken::NeverResolved]);
    let unobserved = Script::new().send_to(1, None, None).admit(1, false).log(&[1]);
    assert_eq!(unobserved.broken(), []);
    let crashed = Script::new().send(1).event(Event::Crash { client: name("p") }).log(&[1]);
    assert_eq!(crashed.broken(), []);
}

#[test]
fn a_send_that_is_resolved_twice_is_caught() {
    assert_eq!(Script::new().send(1).ack(1, 0).fail(1, false).log(&[1]).broken(), [Broken::ResolvedTwice]);
}

#[test]
fn a_late_resolution_is_caught() {
    let after = |us: u64| Script::new().send(1).wait(us).ack(1, 0).log(&[1]).broken();
    assert_eq!(after(5 * SECOND), []);
    assert_eq!(after(6 * SECOND), [Broken::ResolvedLate]);
}

#[test]
fn a_late_admission_or_refusal_is_caught() {
    let script = || Script::new().send_to(1, None, None).wait(3 * SECOND);
    assert_eq!(script().admit(1, true).ack(1, 0).log(&[1]).broken(), [Broken::AdmittedLate]);
    assert_eq!(script().fail(1, true).log(&[]).broken(), [Broken::AdmittedLate]);
}

#[test]
fn a_position_that_goes_back_or_skips_is_caught() {
    let script = || Script::new().send(1).ack(1, 0).send(2).ack(2, 1).seek(0);
    let good = script().poll("c", 0, 0, 1).poll("c", 0, 1, 2).log(&[1, 2]);
    assert_eq!(good.broken(), []);
    let back = script().poll("c", 0, 0, 1).poll("c", 0, 0, 1).log(&[1, 2]);
    assert_eq!(back.broken(), [Broken::WentBack]);
    assert_eq!(script().poll("c", 0, 1, 2).log(&[1, 2]).broken(), [Broken::Skipped]);
    let sought = script().poll("c", 0, 0, 1).seek(-1).poll("c", 0, 0, 1).log(&[1, 2]);
    assert_eq!(sought.broken(), []);
}

#[test]
fn a_record_that_others_do_not_see_is_caught() {
    let script = || Script::new().send(1).ack(1, 0).send(2).ack(2, 1);
    assert_eq!(script().poll("c", 0, 0, 2).log(&[1, 2]).broken(), [Broken::WrongRecord]);
    assert_eq!(script().poll("c", 0, 7, 2).log(&[1, 2]).broken(), [Broken::WrongRecord]);
}

#[test]
fn more_bytes_than_allowed_are_caught() {
    let full = |us| {
        let script = Script::new().send(1).send(2).send(3).wait(us);
        script.ack(1, 0).ack(2, 1).ack(3, 2).log(&[1, 2, 3]).broken()
    };
    assert_eq!(full(1), [Broken::OverBudget]);
    assert_eq!(full(0), []);
    let in_turn = Script::new().send(1).send(2).ack(1, 0).send(3).ack(2, 1).ack(3, 2).log(&[1, 2, 3]);
    assert_eq!(in_turn.broken(), []);
    let gauge =
        |used| Script::new().note(Note::Gauge { what: "frames".to_owned(), used, limit: 10 }).broken();
    assert_eq!((gauge(10), gauge(11)), (vec![], vec![Broken::OverBudget]));
}

#[test]
fn a_partition_of_a_healthy_broker_that_is_held_up_is_caught() {
    let script = |ack_us: u64, poll_us: u64| {
        let bystanders = vec![(name("t"), 0)];
        let script = Script::new().note(Note::IsolationStart { bystanders, within_us: SECOND }).send(1);
        let script = script.wait(ack_us).ack(1, 0).wait(poll_us).poll("c", 0, 0, 1).wait(10 * SECOND);
        script.note(Note::IsolationEnd).log(&[1]).broken()
    };
    assert_eq!(script(SECOND, SECOND), []);
    assert_eq!(script(SECOND + 1, 0), [Broken::HeldUp]);
    assert_eq!(script(SECOND, SECOND + 1), [Broken::HeldUp]);
}

#[test]
fn a_flush_that_returns_early_is_caught() {
    let early = Script::new().send(1).flush_start().flushed(0).wait(1).ack(1, 0).log(&[1]);
    assert_eq!(early.broken(), [Broken::FlushedEarly]);
    let later = Script::new().flush_start().send(1).flushed(0).wait(1).ack(1, 0).log(&[1]);
    assert_eq!(later.broken(), []);
}

#[test]
fn a_failure_that_nobody_is_told_of_is_caught() {
    let script = |failed: u64| {
        let script = Script::new().send(1).ack(1, 0).send_to(2, None, None).admit(2, false);
        script.flush_start().flushed(failed).log(&[1]).broken()
    };
    assert_eq!(script(0), [Broken::LostUnnoticed]);
    assert_eq!(script(1), []);
}

#[test]
fn what_is_stuck_is_told() {
    assert_eq!(Script::new().note(Note::Stuck { what: "c".to_owned() }).broken(), [Broken::Stuck]);
}
