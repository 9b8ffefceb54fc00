//! Each test names the rule of `ProducerAppendInfo` or `ProducerStateManager` that it holds to.

use super::*;

const PRODUCER: i64 = 9;

struct Model {
    states: ProducerStates,
    next_offset: i64,
}

impl Model {
    fn new() -> Self {
        Self { states: ProducerStates::default(), next_offset: 0 }
    }

    fn header(producer_epoch: i16, base_sequence: i32, count: i32) -> BatchHeader {
        BatchHeader {
            base_offset: 0,
            batch_length: 100,
            partition_leader_epoch: 0,
            magic: 2,
            crc: 0,
            attributes: 0,
            last_offset_delta: count - 1,
            base_timestamp: 1_000,
            max_timestamp: 1_000,
            producer_id: PRODUCER,
            producer_epoch,
            base_sequence,
            records_count: count,
        }
    }

    /// Offers a batch as a partition does: checked first, noted when it is appended.
    fn offer(
        &mut self,
        producer_epoch: i16,
        base_sequence: i32,
        count: i32,
    ) -> Result<Verdict, ProducerError> {
        let mut batch = Self::header(producer_epoch, base_sequence, count);
        let verdict = self.states.check(&batch)?;
        if verdict == Verdict::Append {
            batch.base_offset = self.next_offset;
            self.next_offset = batch.next_offset();
            self.states.note(&batch);
        }
        Ok(verdict)
    }

    fn append(&mut self, producer_epoch: i16, base_sequence: i32, count: i32) {
        assert_eq!(self.offer(producer_epoch, base_sequence, count), Ok(Verdict::Append));
    }
}

fn out_of_order(last: i32, given: i32) -> Result<Verdict, ProducerError> {
    Err(ProducerError::OutOfOrderSequence { producer_id: PRODUCER, last, given })
}

fn duplicate_at(result: Result<Verdict, ProducerError>) -> Option<i64> {
    match result {
        Ok(Verdict::Duplicate(batch)) => Some(batch.base_offset),
        _ => None,
    }
}

#[test]
fn an_unknown_producer_may_begin_with_any_sequence() {
    let mut model = Model::new();
    model.append(3, 17, 5);
    model.append(3, 22, 1);
}

#[test]
fn sequences_must_follow_without_a_gap() {
    let mut model = Model::new();
    model.append(0, 0, 10);
    assert_eq!(model.offer(0, 11, 1), out_of_order(9, 11));
    model.append(0, 10, 1);
}

#[test]
fn each_of_the_last_five_batches_is_recognised_and_the_sixth_is_not() {
    let mut model = Model::new();
    (0..6).for_each(|index| model.append(0, index * 3, 3));
    for index in 1..6 {
        assert_eq!(duplicate_at(model.offer(0, index * 3, 3)), Some(i64::from(index) * 3));
    }
    assert_eq!(model.offer(0, 0, 3), out_of_order(17, 0));
}

#[test]
fn a_duplicate_has_exactly_the_same_sequence_range() {
    let mut model = Model::new();
    model.append(0, 0, 3);
    assert_eq!(model.offer(0, 0, 2), out_of_order(2, 0));
    assert_eq!(model.offer(0, 0, 4), out_of_order(2, 0));
    assert_eq!(duplicate_at(model.offer(0, 0, 3)), Some(0));
}

#[test]
fn a_duplicate_of_an_older_epoch_is_fenced() {
    let mut model = Model::new();
    model.append(0, 0, 1);
    model.append(1, 0, 1);
    let fenced = ProducerError::InvalidProducerEpoch { producer_id: PRODUCER, current: 1, given: 0 };
    assert_eq!(model.offer(0, 0, 1), Err(fenced));
}

#[test]
fn a_new_epoch_begins_at_sequence_zero() {
    let mut model = Model::new();
    model.append(0, 0, 3);
    assert_eq!(model.offer(1, 3, 1), out_of_order(2, 3));
    model.append(1, 0, 1);
    model.append(1, 1, 1);
}

#[test]
fn an_epoch_may_be_skipped() {
    let mut model = Model::new();
    model.append(0, 0, 1);
    model.append(7, 0, 1);
}

#[test]
fn the_sequence_after_the_greatest_is_zero() {
    let mut model = Model::new();
    model.append(0, i32::MAX - 1, 2);
    assert_eq!(model.offer(0, 1, 1), out_of_order(i32::MAX, 1));
    model.append(0, 0, 4);
    assert_eq!(model.offer(0, 0, 1), out_of_order(3, 0));
}

#[test]
fn a_batch_may_wrap_in_its_middle_and_is_recognised_again() {
    let mut model = Model::new();
    model.append(0, i32::MAX - 1, 4);
    model.append(0, 2, 1);
    assert_eq!(duplicate_at(model.offer(0, i32::MAX - 1, 4)), Some(0));
}

#[test]
fn set_last_sequence_asks_for_the_next() {
    let mut model = Model::new();
    model.states.set_last_sequence(PRODUCER, 0, i32::MAX - 3);
    assert_eq!(model.offer(0, 0, 1), out_of_order(i32::MAX - 3, 0));
    model.append(0, i32::MAX - 2, 3);
    model.append(0, 0, 1);
}

#[test]
fn an_idle_producer_is_forgotten_at_its_expiry_and_not_before() {
    let mut model = Model::new();
    model.append(0, 0, 3);
    model.states.expire(1_000 + 499, 500);
    assert_eq!(model.offer(0, 7, 1), out_of_order(2, 7));
    model.states.expire(1_000 + 500, 500);
    model.append(0, 7, 1);
}

#[test]
fn producers_do_not_see_each_other() {
    let mut model = Model::new();
    model.append(0, 0, 3);
    let other = BatchHeader { producer_id: PRODUCER + 1, ..Model::header(0, 0, 3) };
    assert_eq!(model.states.check(&other), Ok(Verdict::Append));
}

#[test]
fn a_transactional_batch_without_a_transaction_is_refused() {
    let model = Model::new();
    let batch = BatchHeader { attributes: 0x10, ..Model::header(0, 0, 1) };
    let refused = ProducerError::NoOngoingTransaction { producer_id: PRODUCER };
    assert_eq!(model.states.check(&batch), Err(refused));
}
