//! What went wrong with other clients, by the numbers of the list of the field's failures.

use milena_broker::{ApiKey, ErrorCode};
use milena_producer::{Delivery, DeliveryErrorKind, Record};

use crate::support::*;

/// Sends large records, each of one letter.
async fn send_letters(world: &World, letters: std::ops::RangeInclusive<u8>) -> Vec<Delivery> {
    let mut sent = Vec::new();
    for letter in letters {
        let value = vec![letter; 90_000];
        let record = Record::to(TOPIC).partition(0).value(&value);
        sent.push(world.producer.send(record).await.expect("accepted"));
    }
    sent
}

/// 1. KAFKA-19012: a batch that expires while the socket takes nothing is still on its way, and its buffer is not used again.
#[tokio::test(start_paused = true)]
async fn a_buffer_on_its_way_is_not_used_for_other_records() {
    patiently(async {
        let world = World::start_with(
            |cluster| cluster,
            |config| {
                config.linger = ms(0);
                config.batch_size = 100_000;
                config.max_request_size = 200_000;
                config.buffer_memory = 2_000_000;
                config.request_timeout = secs(5);
                config.delivery_timeout = secs(5);
            },
        )
        .await;
        world.send().await.await.expect("introduced");
        world.cluster.faults().stop_reading(1);
        // More than the stream holds: the last requests stay half written.
        let stalled = send_letters(&world, b'a'..=b'e').await;
        // They expire in the same moment in which their requests time out, or before.
        for result in results(stalled).await {
            let error = result.expect_err("nothing was taken");
            assert!(matches!(error.kind, DeliveryErrorKind::Timeout { .. }), "{error}");
        }
        let later = send_letters(&world, b'p'..=b't').await;
        world.cluster.faults().resume_reading(1);
        acks(later).await;
        // Whatever arrived is whole: the checksums hold, and each value is of one letter.
        for record in world.log(0).records().into_iter().skip(1) {
            let value = record.value.expect("a value");
            assert!(value.iter().all(|byte| *byte == value[0]), "mixed: {}", String::from_utf8_lossy(&value));
        }
    })
    .await;
}

/// 2. librdkafka 1.9: a topic that is missing from the metadata for a while keeps its sequence numbers.
#[tokio::test(start_paused = true)]
async fn a_topic_that_is_briefly_missing_keeps_its_sequence_numbers() {
    patiently(async {
        let world = World::start().await;
        let first = acks(world.send_batch(3).await).await;
        let hidden = world.cluster.faults().on(ApiKey::Metadata).topic(TOPIC).always().hide_topic();
        world.client.metadata().request_update();
        hidden.fired_times(3).await;
        let second = acks(world.send_batch(3).await).await;
        hidden.remove();
        world.client.metadata().request_update();
        let third = acks(world.send_batch(3).await).await;
        let all: Vec<_> = [first, second, third].iter().flat_map(|acks| offsets(acks)).collect();
        assert_eq!(all, (0..9).map(Some).collect::<Vec<_>>());
        assert_eq!(world.values(0), (0..9).collect::<Vec<_>>());
        let sequences: Vec<_> = world.log(0).batches.iter().map(|batch| batch.base_sequence).collect();
        assert_eq!(sequences, [0, 3, 6]);
    })
    .await;
}

/// 3. librdkafka#3584: an out-of-order sequence bumps the epoch, and the producer lives.
#[tokio::test(start_paused = true)]
async fn an_out_of_order_sequence_bumps_the_epoch_and_is_not_fatal() {
    patiently(async {
        let world = World::replicated().await;
        acks(world.send_batch(2).await).await;
        acks(world.send_batch(2).await).await;
        // An unclean election loses the second batch.
        world.cluster.faults().move_leader_and_lose_records(TOPIC, 0, 2, 2);
        acks(world.send_batch(2).await).await;
        acks(world.send_batch(2).await).await;
        assert_eq!(world.values(0), [0, 1, 4, 5, 6, 7]);
        let epochs: Vec<_> = world.log(0).batches.iter().map(|batch| batch.producer_epoch).collect();
        assert_eq!(epochs, [0, 1, 1]);
    })
    .await;
}

/// A request that was never answered may still be carried out: what it brought is not numbered anew when its predecessor is gone.
#[tokio::test(start_paused = true)]
async fn what_was_never_answered_fails_when_its_predecessor_is_lost() {
    patiently(async {
        let world = World::replicated().await;
        acks(world.send_batch(2).await).await;
        acks(world.send_batch(2).await).await;
        let cut = world.cluster.faults().on(ApiKey::Produce).close_before_work();
        world.cluster.faults().move_leader_and_lose_records(TOPIC, 0, 2, 2);
        let failed = world.send_batch(2).await;
        for delivery in failed {
            let error = delivery.await.expect_err("nobody can tell");
            assert!(matches!(error.kind, DeliveryErrorKind::PredecessorLost { .. }), "{error}");
            assert!(error.possibly_written() && error.is_retriable() && !error.is_fatal());
        }
        assert_eq!(cut.fired(), 1);
        acks(world.send_batch(2).await).await;
        assert_eq!(world.values(0), [0, 1, 6, 7]);
    })
    .await;
}

/// 4. librdkafka#4438: a possibly written batch is sent again under its own numbers, and a recognised repetition is a success.
#[tokio::test(start_paused = true)]
async fn a_possibly_written_batch_is_repeated_under_its_own_numbers() {
    patiently(async {
        let world = World::start().await;
        acks(world.send_batch(1).await).await;
        let lost = world.cluster.faults().on(ApiKey::Produce).lose_answer();
        let lost_acks = acks(world.send_batch(3).await).await;
        assert_eq!(lost.fired(), 1);
        assert_eq!(offsets(&lost_acks), [Some(1), Some(2), Some(3)]);
        // Kafka before 1.1 forgot the offset.
        world.cluster.faults().on(ApiKey::Produce).lose_answer();
        let duplicate = world
            .cluster
            .faults()
            .on(ApiKey::Produce)
            .skip(1)
            .partition(TOPIC, 0)
            .answer_with(ErrorCode::DuplicateSequenceNumber);
        let forgotten = acks(world.send_batch(2).await).await;
        assert_eq!(duplicate.fired(), 1);
        assert_eq!(offsets(&forgotten), [None, None]);
        acks(world.send_batch(1).await).await;
        assert_eq!(world.values(0), (0..7).collect::<Vec<_>>());
        let stamps: Vec<_> =
            world.log(0).batches.iter().map(|batch| (batch.producer_epoch, batch.base_sequence)).collect();
        assert_eq!(stamps, [(0, 0), (0, 1), (0, 4), (0, 6)]);
    })
    .await;
}

/// 5. librdkafka#4736: the record section of a retry is the same to the byte; only the header is stamped again.
#[tokio::test(start_paused = true)]
async fn a_renumbered_batch_has_the_same_records() {
    patiently(async {
        let world = World::start_with(
            |cluster| cluster,
            |config| config.compression = milena_producer::Codec::from(milena_producer::Compression::Lz4),
        )
        .await;
        acks(world.send_batch(1).await).await;
        // The second batch is out of order behind the first one, which is refused for good.
        let refused = world
            .cluster
            .faults()
            .on(ApiKey::Produce)
            .partition(TOPIC, 0)
            .answer_with(ErrorCode::InvalidTimestamp);
        let frozen = world.cluster.faults();
        frozen.freeze(1);
        let first = world.send_batch(1).await;
        let second = world.send_batch(50).await;
        frozen.unfreeze(1);
        let error = results(first).await.remove(0).expect_err("refused");
        assert!(!error.possibly_written());
        assert_eq!(refused.fired(), 1);
        acks(second).await;
        assert_eq!(world.values(0), [&[0][..], &(2..52).collect::<Vec<_>>()].concat());
        let last = &world.log(0).batches[1];
        assert_eq!((last.producer_epoch, last.base_sequence, last.compression), (1, 0, "lz4"));
    })
    .await;
}

/// 6. krafka 0.27: what follows a failed batch is acknowledged only if it is written.
#[tokio::test(start_paused = true)]
async fn what_is_acknowledged_behind_a_failed_batch_is_in_the_log() {
    patiently(async {
        let world = World::start().await;
        acks(world.send_batch(1).await).await;
        world
            .cluster
            .faults()
            .on(ApiKey::Produce)
            .skip(1)
            .times(1)
            .partition(TOPIC, 0)
            .answer_with(ErrorCode::InvalidRecord);
        world.cluster.faults().freeze(1);
        let mut sent = Vec::new();
        for _ in 0..4 {
            sent.extend(world.send_batch(2).await);
        }
        world.cluster.faults().unfreeze(1);
        let results = results(sent).await;
        let failed: Vec<_> = results.iter().map(Result::is_err).collect();
        assert_eq!(failed, [false, false, true, true, false, false, false, false]);
        assert_eq!(world.values(0), [0, 1, 2, 5, 6, 7, 8]);
        for (value, result) in (1..).zip(results) {
            let Ok(ack) = result else { continue };
            let offset = usize::try_from(ack.offset.expect("told")).expect("positive");
            assert_eq!(world.values(0)[offset], value, "acknowledged at its own offset");
        }
    })
    .await;
}

// 7. franz-go#226 (wrong numbers after the wrap) is held by the model of the queue, `core::queue::tests`.

/// 8. kacrab: every delivery is resolved by `delivery.timeout.ms`, whatever the outage.
#[tokio::test(start_paused = true)]
async fn a_total_outage_resolves_every_delivery_in_time() {
    patiently(async {
        let world = World::replicated_with(|config| {
            config.delivery_timeout = secs(40);
        })
        .await;
        acks(world.send_batch(1).await).await;
        let faults = world.cluster.faults();
        faults.freeze(1);
        let in_flight = world.send_batch(10).await;
        for node in 1..=3 {
            faults.kill_unnoticed(node).await;
        }
        let waiting = world.send_batch(10).await;
        let began = world.env().now();
        let in_flight = results(in_flight).await;
        let waiting = results(waiting).await;
        let took = world.env().now() - began;
        assert!(took <= secs(41), "{took:?}");
        for result in in_flight {
            let error = result.expect_err("nobody answers");
            assert!(error.possibly_written(), "{error}");
            assert!(error.to_string().contains("delivery.timeout.ms (40000 ms"), "{error}");
        }
        for result in waiting {
            let error = result.expect_err("nobody answers");
            assert!(!error.possibly_written(), "{error}");
            assert!(
                error.to_string().contains("cannot connect"),
                "the last attempt to connect is told: {error}"
            );
        }
        // And when they are back, so is the producer.
        for node in 1..=3 {
            faults.restart(node).await.expect("it starts");
        }
        let later = acks(world.send_batch(1).await).await;
        assert_eq!(later.len(), 1);
    })
    .await;
}

/// 9. vector#25375: a partition without a leader is asked about until it has one; what waits for it goes then.
#[tokio::test(start_paused = true)]
async fn no_leader_is_not_for_ever() {
    patiently(async {
        let world = World::replicated().await;
        acks(world.send_batch(1).await).await;
        assert!(world.cluster.faults().lose_leader(TOPIC, 0));
        world.client.metadata().request_update();
        world.pass(secs(10)).await;
        let waiting = world.send_batch(3).await;
        world.pass(secs(60)).await;
        assert!(waiting.iter().all(|delivery| delivery.try_result().is_none()));
        assert!(world.cluster.faults().move_leader(TOPIC, 0, 2));
        let began = world.env().now();
        acks(waiting).await;
        assert!(world.env().now() - began < secs(3), "{:?}", world.env().now() - began);
        assert_eq!(world.values(0), [0, 1, 2, 3]);
    })
    .await;
}

// 10, 11 and 12 (leader epochs that go back, REBOOTSTRAP_REQUIRED, old addresses) are in `moved`. 13 to 23 are of consumers.

/// 24. franz-go 1.21.4: an answer that nobody knows is no success.
#[tokio::test(start_paused = true)]
async fn an_unknown_error_is_no_success() {
    patiently(async {
        let world = World::start().await;
        for code in [ErrorCode::UnknownServerError, ErrorCode::Unknown(12_345)] {
            world.cluster.faults().on(ApiKey::Produce).answer_with(code);
            let error = results(world.send_batch(1).await).await.remove(0).expect_err("refused");
            assert_eq!(error.kind, DeliveryErrorKind::Broker { code, message: None });
            assert!(error.possibly_written(), "nobody knows where on its way it came up");
        }
        acks(world.send_batch(1).await).await;
    })
    .await;
}
