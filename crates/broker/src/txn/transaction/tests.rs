//! Each test names the method of `TransactionMetadata` that it holds to.

use super::*;

const NOW: i64 = 1_000;

fn no_id() -> i64 {
    panic!("no other producer id is needed")
}

fn initialised() -> Transaction {
    let mut transaction = Transaction::new(7, 100, NOW);
    transaction.initialise(100, None, NOW, no_id).expect("the first epoch");
    transaction
}

fn ongoing(level: Level) -> Transaction {
    let mut transaction = initialised();
    transaction.add_partitions([("t".into(), 0)], level, NOW);
    transaction
}

/// What a step makes of each state; the panics are ours to prevent, and the coordinator does.
#[test]
fn each_step_leads_where_the_diagram_says() {
    let complete = |outcome| {
        let mut transaction = ongoing(Level::EPOCH_BUMP);
        transaction.prepare(outcome, Level::EPOCH_BUMP, NOW, no_id);
        transaction.complete(NOW);
        transaction
    };
    let from =
        [initialised(), ongoing(Level::EPOCH_BUMP), complete(Outcome::Commit), complete(Outcome::Abort)];
    let mut table = String::new();
    for transaction in from {
        let after = |step: &dyn Fn(&mut Transaction)| {
            let mut transaction = transaction.clone();
            step(&mut transaction);
            transaction.state.name()
        };
        let steps = [
            after(&|it| it.add_partitions([("u".into(), 1)], Level::EPOCH_BUMP, NOW)),
            after(&|it| it.prepare(Outcome::Commit, Level::EPOCH_BUMP, NOW, no_id)),
            after(&|it| it.prepare(Outcome::Abort, Level::EPOCH_BUMP, NOW, no_id)),
            after(&|it| it.fence(Level::EPOCH_BUMP, NOW, no_id)),
            after(&|it| it.complete(NOW)),
            after(&|it| it.initialise(100, None, NOW, no_id).expect("an epoch is left")),
        ];
        table += &format!("{:<14} -> {}\n", transaction.state.name(), steps.join(" "));
    }
    assert_eq!(
        table,
        "Empty          -> Ongoing PrepareCommit PrepareAbort PrepareAbort Empty Empty\n\
         Ongoing        -> Ongoing PrepareCommit PrepareAbort PrepareAbort Ongoing Empty\n\
         CompleteCommit -> Ongoing PrepareCommit PrepareAbort PrepareAbort CompleteCommit Empty\n\
         CompleteAbort  -> Ongoing PrepareCommit PrepareAbort PrepareAbort CompleteAbort Empty\n"
    );
}

#[test]
fn each_client_gets_the_next_epoch() {
    let mut transaction = Transaction::new(7, 100, NOW);
    for epoch in 0..3 {
        transaction.initialise(100, None, NOW, no_id).expect("an epoch is left");
        assert_eq!(transaction.producer, Producer { id: 7, epoch });
    }
}

#[test]
fn a_client_that_says_its_epoch_goes_on_and_may_repeat_that() {
    let mut transaction = initialised();
    transaction.initialise(100, Some(0), NOW, no_id).expect("its own epoch");
    assert_eq!(transaction.producer.epoch, 1);
    transaction.initialise(100, Some(0), NOW, no_id).expect("repeated");
    assert_eq!(transaction.producer.epoch, 1);
    transaction.initialise(100, Some(1), NOW, no_id).expect("its own epoch");
    assert_eq!(transaction.initialise(100, Some(0), NOW, no_id), Err(ErrorCode::ProducerFenced));
    transaction.initialise(100, None, NOW, no_id).expect("another client");
    assert_eq!(transaction.initialise(100, Some(2), NOW, no_id), Err(ErrorCode::ProducerFenced));
}

#[test]
fn used_up_epochs_lead_to_another_id() {
    let mut transaction = initialised();
    transaction.producer.epoch = i16::MAX - 1;
    assert_eq!(transaction.clone().initialise(100, Some(3), NOW, no_id), Err(ErrorCode::UnknownServerError));
    let used_up = transaction.producer;
    transaction.initialise(100, Some(i16::MAX - 1), NOW, || 8).expect("another id");
    assert_eq!(transaction.producer, Producer { id: 8, epoch: 0 });
    assert!(transaction.may_continue(used_up), "its answer may have been lost");
    assert!(!transaction.may_continue(Producer { id: 7, epoch: 3 }));
}

#[test]
fn an_end_bumps_the_epoch_by_version_2_and_keeps_it_before() {
    for (level, epoch) in [(Level::ORIGINAL, 0), (Level(1), 0), (Level::EPOCH_BUMP, 1)] {
        let mut transaction = ongoing(level);
        transaction.prepare(Outcome::Commit, level, NOW, no_id);
        assert_eq!(transaction.producer, Producer { id: 7, epoch }, "{level:?}");
        transaction.complete(NOW);
        assert_eq!(transaction.producer, Producer { id: 7, epoch }, "{level:?}");
    }
}

#[test]
fn the_last_epoch_is_only_for_markers() {
    let mut transaction = ongoing(Level::EPOCH_BUMP);
    transaction.producer.epoch = i16::MAX - 1;
    let before = transaction.producer;
    transaction.prepare(Outcome::Commit, Level::EPOCH_BUMP, NOW, || 8);
    assert_eq!(transaction.producer, Producer { id: 7, epoch: i16::MAX });
    assert_eq!(transaction.producer_after_end(), Producer { id: 8, epoch: 0 });
    transaction.complete(NOW);
    assert_eq!(transaction.producer, Producer { id: 8, epoch: 0 });
    assert!(transaction.is_repeated_end(before));
}

#[test]
fn a_fence_bumps_the_epoch_whatever_the_version() {
    for level in [Level::ORIGINAL, Level(1), Level::EPOCH_BUMP] {
        let mut transaction = ongoing(level);
        transaction.fence(level, NOW, no_id);
        assert_eq!((transaction.producer.epoch, transaction.state), (1, State::Prepare(Outcome::Abort)));
    }
}

#[test]
fn the_time_of_a_transaction_begins_with_its_first_partition() {
    let mut transaction = initialised();
    assert_eq!(transaction.started_ms, -1);
    transaction.add_partitions([("t".into(), 0)], Level::ORIGINAL, 1_500);
    transaction.add_partitions([("t".into(), 1)], Level::ORIGINAL, 1_600);
    assert_eq!(transaction.started_ms, 1_500);
    assert!(!transaction.is_timed_out(1_600) && transaction.is_timed_out(1_601));
    transaction.prepare(Outcome::Commit, Level::ORIGINAL, 1_700, no_id);
    assert!(!transaction.is_timed_out(9_000), "the outcome is decided");
}

#[test]
fn only_what_is_idle_expires() {
    assert!(!ongoing(Level::ORIGINAL).is_expired(i64::MAX, 10));
    let idle = initialised();
    assert!(!idle.is_expired(NOW + 9, 10) && idle.is_expired(NOW + 10, 10));
}
