//! What becomes of deliveries: flush, close, drop, callbacks, interceptors, cancelled sends.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use milena_broker::{ApiKey, ErrorCode};
use milena_producer::{
    Acknowledgement, AddedHeaders, DeliveryError, DeliveryErrorKind, ProducerInterceptor, Record, SendError,
};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn an_incomplete_batch_goes_when_its_linger_is_over() {
    patiently(async {
        let world = World::start_with(|cluster| cluster, |config| config.linger = ms(500)).await;
        let began = world.env().now();
        let first = world.send().await;
        world.pass(ms(400)).await;
        let second = world.send().await;
        acks(vec![first, second]).await;
        let took = world.env().now() - began;
        assert!((ms(500)..ms(550)).contains(&took), "{took:?}");
        assert_eq!(world.log(0).batches.len(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_does_not_wait() {
    patiently(async {
        let configure = |config: &mut milena_producer::ProducerConfig| {
            config.linger = secs(60);
            config.batch_size = 300;
        };
        let world = World::start_with(|cluster| cluster, configure).await;
        let value = [b'x'; 100];
        let began = world.env().now();
        let mut sent = Vec::new();
        for _ in 0..5 {
            sent.push(world.producer.send(Record::to(TOPIC).value(&value)).await.expect("accepted"));
        }
        let last = sent.pop().expect("five");
        acks(sent).await;
        assert!(world.env().now() - began < secs(1));
        assert!(last.try_result().is_none(), "it lingers");
        assert_eq!(world.log(0).batches.len(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn flush_waits_for_everything_and_not_for_the_linger() {
    patiently(async {
        let world = World::start_with(
            |cluster| cluster,
            |config| (config.linger, config.delivery_timeout) = (secs(600), secs(1_000)),
        )
        .await;
        let deliveries = [world.send().await, world.send().await];
        let began = world.env().now();
        world.producer.flush().await.expect("all went well");
        assert!(world.env().now() - began < secs(1));
        assert!(deliveries.iter().all(|delivery| delivery.try_result().is_some()));
        world.producer.flush().await.expect("there is nothing to do");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn failures_whose_deliveries_were_dropped_are_counted_once() {
    patiently(async {
        let world = World::start().await;
        world.cluster.faults().on(ApiKey::Produce).times(1).answer_with(ErrorCode::InvalidRecord);
        let held = world.send().await;
        for _ in 0..4 {
            drop(world.send().await);
        }
        let error = world.producer.flush().await.expect_err("four failed unseen");
        assert_eq!(error.failed_records, 4);
        assert!(matches!(error.first.kind, DeliveryErrorKind::Broker { code: ErrorCode::InvalidRecord, .. }));
        held.await.expect_err("it failed, too");
        world.producer.flush().await.expect("it was told already");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn failures_of_held_deliveries_and_of_callbacks_are_told_there_only() {
    patiently(async {
        let world = World::start().await;
        world.cluster.faults().on(ApiKey::Produce).times(1).answer_with(ErrorCode::InvalidRecord);
        let held = world.send().await;
        let called = Arc::new(AtomicUsize::new(0));
        let seen = called.clone();
        world.send().await.on_completion(move |result| {
            assert!(result.is_err());
            seen.fetch_add(1, Ordering::Relaxed);
        });
        // A flush that is under way holds nothing.
        world.producer.flush().await.expect("nothing failed unseen");
        assert_eq!(called.load(Ordering::Relaxed), 1);
        held.await.expect_err("it failed");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn close_sends_what_is_left_and_refuses_what_comes_later() {
    patiently(async {
        let world = World::start_with(
            |cluster| cluster,
            |config| (config.linger, config.delivery_timeout) = (secs(600), secs(1_000)),
        )
        .await;
        let delivery = world.send().await;
        let other = world.producer.clone();
        let began = world.env().now();
        let producer = world.producer.clone();
        producer.close(secs(30)).await.expect("all went well");
        assert!(world.env().now() - began < secs(1));
        delivery.await.expect("it was sent");
        let refused = other.send(Record::to(TOPIC).value("late")).await.expect_err("closed");
        assert_eq!(refused, SendError::Closed);
        other.close(secs(1)).await.expect("closing twice does no harm");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn close_fails_what_its_deadline_cuts_off() {
    patiently(async {
        let world = World::start().await;
        acks(world.send_batch(1).await).await;
        world.cluster.faults().freeze(1);
        let in_flight = world.send_batch(1).await.remove(0);
        let lost = world.send_batch(2).await;
        drop(lost);
        let began = world.env().now();
        let producer = world.producer.clone();
        let error = producer.close(secs(3)).await.expect_err("two were cut off unseen");
        let took = world.env().now() - began;
        assert!((secs(3)..ms(3_100)).contains(&took), "{took:?}");
        assert_eq!((error.failed_records, error.first.kind), (2, DeliveryErrorKind::Closed));
        let error = in_flight.await.expect_err("cut off");
        assert!(error.possibly_written());
        assert_eq!(error.kind, DeliveryErrorKind::Closed);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn close_ends_sends_that_wait() {
    patiently(async {
        let configure = |config: &mut milena_producer::ProducerConfig| {
            config.buffer_memory = 20_000;
        };
        let world = World::start_with(|cluster| cluster, configure).await;
        acks(world.send_batch(1).await).await;
        world.cluster.faults().on(ApiKey::Metadata).topic("missing").always().hide_topic();
        world.cluster.faults().freeze(1);
        let value = [b'x'; 16_000];
        let held = world.producer.send(Record::to(TOPIC).value(&value)).await.expect("there is room for one");
        let for_metadata = world.producer.send(Record::to("missing").value("x"));
        let for_memory = world.producer.send(Record::to(TOPIC).value(&value));
        let closing = async {
            world.pass(secs(1)).await;
            world.producer.clone().close(secs(1)).await
        };
        let (for_metadata, for_memory, closed) = tokio::join!(for_metadata, for_memory, closing);
        assert_eq!(for_metadata.expect_err("closed"), SendError::Closed);
        assert_eq!(for_memory.expect_err("closed"), SendError::Closed);
        closed.expect("the delivery is held");
        held.await.expect_err("cut off");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_send_that_passed_the_door_before_it_closed_is_refused_or_resolved() {
    patiently(async {
        let configure = |config: &mut milena_producer::ProducerConfig| config.max_request_size = 10_000;
        let world = World::start_with(|cluster| cluster, configure).await;
        acks(world.send_batch(1).await).await;
        world.cluster.faults().freeze(1);
        let value = [b'x'; 9_000];
        let mut sent = Vec::new();
        // So much waits that a send yields before it appends.
        let mut yielding = loop {
            let producer = world.producer.clone();
            let mut send = Box::pin(async move { producer.send(Record::to(TOPIC).value(&value)).await });
            match std::future::poll_fn(|cx| std::task::Poll::Ready(send.as_mut().poll(cx))).await {
                std::task::Poll::Ready(delivery) => sent.push(delivery.expect("accepted")),
                std::task::Poll::Pending => break send,
            }
        };
        let _ = world.producer.clone().close(ms(1)).await;
        assert_eq!(yielding.as_mut().await.expect_err("closed"), SendError::Closed);
        for result in results(sent).await {
            assert_eq!(result.expect_err("cut off").kind, DeliveryErrorKind::Closed);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_is_dropped_resolves_its_deliveries() {
    patiently(async {
        let world = World::start().await;
        acks(world.send_batch(1).await).await;
        world.cluster.faults().freeze(1);
        let in_flight = world.send_batch(1).await.remove(0);
        let open = world.send().await;
        let World { cluster, client, producer, .. } = world;
        drop(producer);
        let error = in_flight.await.expect_err("nobody listens for the answer");
        assert!(error.possibly_written() && error.kind == DeliveryErrorKind::Closed);
        let error = open.await.expect_err("never sent");
        assert!(!error.possibly_written() && error.kind == DeliveryErrorKind::Closed);
        // Its connection is gone, only the client's own is left.
        cluster.faults().unfreeze(1);
        cluster.until(|cluster| cluster.connections(1) <= 1).await;
        drop(client);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_send_that_is_dropped_has_queued_nothing() {
    patiently(async {
        let configure = |config: &mut milena_producer::ProducerConfig| config.buffer_memory = 20_000;
        let world = World::start_with(|cluster| cluster, configure).await;
        let env = world.env().clone();
        // While it waits for metadata.
        let hidden = world.cluster.faults().on(ApiKey::Metadata).topic(TOPIC).always().hide_topic();
        let send = world.producer.send(Record::to(TOPIC).value("dropped"));
        assert!(env.timeout_at(env.now() + secs(5), send).await.is_none());
        hidden.remove();
        acks(world.send_batch(1).await).await;
        // While it waits for memory, as the first, and as the second.
        world.cluster.faults().freeze(1);
        let value = [b'1'; 16_000];
        let record = || Record::to(TOPIC).value(&value);
        let held = world.producer.send(record()).await.expect("there is room for one");
        let (first, second) = (world.producer.send(record()), world.producer.send(record()));
        let both = async { tokio::join!(env.timeout_at(env.now() + secs(2), first), second) };
        assert!(env.timeout_at(env.now() + secs(4), both).await.is_none());
        world.cluster.faults().unfreeze(1);
        held.await.expect("it was sent");
        acks(world.send_batch(1).await).await;
        world.producer.flush().await.expect("nothing is left");
        assert_eq!(world.log(0).log_end_offset, 3);
        assert_eq!(world.producer.buffer_available_bytes(), 20_000);
    })
    .await;
}

/// Adds a header, and notes what it is told.
#[derive(Default)]
struct Auditor {
    results: Mutex<Vec<bool>>,
}

impl ProducerInterceptor for Auditor {
    fn on_send(&self, record: &Record<'_>, headers: &mut AddedHeaders) {
        let _ = record;
        headers.push("audited", "yes");
    }

    fn on_acknowledgement(&self, result: &Result<Acknowledgement, DeliveryError>) {
        self.results.lock().expect("no panic").push(result.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn interceptors_see_every_record_and_its_end() {
    patiently(async {
        let auditor = Arc::new(Auditor::default());
        let world = World::start_with(
            |cluster| cluster,
            |config| {
                config.interceptors = vec![auditor.clone(), auditor.clone()];
            },
        )
        .await;
        acks(world.send_batch(1).await).await;
        world.cluster.faults().on(ApiKey::Produce).times(1).answer_with(ErrorCode::InvalidRecord);
        let own = world.producer.send(Record::to(TOPIC).header("own", "first").value("x")).await;
        drop(own.expect("accepted"));
        let _ = world.producer.flush().await;
        assert_eq!(*auditor.results.lock().expect("no panic"), [true, true, false, false]);
        let record = world.log(0).records().remove(0);
        let audited = (b"audited".to_vec(), Some(b"yes".to_vec()));
        assert_eq!(record.headers, [audited.clone(), audited]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn records_arrive_as_they_were_sent() {
    patiently(async {
        let world = World::start().await;
        let record =
            Record::to(TOPIC).key("k").timestamp_ms(123).header("a", "1").null_header("b").header("a", "");
        let ack = world.producer.send(record).await.expect("accepted").await.expect("acknowledged");
        assert_eq!((ack.topic(), ack.partition(), ack.offset, ack.timestamp_ms), (TOPIC, 0, Some(0), 123));
        let now = world.producer.send(Record::to(TOPIC).key("").value("")).await.expect("accepted");
        assert!(now.await.expect("acknowledged").timestamp_ms >= 1_700_000_000_000);
        let records = world.log(0).records();
        assert_eq!((records[0].key.as_deref(), records[0].value.as_deref()), (Some(&b"k"[..]), None));
        assert_eq!(
            (records[1].key.as_deref(), records[1].value.as_deref()),
            (Some(&b""[..]), Some(&b""[..]))
        );
        let headers: Vec<_> =
            records[0].headers.iter().map(|(key, value)| (&key[..], value.as_deref())).collect();
        assert_eq!(headers, [(&b"a"[..], Some(&b"1"[..])), (b"b", None), (b"a", Some(b""))]);
        let refused = world.producer.send(Record::to(TOPIC).timestamp_ms(-1)).await.expect_err("negative");
        assert!(matches!(refused, SendError::InvalidTimestamp { timestamp_ms: -1, .. }), "{refused}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_flush_tells_the_cause_and_not_that_another_record_had_one() {
    patiently(async {
        let topic = milena_broker::TopicSpec::new(TOPIC).config("cleanup.policy", "compact");
        let world = World::start_with(|_| milena_broker::Cluster::builder().topic(topic), |_| {}).await;
        for record in
            [Record::to(TOPIC).partition(0).key("k").value("1"), Record::to(TOPIC).partition(0).value("2")]
        {
            drop(world.producer.send(record).await.expect("accepted"));
        }
        let error = world.producer.flush().await.expect_err("both failed");
        assert_eq!(error.failed_records, 2);
        let kind = &error.first.kind;
        assert!(matches!(kind, DeliveryErrorKind::Broker { code: ErrorCode::InvalidRecord, .. }), "{error}");
    })
    .await;
}

/// Who sees the names of the topics that records go to.
#[derive(Default)]
struct Topics(Mutex<Vec<String>>);

impl ProducerInterceptor for Topics {
    fn on_send(&self, record: &Record<'_>, _: &mut AddedHeaders) {
        self.0.lock().expect("no panic").push(record.topic().to_owned());
    }
}

#[tokio::test(start_paused = true)]
async fn an_interceptor_sees_the_topic_of_a_record_that_goes_through_a_handle() {
    patiently(async {
        let topics = Arc::new(Topics::default());
        let intercept =
            |config: &mut milena_producer::ProducerConfig| config.interceptors = vec![topics.clone()];
        let world = World::start_with(|cluster| cluster, intercept).await;
        let handle = world.producer.topic(TOPIC).await.expect("known");
        acks(vec![handle.send(Record::new().value("x")).await.expect("accepted")]).await;
        assert_eq!(*topics.0.lock().expect("no panic"), [TOPIC]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_close_that_is_dropped_with_the_last_clone_fails_what_is_unsent() {
    patiently(async {
        let world = World::start_with(|cluster| cluster, |config| config.linger = secs(60)).await;
        world.cluster.faults().on(ApiKey::Produce).always().delay_work(secs(5));
        let delivery = world.send().await;
        let env = world.env().clone();
        let closing = world.producer.close(secs(60));
        assert!(env.timeout_at(env.now() + ms(100), closing).await.is_none());
        assert_eq!(delivery.await.expect_err("nobody sends it").kind, DeliveryErrorKind::Closed);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_record_is_told_apart_from_the_others_of_its_batch() {
    patiently(async {
        // Only records with a key: the topic is compacted.
        let topic = milena_broker::TopicSpec::new(TOPIC).config("cleanup.policy", "compact");
        let world = World::start_with(|_| milena_broker::Cluster::builder().topic(topic), |_| {}).await;
        let with_key = world.producer.send(Record::to(TOPIC).partition(0).key("k").value("1")).await;
        let without = world.producer.send(Record::to(TOPIC).partition(0).value("2")).await;
        let with_key = with_key.expect("accepted").await.expect_err("its batch was refused");
        let without = without.expect("accepted").await.expect_err("it was refused");
        assert_eq!(with_key.kind, DeliveryErrorKind::OtherRecordInvalid);
        assert!(with_key.is_retriable() && !with_key.possibly_written());
        assert!(
            matches!(without.kind, DeliveryErrorKind::Broker { code: ErrorCode::InvalidRecord, .. }),
            "{without}"
        );
        assert!(!without.is_retriable());
    })
    .await;
}
