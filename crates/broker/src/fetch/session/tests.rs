use super::*;
use bytes::Bytes;
use milena_protocol::Records;

fn key(partition: i32) -> FetchKey {
    FetchKey { topic: "t".into(), topic_id: Uuid::ZERO, partition }
}

fn at(fetch_offset: i64) -> FetchPosition {
    FetchPosition { fetch_offset, max_bytes: 1, current_leader_epoch: -1, last_fetched_epoch: -1 }
}

fn request(session_id: i32, session_epoch: i32, partitions: &[(i32, i64)]) -> SessionRequest {
    let partitions = partitions.iter().map(|&(partition, offset)| (key(partition), at(offset))).collect();
    SessionRequest { session_id, session_epoch, uses_topic_ids: false, partitions, forgotten: Vec::new() }
}

/// A partition's answer: high watermark, and how many bytes of records.
fn fetched(answers: &[(i32, i64, usize)]) -> Vec<(FetchKey, PartitionData)> {
    let answer = |&(partition, high_watermark, bytes): &(i32, i64, usize)| {
        let records = Some(Records::from(Bytes::from(vec![0; bytes])));
        let data =
            PartitionData { partition_index: partition, high_watermark, records, ..Default::default() };
        (key(partition), data)
    };
    answers.iter().map(answer).collect()
}

fn partitions(answer: &(ErrorCode, i32, Vec<(FetchKey, PartitionData)>)) -> Vec<i32> {
    answer.2.iter().map(|(key, _)| key.partition).collect()
}

fn asked(context: &FetchContext) -> Vec<(i32, i64)> {
    context.partitions().iter().map(|(key, at)| (key.partition, at.fetch_offset)).collect()
}

fn sessions(max: usize) -> FetchSessions {
    FetchSessions::new(max, Rng::from_seed(1))
}

/// A session over partitions 0, 1 and 2, each with high watermark 5.
fn open(sessions: &mut FetchSessions, now_ms: i64) -> i32 {
    let context = sessions.begin(request(0, 0, &[(0, 0), (1, 0), (2, 0)]), now_ms);
    let answer = sessions.finish(context, fetched(&[(0, 5, 0), (1, 5, 0), (2, 5, 0)]), now_ms);
    assert_eq!((answer.0, partitions(&answer)), (ErrorCode::None, vec![0, 1, 2]));
    assert_ne!(answer.1, NO_SESSION);
    answer.1
}

#[test]
fn an_incremental_fetch_asks_for_the_whole_session_and_answers_what_changed() {
    let mut sessions = sessions(10);
    let id = open(&mut sessions, 0);
    let context = sessions.begin(request(id, 1, &[(1, 7)]), 0);
    assert_eq!(asked(&context), [(0, 0), (1, 7), (2, 0)]);
    let answer = sessions.finish(context, fetched(&[(0, 5, 0), (1, 5, 10), (2, 6, 0)]), 0);
    assert_eq!((answer.0, answer.1, partitions(&answer)), (ErrorCode::None, id, vec![1, 2]));
}

#[test]
fn partitions_with_records_go_to_the_end_of_the_order() {
    let mut sessions = sessions(10);
    let id = open(&mut sessions, 0);
    let context = sessions.begin(request(id, 1, &[]), 0);
    sessions.finish(context, fetched(&[(0, 5, 1), (1, 5, 0), (2, 5, 0)]), 0);
    assert_eq!(asked(&sessions.begin(request(id, 2, &[]), 0)), [(1, 0), (2, 0), (0, 0)]);
}

#[test]
fn an_error_is_answered_and_so_is_the_recovery_from_it() {
    let mut sessions = sessions(10);
    let id = open(&mut sessions, 0);
    let context = sessions.begin(request(id, 1, &[]), 0);
    let mut failed = fetched(&[(1, 5, 0)]);
    failed[0].1.error_code = ErrorCode::NotLeaderOrFollower;
    assert_eq!(partitions(&sessions.finish(context, failed, 0)), [1]);
    let context = sessions.begin(request(id, 2, &[]), 0);
    let answer = sessions.finish(context, fetched(&[(0, 5, 0), (1, 5, 0)]), 0);
    assert_eq!(partitions(&answer), [1]);
}

#[test]
fn forgotten_partitions_leave_and_the_last_one_closes_the_session() {
    let mut sessions = sessions(10);
    let id = open(&mut sessions, 0);
    let forget = |epoch, forgotten: &[i32]| SessionRequest {
        forgotten: forgotten.iter().map(|partition| key(*partition)).collect(),
        ..request(id, epoch, &[])
    };
    assert_eq!(asked(&sessions.begin(forget(1, &[0]), 0)), [(1, 0), (2, 0)]);
    assert_eq!(sessions.begin(forget(2, &[1, 2]), 0), FetchContext::Sessionless(vec![]));
    assert_eq!(sessions.len(), 0);
}

#[test]
fn a_wrong_epoch_and_an_unknown_session_are_told_apart() {
    let mut sessions = sessions(10);
    let id = open(&mut sessions, 0);
    let error = |context: FetchContext| match context {
        FetchContext::Error(error) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(error(sessions.begin(request(id, 2, &[]), 0)), ErrorCode::InvalidFetchSessionEpoch);
    let other = if id == 1 { 2 } else { 1 };
    assert_eq!(error(sessions.begin(request(other, 1, &[]), 0)), ErrorCode::FetchSessionIdNotFound);
    let by_id = SessionRequest { uses_topic_ids: true, ..request(id, 1, &[]) };
    assert_eq!(error(sessions.begin(by_id, 0)), ErrorCode::FetchSessionTopicIdError);
}

#[test]
fn a_session_that_moved_on_while_fetching_is_an_invalid_epoch() {
    let mut sessions = sessions(10);
    let id = open(&mut sessions, 0);
    let slow = sessions.begin(request(id, 1, &[]), 0);
    sessions.begin(request(id, 2, &[]), 0);
    assert_eq!(sessions.finish(slow, fetched(&[(0, 9, 0)]), 0).0, ErrorCode::InvalidFetchSessionEpoch);
}

#[test]
fn epochs_minus_one_and_zero_close_the_session_they_name() {
    let mut sessions = sessions(10);
    let id = open(&mut sessions, 0);
    assert_eq!(asked(&sessions.begin(request(id, FINAL_EPOCH, &[(3, 1)]), 0)), [(3, 1)]);
    assert_eq!(sessions.len(), 0);
    let id = open(&mut sessions, 0);
    open(&mut sessions, 0);
    sessions.begin(request(id, INITIAL_EPOCH, &[]), 0);
    assert_eq!(sessions.len(), 1);
}

#[test]
fn the_epoch_after_the_greatest_is_one() {
    let mut sessions = sessions(10);
    let id = open(&mut sessions, 0);
    sessions.sessions.get_mut(&id).expect("open").session_epoch = i32::MAX;
    let context = sessions.begin(request(id, i32::MAX, &[]), 0);
    assert_eq!(sessions.finish(context, fetched(&[]), 0).0, ErrorCode::None);
    assert!(matches!(sessions.begin(request(id, 1, &[]), 0), FetchContext::Incremental { .. }));
}

#[test]
fn a_full_cache_evicts_stale_or_smaller_old_sessions_only() {
    let mut sessions = sessions(1);
    let first = open(&mut sessions, 0);
    let begin = |sessions: &mut FetchSessions, count: i32, now_ms| {
        let asked: Vec<_> = (0..count).map(|partition| (partition, 0)).collect();
        let context = sessions.begin(request(0, 0, &asked), now_ms);
        sessions.finish(context, Vec::new(), now_ms).1
    };
    assert_eq!(begin(&mut sessions, 9, EVICTABLE_AFTER_MS), NO_SESSION, "it is too young");
    sessions.begin(request(first, 1, &[]), EVICTABLE_AFTER_MS);
    assert_eq!(begin(&mut sessions, 3, EVICTABLE_AFTER_MS + 1), NO_SESSION, "it is in use and not smaller");
    assert_ne!(begin(&mut sessions, 4, EVICTABLE_AFTER_MS + 1), NO_SESSION, "it is old and smaller");
    assert_ne!(begin(&mut sessions, 1, 3 * EVICTABLE_AFTER_MS), NO_SESSION, "it is stale");
    assert_eq!(sessions.len(), 1);
}
