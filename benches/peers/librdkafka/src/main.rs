//! Measures librdkafka through the rdkafka crate: `BaseProducer` with a callback for deliveries and `BaseConsumer`, its cheapest ways; for
//! one record at a time, `FutureProducer`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use peer_common::{
    Args, Arrivals, BUFFER_BYTES, Event, FETCH_WAIT, Latencies, Meter, OneByOne, PARTITION_FETCH_BYTES, Pace,
    Peer, Result, SETTLING, pool,
};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, FutureProducer, FutureRecord, Producer, ProducerContext};
use rdkafka::util::Timeout;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

const CLIENT: &str = "librdkafka";
const POLL: Duration = Duration::from_millis(500);
/// Records between two calls that let callbacks run.
const SERVE_EVERY: usize = 256;

/// Counts what became of records.
#[derive(Default)]
struct Counts {
    acknowledged: AtomicUsize,
    failed: AtomicUsize,
}

impl ClientContext for Counts {}

impl ProducerContext for Counts {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let count = if result.is_ok() { &self.acknowledged } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

struct Librdkafka;

fn main() -> Result<()> {
    peer_common::run::<Librdkafka>()
}

fn client(args: &Args) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &args.bootstrap).set("broker.address.family", "v4");
    config
}

fn producer(args: &Args) -> ClientConfig {
    let mut config = client(args);
    config.set("acks", "all").set("enable.idempotence", args.idempotent.to_string());
    config.set("compression.type", &args.compression).set("partitioner", "murmur2_random");
    config.set("linger.ms", args.linger_ms.to_string()).set("batch.size", args.batch_bytes.to_string());
    // Bytes are to bound a batch, and nothing else.
    config.set("batch.num.messages", "1000000").set("max.in.flight", args.inflight.to_string());
    config.set("queue.buffering.max.messages", "500000");
    config.set("queue.buffering.max.kbytes", (BUFFER_BYTES / 1024).to_string());
    config
}

fn consumer(args: &Args, at: Offset) -> Result<BaseConsumer> {
    let mut config = client(args);
    config.set("group.id", "bench").set("enable.auto.commit", "false").set("check.crcs", "true");
    config.set("fetch.wait.max.ms", FETCH_WAIT.as_millis().to_string());
    config.set("max.partition.fetch.bytes", PARTITION_FETCH_BYTES.to_string());
    // By default it stops fetching for a second when its queue is full, and the core is idle meanwhile.
    config.set("queued.min.messages", "1000000").set("fetch.queue.backoff.ms", "5");
    let consumer: BaseConsumer = config.create()?;
    let mut partitions = TopicPartitionList::new();
    for index in 0..args.partitions {
        partitions.add_partition_offset(&args.topic, index, at)?;
    }
    consumer.assign(&partitions)?;
    Ok(consumer)
}

fn headers(event: &Event) -> OwnedHeaders {
    let none = OwnedHeaders::new_with_capacity(event.headers.len());
    event
        .headers
        .iter()
        .fold(none, |headers, (key, value)| headers.insert(Header { key, value: Some(value) }))
}

impl Peer for Librdkafka {
    async fn produce(args: &Args) -> Result<()> {
        let pool = pool(args.size, args.headers);
        let producer: BaseProducer<Counts> = producer(args).create_with_context(Counts::default())?;
        send(args, &pool, &producer, 0, args.warmup)?;
        let meter = Meter::start();
        send(args, &pool, &producer, args.warmup, args.warmup + args.records)?;
        meter.report(CLIENT, args, args.records, args.bytes_of(args.records), Latencies::default());
        Ok(())
    }

    async fn consume(args: &Args) -> Result<()> {
        let consumer = consumer(args, Offset::Beginning)?;
        read(&consumer, args.warmup)?;
        let meter = Meter::start();
        let bytes = read(&consumer, args.records)?;
        meter.report(CLIENT, args, args.records, bytes, Latencies::default());
        Ok(())
    }

    async fn latency(args: &Args) -> Result<()> {
        let pool = pool(args.size, args.headers);
        let mut clock = OneByOne::start(args);
        let producer: FutureProducer = producer(args).create()?;
        while let Some(number) = clock.next() {
            let event = &pool[number % pool.len()];
            let record = FutureRecord::to(&args.topic).key(&event.key).payload(&event.value);
            producer.send(record, Timeout::Never).await.map_err(|(error, _)| error)?;
            clock.acknowledged();
        }
        clock.report(CLIENT);
        Ok(())
    }

    async fn end_to_end(args: &Args) -> Result<()> {
        let consumer = consumer(args, Offset::End)?;
        let producer: BaseProducer = producer(args).create()?;
        let settling = Instant::now();
        while settling.elapsed() < SETTLING {
            consumer.poll(Duration::from_millis(50)).transpose()?;
        }
        let pool = pool(args.size, args.headers);
        let pace = Pace::start(args);
        let mut arrivals = Arrivals::start(args, pace);
        // Both halves block.
        thread::scope(|scope| {
            scope.spawn(|| {
                for number in pace.numbers() {
                    if let Some(wait) = pace.until_due(number) {
                        thread::sleep(wait);
                    }
                    let key = pace.key_of_now();
                    let record =
                        BaseRecord::to(&args.topic).key(&key).payload(&pool[number % pool.len()].value);
                    let sent = producer.send(record).map_err(|(error, _)| error);
                    sent.expect("a queue for half a second has room");
                    producer.poll(Duration::ZERO);
                }
            });
            while !arrivals.are_complete() {
                if let Some(message) = consumer.poll(POLL) {
                    arrivals.add(message?.key());
                }
            }
            Ok::<(), KafkaError>(())
        })?;
        arrivals.report(CLIENT);
        Ok(())
    }
}

/// Sends the records from one number to another, and waits until all that were ever sent are acknowledged.
fn send(args: &Args, pool: &[Event], producer: &BaseProducer<Counts>, from: usize, to: usize) -> Result<()> {
    for number in from..to {
        let event = &pool[number % pool.len()];
        let mut record = BaseRecord::to(&args.topic).key(&event.key).payload(&event.value);
        if args.headers {
            record = record.headers(headers(event));
        }
        loop {
            match producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    record = refused;
                    producer.poll(Duration::from_millis(5));
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
        if number % SERVE_EVERY == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    let counts = producer.context();
    while counts.acknowledged.load(Ordering::Relaxed) < to {
        producer.poll(Duration::from_millis(20));
        if counts.failed.load(Ordering::Relaxed) > 0 {
            return Err("a record was not written".into());
        }
    }
    Ok(())
}

/// Reads so many records; gives the bytes in their keys and values.
fn read(consumer: &BaseConsumer, wanted: usize) -> Result<usize> {
    let (mut records, mut bytes) = (0, 0);
    while records < wanted {
        let Some(message) = consumer.poll(POLL) else { continue };
        let message = message?;
        records += 1;
        bytes += message.key_len() + message.payload_len();
    }
    Ok(bytes)
}
