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
        let verdict = self.states.check(&batch, Verified::No)?;
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
    assert_eq!(model.states.check(&other, Verified::No), Ok(Verdict::Append));
}

#[test]
fn a_transactional_batch_without_a_transaction_is_refused() {
    let model = Model::new();
    let batch = BatchHeader { attributes: 0x10, ..Model::header(0, 0, 1) };
    let refused = ProducerError::NoOngoingTransaction { producer_id: PRODUCER };
    assert_eq!(model.states.check(&batch, Verified::No), Err(refused));
}

fn transactional(producer_epoch: i16, base_sequence: i32) -> BatchHeader {
    BatchHeader { attributes: 0x10, ..Model::header(producer_epoch, base_sequence, 1) }
}

fn marker(producer_epoch: i16, transaction_version: i16) -> EndMarker {
    EndMarker {
        producer_id: PRODUCER,
        producer_epoch,
        is_commit: true,
        coordinator_epoch: 3,
        transaction_version,
    }
}

impl Model {
    /// Offers a transactional batch whose partition was verified.
    fn offer_verified(&mut self, producer_epoch: i16, base_sequence: i32) -> Result<Verdict, ProducerError> {
        let mut batch = transactional(producer_epoch, base_sequence);
        let guard = self.states.begin_verification(&batch, true, 0)?;
        let verdict = self.states.check(&batch, guard.map_or(Verified::No, Verified::By))?;
        batch.base_offset = self.next_offset;
        self.next_offset += 1;
        self.states.note(&batch);
        Ok(verdict)
    }

    fn write_marker(&mut self, marker: &EndMarker) -> Result<Option<EndedTransaction>, ProducerError> {
        self.states.check_marker(marker)?;
        self.next_offset += 1;
        Ok(self.states.note_marker(marker, self.next_offset - 1, 1_000))
    }
}

/// `UnifiedLog.hasOngoingTransaction`
#[test]
fn an_open_transaction_needs_no_verification_until_its_marker() {
    let mut model = Model::new();
    assert_eq!(model.offer_verified(0, 0), Ok(Verdict::Append));
    assert_eq!(model.states.begin_verification(&transactional(0, 1), true, 0), Ok(None));
    assert_eq!(model.states.check(&transactional(0, 1), Verified::No), Ok(Verdict::Append));
    let ended = model.write_marker(&marker(1, 2)).expect("the next epoch");
    assert_eq!(ended, Some(EndedTransaction { first_offset: 0, last_stable_offset: 2 }));
    let refused = Err(ProducerError::NoOngoingTransaction { producer_id: PRODUCER });
    assert_eq!(model.states.check(&transactional(1, 0), Verified::No), refused);
}

/// `VerificationGuard`
#[test]
fn a_guard_does_not_outlive_the_transaction_that_it_was_for() {
    let mut model = Model::new();
    let batch = transactional(0, 0);
    let guard = model.states.begin_verification(&batch, false, 0).expect("not fenced").expect("not open");
    model.write_marker(&marker(0, 0)).expect("the same epoch");
    let refused = Err(ProducerError::NoOngoingTransaction { producer_id: PRODUCER });
    assert_eq!(model.states.check(&batch, Verified::By(guard)), refused);
    let next = model.states.begin_verification(&batch, false, 0).expect("not fenced").expect("not open");
    assert_eq!(model.states.check(&batch, Verified::By(next)), Ok(Verdict::Append));
}

/// `UnifiedLog.updateProducers`
#[test]
fn the_next_transaction_may_be_verified_before_the_marker_of_the_last_comes() {
    let mut model = Model::new();
    model.offer_verified(0, 0).expect("begun");
    let next = transactional(1, 0);
    let guard = model.states.begin_verification(&next, true, 0).expect("not fenced").expect("not open");
    model.write_marker(&marker(1, 2)).expect("the next epoch");
    assert_eq!(model.states.check(&next, Verified::By(guard)), Ok(Verdict::Append));
}

/// `ProducerAppendInfo.checkSequence`
#[test]
fn the_first_batch_of_a_transaction_has_the_lowest_sequence_that_was_seen() {
    let mut model = Model::new();
    let later = transactional(0, 4);
    let guard = model.states.begin_verification(&later, false, 0).expect("not fenced").expect("not open");
    let first = transactional(0, 2);
    assert_eq!(model.states.begin_verification(&first, false, 0), Ok(Some(guard)));
    assert_eq!(model.states.check(&later, Verified::By(guard)), out_of_order(-1, 4));
    assert_eq!(model.states.check(&first, Verified::By(guard)), Ok(Verdict::Append));
}

/// `ProducerAppendInfo.checkSequence`
#[test]
fn with_an_epoch_bump_an_unknown_producer_begins_at_zero() {
    let mut model = Model::new();
    assert_eq!(model.offer_verified(0, 5), out_of_order(-1, 5));
    assert_eq!(model.offer_verified(0, 0), Ok(Verdict::Append));
}

/// `ProducerAppendInfo.appendDataBatch`
#[test]
fn an_open_transaction_takes_no_other_batches_of_its_producer() {
    let mut model = Model::new();
    model.offer_verified(0, 0).expect("begun");
    let refused = Err(ProducerError::OutsideTransaction { producer_id: PRODUCER });
    assert_eq!(model.offer(0, 1, 1), refused);
}

/// `ProducerAppendInfo.checkProducerEpoch`
#[test]
fn markers_fence_by_epoch_and_a_repeated_one_is_harmless() {
    let fenced =
        |current, given| ProducerError::InvalidProducerEpoch { producer_id: PRODUCER, current, given };
    let mut model = Model::new();
    model.offer_verified(4, 0).expect("begun");
    assert_eq!(model.write_marker(&marker(3, 0)), Err(fenced(4, 3)));
    assert_eq!(
        model.write_marker(&marker(4, 2)),
        Err(fenced(4, 4)),
        "a late marker of the transaction before"
    );
    assert!(model.write_marker(&marker(5, 2)).is_ok_and(|ended| ended.is_some()));
    assert_eq!(model.write_marker(&marker(5, 2)), Ok(None), "repeated");
    assert_eq!(model.offer_verified(4, 1), Err(fenced(5, 4)));
    let zombie = EndMarker { coordinator_epoch: 2, ..marker(6, 2) };
    let refused = ProducerError::CoordinatorFenced { producer_id: PRODUCER, current: 3, given: 2 };
    assert_eq!(model.write_marker(&zombie), Err(refused));
}

/// `ProducerStateEntry.update`
#[test]
fn a_marker_of_the_same_epoch_keeps_the_sequence_and_one_of_the_next_begins_at_zero() {
    let mut model = Model::new();
    model.offer_verified(0, 0).expect("begun");
    model.write_marker(&marker(0, 0)).expect("the same epoch");
    assert_eq!(duplicate_at(model.states.check(&transactional(0, 0), Verified::No)), Some(0));
    assert_eq!(model.offer_verified(0, 1), Ok(Verdict::Append));
    model.write_marker(&marker(1, 2)).expect("the next epoch");
    assert_eq!(model.offer_verified(1, 1), out_of_order(-1, 1));
    assert_eq!(model.offer_verified(1, 0), Ok(Verdict::Append));
}

/// `ProducerStateManager.isProducerExpired`
#[test]
fn a_producer_whose_transaction_is_open_does_not_expire() {
    let mut model = Model::new();
    model.offer_verified(0, 0).expect("begun");
    model.states.expire(i64::MAX, 10);
    assert_eq!((model.states.iter().count(), model.states.first_open_offset()), (1, Some(0)));
    model.write_marker(&marker(1, 2)).expect("the next epoch");
    model.states.expire(i64::MAX, 10);
    assert_eq!((model.states.iter().count(), model.states.first_open_offset()), (0, None));
}
