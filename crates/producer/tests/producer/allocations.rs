//! What `send` allocates: nothing per record, a little per batch.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use milena_broker::{Cluster, TopicSpec};
use milena_producer::{Codec, Compression, Delivery, ProducerConfig, Record, TopicProducer};

use crate::support::*;

/// Batches that take more than is sent here, and stay open.
fn roomy(config: &mut ProducerConfig) {
    config.batch_size = 1 << 20;
    config.max_request_size = 1 << 20;
    (config.linger, config.delivery_timeout) = (secs(100), secs(200));
}

/// The result of a future that does not have to wait.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

/// How many of 200 sends into an open batch allocate.
async fn allocating_sends(topic: &TopicProducer, record: fn() -> Record<'static>) -> usize {
    let mut deliveries: Vec<Delivery> = Vec::with_capacity(200);
    drop(topic.send(record()).await.expect("accepted"));
    let mut allocates = || {
        let send = measure(|| deliveries.push(at_once(topic.send(record())).expect("accepted")));
        send.count_total > 0
    };
    (0..200).filter(|_| allocates()).count()
}

#[tokio::test(start_paused = true)]
async fn a_send_into_an_open_batch_allocates_nothing() {
    patiently(async {
        let world = World::start_with(|cluster| cluster, roomy).await;
        let topic = world.producer.topic(TOPIC).await.expect("known");
        type MakeRecord = fn() -> Record<'static>;
        let cases: [(&str, MakeRecord); 4] = [
            ("a value", || Record::new().value("some value")),
            ("key and value", || Record::new().key("some key").value("some value")),
            ("a partition", || Record::new().partition(0).key("some key")),
            ("six headers", || {
                let names = ["a", "b", "c", "d", "e", "f"];
                names
                    .into_iter()
                    .fold(Record::new().key("k").value("v"), |record, name| record.header(name, "x"))
            }),
        ];
        for (case, record) in cases {
            // The batch's buffer doubles now and then.
            let allocating = allocating_sends(&topic, record).await;
            assert!(allocating <= 2, "{case}: {allocating}");
        }
        let by_name = measure(|| {
            for _ in 0..100 {
                drop(at_once(world.producer.send(Record::to(TOPIC).value("v"))).expect("accepted"));
            }
        });
        assert_eq!(by_name.count_total, 0, "looked up by the topic's name");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_is_awaited_allocates_for_its_batch_and_not_for_itself() {
    patiently(async {
        let world = World::start_with(|cluster| cluster, roomy).await;
        let topic = world.producer.topic(TOPIC).await.expect("known");
        let measured = async |records: usize| {
            let mut deliveries = Vec::with_capacity(records);
            for _ in 0..records {
                deliveries.push(topic.send(Record::new().value("v")).await.expect("accepted"));
            }
            world.producer.flush().await.expect("all went well");
            measure(|| {
                deliveries.into_iter().for_each(|delivery| drop(at_once(delivery).expect("acknowledged")))
            })
        };
        assert_eq!(measured(10).await.count_total, 0);
        assert_eq!(measured(1_000).await.count_total, 0);
    })
    .await;
}

/// The whole road, the broker in this process included: a batch costs, a record does not.
#[tokio::test(start_paused = true)]
async fn ten_times_the_records_in_a_batch_allocate_hardly_more() {
    let runtime_of = |records: usize| {
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
                .expect("it starts");
            runtime.block_on(async {
                let world = World::start_with(|cluster| cluster, roomy).await;
                let topic = world.producer.topic(TOPIC).await.expect("known");
                for _ in 0..20 {
                    for _ in 0..records {
                        drop(topic.send(Record::new().value("some value")).await.expect("accepted"));
                    }
                    world.producer.flush().await.expect("all went well");
                }
            });
        }
    };
    let count = |records| {
        let run = runtime_of(records);
        std::thread::spawn(move || measure(run).count_total).join().expect("no panic")
    };
    let (few, many) = (count(100), count(1_000));
    let per_record = (many - few) as f64 / (20.0 * 900.0);
    assert!(per_record < 0.05, "{few} and {many}: {per_record} allocations per record");
}

const BUFFER_BYTES: usize = 4 << 20;

/// What the heap holds while the broker hangs and the buffer is full, beyond what it held before.
async fn measure_full_buffer(configure: impl FnOnce(&mut ProducerConfig), value: &[u8]) -> i64 {
    let configure = |config: &mut ProducerConfig| {
        config.buffer_memory = BUFFER_BYTES;
        config.max_block = ms(100);
        configure(config);
    };
    let topic = TopicSpec::new(TOPIC).partitions(100);
    let world = World::start_with(|_| Cluster::builder().topic(topic), configure).await;
    let topic = world.producer.topic(TOPIC).await.expect("known");
    world.cluster.faults().freeze(1);
    let mut partitions = (0..100).cycle();
    let filled = measure(|| {
        for partition in &mut partitions {
            let send = topic.send(Record::new().partition(partition).value(value));
            let mut send = pin!(send);
            if send.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
                break;
            }
        }
    });
    filled.bytes_current
}

/// Promise P7: the budget counts what batches take, however many there are and however little is in them.
#[tokio::test(start_paused = true)]
async fn the_heap_holds_what_the_budget_says() {
    patiently(async {
        let small = measure_full_buffer(|_| {}, b"x").await;
        let large = measure_full_buffer(|_| {}, &[b'x'; 10_000]).await;
        let compressed =
            measure_full_buffer(|config| config.compression = Codec::from(Compression::Lz4), &[b'x'; 1_000])
                .await;
        for (case, held) in [("small", small), ("large", large), ("compressed", compressed)] {
            assert!(held < BUFFER_BYTES as i64 * 11 / 10, "{case} records: {held} bytes");
            assert!(held > BUFFER_BYTES as i64 / 2, "{case} records: {held} bytes");
        }
    })
    .await;
}
