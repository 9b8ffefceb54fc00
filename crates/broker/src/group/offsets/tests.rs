use super::*;

fn at(offset: i64) -> CommittedOffset {
    CommittedOffset {
        offset,
        leader_epoch: -1,
        metadata: ByteStr::new(),
        topic_id: Uuid::ZERO,
        commit_timestamp_ms: 0,
        expire_timestamp_ms: None,
    }
}

fn commit(offsets: &mut Offsets, group: &str, partition: i32, offset: i64) {
    offsets.commit(&group.into(), &"t".into(), partition, at(offset));
}

fn commit_pending(offsets: &mut Offsets, producer: (i64, i16), partition: i32, offset: i64) {
    offsets
        .commit_pending(producer, &"g".into(), &"t".into(), partition, at(offset))
        .expect("a current producer epoch");
}

fn complete(offsets: &mut Offsets, producer_id: i64, end: TransactionEnd) {
    offsets.complete(producer_id, end, None, |_| true);
}

fn committed(offsets: &Offsets, partition: i32) -> Option<i64> {
    offsets.get("g", "t", partition).map(|committed| committed.offset)
}

#[test]
fn an_offset_is_the_last_one_committed() {
    let mut offsets = Offsets::default();
    commit(&mut offsets, "g", 0, 5);
    commit(&mut offsets, "g", 0, 3);
    commit(&mut offsets, "other", 0, 9);
    assert_eq!((committed(&offsets, 0), committed(&offsets, 1)), (Some(3), None));
    assert_eq!(offsets.of_group("g").count(), 1);
}

#[test]
fn a_pending_offset_shows_when_its_transaction_commits() {
    let mut offsets = Offsets::default();
    commit_pending(&mut offsets, (7, 0), 0, 5);
    assert_eq!(committed(&offsets, 0), None);
    assert!(offsets.is_pending("g", "t", 0) && offsets.has_pending("g"));
    assert!(!offsets.is_pending("g", "t", 1) && !offsets.has_pending("f") && !offsets.has_pending("h"));
    complete(&mut offsets, 7, TransactionEnd::Commit);
    assert_eq!(committed(&offsets, 0), Some(5));
    assert!(!offsets.has_pending("g"));
}

#[test]
fn a_pending_offset_is_dropped_when_its_transaction_aborts() {
    let mut offsets = Offsets::default();
    commit(&mut offsets, "g", 0, 1);
    commit_pending(&mut offsets, (7, 0), 0, 5);
    complete(&mut offsets, 7, TransactionEnd::Abort);
    complete(&mut offsets, 7, TransactionEnd::Commit);
    assert_eq!((committed(&offsets, 0), offsets.has_pending("g")), (Some(1), false));
}

#[test]
fn an_offset_committed_after_a_pending_one_stays() {
    let mut offsets = Offsets::default();
    commit_pending(&mut offsets, (7, 0), 0, 5);
    commit(&mut offsets, "g", 0, 2);
    complete(&mut offsets, 7, TransactionEnd::Commit);
    assert_eq!(committed(&offsets, 0), Some(2));
}

#[test]
fn a_partition_is_pending_until_the_last_transaction_ends() {
    let mut offsets = Offsets::default();
    commit_pending(&mut offsets, (7, 0), 0, 5);
    commit_pending(&mut offsets, (8, 0), 0, 6);
    complete(&mut offsets, 8, TransactionEnd::Commit);
    assert!(offsets.is_pending("g", "t", 0));
    complete(&mut offsets, 7, TransactionEnd::Commit);
    assert_eq!((committed(&offsets, 0), offsets.is_pending("g", "t", 0)), (Some(6), false));
}

#[test]
fn a_transaction_ends_for_the_groups_that_are_meant_and_stays_open_for_others() {
    let mut offsets = Offsets::default();
    for group in ["g", "h"] {
        offsets.commit_pending((7, 0), &group.into(), &"t".into(), 0, at(5)).expect("a current epoch");
    }
    offsets.complete(7, TransactionEnd::Commit, None, |group| group == "g");
    assert_eq!((committed(&offsets, 0), offsets.get("h", "t", 0).is_some()), (Some(5), false));
    assert!(!offsets.has_pending("g") && offsets.has_pending("h"));
    offsets.complete(7, TransactionEnd::Abort, None, |group| group == "h");
    assert!(!offsets.has_pending("h") && offsets.get("h", "t", 0).is_none());
}

#[test]
fn an_older_producer_epoch_cannot_commit() {
    let mut offsets = Offsets::default();
    commit_pending(&mut offsets, (7, 3), 0, 5);
    let older = offsets.commit_pending((7, 2), &"g".into(), &"t".into(), 1, at(1));
    assert_eq!(older, Err(ErrorCode::InvalidProducerEpoch));
}

#[test]
fn a_deleted_offset_is_gone_pending_or_not() {
    let mut offsets = Offsets::default();
    commit(&mut offsets, "g", 0, 1);
    commit_pending(&mut offsets, (7, 0), 0, 5);
    assert!(offsets.delete("g", "t", 0));
    assert!(!offsets.delete("g", "t", 0));
    complete(&mut offsets, 7, TransactionEnd::Commit);
    assert_eq!(committed(&offsets, 0), None);
}

#[test]
fn a_deleted_group_leaves_nothing_and_others_stay() {
    let mut offsets = Offsets::default();
    commit(&mut offsets, "g", 0, 1);
    commit(&mut offsets, "gg", 0, 2);
    commit_pending(&mut offsets, (7, 0), 1, 5);
    offsets.delete_group("g");
    complete(&mut offsets, 7, TransactionEnd::Commit);
    assert_eq!((offsets.of_group("g").count(), offsets.of_group("gg").count()), (0, 1));
}

#[test]
fn offsets_go_with_their_topic_but_not_with_its_namesake() {
    let mut offsets = Offsets::default();
    let (old, new) = (Uuid([1; 16]), Uuid([2; 16]));
    offsets.commit(&"g".into(), &"t".into(), 0, CommittedOffset { topic_id: old, ..at(1) });
    offsets.commit(&"g".into(), &"t".into(), 1, CommittedOffset { topic_id: new, ..at(2) });
    commit_pending(&mut offsets, (7, 0), 2, 3);
    offsets.topic_deleted("t", old);
    complete(&mut offsets, 7, TransactionEnd::Commit);
    assert_eq!([0, 1, 2].map(|partition| committed(&offsets, partition)), [None, Some(2), None]);
}

#[test]
fn expiry_spares_what_a_transaction_is_about_to_replace() {
    let mut offsets = Offsets::default();
    commit(&mut offsets, "g", 0, 1);
    commit(&mut offsets, "g", 1, 2);
    commit_pending(&mut offsets, (7, 0), 1, 3);
    assert!(!offsets.expire("g", |_, _| true));
    assert_eq!((committed(&offsets, 0), committed(&offsets, 1)), (None, Some(2)));
    complete(&mut offsets, 7, TransactionEnd::Abort);
    assert!(!offsets.expire("g", |_, _| false));
    assert!(offsets.expire("g", |_, _| true));
}

#[test]
fn what_is_held_back_is_seen_when_it_is_let_go() {
    let mut offsets = Offsets::default();
    commit(&mut offsets, "g", 0, 5);
    commit_pending(&mut offsets, (7, 0), 1, 6);
    let hold = Some(Hold(0));
    offsets.begin_write("g", hold);
    commit(&mut offsets, "g", 0, 8);
    offsets.begin_write("g", hold);
    offsets.delete("g", "t", 0);
    offsets.complete(7, TransactionEnd::Commit, hold, |_| true);

    let seen = |offsets: &Offsets, partition, hold| {
        offsets.get_seen("g", "t", partition, hold).map(|committed| committed.offset)
    };
    assert_eq!(seen(&offsets, 0, hold), Some(5));
    assert_eq!(seen(&offsets, 1, hold), None, "the transaction's end is not seen yet");
    assert_eq!(offsets.seen_of_group("g", hold).map(|(_, partition, _)| partition).collect::<Vec<_>>(), [0]);
    for let_go in [None, Some(Hold(1))] {
        assert_eq!(seen(&offsets, 0, let_go), None);
        assert_eq!(seen(&offsets, 1, let_go), Some(6));
    }
    offsets.begin_write("g", Some(Hold(1)));
    commit(&mut offsets, "g", 0, 9);
    assert_eq!(seen(&offsets, 0, Some(Hold(1))), None, "as it was when this began");
}
