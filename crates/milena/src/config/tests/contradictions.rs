//! What does not go together.

use super::*;

fn producer_refuses<'a>(given: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    resolved(given).producer().unwrap_err().to_string()
}

fn consumer_refuses<'a>(given: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    resolved(given).consumer().unwrap_err().to_string()
}

#[test]
fn idempotence_that_was_asked_for_needs_all_acks_and_retries() {
    assert_eq!(
        producer_refuses([("enable.idempotence", "true"), ("acks", "1"), ("retries", "0")]),
        "`enable.idempotence` is true, which needs `acks` to be all; change one of them\n\
         `enable.idempotence` is true, which needs `retries` to be above 0; change one of them"
    );
}

#[test]
fn idempotence_that_was_not_asked_for_gives_way_with_a_warning() {
    let producer = resolved([("acks", "1"), ("max.in.flight", "10")]).producer().unwrap();
    assert!(!producer.enable_idempotence);
    assert_eq!(
        warned(&producer.warnings),
        ["`acks` turns idempotence off, which needs it to be all: retries may repeat records"]
    );
}

#[test]
fn idempotence_allows_five_in_flight() {
    assert!(
        producer_refuses([("max.in.flight", "6")])
            .contains("allows at most 5; lower it, or set enable.idempotence=false")
    );
    assert!(resolved([("max.in.flight", "5")]).producer().is_ok());
    assert!(resolved([("max.in.flight", "6"), ("enable.idempotence", "false")]).producer().is_ok());
}

#[test]
fn the_delivery_timeout_covers_linger_and_a_request() {
    assert_eq!(
        producer_refuses([("delivery.timeout.ms", "29999")]),
        "`delivery.timeout.ms` is 29999, less than `linger.ms` and `request.timeout.ms` together (30005); raise it, \
         or lower them"
    );
    let raised = resolved([("request.timeout.ms", "200000")]).producer().unwrap();
    assert_eq!(raised.delivery_timeout, Duration::from_millis(200_005));
    assert_eq!(raised.warnings.len(), 1);
}

#[test]
fn transactions_need_idempotence_and_two_phases_no_timeout() {
    assert!(producer_refuses([("transactional.id", "t"), ("acks", "1")]).contains("needs idempotence"));
    let two_phases = [("transaction.two.phase.commit.enable", "true"), ("transaction.timeout.ms", "1000")];
    assert!(producer_refuses(two_phases).contains("do not expire"));
    assert!(resolved([("transactional.id", "t")]).producer().is_ok());
}

#[test]
fn a_level_must_be_one_of_the_codec() {
    let level = |codec, name, level| resolved([("compression.type", codec), (name, level)]).producer();
    assert_eq!(level("lz4", "compression.level", "12").unwrap().compression.level(), Some(12));
    assert_eq!(level("zstd", "compression.level", "-1").unwrap().compression.level(), None);
    assert_eq!(
        level("zstd", "compression.gzip.level", "9").unwrap().compression.level(),
        None,
        "of another codec"
    );
    assert!(
        level("gzip", "compression.level", "12").unwrap_err().to_string().contains("`compression.level`: ")
    );
    assert_eq!(level("snappy", "compression.level", "3").unwrap().warnings.len(), 1);
    let both = [("compression.type", "lz4"), ("compression.level", "3"), ("compression.lz4.level", "4")];
    assert!(producer_refuses(both).contains("keep one of them"));
}

#[test]
fn ignoring_keys_excludes_a_partitioner_by_key() {
    let both = [("partitioner.ignore.keys", "true"), ("partitioner", "murmur2")];
    assert!(producer_refuses(both).contains("default partitioner only"));
    let ignoring = resolved([("partitioner.ignore.keys", "true")]).producer().unwrap();
    assert!(matches!(ignoring.partitioning, Partitioning::IgnoreKeys));
}

#[test]
fn automatic_commits_need_a_group() {
    assert!(consumer_refuses([("enable.auto.commit", "true")]).contains("without `group.id`"));
    assert!(resolved([("group.id", "g")]).consumer().unwrap().enable_auto_commit);
}

#[test]
fn heartbeats_are_more_frequent_than_the_session_timeout() {
    assert!(
        consumer_refuses([("session.timeout.ms", "3000")])
            .contains("must be less than `session.timeout.ms` (3000)")
    );
}

#[test]
fn each_group_protocol_has_its_own_properties() {
    let new_protocol = [("group.protocol", "consumer"), ("session.timeout.ms", "1000")];
    assert!(consumer_refuses(new_protocol).contains("`session.timeout.ms` is decided by the broker"));
    assert_eq!(
        consumer_refuses([("group.remote.assignor", "uniform")]),
        "`group.remote.assignor` needs group.protocol=consumer"
    );
    assert!(
        resolved([("group.protocol", "consumer"), ("group.remote.assignor", "uniform")]).consumer().is_ok()
    );
}

#[test]
fn one_file_serves_a_producer_and_a_consumer() {
    let client = resolved([("acks", "all"), ("group.id", "g"), ("linger.ms", "1"), ("fetch.min.bytes", "2")]);
    assert!(client.producer().is_ok() && client.consumer().is_ok() && client.admin().is_ok());
    // What contradicts itself in one does not concern the other.
    let producers_trouble = resolved([("enable.idempotence", "true"), ("acks", "0")]);
    assert!(producers_trouble.consumer().is_ok());
}

#[test]
fn there_is_one_way_into_the_cluster() {
    let client = resolved([("bootstrap.servers", "a:1"), ("bootstrap.controllers", "b:1")]);
    assert!(client.admin().unwrap_err().to_string().contains("two ways into the cluster"));
    assert_eq!(resolved([("bootstrap.controllers", "b:1")]).admin().unwrap().bootstrap_controllers.len(), 1);
}

#[test]
fn back_offs_follow_javas_rules() {
    let common = resolved([("reconnect.backoff.ms", "2000")]).common().unwrap();
    assert_eq!(common.reconnect_backoff.max, Duration::from_secs(2));
    assert_eq!(common.warnings.len(), 1);
    let common = resolved([("retry.backoff.ms", "5000")]).common().unwrap();
    assert_eq!(
        warned(&common.warnings),
        ["`retry.backoff.ms` is above retry.backoff.max.ms: it will be 1000 ms from the beginning"]
    );
    assert_eq!(resolved([("connections.max.idle.ms", "-1")]).common().unwrap().connections_max_idle, None);
}
